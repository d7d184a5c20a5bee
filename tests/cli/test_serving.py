"""One server per embedded database."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from gateway.cli.serving import alone
from gateway.errors import Conflicting
from gateway.settings import Settings
from tests.alliance import prepare, settings_for
from tests.cli.conftest import Gateway
from tests.served import Serving
from tests.services import ServiceFailed, free_port


@contextmanager
def _running(server: Serving) -> Iterator[Serving]:
    server.start()
    try:
        yield server
    finally:
        server.stop()


def test_a_second_server_on_the_same_data_does_not_start(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, port=free_port())
    asyncio.run(prepare(settings))
    second = Serving(replace(settings, port=free_port()), tmp_path / "second.log")
    with _running(Serving(settings, tmp_path / "first.log")) as first:
        with pytest.raises(ServiceFailed, match="already_serving"):
            second.start()
        assert "Traceback" not in second.log.read_text()
        assert httpx.get(f"{settings.base_url}/healthz").status_code == 200
        first.kill()
        with _running(second):
            assert httpx.get(f"http://127.0.0.1:{second.port}/healthz").status_code == 200


def test_the_data_is_free_again_when_a_server_has_ended(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    settings.sqlite_path.touch()
    with alone(settings):
        with pytest.raises(Conflicting) as refusal, alone(replace(settings, port=1)):
            pass
        assert (refusal.value.code, refusal.value.field) == ("already_serving", "GATEWAY_DATA_DIR")
        assert refusal.value.remedy
    with alone(settings):
        pass


def test_servers_on_postgresql_may_share_a_folder(tmp_path: Path) -> None:
    settings: Settings = settings_for(
        tmp_path, database_url="postgresql://gateway@127.0.0.1/gateway", valkey_url="valkey://127.0.0.1"
    )
    with alone(settings), alone(settings):
        assert not list(settings.data_dir.iterdir())


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_port_that_is_taken_ends_in_a_sentence(gateway: Gateway, taken: int) -> None:
    gateway("init")
    refused = gateway("serve", GATEWAY_PORT=str(taken))
    assert (refused.exit_code, "port_taken" in refused.output) == (1, True), refused.output
    assert "GATEWAY_PORT" in refused.output


def test_the_demo_takes_no_other_server_for_its_own(gateway: Gateway, taken: int, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    refused = gateway("demo", "--out", str(folder), "--port", str(taken))
    assert (refused.exit_code, "port_taken" in refused.output) == (1, True), refused.output
    assert not folder.exists()
