"""Where members want to be told of withdrawals: one address each, named by one of its clients."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, bindparam, delete, insert, select, update

from gateway.clock import MILLISECONDS
from gateway.consents.following.states import UNMET
from gateway.consents.following.tables import follow_up, stands_at, withdrawal_address, withdrawal_message
from gateway.database import Database, Query
from gateway.errors import Invalid, NotFound
from gateway.identity import Subject
from gateway.identity.key_address import checked_address
from gateway.ledger import Draft, Kind, Ledger

_OF_MEMBER = Query(select(withdrawal_address).where(withdrawal_address.c.member_id == bindparam("member")))
_ADD = Query(insert(withdrawal_address))
_FORGET = Query(delete(withdrawal_address).where(withdrawal_address.c.member_id == bindparam("the_member")))
_TRY_AGAIN = Query(
    update(withdrawal_message)
    .values(
        state="due",
        created_at=bindparam("now", type_=BigInteger),
        due_at=bindparam("now", type_=BigInteger),
    )
    .where(
        withdrawal_message.c.recipient_id == bindparam("the_member"),
        withdrawal_message.c.state == "given_up",
        withdrawal_message.c.id.in_(select(follow_up.c.id).where(stands_at(UNMET))),
    )
)


class WithdrawalAddresses:
    """The addresses of recipients; `loopback` lets one name this machine. Changes are entries of the alliance's log."""

    def __init__(self, database: Database, ledger: Ledger, *, loopback: bool) -> None:
        self._database = database
        self._ledger = ledger
        self._loopback = loopback

    async def register(self, subject: Subject, uri: object) -> dict[str, Any]:
        """Tell the member there from now on, in place of a former address. Needs `withdraw`.

        What was given up for want of an answer, and is still to be complied with, is sent again. `Invalid` for an
        address that is not acceptable (as a `jwks_uri`).
        """
        subject.require("withdraw")
        try:
            address = checked_address(uri, loopback=self._loopback)
        except Invalid:
            raise Invalid(
                "invalid_address",
                "An address is a public https URL of at most 512 characters, without user and fragment.",
                field="/uri",
            ) from None
        async with self._ledger.changing(subject.alliance) as change:
            await change.tx.run(_FORGET, the_member=subject.member)
            row = {"member_id": subject.member, "client_id": subject.client, "uri": address}
            await change.tx.run(_ADD, **row, registered_at=change.now_ms)
            await change.tx.run(_TRY_AGAIN, the_member=subject.member, now=change.now_ms)
            facts = {"act": "withdrawal_address_registered", "actor": subject.actor(), "uri": address}
            change.enter(Draft(log=subject.alliance, kind=Kind.ADMIN, facts=facts))
        return await self.show(subject)

    async def show(self, subject: Subject) -> dict[str, Any]:
        """The member's address; `NotFound` where it has none."""
        row = await self._database.one(_OF_MEMBER, member=subject.member)
        if row is None:
            raise NotFound
        at = datetime.fromtimestamp(row["registered_at"] // MILLISECONDS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"uri": row["uri"], "client": row["client_id"], "registered_at": at}

    async def end(self, subject: Subject) -> None:
        """Send nothing more there; a second time changes nothing. Needs `withdraw`."""
        subject.require("withdraw")
        async with self._ledger.changing(subject.alliance) as change:
            if await change.tx.run(_FORGET, the_member=subject.member):
                facts = {"act": "withdrawal_address_ended", "actor": subject.actor()}
                change.enter(Draft(log=subject.alliance, kind=Kind.ADMIN, facts=facts))
