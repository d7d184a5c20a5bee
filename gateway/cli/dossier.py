"""`gateway admin dossier …`: from a prospect to a member, and its papers renewed. Every act is an entry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.app import Gateway
from gateway.approvals import Arguments
from gateway.canonical import parse
from gateway.cli.host import act, console, operator, told
from gateway.cli.instants import instant
from gateway.cli.proposals import propose
from gateway.errors import Invalid
from gateway.members.admission import Department, Document, DocumentKind, NewDocument, ScoreSheet

dossier = typer.Typer(
    no_args_is_help=True,
    help=(
        "Admit a company, department by department: add (market), legal-review, finance-review, report (business), "
        "sign (all four), submit, admit and approve (management). One person acts for one department."
    ),
)

MemberId = Annotated[str, typer.Argument(help="The company's id.")]
DocumentId = Annotated[str, typer.Argument(help="The document's id.")]
ReportId = Annotated[str, typer.Argument(help="The report's id.")]
Digest = Annotated[str, typer.Option("--dossier", help="What was looked at: the digest that `dossier show` prints.")]
Passed = Annotated[bool, typer.Option("--passed/--not-passed", help="What the review comes to.")]
Reasons = Annotated[str, typer.Option(help="Why; sealed under the company's key.")]


@dossier.command("add")
@told
def add(
    member: MemberId,
    kind: Annotated[DocumentKind, typer.Argument(help="What the document is.")],
    file: Annotated[Path, typer.Argument(help="The file; it is sealed.", exists=True, dir_okay=False)],
    number: Annotated[str, typer.Option(help="Its number; of a business licence, the unified social credit code.")],
    valid_to: Annotated[
        str | None, typer.Option(help="Its last day, YYYY-MM-DD; none for a licence without end.")
    ] = None,
    time_zone: Annotated[str, typer.Option(help="Where that day ends.")] = "Asia/Shanghai",
    replaces: Annotated[
        str, typer.Option(help="The industry certificate that it renews; others replace their kind.")
    ] = "",
) -> None:
    """File a document (2.1.1); prints its id. A prospect's counts at once, a member's once `renew` is approved."""
    new = NewDocument(
        kind=kind,
        number=number,
        valid_to=valid_to,
        content=file.read_bytes(),
        time_zone=time_zone,
        replaces=replaces,
    )
    for made in act(lambda gateway: gateway.admissions.dossier.file(member, [new], operator=operator())):
        console.print(made)


@dossier.command("show")
@told
def show(member: MemberId) -> None:
    """The documents that count, those that wait, and the digest by which reviews name what they looked at."""

    async def work(gateway: Gateway) -> dict[str, Any]:
        current, digest = await gateway.admissions.dossier.current(member)
        waiting = await gateway.admissions.dossier.waiting(member)
        return {
            "dossier": digest,
            "current": [_shown(one) for one in current],
            "waiting": [_shown(one) for one in waiting],
        }

    console.print_json(json.dumps(act(work, look_first=False)))


@dossier.command("open")
@told
def open_document(
    document: DocumentId, out: Annotated[Path, typer.Option(help="Where to write the file; it must not exist.")]
) -> None:
    """Write a document's file, once it is on record that you opened it."""
    if out.exists():
        raise Invalid("file_exists", "The file is there already.", field="--out", remedy="Choose another path.")
    content = act(lambda gateway: gateway.admissions.dossier.open(document, operator=operator()))
    out.touch(0o600, exist_ok=False)
    out.write_bytes(content)


@dossier.command("legal-review")
@told
def legal_review(
    member: MemberId,
    looked_at: Digest,
    passed: Passed,
    reasons: Reasons,
    litigation: Annotated[bool, typer.Option("--litigation/--no-litigation", help="Whether a lawsuit pends.")],
) -> None:
    """The legal department's review (2.1.2), by somebody who filed no document; prints its id."""
    console.print(
        act(
            lambda gateway: gateway.admissions.reviews.legal(
                member, dossier=looked_at, passed=passed, reasons=reasons, litigation=litigation, operator=operator()
            )
        )
    )


