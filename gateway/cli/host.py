"""What the commands on the gateway's own host share: settings, the passphrase, errors told in a sentence."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from gateway.app import Gateway, compose
from gateway.canonical import parse
from gateway.errors import GatewayError, Invalid
from gateway.ledger.verify import Outcome
from gateway.settings import Settings
from gateway.vault import passphrase
from gateway.vault.provider import KekProvider
from gateway.vault.providers import LocalKeyring

INSTANTS = ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"]
"""How instants are written on the command line: RFC 3339 in UTC, or a day that begins then."""

MARKS = {Outcome.OK: "[green]✔[/]", Outcome.TAMPERED: "[red]✘[/]", Outcome.INCOMPLETE: "[yellow]?[/]"}
"""What stands before an outcome."""

errors = Console(stderr=True)
console = Console()

_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")


def told(command: Callable[_Arguments, _Answer]) -> Callable[_Arguments, _Answer]:
    """A deliberate error, or the system's, becomes a sentence and exit code 1; never a traceback."""

    @functools.wraps(command)
    def run(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Answer:
        try:
            _refuse_unreadable(kwargs)
            return command(*args, **kwargs)
        except GatewayError as error:
            field = f" [dim]({escape(error.field)})[/]" if error.field else ""
            errors.print(
                f"[red]✘[/] {escape(error.detail)}{field} [dim]{error.code}[/]", highlight=False, soft_wrap=True
            )
            if error.remedy:
                errors.print(f"  {escape(error.remedy)}", highlight=False, soft_wrap=True)
            raise typer.Exit(1) from None
        except OSError as error:
            about = f": {error.filename}" if error.filename else ""
            said = escape(f"{error.strerror or type(error).__name__}{about}")
            errors.print(f"[red]✘[/] {said}", highlight=False, soft_wrap=True)
            raise typer.Exit(1) from None

    return run


def _refuse_unreadable(given: Mapping[str, object]) -> None:
    """`Invalid` for a text that is not UTF-8: nothing has such a name, and no database can be asked for it."""
    for name, value in given.items():
        for text in value if isinstance(value, list | tuple) else (value,):
            try:
                if isinstance(text, str):
                    text.encode()
            except UnicodeEncodeError:
                remedy = "Write it in UTF-8."
                raise Invalid("not_utf8", "The argument is not UTF-8.", field=name, remedy=remedy) from None


def read_key_set(path: Path, *, option: str) -> Mapping[str, Any]:
    """The key set of a file; `invalid_key_set` names the option that named it."""
    remedy = "Save the answer of the gateway's /v1/jwks, and name that file."
    try:
        keys = parse(path.read_bytes())
    except Invalid as error:
        raise Invalid("invalid_key_set", f"{path} is no key set: {error.detail}", field=option, remedy=remedy) from None
    if not isinstance(keys, dict) or not isinstance(keys.get("keys"), list):
        detail = f"{path} is no key set: a key set is a JSON object with `keys`."
        raise Invalid("invalid_key_set", detail, field=option, remedy=remedy)
    return keys


def require_folder(path: Path, *, option: str) -> None:
    """`no_folder` unless a file can be put there; asked before what takes long, or leaves an entry, begins."""
    if not path.parent.is_dir():
        remedy = "Make the folder, or name another."
        raise Invalid("no_folder", f"There is no folder {path.parent}.", field=option, remedy=remedy)


def epoch_s(moment: datetime) -> int:
    """Epoch seconds of an instant that was written in UTC."""
    return int(moment.replace(tzinfo=UTC).timestamp())


def operator() -> str:
    """Who acts, as entries will name them: the host's account (of the caller of sudo, where there is one)."""
    return os.environ.get("SUDO_USER") or getuser()


def read_passphrase(settings: Settings, *, new: bool = False) -> bytes:
    """From the file, the descriptor, or the terminal; never from the environment."""
    if settings.passphrase_file is not None:
        return passphrase.from_file(settings.passphrase_file, data_directory=settings.data_dir)
    if settings.passphrase_fd is not None:
        return passphrase.from_descriptor(settings.passphrase_fd)
    return passphrase.from_prompt(confirm=new)


def open_keyring(settings: Settings) -> KekProvider:
    """The keyring, unlocked; no core dump will hold it."""
    passphrase.forbid_core_dumps()
    if not settings.keyring_path.exists():
        raise Invalid("no_keyring", "There is no keyring yet.", remedy="Run `gateway init`.")
    return LocalKeyring.open(settings.keyring_path, read_passphrase(settings))


def act(work: Callable[[Gateway], Awaitable[_Answer]], *, look_first: bool = True) -> _Answer:
    """Compose the gateway on this host, do one piece of work with it, and close it again.

    Every log is looked at first: nothing is written to one that is older than what was signed.
    """
    settings = Settings.from_environment()
    provider = open_keyring(settings)

    async def run() -> _Answer:
        async with compose(settings, provider, process="admin") as gateway:
            if look_first:
                await gateway.integrator.integrate_all()
            return await work(gateway)

    return asyncio.run(run())
