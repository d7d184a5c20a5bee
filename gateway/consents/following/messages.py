"""Which message is on its way to whom, and which is next. Every step names its attempt: it is taken once."""

from __future__ import annotations

from typing import NamedTuple, Self

from sqlalchemy import BigInteger, Text, and_, bindparam, func, select, update

from gateway.clock import Clock
from gateway.consents.following.states import State, Step, before
from gateway.consents.following.tables import follow_up, stands_at, withdrawal_address, withdrawal_message
from gateway.database import Database, Query, Row, Transaction
from gateway.identity.tables import client

CLAIMED_MS = 60_000
"""Within it a message is sent and answered, or some process may send it again."""
_MOST_AT_ONCE = 64

_FIRST = (
    select(
        withdrawal_message,
        withdrawal_address.c.uri,
        func.row_number()
        .over(
            partition_by=withdrawal_message.c.recipient_id,
            order_by=(withdrawal_message.c.attempts, withdrawal_message.c.due_at, withdrawal_message.c.id),
        )
        .label("place"),
    )
    .outerjoin(
        withdrawal_address.join(
            client, and_(client.c.id == withdrawal_address.c.client_id, client.c.state == "active")
        ),
        withdrawal_address.c.member_id == withdrawal_message.c.recipient_id,
    )
    .where(withdrawal_message.c.state == "due", withdrawal_message.c.due_at <= bindparam("now", type_=BigInteger))
    .subquery("first")
)
_DUE = Query(
    select(_FIRST)
    .where(_FIRST.c.place == 1)
    .order_by(_FIRST.c.attempts, _FIRST.c.due_at)
    .limit(bindparam("most", type_=BigInteger))
)
_NEXT = Query(select(_FIRST).where(_FIRST.c.place == 1, _FIRST.c.recipient_id == bindparam("recipient")))
_THIS = (
    withdrawal_message.c.id == bindparam("the_id"),
    withdrawal_message.c.state == "due",
    withdrawal_message.c.attempts == bindparam("seen_attempts", type_=BigInteger),
)
_CLAIM = Query(
    update(withdrawal_message)
    .values(due_at=bindparam("until", type_=BigInteger))
    .where(*_THIS, withdrawal_message.c.due_at == bindparam("seen", type_=BigInteger))
)
_WRITE = Query(update(withdrawal_message).values(content=bindparam("text", type_=Text)).where(*_THIS))
_LATER = Query(
    update(withdrawal_message)
    .values(
        state=bindparam("its_state", type_=Text),
        due_at=bindparam("at", type_=BigInteger),
        attempts=withdrawal_message.c.attempts + 1,
        last_code=bindparam("code", type_=Text),
    )
    .where(*_THIS)
)


def _moves(step: Step) -> Query:
    """The follow-up of a message takes a step, unless its recipient has answered meanwhile."""
    return Query(
        update(follow_up)
        .values(state=bindparam("reached", type_=Text))
        .where(follow_up.c.id == bindparam("the_id"), stands_at(before(step)))
    )


_SENT, _FAILED, _DELIVERED = _moves(Step.SEND), _moves(Step.FAIL), _moves(Step.DELIVER)


class Message(NamedTuple):
    """A message with its address, '' for none, and the log that is told what became of it."""

    id: str
    log: str
    recipient: str
    uri: str
    content: str | None
    attempts: int
    created_at: int
    due_at: int

    @classmethod
    def of(cls, row: Row) -> Self:
        """The message of a row of `_DUE`."""
        return cls(
            id=row["id"],
            log=row["log_id"],
            recipient=row["recipient_id"],
            uri=row["uri"] or "",
            content=row["content"],
            attempts=row["attempts"],
            created_at=row["created_at"],
            due_at=row["due_at"],
        )


class Messages:
    """The messages of one database. Their follow-ups move with them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def due(self, *, busy: int) -> list[Message]:
        """What is due now, of each recipient one: what was never tried first. `busy` recipients keep no other out."""
        rows = await self._database.all(_DUE, now=self._clock(), most=_MOST_AT_ONCE + busy)
        return [Message.of(row) for row in rows]

    async def next_of(self, recipient: str) -> Message | None:
        """The message of a recipient that is due next, if one is."""
        row = await self._database.one(_NEXT, now=self._clock(), recipient=recipient)
        return None if row is None else Message.of(row)

    async def claim(self, message: Message) -> bool:
        """Whether this process is the one to make the attempt."""
        async with self._database.transaction() as tx:
            until = self._clock() + CLAIMED_MS
            if not await tx.run(_CLAIM, **_names(message), seen=message.due_at, until=until):
                return False
            if message.uri:
                await tx.run(_SENT, the_id=message.id, reached=State.SENT.value)
            return True

    async def write(self, message: Message, content: str) -> None:
        """Keep what the message says: every attempt says the same."""
        async with self._database.transaction() as tx:
            await tx.run(_WRITE, **_names(message), text=content)

    async def deliver(self, tx: Transaction, message: Message) -> bool:
        """It was taken; False where that was known."""
        await tx.run(_DELIVERED, the_id=message.id, reached=State.DELIVERED.value)
        given = {"its_state": "delivered", "at": self._clock(), "code": None}
        return await tx.run(_LATER, **_names(message), **given) == 1

    async def fail(self, tx: Transaction, message: Message, code: str, *, pause_ms: int | None) -> None:
        """It was not taken: it is due again after a pause; without one, it is given up."""
        await tx.run(_FAILED, the_id=message.id, reached=State.FAILED.value)
        its_state = "due" if pause_ms is not None else "given_up"
        await tx.run(_LATER, **_names(message), its_state=its_state, at=self._clock() + (pause_ms or 0), code=code)


def _names(message: Message) -> dict[str, object]:
    return {"the_id": message.id, "seen_attempts": message.attempts}
