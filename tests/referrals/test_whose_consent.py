"""A referral stands and ends by the consent of its own person, dataset, recipient and purpose, and by no other."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from gateway.consents.states import Event
from gateway.referrals.referral import existing
from gateway.referrals.states import State
from tests.access.world import Shared
from tests.alliance import Member, instant
from tests.confiding import done
from tests.referrals.world import Referring, referring, state

pytestmark = pytest.mark.asyncio(loop_scope="module")
_numbers = count(1)
_SOMEBODY_ELSE = 30


class Item(NamedTuple):
    """What a consent is about."""

    dataset: str
    recipient: Member
    subject: str
    purpose: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def elsewhere(shared: Shared) -> Referring:
    """The same persons in another dataset of the bank."""
    return await referring(shared, shared.bank, range(1, 60))


def beside(bank: Referring, elsewhere: Referring, number: int, differs: str) -> Item:
    """An item that differs in one thing from that of the person's referral."""
    own = Item(bank.deal.dataset, bank.hotel, f"C{number:05}", "customer_referral")
    others = Item(elsewhere.deal.dataset, bank.shared.stranger, f"C{number + _SOMEBODY_ELSE:05}", "market_analysis")
    return own._replace(**{differs: getattr(others, differs)})


async def give(bank: Referring, item: Item) -> None:
    """Somebody consents to this."""
    await bank.referrer.consent(item.dataset, item.recipient, item.subject, purpose=item.purpose)


async def withdraw(bank: Referring, item: Item) -> None:
    """Somebody withdraws this alone."""
    said = {"subject": item.subject, "recipient": item.recipient.id, "purpose": item.purpose}
    done(await bank.referrer.post(f"/v1/datasets/{item.dataset}/withdrawals", await bank.referrer.token(), said))


def for_ten_minutes(shared: Shared) -> dict[str, Any]:
    """How long a consent stands."""
    return {"expires_at": instant(datetime.fromtimestamp(shared.clock.ms // 1000 + 600, UTC))}


differing = pytest.mark.parametrize("differs", Item._fields)


@differing
async def test_a_consent_to_something_else_registers_nobody(
    bank: Referring, elsewhere: Referring, differs: str
) -> None:
    number = next(_numbers)
    await give(bank, beside(bank, elsewhere, number, differs))
    referral = await bank.offer(number, consented=False)
    assert await state(bank.referrer, referral) == "consent_pending"


@differing
async def test_a_withdrawal_of_something_else_ends_nothing(bank: Referring, elsewhere: Referring, differs: str) -> None:
    number = next(_numbers)
    referral, other = await bank.offer(number), beside(bank, elsewhere, number, differs)
    await give(bank, other)
    await withdraw(bank, other)
    assert await state(bank.hotel, referral) == "offered"


@differing
async def test_a_consent_to_something_else_prolongs_none_that_ran_out(
    shared: Shared, bank: Referring, elsewhere: Referring, differs: str
) -> None:
    number = next(_numbers)
    await bank.consent(number, **for_ten_minutes(shared))
    referral = await bank.offer(number, consented=False)
    shared.clock.pass_seconds(1)
    await give(bank, beside(bank, elsewhere, number, differs))
    assert await state(bank.hotel, referral) == "offered"
    shared.clock.pass_seconds(600)
    assert await state(bank.hotel, referral) == "expired"


async def test_a_consent_given_anew_ends_nothing(shared: Shared, bank: Referring) -> None:
    number = next(_numbers)
    referral = await bank.offer(number)
    shared.clock.pass_seconds(120)
    await bank.consent(number)
    assert await state(bank.hotel, referral) == "offered"


async def test_a_withdrawal_before_the_registration_ends_nothing(shared: Shared, bank: Referring) -> None:
    number = next(_numbers)
    await bank.consent(number)
    await bank.withdraw(number)
    shared.clock.pass_seconds(120)
    assert await state(bank.hotel, await bank.offer(number)) == "offered"


async def test_a_consent_says_nothing_about_an_instant_before_it_was_given(shared: Shared, bank: Referring) -> None:
    number = next(_numbers)
    await bank.consent(number, **for_ten_minutes(shared))
    referral = await bank.offer(number, consented=False)
    shared.clock.pass_seconds(600)
    before = shared.clock.ms
    shared.clock.pass_seconds(120)
    await bank.consent(number)
    assert (await existing(shared.gateway.database, referral, before)).state is State.EXPIRED


async def test_a_consent_that_somebody_invalidates_ends_it_as_a_withdrawal_does(
    shared: Shared, bank: Referring
) -> None:
    number = next(_numbers)
    [consent] = await bank.referrer.consent(bank.deal.dataset, bank.hotel, f"C{number:05}")
    referral = await bank.offer(number, consented=False)
    async with shared.gateway.ledger.changing(narrows={bank.referrer.id}) as change:
        by = {"client": bank.referrer.client}
        await shared.gateway.consents.records.act(change, consent, Event.INVALIDATE, actor=by)
    assert await state(bank.hotel, referral) == "withdrawn"
