"""What is asked before every act outside the seam: one query for client, keys, member and token."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.database import Query, Row
from gateway.errors import Refused
from gateway.identity import Challenge, Subject, revoke_client
from gateway.identity.revoked import Standing, standing
from tests.identity.world import MEMBER_DETAILS, World

WITHDRAWING = [{"type": "alliance_member", "actions": ["draft", "withdraw", "audit"]}]


class Counted:
    """A database's reads, counted."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.reads = 0

    async def one(self, query: Query, /, **given: Any) -> Row | None:
        self.reads += 1
        row: Row | None = await self._inner.one(query, **given)
        return row


async def _subject(world: World) -> Subject:
    return await world.call(await world.token(details=WITHDRAWING))


async def test_one_query_tells_everything(each_world: World) -> None:
    world = each_world
    subject = await _subject(world)
    counted = Counted(world.database)
    assert await standing(counted, subject) is Standing.HOLDS  # type: ignore[arg-type]
    await world.suspend()
    assert await standing(counted, subject) is Standing.SUSPENDED  # type: ignore[arg-type]
    async with world.database.transaction() as tx:
        await revoke_client(tx, client_id=world.client)
    assert await standing(counted, subject) is Standing.CHANGED  # type: ignore[arg-type]
    assert counted.reads == 3


async def test_a_suspended_member_keeps_withdrawals_and_nothing_else(each_world: World) -> None:
    world = each_world
    subject = await _subject(world)
    await world.suspend()
    await world.identity.require_active(subject, withdrawing=True)
    with pytest.raises(Refused) as refused:
        await world.identity.require_active(subject)
    assert [(reason.code, reason.clause) for reason in refused.value.reasons] == [("MEMBER_SUSPENDED", "9.2.3")]


async def test_whoever_withdraws_needs_a_token_that_stands(each_world: World) -> None:
    world = each_world
    subject, other = await _subject(world), await world.token()
    await world.revoke(other)
    with pytest.raises(Challenge):
        await world.identity.require_active(await world.call(other), withdrawing=True)
    async with world.database.transaction() as tx:
        await revoke_client(tx, client_id=world.client)
    with pytest.raises(Challenge):
        await world.identity.require_active(subject, withdrawing=True)


async def test_a_suspended_members_client_gets_tokens_for_withdrawals_alone(each_world: World) -> None:
    world = each_world
    await world.suspend()
    answer = await world.ask(details=WITHDRAWING)
    assert answer.body["authorization_details"] == [{"type": "alliance_member", "actions": ["withdraw"]}]
    subject = await world.call(answer.body["access_token"])
    assert subject.actions == {"withdraw"}
    refused = await world.refusal(details=MEMBER_DETAILS)
    assert (refused.error, refused.code) == ("unauthorized_client", "MEMBER_SUSPENDED")


async def test_a_suspended_member_gets_no_agreement_into_its_tokens(world: World) -> None:
    await world.suspend()
    reading = {
        "type": "alliance_agreement",
        "agreement": "a",
        "datasets": ["d"],
        "purposes": ["p"],
        "actions": ["read"],
    }
    answer = await world.ask(details=[reading, *WITHDRAWING])
    assert answer.body["authorization_details"] == [{"type": "alliance_member", "actions": ["withdraw"]}]
    assert (await world.refusal(details=[reading])).code == "MEMBER_SUSPENDED"
