"""`gateway verify-receipt`: a consent receipt held against a gateway's keys, and against the notice it names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.host import console, read_key_set, told
from gateway.consents.receipts import verify_receipt


@told
def verify_receipt_command(
    file: Annotated[Path, typer.Argument(help="The receipt: a compact JWS.", exists=True, dir_okay=False)],
    jwks: Annotated[
        Path, typer.Option(help="The gateway's /v1/jwks, received out of band.", exists=True, dir_okay=False)
    ],
    notice: Annotated[
        Path | None,
        typer.Option(
            help="The notice's canonical bytes, to see that it is the one consented to.", exists=True, dir_okay=False
        ),
    ] = None,
) -> None:
    """Check a consent receipt offline, and what notice it is about. Exit code 0, or 1 with what differs.

    The receipt of an access is checked by `gateway verify-proof`.
    """
    keys = read_key_set(jwks, option="--jwks")
    text = file.read_text(encoding="ascii", errors="replace").strip()
    payload = verify_receipt(text, keys, None if notice is None else notice.read_bytes())
    about = payload["processing"]
    console.print(
        f"[green]✔[/] {payload['kind']}: {about['purpose']}, record {payload['header']['record_id']}, "
        f"notice {about['notice']['sha256']}{'' if notice is None else ', whose bytes these are'}",
        highlight=False,
        soft_wrap=True,
    )
