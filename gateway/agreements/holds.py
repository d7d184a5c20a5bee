"""Holds: a dispute or an incident freezes its own subject, and nothing else (clauses 7.2.1, 7.2.3, 9.1.2).

One operator, or the case of a party, places a hold, at once. A time-boxed one ends by itself. Lifting one gives
access back, and extending one takes it for longer than anybody decided: each takes two operators. No hold stands
without a case or a resolution (clause 3.2.3).

What is held between two members stays held between them, by whatever agreement they share it next: an amendment
takes the holds of what it replaces with it, and a new agreement those on the datasets that it shares anew.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Text, and_, bindparam, insert, or_, select, update

from gateway.agreements.datasets import Datasets
from gateway.agreements.fields import IDENTIFIER
from gateway.agreements.held import OPEN_END_MS, HoldSubject, on, owner_of, pair, term_of
from gateway.agreements.proof import TamperedAgreement, current_agreement
from gateway.agreements.tables import agreement, hold
from gateway.agreements.terms import Terms
from gateway.approvals import Act, Arguments, Mandate
from gateway.clock import MILLISECONDS
from gateway.database import Database, Query, Reading, Row
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identifiers import random_id
from gateway.ledger import Change, Draft, Kind, Ledger
from gateway.members.arguments import only, said

_ADD = Query(insert(hold))
_HOLD = Query(select(hold).where(hold.c.id == bindparam("id")))
_ACTIVE = Query(
    select(hold).where(
        hold.c.subject_kind == bindparam("kind"), hold.c.subject_id == bindparam("subject"), hold.c.state == "active"
    )
)
_TERMS_OF = Query(
    select(hold).where(
        hold.c.subject_kind == HoldSubject.TERM.value,
        hold.c.subject_id.like(bindparam("agreement", type_=Text) + ":%"),
        hold.c.state == "active",
    )
)
_BETWEEN = Query(
    select(hold, agreement.c.id.label("under"))
    .join(
        agreement,
        or_(
            on(HoldSubject.AGREEMENT, agreement.c.id),
            and_(hold.c.subject_kind == HoldSubject.TERM.value, hold.c.subject_id.like(agreement.c.id + ":%")),
        ),
    )
    .where(
        agreement.c.owner_id == bindparam("owner"),
        agreement.c.recipient_id == bindparam("recipient"),
        agreement.c.id != bindparam("beside"),
        hold.c.state == "active",
    )
    .order_by(hold.c.placed_at, hold.c.id)
)
_OF_CASE = Query(
    select(hold)
    .where(hold.c.alliance_id == bindparam("alliance"), hold.c.case_id == bindparam("case"))
    .order_by(hold.c.placed_at, hold.c.id)
)
_LIFT = Query(
    update(hold)
    .where(hold.c.id == bindparam("the_id"), hold.c.state == "active")
    .values(state="lifted", lifted_at=bindparam("at"))
)
_EXTEND = Query(
    update(hold).where(hold.c.id == bindparam("the_id"), hold.c.state == "active").values(until=bindparam("the_end"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """A hold to be. `owner` is whose data it concerns; `until` (ms) is when it ends by itself."""

    alliance: str
    owner: str
    kind: HoldSubject
    subject: str
    case: str
    until: int = OPEN_END_MS


async def freeze(change: Change, wanted: Freeze, actor: Mapping[str, str]) -> str:
    """Place a hold; returns its id. `Conflicting` if the case holds it already.

    The change narrows the hold's owner, or is the one that grants what it freezes: nothing was permitted by that yet.
    """
    if wanted.case in {row["case_id"] for row in await _running(change, wanted.kind, wanted.subject)}:
        raise Conflicting("hold_stands", "This case holds it already.", field="case")
    row = {
        "id": random_id(),
        "alliance_id": wanted.alliance,
        "owner_id": wanted.owner,
        "subject_kind": wanted.kind.value,
        "subject_id": wanted.subject,
        "case_id": wanted.case,
        "state": "active",
        "placed_at": change.now_ms,
        "until": wanted.until,
        "lifted_at": None,
    }
    await change.tx.run(_ADD, **row)
    until = {} if wanted.until == OPEN_END_MS else {"until": wanted.until}
    change.enter(_entry("hold_placed", row, actor, **until))
    return str(row["id"])


async def carry_over(change: Change, replaced: str, amendment: str, actor: Mapping[str, str]) -> None:
    """Hold an amendment and its terms for the same cases, and as long, as the agreement that it replaces.

    A term that it leaves out too, for the next one may take it in again: else the two parties could give back by
    amendments what takes two operators.
    """
    of_terms = [row for row in await change.tx.all(_TERMS_OF, agreement=replaced) if _runs(row, change.now_ms)]
    for row in [*await _running(change, HoldSubject.AGREEMENT, replaced), *of_terms]:
        kind, subject = HoldSubject(row["subject_kind"]), amendment + row["subject_id"].removeprefix(replaced)
        if row["case_id"] not in {one["case_id"] for one in await _running(change, kind, subject)}:
            of = {"alliance": row["alliance_id"], "owner": row["owner_id"], "until": row["until"]}
            await freeze(change, Freeze(**of, kind=kind, subject=subject, case=row["case_id"]), actor)


async def hold_anew(change: Change, terms: Terms, replaced: Terms | None, actor: Mapping[str, str]) -> None:
    """Hold what an agreement that begins now shares of what is held between its parties under another one.

    For the same cases, and as long: else the two could give back by a new agreement what takes two operators. What is
    not disputed goes on (clause 7.2.3): its other datasets, and what the agreement that it replaces shares already.
    """
    parties = {"owner": terms.owner, "recipient": terms.recipient}
    for row in await change.tx.all(_BETWEEN, **parties, beside=terms.agreement):
        if not _runs(row, change.now_ms):
            continue
        frozen = await _datasets_frozen_by(change, row, terms)
        for term in terms.datasets:
            before = replaced.term_for(term.dataset) if replaced else None
            if term.dataset not in frozen or (before is not None and before.grants(term)):
                continue
            subject = term_of(terms.agreement, term.dataset)
            standing = [
                *await _running(change, HoldSubject.AGREEMENT, terms.agreement),
                *await _running(change, HoldSubject.TERM, subject),
            ]
            if row["case_id"] not in {one["case_id"] for one in standing}:
                of = {"alliance": row["alliance_id"], "owner": row["owner_id"], "until": row["until"]}
                wanted = Freeze(**of, kind=HoldSubject.TERM, subject=subject, case=row["case_id"])
                await freeze(change, wanted, actor)


async def _datasets_frozen_by(change: Change, row: Row, terms: Terms) -> Collection[str]:
    """The datasets that a hold on a term or an agreement freezes; all, where that agreement cannot be read any more."""
    if row["subject_kind"] == HoldSubject.TERM.value:
        return (pair(row["subject_id"])[1],)
    try:
        found = await current_agreement(change.tx, row["under"])
    except TamperedAgreement:
        found = None
    held = found.terms if found else None
    return {term.dataset for term in (held or terms).datasets}


async def thaw(change: Change, alliance: str, case: str, actor: Mapping[str, Any]) -> int:
    """Lift every hold of a case, in a change that locks their owners' logs; returns how many ended by that."""
    lifted = 0
    for row in await change.tx.all(_OF_CASE, alliance=alliance, case=case):
        if row["state"] == "active":
            await change.tx.run(_LIFT, the_id=row["id"], at=change.now_ms)
            change.enter(_entry("hold_lifted", row, actor))
            lifted += 1
    return lifted


