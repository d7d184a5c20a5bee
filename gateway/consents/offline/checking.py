"""Which rows of a sheet could be imported: read, checked against members and notices, and against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import bindparam, select

from gateway.catalog.dataset import Dataset
from gateway.consents.offline.reasons import RefusedRow
from gateway.consents.offline.sheet import Item, Read, SheetRow
from gateway.database import Query, Reading
from gateway.members.tables import member

_MEMBERS = Query(select(member.c.id).where(member.c.alliance_id == bindparam("alliance")))

NoticeCheck = Callable[[Item, int], str | None]
"""Given an item and when it was given (seconds): why the notice does not cover it, as a code."""


async def recipients_of(reading: Reading, dataset: Dataset) -> frozenset[str]:
    """Whom a consent to this dataset can name: every other member of the alliance."""
    rows = await reading.all(_MEMBERS, alliance=dataset.alliance)
    return frozenset(row["id"] for row in rows) - {dataset.owner}


def sorted_out(
    reads: Iterable[Read], recipients: frozenset[str], notice_refusal: NoticeCheck
) -> tuple[Sequence[SheetRow], Sequence[RefusedRow]]:
    """The rows that can be imported, in their order, and those that stay out.

    Of rows about one person, recipient and purpose the newest stays, and of equal ones the first.
    """
    newest: dict[tuple[str, str, str], SheetRow] = {}
    refused: list[RefusedRow] = []
    for row in reads:
        if isinstance(row, RefusedRow):
            refused.append(row)
        elif row.item.recipient not in recipients:
            refused.append(RefusedRow(row.line, "recipient", "unknown_recipient"))
        elif (code := notice_refusal(row.item, row.given_at)) is not None:
            refused.append(RefusedRow(row.line, "notice_sha256", code))
        else:
            key = (row.pseudonym, row.item.recipient, row.item.purpose)
            before = newest.get(key)
            if before is None or before.given_at < row.given_at:
                newest[key], row_out = row, before
            else:
                row_out = row
            if row_out is not None:
                refused.append(RefusedRow(row_out.line, "", "duplicate"))
    return sorted(newest.values(), key=lambda row: row.line), refused
