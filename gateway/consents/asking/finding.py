"""The page's own entry: whoever types a number or an address gets a link there, and nobody learns whether it is known.

Known or not, the same is counted, looked up and written before the same answer. A message leaves seconds later, at an
instant that nobody can tell: what it takes to send it would hold up whoever asks again at once.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from typing import Final

from gateway.clock import Clock
from gateway.consents.asking import links
from gateway.consents.asking.budget import Budget
from gateway.consents.asking.links import LINK_PATH, Link
from gateway.consents.asking.visit import Kind
from gateway.consents.asking.words import Message, message
from gateway.consents.contacts import Address, Contacts
from gateway.database import Database
from gateway.errors import GatewayError
from gateway.problems import log_unexpected
from gateway.senders import Outgoing, Senders

PAUSES_MS: Final = range(500, 3000)
"""So long, by chance, a message waits after its answer."""


class Finding:
    """Sends links to addresses that lead to somebody."""

    def __init__(
        self, database: Database, clock: Clock, *, contacts: Contacts, budget: Budget, senders: Senders, base_url: str
    ) -> None:
        self._database = database
        self._clock = clock
        self._contacts = contacts
        self._budget = budget
        self._senders = senders
        self._base_url = base_url
        self._leaving: set[asyncio.Task[None]] = set()
        self._hurry = asyncio.Event()

    async def find(self, typed: str, language: str) -> None:
        """Send a link to whoever can be reached so, within the day's number of messages; says nothing either way.

        `Invalid` for what is no number or address at all.
        """
        address = Address.guessed(typed)
        allowed = await self._budget.take("link", address)
        term = await self._contacts.index.lasting_term(address.channel, address.text)
        persons = tuple(await self._contacts.behind(self._database, address))
        link = Link(Kind.SELF_SERVICE, None, persons, address.channel, language, term)
        async with self._database.transaction() as tx:
            token = await links.issue(tx, link, self._clock())
        if persons and allowed:
            told = message(Message.SELF_SERVICE, language, address, link=f"{self._base_url}{LINK_PATH}{token}")
            task = asyncio.create_task(self._send(told), name="self-service")
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def settle(self) -> None:
        """Let what is to be sent leave now, and wait until it has, or was not taken."""
        self._hurry.set()
        await asyncio.gather(*self._leaving, return_exceptions=True)
        self._hurry.clear()

    async def _send(self, told: Outgoing) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), secrets.choice(PAUSES_MS) / 1000)
        try:
            await self._senders.send(told)
        except GatewayError:  # whoever waits in vain asks again
            return
        except Exception as error:
            log_unexpected(error, "while sending a link")
