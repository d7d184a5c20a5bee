from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import Table, bindparam, create_engine, delete, insert, select

from gateway.clock import system_clock
from gateway.database import Query, metadata
from gateway.database.sqlite import SQLiteDatabase
from gateway.identifiers import random_id
from gateway.ledger import Draft, Effect, Kind, Ledger, Opening, OpeningGroup, Warrant
from gateway.ledger import tables as ledger_tables
from gateway.vault.keyring import KeyRing
from gateway.vault.providers.local import Cost, LocalKeyring
from gateway.vault.sealed import KEY_ID, SALT, Layout, SealedRecord, parts_of, refs
from gateway.vault.subject_key import SubjectKey, WrappedSubjectKey
from gateway.vault.tables import member_key, signing_key, subject_key
from gateway.vault.vault import Vault

PASSPHRASE = b"four random words here"
LEDGER_TABLES = [table for table in vars(ledger_tables).values() if isinstance(table, Table)]
CHEAP = Cost(iterations=1, lanes=1, memory_kib=8)


@dataclass
class MovableClock:
    now: int = 1_790_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
async def key_database(tmp_path: Path) -> AsyncIterator[SQLiteDatabase]:
    path = tmp_path / "keys.db"
    engine = create_engine(f"sqlite:///{path}")
    metadata.create_all(engine, tables=[member_key, subject_key, signing_key, *LEDGER_TABLES])
    engine.dispose()
    database = SQLiteDatabase(path)
    yield database
    await database.close()


@pytest.fixture
def provider(tmp_path: Path) -> LocalKeyring:
    return LocalKeyring.create(tmp_path / "keyring.json", PASSPHRASE, cost=CHEAP)


@pytest.fixture
async def keyring(key_database: SQLiteDatabase, provider: LocalKeyring, clock: MovableClock) -> KeyRing:
    ring = KeyRing(key_database, provider, clock)
    async with key_database.transaction() as tx:
        await ring.create_member_keys(tx, "bank", clock())
        await ring.create_member_keys(tx, "hotel", clock())
    return ring


LAYOUT = Layout(
    alliance="alliance",
    owner="bank",
    dataset="customers",
    schema="customers-1",
    classes={"contact": 1, "profile": 2, "identity": 7},
    fields={
        "name": (0, "profile"),
        "city": (1, "profile"),
        "tier": (2, "profile"),
        "phone": (3, "contact"),
        "id_number": (61, "identity"),
    },
)
VALUES = {
    "name": b'"WANG-UNIQUE"',
    "city": b'"SHANGHAI-UNIQUE"',
    "phone": b'"13800138000-UNIQUE"',
    "id_number": b'"11010519491231002X"',
}
_NEW_SUBJECT_KEY = Query(insert(subject_key))
_SHRED = Query(delete(subject_key).where(subject_key.c.id == bindparam("id")))
_SUBJECT_KEY = Query(
    select(subject_key.c.wrapped, subject_key.c.key_version).where(subject_key.c.id == bindparam("id"))
)


class Parsed(NamedTuple):
    """A sealed record taken apart: see `parts_of`."""

    header: bytes
    present: bytes
    parts: dict[bytes, tuple[int, int]]

    @property
    def key_version(self) -> int:
        return int.from_bytes(self.header[4:8])

    @property
    def key_id(self) -> str:
        return self.header[KEY_ID].hex()

    @property
    def salt(self) -> bytes:
        return self.header[SALT]


def parse(sealed: bytes) -> Parsed:
    return Parsed(*parts_of(sealed))


