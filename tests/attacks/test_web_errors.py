"""What nobody foresaw, on a real server: the caller gets the 500 document, and nothing quotes what it carried."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from gateway.identity.revoked import TokenOver
from gateway.identity.subject import Subject
from gateway.problems import problem_of
from tests.alliance import founded, prepare, settings_for
from tests.served import environment_of
from tests.services import free_port
from tests.services.process import listens

_ROOT = Path(__file__).resolve().parents[2]
_PERSONAL = ("13800138000", "张三", "phone")
_FAILING = textwrap.dedent("""
    import asyncio, sys
    from starlette.responses import StreamingResponse
    import gateway.web as module

    said = "pho" "ne 138" "00138000 of " + chr(24352) + chr(19977)
    made, kept = module.web, []

    async def raises():
        raise ValueError(said)

    async def chained():
        try:
            try:
                raise KeyError(said)
            except KeyError as error:
                raise OSError(said) from error
        except OSError:
            raise LookupError(said)

    async def parts():
        yield b"first"
        raise ArithmeticError(said)

    async def halfway():
        return StreamingResponse(parts())

    async def background():
        asyncio.create_task(in_task())
        asyncio.get_running_loop().call_later(0.05, __import__("gc").collect)
        await asyncio.sleep(0.2)

    async def in_task():
        raise BufferError(said)

    def web(gateway):
        app = made(gateway)
        for endpoint in (raises, chained, halfway, background):
            app.add_api_route("/v1/" + endpoint.__name__, endpoint)
        return app

    module.web = web
""")
_SERVE = 'from gateway.cli import app\napp(["serve"], prog_name="gateway")\n'
_EMBED = textwrap.dedent("""
    import uvicorn
    from gateway.app import compose
    from gateway.cli.host import open_keyring
    from gateway.settings import Settings

    async def embed():
        settings = Settings.from_environment()
        async with compose(settings, open_keyring(settings)) as gateway:
            await uvicorn.Server(uvicorn.Config(web(gateway), port=settings.port)).serve()

    asyncio.run(embed())
""")


class Failing:
    """A server with routes that raise, and all that it printed."""

    def __init__(self, port: int, log: Path) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self._log = log

    def printed(self, awaited: str) -> str:
        deadline = monotonic() + 30
        while awaited not in self._log.read_text() and monotonic() < deadline:
            sleep(0.02)
        return self._log.read_text()


async def _prepared(folder: Path) -> dict[str, str]:
    settings = settings_for(folder, port=free_port())
    await prepare(settings)
    return environment_of(settings) | {"PYTHONPATH": str(_ROOT)}


@pytest.fixture
async def environment(tmp_path: Path) -> dict[str, str]:
    return await _prepared(tmp_path)


@pytest.fixture(params=["gateway serve", "embedded"])
def failing(request: pytest.FixtureRequest, environment: dict[str, str], tmp_path: Path) -> Iterator[Failing]:
    port, log = int(environment["GATEWAY_PORT"]), tmp_path / "printed"
    script = _FAILING + (_SERVE if request.param == "gateway serve" else _EMBED)
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-c", script], env=environment, stdout=output, stderr=output, cwd=tmp_path
        )
    try:
        deadline = monotonic() + 30
        while not listens(port):
            assert server.poll() is None, log.read_text()
            assert monotonic() < deadline
            sleep(0.05)
        yield Failing(port, log)
    finally:
        server.terminate()
        server.wait(20)


def _quotes_nothing(text: str) -> bool:
    return not any(part in text for part in _PERSONAL)


def test_the_message_of_an_unforeseen_error_is_printed_nowhere(failing: Failing) -> None:
    answer = httpx.get(f"{failing.base}/v1/raises")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.json()["code"] == "internal_error"
    printed = failing.printed("ValueError")
    assert "unexpected ValueError in GET /v1/raises" in printed
    assert "in raises" in printed
    assert _quotes_nothing(answer.text + printed)


def test_what_an_unforeseen_error_was_caused_by_is_printed_nowhere(failing: Failing) -> None:
    assert httpx.get(f"{failing.base}/v1/chained").status_code == 500
    httpx.get(f"{failing.base}/v1/raises")  # when this is printed, all of the first is
    printed = failing.printed("ValueError in")
    assert "LookupError" in printed
    assert _quotes_nothing(printed)


def test_an_answer_that_fails_halfway_is_cut_off_in_silence(failing: Failing) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{failing.base}/v1/halfway")
    printed = failing.printed("ArithmeticError")
    assert "ArithmeticError" in printed
    assert _quotes_nothing(printed)


@pytest.mark.parametrize("failing", ["gateway serve"], indirect=True)
def test_a_task_beside_requests_prints_no_message(failing: Failing) -> None:
    assert httpx.get(f"{failing.base}/v1/background").status_code == 200
    printed = failing.printed("BufferError")
    assert "unexpected BufferError beside requests" in printed
    assert _quotes_nothing(printed)


def test_what_the_server_itself_logs_keeps_type_and_frames_only() -> None:
    """A formatter is the last line: whoever logs with an exception, the message stays out."""
    script = textwrap.dedent("""
        import logging
        from gateway.problems import FramesOnly
        printed = logging.StreamHandler()
        printed.setFormatter(FramesOnly())
        logging.basicConfig(handlers=[printed])
        try:
            raise ValueError("phone") from KeyError("138" "00138000")
        except ValueError:
            logging.getLogger("uvicorn.error").exception("failed")
    """)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(_ROOT)}
    printed = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    ).stderr
    assert printed.startswith("failed\n")
    assert printed.endswith("ValueError\n")
    assert _quotes_nothing(printed)


@pytest.mark.parametrize("path", ["/v1/jwks/", "/token/", "/v1/datasets//"])
async def test_no_redirect_repeats_the_host_of_the_caller(tmp_path: Path, path: str) -> None:
    async with founded(tmp_path) as alliance:
        answer = await alliance.http.get(path, headers={"Host": "attacker.example"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "location" not in answer.headers
    assert "attacker" not in answer.text


async def test_a_401_says_everything_once(tmp_path: Path) -> None:
    """Without credentials, with a token that never was, and with one that is over."""
    async with founded(tmp_path) as alliance:
        hotel = alliance.members["hotel"]
        token = await hotel.token()
        answers = [await alliance.http.get("/v1/members"), await hotel.get("/v1/members", "nobody's")]
        await alliance.gateway.clients.revoke(hotel.client, operator="test")
        answers.append(await hotel.get("/v1/members", token))
    for answer in answers:
        assert answer.status_code == 401
        names = [name.lower() for name, _ in answer.headers.raw]
        assert len(set(names)) == len(names), names
        assert answer.headers["cache-control"] == "no-store"
    over = TokenOver(Subject(*("alliance", "member", "client", (), frozenset(), "token", "jkt", 0, 1)))
    assert problem_of(over).headers.getlist("cache-control") == ["no-store"]
