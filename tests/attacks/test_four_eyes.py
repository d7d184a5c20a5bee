"""Past the code, straight at the table: the database holds the rule of four eyes by itself, on each engine."""

from __future__ import annotations

import sqlite3
from typing import Any

import asyncpg
import pytest
from sqlalchemy import TextClause, text

from gateway.database import Database, Query
from gateway.errors import Conflicting
from tests.approvals.conftest import world
from tests.approvals.world import ALLIANCE, World

__all__ = ["world"]
_REFUSED = (sqlite3.IntegrityError, asyncpg.IntegrityConstraintViolationError)
_APPROVED = "state = 'approved', decided_at = proposed_at + 1, made = ''"


async def _run(database: Database, statement: TextClause, **given: Any) -> int:
    async with database.transaction() as tx:
        return await tx.run(Query(statement), **given)


async def _update(world: World, proposal: str, assignments: str) -> int:
    return await _run(world.database, text(f"UPDATE proposal SET {assignments} WHERE id = '{proposal}'"))


@pytest.mark.parametrize(
    "assignments",
    [
        f"{_APPROVED}, decided_by = 'alice'",
        f"{_APPROVED}, decided_by = NULL",
        f"{_APPROVED}, decided_by = 'client:one'",
        f"{_APPROVED}, decided_by = 'bob', proposed_by = 'mallory'",
        "proposed_by = 'mallory'",
        "state = 'approved', decided_by = 'bob', decided_at = expires_at, made = ''",
        "state = 'approved', decided_by = 'bob', decided_at = proposed_at, made = NULL",
        "state = 'approved', decided_by = 'bob', decided_at = NULL, made = ''",
        "state = 'declined', decided_by = 'alice', decided_at = proposed_at",
        "state = 'withdrawn', decided_by = 'bob', decided_at = proposed_at",
        "state = 'done', decided_by = 'bob', decided_at = proposed_at",
        "decided_by = 'bob'",
        'arguments = \'{"more":"other"}\'',
        "arguments_sha256 = 'f'",
        "act = 'other'",
        "alliance_id = 'other'",
        "expires_at = expires_at + 1",
        "proposed_at = proposed_at - 1",
        "id = 'other'",
    ],
)
async def test_no_update_makes_one_person_two(world: World, assignments: str) -> None:
    proposal = await world.propose()
    with pytest.raises(_REFUSED):
        await _update(world, proposal, assignments)
    assert (await world.approvals.find(proposal)).state == "pending"
    assert await _update(world, proposal, f"{_APPROVED}, decided_by = 'bob'") == 1, (
        "what must be refused, and only that"
    )


@pytest.mark.parametrize("state", ["approved", "declined", "withdrawn"])
async def test_what_was_decided_is_not_decided_again(world: World, state: str) -> None:
    proposal = await world.propose()
    if state == "approved":
        await world.approvals.approve(proposal, operator="bob")
    elif state == "declined":
        await world.approvals.decline(proposal, operator="bob")
    else:
        await world.approvals.withdraw(proposal, operator="alice")
    for assignments in (
        "state = 'pending', decided_by = NULL, decided_at = NULL, made = NULL",
        f"{_APPROVED}, decided_by = 'carol'",
        "made = 'other'",
        "state = state",
    ):
        with pytest.raises(_REFUSED):
            await _update(world, proposal, assignments)
    assert (await world.approvals.find(proposal)).state == state


async def test_no_proposal_is_born_approved_or_deleted(world: World) -> None:
    proposal = await world.propose()
    with pytest.raises(_REFUSED):
        await _run(
            world.database,
            text(
                "INSERT INTO proposal SELECT 'other', alliance_id, act, arguments, arguments_sha256, proposed_by,"
                " proposed_at, expires_at, 'approved', 'bob', proposed_at, '' FROM proposal"
            ),
        )
    with pytest.raises(_REFUSED):
        await _run(world.database, text("DELETE FROM proposal"))
    assert [one.id for one in await world.approvals.pending(ALLIANCE)] == [proposal]


async def test_arguments_altered_with_the_triggers_gone_are_not_performed(world: World) -> None:
    proposal = await world.propose()
    on_table = "" if "SQLite" in world.database.version else " ON proposal"
    await _run(world.database, text(f"DROP TRIGGER proposal_is_kept{on_table}"))
    assert await _update(world, proposal, 'arguments = \'{"more":"other"}\'') == 1
    with pytest.raises(Conflicting, match="proposal_altered"):
        await world.approvals.approve(proposal, operator="bob")
    assert (await world.name(), world.renaming.performed) == ("A", 0)


async def test_an_alliance_keeps_its_environment(world: World) -> None:
    with pytest.raises(_REFUSED):
        await _run(world.database, text("UPDATE alliance SET environment = 'test'"))
    assert await _run(world.database, text("UPDATE alliance SET name = 'B', environment = 'production'")) == 1
