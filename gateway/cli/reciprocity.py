"""`gateway reciprocity`: who gave and who received how much, as a table with bars."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from gateway.access.reciprocity import Flow, Report
from gateway.app import Gateway
from gateway.cli.host import INSTANTS, act, console, epoch_s, operator, told
from gateway.clock import MILLISECONDS
from gateway.ledger import Draft, Kind

_WIDEST = 24
_FULL, _PARTS = "█", " ▏▎▍▌▋▊▉"


@told
def reciprocity_command(
    alliance: Annotated[str, typer.Argument(help="The alliance's id.")],
    since: Annotated[datetime, typer.Option(help="First instant, in UTC.", formats=INSTANTS)],
    until: Annotated[datetime, typer.Option(help="First instant that is no more in it, in UTC.", formats=INSTANTS)],
) -> None:
    """Show what each member gave and received in a period, counted from the logs (clause 1.3.2). It is an entry."""
    begin, end = epoch_s(since) * MILLISECONDS, epoch_s(until) * MILLISECONDS

    async def work(gateway: Gateway) -> list[Report]:
        reports = await gateway.sharing.reciprocity.of_alliance(alliance, begin, end)
        facts = {"act": "reciprocity_reported", "actor": {"operator": operator()}, "since": begin, "until": end}
        await gateway.ledger.record(Draft(log=alliance, kind=Kind.QUERY, facts=facts))
        return reports

    console.print(table(act(work)))


def table(reports: list[Report]) -> Table:
    """A row per member and partner, and one for their sum; the longest bar is the greatest number of records."""
    most = max((flow.records for one in reports for flow in (one.given, one.received)), default=0)
    shown = Table("member", "partner", "given", "", "received", "")
    for report in reports:
        for one in report.exchanges:
            shown.add_row("", escape(one.name), *_cells(one.given, most), *_cells(one.received, most))
        shown.add_row(
            escape(report.name), "all", *_cells(report.given, most), *_cells(report.received, most), style="bold"
        )
        shown.add_section()
    return shown


def _cells(flow: Flow, most: int) -> tuple[str, str]:
    return f"{flow.records} in {flow.accesses}", bar(flow.records, most)


def bar(value: int, most: int) -> str:
    """A bar of eighths, `most` being the longest; what is more than nothing is seen."""
    eighths = 0 if not most else max(value * _WIDEST * 8 // most, 1 if value else 0)
    return (_FULL * (eighths // 8) + _PARTS[eighths % 8]).rstrip()
