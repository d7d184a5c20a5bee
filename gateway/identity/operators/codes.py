"""One-time codes with which an operator's first passkey, or the one after a loss, is enrolled.

A code is 32 characters: 8 find it (40 bits, unknown to strangers), 24 prove it (120 bits). It holds for one hour,
for one enrolment, for five wrong guesses, and while its issuer may issue one. Whoever guesses without the first part
harms no code.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, bindparam, delete, insert, select, update

from gateway.clock import Clock
from gateway.database import Database, Query, Transaction
from gateway.identity.operators.ceremonies import hashed
from gateway.identity.operators.tables import enrolment_code

LIFE_MS: Final = 60 * 60 * 1000
MOST_ATTEMPTS: Final = 5

_ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""32 characters that are not mistaken for one another."""

_LOOKUP: Final = 8
_LENGTH: Final = 32
_GROUP: Final = 4

_ISSUE = Query(insert(enrolment_code))
_REPLACE = Query(delete(enrolment_code).where(enrolment_code.c.operator_id == bindparam("of")))
_END_ISSUED = Query(
    delete(enrolment_code).where(enrolment_code.c.issued_by == bindparam("by"), enrolment_code.c.used_at.is_(None))
)
_FIND = Query(select(enrolment_code).where(enrolment_code.c.id == bindparam("code")))
_ATTEMPT = Query(
    update(enrolment_code)
    .values(attempts=enrolment_code.c.attempts + 1)
    .where(
        enrolment_code.c.id == bindparam("code"),
        enrolment_code.c.attempts < bindparam("most", type_=BigInteger),
    )
)
_USE = Query(
    update(enrolment_code)
    .values(used_at=bindparam("now"))
    .where(enrolment_code.c.id == bindparam("code"), enrolment_code.c.used_at.is_(None))
)


class CodeRefused(Exception):
    """The code does not hold. `operator` is whose it is, where its first part was right."""

    def __init__(self, code: str, operator: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.operator = operator


@dataclass(frozen=True, slots=True)
class Code:
    """A code that holds: whose it is, and who issued it."""

    id: str
    operator: str
    issued_by: str


async def issue(tx: Transaction, operator_id: str, *, by: str, now_ms: int) -> str:
    """A new code in the place of any earlier one; shown once, kept as its hash."""
    text = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    await tx.run(_REPLACE, of=operator_id)
    await tx.run(
        _ISSUE,
        id=text[:_LOOKUP],
        operator_id=operator_id,
        secret_sha256=hashed(text[_LOOKUP:]),
        issued_by=by,
        attempts=0,
        expires_at=now_ms + LIFE_MS,
        used_at=None,
    )
    return "-".join(text[at : at + _GROUP] for at in range(0, _LENGTH, _GROUP))


async def end_issued(tx: Transaction, by: str) -> None:
    """End what an operator has issued and nobody has used: whoever issued a code knows it."""
    await tx.run(_END_ISSUED, by=by)


async def check(database: Database, clock: Clock, typed: str) -> Code:
    """The code that was typed, blanks, dashes and case aside; else `CodeRefused`, after counting the attempt."""
    text = "".join(typed.split()).replace("-", "").upper()
    lookup, secret = text[:_LOOKUP], text[_LOOKUP:]
    async with database.transaction() as tx:
        row = await tx.one(_FIND, code=lookup)
        counted = await tx.run(_ATTEMPT, code=lookup, most=MOST_ATTEMPTS)
    if row is None:
        raise CodeRefused("CODE_UNKNOWN")
    if not counted:
        raise CodeRefused("CODE_EXHAUSTED", row["operator_id"])
    if not hmac.compare_digest(row["secret_sha256"], hashed(secret)):
        raise CodeRefused("CODE_WRONG", row["operator_id"])
    if row["used_at"] is not None:
        raise CodeRefused("CODE_USED", row["operator_id"])
    if row["expires_at"] <= clock():
        raise CodeRefused("CODE_EXPIRED", row["operator_id"])
    return Code(lookup, row["operator_id"], row["issued_by"])


async def use(tx: Transaction, code: str, now_ms: int) -> bool:
    """Spend a code with the enrolment that it allowed: True for the first, False for every other."""
    row = await tx.one(_FIND, code=code)
    return row is not None and row["expires_at"] > now_ms and await tx.run(_USE, code=code, now=now_ms) == 1