@dataclass
class House:
    """A keyring, a ledger and a vault that are real, with what a catalog and an enforcement point would do."""

    database: SQLiteDatabase
    keyring: KeyRing
    ledger: Ledger
    vault: Vault
    stored: dict[str, WrappedSubjectKey] = field(default_factory=dict)

    async def subject_key(self, scope: str, member: str = "bank") -> SubjectKey:
        """The subject key of a scope, made on first use and stored in its row."""
        keys = await self.keyring.unlock(member)
        name = f"{member} {scope}"
        if name not in self.stored:
            made = self.stored[name] = keys.new_subject_key(random_id(), scope)
            async with self.database.transaction() as tx:
                await tx.run(
                    _NEW_SUBJECT_KEY,
                    id=made.key_id,
                    member_id=member,
                    scope=scope,
                    key_version=made.version,
                    wrapped=made.wrapped,
                    created_at=1,
                )
        return keys.unwrap_subject_key(self.stored[name])

    async def sealed(
        self,
        values: Mapping[str, bytes] = VALUES,
        *,
        layout: Layout = LAYOUT,
        pseudonym: str = "",
        record_id: bytes | None = None,
        version: int = 1,
    ) -> SealedRecord:
        record_id = record_id or os.urandom(16)
        scope = pseudonym or f"dataset:{layout.dataset}"
        key = await self.subject_key(scope, layout.owner)
        text = layout.sealer(key).seal(record_id, version, pseudonym, values)
        row = self.stored[f"{layout.owner} {scope}"]
        return SealedRecord(record_id, version, pseudonym, text, row.key_id, row.wrapped, row.version)

    async def read(self, record: SealedRecord) -> SealedRecord | None:
        """The record joined with its subject key's row as it stands, as a selection would."""
        row = await self.database.one(_SUBJECT_KEY, id=record.subject_key_id)
        return None if row is None else record._replace(wrapped=row["wrapped"], key_version=row["key_version"])

    async def shred(self, key_id: str) -> None:
        async with self.database.transaction() as tx:
            assert await tx.run(_SHRED, id=key_id) == 1

    async def warrant(
        self,
        records: Sequence[SealedRecord],
        *,
        layout: Layout = LAYOUT,
        classes: Sequence[str] | None = None,
        fields: Sequence[str] | None = None,
    ) -> Warrant:
        """A warrant for the records, for everything unless classes and fields are named."""
        group = OpeningGroup(
            classes=tuple(layout.classes if classes is None else classes),
            fields=tuple(layout.fields if fields is None else fields),
            withheld=(),
            records=tuple(refs(records)),
        )
        return await self.permit(Opening(layout.dataset, (group,)))

    async def permit(self, opening: Opening) -> Warrant:
        draft = Draft(
            log="bank", kind=Kind.ACCESS, facts={"purpose": "test"}, effect=Effect.PERMIT, opening=opening, narrowing=0
        )
        warrant = (await self.ledger.record(draft)).warrant
        assert warrant is not None
        return warrant

    async def open(
        self,
        records: Sequence[SealedRecord],
        *,
        layout: Layout = LAYOUT,
        classes: Sequence[str] | None = None,
        fields: Sequence[str] | None = None,
    ) -> list[bytes]:
        warrant = await self.warrant(records, layout=layout, classes=classes, fields=fields)
        return await self.vault.open(layout, records, warrant)

    async def outcomes(
        self, records: Sequence[SealedRecord], *, layout: Layout = LAYOUT
    ) -> list[bytes | BaseException]:
        """Open each record by itself, under a warrant of its own; the ledger enters them in batches."""
        opened: list[bytes | BaseException] = []
        for start in range(0, len(records), 500):
            opening = (self.open([record], layout=layout) for record in records[start : start + 500])
            outcomes = await asyncio.gather(*opening, return_exceptions=True)
            opened += [outcome[0] if isinstance(outcome, list) else outcome for outcome in outcomes]
        return opened


@pytest.fixture
async def house(key_database: SQLiteDatabase, keyring: KeyRing) -> AsyncIterator[House]:
    ledger = Ledger(key_database, system_clock, origin="alliance.example", node="test")
    async with ledger.changing() as change:
        await change.open_log("bank")
    yield House(key_database, keyring, ledger, Vault(keyring))
    await ledger.close()
