"""One side's set as it is at this instant: those who have consented to be matched with the other member.

Read through the one enforcement point, page by page: each page is judged anew, and its entry in the owner's log names
what was opened. What is kept of it are keyed elements, in memory, until the count is done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

import orjson

from gateway.access.enforcement import EnforcementPoint
from gateway.access.request import AccessRequest
from gateway.clock import Clock, seconds
from gateway.consents.contacts import normalised_email, normalised_phone
from gateway.errors import Invalid, TooLarge
from gateway.identity import AgreementGrant, Subject
from gateway.overlap.sides import METHOD, PURPOSE, Side

MOST_PERSONS: Final = 50_000
"""Of one side; a count of more takes minutes."""
_GRANTED_S: Final = 300
NORMALISED: Final[Mapping[str, Callable[[str], str]]] = {
    "phone": normalised_phone,
    "email": lambda text: normalised_email(text).exact,
}
"""The one form of what persons are matched by."""


class Terms(Protocol):
    """Where keyed terms come from that are the same for every member (`BlindIndex`)."""

    async def lasting_term(self, kind: str, text: str) -> bytes:
        """The one term of a value in its one form, whichever versions of the key there are."""


class Asker(NamedTuple):
    """On whose behalf a side is read: the other member's client, whose token granted it."""

    alliance: str
    member: str
    client: str
    client_version: int


Progress = Callable[[], Awaitable[None]]
"""Told once a side is read; in how many pages is nobody's business but the owner's, for it says how many persons."""


class Freezing:
    """Reads a side, as the other member's client is allowed to."""

    def __init__(self, enforcement: EnforcementPoint, terms: Terms, clock: Clock, *, most: int = MOST_PERSONS) -> None:
        self._enforcement = enforcement
        self._terms = terms
        self._clock = clock
        self._most = most

    async def freeze(
        self, overlap: str, pair: str, matched_by: str, side: Side, asker: Asker, progress: Progress
    ) -> Collection[bytes]:
        """The elements: keyed, of this pair of members alone, each person's once. What has no form is left out.

        `Refused` as any read is; `TooLarge` for too many persons.
        """
        found: set[bytes] = set()
        cursor: str | None = None
        while True:
            page = await self._enforcement.release(self._request(overlap, side, asker, cursor))
            for _, fields in page.records:
                element = await self._element(pair, matched_by, orjson.loads(fields).get(side.field))
                found |= {element} if element else set()
            if len(found) > self._most:
                raise TooLarge("overlap_too_large", f"A side has at most {self._most} persons.")
            cursor = page.cursor
            if cursor is None:
                await progress()
                return found

    async def _element(self, pair: str, matched_by: str, value: object) -> bytes | None:
        try:
            text = NORMALISED[matched_by](value) if isinstance(value, str) else ""
        except Invalid:
            return None
        if not text:
            return None
        term = await self._terms.lasting_term(matched_by, text)
        return sha256(b"gw1 overlap element" + pair.encode() + term).digest()

    def _request(self, overlap: str, side: Side, asker: Asker, cursor: str | None) -> AccessRequest:
        grant = AgreementGrant(side.agreement, (side.dataset,), (PURPOSE,), ("read",))
        subject = Subject(
            alliance=asker.alliance,
            member=asker.member,
            client=asker.client,
            agreements=(grant,),
            actions=frozenset(),
            token=f"overlap:{overlap}",
            jkt="",
            expires_at=seconds(self._clock()) + _GRANTED_S,
            client_version=asker.client_version,
        )
        return AccessRequest(
            subject=subject,
            agreement=side.agreement,
            dataset=side.dataset,
            purpose=PURPOSE,
            method=METHOD,
            fields=(side.field,),
            cursor=cursor,
        )
