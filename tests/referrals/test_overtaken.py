"""What somebody else has ended meanwhile, a state or a person's key, no act goes on with."""

from __future__ import annotations

from itertools import count

import pytest
from sqlalchemy import bindparam, delete

from gateway.database import Query
from gateway.errors import Conflicting
from gateway.referrals.referral import existing
from gateway.referrals.run import Ran
from gateway.referrals.states import State
from gateway.referrals.writing import move
from gateway.vault.tables import subject_key
from tests.access.world import Shared
from tests.confiding import done
from tests.referrals.world import PREVIEW, Referring, act, entries_of, see, state

pytestmark = pytest.mark.asyncio(loop_scope="module")
_numbers = count(1)
_SHRED = Query(delete(subject_key).where(subject_key.c.id == bindparam("id")))


async def test_what_was_moved_since_it_was_read_is_not_moved_from_there(shared: Shared, bank: Referring) -> None:
    referral = await bank.offer(next(_numbers), contact={"phone": "13100000001"})
    read = await existing(shared.gateway.database, referral, shared.clock())
    done(await act(bank.referrer, referral, "cancel"))
    with pytest.raises(Conflicting, match="referral_moved"):
        async with shared.gateway.ledger.changing(bank.referrer.id, bank.hotel.id) as change:
            await move(change, read, State.ACCEPTED)
    assert await state(bank.hotel, referral) == "cancelled"


async def test_a_preview_whose_key_was_shredded_is_shown_to_nobody_and_takes_no_other_words(
    shared: Shared, bank: Referring
) -> None:
    referral = await bank.offer(next(_numbers))
    done(await act(bank.hotel, referral, "ask", about="need"))
    row = (await existing(shared.gateway.database, referral, shared.clock())).row
    async with shared.gateway.database.transaction() as tx:
        await tx.run(_SHRED, id=row["subject_key_id"])
    for member in (bank.referrer, bank.hotel):
        assert done(await see(member, referral))["preview"] == dict.fromkeys(PREVIEW)
    refused = await act(bank.referrer, referral, "answer", preview=PREVIEW)
    assert (refused.status_code, refused.json()["code"]) == (503, "seal_broken")
    assert await state(bank.hotel, referral) == "needs_info"


async def test_what_another_server_has_registered_or_nobody_consents_to_is_not_registered(
    shared: Shared, bank: Referring
) -> None:
    running = shared.gateway.referrals.running
    offered = await bank.offer(next(_numbers))
    waiting = await bank.refer(next(_numbers), consented=False)
    for referral, stays in ((offered, "offered"), (waiting, "consent_pending")):
        before = await entries_of(shared, bank.referrer.id, referral)
        assert not await running._register(Ran(), referral)
        found = await existing(shared.gateway.database, referral, shared.clock())
        assert (found.stored.value, await entries_of(shared, bank.referrer.id, referral)) == (stays, before)


async def test_what_another_server_has_ended_or_has_not_ended_at_all_is_not_ended(
    shared: Shared, bank: Referring
) -> None:
    running, number = shared.gateway.referrals.running, next(_numbers)
    offered, withdrawn = await bank.offer(next(_numbers)), await bank.offer(number)
    await bank.withdraw(number)
    await running.run()
    for referral, stays in ((offered, "offered"), (withdrawn, "withdrawn")):
        before = await entries_of(shared, bank.referrer.id, referral)
        seen = await existing(shared.gateway.database, referral, shared.clock())
        await running._end_one(seen, Ran())
        found = await existing(shared.gateway.database, referral, shared.clock())
        assert (found.stored.value, await entries_of(shared, bank.referrer.id, referral)) == (stays, before)