async def holds_of(reading: Reading, alliance: str, case: str) -> Sequence[Row]:
    """Every hold that was ever placed for a case, oldest first."""
    return await reading.all(_OF_CASE, alliance=alliance, case=case)


class Holds:
    """Places holds, and lifts them. Each act is one entry in the log of the owner whose data it concerns."""

    def __init__(self, database: Database, ledger: Ledger, datasets: Datasets) -> None:
        self._database = database
        self._ledger = ledger
        self._datasets = datasets

    async def place(
        self,
        alliance_id: str,
        kind: HoldSubject,
        subject_id: str,
        *,
        case: str,
        operator: str,
        until_ms: int = OPEN_END_MS,
        owner: str = "",
    ) -> str:
        """Freeze a subject from this entry on; returns the hold's id.

        `case` is a case or a resolution; a hold without one is refused. `until_ms`: it ends by itself then. `owner`
        says whose a referral, a ledger line or a memo is. `NotFound` outside the alliance; `Conflicting` if the same
        case holds it already.
        """
        checked_case(case)
        whose = await owner_of(
            self._database, self._datasets, alliance=alliance_id, kind=kind, subject=subject_id, named=owner
        )
        async with self._ledger.changing(narrows=[whose]) as change:
            _require_later(until_ms, change.now_ms)
            wanted = Freeze(alliance=alliance_id, owner=whose, kind=kind, subject=subject_id, case=case, until=until_ms)
            return await freeze(change, wanted, {"operator": operator})

    def acts(self) -> list[Act]:
        """`lift_hold` and `extend_hold`, which need two operators."""
        return [
            Act("lift_hold", self._check_lifting, self._lift, logs=self._owner),
            Act("extend_hold", self._check_extending, self._extend, narrows=self._owner),
        ]

    async def lifting(self, hold_id: str) -> tuple[str, dict[str, Any]]:
        """The alliance of a hold, and the arguments of `lift_hold`: what it froze, and for which case."""
        row = await _existing(self._database, hold_id)
        return row["alliance_id"], _facts(row)

    async def extending(self, hold_id: str, *, until_s: int, resolution: str) -> tuple[str, dict[str, Any]]:
        """The alliance of a hold, and the arguments of `extend_hold`: until when, and by which resolution."""
        row = await _existing(self._database, hold_id)
        return row["alliance_id"], {**_facts(row), "until": until_s, "resolution": resolution}

    async def _check_lifting(self, reading: Reading, of: str, arguments: Arguments) -> None:
        row = await _existing(reading, said(arguments, "hold"))
        if row["alliance_id"] != of:
            raise NotFound
        if dict(arguments) != _facts(row):
            raise Invalid("another_hold", "The hold is of another case or subject.", field="hold")
        if row["state"] != "active":
            raise _is_lifted()

    async def _lift(self, change: Change, mandate: Mandate, arguments: Arguments) -> str:
        """End a hold."""
        await self._check_lifting(change.tx, mandate.alliance, arguments)
        row = await _existing(change.tx, arguments["hold"])
        if not await change.tx.run(_LIFT, the_id=row["id"], at=change.now_ms):
            raise _is_lifted()
        change.enter(_entry("hold_lifted", row, mandate.actor()))
        return ""

    async def _check_extending(self, reading: Reading, of: str, arguments: Arguments) -> None:
        row = await _existing(reading, said(arguments, "hold"))
        if row["alliance_id"] != of:
            raise NotFound
        only(arguments, *_facts(row), "until", "resolution")
        checked_case(said(arguments, "resolution"), "resolution")
        if {name: arguments.get(name) for name in _facts(row)} != _facts(row):
            raise Invalid("another_hold", "The hold is of another case or subject.", field="hold")
        if row["state"] != "active":
            raise _is_lifted()
        if row["until"] == OPEN_END_MS:
            raise Conflicting("hold_has_no_end", "This hold lasts until it is lifted.", field="hold")
        _require_later(_end_of(arguments), row["until"])

    async def _extend(self, change: Change, mandate: Mandate, arguments: Arguments) -> str:
        """Let a time-boxed hold run longer, by a resolution that comes before it has ended."""
        await self._check_extending(change.tx, mandate.alliance, arguments)
        row = await _existing(change.tx, arguments["hold"])
        if not _runs(row, change.now_ms):
            raise Conflicting(
                "hold_ended",
                "The hold has ended by itself.",
                field="hold",
                remedy="Place a new one by the resolution.",
            )
        await change.tx.run(_EXTEND, the_id=row["id"], the_end=_end_of(arguments))
        facts = {"until": _end_of(arguments), "resolution": arguments["resolution"]}
        change.enter(_entry("hold_extended", row, mandate.actor(), **facts))
        return ""

    async def _owner(self, _: str, arguments: Arguments) -> Collection[str]:
        return [(await _existing(self._database, arguments["hold"]))["owner_id"]]


