"""Who is in the alliance, for its members: names, and the keys that agreements are signed with."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import BigInteger, bindparam, select

from gateway.database import Database, Query, Reading
from gateway.members.tables import key_confirmation, member, member_signing_key

_PAGE = Query(
    select(member.c.id, member.c.name, member.c.industry, member.c.state)
    .where(
        member.c.alliance_id == bindparam("alliance"),
        member.c.id > bindparam("after"),
        member.c.state != "prospect",
    )
    .order_by(member.c.id)
    .limit(bindparam("most", type_=BigInteger))
)
_KEYS = Query(
    select(member_signing_key, key_confirmation.c.confirmed_at)
    .outerjoin(
        key_confirmation,
        (key_confirmation.c.fingerprint == member_signing_key.c.fingerprint)
        & (key_confirmation.c.member_id == bindparam("viewer")),
    )
    .where(member_signing_key.c.member_id == bindparam("member"))
    .order_by(member_signing_key.c.created_at, member_signing_key.c.fingerprint)
)


class Directory:
    """Lists the members of one alliance; of other alliances, and of prospects, it says nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, alliance: str, viewer: str, *, after: str, limit: int) -> list[dict[str, Any]]:
        """Up to `limit` members by id, beginning behind `after`, each with its signing keys.

        `confirmed` says whether the viewing member has confirmed a key.
        """
        async with self._database.reading() as snapshot:
            rows = await snapshot.all(_PAGE, alliance=alliance, after=after, most=limit)
            return [
                {
                    "id": row["id"],
                    "name": row["name"],
                    "industry": row["industry"],
                    "state": row["state"],
                    "signing_keys": await _keys(snapshot, row["id"], viewer),
                }
                for row in rows
            ]


async def _keys(snapshot: Reading, member_id: str, viewer: str) -> list[dict[str, Any]]:
    return [
        {
            "fingerprint": row["fingerprint"],
            "jwk": json.loads(row["jwk"]),
            "state": row["state"],
            "confirmed": row["confirmed_at"] is not None,
        }
        for row in await snapshot.all(_KEYS, member=member_id, viewer=viewer)
    ]
