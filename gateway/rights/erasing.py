"""A deletion is followed once: what it ends as erased, and then to whoever received under what had ended before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from sqlalchemy import bindparam, select

from gateway.catalog.tables import dataset
from gateway.consents.followers import Ended
from gateway.consents.same_person import subjects_at
from gateway.consents.tables import consent
from gateway.database import Query, Reading
from gateway.ledger import Change
from gateway.rights.neighbours import Following
from gateway.rights.states import RequestState, RightKind
from gateway.rights.tables import rights_request

_RECEIVED = Query(
    select(consent.c.dataset_no, consent.c.recipient_id, consent.c.purpose)
    .join(dataset, dataset.c.no == consent.c.dataset_no)
    .where(
        dataset.c.owner_id == bindparam("owner"),
        consent.c.pseudonym == bindparam("pseudonym"),
        consent.c.disclosed_at.is_not(None),
    )
)
_DELETED = Query(
    select(rights_request.c.pseudonym)
    .where(
        rights_request.c.owner_id == bindparam("owner"),
        rights_request.c.kind == RightKind.DELETION.value,
        rights_request.c.state == RequestState.ANSWERED.value,
        rights_request.c.decided_at >= bindparam("since"),
    )
    .distinct()
)
ERASED: Final = "erased"
"""The cause of what is followed of a deletion."""


async def deleted_since(reading: Reading, owner: str, since_ms: int) -> list[str]:
    """The pseudonyms of all subjects of whoever was deleted at an owner since an instant."""
    deleted = [row["pseudonym"] for row in await reading.all(_DELETED, owner=owner, since=since_ms)]
    return sorted({one for pseudonym in deleted for one in await subjects_at(reading, owner, pseudonym)})


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
