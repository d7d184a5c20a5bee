"""The life of consent records: proposed, decided, ended, each step with its event, entry and receipt at once."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import bindparam, insert, select

from gateway.catalog.dataset import Dataset
from gateway.catalog.tables import dataset as dataset_table
from gateway.clock import seconds
from gateway.consents.deciding import amended, giving, require_explicit
from gateway.consents.entries import overtaken_entry
from gateway.consents.events import NEW_EVENT
from gateway.consents.facts import entry_of, item_facts
from gateway.consents.followers import Ended, Followers
from gateway.consents.notice_text import DISCLOSURE, ItemKey
from gateway.consents.notices import applicable
from gateway.consents.past import Past, keep_withdrawal, past_of
from gateway.consents.proposing import born, check_new
from gateway.consents.receipt_text import KIND_OF_EVENT
from gateway.consents.receipts import ConsentReceipts
from gateway.consents.record import NewRecord, Record, chosen, names_of
from gateway.consents.same_person import subjects_of
from gateway.consents.states import STANDING, STEPS, WITHDRAWABLE, Event, State, follow
from gateway.consents.steps import take
from gateway.consents.tables import consent_record
from gateway.database import Query, Reading
from gateway.errors import Conflicting, Unavailable
from gateway.ledger import Change

__all__ = ["Ended", "Followers", "NewRecord", "Record", "Records"]

NEW_RECORD = Query(insert(consent_record))
_BY_ID = Query(chosen(consent_record.c.id == bindparam("id")))
_OF_PERSON = Query(
    chosen(consent_record.c.owner_id == bindparam("owner"), consent_record.c.pseudonym == bindparam("pseudonym"))
)
_OF_REQUEST = Query(chosen(consent_record.c.request_id == bindparam("request")))
_DATASET = Query(select(dataset_table).where(dataset_table.c.no == bindparam("no")))
_FIRST: Mapping[str, Event] = MappingProxyType({"page": Event.SEND, "offline": Event.IMPORT})
"""A record's first event, by where the answer comes from."""
_WIDENS_NOTHING = frozenset({Event.SEND, Event.SERVE, Event.CLOSE, Event.LAPSE, Event.NEED_GUARDIAN})
_GIVING = frozenset({Event.GIVE, Event.CONFIRM})
_DECIDED_AGAINST = frozenset({Event.WITHDRAW, Event.REFUSE})
_BY_CLOCK = frozenset({Event.EXPIRE, Event.CONSUME})
CLOCK: Mapping[str, str] = MappingProxyType({"clock": "gateway"})
"""By whom the steps are that time takes."""
NO_DETAILS: Mapping[str, Any] = MappingProxyType({})


