"""Client authentication, the same at every OAuth endpoint (RFC 6749 section 2.3, RFC 7523 section 2.2)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.clock import Clock, seconds
from gateway.database import Database
from gateway.errors import Unavailable
from gateway.identity import assertions
from gateway.identity.assertions import ASSERTION_TYPE, Assertion, Claimed
from gateway.identity.clients import KnownClient, find_client
from gateway.identity.forms import parse_form
from gateway.identity.refusals import TokenRefused
from gateway.identity.replay import AssertionWindow, Spending
from gateway.identity.security_log import SecurityLog

_SAME_REFUSAL_SECONDS: Final = 60
_OTHER_CREDENTIALS: Final = ("client_secret", "username", "password")


class RefusalRecord(Protocol):
    """Where refusals of known clients go on record; an `Unavailable` from it becomes 503."""

    async def on_refused(self, client: KnownClient, code: str) -> None:
        """A client that proved its key was refused; the same code of a client comes at most once a minute."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A client that proved who it is, and the form that it sent. Its assertion is still to be spent."""

    client: KnownClient
    form: Mapping[str, str]
    assertion: Assertion


class ClientAuthentication:
    """Tells who calls an OAuth endpoint. One instance per process, shared by the endpoints.

    An endpoint serves inside `async with clients.calling(headers, body) as caller`, makes every check that may
    end in a challenge, then calls `spend`, and only then acts; or hands `spending` to the transaction that acts.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        issuer: str,
        window: AssertionWindow,
        record: RefusalRecord,
        log: SecurityLog,
    ) -> None:
        self._database = database
        self._clock = clock
        self._issuer = issuer
        self._window = window
        self._record = record
        self._log = log
        self._minute = 0
        self._entered: set[tuple[str, str]] = set()

    @asynccontextmanager
    async def calling(self, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> AsyncIterator[Caller]:
        """The authenticated caller of a form request, for as long as it is served; else `TokenRefused`.

        `headers` are raw ASGI headers (lower-case names). Nothing is spent yet. Whatever is refused before a key of
        the client is seen to have signed is a stranger's doing and stands in the security log alone. Every later
        `TokenRefused`, also of the block, is the client's and goes on record too, except a nonce challenge.
        An `Unavailable` becomes `temporarily_unavailable`.
        """
        try:
            form, claimed, client = await self._known(headers, body)
            try:
                yield Caller(client, form, self._check(client, claimed, form))
            except TokenRefused as refused:
                if refused.error != "use_dpop_nonce":
                    await self._enter(client, refused.code)
                raise
        except Unavailable as unavailable:
            raise TokenRefused("temporarily_unavailable", unavailable.code) from None

    async def spend(self, caller: Caller) -> None:
        """Use the caller's assertion up, on every process and beyond a restart; `TokenRefused` if it was used."""
        assertion = caller.assertion
        if not await self._window.reserve("assertion", caller.client.id, assertion.jti, assertion.until):
            raise TokenRefused("invalid_client", "ASSERTION_REPLAYED")

    def spending(self, caller: Caller) -> Spending:
        """As `spend`, left to the transaction of what the caller asked for."""
        assertion = caller.assertion
        return self._window.spending("assertion", caller.client.id, assertion.jti, assertion.until)

    async def _known(
        self, headers: Sequence[tuple[bytes, bytes]], body: bytes
    ) -> tuple[dict[str, str], Claimed, KnownClient]:
        """The client, once one of its keys is seen to have signed: until here everybody is a stranger."""
        claimed = None
        try:
            form = _form(headers, body)
            claimed = assertions.claimed(form["client_assertion"])
            client = await find_client(self._database, claimed.client)
            if client is None:
                raise TokenRefused("invalid_client", "CLIENT_UNKNOWN")
            if not assertions.signed_by(claimed, client):
                raise TokenRefused("invalid_client", "ASSERTION_SIGNATURE")
        except TokenRefused as refused:
            self._log.note(refused.code, client=claimed.client if claimed else "")
            raise
        return form, claimed, client

    def _check(self, client: KnownClient, claimed: Claimed, form: Mapping[str, str]) -> Assertion:
        if client.state != "active":
            raise TokenRefused("invalid_client", "CLIENT_REVOKED")
        if form.get("client_id", client.id) != client.id:
            raise TokenRefused("invalid_client", "CLIENT_MISMATCH")
        return assertions.check(claimed, client, issuer=self._issuer, now=seconds(self._clock()))

    async def _enter(self, client: KnownClient, code: str) -> None:
        """On record once a minute per client and code; in the security log every time."""
        self._log.note(code, client=client.id)
        minute = seconds(self._clock()) // _SAME_REFUSAL_SECONDS
        if minute != self._minute:
            self._minute, self._entered = minute, set()
        if (client.id, code) not in self._entered:
            self._entered.add((client.id, code))
            await self._record.on_refused(client, code)


def _form(headers: Sequence[tuple[bytes, bytes]], body: bytes) -> dict[str, str]:
    """The form, once it carries exactly one way to authenticate: a client assertion."""
    types = [value for name, value in headers if name == b"content-type"]
    form = parse_form(types[0] if len(types) == 1 else b"", body)
    if any(name == b"authorization" for name, _ in headers) or not form.keys().isdisjoint(_OTHER_CREDENTIALS):
        raise TokenRefused("invalid_client", "CLIENT_METHOD")
    if form.get("client_assertion_type") != ASSERTION_TYPE or "client_assertion" not in form:
        raise TokenRefused("invalid_client", "ASSERTION_MISSING")
    return form
