"""The disclosure log: which of a person's data went to whom, when, for what (clause 4.3.2). An index, not a record.

What happened stands in the ledger. From its entries, and from the lists of records beside them, this is rebuilt; it
is brought up to date before it answers, and reading data waits for none of it. It holds names of fields, no values.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import BigInteger, LargeBinary, bindparam, insert, select, update

from gateway.access.tables import disclosure, disclosure_cursor
from gateway.canonical import canonical
from gateway.catalog.tables import dataset, record
from gateway.consents.tables import consent
from gateway.database import AlreadyExists, Database, Query, Reading, Row
from gateway.ledger.entries import Effect, Kind
from gateway.ledger.stored import entries, state

_AT_ONCE: Final = 200
_MOST_ROWS: Final = 500
_MARKS: Final = (b'"kind":"access"', b'"opening":', b'"consents":')
_CURSOR = Query(select(disclosure_cursor.c.next).where(disclosure_cursor.c.log_id == bindparam("log")))
_BEGIN = Query(insert(disclosure_cursor))
_ADVANCE = Query(
    update(disclosure_cursor)
    .values(next=bindparam("reached", type_=BigInteger))
    .where(
        disclosure_cursor.c.log_id == bindparam("log"), disclosure_cursor.c.next == bindparam("seen", type_=BigInteger)
    )
)
_ADD = Query(insert(disclosure))
_KNOWN = Query(
    select(disclosure.c.pseudonym)
    .where(disclosure.c.log_id == bindparam("log"), disclosure.c.record_id == bindparam("record"))
    .limit(1)
)
_DATASET = Query(select(dataset.c.no).where(dataset.c.id == bindparam("id")))
_PERSON = Query(
    select(record.c.pseudonym).where(
        record.c.dataset_no == bindparam("dataset_no", type_=BigInteger),
        record.c.id == bindparam("id", type_=LargeBinary),
    )
)
_CONSENT = Query(
    select(consent.c.id, consent.c.ended_at)
    .where(
        consent.c.dataset_no == bindparam("dataset_no", type_=BigInteger),
        consent.c.recipient_id == bindparam("recipient"),
        consent.c.purpose == bindparam("purpose"),
        consent.c.pseudonym == bindparam("pseudonym"),
        consent.c.recorded_at <= bindparam("at", type_=BigInteger),
    )
    .order_by(consent.c.recorded_at.desc(), consent.c.id)
)
_OF_PERSON = Query(
    select(disclosure)
    .where(disclosure.c.log_id == bindparam("log"), disclosure.c.pseudonym == bindparam("pseudonym"))
    .order_by(disclosure.c.idx, disclosure.c.record_id)
)
_RECORDS = Query(
    select(disclosure.c.record_id)
    .where(
        disclosure.c.log_id == bindparam("log"),
        disclosure.c.pseudonym == bindparam("pseudonym"),
        disclosure.c.dataset_no == bindparam("dataset_no", type_=BigInteger),
        disclosure.c.recipient_id == bindparam("recipient"),
    )
    .distinct()
    .order_by(disclosure.c.record_id)
)
_OWNERS = Query(select(dataset.c.owner_id).where(dataset.c.kind == "personal").distinct().order_by(dataset.c.owner_id))


class Disclosure(NamedTuple):
    """One access that opened something of a person: when (ms), by which entry, to whom, for what, and which fields."""

    at: int
    event_id: str
    recipient: str
    purpose: str
    agreement: str
    dataset_no: int
    consent: str
    fields: tuple[str, ...]


class Disclosures:
    """The index of every owner's log. Several processes may bring it up to date at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_person(self, owner: str, pseudonym: str) -> list[Disclosure]:
        """Everything that was disclosed of a person of an owner, oldest first, up to the newest entry there is."""
        await self.follow(owner)
        found: dict[int, Disclosure] = {}
        for row in await self._database.all(_OF_PERSON, log=owner, pseudonym=pseudonym):
            one = _disclosure(row)
            known = found.get(row["idx"])
            fields = one.fields if known is None else tuple(sorted({*known.fields, *one.fields}))
            found[row["idx"]] = one._replace(fields=fields)
        return list(found.values())

    async def records_of(self, owner: str, dataset_no: int, pseudonym: str, recipient: str) -> Sequence[str]:
        """The ids of a person's records that a recipient received."""
        await self.follow(owner)
        of = {"log": owner, "dataset_no": dataset_no, "pseudonym": pseudonym, "recipient": recipient}
        return [row["record_id"] for row in await self._database.all(_RECORDS, **of)]

    async def follow_all(self) -> None:
        """Bring the index of every owner of personal data up to date: before records that it speaks of are swept."""
        for row in await self._database.all(_OWNERS):
            await self.follow(row["owner_id"])

    async def follow(self, owner: str) -> None:
        """Bring the index up to the log's newest entry."""
        size = (await state(self._database, owner)).size
        at = await self._cursor(owner)
        while at < size:
            rows, reached = await self._read(owner, at, min(_AT_ONCE, size - at))
            async with self._database.transaction() as tx:
                if await tx.run(_ADVANCE, log=owner, seen=at, reached=reached):
                    await tx.many(_ADD, rows)
            at = await self._cursor(owner)
            await asyncio.sleep(0)

    async def _cursor(self, owner: str) -> int:
        row = await self._database.one(_CURSOR, log=owner)
        if row is not None:
            return int(row["next"])
        try:
            async with self._database.transaction() as tx:
                await tx.run(_BEGIN, log_id=owner, next=0)
        except AlreadyExists:
            return await self._cursor(owner)
        return 0

    async def _read(self, owner: str, first: int, count: int) -> tuple[list[dict[str, Any]], int]:
        """What the next entries disclosed, and up to which it was read: entries of many records are a few at a time."""
        async with self._database.reading() as snapshot:
            found: list[dict[str, Any]] = []
            for row in await entries(snapshot, owner, first, count):
                if len(found) >= _MOST_ROWS:
                    return found, int(row["idx"])
                body = bytes(row["body"])
                if all(mark in body for mark in _MARKS):
                    entry = orjson.loads(body)
                    if entry["kind"] == Kind.ACCESS and entry.get("effect") == Effect.PERMIT:
                        beside = None if row["detail"] is None else orjson.loads(bytes(row["detail"]))
                        found += await _rows(snapshot, owner, row["idx"], entry, beside)
            return found, first + count


