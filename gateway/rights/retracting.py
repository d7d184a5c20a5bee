"""What is asked no more: nobody is asked for it, and what it held stands again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.clock import Clock, seconds
from gateway.consents.events import events_of, read
from gateway.consents.record import Record
from gateway.consents.records import Records
from gateway.consents.same_person import subjects_at
from gateway.consents.states import Event, State
from gateway.database import Database, Reading
from gateway.errors import Conflicting, NotFound
from gateway.identity.subject import Subject
from gateway.ledger import Ledger
from gateway.rights.request import OF_PERSON, Person, Request, decide, entry, existing
from gateway.rights.requests import GUARDIAN, Requests
from gateway.rights.states import HOLDING, can_be_taken_back, taken_back_by
from gateway.rights.tasks import end_tasks


class Retracting:
    """Takes requests back, in a change that narrows the owner, with its entry. Only who asked can."""

    def __init__(self, database: Database, ledger: Ledger, clock: Clock, requests: Requests, records: Records) -> None:
        self._database = database
        self._ledger = ledger
        self._clock = clock
        self._requests = requests
        self._records = records

    async def retract(self, person: Person, request_id: str, *, visit: str, behalf: str = "self") -> None:
        """As the person or its guardian, in a confirmed visit; `NotFound` for another person's request.

        `Conflicting` for a guardian where consents would stand again that the person gave itself.
        """
        found = await existing(self._database, request_id)
        if found.person != person:
            raise NotFound
        await self._retract(found, {"visit": visit}, childs_only=behalf == GUARDIAN)

    async def can_be_retracted(self, reading: Reading, request_id: str, behalf: str) -> bool:
        """Whether `retract` takes it back as it stands, for whoever asks on this behalf."""
        of = await existing(reading, request_id)
        if behalf == GUARDIAN and not _is_a_childs(await self._held(reading, of, self._clock())):
            return False
        return can_be_taken_back(of.kind, of.state)

    async def retract_for(self, subject: Subject, request_id: str) -> Request:
        """As the owner, by the word of a person who asked by letter or at a counter; needs `withdraw`.

        `Conflicting` for what was asked on the person's page: it is taken back there.
        """
        subject.require("withdraw")
        found = await self._requests.owned(subject, request_id)
        if found.origin != "owner":
            raise Conflicting(
                "asked_on_the_page", "Only the person takes this back.", remedy="The person does so on its page."
            )
        await self._retract(found, {"member": subject.member, "client": subject.client})
        return await existing(self._database, request_id)

    async def _retract(self, of: Request, actor: Mapping[str, str], *, childs_only: bool = False) -> None:
        async with self._ledger.changing(of.owner, narrows={of.owner}) as change:
            standing = await existing(change.tx, of.id)
            step = taken_back_by(standing.kind, standing.state)
            outcome: dict[str, Any] = json.loads(standing.outcome) if standing.outcome else {}
            await decide(change.tx, standing, step, outcome, standing.answer, change.now_ms)
            await end_tasks(change, standing)
            held = await self._held(change.tx, standing, change.now_ms)
            if childs_only and not _is_a_childs(held):
                raise Conflicting("not_a_childs", "It holds what the person agreed to itself.", field="/request")
            for one in held:
                await self._records.act(change, one.id, Event.LIFT, actor=actor, details={"request": of.id})
            change.enter(entry(standing, "right_retracted", actor, lifted=len(held)))

    async def _held(self, reading: Reading, of: Request, now_ms: int) -> list[Record]:
        """What a request holds of its person, unless another one is still to hold it."""
        if not _holds(of):
            return []
        subjects = await subjects_at(reading, *of.person)
        for subject in subjects:
            rows = await reading.all(OF_PERSON, owner=of.owner, pseudonym=subject)
            if any(_holds(one) for one in map(Request.of, rows) if one.id != of.id):
                return []
        records = [one for subject in subjects for one in await self._records.of_person(reading, of.owner, subject)]
        on_hold = [one for one in records if one.effective(seconds(now_ms)) is State.ON_HOLD]
        return [one for one in on_hold if await _is_held_by_a_request(reading, one.id)]


def _is_a_childs(held: Sequence[Record]) -> bool:
    """Whether nothing of it would stand again that the person gave itself."""
    return all(one.is_a_childs for one in held)


def _holds(of: Request) -> bool:
    return (of.kind, of.state) in HOLDING


async def _is_held_by_a_request(reading: Reading, record: str) -> bool:
    """Whether the newest step of a record on hold was a request's."""
    return "request" in read((await events_of(reading, record))[-1]["details"])
