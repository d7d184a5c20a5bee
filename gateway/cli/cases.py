"""`gateway admin case …`: what the secretariat does about cases; and `gateway verify-case`, far from the gateway."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from gateway.access.export_permits import Extract
from gateway.app import Gateway
from gateway.approvals import Arguments
from gateway.cases.case import Case, CaseView
from gateway.cases.opening import Exhibit
from gateway.cases.verification import verify_case
from gateway.cli.host import INSTANTS, MARKS, act, console, epoch_s, operator, told
from gateway.cli.proposals import propose
from gateway.clock import MILLISECONDS

cases = typer.Typer(no_args_is_help=True, help="Disputes, breach candidates, leaks and investigations.")

CaseId = Annotated[str, typer.Argument(help="The case's id.")]
Why = Annotated[str, typer.Option(help="The reason, for the entry and both parties.")]
Claim = Annotated[str, typer.Option(help="What is said to have happened.")]
Files = Annotated[
    list[Path] | None,
    typer.Option(
        "--evidence", help="A file; its name and SHA-256 are kept, the file stays.", exists=True, dir_okay=False
    ),
]
_MOST = 200


@cases.command("list")
@told
def list_cases(alliance: Annotated[str, typer.Argument(help="The alliance's id.")]) -> None:
    """The newest cases of an alliance, one JSON object a line."""

    async def work(gateway: Gateway) -> Sequence[Case]:
        await gateway.members.require_alliance(alliance)
        return await gateway.casework.cases.of_alliance(alliance, limit=_MOST)

    for one in act(work):
        console.print_json(json.dumps(one.describe(), ensure_ascii=False))


@cases.command("show")
@told
def show(case: CaseId) -> None:
    """One case with its evidence and holds."""

    async def work(gateway: Gateway) -> CaseView:
        return await gateway.casework.cases.view(await gateway.casework.cases.find(case))

    console.print_json(json.dumps(act(work).describe(), ensure_ascii=False))


@cases.command("leak")
@told
def report_leak(
    agreement: Annotated[str, typer.Argument(help="The agreement under which it was received, in force or ended.")],
    claim: Claim,
    evidence: Files = None,
    respondent: Annotated[str, typer.Option(help="Who leaked; default: the recipient.")] = "",
) -> None:
    """Report a leak: the leaker's access to the owner's data is held at once, for a limited time; prints the case."""
    exhibits = _exhibits(evidence)
    console.print(
        act(
            lambda gateway: gateway.casework.incidents.report_leak_by_operator(
                agreement, respondent, claim=claim, evidence=exhibits, operator=operator()
            )
        )
    )


@cases.command("investigate")
@told
def investigate(
    member: Annotated[str, typer.Argument(help="The member's id.")], claim: Claim, evidence: Files = None
) -> None:
    """Open an investigation of fraud or unfair competition (clause 9.1.3); prints the case."""
    exhibits = _exhibits(evidence)

    async def work(gateway: Gateway) -> str:
        home = await gateway.members.home_of(member)
        return await gateway.casework.incidents.investigate(
            home, member, claim=claim, evidence=exhibits, operator=operator()
        )

    console.print(act(work))


@cases.command("confirm")
@told
def confirm(case: CaseId, why: Why) -> None:
    """Confirm a breach candidate: it counts from now on, and the agreed days to cure begin."""
    _alone(case, "confirm", why)


@cases.command("excuse")
@told
def excuse(case: CaseId, why: Why) -> None:
    """Close a breach candidate without a strike, as for force majeure."""
    _alone(case, "excuse", why)


@cases.command("cure")
@told
def cure(case: CaseId, why: Why) -> None:
    """Record that a confirmed breach was put right within the agreed days; it still counts."""
    _alone(case, "cure", why)


@cases.command("decide")
@told
def propose_decision(
    case: CaseId,
    step: Annotated[str, typer.Argument(help="resolve a dispute; confirm or dismiss a leak or an investigation.")],
    resolution: Annotated[str, typer.Option(help="The resolution that decides it.")],
    why: Why,
) -> None:
    """Propose a decision that takes two; prints the proposal's id. What is resolved or dismissed holds nothing more."""

    async def terms(gateway: Gateway) -> tuple[str, Arguments]:
        return await gateway.casework.decisions.deciding(case, step, resolution=resolution, why=why)

    propose("decide_case", terms)


@cases.command("count")
@told
def count(
    member: Annotated[str, typer.Argument(help="The member's id.")],
    since: Annotated[datetime, typer.Option(help="Cases opened since, in UTC.", formats=INSTANTS)],
) -> None:
    """How many breaches of a member were confirmed, cured ones included."""

    async def work(gateway: Gateway) -> int:
        await gateway.members.home_of(member)
        return await gateway.casework.cases.confirmed_against(member, since_ms=epoch_s(since) * MILLISECONDS)

    console.print(act(work))


@cases.command("bundle")
@told
def bundle(
    case: CaseId,
    out: Annotated[Path, typer.Option(help="The new folder to write.")],
    permit: Annotated[str, typer.Option(help="The approved proposal of `gateway admin export-log`.")],
    first: Annotated[int, typer.Option(help="First entry of the extract.", min=0)] = 0,
    last: Annotated[int | None, typer.Option(help="Last entry; default: the newest signed one.", min=0)] = None,
) -> None:
    """Write what a forum is given about an escalated case: manifest, claim, terms, and the extract of the log."""

    async def work(gateway: Gateway) -> str:
        wanted = Extract(await gateway.case_bundles.log_of(case), first, last)
        manifest = await gateway.case_bundles.write(case, wanted, out, permit=permit, operator=operator())
        return f"[green]✔[/] {escape(f'{out}: {manifest.entries} entries of {manifest.origin}')}"

    console.print(act(work), highlight=False)


def verify_case_command(
    folder: Annotated[Path, typer.Argument(help="The folder of a case.", exists=True, file_okay=False)],
    vkey: Annotated[str, typer.Option(help="The log's verifier key, received out of band.")],
) -> None:
    """Check a case's folder offline. Exit code 0: it holds. 1: tampered. 2: incomplete, or the key is not trusted."""
    report = verify_case(folder, vkey)
    about = "; ".join(report.findings) or report.case
    console.print(f"{MARKS[report.outcome]} {report.outcome}: {escape(about)}", highlight=False, soft_wrap=True)
    raise typer.Exit(report.outcome.exit_code)


def _alone(case: str, step: str, why: str) -> None:
    console.print(
        act(lambda gateway: gateway.casework.decisions.decide_alone(case, step, why=why, operator=operator()))
    )


def _exhibits(files: list[Path] | None) -> Sequence[Exhibit]:
    return [Exhibit(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files or ()]
