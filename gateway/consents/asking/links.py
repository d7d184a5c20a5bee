"""Links: one purpose each, valid for 72 hours, until what they ask is answered. Looking at one decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, and_, bindparam, delete, insert, select, update

from gateway.consents.asking.secret import hashed, new_token
from gateway.consents.asking.tables import asking_link
from gateway.consents.asking.visit import Kind, persons_as, persons_in
from gateway.consents.contacts import Channel, Holder
from gateway.database import Query, Reading, Row, Transaction

LINK_PATH: Final = "/my/link/"
"""Where the token of a link follows, under the gateway's public address."""

LINK_MS: Final = 72 * 60 * 60 * 1000
MOST_OPENINGS: Final = 20
"""So often one link starts a visit; a person needs a few, a guesser of codes would like many."""

_link = asking_link.c
_VALID = and_(
    _link.token_sha256 == bindparam("token"),
    _link.expires_at > bindparam("now", type_=BigInteger),
    _link.spent_at.is_(None),
    _link.opened < MOST_OPENINGS,
)
_NEW = Query(insert(asking_link))
_FIND = Query(select(asking_link).where(_VALID))
_OPEN = Query(update(asking_link).values(opened=_link.opened + 1).where(_VALID))
_SPEND = Query(
    update(asking_link)
    .values(spent_at=bindparam("now", type_=BigInteger))
    .where(_link.request_id == bindparam("request"), _link.spent_at.is_(None))
)
_FORGET = Query(delete(asking_link).where(_link.expires_at < bindparam("before", type_=BigInteger)))


@dataclass(frozen=True, slots=True)
class Link:
    """Where a link leads. Its token is known to whoever it was sent to, and to nobody else."""

    kind: Kind
    request_id: str | None
    persons: tuple[Holder, ...]
    channel: Channel
    language: str
    term: bytes
    """The blind index term of the address that it was sent to."""

    @classmethod
    def of(cls, row: Row) -> Link:
        """The link of a row of `asking_link`."""
        return cls(
            Kind(row["kind"]),
            row["request_id"],
            persons_in(row["persons"]),
            Channel(row["channel"]),
            row["language"],
            bytes(row["term"]),
        )


async def issue(tx: Transaction, link: Link, now_ms: int) -> str:
    """Make a link and return its token; what was sent earlier for the same request opens nothing any more."""
    token = new_token()
    if link.request_id is not None:
        await spend(tx, link.request_id, now_ms)
    await tx.run(
        _NEW,
        token_sha256=hashed(token),
        kind=link.kind.value,
        request_id=link.request_id,
        persons=persons_as(link.persons),
        channel=link.channel.value,
        language=link.language,
        term=link.term,
        opened=0,
        expires_at=now_ms + LINK_MS,
        spent_at=None,
    )
    return token


async def find(reading: Reading, token: str, now_ms: int) -> Link | None:
    """Where a token leads, without a trace of having looked; None for unknown, expired and spent ones alike."""
    row = await reading.one(_FIND, token=hashed(token), now=now_ms)
    return None if row is None or not persons_in(row["persons"]) else Link.of(row)


async def use(tx: Transaction, token: str, now_ms: int) -> bool:
    """Count one opening; False where it opens nothing any more."""
    return await tx.run(_OPEN, token=hashed(token), now=now_ms) == 1


async def spend(tx: Transaction, request_id: str, now_ms: int) -> None:
    """What a request asked is answered or over, so its links open nothing any more."""
    await tx.run(_SPEND, request=request_id, now=now_ms)


async def forget(tx: Transaction, before_ms: int) -> None:
    """Drop links that expired before an instant."""
    await tx.run(_FORGET, before=before_ms)
