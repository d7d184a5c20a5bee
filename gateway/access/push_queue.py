"""Which uploads are on their way to which address, and which page is next. Its rows hold no record and no value."""

from __future__ import annotations

from typing import NamedTuple, Self

from sqlalchemy import BigInteger, Text, bindparam, exists, func, insert, null, select, update

from gateway.access.tables import push_address, push_delivery
from gateway.catalog.tables import dataset, upload
from gateway.clock import Clock
from gateway.database import AlreadyExists, Database, Query, Row, Transaction
from gateway.identifiers import random_id
from gateway.identity.tables import client

CLAIMED_MS = 60_000
"""Within it a page is released, sent and acknowledged, or some process may send it again."""
_MOST_AT_ONCE = 64

_UNPLANNED = Query(
    select(push_address.c.id, upload.c.no)
    .join(upload, upload.c.dataset_no == push_address.c.dataset_no)
    .where(
        push_address.c.state == "active",
        upload.c.state == "published",
        upload.c.published_at >= push_address.c.created_at,
        ~exists().where(push_delivery.c.address_id == push_address.c.id, push_delivery.c.upload_no == upload.c.no),
    )
    .limit(_MOST_AT_ONCE)
)
_PLAN = Query(insert(push_delivery))
_FIRST = (
    select(
        push_delivery,
        upload.c.published_at,
        func.row_number()
        .over(partition_by=push_delivery.c.address_id, order_by=(upload.c.published_at, push_delivery.c.upload_no))
        .label("place"),
        push_address.c.alliance_id,
        push_address.c.owner_id,
        push_address.c.recipient_id,
        push_address.c.client_id,
        push_address.c.agreement_id,
        push_address.c.purpose,
        push_address.c.uri,
        dataset.c.id.label("dataset_id"),
        upload.c.id.label("upload_id"),
        client.c.version.label("client_version"),
        client.c.state.label("client_state"),
    )
    .join(push_address, push_address.c.id == push_delivery.c.address_id)
    .join(client, client.c.id == push_address.c.client_id)
    .join(upload, upload.c.no == push_delivery.c.upload_no)
    .join(dataset, dataset.c.no == push_address.c.dataset_no)
    .where(push_delivery.c.state == "due", push_address.c.state == "active")
    .subquery("first")
)
_DUE = Query(
    select(_FIRST)
    .where(_FIRST.c.place == 1, _FIRST.c.due_at <= bindparam("now", type_=BigInteger))
    .order_by(_FIRST.c.published_at, _FIRST.c.upload_no)
    .limit(bindparam("most", type_=BigInteger))
)
_ACTIVE = Query(
    select(push_address.c.id).where(push_address.c.id == bindparam("push"), push_address.c.state == "active")
)
_THIS = (
    push_delivery.c.address_id == bindparam("the_push"),
    push_delivery.c.upload_no == bindparam("the_upload", type_=BigInteger),
    push_delivery.c.state == "due",
    push_delivery.c.page == bindparam("the_page", type_=BigInteger),
)
_CLAIM = Query(
    update(push_delivery)
    .values(due_at=bindparam("until", type_=BigInteger))
    .where(*_THIS, push_delivery.c.due_at == bindparam("seen", type_=BigInteger))
)
_LATER = Query(
    update(push_delivery)
    .values(
        due_at=bindparam("at", type_=BigInteger),
        attempts=bindparam("its_attempts", type_=BigInteger),
        last_code=bindparam("code", type_=Text),
    )
    .where(*_THIS)
)
_ADVANCE = Query(
    update(push_delivery)
    .values(
        state=bindparam("its_state", type_=Text),
        page=bindparam("its_page", type_=BigInteger),
        message_id=bindparam("its_message", type_=Text),
        cursor=bindparam("its_cursor", type_=Text),
        records=bindparam("its_records", type_=BigInteger),
        due_at=bindparam("until", type_=BigInteger),
        attempts=0,
        last_code=null(),
    )
    .where(*_THIS)
)
_GIVE_UP = Query(
    update(push_delivery)
    .values(state="given_up", attempts=push_delivery.c.attempts + 1, last_code=bindparam("code", type_=Text))
    .where(*_THIS)
)


