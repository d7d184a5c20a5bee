"""Keeps signed messages as evidence, each before the entry that names it."""

from __future__ import annotations

import json

from sqlalchemy import bindparam, insert, select

from gateway.access.tables import signed_message
from gateway.canonical import canonical
from gateway.clock import Clock
from gateway.database import Database, Query
from gateway.errors import NotFound
from gateway.identity import SignedMessage
from gateway.vault.keyring import KeyRing

_KEEP = Query(insert(signed_message))
_KEPT = Query(
    select(signed_message.c.member_id, signed_message.c.sealed).where(signed_message.c.sha256 == bindparam("sha256"))
)


class KeptMessages:
    """Signed messages by the digest of their signature base, sealed under the audit key of the member that asked."""

    def __init__(self, database: Database, keyring: KeyRing, clock: Clock) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock

    async def keep(self, member: str, message: SignedMessage) -> None:
        """Durable on return; `AlreadyExists` for a signature base that is kept already, on any process, for ever."""
        keys = await self._keyring.unlock(member)
        sealed = keys.seal_detail(message.document(), _bound(member, message.sha256))
        async with self._database.transaction() as tx:
            await tx.run(
                _KEEP,
                sha256=message.sha256,
                member_id=member,
                sealed=json.dumps(sealed),
                kept_at=self._clock(),
            )

    async def read(self, sha256: str) -> tuple[str, bytes]:
        """The member that asked, and the message's document for `SignedMessage.read`; `NotFound` for no such digest."""
        row = await self._database.one(_KEPT, sha256=sha256)
        if row is None:
            raise NotFound
        member: str = row["member_id"]
        keys = await self._keyring.unlock(member)
        return member, keys.open_detail(json.loads(row["sealed"]), _bound(member, sha256))


def _bound(member: str, sha256: str) -> bytes:
    return canonical({"use": "message", "member": member, "sha256": sha256})
