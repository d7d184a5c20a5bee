"""`gateway admin`: what operators do on the host. Every act is an entry in the ledger."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.agreements import HoldSubject
from gateway.app import Gateway
from gateway.canonical import parse
from gateway.cli import methods
from gateway.cli.host import act, console, operator, told
from gateway.clock import MILLISECONDS
from gateway.errors import Invalid
from gateway.identity.certificates import NAME_KINDS
from gateway.vault.rotation import RotatedKey, Rotation

admin = typer.Typer(no_args_is_help=True, help="Members, clients, keys, holds and policy. Every act is an entry.")

JwkFile = Annotated[Path, typer.Argument(help="A file with a public JWK (RFC 7517).", exists=True, dir_okay=False)]


@admin.command("alliance")
@told
def create_alliance(name: Annotated[str, typer.Argument(help="What the alliance is called.")]) -> None:
    """Found an alliance, open its operator's log, and put the policy of this host in force."""

    async def work(gateway: Gateway) -> str:
        alliance = await gateway.members.create_alliance(name, operator=operator())
        await gateway.activate_policy(alliance, operator=operator())
        return alliance

    console.print(act(work))


@admin.command("member")
@told
def create_member(
    alliance: Annotated[str, typer.Argument(help="The alliance's id.")],
    name: Annotated[str, typer.Option(help="The company's name.")],
    uscc: Annotated[str, typer.Option(help="Its unified social credit code (GB 32100), 18 characters.")],
    industry: Annotated[str, typer.Option(help="Its industry, for instance bank.")],
) -> None:
    """Admit a company: its keys, its log, its id."""
    console.print(
        act(
            lambda gateway: gateway.members.create_member(
                alliance, name=name, uscc=uscc, industry=industry, operator=operator()
            )
        )
    )


@admin.command("suspend")
@told
def suspend(member: str, case: Annotated[str, typer.Option(help="The case that decides it.")]) -> None:
    """Stop a member's access, and access to its data, from this entry on."""
    act(lambda gateway: gateway.members.suspend(member, case=case, operator=operator()))


@admin.command("readmit")
@told
def readmit(member: str, case: Annotated[str, typer.Option(help="The case that decides it.")]) -> None:
    """End a suspension."""
    act(lambda gateway: gateway.members.readmit(member, case=case, operator=operator()))


@admin.command("client")
@told
def register_client(
    member: Annotated[str, typer.Argument(help="The member's id.")],
    name: Annotated[str, typer.Option(help="What the client is called.")],
    jwk: Annotated[
        Path | None, typer.Argument(help="A file with its first public JWK (RFC 7517).", exists=True, dir_okay=False)
    ] = None,
    subject_dn: methods.SubjectDn = None,
    san_dns: methods.SanDns = None,
    san_uri: methods.SanUri = None,
    san_ip: methods.SanIp = None,
    san_email: methods.SanEmail = None,
    certificate: methods.Certificates = None,
    bind_certificate: methods.BindCertificate = False,
    strict_typ: methods.StrictTyp = False,
) -> None:
    """Register an OAuth client of a member, by its first public key or by certificate; prints its id."""
    key = None if jwk is None else _jwk(jwk)
    names = _names(subject_dn, san_dns, san_uri, san_ip, san_email)
    method = methods.method_of(names, certificate, bind_certificate=bind_certificate, strict_typ=strict_typ)
    console.print(
        act(lambda gateway: gateway.clients.register(member, name=name, jwk=key, operator=operator(), method=method))
    )


@admin.command("client-method")
@told
def change_client_method(
    client: str,
    subject_dn: methods.SubjectDn = None,
    san_dns: methods.SanDns = None,
    san_uri: methods.SanUri = None,
    san_ip: methods.SanIp = None,
    san_email: methods.SanEmail = None,
    certificate: methods.Certificates = None,
    bind_certificate: methods.BindCertificate = False,
    strict_typ: methods.StrictTyp = False,
) -> None:
    """Say anew how a client authenticates (without options: by its keys); its tokens end at the next request."""
    names = _names(subject_dn, san_dns, san_uri, san_ip, san_email)
    method = methods.method_of(names, certificate, bind_certificate=bind_certificate, strict_typ=strict_typ)
    act(lambda gateway: gateway.clients.change_method(client, method, operator=operator()))


