"""What is held about a person's consents, to take along: a ZIP of JSON, HTML, notices and receipts behind a link.

The link is 256 random bits, kept as their SHA-256; it lasts for three days and for five fetches. Nothing of an export
is kept: it is made when it is fetched, and each fetch is an entry. Values of the person's fields are not in it: they
leave by a consented release alone, and the owner, which has them, gives them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, Final

from sqlalchemy import BigInteger, bindparam, insert, select, update

from gateway.cases.case import told
from gateway.catalog.dataset import Dataset
from gateway.catalog.tables import dataset
from gateway.clock import seconds
from gateway.consents.receipts import ConsentReceipts
from gateway.consents.record import Record, names_of
from gateway.consents.records import Records
from gateway.consents.same_person import subjects_at
from gateway.consents.tables import notice
from gateway.database import Database, Query, Reading
from gateway.errors import Conflicting, NotFound
from gateway.identity.subject import Subject
from gateway.ledger import Ledger
from gateway.rights.exported_page import page_of
from gateway.rights.neighbours import Disclosed, Disclosures, Following, followed
from gateway.rights.request import Person, Request, entry, existing
from gateway.rights.requests import Requests
from gateway.rights.states import EXPORTED, RequestState
from gateway.rights.tables import rights_export
from gateway.rights.tasks import Tasks

LIFETIME_MS: Final = 72 * 3600 * 1000
MOST_FETCHES: Final = 5
_TOKEN_BYTES: Final = 32
_GUARDIAN: Final = "guardian"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_ADD = Query(insert(rights_export))
_FIND = Query(select(rights_export).where(rights_export.c.token_sha256 == bindparam("digest")))
_FETCH = Query(
    update(rights_export)
    .values(fetches_left=rights_export.c.fetches_left - 1)
    .where(
        rights_export.c.token_sha256 == bindparam("the_digest"),
        rights_export.c.fetches_left > 0,
        rights_export.c.expires_at > bindparam("now", type_=BigInteger),
    )
)
_DATASET = Query(select(dataset).where(dataset.c.no == bindparam("no")))
_NOTICE = Query(select(notice).where(notice.c.id == bindparam("id")))


class Exporting:
    """Makes links, and what is behind them."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        requests: Requests,
        tasks: Tasks,
        *,
        records: Records,
        receipts: ConsentReceipts,
        following: Following,
        disclosures: Disclosures,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._requests = requests
        self._tasks = tasks
        self._records = records
        self._receipts = receipts
        self._following = following
        self._disclosures = disclosures

    async def link(self, subject: Subject, request_id: str) -> dict[str, Any]:
        """A link for the owner to hand over, for a request of `EXPORTED` kinds that was granted. Needs `withdraw`."""
        subject.require("withdraw")
        found = await self._requests.owned(subject, request_id)
        return await self._link(found, {"member": subject.member, "client": subject.client})

    async def link_for(self, person: Person, request_id: str, *, visit: str) -> dict[str, Any]:
        """The same for the person's page, in a confirmed visit; `NotFound` for another person's request."""
        found = await existing(self._database, request_id)
        if found.person != person:
            raise NotFound
        return await self._link(found, {"visit": visit})

    async def _link(self, found: Request, actor: Mapping[str, str]) -> dict[str, Any]:
        if found.kind not in EXPORTED or found.state is not RequestState.ANSWERED:
            raise Conflicting("nothing_to_export", "Nothing was granted that is exported.", field="/state")
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        async with self._ledger.changing(found.owner) as change:
            expires_at = change.now_ms + LIFETIME_MS
            await change.tx.run(
                _ADD,
                token_sha256=_digest(token),
                request_id=found.id,
                made_at=change.now_ms,
                expires_at=expires_at,
                fetches_left=MOST_FETCHES,
            )
            change.enter(entry(found, "right_export_linked", actor, expires_at=expires_at))
        return {"token": token, "expires_at": told(expires_at), "fetches": MOST_FETCHES}

    async def fetch(self, token: str) -> bytes:
        """The ZIP behind a link, with its entry first; `NotFound` alike for unknown, expired and used up."""
        digest = _digest(token)
        row = await self._database.one(_FIND, digest=digest)
        if row is None:
            raise NotFound
        found = await existing(self._database, row["request_id"])
        async with self._ledger.changing(found.owner) as change:
            if not await change.tx.run(_FETCH, the_digest=digest, now=change.now_ms):
                raise NotFound
            change.enter(entry(found, "right_export_fetched", {"link": digest}))
            now_ms = change.now_ms
        document, files = await self.document(found, now_ms)
        return await asyncio.to_thread(_zipped, document, files, found.language)

    async def document(self, of: Request, now_ms: int) -> tuple[dict[str, Any], dict[str, bytes]]:
        """The parts of an export, and the notices and receipts that it names, as files: of every subject that is the
        person. Whoever asks for another gets no other's words: only what was asked on the same behalf. A guardian also
        gets only what came of consents that a guardian gives.
        """
        files: dict[str, bytes] = {}
        async with self._database.reading() as reading:
            subjects = [Person(of.owner, one) for one in await subjects_at(reading, *of.person)]
            held = [one for each in subjects for one in await self._records.of_person(reading, *each)]
            records = [one for one in held if of.behalf != _GUARDIAN or one.is_a_childs]
            hidden = {one.id for one in held} - {one.id for one in records}
            datasets = {no: await self._dataset(no) for no in {one.dataset_no for one in records}}
            consents = []
            for one in records:
                receipts = [kept.jws for kept in await self._receipts.of(reading, one.id)]
                files[f"receipts/{one.id}.txt"] = "".join(f"{jws}\n" for jws in receipts).encode()
                if one.notice_id is not None:
                    row = await reading.one(_NOTICE, id=one.notice_id)
                    assert row is not None
                    files[f"notices/{one.notice_sha256}.json"] = row["document"].encode()
                consents.append(_consent(one, datasets[one.dataset_no], now_ms))
            steps = [one for each in subjects for one in await self._following.of_person(reading, *each)]
            made = [one for each in subjects for one in await self._requests.of_person(reading, each)]
            requests = [one for one in made if of.behalf in ("self", one["behalf"])]
            tasks = await self._tasks_of(reading, requests)
        disclosed = [one for each in subjects for one in await self._disclosures.of_person(*each)]
        document = {
            "made_at": told(now_ms),
            "owner": of.owner,
            "consents": consents,
            "disclosures": [_disclosed(one) for one in disclosed if one.consent not in hidden],
            "followed": [followed(one) for one in steps if one.consent not in hidden],
            "requests": requests,
            "tasks": tasks,
        }
        return document, files

    async def _tasks_of(self, reading: Reading, requests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        found = []
        for one in requests:
            found += await self._tasks.of_request(reading, await existing(reading, one["id"]))
        return found

    async def _dataset(self, no: int) -> Dataset:
        row = await self._database.one(_DATASET, no=no)
        assert row is not None
        return Dataset.of(row)


def _consent(one: Record, of: Dataset, now_ms: int) -> dict[str, Any]:
    return {
        "id": one.id,
        "recipient": one.recipient,
        "purpose": one.purpose,
        "kind": one.kind,
        "fields": names_of(of, one.fields),
        "channels": list(one.channels),
        "state": one.effective(seconds(now_ms)).value,
        "given_at": one.given_at,
        "expires_at": one.expires_at,
        "notice_sha256": one.notice_sha256,
        "origin": one.origin,
    }


def _disclosed(one: Disclosed) -> dict[str, Any]:
    return {
        "at": told(one.at),
        "entry": one.event_id,
        "recipient": one.recipient,
        "purpose": one.purpose,
        "fields": list(one.fields),
    }


def _zipped(document: Mapping[str, Any], files: Mapping[str, bytes], language: str) -> bytes:
    """The same bytes of the same parts, whenever they are packed."""
    text = json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True).encode()
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted({"data.json": text, "index.html": page_of(document, language), **files}.items()):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
