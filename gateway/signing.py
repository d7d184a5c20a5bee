"""What the gateway signs with: its own keys, in the hands of whoever signs tokens and receipts, through rotations."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from gateway.clock import Clock
from gateway.database import Database, Query
from gateway.identity import TokenKey, TokenKeys
from gateway.identity.token_keys import KEY_SET_CACHE_SECONDS
from gateway.identity.tokens import LIFETIME_SECONDS
from gateway.ledger import Ledger
from gateway.ledger.receipts import ReceiptSigner
from gateway.members.tables import alliance
from gateway.vault.keyring import KeyRing
from gateway.vault.own_keys import KeySet, OwnKeys
from gateway.vault.rotation import KeyRotation, RotatedKey, Windows

WINDOWS = Windows(cache_s=KEY_SET_CACHE_SECONDS, life_s=LIFETIME_SECONDS)
"""Longer than anybody may hold a key set or a token (decision 0016)."""

_ALLIANCES = Query(select(alliance.c.id).order_by(alliance.c.id))


class Signing:
    """The keys for tokens and receipts of one process. `follow` reads them again; who signs has them at once."""

    def __init__(self, database: Database, keyring: KeyRing, clock: Clock) -> None:
        self.receipts = ReceiptSigner()
        self._receipt_keys = OwnKeys(database, keyring, clock, RotatedKey.RECEIPT, self._take_receipt_keys)
        self._token_keys = OwnKeys(database, keyring, clock, RotatedKey.TOKEN, self._take_token_keys)
        self.tokens = TokenKeys(follow=self._token_keys.follow)

    async def follow(self) -> None:
        """Read both sets now, each whatever becomes of the other; `KeysUnavailable` where one cannot sign."""
        try:
            await self._token_keys.read()
        finally:
            await self._receipt_keys.read()

    async def receipt_jwks(self) -> dict[str, list[dict[str, str | int]]]:
        """Every key that ever signed receipts, or will: receipts are verified for years."""
        await self._receipt_keys.follow()
        return {"keys": [key.dated_jwk() for key in self._receipt_keys.held.keys]}

    def _take_token_keys(self, held: KeySet) -> None:
        current = None if held.signing is None else TokenKey.of(held.signing.private, held.signing.kid)
        self.tokens.hold(current, [key.jwk() for key in held.live()])

    def _take_receipt_keys(self, held: KeySet) -> None:
        if held.signing is None:
            self.receipts.hold(None, "")
        else:
            self.receipts.hold(held.signing.private, held.signing.kid)


def key_rotation(database: Database, ledger: Ledger, keyring: KeyRing, clock: Clock, *, every_days: int) -> KeyRotation:
    """The rotation of both keys, with its steps in every alliance's operator's log."""

    async def operators_logs() -> Sequence[str]:
        return [row["id"] for row in await database.all(_ALLIANCES)]

    return KeyRotation(database, ledger, keyring, clock, WINDOWS, every_days=every_days, logs=operators_logs)
