"""The page's own entry: whoever types a number or an address gets a link there, and nobody learns whether it is known.

Known or not, the same is counted, looked up and written before the same answer; only then, beside it, a message leaves.
"""

from __future__ import annotations

import asyncio

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
        """Wait until what was to be sent has left, or was not taken."""
        await asyncio.gather(*self._leaving, return_exceptions=True)

    async def _send(self, told: Outgoing) -> None:
        try:
            await self._senders.send(told)
        except GatewayError:  # whoever waits in vain asks again
            return
        except Exception as error:
            log_unexpected(error, "while sending a link")
