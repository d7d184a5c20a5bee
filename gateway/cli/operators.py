"""`gateway admin operator …`: the people of an alliance, added and ended on the host. Every act is an entry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from gateway.app import Gateway
from gateway.cli.host import act, console, operator, told
from gateway.errors import Invalid
from gateway.identity.operators.directory import Listed
from gateway.identity.operators.roles import Role
from gateway.identity.operators.site import Site
from gateway.settings import Settings

operators = typer.Typer()

OperatorId = Annotated[str, typer.Argument(help="The operator's id.")]


@operators.command("operator")
@told
def add_operator(
    alliance: Annotated[str, typer.Argument(help="The alliance's id.")],
    name: Annotated[str, typer.Option(help="The person's name.")],
    role: Annotated[Role, typer.Option(help="What the person is for the alliance.")],
) -> None:
    """Add an operator; prints the id, and a one-time code for enrolling a passkey, which is shown this once."""
    operator_id, code = act(lambda gateway: gateway.operators.enrol(alliance, name=name, role=role, by=operator()))
    console.print(operator_id)
    _show(code)


@operators.command("operator-code")
@told
def issue_code(operator_id: OperatorId) -> None:
    """A new one-time code for an operator who has lost the passkey; enrolling with it ends the former ones."""
    _show(act(lambda gateway: gateway.operators.issue_code(operator_id, by=operator())))


@operators.command("operator-role")
@told
def change_role(
    operator_id: OperatorId, role: Annotated[Role, typer.Argument(help="The new role, from the next request on.")]
) -> None:
    """Change an operator's role."""
    act(lambda gateway: gateway.operators.change_role(operator_id, role, by=operator()))


@operators.command("link-operator")
@told
def link_operator(
    operator_id: OperatorId,
    subject: Annotated[str, typer.Argument(help="The account's `sub` at the provider of GATEWAY_OIDC_ISSUER.")],
) -> None:
    """Let an account of the company's provider sign in as this operator."""
    issuer = Settings.from_environment().oidc_issuer
    if not issuer:
        raise Invalid("no_provider", "No provider is configured.", field="GATEWAY_OIDC_ISSUER")
    act(lambda gateway: gateway.operators.link(operator_id, issuer=issuer, subject=subject, by=operator()))


@operators.command("disable-operator")
@told
def disable_operator(operator_id: OperatorId) -> None:
    """End an operator, and every session at once."""
    act(lambda gateway: gateway.operators.disable(operator_id, by=operator()))


@operators.command("operators")
@told
def list_operators(alliance: Annotated[str, typer.Argument(help="The alliance's id.")]) -> None:
    """The operators of an alliance: id, role, state, name."""

    async def work(gateway: Gateway) -> Sequence[Listed]:
        await gateway.members.require_alliance(alliance)
        return await gateway.operators.of_alliance(alliance)

    for one in act(work, look_first=False):
        state = "active" if one.active else "disabled"
        console.print(f"{one.id} {one.role} {state} {one.name}", highlight=False, markup=False)


def _show(code: str) -> None:
    site = Site.of(Settings.from_environment().base_url)
    console.print(f"code {code}, for one hour, at {site.origin}/console/enrol", highlight=False, soft_wrap=True)
