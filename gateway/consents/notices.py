"""What persons are told: drafted, published, replaced by another version, retired.

Who consents consents to one published text, named by its SHA-256. Where another version changes what was consented to,
the consents under the former one go stale with its publication, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Text, bindparam, delete, func, insert, select, update

from gateway.canonical import canonical
from gateway.catalog.dataset import Dataset
from gateway.catalog.datasets import Datasets
from gateway.catalog.tables import dataset as dataset_table
from gateway.characters import all_shown_as_written, shown_as_written
from gateway.clock import seconds
from gateway.consents.notice import Notice, no_such_notice
from gateway.consents.notice_text import Company, ItemKey, changed_items, check, digest_of
from gateway.consents.staleness import age_items
from gateway.consents.tables import notice
from gateway.database import Database, Query, Reading
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identifiers import random_id
from gateway.identity.subject import Subject
from gateway.ledger import Change, Draft, Kind, Ledger
from gateway.members.tables import member

LONGEST_NAME = 100
_NEW = Query(insert(notice))
_DROP_DRAFT = Query(
    delete(notice).where(
        notice.c.dataset_no == bindparam("of_dataset"), notice.c.name == bindparam("of_name"), notice.c.state == "draft"
    )
)
_NEWEST = Query(
    select(func.max(notice.c.version).label("version")).where(
        notice.c.dataset_no == bindparam("dataset_no"), notice.c.name == bindparam("name")
    )
)
_FORMER = Query(
    select(notice)
    .where(
        notice.c.dataset_no == bindparam("dataset_no"), notice.c.name == bindparam("name"), notice.c.state != "draft"
    )
    .order_by(notice.c.version.desc())
    .limit(1)
)
_PUBLISH = Query(
    update(notice)
    .values(
        state="published",
        material=bindparam("is_material", type_=BigInteger),
        used_from=bindparam("since", type_=BigInteger),
        published_at=bindparam("at", type_=BigInteger),
    )
    .where(notice.c.id == bindparam("the_id"), notice.c.state == "draft")
)
_RETIRE = Query(
    update(notice)
    .values(state="retired", retired_at=bindparam("at", type_=BigInteger))
    .where(notice.c.id == bindparam("the_id"), notice.c.state == "published")
)
_BY_ID = Query(select(notice).where(notice.c.id == bindparam("id"), notice.c.owner_id == bindparam("owner")))
_BY_DIGEST = Query(
    select(notice)
    .where(
        notice.c.dataset_no == bindparam("dataset_no"),
        notice.c.sha256 == bindparam("sha256", type_=Text),
        notice.c.state != "draft",
    )
    .order_by(notice.c.version)
)
_OF_DATASET = Query(
    select(notice).where(notice.c.dataset_no == bindparam("dataset_no")).order_by(notice.c.name, notice.c.version)
)
_COMPANIES = Query(
    select(member.c.id, member.c.uscc, member.c.country).where(member.c.alliance_id == bindparam("alliance"))
)
_DATASET = Query(select(dataset_table).where(dataset_table.c.no == bindparam("no")))


class Notices:
    """The notices of every owner. They are no secrets of persons: a notice names companies and fields alone."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger
        self._datasets = Datasets(database, ledger)

    async def draft(self, subject: Subject, dataset_id: str, name: str, document: Mapping[str, Any]) -> Notice:
        """Keep a text, complete or not, as the next version; it replaces a draft of that name. Needs `consent`.

        Every word of it is shown as it is written, here and when it is published.
        """
        subject.require("consent")
        dataset = await self._datasets.owned(subject, dataset_id)
        if dataset.kind != "personal":
            raise Conflicting("not_personal", "Only personal datasets have notices.", field="dataset")
        if not 0 < len(name) <= LONGEST_NAME:
            raise Invalid("invalid_name", f"A name has 1 to {LONGEST_NAME} characters.", field="/name")
        shown_as_written(name, "/name")
        text = canonical(document).decode()
        all_shown_as_written(document, "/document")
        async with self._ledger.changing(dataset.owner) as change:
            await change.tx.run(_DROP_DRAFT, of_dataset=dataset.no, of_name=name)
            newest = await change.tx.one(_NEWEST, dataset_no=dataset.no, name=name)
            assert newest is not None
            row = {
                "id": random_id(),
                "owner_id": dataset.owner,
                "dataset_no": dataset.no,
                "name": name,
                "version": 1 + (newest["version"] or 0),
                "sha256": digest_of(document),
                "document": text,
                "state": "draft",
                "material": None,
                "used_from": None,
                "retired_at": None,
                "published_at": None,
            }
            await change.tx.run(_NEW, **row)
            drafted = Notice.of(row)
            change.enter(_entry("notice_drafted", subject, dataset, drafted))
        return drafted

    async def publish(self, subject: Subject, notice_id: str, *, used_from: int | None = None) -> Notice:
        """Put a draft in force, complete as the law wants it; the version before retires. Needs `consent`.

        `used_from`, epoch seconds, states since when persons were told this on paper; without it, from now on. The
        statement is in the entry. What changes materially makes the consents under former versions stale.
        """
        subject.require("consent")
        drafted = await self.show(subject, notice_id)
        dataset = await self._dataset(drafted)
        all_shown_as_written(drafted.document, "/document")
        check(drafted.document, dataset, await self._companies(dataset.alliance))
        async with self._ledger.changing(dataset.owner, narrows={dataset.owner}) as change:
            now_s = seconds(change.now_ms)
            since = now_s if used_from is None else used_from
            if since > now_s:
                raise Invalid("invalid_used_from", "It cannot have been in use in the future.", field="/used_from")
            former = await self._retire_former(change, drafted, now_s)
            changed = [] if former is None else changed_items(former.document, drafted.document)
            material = {"is_material": int(bool(changed)), "since": since, "at": change.now_ms}
            if not await change.tx.run(_PUBLISH, the_id=drafted.id, **material):
                raise Conflicting("wrong_state", "Only a draft is published.", field="/state")
            stale = await age_items(change.tx, dataset.no, drafted.name, changed, now_s)
            facts = {"used_from": since, "changed_items": [list(key) for key in changed], "stale": stale}
            change.enter(_entry("notice_published", subject, dataset, drafted, **facts))
        return await self.show(subject, notice_id)

    async def retire(self, subject: Subject, notice_id: str) -> Notice:
        """Nobody consents to it any more; what was consented to stands. Needs `consent`; twice changes nothing."""
        subject.require("consent")
        standing = await self.show(subject, notice_id)
        if standing.state == "retired":
            return standing
        dataset = await self._dataset(standing)
        async with self._ledger.changing(dataset.owner) as change:
            if not await change.tx.run(_RETIRE, the_id=standing.id, at=seconds(change.now_ms)):
                raise Conflicting("wrong_state", "Only what is published is retired.", field="/state")
            change.enter(_entry("notice_retired", subject, dataset, standing))
        return await self.show(subject, notice_id)

    async def show(self, subject: Subject, notice_id: str) -> Notice:
        """One of the subject's own member; `NotFound` for everybody else's."""
        row = await self._database.one(_BY_ID, id=notice_id, owner=subject.member)
        if row is None:
            raise NotFound
        return Notice.of(row)

    async def of_dataset(self, subject: Subject, dataset_id: str) -> Sequence[Notice]:
        """Every version of every notice of a dataset of the subject's member, by name and version."""
        dataset = await self._datasets.owned(subject, dataset_id)
        return [Notice.of(row) for row in await self._database.all(_OF_DATASET, dataset_no=dataset.no)]

    async def _retire_former(self, change: Change, drafted: Notice, now_s: int) -> Notice | None:
        former = await _newest(change.tx, drafted)
        if former is not None:
            await change.tx.run(_RETIRE, the_id=former.id, at=now_s)
        return former

    async def _dataset(self, of: Notice) -> Dataset:
        row = await self._database.one(_DATASET, no=of.dataset_no)
        assert row is not None
        return Dataset.of(row)

    async def _companies(self, alliance: str) -> Mapping[str, Company]:
        rows = await self._database.all(_COMPANIES, alliance=alliance)
        return {row["id"]: Company(row["uscc"], row["country"]) for row in rows}


