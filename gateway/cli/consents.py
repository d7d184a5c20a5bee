"""`gateway verify-receipt`: a consent receipt held against a gateway's keys, and against the notice it names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.canonical import parse
from gateway.cli.host import console, told
from gateway.consents.receipts import verify_receipt
from gateway.errors import Invalid


@told
def verify_receipt_command(
    file: Annotated[Path, typer.Argument(help="The receipt: a compact JWS.", exists=True, dir_okay=False)],
    jwks: Annotated[Path, typer.Option(help="The gateway's /v1/jwks, received out of band.", exists=True)],
    notice: Annotated[
        Path | None, typer.Option(help="The notice's canonical bytes, to see that it is the one consented to.")
    ] = None,
) -> None:
    """Check a consent receipt offline, and what notice it is about. Exit code 0, or 1 with what differs."""
    keys = parse(jwks.read_bytes())
    if not isinstance(keys, dict):
        raise Invalid("invalid_key_set", "A key set is a JSON object with `keys`.", field="jwks")
    text = file.read_text(encoding="ascii", errors="replace").strip()
    payload = verify_receipt(text, keys, None if notice is None else notice.read_bytes())
    about = payload["processing"]
    console.print(
        f"[green]✔[/] {payload['kind']}: {about['purpose']}, record {payload['header']['record_id']}, "
        f"notice {about['notice']['sha256']}{'' if notice is None else ', whose bytes these are'}",
        highlight=False,
    )
