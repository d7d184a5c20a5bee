"""`gateway referrals …`: do what has come due, and list a member's referrals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from gateway.app import Gateway
from gateway.cli.host import act, console, told
from gateway.referrals.run import Ran

referrals = typer.Typer(no_args_is_help=True, help="Customers referred between members.")

_COLUMNS = ("id", "state", "finance", "due_at", "case", "agreement")
_MOST = 1000


@referrals.command("run")
@told
def run() -> None:
    """Register, match, return, cancel, forget and tell what is due. Safe to repeat, and beside servers."""

    async def work(gateway: Gateway) -> Ran:
        await gateway.referrals.running.forget()
        return await gateway.referrals.running.run()

    done = act(work)
    console.print(
        f"[green]✔[/] {done.registered} registered, {done.matched} matched, {done.returned} returned,"
        f" {done.withdrawn} withdrawn, {done.cancelled} cancelled, {done.told} told",
        highlight=False,
    )


@referrals.command("list")
@told
def show(member: Annotated[str, typer.Argument(help="The member's id.")]) -> None:
    """A member's referrals, made and offered, each as its side of it sees it; no person, and no note."""

    async def work(gateway: Gateway) -> Sequence[Mapping[str, Any]]:
        await gateway.members.home_of(member)
        return await gateway.referrals.lookup.of_member(member, after="", limit=_MOST)

    table = Table(*_COLUMNS)
    for one in act(work):
        table.add_row(*(str(one[name] or "") for name in _COLUMNS))
    console.print(table)
