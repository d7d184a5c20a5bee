"""`gateway admin offline …`: what the secretariat does about batches of consents on paper."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from gateway.app import Gateway
from gateway.approvals import Arguments
from gateway.cli.host import act, console, operator, told
from gateway.cli.proposals import propose
from gateway.consents.offline.plans import plans

offline = typer.Typer(no_args_is_help=True, help="Batches of consents on paper: sampled, accepted, invalidated.")

BatchId = Annotated[str, typer.Argument(help="The batch's id.")]
_ROW = ("line", "verdict", "marked_by", "evidence_sha256")


@offline.command("plans")
@told
def show_plans() -> None:
    """The published sampling plans, one JSON object a line, each with its sample sizes."""
    for plan in plans().values():
        sizes = {str(size): plan.sample_of(size) for size in (100, 1000, 10_000, 100_000)}
        console.print_json(json.dumps(plan.describe() | {"samples": sizes}))


@offline.command("draw")
@told
def draw(batch: BatchId, plan: Annotated[str, typer.Option(help="A published plan.")] = "standard") -> None:
    """Propose to draw the sample of a batch, once; another operator approves. Prints the proposal's id."""
    _propose("sample_offline_batch", batch, plan=plan)


@offline.command("sample")
@told
def sample(batch: BatchId) -> None:
    """The rows that were drawn, by their lines, and what was found."""
    table = Table(*_ROW)
    for row in act(lambda gateway: gateway.offline.sampling.sample(batch)):
        table.add_row(*(str(row[name]) for name in _ROW))
    console.print(table)


@offline.command("mark")
@told
def mark(
    batch: BatchId,
    line: Annotated[int, typer.Argument(help="The row's line.", min=2)],
    verdict: Annotated[str, typer.Argument(help="good or bad.")],
    evidence: Annotated[Path, typer.Argument(help="The very file that was looked at.", exists=True, dir_okay=False)],
) -> None:
    """Say of one drawn row whether its evidence holds. The file's SHA-256 is kept, the file stays."""
    digest = hashlib.sha256(evidence.read_bytes()).hexdigest()

    async def work(gateway: Gateway) -> str:
        mark_it = gateway.offline.sampling.mark
        found = await mark_it(batch, line, verdict, evidence_sha256=digest, operator=operator())
        return found.state.value

    console.print(act(work))


@offline.command("accept")
@told
def accept(batch: BatchId) -> None:
    """Propose to accept a batch whose sample passed; another operator approves. Prints the proposal's id."""
    _propose("accept_offline_batch", batch)


@offline.command("invalidate")
@told
def invalidate(batch: BatchId) -> None:
    """Propose to invalidate a batch; another operator approves. Prints the proposal's id."""
    _propose("invalidate_offline_batch", batch)


def _propose(name: str, batch: str, **more: str) -> None:
    async def terms(gateway: Gateway) -> tuple[str, Arguments]:
        found = await gateway.offline.batches.find(batch)
        return found.alliance, {"batch": batch, **more}

    propose(name, terms)
