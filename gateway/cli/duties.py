"""`gateway duties …`: settle what is due, and show a member's calendar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from gateway.app import Gateway
from gateway.cli.host import act, console, told
from gateway.clock import seconds
from gateway.duties.icalendar import icalendar
from gateway.duties.run import Settled

duties = typer.Typer(no_args_is_help=True, help="What is due between members, and what was missed.")

_DAY_S = 24 * 3600
_COLUMNS = ("due_at", "grace_until", "kind", "role", "state", "dataset", "agreement", "case")


@duties.command("run")
@told
def run() -> None:
    """Settle what has come due. Safe to repeat, and beside servers, which do it every minute."""

    async def work(gateway: Gateway) -> Settled:
        return await gateway.duties.settling.run()

    done = act(work)
    console.print(f"[green]✔[/] {done.dates} due dates settled, {done.candidates} breach candidates opened")


@duties.command("show")
@told
def show(
    member: Annotated[str, typer.Argument(help="The member's id.")],
    days: Annotated[int, typer.Option(help="So many days ahead.", min=1, max=300)] = 31,
    back: Annotated[int, typer.Option(help="So many days back.", min=0, max=90)] = 0,
    ics: Annotated[Path | None, typer.Option(help="Write an iCalendar file instead.")] = None,
) -> None:
    """A member's calendar: what it owes and what it is owed. ~ marks dates of years not yet published."""

    async def work(gateway: Gateway) -> tuple[Sequence[Mapping[str, Any]], int]:
        await gateway.members.home_of(member)
        now = gateway.clock()
        first = seconds(now) - back * _DAY_S
        return await gateway.duties.agenda.of(member, first, seconds(now) + days * _DAY_S), now

    found, now = act(work)
    if ics is not None:
        ics.write_bytes(icalendar(found, now))
        console.print(f"[green]✔[/] {len(found)} duties: {escape(str(ics))}", highlight=False)
        return
    table = Table(*_COLUMNS)
    for one in found:
        mark = "~" if one.get("provisional") else ""
        table.add_row(f"{one['due_at']}{mark}", *(str(one.get(name) or "") for name in _COLUMNS[1:]))
    console.print(table)
