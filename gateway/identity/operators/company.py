"""Signing in through the company's own provider, and confirming one act there (step-up).

Nobody is provisioned: an account (issuer and subject) must have been linked to an operator beforehand.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import bindparam, delete, insert, select

from gateway.clock import MILLISECONDS, Clock, seconds
from gateway.database import Database, Query
from gateway.identity.operators import directory
from gateway.identity.operators.ceremonies import LIFE_MS, Ceremonies, Ceremony, CeremonyKind, hashed
from gateway.identity.operators.entries import Refusals, entry
from gateway.identity.operators.id_token import (
    LEEWAY_S,
    IdClaims,
    IdTokenRefused,
    read_id_token,
    read_logout_token,
)
from gateway.identity.operators.operator import Act, Operator, SignedIn
from gateway.identity.operators.provider import CodeRejected, Provider, Tokens
from gateway.identity.operators.sessions import Sessions
from gateway.identity.operators.tables import operator_subject, step_up
from gateway.ledger import Ledger

Keys = Sequence[Mapping[str, Any]]
_Read = TypeVar("_Read")

FRESH_S: Final = 3600
"""A sign-in takes an authentication at the provider that is at most this old."""

_LINKED = Query(
    select(operator_subject.c.operator_id).where(
        operator_subject.c.issuer == bindparam("issuer"), operator_subject.c.subject == bindparam("subject")
    )
)
_GRANT = Query(insert(step_up))
_FORGET = Query(delete(step_up).where(step_up.c.expires_at <= bindparam("now")))
_REPLACE = Query(
    delete(step_up).where(step_up.c.session_sha256 == bindparam("session"), step_up.c.act_sha256 == bindparam("act"))
)
_SPEND = Query(
    delete(step_up).where(
        step_up.c.session_sha256 == bindparam("session"),
        step_up.c.act_sha256 == bindparam("act"),
        step_up.c.expires_at > bindparam("now"),
    )
)


class CompanySignIn:
    """Sends browsers to the provider, and takes them back."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        clock: Clock,
        provider: Provider,
        ceremonies: Ceremonies,
        sessions: Sessions,
        refusals: Refusals,
    ) -> None:
        self.provider = provider
        self._database = database
        self._ledger = ledger
        self._clock = clock
        self._ceremonies = ceremonies
        self._sessions = sessions
        self._refusals = refusals

    async def begin(self, *, former: str = "") -> tuple[str, str]:
        """A ticket for the browser, and the URL of the provider to send it to.

        The `former` session of the browser, if its cookie says that it has one, ends with the sign-in. That cookie does
        not come along when the provider sends the browser back.
        """
        return await self._send(CeremonyKind.OIDC_SIGN_IN, max_age=FRESH_S, session=hashed(former))

    async def begin_step_up(self, signed_in: SignedIn, act: Act, *, back: str) -> tuple[str, str]:
        """As above, to authenticate once more for exactly this act; `back` is the page that goes on with it."""
        return await self._send(
            CeremonyKind.OIDC_STEP_UP,
            max_age=0,
            operator=signed_in.operator.id,
            session=signed_in.session,
            act=act.digest,
            detail={"back": back, "name": act.name},
        )

    async def finish(self, ticket: str, returned: Mapping[str, str]) -> tuple[str | None, str]:
        """What the provider sent a browser back with: the cookie of a new session, or None after a step-up; and
        the page to go on with. Else `SignInRefused`, on record."""
        ceremony = await self._ceremonies.redeem(ticket, CeremonyKind.OIDC_SIGN_IN, CeremonyKind.OIDC_STEP_UP)
        claims = await self._claims(ceremony, returned)
        who = await self._linked(claims)
        if ceremony.kind is CeremonyKind.OIDC_STEP_UP:
            await self._grant(ceremony, who, claims)
            return None, str(ceremony.detail["back"])
        if claims.auth_time < seconds(self._clock()) - FRESH_S - LEEWAY_S:
            raise await self._refusals.refuse("PROVIDER_NOT_FRESH", who)
        async with self._ledger.changing(who.alliance) as change:
            if await directory.active(change.tx, who.id) is not None:
                facts = {"method": "oidc", "issuer": self.provider.settings.issuer, "account": claims.subject}
                change.enter(entry(who.alliance, "operator_signed_in", who.id, **facts))
                cookie = await self._sessions.start(
                    change,
                    who,
                    method="oidc",
                    credential=claims.subject,
                    amr=claims.amr,
                    auth_time=claims.auth_time * MILLISECONDS,
                    provider_session=claims.provider_session,
                    former=ceremony.session,
                )
                return cookie, ""
        raise await self._refusals.refuse("OPERATOR_DISABLED", who)

    async def confirm(self, signed_in: SignedIn, act: Act) -> bool:
        """Whether the operator has just authenticated for exactly this act, in this session; spent with this call."""
        async with self._database.transaction() as tx:
            spent = await tx.run(_SPEND, session=signed_in.session, act=act.digest, now=self._clock())
        return spent == 1

    async def logged_out(self, token: str) -> None:
        """The provider says that somebody signed out there (OIDC Back-Channel Logout 1.0): so they are here."""
        audience, now = self.provider.settings.audience, seconds(self._clock())
        subject, session, issued_at = await self._verified(
            lambda keys: read_logout_token(token, keys, audience, now=now)
        )
        await self._sessions.end_at_provider(subject, session, until_ms=(issued_at + 1) * MILLISECONDS)

    async def _send(
        self,
        kind: CeremonyKind,
        *,
        max_age: int,
        operator: str = "",
        session: str = "",
        act: str = "",
        detail: Mapping[str, str] | None = None,
    ) -> tuple[str, str]:
        secret = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
        url = await self.provider.authorization_url(**secret, max_age=max_age, renew=max_age == 0)
        remembered = {**(detail or {}), **secret, "since": seconds(self._clock())}
        ticket, _ = await self._ceremonies.begin(kind, operator=operator, session=session, act=act, detail=remembered)
        return ticket, url

    async def _claims(self, ceremony: Ceremony, returned: Mapping[str, str]) -> IdClaims:
        secret, settings = ceremony.detail, self.provider.settings
        if not hmac.compare_digest(returned.get("state", "").encode(), str(secret["state"]).encode()):
            raise await self._refusals.refuse("PROVIDER_STATE")
        metadata = await self.provider.metadata()
        named = metadata.get("authorization_response_iss_parameter_supported") is True
        if returned.get("iss", "" if named else settings.issuer) != settings.issuer:  # RFC 9207
            raise await self._refusals.refuse("PROVIDER_ISSUER")
        if "code" not in returned or "error" in returned:
            raise await self._refusals.refuse("PROVIDER_REFUSED")
        try:
            tokens = await self.provider.redeem(returned["code"], str(secret["verifier"]))
        except CodeRejected:
            raise await self._refusals.refuse("PROVIDER_CODE") from None
        return await self._read(tokens, str(secret["nonce"]))

    async def _read(self, tokens: Tokens, nonce: str) -> IdClaims:
        audience, now = self.provider.settings.audience, seconds(self._clock())
        return await self._verified(
            lambda keys: read_id_token(
                tokens.id_token, keys, audience, nonce=nonce, access_token=tokens.access_token, now=now
            )
        )

    async def _verified(self, read: Callable[[Keys], _Read]) -> _Read:
        """What `read` makes of a token; a signature by an unknown key is looked at once more with the newest keys."""
        try:
            try:
                return read(await self.provider.keys())
            except IdTokenRefused as refused:
                if refused.code != "ID_TOKEN_SIGNATURE":
                    raise
            return read(await self.provider.keys(fresh=True))
        except IdTokenRefused as refused:
            raise await self._refusals.refuse(refused.code) from None

    async def _linked(self, claims: IdClaims) -> Operator:
        settings = self.provider.settings
        row = await self._database.one(_LINKED, issuer=settings.issuer, subject=claims.subject)
        who = await directory.known(self._database, row["operator_id"]) if row is not None else None
        if who is None:
            raise await self._refusals.refuse("SUBJECT_UNLINKED")
        if await directory.active(self._database, who.id) is None:
            raise await self._refusals.refuse("OPERATOR_DISABLED", who)
        if settings.acr and claims.acr not in settings.acr:
            raise await self._refusals.refuse("PROVIDER_ACR", who)
        if not set(settings.amr) <= set(claims.amr):
            raise await self._refusals.refuse("PROVIDER_AMR", who)
        return who

    async def _grant(self, ceremony: Ceremony, who: Operator, claims: IdClaims) -> None:
        if ceremony.operator != who.id:
            raise await self._refusals.refuse("STEP_UP_OTHER_OPERATOR", who)
        still = await self._sessions.still(self._database, ceremony.session)
        if still is None or still.id != who.id:
            raise await self._refusals.refuse("CEREMONY_OF_ANOTHER", who)
        if claims.auth_time < int(ceremony.detail["since"]) - LEEWAY_S:
            raise await self._refusals.refuse("PROVIDER_NOT_FRESH", who)
        now = self._clock()
        async with self._ledger.changing(who.alliance) as change:
            await change.tx.run(_FORGET, now=now)
            await change.tx.run(_REPLACE, session=ceremony.session, act=ceremony.act)
            await change.tx.run(
                _GRANT, session_sha256=ceremony.session, act_sha256=ceremony.act, expires_at=now + LIFE_MS
            )
            facts = {"method": "oidc", "confirmed": ceremony.detail["name"]}
            change.enter(entry(who.alliance, "operator_stepped_up", who.id, act_sha256=ceremony.act, **facts))
