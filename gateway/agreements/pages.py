"""A readable agreement as a page: HTML without style, script or address, or Markdown. All values are escaped."""

from __future__ import annotations

import re
from html import escape

from gateway.agreements.readable import Readable

_MARKS = re.compile(r"([\\`*_{}\[\]()#+.!|<>~&-])")


def to_html(document: Readable) -> str:
    """One complete page."""
    sections = "".join(
        f"<section><h2>{escape(section.heading)}</h2><dl>"
        + "".join(f"<dt>{escape(label)}</dt><dd>{_lines(value)}</dd>" for label, value in section.lines)
        + "</dl></section>"
        for section in document.sections
    )
    title = escape(document.title)
    return (
        f'<!doctype html><html lang="{document.language}"><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body><article><h1>{title}</h1>{sections}</article></body></html>\n"
    )


def to_markdown(document: Readable) -> str:
    """CommonMark: a heading for each section, a line for each term."""
    parts = [f"# {_marked(document.title)}"]
    for section in document.sections:
        lines = [f"- **{_marked(label)}**: {_indented(value)}" for label, value in section.lines]
        parts += [f"## {_marked(section.heading)}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def _lines(value: str) -> str:
    return "<br>".join(escape(line) for line in value.split("\n"))


def _indented(value: str) -> str:
    """A value in its list item: its lines stay lines."""
    return "  \n  ".join(_marked(line) for line in value.split("\n"))


def _marked(text: str) -> str:
    return _MARKS.sub(r"\\\1", text)
