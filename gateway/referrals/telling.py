"""Telling the customer: after the disclosure who has the data now, and when the referral is closed.

What is to be told is queued in the transaction of what happened, and told at least once, behind it.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from sqlalchemy import BigInteger, bindparam, null, select, update

from gateway.clock import MILLISECONDS, Clock
from gateway.database import Database, Query, Row
from gateway.errors import GatewayError
from gateway.referrals.tables import referral, referral_telling

MOST_ATTEMPTS: Final = 8
_FIRST_PAUSE_MS: Final = 60 * MILLISECONDS
_PAGE: Final = 100
_QUEUED = Query(
    select(
        referral_telling.c.referral_id,
        referral_telling.c.what,
        referral_telling.c.queued_at,
        referral_telling.c.attempts,
        referral_telling.c.next_at,
        referral.c.owner_id,
        referral.c.recipient_id,
        referral.c.dataset_id,
        referral.c.pseudonym,
        referral.c.purpose,
        referral.c.state,
    )
    .join(referral, referral.c.id == referral_telling.c.referral_id)
    .where(referral_telling.c.next_at <= bindparam("now", type_=BigInteger))
    .order_by(referral_telling.c.queued_at, referral_telling.c.referral_id, referral_telling.c.what.desc())
    .limit(_PAGE)
)
_TOLD = Query(
    update(referral_telling)
    .where(referral_telling.c.referral_id == bindparam("the_id"), referral_telling.c.what == bindparam("the_what"))
    .values(told_at=bindparam("at", type_=BigInteger), next_at=null())
)
_CLAIM = Query(
    update(referral_telling)
    .where(
        referral_telling.c.referral_id == bindparam("the_id"),
        referral_telling.c.what == bindparam("the_what"),
        referral_telling.c.next_at == bindparam("seen", type_=BigInteger),
    )
    .values(attempts=referral_telling.c.attempts + 1, next_at=bindparam("later", type_=BigInteger))
)


class Told(NamedTuple):
    """What a customer is told: `what` is `disclosed` (the recipient has the data now) or `closed`, with the state."""

    owner: str
    pseudonym: str
    dataset: str
    recipient: str
    purpose: str
    referral: str
    what: str
    state: str
    at_ms: int


class Telling(Protocol):
    """Who tells a customer; `Unavailable` where it can't now, and is asked again."""

    async def tell(self, told: Told) -> None:
        """Tell the person behind the owner's pseudonym, or nobody where the owner keeps no address of theirs."""


class Tellings:
    """Tells what is queued, oldest first."""

    def __init__(self, database: Database, telling: Telling, clock: Clock) -> None:
        self._database = database
        self._telling = telling
        self._clock = clock

    async def run(self) -> int:
        """Tell whatever is due; returns how much was told. Of several processes one makes each attempt.

        What can't be told is tried again, ever later, 8 times; it keeps nobody else waiting.
        """
        count, now = 0, self._clock()
        for row in await self._database.all(_QUEUED, now=now):
            if await self._claim(row, now):
                count += await self._tell(row, now)
        return count

    async def _claim(self, row: Row, now: int) -> bool:
        """Count the attempt before it is made: due again later, or never, unless it succeeds."""
        attempts = row["attempts"] + 1
        later = now + (_FIRST_PAUSE_MS << attempts) if attempts < MOST_ATTEMPTS else None
        async with self._database.transaction() as tx:
            return await tx.run(_CLAIM, **_named(row), seen=row["next_at"], later=later) == 1

    async def _tell(self, row: Row, now: int) -> bool:
        try:
            await self._telling.tell(_told(row))
        except GatewayError:
            return False
        async with self._database.transaction() as tx:
            await tx.run(_TOLD, **_named(row), at=now)
        return True


def _named(row: Row) -> dict[str, str]:
    return {"the_id": row["referral_id"], "the_what": row["what"]}


def _told(row: Row) -> Told:
    return Told(
        owner=row["owner_id"],
        pseudonym=row["pseudonym"],
        dataset=row["dataset_id"],
        recipient=row["recipient_id"],
        purpose=row["purpose"],
        referral=row["referral_id"],
        what=row["what"],
        state=row["state"],
        at_ms=row["queued_at"],
    )
