"""What an officer types about withdrawals: what is open is shown without a person, and the clock's steps are taken."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.access.world import Shared, records
from tests.alliance import founded
from tests.cli.conftest import Gateway


def test_what_is_open_is_shown_without_the_person(tmp_path: Path, gateway: Gateway) -> None:
    async def withdrawn() -> tuple[str, str]:
        async with founded(tmp_path) as alliance:
            shared = Shared(alliance, alliance.gateway.clock)  # type: ignore[arg-type]
            deal = await shared.personal([1])
            [consent] = await shared.bank.consent(deal.dataset, shared.hotel, "C00001")
            assert len(records(await shared.hotel.get(deal.path, await shared.referral_token(deal)))) == 1
            await shared.bank.withdraw(deal.dataset, "C00001")
            return shared.bank.id, consent

    member, consent = asyncio.run(withdrawn())
    shown = gateway("withdrawals", "show", member)
    assert (shown.exit_code, consent in shown.output, "queued" in shown.output) == (0, True, True), shown.output
    assert "C00001" not in shown.output
    ran = gateway("withdrawals", "run")
    assert (ran.exit_code, "0 found overdue" in ran.output) == (0, True), ran.output
    assert "failed" in gateway("withdrawals", "show", member).output  # it has no address
    late = gateway("withdrawals", "show", member, "--overdue")
    assert (late.exit_code, "0 to be complied with" in late.output) == (0, True), late.output


def test_a_member_with_nothing_open_has_an_empty_list(gateway: Gateway) -> None:
    assert gateway("init").exit_code == 0
    alliance = gateway("admin", "alliance", "Test").stdout.strip()
    named = ("--name", "Bank", "--uscc", "91310000MA1K35FX2T", "--industry", "bank")
    member = gateway("admin", "member", alliance, *named).stdout.strip()
    assert "0 to be complied with" in gateway("withdrawals", "show", member).output