def checked_case(case: str, field: str = "case") -> str:
    """The id of a case or resolution, or `Invalid`: nothing is held without one (clause 3.2.3)."""
    if not case:
        raise Invalid(
            "hold_without_case", "A hold needs a case or a resolution.", field=field, remedy="Name it (clause 3.2.3)."
        )
    if not re.fullmatch(IDENTIFIER, case):
        raise Invalid("case_malformed", "A case id has a form that is not allowed.", field=field)
    return case


def describe_hold(row: Row, now_ms: int) -> dict[str, Any]:
    """A hold as the parties to its case see it; `state` is `ended` where its time is over. Times in ms."""
    lapsed = row["state"] == "active" and not _runs(row, now_ms)
    return {
        "id": row["id"],
        "kind": row["subject_kind"],
        "subject": row["subject_id"],
        "state": "ended" if lapsed else row["state"],
        "from": row["placed_at"],
        "until": row["until"],
        "lifted_at": row["lifted_at"],
    }


def _runs(row: Row, now_ms: int) -> bool:
    return bool(row["state"] == "active" and now_ms < row["until"])


def _end_of(arguments: Arguments) -> int:
    until = arguments.get("until")
    if type(until) is not int:
        raise Invalid("invalid_argument", "This argument must be an integer.", field="until")
    return until * MILLISECONDS


def _require_later(until_ms: int, than_ms: int) -> None:
    if not than_ms < until_ms <= OPEN_END_MS:
        raise Invalid("until_not_later", "The end must be later than that.", field="until")


def _is_lifted() -> Conflicting:
    return Conflicting("hold_lifted", "The hold is lifted already.", field="hold")


async def _running(change: Change, kind: HoldSubject, subject: str) -> Sequence[Row]:
    rows = await change.tx.all(_ACTIVE, kind=kind.value, subject=subject)
    return [row for row in rows if _runs(row, change.now_ms)]


async def _existing(reading: Reading, hold_id: str) -> Row:
    row = await reading.one(_HOLD, id=hold_id)
    if row is None:
        raise NotFound
    return row


def _facts(row: Mapping[str, Any] | Row) -> dict[str, Any]:
    return {"hold": row["id"], "case": row["case_id"], row["subject_kind"]: row["subject_id"]}


def _entry(act: str, row: Mapping[str, Any] | Row, actor: Mapping[str, Any], **more: Any) -> Draft:
    facts = {"act": act, "actor": dict(actor), **_facts(row), **more}
    return Draft(log=row["owner_id"], kind=Kind.HOLD, facts=facts)
