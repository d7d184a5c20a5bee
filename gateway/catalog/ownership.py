"""Whose a dataset is and which fields it has, for the packages below that must know (`agreements.Datasets`)."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, select

from gateway.catalog.schema import Schema
from gateway.catalog.tables import dataset
from gateway.confidentiality.classes import PUBLIC
from gateway.database import Query, Reading

_BY_ID = Query(
    select(dataset.c.owner_id, dataset.c.alliance_id, dataset.c.schema).where(dataset.c.id == bindparam("id"))
)


class Ownership:
    """Reads in the caller's snapshot or transaction."""

    async def fields_of(self, reading: Reading, *, owner: str, dataset: str) -> Collection[str] | None:
        """The names of a dataset's fields, or None where this member has no such dataset."""
        row = await reading.one(_BY_ID, id=dataset)
        if row is None or row["owner_id"] != owner:
            return None
        return Schema.read(row["schema"]).fields.keys()

    async def classes_of(self, reading: Reading, *, dataset: str) -> Collection[str]:
        """The classes of a dataset's confidential fields (clause 8.1.1); none for a dataset that there is not."""
        row = await reading.one(_BY_ID, id=dataset)
        if row is None:
            return ()
        return {field.confidentiality for field in Schema.read(row["schema"]).fields.values()} - {PUBLIC}

    async def owner_of(self, reading: Reading, *, alliance: str, dataset: str) -> str | None:
        """The member that owns a dataset, or None where the alliance has no such dataset."""
        row = await reading.one(_BY_ID, id=dataset)
        return None if row is None or row["alliance_id"] != alliance else str(row["owner_id"])

    async def filters_of(self, reading: Reading, *, dataset: str) -> Collection[str]:
        """The names of the dataset's fields that rows can be chosen by (`x-filter`)."""
        row = await reading.one(_BY_ID, id=dataset)
        fields = {} if row is None else Schema.read(row["schema"]).fields
        return {name for name, field in fields.items() if field.filterable}
