"""Where recipients want what is published to be sent: registered, listed, stopped. Each is an entry of the owner's log.

An address belongs to one client, agreement, dataset and purpose, and is worth no more than the token that named it:
every page is judged anew, as if that client asked for it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, bindparam, insert, select, update

from gateway.access.tables import push_address, push_delivery
from gateway.agreements.tables import agreement
from gateway.catalog.tables import dataset, upload
from gateway.database import Database, Query, Row
from gateway.errors import NotFound, Reason, Refused
from gateway.identifiers import random_id
from gateway.identity import Subject
from gateway.identity.key_address import checked_address
from gateway.ledger import Draft, Kind, Ledger
from gateway.ledger.change import Change

MOST_LISTED = 100
_COVERED = Query(
    select(agreement.c.owner_id, dataset.c.no)
    .select_from(agreement)
    .join(dataset, dataset.c.owner_id == agreement.c.owner_id)
    .where(
        agreement.c.id == bindparam("agreement"),
        agreement.c.recipient_id == bindparam("member"),
        dataset.c.id == bindparam("dataset"),
    )
)
_ADD = Query(insert(push_address))
_KNOWN = (push_address, dataset.c.id.label("dataset_id"))
_OWN = Query(
    select(*_KNOWN)
    .join(dataset, dataset.c.no == push_address.c.dataset_no)
    .where(push_address.c.recipient_id == bindparam("member"), push_address.c.id > bindparam("after"))
    .order_by(push_address.c.id)
    .limit(bindparam("most", type_=BigInteger))
)
_ONE = Query(
    select(*_KNOWN)
    .join(dataset, dataset.c.no == push_address.c.dataset_no)
    .where(push_address.c.id == bindparam("id"), push_address.c.recipient_id == bindparam("member"))
)
_SAME = Query(
    select(push_address.c.id).where(
        push_address.c.client_id == bindparam("client"),
        push_address.c.agreement_id == bindparam("agreement"),
        push_address.c.dataset_no == bindparam("dataset_no"),
        push_address.c.purpose == bindparam("purpose"),
        push_address.c.state == "active",
    )
)
_STOP = Query(
    update(push_address)
    .values(state="stopped", stopped_for=bindparam("code"))
    .where(push_address.c.id == bindparam("the_id"), push_address.c.state == "active")
)
_DELIVERIES = Query(
    select(push_delivery, upload.c.id.label("upload_id"))
    .join(upload, upload.c.no == push_delivery.c.upload_no)
    .where(push_delivery.c.address_id == bindparam("address"))
    .order_by(upload.c.published_at.desc())
    .limit(MOST_LISTED)
)


class PushAddresses:
    """The addresses of recipients. `loopback` lets one name this machine."""

    def __init__(self, database: Database, ledger: Ledger, *, loopback: bool) -> None:
        self._database = database
        self._ledger = ledger
        self._loopback = loopback

    async def register(
        self, subject: Subject, agreement_id: str, dataset_id: str, purpose: str, uri: str
    ) -> dict[str, Any]:
        """Send from now on what is published, in place of the client's former address for the same.

        `Refused` unless the token grants to read this dataset under this agreement for this purpose; `Invalid` for an
        address that is not acceptable (as a `jwks_uri`). Whether the method is agreed, each page's decision says.
        """
        address = checked_address(uri, loopback=self._loopback)
        if not any(
            grant.agreement == agreement_id
            and dataset_id in grant.datasets
            and purpose in grant.purposes
            and "read" in grant.actions
            for grant in subject.agreements
        ):
            raise Refused((Reason("ACTION_NOT_GRANTED"),))
        row = await self._database.one(_COVERED, agreement=agreement_id, member=subject.member, dataset=dataset_id)
        if row is None:
            raise NotFound
        push = random_id()
        async with self._ledger.changing(row["owner_id"]) as change:
            triple = {"agreement": agreement_id, "dataset_no": row["no"], "purpose": purpose}
            for former in await change.tx.all(_SAME, client=subject.client, **triple):
                await stop(change, row["owner_id"], former["id"], "REPLACED", subject.actor())
            await change.tx.run(
                _ADD,
                id=push,
                alliance_id=subject.alliance,
                owner_id=row["owner_id"],
                recipient_id=subject.member,
                client_id=subject.client,
                agreement_id=agreement_id,
                dataset_no=row["no"],
                purpose=purpose,
                uri=address,
                state="active",
                stopped_for=None,
                created_at=change.now_ms,
            )
            named = {"agreement": agreement_id, "dataset": dataset_id, "purpose": purpose, "uri": address}
            facts = {"act": "push_registered", "actor": subject.actor(), "push": push, **named}
            change.enter(Draft(log=row["owner_id"], kind=Kind.ADMIN, facts=facts))
        return await self.show(subject, push)

    async def page(self, subject: Subject, *, after: str, limit: int) -> list[dict[str, Any]]:
        """The member's addresses by id, active and stopped."""
        rows = await self._database.all(_OWN, member=subject.member, after=after, most=limit)
        return [_described(row) for row in rows]

    async def show(self, subject: Subject, push: str) -> dict[str, Any]:
        """One of the member's addresses with its newest deliveries; `NotFound` for everybody else's."""
        row = await self._found(subject, push)
        deliveries = await self._database.all(_DELIVERIES, address=push)
        return {
            **_described(row),
            "deliveries": [
                {
                    "upload": one["upload_id"],
                    "state": one["state"],
                    "pages": one["page"] - 1,
                    "records": one["records"],
                    "attempts": one["attempts"],
                    "last_code": one["last_code"],
                }
                for one in deliveries
            ],
        }

    async def end(self, subject: Subject, push: str) -> None:
        """Send nothing more there, from this entry on; a second time changes nothing."""
        row = await self._found(subject, push)
        async with self._ledger.changing(row["owner_id"]) as change:
            await stop(change, row["owner_id"], push, "ENDED", subject.actor())

    async def _found(self, subject: Subject, push: str) -> Row:
        row = await self._database.one(_ONE, id=push, member=subject.member)
        if row is None:
            raise NotFound
        return row


async def stop(change: Change, owner: str, push: str, code: str, actor: dict[str, str]) -> None:
    """Stop an active address, with its entry in the owner's log; a stopped one stays as it is."""
    if await change.tx.run(_STOP, the_id=push, code=code):
        facts = {"act": "push_stopped", "actor": actor, "push": push, "code": code}
        change.enter(Draft(log=owner, kind=Kind.ADMIN, facts=facts))


def _described(row: Row) -> dict[str, Any]:
    created = datetime.fromtimestamp(row["created_at"] // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "id": row["id"],
        "client": row["client_id"],
        "agreement": row["agreement_id"],
        "dataset": row["dataset_id"],
        "purpose": row["purpose"],
        "uri": row["uri"],
        "state": row["state"],
        "stopped_for": row["stopped_for"],
        "created_at": created,
    }