@dossier.command("finance-review")
@told
def finance_review(
    member: MemberId,
    looked_at: Digest,
    passed: Passed,
    reasons: Reasons,
    profitability: Annotated[int, typer.Option(help="0 to 100.")],
    solvency: Annotated[int, typer.Option(help="0 to 100.")],
    next_review: Annotated[str, typer.Option(help="The day of the next review, YYYY-MM-DD; then it is a task.")],
) -> None:
    """The finance department's review with its score sheet (2.1.3); prints its id. Repeat it for members when due."""
    scores = ScoreSheet(profitability=profitability, solvency=solvency, next_review=next_review)
    console.print(
        act(
            lambda gateway: gateway.admissions.reviews.finance(
                member, dossier=looked_at, passed=passed, reasons=reasons, scores=scores, operator=operator()
            )
        )
    )


@dossier.command("review-reasons")
@told
def review_reasons(review: Annotated[str, typer.Argument(help="The review's id.")]) -> None:
    """Why a review came out as it did, once it is on record that you read it."""
    console.print(
        act(lambda gateway: gateway.admissions.reviews.reasons(review, operator=operator())),
        markup=False,
        highlight=False,
    )


@dossier.command("report")
@told
def write_report(
    member: MemberId,
    sections: Annotated[
        Path,
        typer.Argument(
            help="A JSON object with the texts of profile, strengths, risks and advice.", exists=True, dir_okay=False
        ),
    ],
) -> None:
    """Put the assessment report on record (2.2.2), after both reviews passed; prints its id and its SHA-256."""
    texts = _sections(sections)

    async def work(gateway: Gateway) -> tuple[str, str]:
        report = await gateway.admissions.reports.write(member, texts, operator=operator())
        return report, (await gateway.admissions.reports.find(report)).sha256

    for line in act(work):
        console.print(line)


@dossier.command("read")
@told
def read_report(report: ReportId) -> None:
    """A report's sections and SHA-256, once it is on record that you read them."""

    async def work(gateway: Gateway) -> dict[str, Any]:
        found = await gateway.admissions.reports.find(report)
        texts = await gateway.admissions.reports.read(report, operator=operator())
        return {"report": found.id, "sha256": found.sha256, "state": found.state, "sections": texts}

    console.print_json(json.dumps(act(work), ensure_ascii=False))


@dossier.command("sign")
@told
def sign(
    report: ReportId,
    department: Annotated[Department, typer.Argument(help="The department that you act for.")],
    sha256: Annotated[str, typer.Option(help="The SHA-256 of the report that you read.")],
) -> None:
    """Sign a report off for a department."""
    act(lambda gateway: gateway.admissions.reports.sign_off(report, department, sha256=sha256, operator=operator()))


@dossier.command("submit")
@told
def submit(report: ReportId) -> None:
    """Put a complete report before management; an incomplete one is refused with all that it lacks."""
    act(lambda gateway: gateway.admissions.reports.submit(report, operator=operator()))


@dossier.command("admit")
@told
def admit(
    report: ReportId,
    clearance: Annotated[int, typer.Option(help="The highest grade that the member may be shown, 1 to 4.")],
    country: Annotated[str, typer.Option(help="Where the member is, two letters (ISO 3166).")],
) -> None:
    """Propose to admit a company (2.2.3); prints the proposal's id. `approve` it as somebody who had no part in it."""

    async def terms(gateway: Gateway) -> tuple[str, Arguments]:
        return await gateway.admissions.approval.terms(report, clearance=clearance, country=country)

    propose("admit_member", terms)


@dossier.command("renew")
@told
def renew(document: DocumentId) -> None:
    """Propose that a document that a member filed counts (2.1.1); prints the proposal's id."""

    async def terms(gateway: Gateway) -> tuple[str, Arguments]:
        return await gateway.admissions.renewal.terms(document)

    propose("renew_document", terms)


@dossier.command("tasks")
@told
def tasks(alliance: Annotated[str, typer.Argument(help="The alliance's id.")]) -> None:
    """What is due: finance reviews, and documents that end within 30 days."""
    for one in act(lambda gateway: gateway.admissions.tasks.of(alliance), look_first=False):
        about = f"{instant(one.due)} {one.kind.value} {one.member} {one.about}"
        console.print(about, highlight=False, markup=False)


def _shown(one: Document) -> dict[str, Any]:
    named = ("id", "number", "valid_to", "time_zone", "sha256", "uploaded_by", "replaces")
    return {"kind": one.kind.value, **{name: getattr(one, name) for name in named}}


def _sections(path: Path) -> dict[str, str]:
    texts = parse(path.read_bytes())
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise Invalid("sections_malformed", "The file holds no JSON object of texts.", field=path.name)
    return texts