class Delivery(NamedTuple):
    """One upload on its way to one address: the page that is next, and all that a page is asked by."""

    push: str
    uri: str
    alliance: str
    owner: str
    recipient: str
    client: str
    client_version: int
    client_state: str
    agreement: str
    dataset: str
    purpose: str
    upload: str
    upload_no: int
    page: int
    message: str
    cursor: str | None
    records: int
    attempts: int
    due_at: int

    @classmethod
    def of(cls, row: Row) -> Self:
        """The delivery of a row of `_DUE`."""
        return cls(
            push=row["address_id"],
            uri=row["uri"],
            alliance=row["alliance_id"],
            owner=row["owner_id"],
            recipient=row["recipient_id"],
            client=row["client_id"],
            client_version=row["client_version"],
            client_state=row["client_state"],
            agreement=row["agreement_id"],
            dataset=row["dataset_id"],
            purpose=row["purpose"],
            upload=row["upload_id"],
            upload_no=row["upload_no"],
            page=row["page"],
            message=row["message_id"],
            cursor=row["cursor"],
            records=row["records"],
            attempts=row["attempts"],
            due_at=row["due_at"],
        )

    def after(self, records: int, cursor: str | None) -> Delivery:
        """The same with the page behind it: a new message, not attempted yet."""
        return self._replace(
            page=self.page + 1, message=random_id(), cursor=cursor, records=self.records + records, attempts=0
        )


class PushQueue:
    """The deliveries of one database. Every step names the page it is about, so that it is taken once."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def plan(self) -> None:
        """A delivery for each upload published since an address was registered, once, on whichever process."""
        for row in await self._database.all(_UNPLANNED):
            try:
                async with self._database.transaction() as tx:
                    await tx.run(
                        _PLAN,
                        address_id=row["id"],
                        upload_no=row["no"],
                        state="due",
                        page=1,
                        message_id=random_id(),
                        cursor=None,
                        records=0,
                        attempts=0,
                        due_at=0,
                        last_code=None,
                    )
            except AlreadyExists:
                continue

    async def due(self, *, busy: int) -> list[Delivery]:
        """What is due now: of each address its earliest upload, or nothing while that one waits or is being sent.

        As many `busy` addresses as said keep no other out.
        """
        rows = await self._database.all(_DUE, now=self._clock(), most=_MOST_AT_ONCE + busy)
        return [Delivery.of(row) for row in rows]

    async def claim(self, delivery: Delivery) -> bool:
        """Whether this process is the one to send the page."""
        async with self._database.transaction() as tx:
            return await tx.run(_CLAIM, **_names(delivery), seen=delivery.due_at, until=self._until()) == 1

    async def advance(self, delivery: Delivery, taken: Delivery) -> Delivery | None:
        """The page was acknowledged: the next one, claimed; None where somebody else goes on, or nobody shall."""
        async with self._database.transaction() as tx:
            advanced = await tx.run(_ADVANCE, **self._taken(delivery, taken, "due"))
            return taken if advanced and await self.is_active(tx, delivery) else None

    @staticmethod
    async def is_active(tx: Transaction, delivery: Delivery) -> bool:
        """Whether its address still takes anything."""
        return await tx.one(_ACTIVE, push=delivery.push) is not None

    async def finish(self, tx: Transaction, delivery: Delivery, taken: Delivery) -> bool:
        """The last page was acknowledged; False where that was known."""
        return await tx.run(_ADVANCE, **self._taken(delivery, taken, "done")) == 1

    async def postpone(self, delivery: Delivery, pause_ms: int, code: str, *, attempts: int) -> None:
        """The page is due again after a pause, having been attempted so often."""
        async with self._database.transaction() as tx:
            at = self._clock() + pause_ms
            await tx.run(_LATER, **_names(delivery), at=at, its_attempts=attempts, code=code)

    async def give_up(self, tx: Transaction, delivery: Delivery, code: str) -> None:
        """Nothing more of the upload is sent to the address."""
        await tx.run(_GIVE_UP, **_names(delivery), code=code)

    def _until(self) -> int:
        return self._clock() + CLAIMED_MS

    def _taken(self, delivery: Delivery, taken: Delivery, state: str) -> dict[str, object]:
        return {
            **_names(delivery),
            "its_state": state,
            "its_page": taken.page,
            "its_message": taken.message,
            "its_cursor": taken.cursor,
            "its_records": taken.records,
            "until": self._until(),
        }


def _names(delivery: Delivery) -> dict[str, object]:
    return {"the_push": delivery.push, "the_upload": delivery.upload_no, "the_page": delivery.page}
