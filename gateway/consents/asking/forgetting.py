"""An erasure in what asks persons: no link and no visit leads to them any more, and no number is known by its term."""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, case, delete, null, update

from gateway.consents.asking.tables import asking_link, consent_request, visit
from gateway.database import Query, Transaction

_NO_TERM: Final = b""
_STATE = consent_request.c.state
_QUESTIONS = Query(
    update(consent_request)
    .values(term=_NO_TERM, next_at=null(), state=case((_STATE == "answered", _STATE), else_="lapsed"))
    .where(consent_request.c.owner_id == bindparam("owner"), consent_request.c.pseudonym == bindparam("person"))
)
_LEADING = [Query(delete(table).where(table.c.persons.contains(bindparam("person")))) for table in (asking_link, visit)]


async def forget(tx: Transaction, owner: str, pseudonym: str) -> None:
    """End the person's questions; of links and visits that lead to others as well, these need a new one."""
    await tx.run(_QUESTIONS, owner=owner, person=pseudonym)
    for leading in _LEADING:
        await tx.run(leading, person=pseudonym)
