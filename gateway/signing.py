"""What the gateway signs with: its own keys, in the hands of whoever signs tokens, receipts and answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import select

from gateway.approvals import Act, Arguments, Mandate
from gateway.clock import Clock, seconds
from gateway.database import Database, Query, Reading, Transaction
from gateway.errors import Invalid
from gateway.identity import ResponseSigner, TokenKey, TokenKeys
from gateway.identity.revoked import revoke_all_by
from gateway.identity.token_keys import KEY_SET_CACHE_SECONDS
from gateway.identity.tokens import LIFETIME_SECONDS
from gateway.ledger import Change, Ledger
from gateway.ledger.receipts import ReceiptSigner
from gateway.ledger.tables import log
from gateway.members.arguments import only, said
from gateway.members.tables import alliance
from gateway.vault.keyring import KeyRing
from gateway.vault.own_keys import KeySet, OwnKeys
from gateway.vault.rotation import KeyRotation, RotatedKey, Windows

WINDOWS = Windows(cache_s=KEY_SET_CACHE_SECONDS, life_s=LIFETIME_SECONDS)
"""Longer than anybody may hold a key set or a token (decision 0016)."""

_ALLIANCES = Query(select(alliance.c.id).order_by(alliance.c.id))
_LOGS = Query(select(log.c.id))


class Signing:
    """The keys of one process, through rotations. `follow` reads them again; who signs has them at once."""

    def __init__(self, database: Database, keyring: KeyRing, clock: Clock) -> None:
        self.receipts = ReceiptSigner()
        self._receipt_keys = OwnKeys(database, keyring, clock, RotatedKey.RECEIPT, self._take_receipt_keys)
        self._token_keys = OwnKeys(database, keyring, clock, RotatedKey.TOKEN, self._take_token_keys)
        self.tokens = TokenKeys(follow=self._token_keys.follow)
        self.answers = ResponseSigner(clock)
        self._message_keys = OwnKeys(database, keyring, clock, RotatedKey.MESSAGE, self._take_message_keys)

    async def follow(self) -> None:
        """Read all sets now, each whatever becomes of the others; `KeysUnavailable` where one cannot sign."""
        try:
            await self._token_keys.read()
        finally:
            try:
                await self._receipt_keys.read()
            finally:
                await self._message_keys.read()

    async def resource_jwks(self) -> dict[str, list[dict[str, str | int]]]:
        """Every key that ever signed receipts or answers, or will: both are verified for years."""
        sets = (self._receipt_keys, self._message_keys)
        for keys in sets:
            await keys.follow()
        return {"keys": [key.dated_jwk() for keys in sets for key in keys.held.keys]}

    def _take_token_keys(self, held: KeySet) -> None:
        current = None if held.signing is None else TokenKey.of(held.signing.private, held.signing.kid)
        self.tokens.hold(current, [key.jwk() for key in held.live()])

    def _take_receipt_keys(self, held: KeySet) -> None:
        if held.signing is None:
            self.receipts.hold(None, "")
        else:
            self.receipts.hold(held.signing.private, held.signing.kid)

    def _take_message_keys(self, held: KeySet) -> None:
        if held.signing is None:
            self.answers.drop()
        else:
            self.answers.hold(held.signing.jwk(), held.signing.sign)


class AcceptedTokens:
    """What the gateway itself accepts of what its keys signed: access tokens, with which any owner's data is read."""

    async def opens(self, reading: Reading, use: RotatedKey) -> Collection[str]:
        """Every log, for a key that signed tokens."""
        return [row["id"] for row in await reading.all(_LOGS)] if use is RotatedKey.TOKEN else ()

    async def refuse(self, tx: Transaction, use: RotatedKey, kid: str, now_ms: int) -> None:
        """Revoke the tokens of a key."""
        if use is RotatedKey.TOKEN:
            await revoke_all_by(tx, kid, seconds(now_ms))


def key_rotation(database: Database, ledger: Ledger, keyring: KeyRing, clock: Clock, *, every_days: int) -> KeyRotation:
    """The rotation of these keys, with its steps in every alliance's operator's log."""

    async def operators_logs(reading: Reading) -> Sequence[str]:
        return [row["id"] for row in await reading.all(_ALLIANCES)]

    return KeyRotation(
        database, ledger, keyring, clock, WINDOWS, every_days=every_days, logs=operators_logs, accepted=AcceptedTokens()
    )


class RotationActs:
    """What two operators do to the gateway's own keys, for `Approvals`. Any alliance may propose it."""

    def __init__(self, rotation: KeyRotation) -> None:
        self._rotation = rotation

    def acts(self) -> list[Act]:
        """`rotate_key`: another key of a use is published, and takes over once everybody knows it."""
        return [Act("rotate_key", self._check, self._rotate, logs=self._logs)]

    async def _check(self, reading: Reading, _: str, arguments: Arguments) -> None:
        only(arguments, "use")
        await self._rotation.require_rest(reading, _use_of(arguments))

    async def _rotate(self, change: Change, mandate: Mandate, arguments: Arguments) -> str:
        """Publish the new key; returns its kid."""
        return await self._rotation.begin(change, _use_of(arguments), mandate.actor())

    async def _logs(self, _: str, __: Arguments) -> Sequence[str]:
        return await self._rotation.logs()


def _use_of(arguments: Arguments) -> RotatedKey:
    try:
        return RotatedKey(said(arguments, "use"))
    except ValueError:
        raise Invalid("unknown_use", f"One of {', '.join(RotatedKey)}.", field="use") from None
