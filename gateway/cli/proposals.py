"""The commands of `gateway admin` for what needs two people: clients, keys, and the decisions on them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.app import Gateway
from gateway.approvals import Arguments, Proposal
from gateway.canonical import parse
from gateway.cli import methods
from gateway.cli.host import act, console, operator, told
from gateway.clock import MILLISECONDS
from gateway.errors import Invalid
from gateway.identity.certificates import NAME_KINDS
from gateway.members.client_acts import registration
from gateway.members.key_source import KeySource

JwkFile = Annotated[Path, typer.Argument(help="A file with a public JWK (RFC 7517).", exists=True, dir_okay=False)]
KeysFile = Annotated[
    Path | None, typer.Argument(help="A file with a public JWK or a JWK Set (RFC 7517).", exists=True, dir_okay=False)
]
JwksUri = Annotated[str | None, typer.Option(help="Instead of a file: where the member publishes its JWK Set.")]
ClientId = Annotated[str, typer.Argument(help="The client's id.")]
MemberId = Annotated[str, typer.Argument(help="The member's id.")]
ProposalId = Annotated[str, typer.Argument(help="The proposal's id.")]


@told
def propose_client(
    member: MemberId,
    keys: KeysFile = None,
    *,
    name: Annotated[str, typer.Option(help="What the client is called.")],
    environment: Annotated[str, typer.Option(help="That of the alliance: production or test.")] = "production",
    jwks_uri: JwksUri = None,
    subject_dn: methods.SubjectDn = None,
    san_dns: methods.SanDns = None,
    san_uri: methods.SanUri = None,
    san_ip: methods.SanIp = None,
    san_email: methods.SanEmail = None,
    certificate: methods.Certificates = None,
    bind_certificate: methods.BindCertificate = False,
    strict_typ: methods.StrictTyp = False,
) -> None:
    """Propose an OAuth client of a member, by its first public keys or by certificate; prints the proposal's id."""
    given = _source(keys, jwks_uri)
    names = _names(subject_dn, san_dns, san_uri, san_ip, san_email)
    method = methods.method_of(names, certificate, bind_certificate=bind_certificate, strict_typ=strict_typ)

    async def terms(gateway: Gateway) -> tuple[str, Arguments]:
        source = KeySource.of(given, loopback=gateway.settings.jwks_loopback) if given else None
        return await gateway.members.home_of(member), registration(member, environment, name, source, method)

    propose("register_client", terms)


@told
def propose_client_method(
    client: ClientId,
    subject_dn: methods.SubjectDn = None,
    san_dns: methods.SanDns = None,
    san_uri: methods.SanUri = None,
    san_ip: methods.SanIp = None,
    san_email: methods.SanEmail = None,
    certificate: methods.Certificates = None,
    bind_certificate: methods.BindCertificate = False,
    strict_typ: methods.StrictTyp = False,
) -> None:
    """Propose another way for a client to authenticate (without options: by its keys); prints the proposal's id."""
    names = _names(subject_dn, san_dns, san_uri, san_ip, san_email)
    method = methods.method_of(names, certificate, bind_certificate=bind_certificate, strict_typ=strict_typ)

    async def terms(gateway: Gateway) -> tuple[str, Arguments]:
        return await gateway.clients.home_of(client), {"client": client, "method": method.facts()}

    propose("change_client_method", terms)


@told
def propose_client_key(client: ClientId, jwk: JwkFile) -> None:
    """Propose a further public key for a client; prints the proposal's id."""
    key = _document(jwk)

    async def terms(gateway: Gateway) -> tuple[str, Arguments]:
        return await gateway.clients.home_of(client), {"client": client, "jwk": key}

    propose("add_client_key", terms)


@told
def propose_client_keys(client: ClientId, keys: KeysFile = None, jwks_uri: JwksUri = None) -> None:
    """Propose other keys for a client, in place of all that it has; prints the proposal's id."""
    given = _source(keys, jwks_uri)

    async def terms(gateway: Gateway) -> tuple[str, Arguments]:
        return await gateway.clients.home_of(client), {"client": client, **given}

    propose("change_client_keys", terms)


@told
def propose_signing_key(member: MemberId, jwk: JwkFile) -> None:
    """Propose the key that a member signs agreements with; prints the proposal's id."""
    key = _document(jwk)

    async def terms(gateway: Gateway) -> tuple[str, Arguments]:
        return await gateway.members.home_of(member), {"member": member, "jwk": key}

    propose("add_signing_key", terms)


@told
def show_pending(alliance: Annotated[str, typer.Argument(help="The alliance's id.")]) -> None:
    """What waits for a second person, with everything that would be done."""

    async def work(gateway: Gateway) -> Sequence[Proposal]:
        await gateway.members.require_alliance(alliance)
        return await gateway.approvals.pending(alliance)

    for one in act(work, look_first=False):
        console.print_json(json.dumps(_shown(one)))


@told
def approve(proposal: ProposalId) -> None:
    """Do what another person proposed; prints what it made: a client's id, a key's name, a permit's entry."""
    console.print(act(lambda gateway: gateway.approvals.approve(proposal, operator=operator())))


@told
def decline(proposal: ProposalId) -> None:
    """Refuse what another person proposed, for good."""
    act(lambda gateway: gateway.approvals.decline(proposal, operator=operator()))


@told
def withdraw(proposal: ProposalId) -> None:
    """Take back what you proposed yourself."""
    act(lambda gateway: gateway.approvals.withdraw(proposal, operator=operator()))


COMMANDS: Sequence[tuple[str, Callable[..., None]]] = (
    ("client", propose_client),
    ("client-key", propose_client_key),
    ("client-keys", propose_client_keys),
    ("client-method", propose_client_method),
    ("signing-key", propose_signing_key),
    ("pending", show_pending),
    ("approve", approve),
    ("decline", decline),
    ("withdraw", withdraw),
)


def propose(name: str, terms: Callable[[Gateway], Awaitable[tuple[str, Arguments]]]) -> None:
    """Propose an act, with the alliance and the arguments that `terms` says; prints the proposal's id."""

    async def work(gateway: Gateway) -> str:
        alliance, arguments = await terms(gateway)
        return await gateway.approvals.propose(alliance, name, arguments, operator=operator())

    console.print(act(work))


def _source(keys: Path | None, jwks_uri: str | None) -> dict[str, Any]:
    """`jwks` or `jwks_uri`, as registration knows them; a single JWK is a set of one."""
    document = None if keys is None else _document(keys)
    if document is not None and "keys" not in document:
        document = {"keys": [document]}
    given = {"jwks": document, "jwks_uri": jwks_uri}
    return {name: value for name, value in given.items() if value is not None}


def _names(*texts: str | None) -> dict[str, str | None]:
    return dict(zip(NAME_KINDS, texts, strict=True))


def _shown(one: Proposal) -> dict[str, Any]:
    until = datetime.fromtimestamp(one.expires_at // MILLISECONDS, UTC).isoformat()
    return {
        "proposal": one.id,
        "act": one.act,
        "arguments": one.arguments,
        "arguments_sha256": one.digest,
        "proposed_by": one.proposed_by,
        "expires_at": until,
    }


def _document(path: Path) -> dict[str, Any]:
    document = parse(path.read_bytes())
    if not isinstance(document, dict):
        raise Invalid("invalid_jwk", "The file holds no JWK.", field=str(path.name))
    return document
