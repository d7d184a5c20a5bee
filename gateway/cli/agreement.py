"""Agreements in other forms, offline: what a member does with the bytes of `/terms`, on any machine."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.markup import escape

from gateway.agreements import parse_terms
from gateway.agreements.odrl_export import to_odrl
from gateway.agreements.odrl_import import from_odrl
from gateway.agreements.pages import to_html, to_markdown
from gateway.agreements.pdf import require_extra
from gateway.agreements.readable import LANGUAGES, readable
from gateway.cli.host import console, told

agreement = typer.Typer(no_args_is_help=True, help="Show an agreement's terms in other forms, offline.")

_Terms = Annotated[Path, typer.Argument(help="The bytes of `/terms`.", exists=True, dir_okay=False)]


class Form(StrEnum):
    """How a readable agreement is written."""

    MARKDOWN = "markdown"
    HTML = "html"


@agreement.command()
@told
def render(
    terms: _Terms,
    lang: Annotated[str, typer.Option(help=" or ".join(LANGUAGES) + ".")] = "zh-CN",
    form: Annotated[Form, typer.Option(help="Markdown, or an HTML page.")] = Form.MARKDOWN,
) -> None:
    """Print the agreement as people read it."""
    document = readable(parse_terms(terms.read_bytes()), lang)
    typer.echo(to_html(document) if form is Form.HTML else to_markdown(document), nl=False)


@agreement.command()
@told
def odrl(
    file: Annotated[Path, typer.Argument(help="The bytes of `/terms`, or a policy.", exists=True, dir_okay=False)],
    back: Annotated[bool, typer.Option("--back", help="Read a policy, and print its terms.")] = False,
) -> None:
    """Print the agreement as an ODRL policy; or, with --back, the terms that a policy says."""
    if back:
        read = from_odrl(file.read_bytes())
        typer.echo(read.terms.text, nl=False)
        if read.agreed_at is not None:
            typer.echo(f"Agreed at {read.agreed_at}: that is no term, and not printed with them.", err=True)
        return
    policy = to_odrl(parse_terms(file.read_bytes()))
    typer.echo(orjson.dumps(policy, option=orjson.OPT_INDENT_2))


@agreement.command()
@told
def pdf(terms: _Terms, out: Annotated[Path, typer.Option(help="The file to write (.pdf).")]) -> None:
    """Write the agreement's PDF, to be signed by PAdES."""
    require_extra()
    from gateway.agreements.pdf.rendering import render as rendered  # noqa: PLC0415 - the extra

    out.write_bytes(rendered(parse_terms(terms.read_bytes())))
    console.print(f"[green]✔[/] {escape(str(out))}", highlight=False)
