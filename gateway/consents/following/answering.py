"""The recipient's side: what it must do, and its answers. Each answer is an entry of the owner's log.

A recipient may answer late, and before the message reached it. The same answer again changes nothing; one that names
more onward recipients once it was complied with is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Text, bindparam, select, update

from gateway.consents.following.compliance import Compliance, onward_of
from gateway.consents.following.queueing import Holder, Outbox
from gateway.consents.following.states import UNMET, State, Step, follow
from gateway.consents.following.tables import follow_up, stands_at
from gateway.consents.following.termination import Termination
from gateway.consents.following.views import BY_ID, Views, follow_ups
from gateway.database import Database, Query, Row
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identity import Subject
from gateway.ledger import Change, Draft, Kind, Ledger
from gateway.members.tables import member

_OWED = Query(
    follow_ups()
    .where(follow_up.c.recipient_id == bindparam("member"), follow_up.c.id > bindparam("after"))
    .order_by(follow_up.c.id)
    .limit(bindparam("most", type_=BigInteger))
)
_STILL_OWED = Query(
    follow_ups()
    .where(
        follow_up.c.recipient_id == bindparam("member"),
        follow_up.c.id > bindparam("after"),
        stands_at(UNMET),
    )
    .order_by(follow_up.c.id)
    .limit(bindparam("most", type_=BigInteger))
)
_ACKNOWLEDGE = Query(
    update(follow_up)
    .values(state=bindparam("reached", type_=Text), acknowledged_at=bindparam("at", type_=BigInteger))
    .where(follow_up.c.id == bindparam("the_id"))
)
_COMPLY = Query(
    update(follow_up)
    .values(
        state=bindparam("reached", type_=Text),
        acknowledged_at=bindparam("heard_at", type_=BigInteger),
        complied_at=bindparam("at", type_=BigInteger),
        **{name: bindparam(f"its_{name}", type_=Text) for name in ("how", "legal", "proof_sha256", "proof_text")},
    )
    .where(follow_up.c.id == bindparam("the_id"))
)
_MEMBER = Query(
    select(member.c.id).where(member.c.id == bindparam("id"), member.c.alliance_id == bindparam("alliance"))
)
_OUTSTANDING = Query(
    select(follow_up.c.id).where(follow_up.c.consent_id == bindparam("consent"), stands_at(UNMET)).limit(1)
)


class Answering:
    """Acknowledging and complying. Needs `withdraw`, which a suspended member keeps: it owes this all the same."""

    def __init__(
        self, database: Database, ledger: Ledger, outbox: Outbox, views: Views, termination: Termination
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._outbox = outbox
        self._views = views
        self._termination = termination

    async def page(self, subject: Subject, *, after: str, limit: int, answered: bool) -> list[dict[str, Any]]:
        """What the member must do, by id; with `answered`, what it has complied with too."""
        query = _OWED if answered else _STILL_OWED
        rows = await self._database.all(query, member=subject.member, after=after, most=limit)
        return [await self._views.described(row) for row in rows]

    async def show(self, subject: Subject, follow_up_id: str) -> dict[str, Any]:
        """One of them; `NotFound` for everybody else's."""
        return await self._views.described(await self._owed(subject, follow_up_id))

    async def acknowledge(self, subject: Subject, follow_up_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The member knows, and names those to whom it passed the data on: each of them is followed too."""
        subject.require("withdraw")
        row = await self._owed(subject, follow_up_id)
        onward = onward_of(body, subject.member)
        await self._check(row, onward)
        async with self._ledger.changing(row["owner_id"]) as change:
            row = await _locked(change, follow_up_id)
            heard = row["acknowledged_at"] is not None
            named = await self._outbox.onward(change, row, onward)
            if not heard:
                reached = follow(State(row["state"]), Step.ACKNOWLEDGE)
                await change.tx.run(_ACKNOWLEDGE, the_id=follow_up_id, reached=reached.value, at=change.now_ms)
            if named or not heard:
                change.enter(_answer(subject, row, "withdrawal_acknowledged", onward=named))
        return await self.show(subject, follow_up_id)

    async def comply(self, subject: Subject, follow_up_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The member has done what was asked, and how. It acknowledges too, where that was not done."""
        subject.require("withdraw")
        row = await self._owed(subject, follow_up_id)
        done, onward = Compliance.read(body, row["cause"]), onward_of(body, subject.member)
        await self._check(row, onward)
        async with self._ledger.changing(row["owner_id"]) as change:
            row = await _locked(change, follow_up_id)
            if row["complied_at"] is None:
                await self._comply(change, subject, row, done, onward)
            elif any(row[name] != value for name, value in done.row().items()):
                raise Conflicting("wrong_state", "It was complied with in another way.", field="/how")
            else:
                await self._outbox.onward(change, row, onward)
        return await self.show(subject, follow_up_id)

    async def _comply(
        self, change: Change, subject: Subject, row: Row, done: Compliance, onward: Sequence[Holder]
    ) -> None:
        reached = follow(State(row["state"]), Step.COMPLY)
        named = await self._outbox.onward(change, row, onward)
        await change.tx.run(
            _COMPLY,
            the_id=row["id"],
            reached=reached.value,
            heard_at=row["acknowledged_at"] or change.now_ms,
            at=change.now_ms,
            **{f"its_{name}": value for name, value in done.row().items()},
        )
        said = {"how": done.how.value, "proof_sha256": done.sha256 or "", "legal_sha256": _sha256(done.legal)}
        change.enter(_answer(subject, row, "withdrawal_complied", onward=named, **said))
        if await change.tx.one(_OUTSTANDING, consent=row["consent_id"]) is None:
            await self._termination.receipt(change, row["consent_id"])

    async def _owed(self, subject: Subject, follow_up_id: str) -> Row:
        row = await self._database.one(BY_ID, id=follow_up_id)
        if row is None or row["recipient_id"] != subject.member:
            raise NotFound
        return row

    async def _check(self, row: Row, onward: Sequence[Holder]) -> None:
        for place, one in enumerate(onward):
            if one.recipient == row["owner_id"] or not await self._database.one(
                _MEMBER, id=one.recipient, alliance=row["alliance_id"]
            ):
                raise Invalid("invalid_onward", "This is no other member of the alliance.", field=f"/onward/{place}")


async def _locked(change: Change, follow_up_id: str) -> Row:
    """The follow-up under the lock of its owner's log."""
    row = await change.tx.one(BY_ID, id=follow_up_id)
    assert row is not None
    return row


def _sha256(words: str | None) -> str:
    """Of a member's own words, which stand in no entry: nothing could ever take them out again."""
    return "" if words is None else hashlib.sha256(words.encode()).hexdigest()


def _answer(subject: Subject, row: Row, act: str, *, onward: Sequence[str], **said: str) -> Draft:
    named = {"act": act, "actor": subject.actor(), "follow_up": row["id"], "onward": sorted(onward), **said}
    return Draft(log=row["owner_id"], kind=Kind.CONSENT, facts=named)
