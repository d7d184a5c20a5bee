"""`gateway verify-file`: a file and its manifest, checked offline by who received them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.access.file_proof import prove
from gateway.cli.host import console, read_key_set, told


@told
def verify_file_command(
    answer: Annotated[Path, typer.Argument(help="The body of the answer, as it came.", exists=True, dir_okay=False)],
    keys: Annotated[Path, typer.Option(help="The gateway's key set, from /v1/jwks.", exists=True, dir_okay=False)],
    out: Annotated[Path | None, typer.Option(help="Write the file here once it holds.")] = None,
) -> None:
    """Check a file offline against its manifest and the gateway's receipts. Exit code 0 or 1."""
    proven = prove(answer.read_bytes(), read_key_set(keys, option="--keys"))
    if out is not None:
        out.touch(0o600)
        out.write_bytes(proven.content)
    manifest = proven.manifest
    console.print(f"[green]✔[/] {manifest['records']} records in {len(manifest['pages'])} pages", highlight=False)
    if not manifest["complete"]:
        console.print(f"[yellow]?[/] it ended early: {manifest['stopped']['code']}", highlight=False)
