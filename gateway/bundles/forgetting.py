"""An erasure in bundles: what was suggested to a person, and its switch."""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, delete

from gateway.bundles.tables import bundle, bundle_switch
from gateway.database import Query, Transaction

_OF_PERSON: Final = [
    Query(delete(table).where(table.c.owner_id == bindparam("owner"), table.c.pseudonym == bindparam("person")))
    for table in (bundle, bundle_switch)
]


async def forget(tx: Transaction, owner: str, pseudonym: str) -> None:
    """Leave none of it."""
    for of_person in _OF_PERSON:
        await tx.run(of_person, owner=owner, person=pseudonym)