async def _rows(reading: Reading, owner: str, idx: int, entry: Mapping[str, Any], beside: Any) -> list[dict[str, Any]]:
    """What an entry disclosed, a row for each record. Consents are named if they are those that the entry digests."""
    dataset_row = await reading.one(_DATASET, id=entry["opening"]["dataset"])
    assert dataset_row is not None
    agreement, _, _ = entry["agreement"].partition("@")
    common = {
        "log_id": owner,
        "idx": idx,
        "dataset_no": dataset_row["no"],
        "recipient_id": entry["actor"]["member"],
        "purpose": entry["purpose"],
        "agreement_id": agreement,
        "event_id": entry["event_id"],
        "at": entry["time"],
    }
    rows = []
    for fields, name in _opened(entry["opening"], beside):
        pseudonym = await _person(reading, owner, dataset_row["no"], name)
        found = {"record_id": name, "pseudonym": pseudonym, "fields": canonical(sorted(fields)).decode()}
        rows.append({**common, **found, "consent_id": await _consent(reading, common, entry, pseudonym)})
    consents = sorted(row["consent_id"] for row in rows)
    if hashlib.sha256(canonical(consents)).hexdigest() != entry["consents"]["sha256"]:
        return [row | {"consent_id": ""} for row in rows]
    return rows


async def _person(reading: Reading, owner: str, dataset_no: int, name: str) -> str:
    """Whose record it is; of a record that was replaced since, as it was known before; else ''."""
    row = await reading.one(_PERSON, dataset_no=dataset_no, id=bytes.fromhex(name))
    if row is None:
        row = await reading.one(_KNOWN, log=owner, record=name)
    return "" if row is None else str(row["pseudonym"])


async def _consent(reading: Reading, common: Mapping[str, Any], entry: Mapping[str, Any], pseudonym: str) -> str:
    """The consent that stood when it was judged, the newest if two did within a second; '' without one."""
    of = {name: common[name] for name in ("dataset_no", "purpose", "at")}
    rows = await reading.all(_CONSENT, **of, recipient=common["recipient_id"], pseudonym=pseudonym)
    judged = entry["judged_at"]
    return next((row["id"] for row in rows if row["ended_at"] is None or row["ended_at"] >= judged), "")


def _opened(opening: Mapping[str, Any], beside: Any) -> Iterator[tuple[Sequence[str], str]]:
    """The fields and the id of every record that an entry opened, whichever of its lists stand beside it."""
    groups = opening.get("groups", beside)
    for number, group in enumerate(groups):
        listed = group["records"] if isinstance(group["records"], list) else beside[number]
        for name in listed:
            yield group["fields"], name.partition("@")[0]


def _disclosure(row: Row) -> Disclosure:
    return Disclosure(
        at=row["at"],
        event_id=row["event_id"],
        recipient=row["recipient_id"],
        purpose=row["purpose"],
        agreement=row["agreement_id"],
        dataset_no=row["dataset_no"],
        consent=row["consent_id"],
        fields=tuple(orjson.loads(row["fields"])),
    )
