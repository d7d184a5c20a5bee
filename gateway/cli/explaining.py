"""`gateway explain ENTRY`: one access on one screen: who asked, what was judged, by which rule, what changes it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from gateway.access.counterfactuals import OPEN_END
from gateway.access.explaining import Explanation, Explanations
from gateway.app import Gateway
from gateway.cli.host import act, console, operator, told
from gateway.policy import load_bundle

_COLOURS = {"permit": "green", "deny": "red", "indeterminate": "yellow"}
_WIDTH = 118


@told
def explain_command(
    entry: Annotated[str, typer.Argument(help="The entry's event id, or LOG:INDEX.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, every fact included.")] = False,
    picture: Annotated[Path | None, typer.Option(help="Write the screen's picture as SVG.")] = None,
) -> None:
    """Say why an access was allowed or refused: the facts, the rule, the clause, what would change it. On record."""

    async def work(gateway: Gateway) -> Explanation:
        bundle = load_bundle(gateway.settings.policies_dir)
        core = (gateway.database, gateway.ledger, gateway.verifier_key, gateway.decisions)
        explanations = Explanations(*core, bundle)
        return await explanations.explain(entry, operator=operator())

    explanation = act(work)
    if as_json:
        typer.echo(json.dumps(explanation.describe(), ensure_ascii=False, indent=1))
        return
    screen = console if picture is None else Console(record=True, width=_WIDTH)
    show(explanation, screen)
    if picture is not None:
        screen.save_svg(str(picture), title="gateway explain")


def show(one: Explanation, screen: Console) -> None:
    """Print an explanation."""
    effect = str(one.entry["effect"])
    title = f"[bold {_COLOURS[effect]}]{effect}[/]  {escape(one.log)}:{one.index}"
    screen.print(Panel(_asked(one), title=title, title_align="left"))
    screen.print(_replay(one), highlight=False)
    if one.reasons:
        screen.print(_reasons(one))
    if one.case is not None:
        screen.print(_facts(one.case))
    if one.ends_at:
        by = f": {escape(', '.join(one.ends_by))}" if one.ends_by else ""
        persons = "; of each person no longer than the consent" if _permitted(one) and one.by_consent else ""
        screen.print(f"Holds until {_moment(one.ends_at)}{by}{persons}", highlight=False)
    if one.changes:
        screen.print(_changes(one))


def _asked(one: Explanation) -> Table:
    entry = one.entry
    rows = {
        "who": ", ".join(f"{name} {value}" for name, value in entry["actor"].items()),
        "what": f"{entry['action']} of {entry['dataset']}",
        "agreement": entry["agreement"],
        "purpose": entry.get("purpose", "(a stranger's is not asked)"),
        "judged at": _moment(entry["judged_at"]) if "judged_at" in entry else "never: not a party to the agreement",
    }
    table = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        table.add_row(f"[dim]{name}[/]", escape(str(value)))
    return table


def _replay(one: Explanation) -> str:
    judged = one.entry.get("policy", {}).get("digest")
    if one.case is None:
        return "[yellow]?[/] no case was decided, so there is none to replay"
    if one.agrees is None:
        said = ", ".join((one.otherwise, *one.otherwise_reasons))
        return f"[yellow]?[/] judged by policy {judged}; load that one to replay. Loaded is {one.loaded_policy}: {said}"
    if one.agrees:
        counted = "; the ledger had counted too much, and refused" if one.overdrawn else ""
        return f"[green]✔[/] replayed by the policy that judged, {judged}: {one.replayed}, as then{counted}"
    return f"[red]✘[/] replayed by the policy that judged, {judged}: {one.replayed}, and not as then"


def _reasons(one: Explanation) -> Table:
    table = Table("code", "clause", "why 原因", "what helps 办法", title="Reasons 理由", title_justify="left")
    for reason in one.reasons:
        why = [*reason.get("title", {}).values(), f"[dim]{escape(reason['rule'])}[/]" if reason["rule"] else ""]
        helps = reason.get("remedy", {}).values()
        table.add_row(reason["code"], reason.get("clause", ""), "\n".join(filter(None, why)), "\n".join(helps))
    return table


def _facts(case: Any) -> Table:
    table = Table("facts judged", "", title_justify="left", show_header=False)
    for part, members in case.items():
        if isinstance(members, dict):
            said = "  ".join(f"[dim]{name}[/] {escape(_said(value))}" for name, value in members.items())
        else:
            said = escape(_said(members))
        table.add_row(part, said)
    return table


def _changes(one: Explanation) -> Table:
    permitted = _permitted(one)
    title = "Each of these alone would end it" if permitted else "What would have met it, each by one fact"
    table = Table("requirement", "fact", "is", "would be", title=title, title_justify="left")
    for change in one.changes:
        table.add_row(change.code, escape(change.fact), escape(_said(change.was)), escape(_said(change.would_be)))
    missing = [] if permitted else sorted({*one.replayed_reasons} - {change.code for change in one.changes})
    for code in missing:
        table.add_row(code, "[dim]no single fact[/]", "", "")
    return table


def _permitted(one: Explanation) -> bool:
    return one.replayed == "permit" and not one.overdrawn


def _said(value: Any) -> str:
    if isinstance(value, dict) and value.keys() == {"from", "until"}:
        return "none" if value["until"] == 0 else f"{_moment(value['from'])} to {_moment(value['until'])}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)


def _moment(instant: int) -> str:
    if instant >= OPEN_END:
        return "no end"
    return "ever" if instant == 0 else datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
