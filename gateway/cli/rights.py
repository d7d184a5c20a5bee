"""`gateway rights …`: what officers see of requests of persons, and what servers do about their clocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table

from gateway.app import Gateway
from gateway.cli.host import act, console, told
from gateway.rights.request import Request

rights = typer.Typer(no_args_is_help=True, help="Requests of persons about their data: what waits, and until when.")

_COLUMNS = ("due_at", "id", "kind", "state", "profile", "owner", "case")


@rights.command("list")
@told
def list_requests(alliance: Annotated[str, typer.Argument(help="The alliance's id.")]) -> None:
    """What waits for an answer, the most urgent first; without persons and without words. ~ marks provisional dates."""

    async def work(gateway: Gateway) -> Sequence[Request]:
        await gateway.members.require_alliance(alliance)
        return await gateway.rights.requests.waiting(alliance)

    table = Table(*_COLUMNS)
    for one in act(work):
        row = one.describe() | {"owner": one.owner}
        row["due_at"] = f"{row['due_at']}{'~' if one.provisional else ''}"
        table.add_row(*(str(row[name] or "") for name in _COLUMNS))
    console.print(table)


@rights.command("run")
@told
def run() -> None:
    """Look at every clock. Safe to repeat, and beside servers, which do it every few seconds."""

    async def work(gateway: Gateway) -> int:
        return await gateway.rights.settling.run()

    console.print(f"[green]✔[/] {act(work)} breach candidates opened")
