"""Which policy an alliance has in force."""

from __future__ import annotations

import pytest
from sqlalchemy import bindparam, insert, select

from gateway.database import Database, Query
from gateway.members.tables import alliance
from gateway.policy.tables import activate, active_policy

_DIGEST = Query(select(active_policy.c.digest).where(active_policy.c.alliance_id == bindparam("alliance")))


async def _in_force(database: Database, alliance_id: str) -> str | None:
    row = await database.one(_DIGEST, alliance=alliance_id)
    return None if row is None else str(row["digest"])


@pytest.fixture
async def policies(database: Database) -> Database:
    """A database with two alliances."""
    async with database.transaction() as tx:
        await tx.many(
            Query(insert(alliance)),
            [{"id": name, "name": name, "created_at": 0, "environment": "test"} for name in ("one", "two")],
        )
    return database


async def test_there_is_none_before_the_first_activation(policies: Database) -> None:
    assert await _in_force(policies, "one") is None


async def test_the_last_activated_policy_is_in_force_for_its_alliance_alone(policies: Database) -> None:
    for digest, at in (("a" * 64, 1), ("b" * 64, 2)):
        async with policies.transaction() as tx:
            await activate(tx, "one", digest, at)
    assert await _in_force(policies, "one") == "b" * 64
    assert await _in_force(policies, "two") is None


async def test_a_change_that_is_not_committed_activates_nothing(policies: Database) -> None:
    async def change() -> None:
        async with policies.transaction() as tx:
            await activate(tx, "one", "a" * 64, 1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await change()
    assert await _in_force(policies, "one") is None
