"""`gateway admin`: what operators do on the host. Every act is an entry in the ledger."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated

import typer

from gateway.agreements import HoldSubject
from gateway.agreements.held import OPEN_END_MS
from gateway.app import Gateway
from gateway.cli import proposals, widening
from gateway.cli.dossier import dossier
from gateway.cli.host import INSTANTS, act, console, epoch_s, operator, told
from gateway.cli.proposals import ClientId, MemberId
from gateway.clock import MILLISECONDS

AllianceId = Annotated[str, typer.Argument(help="The alliance's id.")]

admin = typer.Typer(no_args_is_help=True, help="Members, clients, keys, holds and policy. Every act is an entry.")

admin.add_typer(dossier, name="dossier")
for _name, _command in (*proposals.COMMANDS, *widening.COMMANDS):
    admin.command(_name)(_command)


@admin.command("alliance")
@told
def create_alliance(
    name: Annotated[str, typer.Argument(help="What the alliance is called.")],
    environment: Annotated[str, typer.Option(help="production, or test: what is real and what is not never meet.")] = (
        "production"
    ),
) -> None:
    """Found an alliance, open its operator's log, and put the policy of this host in force."""

    async def work(gateway: Gateway) -> str:
        alliance = await gateway.members.create_alliance(name, operator=operator(), environment=environment)
        await gateway.activate_policy(alliance, operator=operator())
        return alliance

    console.print(act(work))


@admin.command("member")
@told
def create_member(
    alliance: AllianceId,
    name: Annotated[str, typer.Option(help="The company's name.")],
    uscc: Annotated[str, typer.Option(help="Its unified social credit code (GB 32100), 18 characters.")],
    industry: Annotated[str, typer.Option(help="Its industry, for instance bank.")],
) -> None:
    """Name a company a prospect: its keys, its log, its id. `dossier` is how it becomes a member."""
    console.print(
        act(
            lambda gateway: gateway.members.create_member(
                alliance, name=name, uscc=uscc, industry=industry, operator=operator()
            )
        )
    )


@admin.command("suspend")
@told
def suspend(member: MemberId, case: Annotated[str, typer.Option(help="The case that decides it.")]) -> None:
    """Stop a member's access, and access to its data, from this entry on."""
    act(lambda gateway: gateway.members.suspend(member, case=case, operator=operator()))


@admin.command("retire-client-key")
@told
def retire_client_key(
    client: ClientId, thumbprint: Annotated[str, typer.Argument(help="The key's RFC 7638 thumbprint.")]
) -> None:
    """End a client's key; its tokens end with it, at the next request."""
    act(lambda gateway: gateway.clients.retire_key(client, thumbprint, operator=operator()))


@admin.command("revoke-client")
@told
def revoke_client(client: ClientId) -> None:
    """End a client, at the next request."""
    act(lambda gateway: gateway.clients.revoke(client, operator=operator()))


@admin.command("revoke-signing-key")
@told
def revoke_signing_key(
    fingerprint: Annotated[str, typer.Argument(help="The key's fingerprint: its RFC 7638 thumbprint.")],
) -> None:
    """End a signing key: no signature by it is accepted any more; earlier ones stand."""
    act(lambda gateway: gateway.signing_keys.revoke(fingerprint, operator=operator()))


@admin.command("hold")
@told
def place_hold(
    alliance: AllianceId,
    kind: Annotated[HoldSubject, typer.Argument(help="What is frozen.")],
    subject: Annotated[str, typer.Argument(help="Its id.")],
    case: Annotated[str, typer.Option(help="The dispute, incident or resolution.")],
    until: Annotated[
        datetime | None,
        typer.Option(help="When it ends by itself, in UTC; default: when it is lifted.", formats=INSTANTS),
    ] = None,
    owner: Annotated[str, typer.Option(help="Whose a referral, a ledger line or a memo is: the member's id.")] = "",
) -> None:
    """Freeze exactly one subject; prints the hold's id (clause 7.2.3).

    A term is written AGREEMENT:DATASET, a recipient's access to all of an owner's data RECIPIENT:OWNER.
    """
    until_ms = OPEN_END_MS if until is None else epoch_s(until) * MILLISECONDS
    console.print(
        act(
            lambda gateway: gateway.holds.place(
                alliance, kind, subject, case=case, operator=operator(), until_ms=until_ms, owner=owner
            )
        )
    )


@admin.command("activate-policy")
@told
def activate_policy(alliance: AllianceId) -> None:
    """Put the rules of this host's policies folder in force; processes with others answer 503 until restarted."""
    console.print(act(lambda gateway: gateway.activate_policy(alliance, operator=operator())))


@admin.command("adopt")
@told
def adopt(log: Annotated[str, typer.Argument(help="The log's id.")]) -> None:
    """Take the database's signed head of a log as the copy outside, where that copy was lost. Check it first."""
    act(lambda gateway: gateway.adopt_head(log, operator=operator()), look_first=False)


@admin.command("logs")
@told
def show_logs() -> None:
    """Each log's id, origin and verifier key (C2SP signed-note vkey), to be handed over out of band."""
    for line in act(lambda gateway: gateway.verifier_keys(), look_first=False):
        console.print_json(json.dumps(line))
