"""However the demo is ended, it takes its server with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from gateway.demo.run import insistent
from tests.services import free_port

PATIENCE_S = 120


def test_no_server_stays_behind_a_demo_that_is_terminated(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "gateway", "demo", "--serve", "--out", str(tmp_path / "demo"), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as demo:
        try:
            assert _answers(port, demo)
            demo.terminate()
            assert demo.wait(PATIENCE_S) != 0, "the story was not told to its end"
            with pytest.raises(requests.ConnectionError):
                requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5)
        finally:
            _end_all(demo)


def test_an_interrupt_that_a_finalizer_swallows_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    swallowed: list[sys.UnraisableHookArgs] = []
    monkeypatch.setattr(sys, "unraisablehook", swallowed.append)

    class Finalized:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    def work() -> None:
        with insistent():
            Finalized()
            assert [one.exc_type for one in swallowed] == [KeyboardInterrupt]
            time.sleep(PATIENCE_S)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        work()
    assert (signal.getsignal(signal.SIGTERM), signal.getitimer(signal.ITIMER_REAL)) == (before, (0.0, 0.0))


def _answers(port: int, demo: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while demo.poll() is None and time.monotonic() < deadline:
        try:
            return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5).ok
        except requests.RequestException:
            time.sleep(0.1)
    return False


def _end_all(demo: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(demo.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
