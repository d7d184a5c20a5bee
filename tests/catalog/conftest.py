"""An owner with keys and a log, on real components: database, keyring, ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import insert
from stdnum.cn import uscc

from gateway.catalog.dataset import Dataset
from gateway.catalog.datasets import Datasets
from gateway.catalog.uploads import Upload, Uploads
from gateway.clock import system_clock
from gateway.database import Database, Query, Transaction
from gateway.identity import register_client
from gateway.identity.subject import MEMBER_ACTIONS, Subject
from gateway.ledger import Ledger
from gateway.members.members import HIGHEST_CLEARANCE, OPEN_END_MS
from gateway.members.tables import alliance, member
from gateway.rights.erasing import deleted_since
from gateway.vault.keyring import KeyRing
from gateway.vault.providers.local import Cost, LocalKeyring

ALLIANCE = "a" * 32
AIRLINE, BANK, HOTEL = "1" * 32, "2" * 32, "3" * 32


def uscc_of(number: int) -> str:
    """A code that a company could have."""
    body = f"91310000MA1{number:06d}"
    return body + str(uscc.calc_check_digit(body))


@dataclass
class Movable:
    """A clock that tests move."""

    now: int = field(default_factory=system_clock)

    def __call__(self) -> int:
        return self.now


def subject_of(member_id: str, *, actions: Iterable[str] = MEMBER_ACTIONS, client: str = "") -> Subject:
    return Subject(
        alliance=ALLIANCE,
        member=member_id,
        client=client or f"client-{member_id[:4]}",
        agreements=(),
        actions=frozenset(actions),
        token="t",
        jkt="j",
        expires_at=2**40,
        client_version=1,
    )


@dataclass
class Shop:
    """The catalogue of an alliance of three."""

    database: Database
    clock: Movable
    ledger: Ledger
    keyring: KeyRing
    datasets: Datasets
    uploads: Uploads
    owner: Subject

    async def declare(
        self, properties: dict[str, Any], *, name: str = "table", unique: tuple[str, ...] = (), person: str = ""
    ) -> Dataset:
        schema: dict[str, Any] = {"type": "object", "x-kind": "market", "properties": properties}
        if unique:
            schema["x-unique"] = list(unique)
        if person:
            schema |= {"x-kind": "personal", "x-subject-field": person}
        told = orjson.loads(await self.datasets.declare(self.owner, name, schema, key=None))
        return await self.datasets.owned(self.owner, told["id"])

    async def upload(self, dataset: Dataset, content: bytes, *, step: int = 1 << 16, **asked: Any) -> dict[str, Any]:
        wanted = Upload(dataset_id=dataset.id, **{"media_type": "text/csv", **asked})
        told: dict[str, Any] = orjson.loads(await self.uploads.receive(self.owner, wanted, pieces(content, step)))
        return told


async def pieces(content: bytes, step: int = 1 << 16) -> AsyncIterator[bytes]:
    for at in range(0, len(content), step):
        yield content[at : at + step]


async def admitted(tx: Transaction, alliance_id: str, member_id: str, number: int, now_ms: int) -> None:
    """A member with this number in its name and its code."""
    await tx.run(
        Query(insert(member)),
        id=member_id,
        alliance_id=alliance_id,
        name=f"Member {number}",
        uscc=uscc_of(number),
        industry="air",
        state="admitted",
        version=1,
        created_at=now_ms,
        revision=1,
        qualified_until=OPEN_END_MS,
        clearance=HIGHEST_CLEARANCE,
        country="CN",
    )


async def opened_shop(database: Database, folder: Path) -> Shop:
    clock = Movable()
    provider = LocalKeyring.create(
        folder / "keyring.json", b"a passphrase for tests", cost=Cost(memory_kib=8, iterations=1, lanes=1)
    )
    keyring = KeyRing(database, provider, clock)
    ledger = Ledger(database, clock, origin="test.example", node="test")
    async with database.transaction() as tx:
        await tx.run(Query(insert(alliance)), id=ALLIANCE, name="Four", created_at=clock.now, environment="test")
        for number, member_id in enumerate((AIRLINE, BANK, HOTEL)):
            await admitted(tx, ALLIANCE, member_id, number, clock.now)
            await keyring.create_member_keys(tx, member_id, clock.now)
            client = subject_of(member_id).client
            await register_client(tx, client_id=client, member_id=member_id, name="systems", now_ms=clock.now)
    async with ledger.changing() as change:
        for member_id in (AIRLINE, BANK, HOTEL):
            await change.open_log(member_id)
    datasets = Datasets(database, ledger)
    uploads = Uploads(database, datasets, keyring, ledger, clock, deleted_since)
    return Shop(database, clock, ledger, keyring, datasets, uploads, subject_of(AIRLINE))


@pytest.fixture
async def shop(sqlite_database: Database, tmp_path: Path) -> AsyncIterator[Shop]:
    opened = await opened_shop(sqlite_database, tmp_path)
    yield opened
    await opened.ledger.close()


@pytest.fixture
async def shop_on_both(database: Database, tmp_path: Path) -> AsyncIterator[Shop]:
    opened = await opened_shop(database, tmp_path)
    yield opened
    await opened.ledger.close()
