"""One-time codes: six digits, ten minutes, five tries counted durably, one use, in the visit they were sent for."""

from __future__ import annotations

import hmac
import secrets
from typing import Final

from sqlalchemy import BigInteger, LargeBinary, bindparam, null, select, update

from gateway.clock import Clock
from gateway.consents.asking.tables import visit as table
from gateway.consents.asking.visit import VISIT_MS, Visit
from gateway.database import Database, Query, Transaction
from gateway.errors import Invalid, TooManyAttempts

CODE_MS: Final = 10 * 60 * 1000
MOST_TRIES: Final = 5
_DIGITS: Final = 6

_visit = table.c
_ISSUE = Query(
    update(table)
    .values(
        code_mac=bindparam("mac", type_=LargeBinary),
        code_expires_at=bindparam("until", type_=BigInteger),
        attempts=0,
    )
    .where(_visit.id == bindparam("of_visit"), _visit.ends_at > bindparam("now", type_=BigInteger))
)
_TRY = Query(
    update(table)
    .values(attempts=_visit.attempts + 1)
    .where(
        _visit.id == bindparam("of_visit"),
        _visit.code_mac.is_not(None),
        _visit.code_expires_at > bindparam("now", type_=BigInteger),
        _visit.attempts < MOST_TRIES,
    )
)
_KEPT = Query(select(_visit.code_mac).where(_visit.id == bindparam("of_visit")))
_USE = Query(
    update(table)
    .values(code_mac=null(), confirmed_until=bindparam("until", type_=BigInteger), ends_at=bindparam("until"))
    .where(_visit.id == bindparam("of_visit"), _visit.code_mac == bindparam("mac", type_=LargeBinary))
)


async def issue(tx: Transaction, visit: Visit, now_ms: int) -> str | None:
    """A new code in the place of any earlier one; None where the visit is over. It is kept under the visit's key."""
    code = f"{secrets.randbelow(10**_DIGITS):0{_DIGITS}}"
    issued = await tx.run(_ISSUE, of_visit=visit.id, mac=_mac(visit, code), until=now_ms + CODE_MS, now=now_ms)
    return code if issued else None


async def check(database: Database, clock: Clock, visit: Visit, typed: str) -> bytes:
    """What `use` takes, if the code that was typed is right; the try is counted, durably, before anything is compared.

    `Invalid` for a wrong one, `TooManyAttempts` once the code is burnt, expired or used: then a new one is sent.
    """
    code = "".join(typed.split())
    async with database.transaction() as tx:
        counted = await tx.run(_TRY, of_visit=visit.id, now=clock())
        row = await tx.one(_KEPT, of_visit=visit.id)
    if not counted:
        raise TooManyAttempts("code_over", "This code is used up or too old.", remedy="Have a new one sent.")
    assert row is not None
    mac = _mac(visit, code)
    if not hmac.compare_digest(bytes(row["code_mac"]), mac):
        raise Invalid("code_wrong", "That is not the code.", field="code", remedy="Look at the newest message.")
    return mac


async def use(tx: Transaction, visit: Visit, mac: bytes, now_ms: int) -> bool:
    """Spend a code with what it confirms: True for the first, False for every other."""
    return await tx.run(_USE, of_visit=visit.id, mac=mac, until=now_ms + VISIT_MS) == 1


def _mac(visit: Visit, code: str) -> bytes:
    return hmac.digest(visit.code_key, code.encode("utf-8", "surrogatepass"), "sha256")
