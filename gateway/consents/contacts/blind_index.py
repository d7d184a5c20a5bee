"""Finding equal numbers and addresses without keeping them: HMAC-SHA-256 under a key of the gateway's own.

The space of mobile numbers is small enough to try them all, so a bare digest would hide nothing; without the key a
term says nothing. A new version of the key takes nothing away: terms are kept and looked up under every version.
"""

from __future__ import annotations

from typing import Final

from gateway.ledger import Change, Draft, Kind
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

    async def renew(self, change: Change, alliance: str, actor: dict[str, str]) -> int:
        """Draw the next version of the key, on record; returns its number. Former versions match on."""
        version = await self._keyring.renew_own_index_key(change.tx, change.now_ms)
        facts = {"act": "contact_key_renewed", "actor": actor, "version": version}
        change.enter(Draft(log=alliance, kind=Kind.KEY, facts=facts))
        return version
