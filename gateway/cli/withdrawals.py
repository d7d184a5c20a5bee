"""`gateway withdrawals …`: how far the ends of consents have reached, and what the clock brings, by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from gateway.app import Gateway
from gateway.cli.host import act, console, told
from gateway.consents.following.settling import Settled

withdrawals = typer.Typer(no_args_is_help=True, help="Withdrawals, followed to everybody who received.")

_COLUMNS = ("comply_by", "state", "cause", "recipient", "holder", "consent", "id", "case")


@withdrawals.command("run")
@told
def run() -> None:
    """Settle what is overdue, queue reminders, and tell recipients. Safe to repeat, and beside servers."""

    async def work(gateway: Gateway) -> Settled:
        done = await gateway.following.settling.run()
        await gateway.following.telling.run()
        return done

    done = act(work)
    console.print(f"[green]✔[/] {done.overdue} found overdue, {done.reminders} reminders queued")


@withdrawals.command("show")
@told
def show(
    member: Annotated[str, typer.Argument(help="The id of the member that owns the data, or that received it.")],
    overdue: Annotated[bool, typer.Option("--overdue", help="Only what is overdue now.")] = False,
) -> None:
    """What is not complied with yet, of a member's persons or by the member. No person is named."""

    async def work(gateway: Gateway) -> Sequence[Mapping[str, Any]]:
        await gateway.members.home_of(member)
        return await gateway.following.supervising.outstanding(member)

    found = [one for one in act(work) if not overdue or one["state"] == "overdue"]
    table = Table(*_COLUMNS)
    for one in found:
        table.add_row(*(str(one[name] or "") for name in _COLUMNS))
    console.print(table)
    console.print(f"{len(found)} to be complied with", highlight=False)