@admin.command("client-key")
@told
def add_client_key(client: str, jwk: JwkFile) -> None:
    """Add a public key to a client; prints its thumbprint."""
    key = _jwk(jwk)
    console.print(act(lambda gateway: gateway.clients.add_key(client, key, operator=operator())))


@admin.command("retire-client-key")
@told
def retire_client_key(client: str, thumbprint: str) -> None:
    """End a client's key; its tokens end with it, at the next request."""
    act(lambda gateway: gateway.clients.retire_key(client, thumbprint, operator=operator()))


@admin.command("revoke-client")
@told
def revoke_client(client: str) -> None:
    """End a client, at the next request."""
    act(lambda gateway: gateway.clients.revoke(client, operator=operator()))


@admin.command("resource-server")
@told
def name_resource_server(client: str) -> None:
    """Let a client ask at /introspect about its alliance's tokens; revoking the client ends that."""
    act(lambda gateway: gateway.clients.serve(client, resource=gateway.identity.resource, operator=operator()))


@admin.command("rotate-key")
@told
def rotate_key(
    use: Annotated[RotatedKey, typer.Argument(help="Which of the gateway's own keys.")],
    compromised: Annotated[
        bool, typer.Option("--compromised", help="Somebody else may hold it: end it now, with all that it signed.")
    ] = False,
) -> None:
    """Publish a new key, which the servers use once everybody knows it; prints its kid and when that is."""

    async def work(gateway: Gateway) -> Rotation:
        begin = gateway.key_rotation.replace if compromised else gateway.key_rotation.begin
        return await begin(use, operator=operator())

    rotation = act(work)
    instant = datetime.fromtimestamp(rotation.signs_from / MILLISECONDS, UTC)
    console.print(f"{rotation.kid} signs from {instant:%Y-%m-%dT%H:%M:%SZ}", highlight=False)


@admin.command("signing-key")
@told
def add_signing_key(member: str, jwk: JwkFile) -> None:
    """Register the key that a member signs agreements with; prints its fingerprint, to be read out to the others."""
    key = _jwk(jwk)
    console.print(act(lambda gateway: gateway.signing_keys.add(member, key, operator=operator())))


@admin.command("revoke-signing-key")
@told
def revoke_signing_key(fingerprint: str) -> None:
    """End a signing key: no signature by it is accepted any more; earlier ones stand."""
    act(lambda gateway: gateway.signing_keys.revoke(fingerprint, operator=operator()))


@admin.command("hold")
@told
def place_hold(
    alliance: str,
    kind: Annotated[HoldSubject, typer.Argument(help="What is frozen.")],
    subject: Annotated[str, typer.Argument(help="Its id.")],
    case: Annotated[str, typer.Option(help="The dispute or incident.")],
) -> None:
    """Freeze exactly one dataset or agreement; prints the hold's id (clause 7.2.3)."""
    console.print(act(lambda gateway: gateway.holds.place(alliance, kind, subject, case=case, operator=operator())))


@admin.command("lift")
@told
def lift_hold(hold: str) -> None:
    """Lift a hold."""
    act(lambda gateway: gateway.holds.lift(hold, operator=operator()))


@admin.command("activate-policy")
@told
def activate_policy(alliance: str) -> None:
    """Put the rules of this host's policies folder in force; processes with others answer 503 until restarted."""
    console.print(act(lambda gateway: gateway.activate_policy(alliance, operator=operator())))


@admin.command("adopt")
@told
def adopt(log: Annotated[str, typer.Argument(help="The log's id.")]) -> None:
    """Take the database's signed head of a log as the copy outside, where that copy was lost. Check it first."""
    act(lambda gateway: gateway.integrator.adopt(log), look_first=False)


@admin.command("logs")
@told
def show_logs() -> None:
    """Each log's id, origin and verifier key (C2SP signed-note vkey), to be handed over out of band."""
    for line in act(lambda gateway: gateway.verifier_keys(), look_first=False):
        console.print_json(json.dumps(line))


def _names(*texts: str | None) -> dict[str, str | None]:
    return dict(zip(NAME_KINDS, texts, strict=True))


def _jwk(path: Path) -> dict[str, Any]:
    document = parse(path.read_bytes())
    if not isinstance(document, dict):
        raise Invalid("invalid_jwk", "The file holds no JWK.", field=str(path.name))
    return document
