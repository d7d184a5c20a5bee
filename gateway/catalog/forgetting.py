"""Whoever is deleted while an upload is under way: what was sealed of it before is found by nothing either.

A deletion shreds the subject's key and removes the keyed terms of its records. An upload stages records first and
terms last, so terms may follow a deletion; they are looked for once more when the upload is published, under the lock
that a deletion takes too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from sqlalchemy import bindparam, delete, exists, select

from gateway.catalog.tables import record, record_term
from gateway.database import Query, Reading, Transaction
from gateway.vault.tables import subject_key

Deleted = Callable[[Reading, str, int], Awaitable[Sequence[str]]]
"""The pseudonyms of an owner's subjects that were deleted since an instant (ms)."""

CLOCKS_APART_MS: Final = 10 * 60 * 1000
"""How far the clocks of two processes may be apart here; to look at one deletion too many removes nothing."""

_UNREADABLE = (
    select(record.c.id)
    .where(
        record.c.dataset_no == bindparam("of_dataset"),
        record.c.pseudonym == bindparam("pseudonym"),
        record.c.upload_no == bindparam("the_no"),
        ~exists().where(subject_key.c.id == record.c.subject_key_id),
    )
    .scalar_subquery()
)
_FORGET = Query(
    delete(record_term).where(record_term.c.upload_no == bindparam("the_no"), record_term.c.record_id.in_(_UNREADABLE))
)


async def forget(tx: Transaction, dataset_no: int, upload_no: int, pseudonyms: Sequence[str]) -> None:
    """Remove the terms of these subjects' records in one upload, as far as their keys are gone."""
    for pseudonym in pseudonyms:
        await tx.run(_FORGET, of_dataset=dataset_no, the_no=upload_no, pseudonym=pseudonym)
