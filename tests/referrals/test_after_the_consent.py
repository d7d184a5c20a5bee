"""A person's decision ends a referral whatever had become of the consent by then: used up, or run out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any, NamedTuple

import pytest

from tests.alliance import instant
from tests.confiding import done
from tests.referrals.world import Referring, act, granted, see, state

pytestmark = pytest.mark.asyncio(loop_scope="module")
_numbers = count(1)
SALE = {"minor": 120000, "currency": "CNY"}


class Worked(NamedTuple):
    """A referral that the hotel works on, its person, and the consent that it was disclosed by."""

    referral: str
    number: int
    consent: str


async def _worked_on(bank: Referring, **over: Any) -> Worked:
    number = next(_numbers)
    [consent] = await bank.referrer.consent(bank.deal.dataset, bank.hotel, f"C{number:05}", **over)
    referral = await bank.disclosed(number, consented=False)
    done(await act(bank.hotel, referral, "contact"))
    return Worked(referral, number, consent)


async def used_up(bank: Referring) -> Worked:
    """By a consent for one reading."""
    return await _worked_on(bank, max_uses=1)


async def run_out(bank: Referring) -> Worked:
    """By a consent that has run out since, which is written down."""
    end = instant(datetime.fromtimestamp(bank.referrer.now + 600, UTC))
    worked = await _worked_on(bank, expires_at=end)
    bank.shared.clock.pass_seconds(600)
    await bank.shared.gateway.consents.overtaken.settle()
    return worked


async def withdrawn_alone(bank: Referring, of: Worked) -> None:
    """The consent itself is withdrawn."""
    done(await bank.referrer.post(f"/v1/consents/{of.consent}/withdrawal", await bank.referrer.token(), {}))


async def withdrawn_for_all(bank: Referring, of: Worked) -> None:
    """Whatever the person consented to is withdrawn."""
    await bank.withdraw(of.number)


async def withdrawn_for_recipient_and_purpose(bank: Referring, of: Worked) -> None:
    """What the hotel may know for this purpose is withdrawn."""
    said = {"subject": f"C{of.number:05}", "recipient": bank.hotel.id, "purpose": "customer_referral"}
    path = f"/v1/datasets/{bank.deal.dataset}/withdrawals"
    done(await bank.referrer.post(path, await bank.referrer.token(), said))


async def deleted(bank: Referring, of: Worked) -> None:
    """The person has everything deleted."""
    await granted(bank, of.number, "deletion")


async def objected(bank: Referring, of: Worked) -> None:
    """The person objects to any processing, and is upheld."""
    await granted(bank, of.number, "objection", profile="eu", upheld=True)


@pytest.mark.parametrize("ended", [used_up, run_out])
@pytest.mark.parametrize(
    "decided", [withdrawn_alone, withdrawn_for_all, withdrawn_for_recipient_and_purpose, deleted, objected]
)
async def test_nothing_is_worked_on_after_the_person_decided_against_it(
    bank: Referring,
    ended: Callable[[Referring], Awaitable[Worked]],
    decided: Callable[[Referring, Worked], Awaitable[None]],
) -> None:
    worked = await ended(bank)
    assert await state(bank.hotel, worked.referral) == "contacted"
    await decided(bank, worked)
    assert await state(bank.hotel, worked.referral) == await state(bank.referrer, worked.referral) == "withdrawn"
    assert (await act(bank.hotel, worked.referral, "qualify")).json()["code"] == "wrong_state"
    await bank.shared.gateway.referrals.running.run()
    assert await state(bank.hotel, worked.referral) == "withdrawn"


@pytest.mark.parametrize("ended", [used_up, run_out])
@pytest.mark.parametrize(("profile", "upheld"), [("eu", False), ("cn", True)])
async def test_an_objection_that_is_not_upheld_or_is_to_decisions_by_machines_ends_no_referral(
    bank: Referring, ended: Callable[[Referring], Awaitable[Worked]], profile: str, upheld: bool
) -> None:
    worked = await ended(bank)
    await granted(bank, worked.number, "objection", profile=profile, upheld=upheld)
    assert await state(bank.hotel, worked.referral) == "contacted"


async def test_what_was_won_stays_won_with_its_value_and_discloses_nothing_more(bank: Referring) -> None:
    worked = await used_up(bank)
    done(await act(bank.hotel, worked.referral, "qualify"))
    done(await act(bank.hotel, worked.referral, "win", value=SALE))
    await bank.withdraw(worked.number)
    await bank.shared.gateway.referrals.running.run()
    seen = done(await see(bank.referrer, worked.referral))
    assert (seen["state"], seen["finance"], seen["value"]) == ("won", "accrued", SALE)
    assert (await bank.ask_disclosure(worked.referral)).status_code == 403
    assert done(await act(bank.hotel, worked.referral, "account", step="release"))["finance"] == "payable"


@pytest.mark.parametrize("ended", [used_up, run_out])
async def test_a_withdrawal_as_another_subject_of_the_same_person_ends_it(
    bank: Referring, ended: Callable[[Referring], Awaitable[Worked]]
) -> None:
    worked, other = await ended(bank), next(_numbers)
    said = {"subject": f"C{worked.number:05}", "duplicate": f"C{other:05}"}
    path = f"/v1/datasets/{bank.deal.dataset}/merges"
    done(await bank.referrer.post(path, await bank.referrer.token(), said))
    assert await state(bank.hotel, worked.referral) == "contacted"
    await bank.withdraw(other)
    assert await state(bank.hotel, worked.referral) == "withdrawn"
