"""Which upload fulfils which due date: the first one since the date before it, up to the end of its grace.

An upload fulfils one due date. It counts from the moment it was published, also if another has replaced it since.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, bindparam, select

from gateway.agreements import Agreement, DatasetTerm
from gateway.catalog.tables import dataset, upload
from gateway.clock import MILLISECONDS
from gateway.database import Query, Reading
from gateway.duties.schedule import Due, schedule
from gateway.duties.tables import duty

_LAST = Query(
    select(duty.c.period, duty.c.due_at)
    .where(duty.c.agreement_id == bindparam("agreement"), duty.c.dataset_id == bindparam("dataset"))
    .order_by(duty.c.period.desc())
    .limit(1)
)
_DELIVERIES = Query(
    select(upload.c.id)
    .join(dataset, dataset.c.no == upload.c.dataset_no)
    .where(
        dataset.c.id == bindparam("dataset"),
        upload.c.published_at > bindparam("behind", type_=BigInteger),
        upload.c.published_at <= bindparam("until", type_=BigInteger),
        upload.c.id.not_in(
            select(duty.c.upload_id).where(
                duty.c.agreement_id == bindparam("agreement"),
                duty.c.dataset_id == bindparam("dataset"),
                duty.c.upload_id.is_not(None),
            )
        ),
    )
    .order_by(upload.c.published_at, upload.c.id)
    .limit(bindparam("most", type_=BigInteger))
)
_LOOK_BACK = timedelta(days=62)


@dataclass(frozen=True, slots=True)
class Window:
    """A due date with the time in which an upload fulfils it: behind `opens_at`, up to `closes_at` (ms)."""

    agreement: Agreement
    dataset: str
    due: Due
    opens_at: int

    @property
    def due_at(self) -> int:
        """Milliseconds."""
        return self.due.at * MILLISECONDS

    @property
    def closes_at(self) -> int:
        """Milliseconds; up to and with it, an upload is on time."""
        return self.due.grace_until * MILLISECONDS

    async def delivery(self, reading: Reading, *, taken: Collection[str] = ()) -> str | None:
        """The upload that fulfils it, or None as yet; those that are `taken` fulfil dates before it."""
        rows = await reading.all(
            _DELIVERIES,
            agreement=self.agreement.id,
            dataset=self.dataset,
            behind=self.opens_at,
            until=self.closes_at,
            most=len(taken) + 1,
        )
        return next((str(row["id"]) for row in rows if row["id"] not in taken), None)


def in_force(agreement: Agreement) -> tuple[int, int] | None:
    """From when until when (ms) an agreement makes duties; None for a draft, or one that is not proved."""
    if agreement.terms is None or agreement.signed_at is None:
        return None
    begin = max(agreement.terms.starts_at * MILLISECONDS, agreement.signed_at)
    end = agreement.terms.ends_at * MILLISECONDS
    return begin, end if agreement.ended_at is None else min(end, agreement.ended_at)


async def unsettled(reading: Reading, agreement: Agreement, term: DatasetTerm) -> Iterator[Window]:
    """Every due date of a term that has no row yet, in order, while the agreement is in force."""
    row = await reading.one(_LAST, agreement=agreement.id, dataset=term.dataset)
    if row is None:
        return windows(agreement, term)
    return windows(agreement, term, after=row["period"], opens_at=row["due_at"])


async def fulfilled(reading: Reading, agreement: Agreement, term: DatasetTerm, now_ms: int) -> Mapping[str, str]:
    """The uploads that fulfil due dates without a row yet, each by its period, as they will be settled."""
    found: dict[str, str] = {}
    for window in await unsettled(reading, agreement, term):
        if window.opens_at >= now_ms:
            break
        upload_id = await window.delivery(reading, taken=found.values())
        if upload_id is not None:
            found[window.due.period] = upload_id
    return found


def windows(agreement: Agreement, term: DatasetTerm, *, after: str = "", opens_at: int = 0) -> Iterator[Window]:
    """The due dates of a term behind the period `after`, the one before which was due at `opens_at` (ms)."""
    lasts = in_force(agreement)
    if term.cadence is None or lasts is None:
        return
    begin, end = lasts
    opens_at = max(begin, opens_at)
    for due in schedule(term.cadence, after=after or _day_before(begin // MILLISECONDS), until=end // MILLISECONDS):
        at = due.at * MILLISECONDS
        if begin <= at < end:
            yield Window(agreement, term.dataset, due, opens_at)
            opens_at = at


def windows_from(agreement: Agreement, term: DatasetTerm, begin_s: int) -> Iterator[Window]:
    """The due dates of a term at or after an instant (epoch seconds)."""
    return (one for one in windows(agreement, term, after=_day_before(begin_s)) if one.due.at >= begin_s)


def _day_before(instant_s: int) -> str:
    """A day so long before an instant that no period behind it is missing whose date has moved beyond the instant."""
    behind = max(0, instant_s - int(_LOOK_BACK.total_seconds()))
    return datetime.fromtimestamp(behind, UTC).date().isoformat()
