"""Recording consents that the dataset's owner took down itself, many at once.

Per person, recipient and purpose the newest explicit decision counts, and a withdrawal wins a tie: a consent given
at or before the last withdrawal does not stand, however late it arrives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, NamedTuple

import orjson

from gateway.catalog.dataset import Dataset
from gateway.catalog.datasets import Datasets
from gateway.clock import Clock, seconds
from gateway.consents.entries import recorded_entry
from gateway.consents.events import NEW_EVENT
from gateway.consents.notice_text import DISCLOSURE, ItemKey
from gateway.consents.notices import KnownNotices
from gateway.consents.past import Past, past_of
from gateway.consents.proposing import born, check_new
from gateway.consents.record import NewRecord, bits_of
from gateway.consents.records import NEW_RECORD, Records
from gateway.consents.statement import Statement, stated
from gateway.consents.states import Event, State
from gateway.consents.steps import NEW_PERMISSION, permission_row
from gateway.database import AlreadyExists, Database
from gateway.database.idempotency import recall, remember
from gateway.errors import Conflicting, Invalid, TooLarge
from gateway.identity.subject import Subject
from gateway.ledger import Change, Ledger
from gateway.vault.keyring import KeyRing

MOST_AT_ONCE = 10_000
_LONGEST_TRANSACTION_S = 0.04
_YIELD_EVERY = 50


class _Item(NamedTuple):
    """A statement about a pseudonym."""

    stated: Statement
    pseudonym: str


_Keep = Callable[[Change, list[dict[str, Any]]], Awaitable[None]]
"""Called in each transaction with its change and outcomes."""


class _Narrows(Exception):
    """A consent under way supersedes another, or finds it overtaken by the clock, so the change must narrow."""


class Recording:
    """What owners state about their own customers' consents."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        keyring: KeyRing,
        clock: Clock,
        datasets: Datasets,
        records: Records,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._keyring = keyring
        self._clock = clock
        self._datasets = datasets
        self._records = records

    async def record(
        self, subject: Subject, dataset_id: str, given: Sequence[Any], *, key: str | None, fingerprint: str
    ) -> bytes:
        """Record consents and return what became of each, in order; needs the action `consent`.

        All are checked before one is recorded: `Invalid` names the first that breaks a rule, and nothing changes.
        Then `recorded`; `unchanged` (it stands already); `outdated` (a newer one stands, or it was withdrawn at or
        after it was given, or refused less than 180 days before, or is on hold). Many go in several transactions:
        after `Unavailable`, the same request goes on.
        """
        subject.require("consent")
        dataset = await self._personal(subject, dataset_id)
        known = await recall(self._database, client_id=subject.client, key=key, fingerprint=fingerprint)
        if known is not None:
            return known
        if not given:
            raise Invalid("invalid_consent", "There is no consent in the body.", field="/consents")
        if len(given) > MOST_AT_ONCE:
            raise TooLarge("too_many_consents", f"At most {MOST_AT_ONCE} at once.", field="/consents")
        items = await self._checked(dataset, given)
        try:
            return await self._record_all(subject, dataset, items, key=key, fingerprint=fingerprint)
        except AlreadyExists:  # an equal request was done meanwhile
            known = await recall(self._database, client_id=subject.client, key=key, fingerprint=fingerprint)
            if known is None:
                raise
            return known

    async def _personal(self, subject: Subject, dataset_id: str) -> Dataset:
        dataset = await self._datasets.owned(subject, dataset_id)
        if dataset.kind != "personal":
            raise Conflicting(
                "not_personal", "Only personal datasets have consents.", field="dataset", remedy="Nothing to record."
            )
        return dataset

    async def _checked(self, dataset: Dataset, given: Sequence[Any]) -> list[_Item]:
        now_s, notices = seconds(self._clock()), KnownNotices(self._database, dataset)
        statements = []
        for index, one in enumerate(given):
            statements.append(stated(dataset, one, now_s, f"/consents/{index}"))
            if index % _YIELD_EVERY == 0:
                await asyncio.sleep(0)
        keys = await self._keyring.unlock(dataset.owner)
        for index, one in enumerate(statements):
            check_new(await _new_of(dataset, _Item(one, ""), notices, index), now_s, f"/consents/{index}")
        return [_Item(one, keys.pseudonym(one.subject)) for one in statements]

    async def _record_all(
        self, subject: Subject, dataset: Dataset, items: Sequence[_Item], *, key: str | None, fingerprint: str
    ) -> bytes:
        """Record in as many transactions as it takes; the last one keeps the answer too."""
        told: list[dict[str, Any]] = []
        answer = b""

        async def keep(change: Change, outcomes: list[dict[str, Any]]) -> None:
            nonlocal answer
            if len(told) + len(outcomes) == len(items):
                answer = orjson.dumps({"dataset": dataset.id, "consents": told + outcomes})
                by, at = subject.client, change.now_ms
                await remember(change.tx, client_id=by, key=key, fingerprint=fingerprint, answer=answer, now_ms=at)

        while len(told) < len(items):
            try:
                told += await self._record_some(subject, dataset, items, len(told), keep, narrows=False)
            except _Narrows:
                told += await self._record_some(subject, dataset, items, len(told), keep, narrows=True)
        return answer

    async def _record_some(
        self, subject: Subject, dataset: Dataset, items: Sequence[_Item], done: int, keep: _Keep, *, narrows: bool
    ) -> list[dict[str, Any]]:
        """Record as many as fit in one short transaction, with the one entry that names them."""
        owner = dataset.owner
        outcomes: list[dict[str, Any]] = []
        recorded: list[tuple[str, Statement]] = []
        async with self._ledger.changing(owner, narrows={owner} if narrows else ()) as change:
            end = monotonic() + _LONGEST_TRANSACTION_S
            batch = _Batch(self._records, change, dataset, subject.actor(), narrows=narrows)
            for item in items[done:]:
                outcome = await batch.take(item, done + len(outcomes))
                outcomes.append(outcome)
                if outcome["result"] == "recorded":
                    recorded.append((outcome["id"], item.stated))
                if monotonic() > end:
                    break
                if len(outcomes) % _YIELD_EVERY == 0:
                    await asyncio.sleep(0)
            await batch.write()
            if recorded:
                change.enter(recorded_entry(subject, dataset, recorded))
            await keep(change, outcomes)
        return outcomes


