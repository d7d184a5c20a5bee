"""A batch on paper is accepted by a sample: two operators draw it, one looks at each row, two accept.

The draw is done by 32 random bytes that are drawn after the batch was closed by its digest, and entered with it:
whoever has the batch's lines and the seed draws the same rows. There is one draw of a batch, ever. A good row names
the SHA-256 of the evidence that was looked at, and it must be the one that the manifest lists. One bad row beyond the
plan's acceptance number invalidates the whole batch at once.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any, Final

from sqlalchemy import BigInteger, Text, bindparam, select, update

from gateway.approvals import Act, Arguments, Mandate
from gateway.canonical import canonical
from gateway.consents.offline.batch import Batch, BatchState, existing, move
from gateway.consents.offline.batches import invalidate
from gateway.consents.offline.plans import drawn, plan_of
from gateway.consents.offline.tables import offline_batch, offline_row
from gateway.database import Database, Query, Reading, Row
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.ledger import Change, Draft, Kind, Ledger

_LINES = Query(
    select(offline_row.c.line).where(offline_row.c.batch_id == bindparam("batch")).order_by(offline_row.c.line)
)
_DRAWN = Query(
    select(offline_row)
    .where(offline_row.c.batch_id == bindparam("batch"), offline_row.c.drawn == 1)
    .order_by(offline_row.c.line)
)
_DRAW_ROW = Query(
    update(offline_row)
    .values(drawn=1)
    .where(offline_row.c.batch_id == bindparam("batch"), offline_row.c.line == bindparam("the_line"))
)
_DRAW = Query(
    update(offline_batch)
    .values(
        plan=bindparam("by_plan", type_=Text),
        seed=bindparam("by_seed", type_=Text),
        sample=bindparam("size", type_=BigInteger),
    )
    .where(offline_batch.c.id == bindparam("the_id"))
)
_MARK = Query(
    update(offline_row)
    .values(
        verdict=bindparam("found", type_=Text),
        seen_sha256=bindparam("seen", type_=Text),
        marked_by=bindparam("by", type_=Text),
        marked_at=bindparam("at", type_=BigInteger),
    )
    .where(
        offline_row.c.batch_id == bindparam("batch"),
        offline_row.c.line == bindparam("the_line"),
        offline_row.c.drawn == 1,
        offline_row.c.verdict == "",
    )
)
VERDICTS: Final = ("good", "bad")


class Sampling:
    """Draws, marks and accepts. Each step is an entry in the owner's log."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    def acts(self) -> list[Act]:
        """`sample_offline_batch`, `accept_offline_batch` and `invalidate_offline_batch`."""
        return [
            Act("sample_offline_batch", self._check_draw, self._draw, logs=self._owner),
            Act("accept_offline_batch", self._check_accept, self._accept, logs=self._owner),
            Act("invalidate_offline_batch", self._check_invalidate, self._invalidate, narrows=self._owner),
        ]

    async def sample(self, batch_id: str) -> list[dict[str, Any]]:
        """The rows that were drawn, with what was found; for operators."""
        return [_shown(row) for row in await self._database.all(_DRAWN, batch=batch_id)]

    async def mark(self, batch_id: str, line: int, verdict: str, *, evidence_sha256: str, operator: str) -> Batch:
        """Say of one drawn row, once, that its evidence is good or bad; returns how the batch stands then.

        `Invalid` for a good one whose evidence is not the listed one: whoever saw another paper has found it bad.
        """
        if verdict not in VERDICTS:
            raise Invalid("unknown_verdict", f"A row is {' or '.join(VERDICTS)}.", field="verdict")
        found = await existing(self._database, batch_id)
        async with self._ledger.changing(found.owner, narrows={found.owner}) as change:
            standing = await existing(change.tx, batch_id)
            standing.require(BatchState.SAMPLED)
            rows = {row["line"]: row for row in await change.tx.all(_DRAWN, batch=batch_id)}
            if line not in rows:
                raise NotFound
            if verdict == "good" and evidence_sha256 != rows[line]["evidence_sha256"]:
                raise Invalid("evidence_differs", "This is not the evidence that was imported.", field="evidence")
            if not await change.tx.run(
                _MARK,
                batch=batch_id,
                the_line=line,
                found=verdict,
                seen=evidence_sha256,
                by=operator,
                at=change.now_ms,
            ):
                raise Conflicting("already_marked", "This row was looked at already.", field="line")
            actor = {"operator": operator}
            facts = {"line": line, "verdict": verdict, "evidence_sha256": evidence_sha256}
            change.enter(_entry(standing, "offline_row_marked", actor, **facts))
            bad = sum(row["verdict"] == "bad" for row in rows.values()) + (verdict == "bad")
            if bad > json.loads(standing.plan)["acceptance"]:
                await invalidate(change, standing, actor, because="sample")
        return await existing(self._database, batch_id)

    async def _owner(self, _: str, arguments: Arguments) -> list[str]:
        return [(await existing(self._database, str(arguments.get("batch")))).owner]

    async def _check_draw(self, reading: Reading, alliance: str, arguments: Arguments) -> None:
        found = await _named(reading, alliance, arguments, {"batch", "plan"})
        plan_of(arguments["plan"])
        found.require(BatchState.IMPORTED)

    async def _draw(self, change: Change, mandate: Mandate, arguments: Arguments) -> str:
        found = await _named(change.tx, mandate.alliance, arguments, {"batch", "plan"})
        found.require(BatchState.IMPORTED)
        plan = plan_of(arguments["plan"])
        lines = [row["line"] for row in await change.tx.all(_LINES, batch=found.id)]
        seed = secrets.token_hex(32)
        size = plan.sample_of(len(lines))
        chosen = await asyncio.to_thread(drawn, seed, lines, size)
        named = canonical(plan.describe()).decode()
        await change.tx.run(_DRAW, the_id=found.id, by_plan=named, by_seed=seed, size=size)
        await change.tx.many(_DRAW_ROW, [{"batch": found.id, "the_line": line} for line in chosen])
        await move(change.tx, found, BatchState.SAMPLED, change.now_ms)
        facts = {"plan": plan.describe(), "seed": seed, "lines": chosen, "rows_sha256": found.rows_sha256}
        change.enter(_entry(found, "offline_sample_drawn", mandate.actor(), **facts))
        return found.id

    async def _check_accept(self, reading: Reading, alliance: str, arguments: Arguments) -> None:
        found = await _named(reading, alliance, arguments, {"batch"})
        await _require_passed(reading, found)

    async def _accept(self, change: Change, mandate: Mandate, arguments: Arguments) -> str:
        found = await _named(change.tx, mandate.alliance, arguments, {"batch"})
        bad = await _require_passed(change.tx, found)
        await move(change.tx, found, BatchState.ACCEPTED, change.now_ms)
        change.enter(_entry(found, "offline_batch_accepted", mandate.actor(), sample=found.sample, bad=bad))
        return found.id

    async def _check_invalidate(self, reading: Reading, alliance: str, arguments: Arguments) -> None:
        found = await _named(reading, alliance, arguments, {"batch"})
        found.require(BatchState.IMPORTED, BatchState.SAMPLED, BatchState.ACCEPTED)

    async def _invalidate(self, change: Change, mandate: Mandate, arguments: Arguments) -> str:
        found = await _named(change.tx, mandate.alliance, arguments, {"batch"})
        await invalidate(change, found, mandate.actor(), because="operators")
        return found.id


