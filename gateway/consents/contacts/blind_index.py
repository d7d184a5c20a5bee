"""Finding equal numbers and addresses without keeping them: HMAC-SHA-256 under a key of the gateway's own.

The space of mobile numbers is small enough to try them all, so a bare digest would hide nothing; without the key a
term says nothing. A new version of the key takes nothing away: terms are kept and looked up under every version.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from gateway.approvals import Act, Arguments, Mandate
from gateway.database import Reading
from gateway.ledger import Change, Draft, Kind
from gateway.members.arguments import only
from gateway.vault.keyring import OWN, KeyRing

SUGGESTED_EMAIL: Final = "suggested_email"
"""The kind of term for `Email.suggested`: it never meets one of an exact address."""


class BlindIndex:
    """The terms of values that are in their one form already. `kind` keeps apart what only looks alike."""

    def __init__(self, keyring: KeyRing) -> None:
        self._keyring = keyring

    async def terms(self, kind: str, text: str) -> list[tuple[int, bytes]]:
        """(key version, 32 bytes) under every version in use, newest first. `KeysUnavailable` without a key."""
        return (await self._keyring.unlock(OWN)).blind_terms(kind, text)

    async def lasting_term(self, kind: str, text: str) -> bytes:
        """The one term to know a value again by: see `lasting`."""
        return lasting(await self.terms(kind, text))


def lasting(terms: Sequence[tuple[int, bytes]]) -> bytes:
    """The term under the oldest version: kept with whatever was ever kept, and known to every process.

    The newest is neither, from a renewal on.
    """
    return terms[-1][1]


class ContactKeyActs:
    """What two operators do to the key, for `Approvals`. Any alliance may propose it; each has it on record."""

    def __init__(self, keyring: KeyRing, alliances: Callable[[], Awaitable[Sequence[str]]]) -> None:
        self._keyring = keyring
        self._alliances = alliances

    def acts(self) -> list[Act]:
        """`renew_contact_key`: terms are kept under another version too, and found under the former ones as before."""
        return [Act("renew_contact_key", self._check, self._renew, logs=self._logs)]

    async def _check(self, _: Reading, __: str, arguments: Arguments) -> None:
        only(arguments)

    async def _renew(self, change: Change, mandate: Mandate, _: Arguments) -> str:
        """Draw the next version; returns its number."""
        version = await self._keyring.renew_own_index_key(change.tx, change.now_ms)
        for alliance in await self._alliances():
            facts = {"act": "contact_key_renewed", "actor": mandate.actor(), "version": version}
            change.enter(Draft(log=alliance, kind=Kind.KEY, facts=facts))
        return str(version)

    async def _logs(self, _: str, __: Arguments) -> Sequence[str]:
        return await self._alliances()
