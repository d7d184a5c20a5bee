"""How members file things: once per `Idempotency-Key`, for an agreement's dataset that they have a part in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

from gateway.agreements.agreement import Agreement
from gateway.agreements.agreements import Agreements
from gateway.canonical import canonical
from gateway.database import Database
from gateway.database.idempotency import recall, remember
from gateway.errors import Conflicting, NotFound, Reason, Refused
from gateway.identity.subject import Subject
from gateway.ledger import Change, Draft, Kind, Ledger

Work = Callable[[Change], Awaitable[Any]]
"""Does the work in a change, and returns what the caller is told."""


@dataclass(frozen=True, slots=True)
class Filing:
    """One request to file something: who asks, the `Idempotency-Key` if any, and what makes two requests equal."""

    subject: Subject
    key: str | None
    fingerprint: str

    async def once(
        self, database: Database, ledger: Ledger, work: Work, *logs: str, narrows: Collection[str] = ()
    ) -> bytes:
        """The answer as canonical JSON: of the work, or of an equal request with the same key that did it before."""
        earlier = await self._earlier(database)
        if earlier is not None:
            return earlier
        try:
            async with ledger.changing(*logs, narrows=narrows) as change:
                answer = canonical(await work(change))
                await remember(
                    change.tx,
                    client_id=self.subject.client,
                    key=self.key,
                    fingerprint=self.fingerprint,
                    answer=answer,
                    now_ms=change.now_ms,
                )
        except Conflicting:  # perhaps because an equal request was done meanwhile
            earlier = await self._earlier(database)
            if earlier is None:
                raise
            return earlier
        return answer

    async def _earlier(self, database: Database) -> bytes | None:
        return await recall(database, client_id=self.subject.client, key=self.key, fingerprint=self.fingerprint)


@dataclass(frozen=True, slots=True)
class Place:
    """One dataset under one agreement that covers it."""

    agreement: Agreement
    dataset: str

    @property
    def owner(self) -> str:
        """The agreement's owner, in whose log everything here is entered."""
        return self.agreement.owner

    @property
    def names(self) -> dict[str, str]:
        """As rows and entries name it."""
        return {"agreement_id": self.agreement.id, "dataset_id": self.dataset}

    def facts(self) -> dict[str, str]:
        """As entries name it."""
        return {"agreement": self.agreement.id, "dataset": self.dataset}

    def require_owner(self, subject: Subject) -> None:
        """`Refused` for everybody but the owner: it answers for what it provides."""
        if subject.member != self.owner:
            raise Refused((Reason("OWNER_ONLY"),))


class Places:
    """Finds places for members with a part in the agreement; for anyone else there is none."""

    def __init__(self, agreements: Agreements) -> None:
        self._agreements = agreements

    async def agreement(self, subject: Subject, agreement_id: str) -> Agreement:
        """An agreement that this member is a party to, or is named in as a third party; else `NotFound`."""
        found = await self._agreements.load(agreement_id)
        if found is None or subject.member not in involved(found):
            raise NotFound
        return found

    async def of(self, subject: Subject, agreement_id: str, dataset_id: str) -> Place:
        """A dataset that the terms cover; `NotFound` for any other."""
        found = await self.agreement(subject, agreement_id)
        if found.terms is None or found.terms.term_for(dataset_id) is None:
            raise NotFound
        return Place(found, dataset_id)

    async def between(self, subject: Subject, agreement_id: str, dataset_id: str) -> Place:
        """As `of`, for the two parties alone: a third party learns nothing of what stands between them."""
        place = await self.of(subject, agreement_id, dataset_id)
        require_part(place.agreement, subject)
        return place

    async def standing(self, subject: Subject, agreement_id: str, dataset_id: str) -> Place:
        """As `of`; `Conflicting` once the agreement was terminated or superseded: nothing can be given under it."""
        place = await self.of(subject, agreement_id, dataset_id)
        if place.agreement.has_ended:
            raise Conflicting(
                "agreement_terminated", "This agreement has ended.", remedy="File it under the one in force."
            )
        return place


def require_part(agreement: Agreement, subject: Subject) -> None:
    """`NotFound` for a third party, as for a stranger."""
    if subject.member not in agreement.parties:
        raise NotFound


def involved(agreement: Agreement) -> tuple[str, ...]:
    """Both parties, and the third parties that the terms name."""
    return (*agreement.parties, *(agreement.terms.third_parties if agreement.terms else ()))


def entry(log: str, act: str, subject: Subject, **facts: Any) -> Draft:
    """What a member did, for a log."""
    actor = {"member": subject.member, "client": subject.client}
    return Draft(log=log, kind=Kind.AGREEMENT, facts={"act": act, "actor": actor, **facts})
