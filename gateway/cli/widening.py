"""The commands of `gateway admin` that propose to give something back, to hand something out, or to end for good."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated

import typer

from gateway.access.export_permits import Extract
from gateway.app import Gateway
from gateway.approvals import Arguments
from gateway.cli.host import INSTANTS, act, console, epoch_s, operator, told
from gateway.cli.proposals import propose
from gateway.errors import Invalid
from gateway.vault.rotation import RotatedKey

Case = Annotated[str, typer.Option(help="The case that decides it.")]


@told
def propose_export(
    log: Annotated[str, typer.Argument(help="The log's id: a member's, or the alliance's for the operator's log.")],
    first: Annotated[int, typer.Option(help="First entry.", min=0)] = 0,
    last: Annotated[int | None, typer.Option(help="Last entry; default: the newest signed one.", min=0)] = None,
) -> None:
    """Propose to export a stretch of a log; prints the proposal's id, which `gateway export --permit` takes then."""

    async def terms(gateway: Gateway) -> tuple[str, Arguments]:
        alliance = log if log in await gateway.members.alliances() else await gateway.members.home_of(log)
        return alliance, Extract(log, first, last).arguments()

    propose("export_log", terms)


@told
def propose_end(
    agreement: Annotated[str, typer.Argument(help="The agreement's id.")],
    case: Case,
) -> None:
    """Propose that the alliance ends an agreement for good; prints the proposal's id. A hold stops it meanwhile."""

    async def terms(gateway: Gateway) -> tuple[str, Arguments]:
        return await gateway.endings.home_of(agreement), {"agreement": agreement, "case": case}

    propose("end_agreement", terms)


@told
def propose_lifting(hold: Annotated[str, typer.Argument(help="The hold's id.")]) -> None:
    """Propose to lift a hold; prints the proposal's id."""

    async def terms(gateway: Gateway) -> tuple[str, Arguments]:
        return await gateway.holds.lifting(hold)

    propose("lift_hold", terms)


@told
def propose_extension(
    hold: Annotated[str, typer.Argument(help="The hold's id.")],
    until: Annotated[datetime, typer.Option(help="When it ends by itself instead, in UTC.", formats=INSTANTS)],
    resolution: Annotated[str, typer.Option(help="The resolution that decides it.")],
) -> None:
    """Propose to let a time-boxed hold run longer; prints the proposal's id. It must be approved before it ends."""

    async def terms(gateway: Gateway) -> tuple[str, Arguments]:
        return await gateway.holds.extending(hold, until_s=epoch_s(until), resolution=resolution)

    propose("extend_hold", terms)


@told
def propose_transfer(transfer: Annotated[str, typer.Argument(help="The id of the filed mechanism.")]) -> None:
    """Propose to accept what an owner filed to let data cross a border; prints the proposal's id."""

    async def terms(gateway: Gateway) -> tuple[str, Arguments]:
        return await gateway.confidentiality.transfers.acceptance(transfer)

    propose("accept_transfer", terms)


@told
def propose_readmission(member: Annotated[str, typer.Argument(help="The member's id.")], case: Case) -> None:
    """Propose to end a suspension; prints the proposal's id."""

    async def terms(gateway: Gateway) -> tuple[str, Arguments]:
        return await gateway.members.home_of(member), await gateway.members.readmission(member, case=case)

    propose("readmit_member", terms)


@told
def propose_false_attestation(
    attestation: Annotated[str, typer.Argument(help="The attestation's id.")],
    grounds: Annotated[str, typer.Option(help="What shows that it is false.")],
) -> None:
    """Propose to mark an attestation as false, which opens a breach (1.3.3); prints the proposal's id."""

    async def terms(gateway: Gateway) -> tuple[str, Arguments]:
        return await gateway.attestations.marking(attestation, grounds=grounds)

    propose("mark_attestation_false", terms)


@told
def propose_resource_server(client: Annotated[str, typer.Argument(help="The client's id.")]) -> None:
    """Propose that a client may ask at /introspect about its alliance's tokens; prints the proposal's id."""

    async def terms(gateway: Gateway) -> tuple[str, Arguments]:
        arguments = {"client": client, "resource": gateway.identity.resource}
        return await gateway.clients.home_of(client), arguments

    propose("name_resource_server", terms)


@told
def rotate_key(
    use: Annotated[RotatedKey, typer.Argument(help="Which of the gateway's own keys.")],
    alliance: Annotated[str, typer.Option(help="Whose operators decide; default: the only one's.")] = "",
    compromised: Annotated[
        bool, typer.Option("--compromised", help="Somebody else may hold it: end it now, with all that it signed.")
    ] = False,
) -> None:
    """Propose a new key, which is published once approved and signs once everybody knows it; prints the proposal's id.

    With --compromised nothing is proposed: the new key signs from now on; prints its kid.
    """

    async def terms(gateway: Gateway) -> tuple[str, Arguments]:
        return alliance or await _only_alliance(gateway), {"use": use.value}

    if not compromised:
        propose("rotate_key", terms)
        return
    console.print(act(lambda gateway: gateway.key_rotation.replace(use, operator=operator())))


@told
def renew_contact_key(
    alliance: Annotated[str, typer.Option(help="Whose operators decide; default: the only one's.")] = "",
) -> None:
    """Propose another version of the key that finds persons by their numbers; prints the proposal's id."""

    async def terms(gateway: Gateway) -> tuple[str, Arguments]:
        return alliance or await _only_alliance(gateway), {}

    propose("renew_contact_key", terms)


COMMANDS: Sequence[tuple[str, Callable[..., None]]] = (
    ("export-log", propose_export),
    ("end-agreement", propose_end),
    ("lift", propose_lifting),
    ("extend", propose_extension),
    ("readmit", propose_readmission),
    ("false-attestation", propose_false_attestation),
    ("resource-server", propose_resource_server),
    ("rotate-key", rotate_key),
    ("renew-contact-key", renew_contact_key),
    ("accept-transfer", propose_transfer),
)


async def _only_alliance(gateway: Gateway) -> str:
    found = await gateway.members.alliances()
    if len(found) != 1:
        raise Invalid("several_alliances", "There is not exactly one alliance.", field="--alliance", remedy="Name one.")
    return found[0]