@dataclass(slots=True)
class _Batch:
    """Records that begin in one transaction; their rows are written together."""

    records: Records
    change: Change
    dataset: Dataset
    actor: Mapping[str, str]
    narrows: bool = field(kw_only=True)
    _notices: KnownNotices = field(init=False)
    _rows: list[dict[str, Any]] = field(init=False, default_factory=list)
    _events: list[dict[str, Any]] = field(init=False, default_factory=list)
    _permissions: list[dict[str, Any]] = field(init=False, default_factory=list)
    _items: set[tuple[str, ItemKey]] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self._notices = KnownNotices(self.change.tx, self.dataset)

    async def take(self, item: _Item, index: int) -> dict[str, Any]:
        """What becomes of one statement."""
        new = await _new_of(self.dataset, item, self._notices, index)
        if (item.pseudonym, new.key) in self._items:  # the second about an item must see the first
            await self.write()
        past = await self._past(item.pseudonym, new.key)
        unchanged = _standing_already(past, new)
        if unchanged is not None:
            return {"result": "unchanged", "id": unchanged}
        obstacle = past.obstacle(item.stated.given_at)
        if obstacle is not None:
            return {"result": "outdated", "because": obstacle}
        if past.standing and not self.narrows:
            raise _Narrows
        superseded = await self.records.supersede(self.change, past, bits_of(self.dataset, new.fields), self.actor)
        now_ms = self.change.now_ms
        row, event = born(new, Event.RECORD, State.GIVEN, now_ms, supersedes=superseded, by=self.actor)
        self._rows.append(row)
        self._events.append(event)
        if new.kind == DISCLOSURE:
            self._permissions.append(permission_row(row, now_ms, new.evidence_sha256))
        self._items.add((item.pseudonym, new.key))
        return {"result": "recorded", "id": row["id"]}

    async def _past(self, pseudonym: str, key: ItemKey) -> Past:
        """See `Records.past_by_now`; `_Narrows` where that would, and the change does not."""
        about = (self.dataset.owner, self.dataset.no, pseudonym, key)
        past = await past_of(self.change.tx, *about)
        if not past.overtaken(seconds(self.change.now_ms)):
            return past
        if not self.narrows:
            raise _Narrows
        return await self.records.past_by_now(self.change, *about)

    async def write(self) -> None:
        """Write what has gathered."""
        for query, rows in (
            (NEW_RECORD, self._rows),
            (NEW_EVENT, self._events),
            (NEW_PERMISSION, self._permissions),
        ):
            if rows:
                await self.change.tx.many(query, rows)
                rows.clear()
        self._items.clear()


async def _new_of(dataset: Dataset, item: _Item, notices: KnownNotices, index: int) -> NewRecord:
    said = item.stated
    kind_key = ItemKey(said.recipient, said.purpose, said.kind)
    told = await notices.applicable(
        kind_key,
        said.fields or said.channels,
        sha256=said.notice_sha256,
        given_at=said.given_at,
        at=f"/consents/{index}",
    )
    return NewRecord(
        dataset=dataset,
        pseudonym=item.pseudonym,
        recipient=said.recipient,
        purpose=said.purpose,
        kind=said.kind,
        notice=told,
        fields=said.fields,
        channels=said.channels,
        language=said.language,
        expires_after_s=said.expires_at - said.given_at,
        max_uses=said.max_uses,
        age_band=said.age_band,
        turns_14_at=said.turns_14_at,
        guardian=said.guardian,
        collection={"evidence_sha256": said.evidence_sha256},
        origin="owner",
        given_at=said.given_at,
        evidence_sha256=said.evidence_sha256,
    )


def _standing_already(past: Past, new: NewRecord) -> str | None:
    """The id of a standing record that says the same."""
    bits = bits_of(new.dataset, new.fields)
    said = (bits, " ".join(sorted(new.channels)), new.given_at, new.expires_after_s, new.notice.sha256)
    for one in past.standing:
        stands = (one.fields, " ".join(one.channels), one.given_at, one.term_s, one.notice_sha256)
        if stands == said and one.collection.get("evidence_sha256") == new.evidence_sha256:
            return one.id
    return None