class Records:
    """Every consent record. What it reads and writes is in the caller's transaction, under the owner's log."""

    def __init__(self, receipts: ConsentReceipts, followers: Followers | None = None) -> None:
        self._receipts = receipts
        self._followers = followers

    async def propose(self, change: Change, new: NewRecord, *, actor: Mapping[str, str]) -> str:
        """Begin a record and return its id: REQUESTED from the page, IMPORTED offline.

        `Invalid` or `Conflicting` where the notice does not cover it, the person has withdrawn it since, or refused it
        less than 180 days ago. What an owner states as given begins in `gateway.consents.recording`.
        """
        now_s = seconds(change.now_ms)
        key, names = new.key, sorted(new.fields or new.channels)
        check_new(new, now_s)
        at_s = now_s if new.given_at is None else new.given_at
        await applicable(change.tx, new.dataset, key, names, sha256=new.notice.sha256, given_at=at_s)
        past = await past_of(change.tx, new.dataset.owner, new.dataset.no, new.pseudonym, key)
        event = _FIRST[new.origin]
        state = follow(State.DRAFT, event)
        if state is State.REQUESTED:
            past.require_askable(at_s)
        else:
            past.require_free(at_s)
        row, told = born(new, event, state, change.now_ms, supersedes=None, by=actor)
        await change.tx.run(NEW_RECORD, **row)
        await change.tx.run(NEW_EVENT, **told)
        record = await self._found(change.tx, row["id"])
        change.enter(entry_of(record, event, actor, names_of(new.dataset, record.fields)))
        return record.id

    async def act(
        self,
        change: Change,
        record_id: str,
        event: Event,
        *,
        actor: Mapping[str, str],
        details: Mapping[str, Any] = NO_DETAILS,
        fields: frozenset[str] | None = None,
    ) -> Record:
        """Take one step with all that belongs to it; `Conflicting` where there is no such step from where it stands.

        Where it stands is by the clock: what has expired is recorded as expired first. `fields` are those that the
        person chose (GIVE, CONFIRM; of a contact, channels) or keeps of a disclosure (AMEND). A guardian's CONFIRM has
        `guardian` in its details.
        """
        record = await self._found(change.tx, record_id)
        assert event in _WIDENS_NOTHING or record.owner in change.narrows, "it must narrow its owner"
        caught_up = await self.catch_up(change, record)
        dataset = await self._dataset(change.tx, caught_up.dataset_no)
        if caught_up.sequence != record.sequence and caught_up.state is follow(record.state, event):
            change.enter(entry_of(caught_up, event, CLOCK, names_of(dataset, caught_up.fields)))
            return caught_up
        follow(caught_up.state, event)
        if event in _BY_CLOCK:
            raise Conflicting("not_due", "The clock has not come to it.", field="/state")
        moved: dict[str, Any] = {}
        if event in _GIVING:
            moved = await self._given(change, caught_up, dataset, event, actor, details, fields)
        elif event is Event.AMEND:
            moved = {"fields": amended(caught_up, dataset, fields)}
        elif event is Event.WITHDRAW and caught_up.kind == DISCLOSURE:
            await self._keep_withdrawal(change, caught_up)
        after = await self.step(change, caught_up, event, dataset, actor=actor, details=details, **moved)
        change.enter(entry_of(after, event, actor, names_of(dataset, after.fields)))
        if event in _DECIDED_AGAINST:
            await self._withdraw_beside(change, after, dataset, actor)
        return after

    async def step(
        self,
        change: Change,
        record: Record,
        event: Event,
        dataset: Dataset,
        *,
        actor: Mapping[str, str],
        details: Mapping[str, Any] = NO_DETAILS,
        **moved: Any,
    ) -> Record:
        """One step without an entry of its own: the caller enters what it did to many."""
        told = dict(details) | item_facts(record, names_of(dataset, moved.get("fields", record.fields)), moved)
        evidence = record.collection.get("evidence_sha256", "")
        after = await take(change, record, event, by=actor, details=told, evidence_sha256=evidence, **moved)
        if event in KIND_OF_EVENT and event not in _BY_CLOCK:
            await self._sign(change, after, event)
        lost = record.fields & ~after.fields if after.state is State.GIVEN else record.fields
        if record.state in STANDING and lost and after.state not in (State.ON_HOLD, State.SUPERSEDED):
            await self._tell(change, after, "amended" if after.state is State.GIVEN else after.state.value)
        return after

    async def _withdraw_beside(self, change: Change, of: Record, dataset: Dataset, actor: Mapping[str, str]) -> None:
        """What a person decided against does not stand by an earlier record, or as another subject that it is, either.

        A withdrawal reaches what was used up, too; a refusal is of what is asked, and takes back nothing that is over.
        Paper that waits beside a refusal is refused by itself, and cannot be made good (`gateway.consents.past`).
        """
        ends = STANDING if of.state is State.REFUSED else WITHDRAWABLE
        for subject in await subjects_of(change.tx, of.dataset_no, of.pseudonym):
            for one in await self.of_person(change.tx, of.owner, subject):
                if one.dataset_no != of.dataset_no or one.key != of.key or one.state not in ends:
                    continue
                caught_up = await self.catch_up(change, one)
                if Event.WITHDRAW in STEPS.get(caught_up.state, {}):
                    after = await self.step(change, caught_up, Event.WITHDRAW, dataset, actor=actor)
                    change.enter(entry_of(after, Event.WITHDRAW, actor, names_of(dataset, after.fields)))
                elif caught_up.state in ends:
                    await self.follow_used_up(change, caught_up)

    async def withdraw_what_is_over(self, change: Change, record: Record, *, actor: Mapping[str, str]) -> None:
        """Withdraw the item of what was used up or ran out, as by what stands: recipients may hold it still."""
        await self._keep_withdrawal(change, record)
        await self._withdraw_beside(change, record, await self._dataset(change.tx, record.dataset_no), actor)

    async def follow_used_up(self, change: Change, record: Record) -> None:
        """Tell of the withdrawal of what was used up; followers, told again, queue nothing more.

        The caller keeps the withdrawal. That one is kept does not say that anybody heard of it: merging copies it.
        """
        if record.state is State.CONSUMED:
            await self._tell(change, record, State.WITHDRAWN.value)

    async def catch_up(self, change: Change, record: Record) -> Record:
        """Record the steps that the clock has taken by now; the record as it stands then."""
        while (event := record.overtaking(seconds(change.now_ms))) is not None:
            dataset = await self._dataset(change.tx, record.dataset_no)
            record = await self.step(change, record, event, dataset, actor=CLOCK)
        return record

    async def supersede(self, change: Change, past: Past, kept: int, actor: Mapping[str, str]) -> str | None:
        """End what stands of an item, for a newer consent to the fields `kept`; returns the id of what it replaces."""
        ended = None
        for record in past.standing:
            caught_up = await self.catch_up(change, record)
            if caught_up.state in STANDING:
                dataset = await self._dataset(change.tx, record.dataset_no)
                after = await self.step(change, caught_up, Event.SUPERSEDE, dataset, actor=actor)
                if record.fields & ~kept:
                    await self._tell(change, after, "amended")
            ended = record.id
        return ended

    async def of_person(self, reading: Reading, owner: str, pseudonym: str) -> list[Record]:
        """Every record of a person, oldest first; ask each where it stands with `effective`."""
        return [Record.of(row) for row in await reading.all(_OF_PERSON, owner=owner, pseudonym=pseudonym)]

    async def of_request(self, reading: Reading, request_id: str) -> list[Record]:
        """The items that were asked for together."""
        return [Record.of(row) for row in await reading.all(_OF_REQUEST, request=request_id)]

    async def get(self, reading: Reading, record_id: str) -> Record | None:
        """One record, or None."""
        row = await reading.one(_BY_ID, id=record_id)
        return None if row is None else Record.of(row)

    async def _given(
        self,
        change: Change,
        record: Record,
        dataset: Dataset,
        event: Event,
        actor: Mapping[str, str],
        details: Mapping[str, Any],
        fields: frozenset[str] | None,
    ) -> dict[str, Any]:
        moved = giving(record, dataset, event, details, fields, now_s=seconds(change.now_ms))
        at_s = moved["given_at"]
        names = names_of(dataset, moved["fields"]) or list(moved["channels"])
        told = await applicable(change.tx, dataset, record.key, names, sha256=record.notice_sha256, given_at=at_s)
        require_explicit(record, told, names, explicit=fields is not None)
        past = await self.past_by_now(change, record.owner, record.dataset_no, record.pseudonym, record.key)
        past.require_free(at_s)
        return moved | {"supersedes": await self.supersede(change, past, moved["fields"], actor)}

    async def past_by_now(self, change: Change, owner: str, dataset_no: int, pseudonym: str, key: ItemKey) -> Past:
        """What an item has come to: what the clock has ended does not stand, and is recorded first."""
        about = (change.tx, owner, dataset_no, pseudonym, key)
        past = await past_of(*about)
        overtaken = past.overtaken(seconds(change.now_ms))
        if not overtaken:
            return past
        for one in overtaken:
            await self.catch_up(change, one)
        change.enter(overtaken_entry(owner, CLOCK, sorted(one.id for one in overtaken)))
        return await past_of(*about)

    async def _sign(self, change: Change, record: Record, event: Event) -> None:
        kind = "guardian" if event in _GIVING and record.guardian is not None else KIND_OF_EVENT[event]
        try:
            await self._receipts.sign(change.tx, record, kind, change.now_ms)
        except Unavailable:  # no key to sign with must not keep a person from withdrawing: it is signed when asked for
            return

    async def _keep_withdrawal(self, change: Change, record: Record) -> None:
        """Nothing that the person gave before, as any of its subjects, stands by being brought later."""
        for subject in await subjects_of(change.tx, record.dataset_no, record.pseudonym):
            await keep_withdrawal(change, record.dataset_no, subject, record.recipient, record.purpose)

    async def _tell(self, change: Change, record: Record, cause: str) -> None:
        """Of fields alone, which a contact has none of: whoever received them is to follow."""
        if self._followers is not None:
            about = (record.id, record.owner, record.dataset_no, record.pseudonym, record.recipient, record.purpose)
            await self._followers.ended(change, [Ended(*about, cause)])

    async def _found(self, reading: Reading, record_id: str) -> Record:
        record = await self.get(reading, record_id)
        assert record is not None
        return record

    async def _dataset(self, reading: Reading, no: int) -> Dataset:
        row = await reading.one(_DATASET, no=no)
        assert row is not None
        return Dataset.of(row)
