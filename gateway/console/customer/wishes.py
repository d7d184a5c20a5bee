"""What customers ask companies for: requests and complaints, handed to who answers them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from gateway.clock import MILLISECONDS
from gateway.consents.asking import Visit
from gateway.consents.contacts import Holder, Role
from gateway.consents.same_person import subjects_at
from gateway.console.customer import views
from gateway.console.customer.shown import Names
from gateway.database import Database, Reading
from gateway.errors import Conflicting, NotFound
from gateway.rights.request import Person
from gateway.rights.states import EXPORTED, RequestState

_GUARDIAN: Final = "guardian"
_NEXT_OF_KIN: Final = "next_of_kin"


class Requests(Protocol):
    """Requests of persons to those who hold their data. A `person` has `owner` and `pseudonym`; texts are sealed."""

    async def open(self, person: Any, kind: str, text: str, *, visit: str, language: str, behalf: str) -> str:
        """Open a request of somebody in a confirmed visit, as it is named to the owner; returns its id."""

    async def of_person(self, reading: Reading, person: Any, *, behalf: str) -> Sequence[dict[str, Any]]:
        """A person's at one owner: `id`, `kind`, `state`, `behalf`, `received_at`, `due_at`, `answer` if any, and
        `can_be_retracted` by whoever is there on this `behalf`.
        """

    async def retract(self, person: Any, request_id: str, *, visit: str, behalf: str) -> None:
        """The person asks no more; `NotFound` for another's, `Conflicting` for what is over."""

    async def export(self, person: Any, request_id: str, *, visit: str) -> bytes:
        """The ZIP that a granted request of this person gives; `NotFound` for another's, `Conflicting` for none."""


class Wishes:
    """Passes requests on, for the companies of a visit alone; over a request's link none, which has one question."""

    def __init__(self, database: Database, requests: Requests | None, kinds: Sequence[str]) -> None:
        self._database = database
        self._requests = requests
        self._kinds = tuple(kinds) if requests is not None else ()

    def kinds(self, visit: Visit) -> tuple[str, ...]:
        """What can be asked for in a visit."""
        return self._kinds if visit.request_id is None else ()

    async def ask(self, visit: Visit, wish: views.Wish) -> str:
        """Open a request; `NotFound` over a request's link, and for a company that does not hold the data of one
        person of the visit alone.
        """
        if self._requests is None:
            raise Conflicting("no_requests", "Nothing can be asked for here.", remedy="Turn to the company.")
        alone = await single_persons(self._database, visit)
        person = next((one for one in alone if one.owner == wish.company), None)
        if person is None or visit.request_id is not None:
            raise NotFound
        return await self._requests.open(
            Person(person.owner, person.pseudonym),
            wish.kind,
            wish.text,
            visit=visit.named_to(person.owner),
            language=visit.language,
            behalf=_behalf(person),
        )

    async def of(self, visit: Visit, names: Names) -> tuple[views.Asked, ...]:
        """What was asked for, and what became of it; for a guardian, what guardians asked for."""
        alone = {one.owner for one in await single_persons(self._database, visit)}
        found = [
            _asked(one, names(person.owner), is_alone=person.owner in alone) for person, one in await self._made(visit)
        ]
        return tuple(sorted(found, key=lambda one: -one.received_at))

    async def export(self, visit: Visit, request_id: str) -> bytes:
        """What a granted request of the visit's persons gives.

        Over a request's link `NotFound`: an export holds more than the question that such a link was sent for. So for
        persons who share their number or address: nobody knows who of them asks.
        """
        requests, person, _ = await self._own(visit, request_id)
        return await requests.export(person, request_id, visit=visit.named_to(person.owner))

    async def retract(self, visit: Visit, request_id: str) -> None:
        """Ask no more; `NotFound` as above, and for what relatives of somebody who died ask."""
        requests, person, made = await self._own(visit, request_id)
        if made["behalf"] == _NEXT_OF_KIN:
            raise NotFound
        visitor = next(one for one in visit.persons if one.owner == person.owner)
        named = visit.named_to(person.owner)
        await requests.retract(person, request_id, visit=named, behalf=_behalf(visitor))

    async def _own(self, visit: Visit, request_id: str) -> tuple[Requests, Person, dict[str, Any]]:
        """One of the visit's requests and whose it is, where it is known who asks; else `NotFound`."""
        alone = {one.owner for one in await single_persons(self._database, visit)}
        for person, made in await self._made(visit):
            if made["id"] == request_id and person.owner in alone and self._requests is not None:
                return self._requests, person, made
        raise NotFound

    async def _made(self, visit: Visit) -> list[tuple[Person, dict[str, Any]]]:
        if self._requests is None or visit.request_id is not None:
            return []
        async with self._database.reading() as reading:
            return [
                (Person(one.owner, one.pseudonym), request)
                for one in visit.persons
                for request in await self._requests.of_person(
                    reading, Person(one.owner, one.pseudonym), behalf=_behalf(one)
                )
                if one.role is Role.OWN or request["behalf"] == _GUARDIAN
            ]


async def single_persons(reading: Reading, visit: Visit) -> list[Holder]:
    """Those who share their number or address with nobody at the same company, each as its first subject.

    At any other company nobody knows who of them asks.
    """
    alone = []
    for owner in visit.owners:
        first, *others = [one for one in visit.persons if one.owner == owner]
        subjects = await subjects_at(reading, owner, first.pseudonym)
        if all(one.pseudonym in subjects and one.role is first.role for one in others):
            alone.append(first)
    return alone


def _behalf(visitor: Holder) -> str:
    return _GUARDIAN if visitor.role is Role.GUARDIAN else "self"


def _asked(told: dict[str, Any], company: str, *, is_alone: bool) -> views.Asked:
    """Without what was answered, and without the file, where nobody knows who of several persons looks at it."""
    return views.Asked(
        id=told["id"],
        kind=told["kind"],
        company=company,
        state=told["state"],
        received_at=_instant(told["received_at"]),
        due_at=_instant(told["due_at"]),
        answer=told.get("answer", "") if is_alone else "",
        is_exported=is_alone and told["kind"] in EXPORTED and told["state"] == RequestState.ANSWERED,
        can_be_retracted=is_alone and told["behalf"] != _NEXT_OF_KIN and told["can_be_retracted"],
    )


def _instant(written: str) -> int:
    return int(datetime.fromisoformat(written).timestamp()) * MILLISECONDS
