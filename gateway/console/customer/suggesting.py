"""What was suggested to customers and why, and their off switch (PIPL Art. 24): for the persons of a visit alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from gateway.bundles.persons import BundlePersons
from gateway.clock import MILLISECONDS, Clock, seconds
from gateway.consents.asking import Visit
from gateway.consents.contacts import Holder, Role
from gateway.consents.notice_text import PERSONALISATION
from gateway.consents.record import Record
from gateway.consents.states import State
from gateway.console.customer import views
from gateway.console.customer.shown import LANGUAGE_TAGS
from gateway.console.customer.told import Told
from gateway.errors import NotFound

_PERSONAL: Final = "consented"
_HOLDING: Final = (State.GIVEN, State.ON_HOLD)
"""What holds of a consent that is a child's: on the 14th birthday it is stale."""


class Suggesting:
    """Reads suggestions, and turns switches. `about` are the records that a visit is about.

    A guardian does both for a child alone: once no consent that is a child's holds, it is the person's own.
    """

    def __init__(self, persons: BundlePersons, clock: Clock) -> None:
        self._persons = persons
        self._clock = clock

    async def told(self, visit: Visit, about: Iterable[Record]) -> list[dict[str, Any]]:
        """Every suggestion, newest first; over a request's link none, for that was opened for its question alone."""
        if visit.request_id is not None:
            return []
        persons = self._answered_for(visit, about)
        found = [one for person in persons for one in await self._persons.told(person.owner, person.pseudonym)]
        return sorted(found, key=lambda one: str(one["made_at"]), reverse=True)

    async def switches(self, visit: Visit, about: Iterable[Record]) -> Mapping[str, bool]:
        """Company that holds the customer's data -> whether suggestions from it are switched off."""
        is_off: dict[str, bool] = {}
        for person in sorted(self._answered_for(visit, about)):
            is_one_off = await self._persons.is_off(person.owner, person.pseudonym)
            is_off[person.owner] = is_off.get(person.owner, True) and is_one_off
        return is_off

    async def turn(self, visit: Visit, about: Iterable[Record], company: str, *, off: bool) -> None:
        """Turn the switch at a company; `NotFound` for one at which the visitor has none."""
        persons = [one for one in self._answered_for(visit, about) if one.owner == company]
        if not persons:
            raise NotFound
        actor = {"visit": visit.named_to(company)}
        for person in persons:
            await self._persons.turn(person.owner, person.pseudonym, off=off, actor=actor)

    def _answered_for(self, visit: Visit, about: Iterable[Record]) -> list[Holder]:
        """The visitor itself, and the children whose guardian it is."""
        now_s = seconds(self._clock())
        children = {(one.owner, one.pseudonym) for one in about if one.is_a_childs and one.effective(now_s) in _HOLDING}
        return [one for one in visit.persons if one.role is Role.OWN or (one.owner, one.pseudonym) in children]


def shown(found: Iterable[Mapping[str, Any]], about: Sequence[Record], told: Told, language: str) -> views.Suggestions:
    """In the reader's language: products with the words of their reasons, and fields as the notice names them."""
    tag = LANGUAGE_TAGS[language]

    def one(said: Mapping[str, Any]) -> views.Suggestion:
        titles = _titles(said["member"], about, told, tag)
        return views.Suggestion(
            at=int(datetime.fromisoformat(said["made_at"]).timestamp()) * MILLISECONDS,
            member=told.name(said["member"]),
            is_personal=said["basis"] == _PERSONAL,
            products=tuple(
                views.Product(item["name"], tuple(said["words"][code][tag] for code in item["reasons"]))
                for item in said["items"]
            ),
            fields=tuple(titles.get(name, name) for name in said["fields_used"]),
        )

    return tuple(map(one, found))


def _titles(member: str, about: Iterable[Record], told: Told, tag: str) -> Mapping[str, str]:
    """The fields in the words of the notices under which this member may personalise."""
    of_member = [one for one in about if one.recipient == member and one.purpose == PERSONALISATION]
    return {name: title for one in of_member for name, title in told.titles(one, tag).items()}
