"""A passkey comes into being: the first with a one-time code, further ones while signed in."""

from __future__ import annotations

from typing import Any, Final

from gateway.characters import shown_as_written
from gateway.clock import Clock
from gateway.database import AlreadyExists, Database, Reading
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identity.operators import codes, credentials, directory
from gateway.identity.operators.ceremonies import Ceremonies, CeremonyKind
from gateway.identity.operators.entries import Refusals, entry
from gateway.identity.operators.operator import Operator, SignedIn
from gateway.identity.operators.passkeys import NewPasskey, PasskeyRefused, Passkeys
from gateway.identity.operators.refusals import NotSignedIn
from gateway.identity.operators.sessions import Sessions
from gateway.ledger import Ledger

_LONGEST_LABEL: Final = 60


class Enrolment:
    """Enrols passkeys. One that comes with a code takes the place of all others: it is the first, or they are lost."""

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

    async def begin(self, typed: str) -> tuple[str, dict[str, Any]]:
        """For a code that holds: a ticket, and what the browser is to make. Else `SignInRefused`, on record."""
        try:
            code = await codes.check(self._database, self._clock, typed)
        except codes.CodeRefused as refused:
            whose = await directory.known(self._database, refused.operator) if refused.operator else None
            raise await self._refusals.refuse(refused.code, whose) from None
        who = await directory.active(self._database, code.operator)
        if who is None:
            known = await directory.known(self._database, code.operator)
            raise await self._refusals.refuse("OPERATOR_DISABLED", known)
        return await self._ask(who, CeremonyKind.ENROL, known=[], detail={"code": code.id, "by": code.issued_by})

    async def finish(self, ticket: str, answer: str, *, label: str) -> Operator:
        """Store the passkey and spend the code, in one transaction; what was there before ends."""
        name = _label(label)
        ceremony = await self._ceremonies.redeem(ticket, CeremonyKind.ENROL)
        who = await directory.known(self._database, ceremony.operator)
        made = await self._made(answer, ceremony.challenge, who)
        code, issuer = str(ceremony.detail["code"]), str(ceremony.detail["by"])
        assert who is not None
        try:
            async with self._ledger.changing(who.alliance) as change:
                if await directory.active(change.tx, who.id) is None or not await codes.use(
                    change.tx, code, change.now_ms
                ):
                    raise _Spent
                revoked = await credentials.revoke_all(change.tx, who.id)
                vouched_by = issuer if await directory.known(change.tx, issuer) is not None else ""
                await credentials.add(change.tx, who.id, made, label=name, vouched_by=vouched_by, now_ms=change.now_ms)
                facts = {"credential": made.id, "backup_eligible": made.backup_eligible, "revoked": revoked}
                change.enter(entry(who.alliance, "operator_enrolled", who.id, issued_by=issuer, **facts))
                await self._sessions.end_all(change, who.id, who.alliance, by=who.id)
        except _Spent:
            raise await self._refusals.refuse("CODE_USED", who) from None
        except AlreadyExists:
            raise await self._refusals.refuse("PASSKEY_TAKEN", who) from None
        return who

    async def begin_another(self, signed_in: SignedIn) -> tuple[str, dict[str, Any]]:
        """What the browser of a signed-in operator is to make; a passkey that is enrolled already is left out."""
        who = signed_in.operator
        known = [one.id for one in await credentials.of_operator(self._database, who.id)]
        return await self._ask(who, CeremonyKind.ADD_PASSKEY, known=known, session=signed_in.session)

    async def finish_another(self, signed_in: SignedIn, ticket: str, answer: str, *, label: str) -> None:
        """Store another passkey of the operator, while the session lives that asked for it; else `NotSignedIn`.

        Asked under the log's lock: where a code or another operator ends what was there, nothing is added afterwards.
        """
        who = signed_in.operator
        name = _label(label)
        ceremony = await self._ceremonies.redeem(ticket, CeremonyKind.ADD_PASSKEY)
        if (ceremony.session, ceremony.operator) != (signed_in.session, who.id):
            raise await self._refusals.refuse("CEREMONY_OF_ANOTHER", who)
        made = await self._made(answer, ceremony.challenge, who)
        try:
            async with self._ledger.changing(who.alliance) as change:
                if await self._sessions.still(change.tx, signed_in.session) is None:
                    raise NotSignedIn
                vouched_by = await self._vouched_by(change.tx, signed_in)
                await credentials.add(change.tx, who.id, made, label=name, vouched_by=vouched_by, now_ms=change.now_ms)
                facts = {"credential": made.id, "backup_eligible": made.backup_eligible}
                change.enter(entry(who.alliance, "operator_passkey_added", who.id, **facts))
        except AlreadyExists:
            raise await self._refusals.refuse("PASSKEY_TAKEN", who) from None

    async def require_another(self, who: Operator, credential_id: str) -> None:
        """Raise unless the passkey is the operator's own, and not the last one."""
        await _require_another(self._database, who, credential_id)

    async def revoke(self, signed_in: SignedIn, credential_id: str) -> None:
        """End a passkey of the operator's own that is not the last, and the sessions it began, but for this one."""
        who = signed_in.operator
        async with self._ledger.changing(who.alliance) as change:
            await _require_another(change.tx, who, credential_id)
            await credentials.revoke(change.tx, who.id, credential_id)
            change.enter(entry(who.alliance, "operator_passkey_revoked", who.id, credential=credential_id))
            await self._sessions.end_others(change, signed_in, credential_id)

    async def vouched_by(self, signed_in: SignedIn) -> str:
        """The operator who issued the code behind the passkey of this session; '' if the host did, or the provider."""
        return await self._vouched_by(self._database, signed_in)

    async def passkeys_of(self, who: Operator) -> list[credentials.Credential]:
        """The operator's active passkeys."""
        return list(await credentials.of_operator(self._database, who.id))

    async def _ask(
        self,
        who: Operator,
        kind: CeremonyKind,
        *,
        known: list[str],
        session: str = "",
        detail: dict[str, Any] | None = None,
    ) -> tuple[str, dict[str, Any]]:
        ticket, challenge = await self._ceremonies.begin(kind, operator=who.id, session=session, detail=detail)
        return ticket, self._passkeys.creation(operator=who.id, name=who.name, challenge=challenge, known=known)

    async def _vouched_by(self, reading: Reading, signed_in: SignedIn) -> str:
        used = await credentials.find(reading, signed_in.credential) if signed_in.method == "passkey" else None
        return used.vouched_by if used is not None else ""

    async def _made(self, answer: str, challenge: bytes, who: Operator | None) -> NewPasskey:
        try:
            return self._passkeys.created(answer, challenge=challenge)
        except PasskeyRefused as refused:
            raise await self._refusals.refuse(refused.code, who) from None


class _Spent(Exception):
    """The code was spent, or its operator disabled, in between."""


async def _require_another(reading: Reading, who: Operator, credential_id: str) -> None:
    own = [one.id for one in await credentials.of_operator(reading, who.id)]
    if credential_id not in own:
        raise NotFound
    if len(own) == 1:
        raise Conflicting("last_passkey", "This is your last passkey.", remedy="Add another one first.")


def _label(text: str) -> str:
    label = text.strip() or "passkey"
    if len(label) > _LONGEST_LABEL:
        raise Invalid("label_malformed", f"A label is at most {_LONGEST_LABEL} characters.", field="label")
    return shown_as_written(label, "label")
