"""The customer's pages over a desk that remembers, on no port and on one, and a browser without a window."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from fastapi import FastAPI

from gateway.clock import system_clock
from gateway.console.customer.routes import routes
from gateway.identity.operators.site import Site
from gateway.identity.proxy import TrustedProxy
from tests.console.customer.desk import CODE, LINK, FakeDesk
from tests.listening import listening

_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]{64})"')


def pages(desk: FakeDesk, origin: str = "http://localhost") -> FastAPI:
    """The pages alone."""
    app = FastAPI()
    app.include_router(routes(desk, Site.of(origin), TrustedProxy(), system_clock))
    return app


@dataclass(slots=True)
class Visitor:
    """A customer whose every step is counted: what they press, not where redirects lead."""

    http: httpx.AsyncClient
    origin: str
    steps: list[str] = field(default_factory=list)
    page: str = ""

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """A page."""
        answer = await self.http.get(path, headers=headers)
        self.page = answer.text if answer.headers.get("content-type", "").startswith("text/html") else self.page
        return answer

    async def press(self, path: str, **fields: str) -> httpx.Response:
        """Send a form of the page that is open, and see where it leads."""
        self.steps.append(path)
        token = _TOKEN.search(self.page)
        form = ({"form_token": token[1]} if token else {}) | {name.replace("__", ":"): v for name, v in fields.items()}
        answer = await self.post(path, form)
        while answer.status_code == 303:
            answer = await self.get(answer.headers["location"])
        self.page = answer.text
        return answer

    async def post(self, path: str, form: dict[str, str], **headers: str) -> httpx.Response:
        """A form as it stands; `headers` replace the browser's own."""
        usual = {"sec-fetch-site": "same-origin", "origin": self.origin}
        sent = {name: value for name, value in (usual | headers).items() if value}
        return await self.http.post(path, data=form, headers=sent)

    async def come(self) -> httpx.Response:
        """From the link to an open visit."""
        await self.get(f"/my/link/{LINK}")
        await self.press("/my/code", link=LINK)
        return await self.press("/my/confirm", code=CODE)


@asynccontextmanager
async def visiting(desk: FakeDesk, origin: str = "http://localhost", language: str = "en") -> AsyncIterator[Visitor]:
    """Somebody at the pages of a desk."""
    transport = httpx.ASGITransport(pages(desk, origin), raise_app_exceptions=False)
    asks = {"accept-language": language}
    async with httpx.AsyncClient(transport=transport, base_url=origin, headers=asks) as http:
        yield Visitor(http, origin)


@asynccontextmanager
async def on_a_port(desk: FakeDesk, port: int) -> AsyncIterator[str]:
    """The pages on a loopback port; where they are."""
    origin = f"http://localhost:{port}"
    async with listening(pages(desk, origin), port):
        yield origin
