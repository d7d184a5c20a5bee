"""What customers ask companies for: requests and complaints, handed to who answers them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from gateway.clock import MILLISECONDS
from gateway.consents.asking import Visit
from gateway.consents.contacts import Holder, Role
from gateway.console.customer import views
from gateway.console.customer.shown import Names
from gateway.database import Database, Reading
from gateway.errors import Conflicting, NotFound
from gateway.rights.request import Person

_GUARDIAN: Final = "guardian"


class Requests(Protocol):
    """Requests of persons to those who hold their data. A `person` has `owner` and `pseudonym`; texts are sealed."""

    async def open(self, person: Any, kind: str, text: str, *, visit: str, language: str, behalf: str) -> str:
        """Open a request of somebody in a confirmed visit; returns its id."""

    async def of_person(self, reading: Reading, person: Any) -> Sequence[dict[str, Any]]:
        """A person's at one owner: `id`, `kind`, `state`, `behalf`, `received_at`, `due_at`, and `answer` if any."""


class Wishes:
    """Passes requests on, for the companies of a visit alone."""

    def __init__(self, database: Database, requests: Requests | None, kinds: Sequence[str]) -> None:
        self._database = database
        self._requests = requests
        self.kinds = tuple(kinds) if requests is not None else ()

    async def ask(self, visit: Visit, wish: views.Wish) -> str:
        """Open a request; `NotFound` for a company that does not hold the data of one person of the visit alone."""
        if self._requests is None:
            raise Conflicting("no_requests", "Nothing can be asked for here.", remedy="Turn to the company.")
        person = next((one for one in single_persons(visit) if one.owner == wish.company), None)
        if person is None:
            raise NotFound
        return await self._requests.open(
            Person(person.owner, person.pseudonym),
            wish.kind,
            wish.text,
            visit=visit.id,
            language=visit.language,
            behalf=_GUARDIAN if person.role is Role.GUARDIAN else "self",
        )

    async def of(self, visit: Visit, names: Names) -> tuple[views.Asked, ...]:
        """What was asked for, and what became of it; for a guardian, what guardians asked for."""
        if self._requests is None:
            return ()
        async with self._database.reading() as reading:
            found = [
                _asked(one, names(person.owner))
                for person in visit.persons
                for one in await self._requests.of_person(reading, Person(person.owner, person.pseudonym))
                if person.role is Role.OWN or one["behalf"] == _GUARDIAN
            ]
        return tuple(sorted(found, key=lambda one: -one.received_at))


def single_persons(visit: Visit) -> list[Holder]:
    """Those who share their number or address with nobody at the same company: else nobody knows who of them asks."""
    owners = [one.owner for one in visit.persons]
    return [one for one in visit.persons if owners.count(one.owner) == 1]


def _asked(told: dict[str, Any], company: str) -> views.Asked:
    return views.Asked(
        id=told["id"],
        kind=told["kind"],
        company=company,
        state=told["state"],
        received_at=_instant(told["received_at"]),
        due_at=_instant(told["due_at"]),
        answer=told.get("answer", ""),
    )


def _instant(written: str) -> int:
    return int(datetime.fromisoformat(written).timestamp()) * MILLISECONDS
