"""`gateway export` and `gateway verify`: evidence out of the gateway, and its proof far from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from gateway.app import Gateway
from gateway.cli.host import act, console, operator, told
from gateway.ledger import Draft, Kind
from gateway.ledger.export import export
from gateway.ledger.stored import state
from gateway.ledger.verify import verify


@told
def export_command(
    log: Annotated[str, typer.Argument(help="The log's id: a member's, or the alliance's for the operator's log.")],
    out: Annotated[Path, typer.Option(help="The bundle to write (.zip).")],
    first: Annotated[int, typer.Option(help="First entry.", min=0)] = 0,
    last: Annotated[int | None, typer.Option(help="Last entry; default: the newest signed one.", min=0)] = None,
) -> None:
    """Write a stretch of a log, with what proves it, as one bundle. The export is an entry itself."""

    async def work(gateway: Gateway) -> str:
        facts = {"act": "log_exported", "actor": {"operator": operator()}, "first": first, "last": last}
        await gateway.ledger.record(Draft(log=log, kind=Kind.QUERY, facts=facts))
        await gateway.integrator.integrate(log)
        with Progress(console=console, transient=True) as bar:
            task = bar.add_task("exporting", total=None)
            async with gateway.database.reading() as snapshot:
                end = (await state(snapshot, log)).signed_size - 1 if last is None else last
                manifest = await export(
                    snapshot,
                    log,
                    first,
                    end,
                    out,
                    progress=lambda done, total: bar.update(task, completed=done, total=total),
                )
        return f"[green]✔[/] {manifest.entries} entries of {manifest.origin}, tree size {manifest.size}: {out}"

    console.print(act(work), highlight=False)


def verify_command(
    bundle: Annotated[Path, typer.Argument(help="The bundle to check.", exists=True, dir_okay=False)],
    vkey: Annotated[str, typer.Option(help="The log's verifier key, received out of band.")],
    seen: Annotated[
        list[Path] | None, typer.Option(help="A checkpoint that you hold from earlier; may be repeated.", exists=True)
    ] = None,
) -> None:
    """Check a bundle offline. Exit code 0: it holds. 1: tampered. 2: incomplete, or the key is not trusted."""
    report = verify(bundle, vkey, [path.read_bytes() for path in seen or []])
    mark = {0: "[green]✔[/]", 1: "[red]✘[/]", 2: "[yellow]?[/]"}[report.exit_code]
    told = "; ".join(report.findings)
    if not told and report.manifest is not None:
        told = f"{report.manifest.entries} entries of {report.manifest.origin}, tree size {report.manifest.size}"
    console.print(f"{mark} {report.outcome}: {told}", highlight=False)
    raise typer.Exit(report.exit_code)
