"""What can be held, and which holds match a request: those on its agreement, its dataset, its term, its recipient.

A hold may be time-boxed: past its `until` it holds nothing any more, without an act. Nobody compares instants here;
whoever asks gets the interval and compares it with its own clock (clauses 7.2.3, 9.1.2).
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, bindparam, or_, select
from sqlalchemy import Text as SQLText

from gateway.agreements.datasets import Datasets
from gateway.agreements.fields import IDENTIFIER
from gateway.agreements.tables import agreement, hold
from gateway.clock import MILLISECONDS, seconds
from gateway.database import Query, Reading, Row
from gateway.errors import Invalid, NotFound
from gateway.members.members import admission

OPEN_END_S: Final = 253_402_300_799
"""9999-12-31T23:59:59Z: the `until` of a hold that only an act ends."""
OPEN_END_MS: Final = OPEN_END_S * MILLISECONDS

_PAIR = re.compile(f"({IDENTIFIER}):({IDENTIFIER})")
_AGREEMENT_OWNER = Query(
    select(agreement.c.owner_id).where(
        agreement.c.id == bindparam("id"), agreement.c.alliance_id == bindparam("alliance")
    )
)


class HoldSubject(StrEnum):
    """What can be held. A pair is written `first:second`."""

    DATASET = "dataset"
    AGREEMENT = "agreement"
    TERM = "term"
    """One dataset under one agreement: `agreement:dataset`."""
    RECIPIENT_OF_OWNER = "recipient_of_owner"
    """A member's access to everything of one owner: `recipient:owner`."""
    REFERRAL = "referral"
    LEDGER_LINE = "ledger_line"
    MEMO = "memo"


BY_ID_ALONE: Final = frozenset({HoldSubject.REFERRAL, HoldSubject.LEDGER_LINE, HoldSubject.MEMO})
"""Subjects that are known by their id alone: whoever holds one says whose it is."""


def term_of(agreement_id: str, dataset_id: str) -> str:
    """The subject of a hold on one dataset under one agreement."""
    return f"{agreement_id}:{dataset_id}"


def access_of(recipient_id: str, owner_id: str) -> str:
    """The subject of a hold on a member's access to one owner's data."""
    return f"{recipient_id}:{owner_id}"


def matching(
    agreement_id: ColumnElement[str],
    dataset_id: ColumnElement[str],
    asker_id: ColumnElement[str],
    recipient_id: ColumnElement[str],
    owner_id: ColumnElement[str],
) -> ColumnElement[bool]:
    """The condition that an active hold is on a request for this dataset under this agreement by this member.

    What holds the agreement's recipient holds a third party too: it asks for the recipient.
    """
    return and_(
        hold.c.state == "active",
        or_(
            on(HoldSubject.AGREEMENT, agreement_id),
            on(HoldSubject.DATASET, dataset_id),
            on(HoldSubject.TERM, agreement_id + ":" + dataset_id),
            on(HoldSubject.RECIPIENT_OF_OWNER, asker_id + ":" + owner_id),
            on(HoldSubject.RECIPIENT_OF_OWNER, recipient_id + ":" + owner_id),
        ),
    )


def on(kind: HoldSubject, subject: ColumnElement[str]) -> ColumnElement[bool]:
    """The condition that a hold, active or not, is on exactly this subject."""
    return and_(hold.c.subject_kind == kind.value, hold.c.subject_id == subject)


def _text(name: str) -> ColumnElement[str]:
    return bindparam(name, type_=SQLText)


def _recipient_of(agreement_id: ColumnElement[str]) -> ColumnElement[str]:
    return select(agreement.c.recipient_id).where(agreement.c.id == agreement_id).scalar_subquery()


_MATCHING = Query(
    select(hold.c.case_id, hold.c.subject_id, hold.c.state, hold.c.placed_at, hold.c.until)
    .where(
        matching(
            _text("agreement"), _text("dataset"), _text("asker"), _recipient_of(_text("agreement")), _text("owner")
        )
    )
    .order_by(hold.c.until.desc(), hold.c.case_id, hold.c.id)
)


async def holds_case(
    reading: Reading, *, agreement_id: str, dataset_id: str, recipient_id: str, owner_id: str
) -> list[dict[str, Any]]:
    """The `holds` of the policy's input: every active hold on this request, the one that lasts longest first.

    `from` and `until` in epoch seconds, an end within a second at the next one, so that no hold is over too early.
    What is past its `until` is lifted by itself, and is here all the same.
    """
    rows = await reading.all(_MATCHING, agreement=agreement_id, dataset=dataset_id, asker=recipient_id, owner=owner_id)
    return [_case(row) for row in rows]


async def owner_of(
    reading: Reading, datasets: Datasets, *, alliance: str, kind: HoldSubject, subject: str, named: str = ""
) -> str:
    """Whose data a subject is, so whose log its hold stands in; `NotFound` outside the alliance.

    `named` is the owner of a subject that is known by its id alone.
    """
    if kind in BY_ID_ALONE:
        if not re.fullmatch(IDENTIFIER, subject):
            raise Invalid("subject_malformed", "An id has a form that is not allowed.", field="subject")
        return await _member(reading, alliance, named)
    if kind is HoldSubject.DATASET:
        return _found(await datasets.owner_of(reading, alliance=alliance, dataset=subject))
    if kind is HoldSubject.AGREEMENT:
        return await _owner_of_agreement(reading, alliance, subject)
    first, second = pair(subject)
    if kind is HoldSubject.RECIPIENT_OF_OWNER:
        await _member(reading, alliance, first)
        return await _member(reading, alliance, second)
    owner = await _owner_of_agreement(reading, alliance, first)
    if await datasets.owner_of(reading, alliance=alliance, dataset=second) != owner:
        raise NotFound
    return owner


def pair(subject: str) -> tuple[str, str]:
    """Both names of a subject that is a pair."""
    found = _PAIR.fullmatch(subject)
    if found is None:
        raise Invalid("subject_malformed", "This subject is a pair.", field="subject", remedy="Write first:second.")
    return found[1], found[2]


async def _owner_of_agreement(reading: Reading, alliance: str, agreement_id: str) -> str:
    row = await reading.one(_AGREEMENT_OWNER, id=agreement_id, alliance=alliance)
    return _found(None if row is None else row["owner_id"])


async def _member(reading: Reading, alliance: str, member: str) -> str:
    found = await admission(reading, member)
    return _found(None if found is None or found.alliance != alliance else member)


def _found(owner: str | None) -> str:
    if owner is None:
        raise NotFound
    return owner


def _case(row: Row) -> dict[str, Any]:
    return {
        "case": row["case_id"],
        "subject": row["subject_id"],
        "state": row["state"],
        "from": seconds(row["placed_at"]),
        "until": seconds(row["until"] + MILLISECONDS - 1),
    }
