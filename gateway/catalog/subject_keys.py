"""Subject keys for sealing: the ones there are, and new ones where there are none."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from time import monotonic

from sqlalchemy import bindparam, insert, select

from gateway.database import AlreadyExists, Database, Query, Reading
from gateway.errors import Conflicting
from gateway.identifiers import random_id
from gateway.vault.keyring import MemberKeys, SubjectKey, WrappedSubjectKey
from gateway.vault.tables import subject_key

_OF_SCOPE = Query(
    select(subject_key.c.id, subject_key.c.key_version, subject_key.c.wrapped).where(
        subject_key.c.member_id == bindparam("member"), subject_key.c.scope == bindparam("scope")
    )
)
_BY_ID = Query(select(subject_key.c.id).where(subject_key.c.id == bindparam("id")))
_NEW = Query(insert(subject_key))
_ATTEMPTS = 3
_AT_ONCE = 50
_LONGEST_TRANSACTION_S = 0.04


async def subject_keys(
    database: Database, keys: MemberKeys, scopes: Collection[str], now_ms: int
) -> dict[str, SubjectKey]:
    """Scope -> key, for one batch of sealing: each key's row has just been read or written."""
    stored: dict[str, WrappedSubjectKey] = {}
    missing = list(scopes)
    async with database.reading() as reading:
        for position, scope in enumerate(missing):
            row = await reading.one(_OF_SCOPE, member=keys.member_id, scope=scope)
            if row is not None:
                stored[scope] = WrappedSubjectKey(row["id"], scope, row["key_version"], bytes(row["wrapped"]))
            if position % _AT_ONCE == 0:
                await asyncio.sleep(0)
    missing = [scope for scope in missing if scope not in stored]
    while missing:
        made = await _make(database, keys, missing, now_ms)
        stored.update(made)
        missing = missing[len(made) :]
    return await asyncio.to_thread(lambda: {scope: keys.unwrap_subject_key(key) for scope, key in stored.items()})


async def require_key(reading: Reading, key_id: str) -> None:
    """`Conflicting` where a key was shredded since it was read: of whom it was nothing more is kept, nor is this."""
    if await reading.one(_BY_ID, id=key_id) is None:
        raise Conflicting("person_deleted", "The person was deleted meanwhile.", remedy="Send it again if it is new.")


async def _make(database: Database, keys: MemberKeys, scopes: list[str], now_ms: int) -> dict[str, WrappedSubjectKey]:
    """Keys for the first of `scopes`, as many as fit in one short transaction."""
    for _ in range(_ATTEMPTS - 1):
        with suppress(AlreadyExists):  # another process made one of them meanwhile: look again
            return await _make_at_once(database, keys, scopes, now_ms)
    return await _make_at_once(database, keys, scopes, now_ms)


async def _make_at_once(
    database: Database, keys: MemberKeys, scopes: list[str], now_ms: int
) -> dict[str, WrappedSubjectKey]:
    made: dict[str, WrappedSubjectKey] = {}
    async with database.transaction() as tx:
        end = monotonic() + _LONGEST_TRANSACTION_S
        for position, scope in enumerate(scopes):
            row = await tx.one(_OF_SCOPE, member=keys.member_id, scope=scope)
            if row is not None:
                made[scope] = WrappedSubjectKey(row["id"], scope, row["key_version"], bytes(row["wrapped"]))
                continue
            new = keys.new_subject_key(random_id(), scope)
            await tx.run(
                _NEW,
                id=new.key_id,
                member_id=keys.member_id,
                scope=scope,
                key_version=new.version,
                wrapped=new.wrapped,
                created_at=now_ms,
            )
            made[scope] = new
            if position % _AT_ONCE == _AT_ONCE - 1:
                if monotonic() > end:
                    break
                await asyncio.sleep(0)
    return made
