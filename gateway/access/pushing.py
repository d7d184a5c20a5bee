"""What is published goes to the addresses that recipients registered: page by page, through the seam, signed, retried.

A page is released anew for every attempt, so that nothing is sent that could not be read at that instant, and every
attempt is an entry. It bears the same idempotency key until it is acknowledged, and an acknowledged one is not sent
again: at least once on the wire, once as far as acknowledged. Each address has its own pace; a deaf one stops no other.
"""

from __future__ import annotations

import secrets
from binascii import hexlify
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Any

import orjson

from gateway.access.enforcement import EnforcementPoint
from gateway.access.messages import KeptMessages
from gateway.access.push_addresses import stop
from gateway.access.push_queue import Delivery, PushQueue
from gateway.access.refusal import ClientChanged
from gateway.access.release import Release
from gateway.access.request import AccessRequest
from gateway.clock import Clock, seconds
from gateway.errors import GatewayError, NotFound, Refused
from gateway.identity import AgreementGrant, ResponseSigner, Subject
from gateway.lanes import Lanes
from gateway.ledger import Draft, Kind, Ledger

Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[None]]
"""Sends content with header fields to an address; returns once it is acknowledged, else raises `GatewayError`."""

FIRST_PAUSE_MS = 1000
LONGEST_PAUSE_MS = 3600 * 1000
MOST_ATTEMPTS = 24
"""Of one page: about twelve hours. Then the delivery is given up, on record; what is published later is still sent."""
_HOURLY = 13
"""The first attempt after which the pause is the longest. A page that is refused for now waits there, without end."""
_WAITS = frozenset(
    ("FREQUENCY_EXCEEDED", "VOLUME_EXCEEDED", "DISPUTED_ITEM", "MEMBER_SUSPENDED", "QUALIFICATION_EXPIRED")
)
"""Refusals that time or people lift, after days perhaps. Any other one stops the address."""
_GRANTED_S = 300
_JSON = "application/json"


