"""What a person decides, item by item: give, refuse, or put off. Only refusing and withdrawing go for all at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import bindparam, select

from gateway.catalog.dataset import Dataset
from gateway.catalog.tables import dataset as dataset_table
from gateway.clock import seconds
from gateway.consents.asking import questions
from gateway.consents.asking.visit import Kind, Visit
from gateway.consents.contacts import Holder, Role
from gateway.consents.notice_text import CONTACT
from gateway.consents.offline.batch import BatchState, existing
from gateway.consents.past import ANY, keep_withdrawal, keep_withdrawal_everywhere, personal_datasets
from gateway.consents.record import Record, names_of
from gateway.consents.records import Records
from gateway.consents.same_person import subjects_of
from gateway.consents.states import STANDING, STEPS, Event, State
from gateway.database import Query, Reading
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.ledger import Change, Draft
from gateway.ledger import Kind as EntryKind

_DATASET = Query(select(dataset_table).where(dataset_table.c.no == bindparam("no")))
ASKED = frozenset({State.REQUESTED, State.DEFERRED, State.GUARDIAN_PENDING, State.IMPORTED})
"""The states of what waits for an answer."""


class Choice(StrEnum):
    """What can be done with one item."""

    GIVE = "give"
    REFUSE = "refuse"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Decision:
    """What was chosen for one item. `optional`: those of its optional fields that are given too; none by default.

    `channels` of a contact: those that are turned on, at least one.
    `notice_sha256` is that of the text which was on the page, and `language` the one in which it was read there.
    """

    choice: Choice
    optional: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    notice_sha256: str = ""
    language: str = ""


class Deciding:
    """Decides for the persons of a visit, in the caller's change, which narrows their owners."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def of(self, reading: Reading, visit: Visit) -> dict[str, tuple[Record, Holder]]:
        """The records that a visit is about: those of its request, or all of its persons; with whose visitor it is."""
        if visit.request_id is not None:
            [holder] = visit.persons
            return {one.id: (one, holder) for one in await self._records.of_request(reading, visit.request_id)}
        found = {}
        for holder in visit.persons:
            for one in await self._records.of_person(reading, holder.owner, holder.pseudonym):
                if _may_decide(holder, one):
                    found[one.id] = (one, holder)
        return found

    async def decide(
        self, change: Change, visit: Visit, decisions: Mapping[str, Decision], told: Mapping[str, Any]
    ) -> dict[str, State]:
        """Take each decision; `NotFound` for an item that the visit is not about. Returns where each item stands."""
        about = await self.of(change.tx, visit)
        outcome = {}
        for record_id, decision in sorted(decisions.items()):
            if record_id not in about:
                raise NotFound
            record, holder = about[record_id]
            outcome[record_id] = await self._take(change, record, holder, decision, told)
        await self._settle(change, {about[one][0].request_id for one in decisions})
        return outcome

    async def refuse_all(self, change: Change, visit: Visit, told: Mapping[str, Any]) -> dict[str, State]:
        """Refuse whatever is still asked."""
        about = await self.of(change.tx, visit)
        asked = {one.id for one, _ in about.values() if one.effective(seconds(change.now_ms)) in ASKED}
        return await self.decide(change, visit, dict.fromkeys(asked, Decision(Choice.REFUSE)), told)

    async def withdraw(
        self, change: Change, visit: Visit, only: Collection[str] | None, told: Mapping[str, Any]
    ) -> dict[str, State]:
        """Withdraw these items, or everything; `NotFound` for an item that the visit is not about.

        Everything is also what waits on paper, what was used up or ran out (its recipient may hold it still), what was
        given as another subject that the person is, and, on a person's own visit, what was given before and is brought
        later.
        """
        about = await self.of(change.tx, visit)
        if only is None:
            if visit.kind is Kind.SELF_SERVICE:
                about = await self._as_others(change.tx, visit) | about
                await self._withdraw_ahead(change, visit, told)
            await self._withdraw_what_is_over(change, about, told)
            now_s = seconds(change.now_ms)
            only = {one.id for one, _ in about.values() if Event.WITHDRAW in STEPS.get(one.effective(now_s), {})}
        outcome: dict[str, State] = {}
        for record_id in sorted(only):
            if record_id not in about:
                raise NotFound
            record, holder = about[record_id]
            now = await self._records.get(change.tx, record_id)
            assert now is not None
            if now.state is State.WITHDRAWN and now.sequence > record.sequence:
                outcome[record_id] = now.state  # in this change, as the same person's under another subject
            else:
                outcome[record_id] = await self._act(change, record, holder, Event.WITHDRAW, told)
        return outcome

    async def _as_others(self, reading: Reading, visit: Visit) -> dict[str, tuple[Record, Holder]]:
        """The records of every subject that the visitors are, each in the datasets where it was merged with theirs."""
        found = {}
        for holder in visit.persons:
            for dataset_no, subject in await _subjects(reading, holder):
                for one in await self._records.of_person(reading, holder.owner, subject):
                    if one.dataset_no == dataset_no and _may_decide(holder, one):
                        found[one.id] = (one, holder)
        return found

    async def _withdraw_what_is_over(
        self, change: Change, about: Mapping[str, tuple[Record, Holder]], told: Mapping[str, Any]
    ) -> None:
        """Each item once: that reaches every record of it. A guardian reaches none that the person gave itself."""
        now_s = seconds(change.now_ms)
        items = {
            (one.dataset_no, one.pseudonym, one.key): (one, holder)
            for one, holder in about.values()
            if one.effective(now_s) in (State.CONSUMED, State.EXPIRED)
        }
        for one, holder in items.values():
            if holder.role is Role.GUARDIAN and await self._is_the_persons_own(change.tx, one):
                await self._records.follow_used_up(change, await self._records.catch_up(change, one))
            else:
                await self._records.withdraw_what_is_over(change, one, actor=_actor(holder, told))

    async def _is_the_persons_own(self, reading: Reading, record: Record) -> bool:
        """Whether a consent to the record's item stands that the person gave itself, as any of its subjects."""
        beside = [
            one
            for subject in await subjects_of(reading, record.dataset_no, record.pseudonym)
            for one in await self._records.of_person(reading, record.owner, subject)
            if (one.dataset_no, one.key) == (record.dataset_no, record.key)
        ]
        return any(one.state in STANDING and not one.is_a_childs for one in beside)

    async def _withdraw_ahead(self, change: Change, visit: Visit, told: Mapping[str, Any]) -> None:
        """What the visitors gave before and nobody has brought yet does not stand either."""
        for holder in visit.persons:
            if holder.role is not Role.OWN:
                continue
            await keep_withdrawal_everywhere(change, holder.owner, holder.pseudonym)
            for dataset_no, subject in await _subjects(change.tx, holder):
                if subject != holder.pseudonym:
                    await keep_withdrawal(change, dataset_no, subject, ANY, ANY)
            facts = {"act": "everything_withdrawn", "actor": {"by": "person", "visit": str(told["visit"])}}
            change.enter(Draft(log=holder.owner, kind=EntryKind.CONSENT, facts=facts))

    async def _take(
        self, change: Change, record: Record, holder: Holder, decision: Decision, told: Mapping[str, Any]
    ) -> State:
        if decision.notice_sha256 not in ("", record.notice_sha256):
            raise Conflicting("other_notice", "Another text was on the page.", field="notice", remedy="Read this one.")
        if decision.language:
            told = {**told, "language": decision.language}
        if decision.choice is Choice.REFUSE:
            return await self._act(change, record, holder, Event.REFUSE, told)
        if decision.choice is Choice.GIVE:
            return await self._give(change, record, holder, decision, told)
        if Event.CLOSE in STEPS.get(record.state, {}):
            return await self._act(change, record, holder, Event.CLOSE, told)
        return record.state

    async def _give(
        self, change: Change, record: Record, holder: Holder, decision: Decision, told: Mapping[str, Any]
    ) -> State:
        if record.is_a_childs and holder.role is not Role.GUARDIAN:
            raise Conflicting("guardian_only", "For a child under 14 a guardian gives (PIPL Art. 31).")
        if record.state is State.IMPORTED:
            batch = await existing(change.tx, record.collection["batch"])
            batch.require(BatchState.IMPORTED, BatchState.SAMPLED, BatchState.ACCEPTED)
            return await self._act(change, record, holder, Event.CONFIRM, told)
        fields = await self._chosen(change.tx, record, decision)
        if record.state is State.GUARDIAN_PENDING:
            told = {**told, "guardian": await self._guardian(change.tx, record, told)}
            return await self._act(change, record, holder, Event.CONFIRM, told, fields=fields)
        return await self._act(change, record, holder, Event.GIVE, told, fields=fields)

    async def _chosen(self, reading: Reading, record: Record, decision: Decision) -> frozenset[str]:
        """The fields that are needed and those of the optional ones that were turned on; of a contact, the channels."""
        if record.kind == CONTACT:
            return decision.channels
        row = await reading.one(_DATASET, no=record.dataset_no)
        assert row is not None
        dataset = Dataset.of(row)
        if not decision.optional.issubset(names_of(dataset, record.optional)):
            raise Invalid("not_optional", "The item has no such optional field.", field="optional")
        return decision.optional | frozenset(names_of(dataset, record.required))

    async def _guardian(self, reading: Reading, record: Record, told: Mapping[str, Any]) -> dict[str, str]:
        """Who gives for the child: as the owner named the relation, verified by what reached the guardian."""
        asked = await questions.find(reading, record.request_id or "")
        return {"relation": "" if asked is None else asked.question.relation, "verified": str(told["method"])}

    async def _act(
        self, change: Change, record: Record, holder: Holder, event: Event, told: Mapping[str, Any], **chosen: Any
    ) -> State:
        actor = _actor(holder, told)
        return (await self._records.act(change, record.id, event, actor=actor, details=told, **chosen)).state

    async def _settle(self, change: Change, requests: Collection[str | None]) -> None:
        """A request whose items are all decided is answered; one that was put off is reminded of, once."""
        now = change.now_ms
        for request_id in requests:
            if request_id is None:
                continue
            states = {one.effective(seconds(now)) for one in await self._records.of_request(change.tx, request_id)}
            if not states & ASKED:
                await questions.end(change.tx, request_id, "answered", now)
            elif State.DEFERRED in states and State.REQUESTED not in states:
                await questions.defer(change.tx, request_id, now)


def _actor(holder: Holder, told: Mapping[str, Any]) -> dict[str, str]:
    return {"by": "guardian" if holder.role is Role.GUARDIAN else "person", "visit": str(told["visit"])}


def _may_decide(holder: Holder, record: Record) -> bool:
    """A guardian decides on what is a child's, and on nothing else of the person."""
    return holder.role is Role.OWN or record.is_a_childs


async def _subjects(reading: Reading, holder: Holder) -> list[tuple[int, str]]:
    """Each personal dataset of the holder's owner, by number, with every subject of it that the holder is."""
    return [
        (no, subject)
        for no in await personal_datasets(reading, holder.owner)
        for subject in await subjects_of(reading, no, holder.pseudonym)
    ]
