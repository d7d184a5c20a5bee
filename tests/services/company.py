"""A company's OpenID provider: npm `oidc-provider` under Node.js, on loopback, with the gateway as its one client."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.services import node
from tests.services.process import Service, listens

_FOLDER = Path(__file__).parent / "provider"
CLIENT_ID = "gateway"


class CompanyProvider(Service):
    """Knows everybody; how the next one is authenticated says `authenticate`."""

    name = "oidc-provider"

    def __init__(self) -> None:
        folder = node.installed(_FOLDER)
        super().__init__()
        self._folder = folder
        self._client: dict[str, Any] = {}

    def register(self, **client: Any) -> None:
        """The one client; before the start."""
        self._client = {
            "client_id": CLIENT_ID,
            "response_types": ["code"],
            "grant_types": ["authorization_code"],
            "backchannel_logout_session_required": True,
            **client,
        }

    @property
    def issuer(self) -> str:
        """Its issuer identifier."""
        return f"http://localhost:{self.port}"

    def prepare(self) -> None:
        """The client's registration."""
        settings = {"port": self.port, "client": self._client}
        (self.directory / "settings.json").write_text(json.dumps(settings))

    def command(self) -> Sequence[str]:
        return [node.binary(), str(self._folder / "provider.mjs"), str(self.directory / "settings.json")]

    def ready(self) -> bool:
        return listens(self.port)

    def authenticate(self, sub: str, *, acr: str = "phr", amr: Sequence[str] = ("hwk", "user"), **more: Any) -> None:
        """Whoever comes next is this person, authenticated in this way."""
        person = {"sub": sub, "acr": acr, "amr": list(amr), **more}
        httpx.post(f"{self.issuer}/as", json=person, timeout=10).raise_for_status()
