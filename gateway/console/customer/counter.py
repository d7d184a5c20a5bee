"""The desk, served by the gateway itself. Who visits, and what a visit is about, is `Asking`'s to say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Self

from gateway.access.disclosures import Disclosures
from gateway.bundles.persons import BundlePersons
from gateway.clock import Clock
from gateway.consents.asking import Asking, Browser, Choice, Decision, Kind, Visit
from gateway.consents.consents import Consents
from gateway.consents.following import Following
from gateway.console.customer import views
from gateway.console.customer.desk import Came, NotVisiting
from gateway.console.customer.gathering import Gathering
from gateway.console.customer.shown import LANGUAGE_TAGS
from gateway.console.customer.suggesting import Suggesting
from gateway.console.customer.views import Answer, CopyOfRecord
from gateway.console.customer.wishes import Requests, Wishes
from gateway.database import Database
from gateway.errors import NotFound

_CHOICES: Final = {Answer.GIVE: Choice.GIVE, Answer.REFUSE: Choice.REFUSE, Answer.LATER: Choice.CLOSE}


class Counter:
    """See `Desk`; nothing here widens what a visit is about."""

    def __init__(
        self, asking: Asking, gathering: Gathering, wishes: Wishes, suggesting: Suggesting, clock: Clock
    ) -> None:
        self._asking = asking
        self._gathering = gathering
        self._wishes = wishes
        self._suggesting = suggesting
        self._clock = clock

    @classmethod
    def of(
        cls,
        database: Database,
        clock: Clock,
        *,
        asking: Asking,
        consents: Consents,
        following: Following,
        disclosures: Disclosures,
        bundles: BundlePersons,
        requests: Requests | None = None,
        kinds: Sequence[str] = (),
    ) -> Self:
        """`kinds` of requests can be made on the page; without `requests`, none."""
        wishes = Wishes(database, requests, kinds)
        suggesting = Suggesting(bundles, clock)
        gathering = Gathering(
            database,
            clock,
            consents=consents,
            following=following,
            disclosures=disclosures,
            wishes=wishes,
            suggestions=suggesting,
        )
        return cls(asking, gathering, wishes, suggesting, clock)

    async def ask_for_link(self, contact: str, language: str) -> None:
        """See `Desk`."""
        await self._asking.find(contact, LANGUAGE_TAGS[language])

    async def asker(self, token: str) -> str:
        """See `Desk`."""
        link = await self._asking.look(token)
        if link is None:
            raise NotFound
        return "" if link.kind is Kind.SELF_SERVICE else await self._gathering.name(link.persons[0].owner)

    async def open(self, token: str, came: Came) -> str:
        """See `Desk`."""
        browser = Browser(came.address, came.user_agent, came.method, came.path)
        return (await self._asking.open(token, browser)).cookie

    async def send_code(self, ticket: str) -> None:
        """See `Desk`."""
        await self._asking.send_code(await self._any_visit(ticket))

    async def confirm(self, ticket: str, code: str) -> None:
        """See `Desk`."""
        await self._asking.confirm(await self._any_visit(ticket), code)

    async def visit(self, ticket: str) -> Visit | None:
        """See `Desk`."""
        found = await self._asking.visit(ticket)
        return found if found is not None and found.is_confirmed(self._clock()) else None

    async def leave(self, ticket: str) -> None:
        """See `Desk`."""
        found = await self._asking.visit(ticket)
        if found is not None:
            await self._asking.leave(found)

    async def questions(self, visit: Visit, language: str) -> tuple[views.Item, ...]:
        """See `Desk`."""
        return await self._gathering.questions(await self._asking.about(visit), language)

    async def record(self, visit: Visit, language: str) -> views.Record:
        """See `Desk`."""
        return await self._gathering.record(visit, await self._asking.about(visit), language)

    async def receipt(self, visit: Visit, receipt: str) -> str:
        """See `Desk`."""
        return await self._gathering.receipt(await self._asking.about(visit), receipt)

    async def copy(self, visit: Visit) -> CopyOfRecord:
        """See `Desk`."""
        return await self._gathering.copy(visit, await self._asking.about(visit))

    async def ask(self, visit: Visit, wish: views.Wish) -> str:
        """See `Desk`."""
        return await self._wishes.ask(visit, wish)

    async def retract(self, visit: Visit, request: str) -> None:
        """See `Desk`."""
        await self._wishes.retract(visit, request)

    async def export(self, visit: Visit, request: str) -> bytes:
        """See `Desk`."""
        return await self._wishes.export(visit, request)

    async def switch(self, visit: Visit, company: str, *, off: bool) -> None:
        """See `Desk`."""
        await self._suggesting.turn(visit, await self._asking.about(visit), company, off=off)

    async def decide(self, visit: Visit, decision: views.Decision, language: str) -> None:
        """See `Desk`."""
        chosen = Decision(
            _CHOICES[decision.answer],
            optional=decision.fields,
            channels=decision.channels,
            notice_sha256=decision.notice_sha256,
            language=LANGUAGE_TAGS[language],
        )
        await self._asking.decide(visit, {decision.item: chosen})

    async def refuse_all(self, visit: Visit) -> None:
        """See `Desk`."""
        await self._asking.refuse_all(visit)

    async def withdraw(self, visit: Visit, item: str) -> None:
        """See `Desk`."""
        await self._asking.withdraw(visit, [item])

    async def withdraw_all(self, visit: Visit) -> None:
        """See `Desk`."""
        await self._asking.withdraw_all(visit)

    async def _any_visit(self, ticket: str) -> Visit:
        """The visit of a ticket, before its code or after it."""
        found = await self._asking.visit(ticket)
        if found is None:
            raise NotVisiting
        return found
