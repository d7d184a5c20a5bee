"""How the demo tells what happens: every line that reports an outcome has checked it first.

A demo that would tell something else ends with an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from gateway.demo.partner import Partner
from gateway.demo.people import Export
from gateway.errors import Invalid


class StoryBroken(Invalid):
    """The gateway answered otherwise than the story tells."""

    def __init__(self, what: str, status: int, body: str) -> None:
        super().__init__("demo_failed", f"{what}: answered {status}. {body[:300]}")


@dataclass(slots=True)
class World:
    """What the story has made so far, for its later chapters and for `alliance.json`."""

    partners: Mapping[str, Partner]
    folder: Path
    datasets: dict[str, str] = field(default_factory=dict)
    agreements: dict[str, str] = field(default_factory=dict)
    customers: dict[str, Export] = field(default_factory=dict)
    persons: dict[str, str] = field(default_factory=dict)
    """Who reads, by the name of the agreement."""
    alliance: str = ""


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells it to a terminal, chapter by chapter."""

    console: Console

    def chapter(self, number: str, title: str, chinese: str) -> None:
        """A new chapter, in both languages."""
        self.console.rule(f"[bold]{number}  {title}[/]  ·  {chinese}", align="left")

    def say(self, mark: str, text: str) -> None:
        """One line about what has just happened."""
        colour = {"✔": "green", "✘": "red"}.get(mark[0], "cyan")
        self.console.print(f"  [{colour}]{mark:<6}[/] {text}", highlight=False)

    def show(self, fields: Mapping[str, Any]) -> None:
        """The fields of one record."""
        shown = "  ".join(f"[dim]{name}[/] {value}" for name, value in fields.items())
        self.console.print(f"         {shown}", highlight=False)

    def bar(self) -> Progress:
        """A bar for what takes longer."""
        return Progress(
            TextColumn("         {task.description}"),
            BarColumn(24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
        )


def expect(what: str, answer: Any, status: int) -> Any:
    """What an answer says; `StoryBroken` where its status is another one than the story tells."""
    if answer.status_code != status:
        raise StoryBroken(what, answer.status_code, answer.text)
    return answer.json()


def check(what: str, is_so: bool, seen: object = "") -> None:
    """`StoryBroken` where it is not so."""
    if not is_so:
        raise StoryBroken(what, 200, str(seen))


def instant(moment: datetime) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
