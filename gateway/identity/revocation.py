"""The revocation endpoint (RFC 7009): a client ends a token of its own, at once and on every process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.clock import Clock, seconds
from gateway.database import Database
from gateway.identity.authentication import ClientAuthentication, Headers
from gateway.identity.clients import KnownClient
from gateway.identity.endpoint import TokenRecord
from gateway.identity.refusals import TokenRefused
from gateway.identity.revoked import is_revoked_token
from gateway.identity.security_log import SecurityLog
from gateway.identity.subject import Subject
from gateway.identity.tokens import TokenInvalid, Tokens

PATH: Final = "/revoke"
_REFRESH: Final = "refresh_token"


class RevocationEndpoint:
    """See the module. One instance per process."""

    def __init__(
        self,
        database: Database,
        clients: ClientAuthentication,
        clock: Clock,
        tokens: Tokens,
        *,
        record: TokenRecord,
        log: SecurityLog,
    ) -> None:
        self._database = database
        self._clients = clients
        self._clock = clock
        self._tokens = tokens
        self._record = record
        self._log = log

    async def answer(self, headers: Headers, body: bytes, peer: str = "") -> None:
        """Return once the token is over; a token that is none, or another client's, is left alone (section 2.2).

        `TokenRefused` for a caller who is not authenticated, for a missing `token`, and `unsupported_token_type`
        for what the caller calls a refresh token and is no access token either: none is issued here.
        """
        async with self._clients.calling(headers, body, peer) as caller:
            token = token_in(caller.form)
            await self._clients.spend(caller)
            subject = await self._own(caller.client, token)
            if subject is None and caller.form.get("token_type_hint") == _REFRESH:
                raise TokenRefused("unsupported_token_type", "TOKEN_HINT")
            if subject is not None and not await is_revoked_token(self._database, subject):
                await self._record.on_revoked(subject)

    async def _own(self, client: KnownClient, token: str) -> Subject | None:
        """Whom the token stands for, if it is alive and was issued to this client."""
        try:
            subject = (await self._tokens.recognise(token.encode(), seconds(self._clock()))).subject
        except TokenInvalid:
            return None
        if subject.client == client.id:
            return subject
        self._log.note("REVOCATION_FOREIGN", client=client.id)
        return None


def token_in(form: Mapping[str, str]) -> str:
    """The form's `token`, or `invalid_request` (RFC 7009 section 2.1, RFC 7662 section 2.1)."""
    if "token" not in form:
        raise TokenRefused("invalid_request", "TOKEN_MISSING")
    return form["token"]
