"""Which upload fulfils which due date: the first one since the date before it, up to the end of its grace.

An upload fulfils one due date. It counts from the moment it was published, also if another has replaced it since, and
also if it says that there is nothing new: a header alone. An upload whose every row was refused was never published.

An amendment is no gap: its first date is fulfilled by what was uploaded behind the last date of what it replaces.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, bindparam, func, select

from gateway.agreements import Agreement, Agreements, DatasetTerm
from gateway.business_days import CalendarUnknown
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
_SPENT = Query(
    select(func.max(upload.c.published_at).label("at"))
    .join(duty, duty.c.upload_id == upload.c.id)
    .where(duty.c.agreement_id == bindparam("agreement"), duty.c.dataset_id == bindparam("dataset"))
)
_PUBLISHED = Query(select(upload.c.published_at.label("at")).where(upload.c.id == bindparam("id")))
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


async def unsettled(
    reading: Reading, agreements: Agreements, agreement: Agreement, term: DatasetTerm
) -> Iterator[Window]:
    """Every due date of a term that has no row yet, in order, while the agreement is in force."""
    row = await reading.one(_LAST, agreement=agreement.id, dataset=term.dataset)
    if row is not None:
        return windows(agreement, term, after=row["period"], opens_at=row["due_at"])
    return windows(agreement, term, opens_at=await _behind_what_it_replaces(reading, agreements, agreement, term))


async def fulfilled(
    reading: Reading, agreements: Agreements, agreement: Agreement, term: DatasetTerm, now_ms: int
) -> Mapping[str, str]:
    """The uploads that fulfil due dates without a row yet, each by its period, as they will be settled."""
    found: dict[str, str] = {}
    for window in await unsettled(reading, agreements, agreement, term):
        if window.opens_at >= now_ms:
            break
        upload_id = await window.delivery(reading, taken=found.values())
        if upload_id is not None:
            found[window.due.period] = upload_id
    return found


async def _behind_what_it_replaces(
    reading: Reading, agreements: Agreements, agreement: Agreement, term: DatasetTerm
) -> int:
    """Behind which instant (ms) an upload fulfils the first date of a term: the last date of the agreement that it
    replaces, and the last upload that fulfilled one there. 0 where none was due there: when this one began.
    """
    amends = agreement.terms.amends if agreement.terms else None
    earlier = await agreements.load(amends) if amends else None
    before = earlier.terms.term_for(term.dataset) if earlier and earlier.terms else None
    if earlier is None or earlier.superseded_by != agreement.id or before is None or before.cadence is None:
        return 0
    lasts = in_force(earlier)
    assert lasts is not None
    with suppress(CalendarUnknown):
        of_late = windows_from(earlier, before, max(0, lasts[1] // MILLISECONDS - int(_LOOK_BACK.total_seconds())))
        if not (last := deque(of_late, maxlen=1)):
            return await _behind_what_it_replaces(reading, agreements, earlier, before) or lasts[0]
        uploads = await fulfilled(reading, agreements, earlier, before, lasts[1])
        rows = [await reading.one(_PUBLISHED, id=one) for one in uploads.values()]
        rows.append(await reading.one(_SPENT, agreement=earlier.id, dataset=term.dataset))
        return max(last[0].due_at, *(row["at"] or 0 for row in rows if row is not None))
    return 0


def windows(agreement: Agreement, term: DatasetTerm, *, after: str = "", opens_at: int = 0) -> Iterator[Window]:
    """The due dates of a term behind the period `after`; behind `opens_at` (ms; 0: the beginning) the first opens."""
    lasts = in_force(agreement)
    if term.cadence is None or lasts is None:
        return
    begin, end = lasts
    opens_at = opens_at or begin
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
