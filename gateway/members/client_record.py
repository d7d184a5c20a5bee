"""A client as its member's alliance knows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from gateway.database import Query, Reading
from gateway.errors import NotFound
from gateway.identity.methods import Method
from gateway.identity.tables import client
from gateway.members.tables import alliance, member

_CLIENT = Query(
    select(
        client.c.id,
        client.c.name,
        client.c.created_at,
        client.c.jwks_uri,
        *(client.c.method, client.c.binding, client.c.certificate_name, client.c.certificates, client.c.assertion_typ),
        client.c.member_id,
        member.c.alliance_id,
        alliance.c.environment,
    )
    .join(member, member.c.id == client.c.member_id)
    .join(alliance, alliance.c.id == member.c.alliance_id)
    .where(client.c.id == bindparam("id"))
)
_MEMBERS = Query(select(member.c.id).where(member.c.alliance_id == bindparam("alliance")).order_by(member.c.id))


@dataclass(frozen=True, slots=True)
class ClientRecord:
    """One client. Its environment is its alliance's, so that no row can say otherwise."""

    id: str
    member: str
    alliance: str
    environment: str
    name: str
    created_at: int
    jwks_uri: str | None
    method: Method

    def facts(self) -> dict[str, str]:
        """For an entry."""
        return {"member": self.member, "client": self.id, "environment": self.environment}


async def client_record(reading: Reading, client_id: str) -> ClientRecord:
    """The record of a client in any state, or `NotFound`."""
    row = await reading.one(_CLIENT, id=client_id)
    if row is None:
        raise NotFound
    return ClientRecord(
        id=row["id"],
        member=row["member_id"],
        alliance=row["alliance_id"],
        environment=row["environment"],
        name=row["name"],
        created_at=row["created_at"],
        jwks_uri=row["jwks_uri"],
        method=Method.of(row),
    )


async def owners_of(reading: Reading, alliance_id: str) -> Sequence[str]:
    """Every member of an alliance: the owners whose permits a client's end concerns."""
    return [row["id"] for row in await reading.all(_MEMBERS, alliance=alliance_id)]
