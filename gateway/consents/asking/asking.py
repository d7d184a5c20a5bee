"""Asking persons: a link, a one-time code, a visit, and what is decided in it.

Looking at a link changes nothing, so scanners of mail and SMS may; opening it shows the notice and proves the serving;
only the code, sent to the same address, gives a consent. Everything else than giving is no harder than giving.

An address may lead to persons of many owners. Each is acted for in a change of its owner's log alone, so no owner whose
log cannot be written keeps anybody from coming in, or from withdrawing at another.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from gateway.apart import Apart
from gateway.clock import Clock, seconds
from gateway.consents.asking import codes, forgetting, links, visits
from gateway.consents.asking.browser import Browser
from gateway.consents.asking.budget import Budget
from gateway.consents.asking.deciding import Choice, Deciding, Decision
from gateway.consents.asking.finding import Finding
from gateway.consents.asking.inviting import Inviting
from gateway.consents.asking.links import Link
from gateway.consents.asking.requesting import Requesting
from gateway.consents.asking.visit import VISIT_MS, Kind, Visit
from gateway.consents.asking.words import LANGUAGES, Message, message
from gateway.consents.contacts import Address, Contacts, Holder
from gateway.consents.record import Record
from gateway.consents.records import Records
from gateway.consents.states import STEPS, Event, State
from gateway.database import Database, Reading, Transaction
from gateway.errors import Conflicting, Invalid, NotFound, TooManyAttempts
from gateway.ledger import Change, Draft, Ledger
from gateway.ledger import Kind as EntryKind
from gateway.problems import log_unexpected
from gateway.senders import Senders
from gateway.vault.keyring import KeyRing


@dataclass(frozen=True, slots=True)
class Opened:
    """A visit that has begun, and the value of its cookie; it is kept nowhere here. Never printed."""

    visit: Visit
    cookie: str

    def __repr__(self) -> str:
        return f"Opened({self.visit.id}, cookie not shown)"


class Asking:
    """Links, visits, codes and decisions of persons. `requesting` is for owners, `finding` the persons' own entry."""

    def __init__(
        self, database: Database, ledger: Ledger, clock: Clock, *, contacts: Contacts, records: Records,
        senders: Senders, requesting: Requesting, inviting: Inviting, finding: Finding, budget: Budget,
    ) -> None:  # fmt: skip
        self.contacts = contacts
        self.requesting = requesting
        self.inviting = inviting
        self.finding = finding
        self._database = database
        self._ledger = ledger
        self._clock = clock
        self._records = records
        self._deciding = Deciding(records)
        self._senders = senders
        self._budget = budget

    @classmethod
    def of(
        cls, database: Database, ledger: Ledger, keyring: KeyRing, clock: Clock, *, records: Records, senders: Senders,
        base_url: str,
    ) -> Self:  # fmt: skip
        """With everything that it is made of."""
        contacts = Contacts(database, keyring, clock)
        budget = Budget(database, contacts.index, clock)
        inviting = Inviting(
            database, ledger, clock, contacts=contacts, records=records, budget=budget, senders=senders,
            base_url=base_url,
        )  # fmt: skip
        finding = Finding(database, clock, contacts=contacts, budget=budget, senders=senders, base_url=base_url)
        requesting = Requesting(database, ledger, keyring, clock, records=records, contacts=contacts, inviting=inviting)
        return cls(
            database, ledger, clock, contacts=contacts, records=records, senders=senders, requesting=requesting,
            inviting=inviting, finding=finding, budget=budget,
        )  # fmt: skip

    async def look(self, token: str) -> Link | None:
        """What a link is for, for the page that asks whether to open it; leaves no trace. None where it opens nothing.

        Unknown, expired, used and worn out links look alike, and those that lead to nobody.
        """
        link = await links.find(self._database, token, self._clock())
        return link if link is not None and await self._led(self._database, link) else None

    async def open(self, token: str, browser: Browser) -> Opened:
        """Begin a visit, by a person's own act. It decides nothing; each item keeps that it was served.

        `NotFound` where the link opens nothing (any more), or leads to nobody.
        """
        link = await links.find(self._database, token, self._clock())
        if link is None:
            raise NotFound
        is_asked = link.kind is not Kind.SELF_SERVICE
        async with self._ledger.changing(*(person.owner for person in link.persons if is_asked)) as change:
            tx = change.tx
            persons = await self._led(tx, link)
            if not persons or not await links.use(tx, token, change.now_ms):
                raise NotFound
            visit, cookie = await visits.begin(tx, replace(link, persons=persons), change.now_ms)
            if is_asked:
                await self._serve(change, visit, browser)
        return Opened(visit, cookie)

    async def visit(self, cookie: str) -> Visit | None:
        """The visit that a cookie carries, confirmed or not, of those whom its address still leads to.

        None once it is over, or leads to nobody.
        """
        found = await visits.find(self._database, cookie, self._clock())
        if found is None:
            return None
        persons = await self._led(self._database, found)
        return replace(found, persons=persons) if persons else None

    async def send_code(self, visit: Visit) -> None:
        """Send a code to the address that the link was sent to; any earlier code of the visit ends.

        `TooManyAttempts` within a minute of the last one, and after five a day, in all visits together. `NotSent`
        where nobody took it; `NotFound` where the address leads to the person no more.
        """
        person = visit.persons[0]
        address = await self.contacts.reach(visit.term, person, visit.channel)
        if address is None:
            raise NotFound
        await self._spend(address)
        first = _only(visit.owners)
        async with self._ledger.changing(*first) as change:
            code = await codes.issue(change.tx, visit, change.now_ms)
            if code is None:
                raise NotFound
            for owner in first:
                await self._note_sent(change, visit.at(owner))
        await self._tell_others(visit, first, self._note_sent)
        await self._senders.send(message(Message.CODE, visit.language, address, code=code))

    async def confirm(self, visit: Visit, code: str, decisions: Mapping[str, Decision] | None = None) -> Visit:
        """Take the code, and these decisions with it, in one transaction with their entries; the visit goes on.

        Each try counts, whoever makes it and however it ends: `Invalid` for a wrong code, `TooManyAttempts` once it is
        burnt, expired or used, `NotFound` where the address leads to the person no more. A decision that is refused
        leaves the code unused.

        Of several owners, those without a decision have their entry afterwards. Where it fails, the code proves the
        address to nobody there, and the visit goes on.
        """
        mac = await codes.check(self._database, self._clock, visit, code)
        chosen = decisions or {}
        decided = await self._by_owner(visit, chosen)
        first = {*decided, *_only(visit.owners)}
        async with self._ledger.changing(*first, narrows=decided.keys()) as change:
            if not await codes.use(change.tx, visit, mac, change.now_ms):
                raise TooManyAttempts("code_over", "This code is used up.", remedy="Have a new one sent.")
            await self._require_led(change.tx, visit)
            confirmed = replace(visit, confirmed_until=change.now_ms + VISIT_MS)
            for owner in sorted(first):
                await self._note_confirmed(change, confirmed.at(owner))
            for owner, items in decided.items():
                part = confirmed.at(owner)
                await self._deciding.decide(change, part, {one: chosen[one] for one in items}, _told(part))
        await self._tell_others(confirmed, first, self._note_confirmed)
        return confirmed

    async def decide(self, visit: Visit, decisions: Mapping[str, Decision]) -> dict[str, State]:
        """Take decisions, each for one item; returns where each stands. Giving needs a confirmed visit.

        Whoever came over a request's own link may refuse and put off without a code. `NotFound`, here and in every
        other act of a visit, where the address leads to a person of the items' owner no more.
        """
        if visit.kind is Kind.SELF_SERVICE or any(one.choice is Choice.GIVE for one in decisions.values()):
            self._require_confirmed(visit)
        decided = await self._by_owner(visit, decisions)

        async def decide(change: Change, part: Visit, owner: str) -> dict[str, State]:
            chosen = {one: decisions[one] for one in decided[owner]}
            return await self._deciding.decide(change, part, chosen, _told(part))

        return await self._act(visit, decided, decide)

    async def refuse_all(self, visit: Visit) -> dict[str, State]:
        """Refuse whatever is still asked; there is no such thing for giving.

        What fails at one owner keeps nothing from being refused at the others, and is raised at the end.
        """
        if visit.kind is Kind.SELF_SERVICE:
            self._require_confirmed(visit)

        async def refuse(change: Change, part: Visit, _: str) -> dict[str, State]:
            return await self._deciding.refuse_all(change, part, _told(part))

        return await self._act(visit, visit.owners, refuse)

    async def withdraw(self, visit: Visit, records: Collection[str]) -> dict[str, State]:
        """Withdraw these items of those that the visit is about; in a confirmed visit."""
        self._require_confirmed(visit)
        withdrawn = await self._by_owner(visit, records)

        async def withdraw(change: Change, part: Visit, owner: str) -> dict[str, State]:
            return await self._deciding.withdraw(change, part, withdrawn[owner], _told(part))

        return await self._act(visit, withdrawn, withdraw)

    async def withdraw_all(self, visit: Visit) -> dict[str, State]:
        """As `withdraw`, everything that stands: of the request, or of every person that the address leads to.

        What fails at one owner keeps nothing from being withdrawn at the others, and is raised at the end.
        """
        self._require_confirmed(visit)

        async def withdraw(change: Change, part: Visit, _: str) -> dict[str, State]:
            return await self._deciding.withdraw(change, part, None, _told(part))

        return await self._act(visit, visit.owners, withdraw)

    async def about(self, visit: Visit) -> list[Record]:
        """The items that a visit is about, oldest first: its request's, or all of its persons'."""
        return [record for record, _ in (await self._deciding.of(self._database, visit)).values()]

    async def leave(self, visit: Visit) -> None:
        """End a visit: its cookie carries nothing any more."""
        async with self._database.transaction() as tx:
            await visits.leave(tx, visit)

    async def find(self, typed: str, language: str) -> None:
        """See `Finding.find`."""
        if language not in LANGUAGES:
            raise Invalid("invalid_language", f"One of {', '.join(LANGUAGES)}.", field="language")
        await self.finding.find(typed, language)

    async def forget(self, tx: Transaction, owner: str, pseudonym: str) -> None:
        """Leave nothing of how a person is reached, nor anything that leads to it, as an erasure asks for."""
        await self.contacts.forget(tx, owner, pseudonym)
        await forgetting.forget(tx, owner, pseudonym)

    async def close(self) -> None:
        """Let what is being sent leave."""
        await self.finding.settle()

    async def _act(
        self, visit: Visit, owners: Iterable[str], act: Callable[[Change, Visit, str], Awaitable[dict[str, State]]]
    ) -> dict[str, State]:
        """Act at each of these owners, in a change that narrows it alone, for whoever has the address in that very
        transaction. What fails at one is raised once the others had their turn.
        """
        outcome: dict[str, State] = {}

        async def at(owner: str) -> None:
            part = visit.at(owner)
            async with self._ledger.changing(narrows=[owner]) as change:
                await self._require_led(change.tx, part)
                done = await act(change, part, owner)
            outcome.update(done)

        with Apart() as each:
            for owner in owners:
                await each(at(owner))
        return outcome

    async def _by_owner(self, visit: Visit, items: Collection[str]) -> dict[str, list[str]]:
        """These items, by the owners of their records; `NotFound` for one that the visit is not about."""
        about = await self._deciding.of(self._database, visit) if items else {}
        if not about.keys() >= set(items):
            raise NotFound
        found: dict[str, list[str]] = {}
        for record_id in items:
            record, _ = about[record_id]
            found.setdefault(record.owner, []).append(record_id)
        return found

    async def _tell_others(
        self, visit: Visit, told: Collection[str], note: Callable[[Change, Visit], Awaitable[None]]
    ) -> None:
        """The visit's other owners have their entry, each in a change of its own; none of them keeps anybody out."""
        for owner in visit.owners:
            if owner in told:
                continue
            try:
                async with self._ledger.changing(owner) as change:
                    await note(change, visit.at(owner))
            except Exception as error:
                log_unexpected(error, "while telling an owner of a visit")

    async def _note_sent(self, change: Change, part: Visit) -> None:
        change.enter(_entry(part, "consent_code_sent"))

    async def _note_confirmed(self, change: Change, part: Visit) -> None:
        """The code proves the address, for whoever has it in that very transaction."""
        await self._require_led(change.tx, part)
        for person in part.persons:
            await self.contacts.verify(change.tx, person, part.channel, change.now_ms)
        change.enter(_entry(part, "consent_code_confirmed"))

    async def _require_led(self, tx: Transaction, visit: Visit) -> None:
        if await self._led(tx, visit) != visit.persons:
            raise NotFound

    async def _led(self, reading: Reading, to: Link | Visit) -> tuple[Holder, ...]:
        """Of the persons of a link or a visit, those whom its address still leads to."""
        return tuple([one for one in to.persons if await self.contacts.leads(reading, to.term, one, to.channel)])

    async def _serve(self, change: Change, visit: Visit, browser: Browser) -> None:
        for record, _ in (await self._deciding.of(change.tx, visit)).values():
            if Event.SERVE in STEPS.get(record.effective(seconds(change.now_ms)), {}):
                actor = {"visit": visit.named_to(record.owner), "by": "person"}
                await self._records.act(change, record.id, Event.SERVE, actor=actor, details=browser.facts())

    async def _spend(self, address: Address) -> None:
        if not await self._budget.take("code", address):
            raise TooManyAttempts(
                "code_too_soon",
                "A code was sent less than a minute ago, or five were sent today.",
                remedy="Use the newest message, or wait.",
            )

    def _require_confirmed(self, visit: Visit) -> None:
        if not visit.is_confirmed(self._clock()):
            raise Conflicting(
                "not_confirmed", "The code was not entered yet.", remedy="Have a code sent, and enter it."
            )


def _only(owners: Sequence[str]) -> Sequence[str]:
    """The owner where there is but one, whose entry commits with what it tells of."""
    return owners if len(owners) == 1 else ()


def _told(part: Visit) -> dict[str, Any]:
    """How sure it is who decides, for the events of the one owner of a part of a visit."""
    [owner] = part.owners
    method = "link" if part.confirmed_until is None else "link_and_code"
    return {"visit": part.named_to(owner), "channel": part.channel.value, "method": method}


def _entry(part: Visit, act: str) -> Draft:
    """For the log of the one owner of a part of a visit."""
    [owner] = part.owners
    actor = {"visit": part.named_to(owner)}
    facts = {"act": act, "actor": actor, "channel": part.channel.value, "over": part.kind.value}
    return Draft(log=owner, kind=EntryKind.CONSENT, facts=facts)
