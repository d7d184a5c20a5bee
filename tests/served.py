"""`gateway serve` in processes of its own, and an alliance whose members speak to it over real sockets.

Each process is forked from one that has imported the gateway already, so that killing and starting it
again takes a fraction of a second. What runs in it is the command line itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, fields, replace
from itertools import cycle
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import httpx

from gateway.app import Gateway, compose, open_database
from gateway.ledger.stored import entries, state
from gateway.settings import Settings
from gateway.vault.providers import LocalKeyring
from tests.access.world import PLACES
from tests.alliance import MARKET_SCHEMA, Alliance, populated, prepare, settings_for
from tests.services import ServiceFailed, free_port
from tests.services.process import listens

_forks = get_context("forkserver")
_forks.set_forkserver_preload(["gateway.cli.main", __name__])
_PATIENCE_S = 30.0


def environment_of(settings: Settings) -> dict[str, str]:
    """The environment that says the same as these settings, and nothing else."""
    given = {f.name: getattr(settings, f.name) for f in fields(Settings)}
    shown = {name: "true" if value is True else str(value) for name, value in given.items() if value}
    return {"PATH": os.environ["PATH"], **{f"GATEWAY_{name.upper()}": text for name, text in shown.items()}}


def _command(environment: Mapping[str, str], arguments: list[str], output: Path) -> None:
    """The body of a forked process: `gateway ARGUMENTS`, printing into a file."""
    with output.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.dont_write_bytecode, sys.pycache_prefix = False, str(output.parent / "bytecode")
    os.environ.clear()
    os.environ.update(environment)
    import faulthandler

    from gateway.cli import app

    faulthandler.enable()
    app(arguments, prog_name="gateway")


@dataclass
class Serving:
    """One `gateway serve`; `log` is all that it ever printed."""

    settings: Settings
    log: Path
    more: Mapping[str, str] = field(default_factory=dict)
    _process: ForkServerProcess | None = None

    @property
    def port(self) -> int:
        return self.settings.port

    @property
    def pid(self) -> int:
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    def start(self) -> None:
        """Start and wait until it accepts connections."""
        environment = {**environment_of(self.settings), **self.more}
        process = _forks.Process(target=_command, args=(environment, ["serve"], self.log))
        process.start()
        self._process = process
        deadline = time.monotonic() + _PATIENCE_S
        while not listens(self.port):
            if process.exitcode is not None or time.monotonic() > deadline:
                self.kill()
                raise ServiceFailed(f"gateway serve did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL: as a power cut would end it."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None

    def wait(self) -> None:
        """Wait for an end that somebody else has brought about."""
        if self._process is not None:
            self._process.join()
            self._process = None

    def stop(self) -> None:
        """SIGTERM: requests under way are finished."""
        if self._process is not None:
            self._process.terminate()
            self._process.join(20)
            self.kill()


class Spread(httpx.AsyncBaseTransport):
    """Sends each request to the next of several ports, as a proxy does; `port` in its extensions chooses one."""

    def __init__(self, ports: list[int]) -> None:
        self._inner = httpx.AsyncHTTPTransport()
        self._ports = cycle(ports)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        port = request.extensions.get("port") or next(self._ports)
        request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=port)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


@dataclass
class Site:
    """Servers over one database, and the alliance on them. Operators act in this process, beside the servers."""

    settings: Settings
    servers: list[Serving]
    alliance: Alliance
    folder: Path
    _operators: AsyncExitStack

    @property
    def server(self) -> Serving:
        return self.servers[0]

    async def share_places(self, fields: Iterable[str] = ("code", "city", "price")) -> tuple[str, str]:
        """Places of the bank that the hotel may read: the path of their records, and its token."""
        bank, hotel = self.alliance.members["bank"], self.alliance.members["hotel"]
        dataset = await bank.declare(MARKET_SCHEMA)
        uploaded = await bank.upload(dataset, PLACES)
        assert uploaded.status_code == 201, uploaded.text
        agreement = await bank.agree(hotel, dataset, fields)
        token = await hotel.token(hotel.under(agreement, dataset))
        return f"/v1/agreements/{agreement}/datasets/{dataset}/records", token

    async def send_operators_home(self) -> None:
        """Close what this process holds open, so that the servers are alone with their database."""
        await self._operators.aclose()

    async def command(self, *arguments: str, by: str = "anna") -> tuple[int, str]:
        """Run `gateway ARGUMENTS` on this site as this operator: exit code and output."""
        output = self.folder / f"said-{time.monotonic_ns()}"
        environment = {**environment_of(self.settings), "SUDO_USER": by}
        process = _forks.Process(target=_command, args=(environment, list(arguments), output))
        process.start()
        await asyncio.to_thread(process.join)
        assert process.exitcode is not None
        return process.exitcode, output.read_text()

    async def permit(self, log: str) -> str:
        """Two operators permit to export a whole log; the proposal's id."""
        status, said = await self.command("admin", "export-log", log)
        assert status == 0, said
        proposal = said.strip()
        status, said = await self.command("admin", "approve", proposal, by="bert")
        assert status == 0, said
        return proposal

    async def export(self, log: str, out: Path, permit: str) -> tuple[int, str]:
        """`gateway export` of a whole log: exit code and output."""
        return await self.command("export", log, "--out", str(out), "--permit", permit)

    async def rows(self, log: str) -> list[dict[str, Any]]:
        """A log's entries in order: `body` as bytes, and what a partner would parse of it."""
        database = await open_database(self.settings)
        try:
            size = (await state(database, log)).size
            rows = await entries(database, log, 0, size)
        finally:
            await database.close()
        assert [row["idx"] for row in rows] == list(range(size))
        return [json.loads(bytes(row["body"])) | {"_body": bytes(row["body"])} for row in rows]


@asynccontextmanager
async def served(
    folder: Path, *, processes: int = 1, environment: Mapping[str, str] | None = None, **over: Any
) -> AsyncIterator[Site]:
    """A bank, a hotel and a stranger on running servers. `over`: settings; `environment`: more of the servers' own."""
    settings = settings_for(folder, port=free_port(), **over)
    settings = replace(settings, issuer=settings.base_url, heads_dir=folder / "heads")
    keyring = await prepare(settings)
    servers = [
        Serving(replace(settings, port=settings.port if not number else free_port()), folder / f"server-{number}.log")
        for number in range(processes)
    ]
    async with AsyncExitStack() as stack:
        for server in servers:
            server.more = environment or {}
            stack.callback(server.stop)
            await asyncio.to_thread(server.start)
        http = httpx.AsyncClient(transport=Spread([server.port for server in servers]), timeout=20)
        await stack.enter_async_context(http)
        operators = await stack.enter_async_context(AsyncExitStack())
        gateway = await operators.enter_async_context(_operating(settings, keyring))
        yield Site(settings, servers, await populated(gateway, http), folder, operators)


@asynccontextmanager
async def _operating(settings: Settings, keyring: LocalKeyring) -> AsyncIterator[Gateway]:
    async with compose(settings, keyring, process="operators") as gateway:
        yield gateway
