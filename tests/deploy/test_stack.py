"""The production set as `make stack` starts it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.stack import Stack, running
from tests.rules.sources import ROOT
from tests.services import ComponentMissing, free_port
from tests.services.process import listens

_METADATA = "/.well-known/oauth-authorization-server"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    try:
        started = running()
        with started as stack:
            yield stack
    except ComponentMissing as missing:
        pytest.skip(str(missing))


def _metadata(stack: Stack) -> dict[str, Any]:
    with urllib.request.urlopen(stack.issuer + _METADATA, context=stack.nginx.trust(), timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def test_the_proxy_answers_as_the_issuer(stack: Stack) -> None:
    assert _metadata(stack)["issuer"] == stack.issuer


def test_one_gateway_is_enough(stack: Stack) -> None:
    first = stack.gateways[0]
    first.kill()
    try:
        assert {_metadata(stack)["issuer"] for _ in range(6)} == {stack.issuer}
    finally:
        first.start()


def test_ctrl_c_stops_everything(opa_binary: object) -> None:
    port = free_port()
    run = subprocess.Popen(
        [sys.executable, "-m", "deploy.stack", "--port", str(port)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert run.stdout is not None
    said = ""
    with run.stdout as output:
        for line in output:
            said += line
            if line.startswith("Ctrl-C"):
                run.send_signal(signal.SIGINT)
    assert run.wait(60) == 0, said
    assert f"https://127.0.0.1:{port}" in said
    ports = [int(word.split(":")[-1].strip("/")) for word in said.split() if "127.0.0.1:" in word]
    assert len(ports) == 6
    assert [port for port in ports if listens(port)] == []
