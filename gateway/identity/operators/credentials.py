"""Operators' passkeys as they are stored: found, added, used, revoked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, insert, select, update

from gateway.database import Query, Reading, Row, Transaction
from gateway.identity.operators.passkeys import NewPasskey, Used
from gateway.identity.operators.tables import operator_credential

_credential = operator_credential.c
_ADD = Query(insert(operator_credential))
_FIND = Query(select(operator_credential).where(_credential.id == bindparam("credential")))
_LIST = Query(
    select(operator_credential)
    .where(_credential.operator_id == bindparam("of"), _credential.state == "active")
    .order_by(_credential.created_at, _credential.id)
)
_USE = Query(
    update(operator_credential)
    .values(sign_count=bindparam("count"), backed_up=bindparam("backup"), used_at=bindparam("now"))
    .where(
        _credential.id == bindparam("credential"),
        _credential.sign_count == bindparam("former"),
        _credential.state == "active",
    )
)
_REVOKE = Query(
    update(operator_credential)
    .values(state="revoked")
    .where(
        _credential.id == bindparam("credential"),
        _credential.operator_id == bindparam("of"),
        _credential.state == "active",
    )
)
_REVOKE_ALL = Query(
    update(operator_credential)
    .values(state="revoked")
    .where(_credential.operator_id == bindparam("of"), _credential.state == "active")
)


@dataclass(frozen=True, slots=True)
class Credential:
    """A stored passkey. Times are milliseconds since the epoch."""

    id: str
    operator: str
    label: str
    public_key: bytes
    sign_count: int
    backed_up: bool
    vouched_by: str
    active: bool
    created_at: int
    used_at: int | None


async def find(reading: Reading, credential_id: str) -> Credential | None:
    """A passkey by its id, revoked ones included."""
    row = await reading.one(_FIND, credential=credential_id)
    return None if row is None else _credential_of(row)


async def of_operator(reading: Reading, operator_id: str) -> Sequence[Credential]:
    """An operator's active passkeys, oldest first."""
    return [_credential_of(row) for row in await reading.all(_LIST, of=operator_id)]


async def add(tx: Transaction, operator_id: str, made: NewPasskey, *, label: str, vouched_by: str, now_ms: int) -> None:
    """Store a new passkey; `AlreadyExists` if its id is anybody's already."""
    await tx.run(
        _ADD,
        id=made.id,
        operator_id=operator_id,
        label=label,
        public_key=made.public_key,
        sign_count=made.sign_count,
        backup_eligible=int(made.backup_eligible),
        backed_up=int(made.backed_up),
        aaguid=made.aaguid,
        vouched_by=vouched_by,
        state="active",
        created_at=now_ms,
        used_at=None,
    )


async def note_use(tx: Transaction, credential: Credential, used: Used, *, now_ms: int) -> bool:
    """Advance the counter; False if the passkey was revoked or used in between."""
    changed = await tx.run(
        _USE,
        credential=credential.id,
        former=credential.sign_count,
        count=used.sign_count,
        backup=int(used.backed_up),
        now=now_ms,
    )
    return changed == 1


async def revoke(tx: Transaction, operator_id: str, credential_id: str) -> bool:
    """End one passkey of this operator; False if there is no such active one."""
    return await tx.run(_REVOKE, of=operator_id, credential=credential_id) == 1


async def revoke_all(tx: Transaction, operator_id: str) -> int:
    """End every passkey of an operator; how many."""
    return await tx.run(_REVOKE_ALL, of=operator_id)


def _credential_of(row: Row) -> Credential:
    return Credential(
        row["id"],
        row["operator_id"],
        row["label"],
        bytes(row["public_key"]),
        row["sign_count"],
        bool(row["backed_up"]),
        row["vouched_by"],
        row["state"] == "active",
        row["created_at"],
        row["used_at"],
    )
