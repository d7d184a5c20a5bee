"""Approvals over a real ledger, with an act that can be told to fail: it renames the alliance."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from gateway.approvals import Act, Approvals, Arguments, Mandate
from gateway.clock import system_clock
from gateway.database import Database, Query, Reading
from gateway.errors import Invalid
from gateway.ledger import Change, Draft, Kind, Ledger
from gateway.ledger.tables import head, leaf
from gateway.members.tables import alliance

ALLIANCE = "alliance"
_ADD = Query(insert(alliance))
_NAME = Query(select(alliance.c.name).where(alliance.c.id == ALLIANCE))
_RENAME = Query(update(alliance).where(alliance.c.id == ALLIANCE).values(name=alliance.c.name + bindparam("more")))
_LEAVES = Query(select(leaf.c.body).order_by(leaf.c.log_id, leaf.c.idx))
_NARROWING = Query(select(head.c.narrowing).where(head.c.log_id == ALLIANCE))


class Clock:
    """The real time, moved by `ahead_ms`."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def __call__(self) -> int:
        return system_clock() + self.ahead_ms


async def _nothing() -> None:
    pass


@dataclass
class Renaming:
    """The act `rename`: appends `more` to the alliance's name, then does `before_commit`, all in one transaction."""

    before_commit: Callable[[], Awaitable[None]] = _nothing
    performed: int = 0

    async def check(self, reading: Reading, of: str, arguments: Arguments) -> None:
        if arguments.get("more") == "forbidden":
            raise Invalid("invalid_name", "Not that.", field="more")

    async def perform(self, change: Change, mandate: Mandate, arguments: Arguments) -> str:
        self.performed += 1
        await change.tx.run(_RENAME, more=arguments["more"])
        facts = {"act": "renamed", "actor": mandate.actor()}
        change.enter(Draft(log=mandate.alliance, kind=Kind.ADMIN, facts=facts))
        await self.before_commit()
        return f"renamed by {arguments['more']}"

    async def narrows(self, of: str, arguments: Arguments) -> tuple[str, ...]:
        return (of,)

    def act(self) -> Act:
        return Act("rename", self.check, self.perform, self.narrows)


@dataclass
class World:
    database: Database
    node: str = "one"
    clock: Clock = field(default_factory=Clock)
    renaming: Renaming = field(default_factory=Renaming)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.database, self.clock, origin="alliance.example", node=self.node)
        self.approvals = Approvals(self.database, self.ledger, self.clock, [self.renaming.act()])

    async def found(self, of: str = ALLIANCE) -> World:
        async with self.ledger.changing() as change:
            row = {"id": of, "name": "A", "created_at": 0, "environment": "production"}
            await change.tx.run(_ADD, **row)
            await change.open_log(of)
        return self

    async def propose(self, more: str = "+", operator: str = "alice") -> str:
        return await self.approvals.propose(ALLIANCE, "rename", {"more": more}, operator=operator)

    async def name(self) -> str:
        row = await self.database.one(_NAME)
        assert row is not None
        return str(row["name"])

    async def narrowing(self) -> int:
        row = await self.database.one(_NARROWING)
        assert row is not None
        return int(row["narrowing"])

    async def entries(self) -> list[Mapping[str, Any]]:
        return [json.loads(row["body"]) for row in await self.database.all(_LEAVES)]

    async def acts(self) -> list[str]:
        return [entry["act"] for entry in await self.entries()]
