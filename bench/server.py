"""The gateway and a FastAPI hello in one process, so that both meet the same machine at the same moment.

`python -m bench.server DIR PORT` serves what `gateway demo --out DIR` left; `/hello` is a bare application.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import uvicorn
import uvloop
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.app import compose
from gateway.cli.host import open_keyring
from gateway.settings import Settings
from gateway.web import web

HELLO = "/hello"
_NO_LIMIT = 1_000_000
"""One client asks for all tokens here."""


class Beside:
    """Sends `/hello` to the bare application and everything else, the lifespan included, to the gateway."""

    def __init__(self, hello: ASGIApp, gateway: ASGIApp) -> None:
        self._hello = hello
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._hello if scope.get("path") == HELLO else self._gateway
        await app(scope, receive, send)


def hello_app() -> FastAPI:
    app = FastAPI()

    @app.get(HELLO)
    async def hello() -> dict[str, str]:
        return {"hello": "world"}

    return app


async def main(folder: Path, port: int) -> None:
    settings = Settings.from_environment(
        {},
        data_dir=folder / "data",
        passphrase_file=folder / "passphrase",
        port=port,
        open_logs=True,
        client_rate=_NO_LIMIT,
        client_burst=_NO_LIMIT,
    )
    gc.set_threshold(100_000, 20, 20)
    async with compose(settings, open_keyring(settings)) as gateway:
        config = uvicorn.Config(
            Beside(hello_app(), web(gateway)),
            port=port,
            http="httptools",
            access_log=False,
            log_level="warning",
            date_header=False,
            server_header=False,
            proxy_headers=False,
        )
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), int(sys.argv[2])))
