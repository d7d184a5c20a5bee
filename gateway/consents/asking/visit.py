"""A visit: somebody came over a link. Until a code that was sent to the address is entered it proves nothing more."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256
from typing import Final

from gateway.consents.contacts import Channel, Holder, Role
from gateway.database import Row

VISIT_MS: Final = 30 * 60 * 1000
"""So long a visit lasts from its opening, and again from its code."""


_NAME_DIGITS: Final = 32


class Kind(StrEnum):
    """What a link and its visits are for. None of them serves another's purpose."""

    REQUEST = "request"
    GUARDIAN = "guardian"
    SELF_SERVICE = "self_service"


@dataclass(frozen=True, slots=True)
class Visit:
    """Who may be on the other side: the persons whom the address leads to.

    `confirmed_until` (milliseconds) is None before the code. `code_key` comes from the cookie and is kept nowhere.
    """

    id: str
    """For the gateway's own tables alone; owners are told `named_to`."""

    kind: Kind
    persons: tuple[Holder, ...]
    request_id: str | None
    channel: Channel
    language: str
    term: bytes = field(repr=False)
    confirmed_until: int | None
    code_key: bytes = field(repr=False)

    def is_confirmed(self, now_ms: int) -> bool:
        """Whether the code was entered, less than half an hour ago."""
        return self.confirmed_until is not None and now_ms < self.confirmed_until

    @property
    def owners(self) -> tuple[str, ...]:
        """The members whose persons these are."""
        return tuple(sorted({person.owner for person in self.persons}))

    def at(self, owner: str) -> Visit:
        """The same visit, of one owner's persons alone."""
        return replace(self, persons=tuple(person for person in self.persons if person.owner == owner))

    def named_to(self, owner: str) -> str:
        """What the visit is called in an owner's entries and events: another name for each owner, so that no two can
        join their customers by it. A plain hash is enough, because no owner knows the id, 128 random bits.
        """
        return sha256(f"visit of an owner\n{self.id}\n{owner}".encode()).hexdigest()[:_NAME_DIGITS]

    @classmethod
    def of(cls, row: Row, key: bytes) -> Visit:
        """The visit of a row of `visit`."""
        return cls(
            id=row["id"],
            kind=Kind(row["kind"]),
            persons=persons_in(row["persons"]),
            request_id=row["request_id"],
            channel=Channel(row["channel"]),
            language=row["language"],
            term=bytes(row["term"]),
            confirmed_until=row["confirmed_until"],
            code_key=key,
        )


def persons_in(text: str) -> tuple[Holder, ...]:
    """The persons that a row names."""
    return tuple(Holder(owner, pseudonym, Role(role)) for owner, pseudonym, role in json.loads(text))


def persons_as(persons: Sequence[Holder]) -> str:
    """How a row names persons."""
    return json.dumps([[*person] for person in persons])
