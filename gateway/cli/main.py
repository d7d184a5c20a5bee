"""The commands of `gateway`."""

from __future__ import annotations

import asyncio
import gc
import io
import logging
import platform
import signal
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from gateway import migrations
from gateway.app import Gateway, compose, database_url, initialise
from gateway.cli.admin import admin
from gateway.cli.agreement import agreement
from gateway.cli.cases import cases, verify_case_command
from gateway.cli.consents import verify_receipt_command
from gateway.cli.duties import duties
from gateway.cli.evidence import (
    export_command,
    message_command,
    proof_command,
    verify_command,
    verify_message_command,
    verify_proof_command,
)
from gateway.cli.explaining import explain_command
from gateway.cli.files import verify_file_command
from gateway.cli.host import console, open_keyring, read_passphrase, require_folder, told
from gateway.cli.offline import offline
from gateway.cli.operators import operators
from gateway.cli.push import push
from gateway.cli.reciprocity import reciprocity_command
from gateway.cli.referrals import referrals
from gateway.cli.rights import rights
from gateway.cli.serving import alone, refuse_taken
from gateway.cli.withdrawals import withdrawals
from gateway.errors import Invalid
from gateway.settings import Settings
from gateway.vault.provider import KekProvider
from gateway.vault.providers import LocalKeyring

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Alliance Gateway: share market data and refer customers; agreed, consented, logged before opened.",
)
admin.add_typer(operators)
admin.add_typer(cases, name="case")
admin.add_typer(offline, name="offline")
app.add_typer(duties, name="duties")
app.add_typer(rights, name="rights")
app.add_typer(admin, name="admin")
app.add_typer(push, name="push")
app.add_typer(withdrawals, name="withdrawals")
app.add_typer(agreement, name="agreement")
app.add_typer(referrals, name="referrals")
app.command("export")(export_command)
app.command("verify")(verify_command)
app.command("proof")(proof_command)
app.command("verify-proof")(verify_proof_command)
app.command("verify-file")(verify_file_command)
app.command("explain")(explain_command)
app.command("message")(message_command)
app.command("reciprocity")(reciprocity_command)
app.command("verify-message")(verify_message_command)
app.command("verify-receipt")(verify_receipt_command)
app.command("verify-case")(verify_case_command)

_MOST_IN_FLIGHT = 1024
_GARBAGE_THRESHOLDS = (100_000, 20, 20)
"""An upload makes many short-lived rows; the default thresholds spend a tenth of its time looking at them."""


def _tell_version(asked: bool) -> None:
    if asked:
        said = f"alliance-gateway {version('alliance-gateway')}, schema {migrations.NEWEST}"
        console.print(f"{said}, Python {platform.python_version()}", highlight=False)
        raise typer.Exit


@app.callback()
def prepare(
    _: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Tell the version and end.")
    ] = False,
) -> None:
    """Whatever the streams cannot show is escaped: no finding and no exit code is lost to a terminal's encoding."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@app.command()
@told
def init() -> None:
    """Make the keyring (asks for a passphrase), the database, and the gateway's own keys. Safe to repeat."""
    settings = Settings.from_environment()
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    asyncio.run(initialise(settings, _new_or_known_keyring(settings)))
    folder = escape(str(settings.data_dir))
    console.print(f"[green]✔[/] ready in {folder}; next: `gateway admin alliance NAME`, `gateway serve`")


@app.command()
@told
def migrate() -> None:
    """Bring the database to this version's schema, in one transaction."""
    settings = Settings.from_environment()
    asyncio.run(migrations.upgrade(database_url(settings)))
    console.print(f"[green]✔[/] schema {migrations.NEWEST}")


@app.command()
@told
def serve() -> None:
    """Serve the API on GATEWAY_HOST and GATEWAY_PORT until stopped."""
    settings = Settings.from_environment()
    provider = open_keyring(settings)
    import uvloop  # noqa: PLC0415

    with alone(settings):
        refuse_taken(settings.host, settings.port, option="GATEWAY_PORT")
        uvloop.run(serve_until_stopped(settings, provider))


@app.command()
@told
def demo(
    serve: Annotated[bool, typer.Option(help="Leave the demo alliance running until Ctrl-C.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Keep everything here and write alliance.json; default: a temporary folder.")
    ] = None,
    port: Annotated[int, typer.Option(help="Loopback port to serve on.", min=1, max=65535)] = 8700,
    picture: Annotated[Path | None, typer.Option(help="Write the terminal's picture as SVG.")] = None,
) -> None:
    """Tell the whole story on real tables: refuse, agree, consent, release, withdraw, verify, catch a forgery."""
    try:
        from gateway.demo.run import run_demo  # noqa: PLC0415 - its libraries are an extra
    except ModuleNotFoundError as missing:
        raise Invalid(
            "demo_not_installed", f"The demo needs {missing.name}.", remedy="Install alliance-gateway[demo]."
        ) from None
    refuse_taken("127.0.0.1", port, option="--port")
    if picture is not None:
        require_folder(picture, option="--picture")
    run_demo(serve=serve, out=out, port=port, picture=picture)


async def serve_until_stopped(settings: Settings, provider: KekProvider) -> None:
    """Compose and serve; uvicorn handles signals and lets requests finish."""
    gc.set_threshold(*_GARBAGE_THRESHOLDS)
    async with compose(settings, provider) as gateway:
        await _serve(gateway)


async def _serve(gateway: Gateway) -> None:
    settings = gateway.settings
    import uvicorn  # noqa: PLC0415 - only a server needs the web

    from gateway.problems import FramesOnly, log_background  # noqa: PLC0415
    from gateway.web import web  # noqa: PLC0415

    printed = logging.StreamHandler()
    printed.setFormatter(FramesOnly("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[printed])
    asyncio.get_running_loop().set_exception_handler(log_background)
    config = uvicorn.Config(
        web(gateway),
        host=settings.host,
        port=settings.port,
        http="httptools",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        limit_concurrency=_MOST_IN_FLIGHT,
    )
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # uvicorn raises it once more when done; first everything is closed
    await uvicorn.Server(config).serve()


def _new_or_known_keyring(settings: Settings) -> KekProvider:
    if settings.keyring_path.exists():
        return open_keyring(settings)
    return LocalKeyring.create(settings.keyring_path, read_passphrase(settings, new=True))
