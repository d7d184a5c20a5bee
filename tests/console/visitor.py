"""A browser without a window, for what a person would never send: it keeps cookies and knows the console's forms."""

from __future__ import annotations

import re
from typing import Any

import httpx

from gateway.identity.operators.roles import Role
from tests.console.world import Console
from tests.identity.operators.authenticator import Authenticator


class Visitor:
    """One visitor of a console, with a passkey in software."""

    def __init__(self, console: Console, http: httpx.AsyncClient) -> None:
        self.console = console
        self.http = http
        self.passkey = Authenticator(console.origin)

    async def get(self, path: str = "", **headers: str) -> httpx.Response:
        """A page."""
        return await self.http.get(f"/console{path}", headers=headers)

    async def post(self, path: str, form: dict[str, str] | None = None, **headers: str) -> httpx.Response:
        """A form, as a page of the console sends it; `headers` replace the browser's own."""
        usual = {
            "sec-fetch-site": "same-origin",
            "origin": self.console.origin,
            "content-type": "application/x-www-form-urlencoded",
        }
        sent = {name: value for name, value in (usual | headers).items() if value}
        return await self.http.post(f"/console{path}", data=form or {}, headers=sent)

    async def ask(self, path: str, form: dict[str, str] | None = None) -> dict[str, Any]:
        """The options of a ceremony, as the script fetches them."""
        answer = await self.post(path, form, accept="application/json")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def enrol(self, code: str, **over: Any) -> httpx.Response:
        """Make a passkey with a code."""
        options = await self.ask("/enrol/options", {"code": code})
        return await self.post("/enrol", {"answer": self.passkey.make(options, **over), "label": "test"})

    async def sign_in(self, **over: Any) -> httpx.Response:
        """Sign in; 303 where it worked."""
        options = await self.ask("/sign-in/options")
        return await self.post("/sign-in", {"answer": self.passkey.sign(options, **over)})

    async def join(self, name: str, role: Role = Role.ADMIN, alliance: str = "") -> None:
        """Become an operator and sign in."""
        assert (await self.enrol(await self.console.add(name, role, alliance))).status_code == 200
        assert (await self.sign_in()).status_code == 303

    async def form_token(self) -> str:
        """The token of this session's forms."""
        found = re.search(r'name="form_token" value="([0-9a-f]{64})"', (await self.get()).text)
        assert found is not None
        return found[1]

    async def confirm(self, path: str, **fields: str) -> httpx.Response:
        """Do a dangerous act, with a fresh answer of the passkey."""
        form = {"form_token": await self.form_token(), **fields}
        options = await self.ask(f"{path}/options", form)
        return await self.post(path, {**form, "answer": self.passkey.sign(options)})

    @property
    def is_signed_in(self) -> bool:
        """Whether the cookie jar holds a session."""
        return bool(self.http.cookies.get("session"))
