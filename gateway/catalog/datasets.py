"""Declaring datasets, and finding them: by their owner, or by what governs an access."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import bindparam, insert, select

from gateway.catalog.dataset import Dataset
from gateway.catalog.declaration import declare
from gateway.catalog.tables import dataset
from gateway.characters import shown_as_written
from gateway.database import AlreadyExists, Database, Query
from gateway.database.idempotency import fingerprint, recall, remember
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identifiers import random_id
from gateway.identity.subject import Subject
from gateway.ledger import Draft, Kind, Ledger

_NEW = Query(insert(dataset))
_BY_ID = Query(select(dataset).where(dataset.c.id == bindparam("id"), dataset.c.owner_id == bindparam("owner")))
_AT = Query(select(dataset).where(dataset.c.no == bindparam("no"), dataset.c.version == bindparam("version")))
_OF_OWNER = Query(
    select(dataset)
    .where(dataset.c.owner_id == bindparam("owner"), dataset.c.id > bindparam("after"))
    .order_by(dataset.c.id)
    .limit(bindparam("most"))
)
_LONGEST_NAME = 200
_REMEMBERED = 1024
LONGEST_PAGE = 100


class Datasets:
    """The datasets of every owner. Nobody but its owner learns of one here; parties do through agreements."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger
        self._parsed: dict[tuple[int, int], Dataset] = {}

    async def declare(self, subject: Subject, name: str, schema: Mapping[str, Any], *, key: str | None) -> bytes:
        """Declare a dataset and return its description as JSON; needs the action `upload`.

        `schema` is its JSON Schema in order of declaration (`gateway.catalog.declaration`); `key` an
        `Idempotency-Key` or None. `Conflicting` if the owner has a dataset of this name.
        """
        subject.require("upload")
        if not 0 < len(name) <= _LONGEST_NAME:
            raise Invalid("invalid_name", f"A name has 1 to {_LONGEST_NAME} characters.", field="/name")
        shown_as_written(name, "/name")
        digest = fingerprint("POST /v1/datasets", name, json.dumps(schema))
        if (known := await recall(self._database, client_id=subject.client, key=key, fingerprint=digest)) is not None:
            return known
        checked = declare(schema)
        try:
            async with self._ledger.changing(subject.member) as change:
                row = {
                    "no": secrets.randbits(62),
                    "id": random_id(),
                    "alliance_id": subject.alliance,
                    "owner_id": subject.member,
                    "name": name,
                    "kind": checked.kind,
                    "schema": checked.text,
                    "subject_field": checked.subject_field,
                    "version": 1,
                    "created_at": change.now_ms,
                }
                await change.tx.run(_NEW, **row)
                declared = Dataset.of(row)
                facts = {
                    "act": "dataset_declared",
                    "actor": {"member": subject.member, "client": subject.client},
                    "dataset": declared.id,
                    "dataset_kind": checked.kind,
                    "schema_sha256": declared.schema_sha256,
                }
                change.enter(Draft(log=subject.member, kind=Kind.CATALOG, facts=facts))
                answer = described(declared)
                await remember(
                    change.tx,
                    client_id=subject.client,
                    key=key,
                    fingerprint=digest,
                    answer=answer,
                    now_ms=change.now_ms,
                )
        except AlreadyExists:
            known = await recall(self._database, client_id=subject.client, key=key, fingerprint=digest)
            if known is not None:
                return known
            raise Conflicting(
                "name_taken", "You have a dataset of this name.", field="/name", remedy="Choose another."
            ) from None
        return answer

    async def owned(self, subject: Subject, dataset_id: str) -> Dataset:
        """A dataset of the subject's own member; `NotFound` for everybody else's."""
        row = await self._database.one(_BY_ID, id=dataset_id, owner=subject.member)
        if row is None:
            raise NotFound
        return Dataset.of(row)

    async def page(self, subject: Subject, *, after: str, limit: int) -> Sequence[Dataset]:
        """Up to `limit` datasets of the subject's member, by id, after the id `after` ('' to begin)."""
        most = max(1, min(limit, LONGEST_PAGE))
        return [
            Dataset.of(row) for row in await self._database.all(_OF_OWNER, owner=subject.member, after=after, most=most)
        ]

    async def at(self, dataset_no: int, version: int) -> Dataset:
        """The dataset as of a version that the caller has just read; `NotFound` if it has moved since."""
        known = self._parsed.get((dataset_no, version))
        if known is not None:
            return known
        row = await self._database.one(_AT, no=dataset_no, version=version)
        if row is None:
            raise NotFound
        if len(self._parsed) >= _REMEMBERED:
            self._parsed.pop(next(iter(self._parsed)))
        found = self._parsed[dataset_no, version] = Dataset.of(row)
        return found


def described(of: Dataset) -> bytes:
    """A dataset as its owner sees it."""
    return orjson.dumps(
        {
            "id": of.id,
            "name": of.name,
            "version": of.version,
            "schema_sha256": of.schema_sha256,
            "schema": orjson.Fragment(of.schema.text),
        }
    )
