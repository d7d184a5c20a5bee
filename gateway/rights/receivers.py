"""Who ever received something of a person: by the consents that a permit named, whatever became of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import bindparam, select

from gateway.catalog.tables import dataset
from gateway.consents.same_person import subjects_at
from gateway.consents.tables import consent
from gateway.database import Query, Reading
from gateway.rights.neighbours import Disclosures
from gateway.rights.request import Person

_RECEIVED = Query(
    select(consent.c.recipient_id, consent.c.id, consent.c.dataset_no, dataset.c.id.label("dataset_id"))
    .join(dataset, dataset.c.no == consent.c.dataset_no)
    .where(
        dataset.c.owner_id == bindparam("owner"),
        consent.c.pseudonym == bindparam("pseudonym"),
        consent.c.disclosed_at.is_not(None),
    )
    .order_by(consent.c.recipient_id, consent.c.id)
)


@dataclass(slots=True)
class Received:
    """What one member may have received: consents it was permitted under, by datasets (number -> id)."""

    member: str
    consents: list[str] = field(default_factory=list)
    datasets: dict[int, str] = field(default_factory=dict)


async def receivers_of(reading: Reading, person: Person) -> Mapping[str, Received]:
    """Member -> what it may have received of any subject that is this person; perhaps more than it did, never less."""
    found: dict[str, Received] = {}
    for subject in await subjects_at(reading, *person):
        for row in await reading.all(_RECEIVED, owner=person.owner, pseudonym=subject):
            one = found.setdefault(row["recipient_id"], Received(row["recipient_id"]))
            one.consents.append(row["id"])
            one.datasets[row["dataset_no"]] = row["dataset_id"]
    return found


async def records_of(
    disclosures: Disclosures, person: Person, subjects: Sequence[str], of: Received
) -> Mapping[str, Sequence[str]]:
    """Dataset -> the ids of the records there of a person's subjects, of those alone that the member received."""
    return {
        name: [
            record
            for subject in subjects
            for record in await disclosures.records_of(person.owner, no, subject, of.member)
        ]
        for no, name in of.datasets.items()
    }