async def _named(reading: Reading, alliance: str, arguments: Arguments, known: set[str]) -> Batch:
    """The batch of an act's arguments, of this alliance; `NotFound` for any other."""
    if arguments.keys() != known or not isinstance(arguments["batch"], str):
        raise Invalid("invalid_arguments", f"The arguments are {', '.join(sorted(known))}.", field="arguments")
    found = await existing(reading, arguments["batch"])
    if found.alliance != alliance:
        raise NotFound
    return found


async def _require_passed(reading: Reading, of: Batch) -> int:
    """How many bad rows a sample has that was looked at in whole and passed; `Conflicting` otherwise."""
    of.require(BatchState.SAMPLED)
    verdicts = [row["verdict"] for row in await reading.all(_DRAWN, batch=of.id)]
    if "" in verdicts:
        raise Conflicting("sample_not_marked", f"{verdicts.count('')} rows of the sample wait to be looked at.")
    bad = verdicts.count("bad")
    if bad > json.loads(of.plan)["acceptance"]:
        raise Conflicting("sample_failed", "The sample has more bad rows than its plan accepts.")
    return bad


def _shown(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("line", "evidence_sha256", "verdict", "seen_sha256", "marked_by")}


def _entry(of: Batch, act: str, actor: Any, **facts: Any) -> Draft:
    about = {"act": act, "actor": dict(actor), "dataset": of.dataset, "batch": of.id}
    return Draft(log=of.owner, kind=Kind.CONSENT, facts=about | facts)
