"""Telling recipients: signed webhooks (Standard Webhooks 1.0.0), at least once, the same `webhook-id` in every attempt.

Each recipient has its own pace; a deaf one delays no other. What was never tried goes first. After a day the address
is given up, on record: the follow-up stays among the recipient's duties, and its deadlines run on.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256

from gateway.clock import Clock
from gateway.consents.following.messages import Message, Messages
from gateway.errors import GatewayError
from gateway.identity import ResponseSigner
from gateway.lanes import Lanes
from gateway.ledger import Draft, Kind, Ledger

Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[None]]
"""Sends content with header fields to an address; returns once it is acknowledged, else raises `GatewayError`."""
Write = Callable[[Message], Awaitable[str]]
"""What a message about a follow-up says."""

FIRST_PAUSE_MS = 30 * 1000
LONGEST_PAUSE_MS = 2 * 3600 * 1000
TRIED_MS = 24 * 3600 * 1000
NO_ADDRESS = "NO_ADDRESS"


class Telling:
    """Sends what is due. Several processes may: each attempt is claimed by one of them."""

    def __init__(
        self,
        messages: Messages,
        write: Write,
        ledger: Ledger,
        signer: ResponseSigner,
        post: Post,
        clock: Clock,
    ) -> None:
        self._messages = messages
        self._write = write
        self._ledger = ledger
        self._signer = signer
        self._post = post
        self._clock = clock
        self._lanes = Lanes("telling of withdrawals")

    async def start(self) -> int:
        """Begin what is due for recipients that nothing is being sent to; returns how many are busy now."""
        for message in await self._messages.due(busy=len(self._lanes)):
            if message.recipient not in self._lanes:
                self._lanes.begin(message.recipient, self._tell(message))
        return len(self._lanes)

    async def run(self) -> None:
        """Send until nothing is due any more; what failed is due later."""
        while await self.start():
            await self._lanes.wait()

    async def close(self) -> None:
        """Stop sending; what is not acknowledged is sent again once its claim ends."""
        await self._lanes.close()

    async def _tell(self, first: Message) -> None:
        """Message after message, until none is due; whoever does not take one is left alone for now."""
        message: Message | None = first
        while message is not None and await self._messages.claim(message):
            if not await self._attempt(message):
                return
            message = await self._messages.next_of(first.recipient)

    async def _attempt(self, message: Message) -> bool:
        if not message.uri:
            await self._failed(message, NO_ADDRESS)
            return True
        content = await self._content(message)
        try:
            headers = self._signer.sign_webhook(message.id, content)
            await self._post(message.uri, content, {"content-type": "application/json", **headers})
        except GatewayError as error:
            await self._failed(message, error.code)
            return False
        facts = {"attempt": message.attempts + 1, "content_sha256": sha256(content).hexdigest()}
        async with self._ledger.changing(message.log) as change:
            if await self._messages.deliver(change.tx, message):
                change.enter(_draft(message, "withdrawal_told", facts))
        return True

    async def _content(self, message: Message) -> bytes:
        """What was kept at the first attempt, or is written and kept now."""
        if message.content is not None:
            return message.content.encode()
        content = await self._write(message)
        await self._messages.write(message, content)
        return content.encode()

    async def _failed(self, message: Message, code: str) -> None:
        """Try later, or leave it to the member's duties, on record."""
        pause = min(FIRST_PAUSE_MS << min(message.attempts, 16), LONGEST_PAUSE_MS)
        pause += secrets.randbelow(pause // 4 + 1)
        goes_on = code != NO_ADDRESS and self._clock() + pause < message.created_at + TRIED_MS
        async with self._ledger.changing(message.log) as change:
            await self._messages.fail(change.tx, message, code, pause_ms=pause if goes_on else None)
            if not goes_on:
                change.enter(_draft(message, "withdrawal_untold", {"attempts": message.attempts + 1, "code": code}))


def _draft(message: Message, act: str, facts: Mapping[str, object]) -> Draft:
    named = {"act": act, "message": message.id, "recipient": message.recipient}
    return Draft(log=message.log, kind=Kind.DELIVERY, facts={**named, **facts})
