"""Signing in with a passkey, and confirming one act with it (step-up)."""

from __future__ import annotations

from typing import Any

from gateway.clock import Clock
from gateway.database import Database
from gateway.identity.operators import credentials, directory
from gateway.identity.operators.ceremonies import CHALLENGE_BYTES, Ceremonies, CeremonyKind, hashed
from gateway.identity.operators.credentials import Credential
from gateway.identity.operators.entries import Refusals, entry
from gateway.identity.operators.operator import Act, Operator, SignedIn
from gateway.identity.operators.passkeys import Answer, PasskeyRefused, Passkeys, Used
from gateway.identity.operators.sessions import Sessions
from gateway.ledger import Ledger

_AMR = ("pop", "user")
"""RFC 8176: proof of possession of a key, and user presence and verification."""


class PasskeySignIn:
    """Challenges, and what their answers are good for: a session, or one act."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        clock: Clock,
        passkeys: Passkeys,
        ceremonies: Ceremonies,
        sessions: Sessions,
        refusals: Refusals,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._clock = clock
        self._passkeys = passkeys
        self._ceremonies = ceremonies
        self._sessions = sessions
        self._refusals = refusals

    async def begin(self) -> tuple[str, dict[str, Any]]:
        """A ticket, and what the browser is to answer with any passkey of this site."""
        ticket, challenge = await self._ceremonies.begin(CeremonyKind.SIGN_IN)
        return ticket, self._passkeys.request(challenge=challenge)

    async def finish(self, ticket: str, text: str, *, former: str = "") -> str:
        """Sign in; returns the value of the session's cookie. Else `SignInRefused`, on record.

        The `former` session of the browser, if its cookie says that it had one, ends with that.
        """
        ceremony = await self._ceremonies.redeem(ticket, CeremonyKind.SIGN_IN)
        who, credential, used = await self._proved(text, ceremony.challenge, discovered=True)
        async with self._ledger.changing(who.alliance) as change:
            stands = await directory.active(change.tx, who.id)
            if stands is not None and await credentials.note_use(change.tx, credential, used, now_ms=change.now_ms):
                change.enter(
                    entry(who.alliance, "operator_signed_in", who.id, method="passkey", credential=credential.id)
                )
                return await self._sessions.start(
                    change,
                    stands,
                    method="passkey",
                    credential=credential.id,
                    amr=_AMR,
                    auth_time=self._clock(),
                    former=hashed(former),
                )
        raise await self._refusals.refuse("PASSKEY_MOVED", who)

    async def begin_step_up(self, signed_in: SignedIn, act: Act) -> tuple[str, dict[str, Any]]:
        """A ticket, and a challenge that covers the act, for the operator's own passkeys alone."""
        who = signed_in.operator
        ticket, challenge = await self._ceremonies.begin(
            CeremonyKind.STEP_UP, operator=who.id, session=signed_in.session, act=act.digest
        )
        allowed = [one.id for one in await credentials.of_operator(self._database, who.id)]
        return ticket, self._passkeys.request(challenge=challenge, allowed=allowed)

    async def confirm(self, signed_in: SignedIn, act: Act, ticket: str, text: str) -> None:
        """The operator has confirmed exactly this act, in this session, now; else `SignInRefused`, on record.

        The confirmation is spent with this call, and is an entry.
        """
        who = signed_in.operator
        ceremony = await self._ceremonies.redeem(ticket, CeremonyKind.STEP_UP)
        if (ceremony.session, ceremony.operator) != (signed_in.session, who.id):
            raise await self._refusals.refuse("CEREMONY_OF_ANOTHER", who)
        if ceremony.act != act.digest or ceremony.challenge[CHALLENGE_BYTES:] != bytes.fromhex(act.digest):
            raise await self._refusals.refuse("STEP_UP_OTHER_ACT", who)
        proved, credential, used = await self._proved(text, ceremony.challenge, discovered=False)
        if proved.id != who.id:
            raise await self._refusals.refuse("STEP_UP_OTHER_OPERATOR", who)
        async with self._ledger.changing(who.alliance) as change:
            if await credentials.note_use(change.tx, credential, used, now_ms=change.now_ms):
                facts = {"method": "passkey", "credential": credential.id, "confirmed": act.name}
                change.enter(entry(who.alliance, "operator_stepped_up", who.id, act_sha256=act.digest, **facts))
                return
        raise await self._refusals.refuse("PASSKEY_MOVED", who)

    async def _proved(self, text: str, challenge: bytes, *, discovered: bool) -> tuple[Operator, Credential, Used]:
        try:
            answer = self._passkeys.take_apart(text)
        except PasskeyRefused as refused:
            raise await self._refusals.refuse(refused.code) from None
        credential = await credentials.find(self._database, answer.credential)
        if credential is None:
            raise await self._refusals.refuse("PASSKEY_UNKNOWN")
        who = await directory.known(self._database, credential.operator)
        if answer.user_handle != credential.operator and (discovered or answer.user_handle):
            raise await self._refusals.refuse("PASSKEY_INVALID", who)
        used = await self._used(answer, credential, who, challenge)
        if who is None or await directory.active(self._database, who.id) is None:
            raise await self._refusals.refuse("OPERATOR_DISABLED", who)
        return who, credential, used

    async def _used(self, answer: Answer, credential: Credential, who: Operator | None, challenge: bytes) -> Used:
        if not credential.active:
            raise await self._refusals.refuse("PASSKEY_REVOKED", who)
        try:
            return self._passkeys.used(
                answer, challenge=challenge, public_key=credential.public_key, sign_count=credential.sign_count
            )
        except PasskeyRefused as refused:
            raise await self._refusals.refuse(refused.code, who) from None
