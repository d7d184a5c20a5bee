"""`gateway push`: what servers do by themselves, once and by hand."""

from __future__ import annotations

import typer

from gateway.app import Gateway
from gateway.cli.host import act, console, told

push = typer.Typer(no_args_is_help=True, help="Send what was published to the addresses of its recipients.")


@push.callback()
def commands() -> None:
    """Send what was published to the addresses of its recipients."""


@push.command("run")
@told
def run() -> None:
    """Send everything that is due now, and end. A running server does it by itself, every few seconds."""

    async def work(gateway: Gateway) -> None:
        await gateway.sharing.pushes.run()

    act(work)
    console.print("[green]✔[/] nothing more is due now; `GET /v1/pushes/{id}` tells its owner what became of each")
