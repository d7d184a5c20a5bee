"""Which subjects of a dataset are one person, by their owner's word: a later withdrawal reaches all of them."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, insert, select

from gateway.catalog.tables import dataset
from gateway.consents.tables import same_person
from gateway.database import Query, Reading
from gateway.ledger import Change

_LINKED = Query(
    select(same_person.c.other).where(
        same_person.c.dataset_no == bindparam("dataset_no"), same_person.c.pseudonym == bindparam("pseudonym")
    )
)
_LINKED_ANYWHERE = Query(
    select(same_person.c.other)
    .join(dataset, dataset.c.no == same_person.c.dataset_no)
    .where(dataset.c.owner_id == bindparam("owner"), same_person.c.pseudonym == bindparam("pseudonym"))
)
_LINK = Query(insert(same_person))
_UNLINK = Query(
    delete(same_person).where(
        same_person.c.dataset_no == bindparam("dataset_no"),
        same_person.c.pseudonym == bindparam("pseudonym"),
        same_person.c.other == bindparam("other"),
    )
)


async def subjects_of(reading: Reading, dataset_no: int, pseudonym: str) -> list[str]:
    """Every subject that is this person, over however many links; this one first."""
    found = [pseudonym]
    for one in found:  # which grows while there are more
        rows = await reading.all(_LINKED, dataset_no=dataset_no, pseudonym=one)
        found += sorted({row["other"] for row in rows} - set(found))
    return found


async def subjects_at(reading: Reading, owner: str, pseudonym: str) -> list[str]:
    """Every subject that is this person in any dataset of its owner, over however many links; this one first."""
    found = [pseudonym]
    for one in found:  # as above
        rows = await reading.all(_LINKED_ANYWHERE, owner=owner, pseudonym=one)
        found += sorted({row["other"] for row in rows} - set(found))
    return found


async def link(change: Change, dataset_no: int, one: str, other: str) -> None:
    """Keep, from either side, that two subjects are one person. Twice changes nothing."""
    if other in await subjects_of(change.tx, dataset_no, one):
        return
    for subject, same in ((one, other), (other, one)):
        await change.tx.run(_LINK, dataset_no=dataset_no, pseudonym=subject, other=same)


async def unlink(change: Change, dataset_no: int, one: str, other: str) -> bool:
    """Forget, from either side, a link that was kept between these very two; whether there was one."""
    sides = ((one, other), (other, one))
    return all([await change.tx.run(_UNLINK, dataset_no=dataset_no, pseudonym=a, other=b) for a, b in sides])