class KnownNotices:
    """The notices of one dataset, each read once; for as long as the caller's transaction or request."""

    def __init__(self, reading: Reading, dataset: Dataset) -> None:
        self._reading = reading
        self._dataset = dataset
        self._versions: dict[str, list[Notice]] = {}
        self._changed: dict[str, frozenset[ItemKey]] = {}

    async def applicable(
        self, key: ItemKey, names: Collection[str], *, sha256: str, given_at: int, at: str = ""
    ) -> Notice:
        """The notice that a consent given at `given_at` names: in force then, with recipient, purpose and fields.

        It may be retired since; where a later version changed the item, the consent would be stale already.
        `Invalid` names what does not fit, under the pointer `at`.
        """
        if sha256 not in self._versions:
            rows = await self._reading.all(_BY_DIGEST, dataset_no=self._dataset.no, sha256=sha256)
            self._versions[sha256] = [Notice.of(row) for row in rows]
        found = next((one for one in self._versions[sha256] if one.in_force(given_at)), None)
        if found is None:
            raise no_such_notice(at)
        found.require(key, names, at)
        if key in await self._changed_since(found):
            raise Invalid(
                "notice_changed",
                "What was told then has changed since, in what matters.",
                field=f"{at}/notice_sha256",
                remedy="Ask the person anew, under the notice that is in force.",
            )
        return found

    async def _changed_since(self, found: Notice) -> frozenset[ItemKey]:
        if found.state == "published":
            return frozenset()
        if found.id not in self._changed:
            newest = await _newest(self._reading, found)
            changed = [] if newest is None else changed_items(found.document, newest.document)
            self._changed[found.id] = frozenset(changed)
        return self._changed[found.id]


async def applicable(
    reading: Reading, dataset: Dataset, key: ItemKey, names: Collection[str], *, sha256: str, given_at: int
) -> Notice:
    """As `KnownNotices.applicable`, for one consent."""
    return await KnownNotices(reading, dataset).applicable(key, names, sha256=sha256, given_at=given_at)


async def _newest(reading: Reading, of: Notice) -> Notice | None:
    row = await reading.one(_FORMER, dataset_no=of.dataset_no, name=of.name)
    return None if row is None else Notice.of(row)


def _entry(act: str, subject: Subject, dataset: Dataset, of: Notice, **more: Any) -> Draft:
    facts = {
        "act": act,
        "actor": {"member": subject.member, "client": subject.client},
        "dataset": dataset.id,
        "notice": of.id,
        "version": of.version,
        "notice_sha256": of.sha256,
        **more,
    }
    return Draft(log=dataset.owner, kind=Kind.CONSENT, facts=facts)
