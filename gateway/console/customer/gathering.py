"""Everything about the persons of a visit, gathered from where it is kept, as it stands at one instant."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from gateway.access.disclosures import Disclosure, Disclosures
from gateway.clock import Clock, seconds
from gateway.consents.asking import Visit
from gateway.consents.asking.deciding import ASKED
from gateway.consents.consents import Consents
from gateway.consents.contacts import Holder, Role
from gateway.consents.following import Following, Progress
from gateway.consents.receipts import Kept
from gateway.consents.record import Record, names_of
from gateway.console.customer import shown, suggesting, views
from gateway.console.customer.suggesting import Suggesting
from gateway.console.customer.told import Told, name_of, told_of
from gateway.console.customer.wishes import Wishes, single_persons
from gateway.database import Database
from gateway.errors import NotFound


class Gathering:
    """Reads, and changes nothing. `about` are the records that a visit is about."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        consents: Consents,
        following: Following,
        disclosures: Disclosures,
        wishes: Wishes,
        suggestions: Suggesting,
    ) -> None:
        self._database = database
        self._clock = clock
        self._consents = consents
        self._following = following
        self._disclosures = disclosures
        self._wishes = wishes
        self._suggesting = suggestions

    async def name(self, member_id: str) -> str:
        """A member's name."""
        return await name_of(self._database, member_id)

    async def questions(self, about: Sequence[Record], language: str) -> tuple[views.Item, ...]:
        """What waits for an answer, each as its notice puts it."""
        told = await told_of(self._database, about)
        return tuple(shown.item(one, told, language) for one in self._asked(about) if one.notice_id in told.notices)

    async def record(self, visit: Visit, about: Sequence[Record], language: str) -> views.Record:
        """Everything, newest first."""
        progress = await self._progress(visit, about)
        passed = await self._disclosed(visit, about)
        suggested = await self._suggesting.told(visit, about)
        switches = await self._suggesting.switches(visit, about)
        others = [step.recipient for step in _flat(progress)] + [one.recipient for one in passed]
        others += [one["member"] for one in suggested]
        told = await told_of(self._database, about, [*others, *visit.owners])
        now_s = seconds(self._clock())
        newest = sorted(about, key=lambda one: -one.changed_at)
        alone = [one.owner for one in await single_persons(self._database, visit)]
        return views.Record(
            holdings=tuple(
                shown.holding(
                    one, told, language, now_s=now_s, steps=[step for step in progress if step.consent == one.id]
                )
                for one in newest
            ),
            disclosures=tuple(shown.disclosure(one, told, language) for one in reversed(passed)),
            receipts=tuple(
                views.Receipt(_id(one, kept), kept.kind, told.name(one.recipient), kept.at)
                for one, kept in await self._kept(newest)
            ),
            officers=tuple(
                dict.fromkeys(party for told_by in told.notices.values() for party in shown.officers(told_by))
            ),
            waiting=len(self._asked(about)),
            companies=tuple(views.Company(owner, told.name(owner)) for owner in alone),
            shared=tuple(told.name(owner) for owner in visit.owners if owner not in alone),
            kinds=self._wishes.kinds(visit),
            asked=await self._wishes.of(visit, told.name),
            suggestions=suggesting.shown(suggested, about, told, language),
            switches=tuple(views.Switch(company, told.name(company), off) for company, off in switches.items()),
        )

    async def receipt(self, about: Sequence[Record], receipt: str) -> str:
        """One of the receipts of these records; else `NotFound`."""
        found = [kept.jws for one, kept in await self._kept(about) if _id(one, kept) == receipt]
        if not found:
            raise NotFound
        return found[0]

    async def copy(self, visit: Visit, about: Sequence[Record]) -> views.CopyOfRecord:
        """Records with their notices, receipts, what was passed on, and how far each recipient has come."""
        told = await told_of(self._database, about, visit.owners)
        return {
            "made_at": self._clock(),
            "consents": [self._copied(one, told) for one in about],
            "receipts": [kept.jws for _, kept in await self._kept(about)],
            "notices": [{"sha256": one.sha256, "document": one.document} for one in told.notices.values()],
            "disclosures": [one._asdict() for one in await self._disclosed(visit, about)],
            "follow_ups": [_as_json(step) for step in await self._progress(visit, about)],
            "requests": [asdict(one) for one in await self._wishes.of(visit, told.name)],
            "suggestions": await self._suggesting.told(visit, about),
            "suggestion_switches": [
                {"company": company, "is_off": off}
                for company, off in (await self._suggesting.switches(visit, about)).items()
            ],
        }

    def _asked(self, about: Iterable[Record]) -> list[Record]:
        now_s = seconds(self._clock())
        return [one for one in about if one.effective(now_s) in ASKED]

    def _copied(self, record: Record, told: Told) -> dict[str, object]:
        same = ("id", "owner", "recipient", "purpose", "kind", "notice_sha256", "language", "given_at", "expires_at")
        return {
            **{name: getattr(record, name) for name in (*same, "origin", "changed_at", "recorded_at", "supersedes")},
            "dataset": record.dataset,
            "fields": names_of(told.datasets[record.dataset_no], record.fields),
            "channels": list(record.channels),
            "state": record.effective(seconds(self._clock())).value,
        }

    async def _kept(self, about: Iterable[Record]) -> list[tuple[Record, Kept]]:
        return [(one, kept) for one in about for kept in await self._consents.receipts.of(self._database, one.id)]

    async def _progress(self, visit: Visit, about: Sequence[Record]) -> list[Progress]:
        """How far those have come who must stop, as far as the visit may see it."""
        ids = {one.id for one in about}
        async with self._database.reading() as reading:
            return [
                step
                for person in visit.persons
                for step in await self._following.of_person(reading, person.owner, person.pseudonym)
                if _may_see(visit, person, step.consent, ids)
            ]

    async def _disclosed(self, visit: Visit, about: Sequence[Record]) -> list[Disclosure]:
        """What was passed on of the visit's persons, as far as the visit may see it."""
        ids = {one.id for one in about}
        found = [
            one
            for person in visit.persons
            for one in await self._disclosures.of_person(person.owner, person.pseudonym)
            if _may_see(visit, person, one.consent, ids)
        ]
        return sorted(found)


def _may_see(visit: Visit, person: Holder, consent: str, about: Collection[str]) -> bool:
    """Over a request's link, and as a guardian, what came of the visit's own records; else everything of the person."""
    return consent in about or (visit.request_id is None and person.role is Role.OWN)


def _as_json(step: Progress) -> dict[str, Any]:
    return step._asdict() | {"onward": [_as_json(one) for one in step.onward]}


def _flat(progress: Iterable[Progress]) -> Iterator[Progress]:
    for step in progress:
        yield step
        yield from _flat(step.onward)


def _id(record: Record, kept: Kept) -> str:
    """As the receipt names itself."""
    return f"{record.id}.{kept.sequence}.{kept.kind}"
