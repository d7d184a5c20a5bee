"""What the secretariat types about consents on paper, and about requests of persons."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from gateway.app import compose
from gateway.rights.request import Person
from gateway.settings import Settings
from gateway.vault.providers import LocalKeyring
from gateway.web import web
from tests.access.world import MovableClock, Shared
from tests.alliance import PASSPHRASE, populated, prepare
from tests.cli.conftest import Gateway
from tests.offline.world import Desk


async def _imported(settings: Settings) -> tuple[str, str]:
    """An alliance, and a batch of one form of its bank; a customer asks for a copy."""
    await prepare(settings)
    keyring, clock = LocalKeyring.open(settings.keyring_path, PASSPHRASE), MovableClock()
    async with compose(settings, keyring, clock, process="test") as gateway:
        transport = httpx.ASGITransport(web(gateway), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=settings.base_url) as http:
            shared = Shared(await populated(gateway, http), clock)
            desk = await Desk.of(shared, [1])
            person = Person(shared.bank.id, "0" * 64)
            await gateway.rights.open(person, "copy", "Please.", visit="a" * 32)
            return shared.alliance.id, await desk.imported(desk.row(1))


@pytest.fixture
def imported(settings: Settings) -> tuple[str, str]:
    return asyncio.run(_imported(settings))


def test_a_batch_is_drawn_and_accepted_by_two_and_looked_at_by_one(
    gateway: Gateway, imported: tuple[str, str], tmp_path: Path
) -> None:
    alliance, batch = imported

    def said(who: str, *arguments: str) -> str:
        answer = gateway("admin", *arguments, SUDO_USER=who)
        assert answer.exit_code == 0, answer.output
        return answer.output.strip()

    plans = [json.loads(text) for text in said("alice", "offline", "plans").replace("}\n{", "}\0{").split("\0")]
    assert {plan["name"] for plan in plans} == {"standard", "strict", "lenient"}
    said("bob", "approve", said("alice", "offline", "draw", batch))
    assert "2" in said("alice", "offline", "sample", batch)
    other, scan = tmp_path / "other.pdf", tmp_path / "scan.pdf"
    other.write_bytes(b"another form")
    scan.write_bytes(b"scan of scans/1.pdf")
    wrong = gateway("admin", "offline", "mark", batch, "2", "good", str(other))
    assert (wrong.exit_code, "evidence_differs" in wrong.output) == (1, True)
    assert said("alice", "offline", "mark", batch, "2", "good", str(scan)) == "sampled"
    said("bob", "approve", said("alice", "offline", "accept", batch))
    said("bob", "approve", said("alice", "offline", "invalidate", batch))
    waiting = gateway("rights", "list", alliance)
    assert (waiting.exit_code, "copy" in waiting.output) == (0, True), waiting.output
    ran = gateway("rights", "run")
    assert (ran.exit_code, "0 breach candidates" in ran.output) == (0, True), ran.output
