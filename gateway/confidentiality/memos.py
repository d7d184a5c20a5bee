"""Memos of what was told (clause 8.1.2): a secret told orally is confided like a file, and can be found and disputed.

A memo has an owner, the member that told it. What was said, by whom and to whom, is sealed under the owner's key. The
other side confirms or contests it within the days that it states; silence is neither. Reading it is an entry first.
What a case holds nobody reads: the memo itself, all of its agreement, or one member's access to its owner's secrets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, and_, bindparam, exists, insert, or_, select, update
from sqlalchemy import Text as SQLText

from gateway.agreements.agreement import Agreement
from gateway.agreements.fields import (
    IDENTIFIER,
    LONGEST_PROSE,
    choice,
    instant,
    matching,
    members,
    prose,
    sentence,
    whole,
)
from gateway.agreements.held import HoldSubject, on
from gateway.agreements.tables import hold
from gateway.canonical import canonical, parse_canonical
from gateway.clock import MILLISECONDS, Clock
from gateway.confidentiality.filing import Filing, Places, entry, require_part
from gateway.confidentiality.intervals import written
from gateway.confidentiality.tables import oral_memo
from gateway.database import Database, Query, Reading, Row
from gateway.errors import Conflicting, Invalid, NotFound, OnHold, Reason, Refused
from gateway.identifiers import random_id
from gateway.identity.subject import Subject
from gateway.ledger import Change, Ledger
from gateway.vault.keyring import KeyRing

ANSWERS: Final = ("confirmed", "contested")
LONGEST_MEMO: Final = LONGEST_PROSE
MOST_SEARCHED: Final = 1_000
MOST_NAMED: Final = 200
"""Memos in one entry, whose body has room for so many."""
_MOST_DAYS: Final = 90
_DAY_MS: Final = 24 * 60 * 60 * MILLISECONDS
_ADD = Query(insert(oral_memo))
_HELD = and_(
    hold.c.state == "active",
    hold.c.until > bindparam("now", type_=BigInteger),
    or_(
        on(HoldSubject.MEMO, oral_memo.c.id),
        on(HoldSubject.AGREEMENT, oral_memo.c.agreement_id),
        on(HoldSubject.RECIPIENT_OF_OWNER, bindparam("reader", type_=SQLText) + ":" + oral_memo.c.owner_id),
    ),
)
_BY_ID = Query(select(oral_memo).where(oral_memo.c.id == bindparam("id")))
_NEWEST = Query(
    select(oral_memo)
    .where(oral_memo.c.agreement_id == bindparam("agreement"), ~exists().where(_HELD))
    .order_by(oral_memo.c.recorded_at.desc(), oral_memo.c.id)
    .limit(bindparam("most", type_=BigInteger))
)
_CASE = Query(
    select(hold.c.case_id)
    .join(oral_memo, _HELD)
    .where(oral_memo.c.id == bindparam("memo"))
    .order_by(hold.c.until.desc(), hold.c.case_id)
    .limit(1)
)
_ANSWER = Query(
    update(oral_memo)
    .where(oral_memo.c.id == bindparam("the_id"), oral_memo.c.answer.is_(None))
    .values(answer=bindparam("given", type_=SQLText), answered_at=bindparam("at", type_=BigInteger))
)


class Memos:
    """Recording, answering, reading and searching memos, for the two parties alone.

    Reading locks both parties' logs: whatever holds a memo narrows one of them, so no reading follows it there.
    """

    def __init__(self, database: Database, ledger: Ledger, keyring: KeyRing, places: Places, clock: Clock) -> None:
        self._database = database
        self._ledger = ledger
        self._keyring = keyring
        self._places = places
        self._clock = clock

    async def record(self, filing: Filing, agreement: str, said: dict[str, Any]) -> bytes:
        """Record what one party told the other. Needs `confide`; either may record it.

        `owner` is the party that told it; `said`, `by` and `to` are sealed; `said_at` is not in the future;
        `answer_within_days` is how long the side that did not record it has to answer.
        """
        filing.subject.require("confide")
        checked = _checked(said)
        found = await self._party(filing.subject, agreement)
        if checked["owner"] not in found.parties:
            raise Invalid("party_unknown", "The owner is one of the two parties.", field="/owner")
        keys = await self._keyring.unlock(checked["owner"])
        memo_id = random_id()

        async def work(change: Change) -> Any:
            if checked["said_at"] > change.now_ms:
                raise Invalid("memo_of_the_future", "It cannot have been said in the future.", field="/said_at")
            sealed = keys.seal_detail(canonical(checked["content"]), _bound(memo_id, found.id))
            row = {
                "id": memo_id,
                "agreement_id": found.id,
                "owner_id": checked["owner"],
                "listener_id": next(one for one in found.parties if one != checked["owner"]),
                "recorder_id": filing.subject.member,
                "sealed": canonical(sealed).decode(),
                "said_at": checked["said_at"],
                "answer_by": change.now_ms + checked["days"] * _DAY_MS,
                "recorded_at": change.now_ms,
                "answer": None,
                "answered_at": None,
            }
            await change.tx.run(_ADD, **row)
            facts = {"agreement": found.id, "memo": memo_id, "answer_by": written(row["answer_by"])}
            change.enter(entry(checked["owner"], "memo_recorded", filing.subject, **facts))
            return _described(row, change.now_ms)

        return await filing.once(self._database, self._ledger, work, checked["owner"])

    async def answer(self, subject: Subject, agreement: str, memo: str, said: dict[str, Any]) -> dict[str, Any]:
        """Confirm or contest, once and in time, by the party that did not record it. Needs `confide`."""
        subject.require("confide")
        members(said, ("answer",), "")
        given = choice(said["answer"], "/answer", ANSWERS)
        row = await self._existing(await self._party(subject, agreement), memo)
        if subject.member == row["recorder_id"]:
            raise Refused((Reason("OTHER_SIDE_ONLY"),))
        async with self._ledger.changing(row["owner_id"]) as change:
            if change.now_ms >= row["answer_by"]:
                raise Conflicting("memo_overdue", "The time to answer is over.", field="/answer")
            if await change.tx.run(_ANSWER, the_id=memo, given=given, at=change.now_ms):
                facts = {"agreement": agreement, "memo": memo, "answer": given}
                change.enter(entry(row["owner_id"], "memo_answered", subject, **facts))
            current = await change.tx.one(_BY_ID, id=memo)
            assert current is not None
            if current["answer"] != given:
                raise Conflicting("memo_answered", "It was answered otherwise.", field="/answer")
            return _described(current, change.now_ms)

    async def read(self, subject: Subject, agreement: str, memo: str) -> dict[str, Any]:
        """One memo with what was said; the entry comes first. `OnHold` while a case holds it. Needs `confide`."""
        subject.require("confide")
        found = await self._party(subject, agreement)
        row = await self._existing(found, memo)
        async with self._ledger.changing(*found.parties) as change:
            held = await change.tx.one(_CASE, memo=memo, reader=subject.member, now=change.now_ms)
            if held is not None:
                raise OnHold((Reason("DISPUTED_ITEM", "7.2.3"),), held["case_id"])
            _enter_reading(change, subject, found, [row])
        return await self._opened(found, row)

    async def of_agreement(self, subject: Subject, agreement: str) -> list[dict[str, Any]]:
        """The newest 1,000 memos of an agreement, without what was said. Those that a case holds are left out."""
        found = await self._party(subject, agreement)
        now = self._clock()
        rows = await _newest(self._database, subject, found, now)
        return [_described(row, now) for row in rows]

    async def search(self, subject: Subject, agreement: str, said: dict[str, Any]) -> list[dict[str, Any]]:
        """The newest memos of an agreement that hold `text`, in whatever case. Needs `confide`.

        Looks through the newest 1,000; those that a case holds are left out.
        """
        subject.require("confide")
        members(said, ("text",), "")
        wanted = sentence(said["text"], "/text").casefold()
        found = await self._party(subject, agreement)
        async with self._ledger.changing(*found.parties) as change:
            rows = await _newest(change.tx, subject, found, change.now_ms)
            _enter_reading(change, subject, found, rows)
        opened = [await self._opened(found, row) for row in rows]
        return [one for one in opened if any(wanted in one[name].casefold() for name in ("said", "by", "to"))]

    async def _opened(self, found: Agreement, row: Row) -> dict[str, Any]:
        """A memo with what was said, once the entry says who read it."""
        keys = await self._keyring.unlock(row["owner_id"])
        sealed = json.loads(row["sealed"])
        content: dict[str, Any] = parse_canonical(keys.open_detail(sealed, _bound(row["id"], found.id)))
        return _described(row, self._clock()) | content

    async def _party(self, subject: Subject, agreement: str) -> Agreement:
        found = await self._places.agreement(subject, agreement)
        require_part(found, subject)
        return found

    async def _existing(self, found: Agreement, memo: str) -> Row:
        row = await self._database.one(_BY_ID, id=memo)
        if row is None or row["agreement_id"] != found.id:
            raise NotFound
        return row


async def _newest(reading: Reading, subject: Subject, found: Agreement, now_ms: int) -> Sequence[Row]:
    return await reading.all(_NEWEST, agreement=found.id, reader=subject.member, now=now_ms, most=MOST_SEARCHED)


def _enter_reading(change: Change, subject: Subject, found: Agreement, rows: Sequence[Row]) -> None:
    """Say in the log of each owner which of its memos are read: those that a search looks through are."""
    for owner in sorted({row["owner_id"] for row in rows}):
        memos = [row["id"] for row in rows if row["owner_id"] == owner]
        for at in range(0, len(memos), MOST_NAMED):
            named = memos[at : at + MOST_NAMED]
            change.enter(entry(owner, "memos_read", subject, agreement=found.id, memos=named))


async def agreement_of(reading: Reading, memo: str) -> str | None:
    """The agreement under which a memo was recorded, or None."""
    row = await reading.one(_BY_ID, id=memo)
    return None if row is None else str(row["agreement_id"])


def _checked(said: dict[str, Any]) -> dict[str, Any]:
    members(said, ("owner", "said", "by", "to", "said_at", "answer_within_days"), "")
    spoken = {"said": prose(said["said"], "/said")}
    content = spoken | {name: sentence(said[name], f"/{name}") for name in ("by", "to")}
    return {
        "owner": matching(said["owner"], "/owner", IDENTIFIER),
        "content": content,
        "said_at": instant(said["said_at"], "/said_at") * MILLISECONDS,
        "days": whole(said["answer_within_days"], "/answer_within_days", 1, _MOST_DAYS),
    }


def _bound(memo: str, agreement: str) -> bytes:
    return canonical({"use": "memo", "memo": memo, "agreement": agreement})


def _described(row: Row | Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    """A memo without what was said. Without an answer it is `open`, and `unanswered` once the time is over."""
    silent = "open" if now_ms < row["answer_by"] else "unanswered"
    return {
        "id": row["id"],
        "agreement": row["agreement_id"],
        "owner": row["owner_id"],
        "listener": row["listener_id"],
        "recorded_by": row["recorder_id"],
        "state": row["answer"] or silent,
        "said_at": written(row["said_at"]),
        "recorded_at": written(row["recorded_at"]),
        "answer_by": written(row["answer_by"]),
        "answered_at": written(row["answered_at"]),
    }
