"""Clients that register and keep themselves: RFC 7591 and RFC 7592, as far as a member may do it alone.

A client reads its own registration, changes its keys, and ends itself. A client of a member proposes further ones,
which two people must want: the calling client's word is one, an operator's approval the other. That word is worth as
much as its tokens: it ends with the client, and with a key or method that is taken from it. The credential is
the client's own access token, bound to its key, with the action `rotate` or `register`: see decision 0014.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.approvals import Approvals, client_proposer
from gateway.canonical import parse
from gateway.clock import seconds
from gateway.database import Database
from gateway.errors import GatewayError, Invalid, NotFound, Refused, TooLarge, Unavailable
from gateway.identity import Subject, client_keys
from gateway.identity.methods import PRIVATE_KEY_JWT, Binding, Method, MethodName
from gateway.members.client_acts import PROPOSER_VERSION, registration
from gateway.members.client_record import ClientRecord, client_record
from gateway.members.clients import Clients
from gateway.members.key_source import KeySource
from gateway.members.members import checked_name

BODY_BYTES: Final = 64 * 1024
_PROFILE: Final[dict[str, Any]] = {
    "token_endpoint_auth_method": "private_key_jwt",
    "grant_types": ["client_credentials"],
    "response_types": [],
}
_KEYS: Final = ("jwks", "jwks_uri")


class RegistrationRefused(GatewayError):
    """`error` and `detail` are the answer (RFC 7591 section 3.2.2, RFC 6750 section 3.1)."""

    def __init__(self, error: str, detail: str) -> None:
        super().__init__(error, detail)
        self.error = error


class Registration:
    """See the module. `clients_url` is the client registration endpoint."""

    def __init__(
        self, database: Database, clients: Clients, approvals: Approvals, *, clients_url: str, loopback: bool
    ) -> None:
        self._database = database
        self._clients = clients
        self._approvals = approvals
        self._clients_url = clients_url
        self._loopback = loopback

    async def read(self, subject: Subject, client_id: str) -> dict[str, Any]:
        """The caller's own registration (RFC 7592 section 2.1)."""
        _require_own(subject, client_id)
        return await self._information(client_id)

    async def update(self, subject: Subject, client_id: str, body: bytes) -> dict[str, Any]:
        """Change the caller's own keys, and nothing else (RFC 7592 section 2.2); what else is said must be so."""
        _require_own(subject, client_id)
        given = _metadata(body)
        if given.get("client_id") != client_id:
            raise Invalid("invalid_client_metadata", "client_id must be the client's own.", field="client_id")
        standing = await self._information(client_id)
        for name in standing.keys() - set(_KEYS):
            if given.get(name) is not None and given[name] != standing[name]:
                raise Invalid("invalid_client_metadata", f"{name} cannot be changed.", field=name)
        await self._clients.rotate(subject, KeySource.of(given, loopback=self._loopback))
        return await self._information(client_id)

    async def end(self, subject: Subject, client_id: str) -> None:
        """End the caller's own registration (RFC 7592 section 2.3)."""
        _require_own(subject, client_id)
        await self._clients.end_itself(subject)

    async def propose(self, subject: Subject, body: bytes) -> dict[str, Any]:
        """Propose another client of the caller's member (RFC 7591 section 3.1). It is none before an approval."""
        subject.require("register")
        given = _metadata(body)
        _check_profile(given)
        name = given.get("client_name")
        if not isinstance(name, str):
            raise Invalid("invalid_client_metadata", "client_name is required.", field="client_name")
        checked_name(name, "client_name")
        source = KeySource.of(given, loopback=self._loopback)
        environment = (await client_record(self._database, subject.client)).environment
        arguments = registration(subject.member, environment, name, source)
        arguments[PROPOSER_VERSION] = subject.client_version
        proposal = await self._approvals.propose(
            subject.alliance, "register_client", arguments, operator=client_proposer(subject.client)
        )
        return {
            "client_id": arguments["client"],
            "client_name": name,
            **_PROFILE,
            **_described(PRIVATE_KEY_JWT),
            **source.terms(),
            "registration_client_uri": self._uri(arguments["client"]),
            "alliance_member": subject.member,
            "alliance_environment": environment,
            "alliance_registration": "pending",
            "alliance_proposal": proposal,
        }

    async def _information(self, client_id: str) -> dict[str, Any]:
        """The client information response, without a registration access token (RFC 7592 section 3)."""
        record = await client_record(self._database, client_id)
        return {
            "client_id": record.id,
            "client_id_issued_at": seconds(record.created_at),
            "client_name": record.name,
            **_PROFILE,
            **_described(record.method),
            **await self._keys(record),
            "registration_client_uri": self._uri(record.id),
            "alliance_member": record.member,
            "alliance_environment": record.environment,
            "alliance_registration": "active",
        }

    async def _keys(self, record: ClientRecord) -> Mapping[str, Any]:
        if record.method.name is not MethodName.PRIVATE_KEY_JWT:
            return {}
        if record.jwks_uri is not None:
            return {"jwks_uri": record.jwks_uri}
        return KeySource(tuple(await client_keys.active_keys(self._database, record.id))).terms()

    def _uri(self, client_id: str) -> str:
        return f"{self._clients_url}/{client_id}"


def refusal(error: GatewayError) -> RegistrationRefused:
    """What a client registering is told of a deliberate error."""
    if isinstance(error, RegistrationRefused):
        return error
    if isinstance(error, Unavailable):
        return RegistrationRefused("temporarily_unavailable", "Try again shortly.")
    if isinstance(error, NotFound):
        return RegistrationRefused("access_denied", "A client has its own registration alone.")
    if isinstance(error, Refused):
        return RegistrationRefused("insufficient_scope", "The token does not grant this action.")
    if isinstance(error, TooLarge):
        return RegistrationRefused("invalid_client_metadata", f"The document exceeds {BODY_BYTES} bytes.")
    code = "invalid_redirect_uri" if error.code == "invalid_redirect_uri" else "invalid_client_metadata"
    about = f" ({error.field})" if error.field else ""
    return RegistrationRefused(code, f"{error.detail}{about}")


def _described(method: Method) -> dict[str, Any]:
    """How a client authenticates, in registered metadata (RFC 8705 sections 2.1.2 and 3.4, RFC 9449 section 5.2)."""
    bound = method.binding is Binding.CERTIFICATE
    named = method.certificate_name
    return {
        "token_endpoint_auth_method": method.name.value,
        "tls_client_certificate_bound_access_tokens": bound,
        "dpop_bound_access_tokens": not bound,
        **({f"tls_client_auth_{named.kind}": named.text} if named else {}),
    }


def _require_own(subject: Subject, client_id: str) -> None:
    """A client's token opens that client's registration; whether another exists is not told."""
    subject.require("rotate")
    if client_id != subject.client:
        raise NotFound


def _metadata(body: bytes) -> dict[str, Any]:
    document = parse(body)
    if not isinstance(document, dict):
        raise Invalid("invalid_client_metadata", "The document is no JSON object.")
    return document


def _check_profile(given: Mapping[str, Any]) -> None:
    """What is asked for must be what is offered. Unknown metadata is ignored (RFC 7591 section 2)."""
    if given.get("redirect_uris"):
        raise Invalid("invalid_redirect_uri", "There is no authorization endpoint to redirect from.")
    for name, only in _PROFILE.items():
        if given.get(name) is not None and given[name] != only:
            raise Invalid("invalid_client_metadata", f"{name} is {only} for every client.", field=name)