class Pushes:
    """Sends what is due. Several processes may: each page is claimed by one of them."""

    def __init__(
        self,
        queue: PushQueue,
        enforcement: EnforcementPoint,
        ledger: Ledger,
        signer: ResponseSigner,
        messages: KeptMessages,
        post: Post,
        clock: Clock,
    ) -> None:
        self._queue = queue
        self._enforcement = enforcement
        self._ledger = ledger
        self._signer = signer
        self._messages = messages
        self._post = post
        self._clock = clock
        self._lanes = Lanes("pushing")

    async def start(self) -> int:
        """Begin what is due at addresses that nothing is being sent to; returns how many are busy now."""
        await self._queue.plan()
        for delivery in await self._queue.due(busy=len(self._lanes)):
            if delivery.push not in self._lanes and await self._queue.claim(delivery):
                self._lanes.begin(delivery.push, self._deliver(delivery))
        return len(self._lanes)

    async def run(self) -> None:
        """Send until nothing is due any more; what failed is due later."""
        while await self.start():
            await self._lanes.wait()

    async def close(self) -> None:
        """Stop sending; an unacknowledged page is sent again once its claim ends."""
        await self._lanes.close()

    async def _deliver(self, delivery: Delivery) -> None:
        """Page after page, until the end or a failure."""
        while True:
            try:
                following = await self._send(delivery)
            except (Refused, NotFound, ClientChanged) as error:
                await self._refused(delivery, error)
                return
            except GatewayError as error:
                await self._postpone(delivery, error.code)
                return
            if following is None:
                return
            delivery = following

    async def _send(self, delivery: Delivery) -> Delivery | None:
        released = await self._enforcement.release(_request(delivery, self._clock()))
        if released.records or delivery.page > 1:  # who was sent a page that is not the last is sent the last one
            content = _content(delivery, released)
            fields = {"content-type": _JSON, "idempotency-key": f'"{delivery.message}"'}
            signed = self._signer.sign_push(delivery.uri, content, fields)
            await self._messages.keep(delivery.recipient, signed.message)
            async with self._ledger.changing(delivery.owner) as change:
                if not await self._queue.is_active(change.tx, delivery):
                    return None
                change.enter(self._sent(delivery, released, content, signed.describe()))
            await self._post(delivery.uri, content, {**fields, **signed.headers})
        return await self._acknowledged(delivery, released)

    async def _acknowledged(self, delivery: Delivery, released: Release) -> Delivery | None:
        """Remember the page as taken; the last one together with the entry that says so."""
        taken = delivery.after(len(released.records), released.cursor)
        if released.cursor is not None:
            return await self._queue.advance(delivery, taken)
        async with self._ledger.changing(delivery.owner) as change:
            if await self._queue.finish(change.tx, delivery, taken):
                counted = {"pages": taken.page - 1, "records": taken.records}
                change.enter(self._draft(delivery, "push_delivered", counted))
        return None

    async def _refused(self, delivery: Delivery, error: GatewayError) -> None:
        if isinstance(error, ClientChanged) and delivery.client_state == "active":
            await self._postpone(delivery, error.code)  # its keys changed since it was looked up
            return
        codes = {reason.code for reason in error.reasons} if isinstance(error, Refused) else {error.code}
        if codes <= _WAITS:
            await self._pause(delivery, min(codes), attempts=min(delivery.attempts + 1, _HOURLY))
            return
        code = min(codes - _WAITS)
        async with self._ledger.changing(delivery.owner) as change:
            await stop(change, delivery.owner, delivery.push, code, {"gateway": "push"})

    async def _postpone(self, delivery: Delivery, code: str) -> None:
        """Try later, or give up."""
        attempts = delivery.attempts + 1
        if attempts < MOST_ATTEMPTS:
            await self._pause(delivery, code, attempts=attempts)
            return
        async with self._ledger.changing(delivery.owner) as change:
            await self._queue.give_up(change.tx, delivery, code)
            change.enter(self._draft(delivery, "push_given_up", {"page": delivery.page, "code": code}))

    async def _pause(self, delivery: Delivery, code: str, *, attempts: int) -> None:
        """Try again after a pause that doubles, and is never the same for all."""
        pause = min(FIRST_PAUSE_MS << (attempts - 1), LONGEST_PAUSE_MS)
        await self._queue.postpone(delivery, pause + secrets.randbelow(pause // 4 + 1), code, attempts=attempts)

    def _sent(self, delivery: Delivery, released: Release, content: bytes, message: dict[str, str]) -> Draft:
        facts = {
            "page": delivery.page,
            "attempt": delivery.attempts + 1,
            "idempotency_key": delivery.message,
            "access": released.recorded.event_id,
            "content_sha256": sha256(content).hexdigest(),
            "message": message,
        }
        return self._draft(delivery, "push_sent", facts)

    @staticmethod
    def _draft(delivery: Delivery, act: str, facts: dict[str, Any]) -> Draft:
        named = {"act": act, "push": delivery.push, "upload": delivery.upload, "recipient": delivery.recipient}
        return Draft(log=delivery.owner, kind=Kind.DELIVERY, facts=named | facts)


def _request(delivery: Delivery, now_ms: int) -> AccessRequest:
    """What the recipient's client would ask for: nobody else's rights, and no more than its agreement gives."""
    grant = AgreementGrant(delivery.agreement, (delivery.dataset,), (delivery.purpose,), ("read",))
    subject = Subject(
        alliance=delivery.alliance,
        member=delivery.recipient,
        client=delivery.client,
        agreements=(grant,),
        actions=frozenset(),
        token=f"push:{delivery.push}",
        jkt="",
        expires_at=seconds(now_ms) + _GRANTED_S,
        client_version=delivery.client_version,
    )
    return AccessRequest(
        subject=subject,
        agreement=delivery.agreement,
        dataset=delivery.dataset,
        purpose=delivery.purpose,
        method="push",
        cursor=delivery.cursor,
        upload=delivery.upload_no,
    )


def _content(delivery: Delivery, released: Release) -> bytes:
    """The page as the API shows one, and where it belongs."""
    records = b",".join([b'{"id":"%b","fields":%b}' % (hexlify(name), fields) for name, fields in released.records])
    about = {
        "push": delivery.push,
        "message": delivery.message,
        "agreement": delivery.agreement,
        "dataset": delivery.dataset,
        "purpose": delivery.purpose,
        "upload": delivery.upload,
        "page": delivery.page,
        "last": released.cursor is None,
        "event_id": released.recorded.event_id,
        "receipt": released.receipt,
        **released.accompanied,
    }
    return b'{"records":[' + records + b"]," + orjson.dumps(about)[1:]
