"""A deletion is followed once: what it ends as erased, and then to whoever received under what had ended before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from sqlalchemy import bindparam, select

from gateway.catalog.tables import dataset
from gateway.consents.followers import Ended
from gateway.consents.tables import consent
from gateway.database import Query
from gateway.ledger import Change
from gateway.rights.neighbours import Following

_RECEIVED = Query(
    select(consent.c.dataset_no, consent.c.recipient_id, consent.c.purpose)
    .join(dataset, dataset.c.no == consent.c.dataset_no)
    .where(
        dataset.c.owner_id == bindparam("owner"),
        consent.c.pseudonym == bindparam("pseudonym"),
        consent.c.disclosed_at.is_not(None),
    )
)
ERASED: Final = "erased"
"""The cause of what is followed of a deletion."""


class Erasing:
    """Hears what one deletion ends, and sees to it that nobody is asked twice for it."""

    def __init__(self, following: Following) -> None:
        self._following = following
        self._ended: list[Ended] = []

    async def ended(self, change: Change, ended: Sequence[Ended]) -> None:
        """Follow each consent that ended to its recipient, as erased."""
        erased = [one._replace(cause=ERASED) for one in ended]
        self._ended += erased
        await self._following.ended(change, erased)

    async def follow(self, change: Change, owner: str, subject: str) -> None:
        """Follow it to everybody else that ever received something of a subject."""
        received = defaultdict(set)
        for row in await change.tx.all(_RECEIVED, owner=owner, pseudonym=subject):
            received[row["dataset_no"]].add((row["recipient_id"], row["purpose"]))
        for no, under in sorted(received.items()):
            ended = [one for one in self._ended if (one.dataset_no, one.pseudonym) == (no, subject)]
            told = {one.recipient for one in ended if (one.recipient, one.purpose) in under}
            others = {recipient for recipient, _ in under} - told
            await self._following.queue(change, owner, no, subject, cause=ERASED, recipients=others)
