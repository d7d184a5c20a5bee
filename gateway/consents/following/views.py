"""A follow-up as its recipient, the owner and the person see it. The pseudonym is in none of it, nor is a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import BigInteger, Select, bindparam, select

from gateway.canonical import canonical
from gateway.cases.case import told
from gateway.catalog.tables import dataset
from gateway.clock import Clock
from gateway.consents.following.messages import Message
from gateway.consents.following.states import WAYS, due_by, effective
from gateway.consents.following.tables import follow_up
from gateway.consents.tables import consent
from gateway.database import Database, Query, Reading, Row

MOST_RECORDS: Final = 1000


def follow_ups() -> Select[Any]:
    """Follow-ups with their dataset's id, and with who received under the consent: whom the disclosure log names."""
    return (
        select(follow_up, dataset.c.id.label("dataset_id"), consent.c.recipient_id.label("received_by"))
        .join(dataset, dataset.c.no == follow_up.c.dataset_no)
        .join(consent, consent.c.id == follow_up.c.consent_id)
    )


BY_ID: Final = Query(follow_ups().where(follow_up.c.id == bindparam("id")))
_OF_PERSON = Query(
    follow_ups()
    .where(follow_up.c.owner_id == bindparam("owner"), follow_up.c.pseudonym == bindparam("pseudonym"))
    .order_by(follow_up.c.queued_at, follow_up.c.id)
)


class Disclosed(Protocol):
    """The disclosure log, as far as recipients are told of it."""

    async def records_of(self, owner: str, dataset_no: int, pseudonym: str, recipient: str) -> Sequence[str]:
        """The ids of a person's records that a recipient received."""


class Progress(NamedTuple):
    """How far a recipient has come, for the person. Instants in milliseconds; `onward` are those that it named.

    `holder` is '' where the recipient itself holds the data, else the company outside for which it answers.
    """

    id: str
    consent: str
    recipient: str
    holder: str
    cause: str
    state: str
    queued_at: int
    due_at: int
    acknowledged_at: int | None
    complied_at: int | None
    verified_at: int | None
    how: str | None
    case: str | None
    onward: tuple[Progress, ...]


async def progress_of(reading: Reading, owner: str, pseudonym: str, now_ms: int) -> list[Progress]:
    """Every follow-up of a person at an instant, oldest first, each with those that came of it."""
    rows = await reading.all(_OF_PERSON, owner=owner, pseudonym=pseudonym)
    return [_progress(row, rows, now_ms) for row in rows if row["named_in"] is None]


def _progress(row: Row, rows: Sequence[Row], now_ms: int) -> Progress:
    return Progress(
        id=row["id"],
        consent=row["consent_id"],
        recipient=row["recipient_id"],
        holder=row["holder"],
        cause=row["cause"],
        state=effective(row, now_ms).value,
        queued_at=row["queued_at"],
        due_at=due_by(row),
        acknowledged_at=row["acknowledged_at"],
        complied_at=row["complied_at"],
        verified_at=row["verified_at"],
        how=row["how"],
        case=row["case_id"],
        onward=tuple(_progress(one, rows, now_ms) for one in rows if one["named_in"] == row["id"]),
    )


class Views:
    """Describes follow-ups. Which records they are about, the disclosure log says."""

    def __init__(self, database: Database, disclosed: Disclosed, clock: Clock) -> None:
        self._database = database
        self._disclosed = disclosed
        self._clock = clock

    async def asked(self, row: Row) -> dict[str, Any]:
        """What a recipient is asked to do, by when, about which of the records that were disclosed."""
        person = (row["owner_id"], row["dataset_no"], row["pseudonym"])
        records = await self._disclosed.records_of(*person, row["received_by"])
        return {
            "id": row["id"],
            "event_id": row["event_id"],
            "consent": row["consent_id"],
            "agreement": row["agreement_id"],
            "owner": row["owner_id"],
            "dataset": row["dataset_id"],
            "purpose": row["purpose"],
            "records": list(records[:MOST_RECORDS]),
            "cause": row["cause"],
            "ways": [way.value for way in WAYS[row["cause"]]],
            "holder": row["holder"],
            "named_in": row["named_in"],
            "acknowledge_by": told(row["acknowledge_by"]),
            "comply_by": told(row["comply_by"]),
        }

    async def described(self, row: Row) -> dict[str, Any]:
        """What is asked, and how it was answered so far."""
        return {
            **await self.asked(row),
            "recipient": row["recipient_id"],
            "state": effective(row, self._clock()).value,
            "queued_at": told(row["queued_at"]),
            "acknowledged_at": told(row["acknowledged_at"]),
            "complied_at": told(row["complied_at"]),
            "verified_at": told(row["verified_at"]),
            "how": row["how"],
            "legal": row["legal"],
            "proof": {"sha256": row["proof_sha256"], "text": row["proof_text"]},
            "case": row["case_id"],
        }

    async def message(self, message: Message) -> str:
        """What a webhook says of the follow-up of its id: type, timestamp and data, as Standard Webhooks advises."""
        row = await self._database.one(BY_ID, id=message.id)
        assert row is not None
        said = {"type": f"consent.{row['cause']}", "timestamp": told(row["queued_at"]), "data": await self.asked(row)}
        return canonical(said).decode()


class FollowUpDuties:
    """What is to be done about withdrawals, for the members' calendars: beside what agreements make due."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def of(self, member: str, first_ms: int, last_ms: int) -> list[dict[str, Any]]:
        """Every follow-up of or towards a member whose compliance is due from `first_ms` to `last_ms`."""
        rows = await self._database.all(_DUE_BETWEEN, member=member, first=first_ms, last=last_ms)
        return [
            {
                "kind": "withdrawal",
                "role": "recipient" if row["recipient_id"] == member else "owner",
                "agreement": row["agreement_id"] or "",
                "dataset": row["dataset_id"],
                "follow_up": row["id"],
                "due_at": told(row["comply_by"]),
                "state": effective(row, self._clock()).value,
                "case": row["case_id"],
            }
            for row in rows
        ]


_DUE_BETWEEN = Query(
    follow_ups()
    .where(
        (follow_up.c.recipient_id == bindparam("member")) | (follow_up.c.owner_id == bindparam("member")),
        follow_up.c.comply_by >= bindparam("first", type_=BigInteger),
        follow_up.c.comply_by <= bindparam("last", type_=BigInteger),
    )
    .order_by(follow_up.c.comply_by, follow_up.c.id)
)
