"""`gateway serve` as a process of its own, over an alliance that was founded beforehand."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.access.world import Deal
from tests.alliance import MARKET_SCHEMA, PERSONAL_SCHEMA, POLICIES, Alliance, Member, founded
from tests.services.process import Service

PLACES = [{"code": code, "city": city, "price": 1, "margin": 2} for code, city in (("PEK", "北京"), ("SHA", "上海"))]
PEOPLE = [
    {"customer_no": f"C{n}", "name": f"Person {n}", "phone": f"1380000000{n}", "id_number": f"ID-{n}"} for n in range(3)
]


class Served(Service):
    """The server. `found` comes before its start, and writes `alliance.json` as the demo does."""

    name = "gateway"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def alliance_file(self) -> Path:
        return self.directory / "alliance.json"

    @property
    def environment(self) -> Mapping[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
        return own | {
            "GATEWAY_DATA_DIR": str(self.directory / "data"),
            "GATEWAY_PASSPHRASE_FILE": str(self.directory / "passphrase"),
            "GATEWAY_POLICIES_DIR": str(POLICIES),
            "GATEWAY_PORT": str(self.port),
        }

    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", "gateway", "serve"]

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as answer:
                found: bool = answer.status == 200
        except (urllib.error.URLError, OSError):
            return False
        return found

    async def found(self) -> None:
        """Two datasets of the bank's, read by the hotel: places for all, and those people who consented."""
        async with founded(self.directory, port=self.port) as alliance:
            bank, hotel = alliance.members["bank"], alliance.members["hotel"]
            places, people = await bank.declare(MARKET_SCHEMA), await bank.declare(PERSONAL_SCHEMA)
            for dataset, rows in ((places, PLACES), (people, PEOPLE)):
                assert (await bank.upload(dataset, rows)).status_code == 201
            await bank.consent(people, hotel, "C1")
            market = Deal(await bank.agree(hotel, places, ["code", "city"]), places)
            agreement = await bank.agree(hotel, people, ["name", "phone"], purposes=["customer_referral"])
            await self.furnish(alliance)
            self._write(alliance, [(market, "market_analysis"), (Deal(agreement, people), "customer_referral")])

    async def furnish(self, alliance: Alliance) -> None:
        """Whatever else a test needs to be there before the server starts."""

    def _write(self, alliance: Alliance, deals: Sequence[tuple[Deal, str]]) -> None:
        described = [
            self._member(member, deals if name == "hotel" else []) for name, member in alliance.members.items()
        ]
        document = {"issuer": alliance.base, "api": f"{alliance.base}/v1", "members": described}
        self.alliance_file.write_text(json.dumps(document, ensure_ascii=False), "utf-8")

    def _member(self, member: Member, deals: Sequence[tuple[Deal, str]]) -> dict[str, Any]:
        jwk_file = self.directory / f"{member.name}.jwk.json"
        jwk_file.touch(0o600)
        jwk_file.write_text(json.dumps(member.client_key.as_dict(private=True)))
        details: list[Any] = [member.under(deal.agreement, deal.dataset, purpose) for deal, purpose in deals]
        return {
            "id": member.id,
            "name": member.name,
            "client_id": member.client,
            "jwk_file": jwk_file.name,
            "authorization_details": details or [{"type": "alliance_member", "actions": ["upload"]}],
            "reads": [{"url": member.alliance.base + deal.path, "purpose": purpose} for deal, purpose in deals],
        }
