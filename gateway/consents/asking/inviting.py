"""Asking persons, reminding them once, and taking note when they never answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import bindparam, select

from gateway.clock import Clock
from gateway.consents.asking import budget, links, questions, visits
from gateway.consents.asking.budget import Budget
from gateway.consents.asking.links import LINK_PATH
from gateway.consents.asking.questions import MOST_SENDINGS, Asked, Question
from gateway.consents.asking.words import Message, message
from gateway.consents.contacts import Address, Contacts, Reached, Role
from gateway.consents.records import Records
from gateway.consents.states import STEPS, Event
from gateway.database import Database, Query
from gateway.errors import GatewayError, Invalid
from gateway.ledger import Change, Ledger
from gateway.members.tables import member
from gateway.problems import log_unexpected
from gateway.senders import Senders

MOST_PERSONS: Final = 5
"""So many persons of one owner share an address at most: a family does; who decides for customers would need more."""

CLOCK: Final[Mapping[str, str]] = MappingProxyType({"clock": "gateway"})
_NAME = Query(select(member.c.name).where(member.c.id == bindparam("id")))


@dataclass(frozen=True, slots=True)
class Invitation:
    """A link that is to be sent. Never printed: whoever has its token may open it."""

    question: Question
    member: str
    token: str
    what: Message

    def __repr__(self) -> str:
        return f"Invitation({self.question.id}, token not shown)"


class Inviting:
    """Makes links and sends them; a message that nobody took is tried again, with another link."""

    def __init__(
        self, database: Database, ledger: Ledger, clock: Clock, *, contacts: Contacts, records: Records,
        budget: Budget, senders: Senders, base_url: str,
    ) -> None:  # fmt: skip
        self._database = database
        self._ledger = ledger
        self._clock = clock
        self._contacts = contacts
        self._records = records
        self._budget = budget
        self._senders = senders
        self._base_url = base_url

    def require_channel(self, address: Address) -> None:
        """`Conflicting` where this gateway can't write to such an address."""
        self._senders.require(address.channel.value, "/channel")

    async def keep(self, change: Change, reached: Reached, at: str = "") -> None:
        """Keep how a person is reached; `Invalid`, under the pointer `at`, for an address that is not the person's own.

        That is one that leads to too many persons of one owner, or a guardian's that is the child's.
        """
        holder, behind = reached.holder, await self._contacts.behind(change.tx, reached.address)
        others = {one.pseudonym for one in behind if one.owner == holder.owner} - {holder.pseudonym}
        if len(others) >= MOST_PERSONS:
            raise Invalid(
                "address_of_many",
                f"At most {MOST_PERSONS} of your customers share an address.",
                field=f"{at}/address",
                remedy="Name the person's own: nobody decides for customers.",
            )
        if holder.role is Role.GUARDIAN and holder._replace(role=Role.OWN) in behind:
            raise Invalid(
                "guardian_is_the_child",
                "This is the child's own address.",
                field=f"{at}/address",
                remedy="Name the guardian's own.",
            )
        await self._contacts.keep(change.tx, reached, change.now_ms)

    async def ask(
        self, change: Change, question: Question, reached: Reached, *, actor: Mapping[str, str]
    ) -> Invitation:
        """Keep the address and the question, with their entry; `deliver` it once the change is committed.

        The items are the records whose `request_id` is the question's id, made in the same change.
        """
        await self.keep(change, reached, "/guardian" if reached.holder.role is Role.GUARDIAN else "")
        token = await questions.put(change, question, actor)
        row = await change.tx.one(_NAME, id=question.person.owner)
        assert row is not None
        what = Message.GUARDIAN if question.person.role is Role.GUARDIAN else Message.REQUEST
        return Invitation(question, row["name"], token, what)

    async def deliver(self, invitation: Invitation) -> bool:
        """Send it; False where nobody took it, or its member has just written there: `run` makes that good."""
        asked = invitation.question
        address = await self._contacts.reach(asked.term, asked.person, asked.channel)
        if address is None or not await self._budget.take(f"request {asked.person.owner}", address):
            return False
        link = f"{self._base_url}{LINK_PATH}{invitation.token}"
        try:
            told = message(invitation.what, asked.language, address, member=invitation.member, link=link)
            await self._senders.send(told)
        except GatewayError:
            return False
        async with self._database.transaction() as tx:
            await questions.sent(tx, asked.id, self._clock())
        return True

    async def run(self) -> int:
        """Take every step that is due: send again, remind, let lapse; forget what is over. Returns how many."""
        taken = 0
        for asked in await questions.due(self._database, self._clock()):
            try:
                await self._step(asked)
            except Exception as error:  # one question that cannot go on holds up no other
                log_unexpected(error, "while asking")
            taken += 1
        async with self._database.transaction() as tx:
            now = self._clock()
            await visits.forget(tx, now)
            await links.forget(tx, now)
            await budget.forget(tx, now)
        return taken

    async def _step(self, asked: Asked) -> None:
        question = asked.question
        reminding = asked.state == "deferred"
        unsent = 0 < asked.attempts <= MOST_SENDINGS and self._clock() < asked.ends_at
        reachable = await self._contacts.leads(self._database, question.term, question.person, question.channel)
        if not reachable or not (reminding or unsent):
            await self._lapse(asked)
            return
        async with self._ledger.changing(question.person.owner) as change:
            token = await questions.anew(change.tx, asked, change.now_ms, reminding=reminding)
            if token is None:
                return
            if reminding:
                await self._each(change, question.id, Event.SEND)
            act = "consent_reminded" if reminding else "consent_requested_again"
            change.enter(questions.entry(question, act, CLOCK))
        what = Message.GUARDIAN if question.person.role is Role.GUARDIAN else Message.REQUEST
        await self.deliver(Invitation(question, asked.member, token, Message.REMINDER if reminding else what))

    async def _lapse(self, asked: Asked) -> None:
        async with self._ledger.changing(asked.question.person.owner) as change:
            if await questions.end(change.tx, asked.question.id, "lapsed", change.now_ms):
                await self._each(change, asked.question.id, Event.LAPSE)
                change.enter(questions.entry(asked.question, "consent_request_lapsed", CLOCK))

    async def _each(self, change: Change, request_id: str, event: Event, **told: Any) -> None:
        """Take a step with every item that can take it."""
        for record in await self._records.of_request(change.tx, request_id):
            if event in STEPS.get(record.effective(change.now_ms // 1000), {}):
                await self._records.act(change, record.id, event, actor=CLOCK, **told)
