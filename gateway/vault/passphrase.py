"""Where the keyring's passphrase may come from: a prompt, a descriptor, or a file. Never the environment."""

from __future__ import annotations

import getpass
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

from gateway.errors import Invalid
from gateway.vault.files import read_secret

_LIMIT = 4096
_REMEDY = "Run it on a terminal, or set GATEWAY_PASSPHRASE_FILE or GATEWAY_PASSPHRASE_FD."


class PassphraseMissing(Invalid):
    """No passphrase could be had from the named source."""

    def __init__(self, detail: str, remedy: str = _REMEDY) -> None:
        super().__init__("passphrase_missing", detail, field="passphrase", remedy=remedy)


class PassphraseBesideData(Invalid):
    """The passphrase file lies in the data directory: whoever copies the data would have both."""

    def __init__(self) -> None:
        super().__init__(
            "passphrase_beside_data",
            "The passphrase file lies in the data directory.",
            field="passphrase",
            remedy="Keep it on another volume, with another backup.",
        )


def from_prompt(*, confirm: bool = False, ask: Callable[[str], str] = getpass.getpass) -> bytes:
    """Ask on the terminal without echo; with `confirm` twice, and the answers must agree."""
    if ask is getpass.getpass and not sys.stdin.isatty():
        raise PassphraseMissing("There is no terminal to ask on.")
    given = ask("Passphrase of the keyring: ")
    if confirm and ask("Once more: ") != given:
        raise PassphraseMissing("The two passphrases differ.", "Type it again.")
    return _nonempty(given.encode())


def from_descriptor(descriptor: int) -> bytes:
    """Read the first line of an open descriptor to its end, and close it."""
    try:
        with os.fdopen(descriptor, "rb") as source:
            return _first_line(source.read(_LIMIT + 1))
    except (OSError, OverflowError):
        raise PassphraseMissing("The passphrase's descriptor cannot be read.", "Open it for reading.") from None


def from_file(path: Path, *, data_directory: Path) -> bytes:
    """Read the first line of a 0600 file that lies outside the data directory; see `read_secret`."""
    if path.resolve().is_relative_to(data_directory.resolve()):
        raise PassphraseBesideData
    return _first_line(read_secret(path, limit=_LIMIT))


def forbid_core_dumps() -> None:
    """Let no crash write this process's memory, and so its keys, to disk."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _first_line(content: bytes) -> bytes:
    if len(content) > _LIMIT:
        raise PassphraseMissing(f"The passphrase is longer than {_LIMIT} bytes.", "Give a shorter one.")
    return _nonempty(content.split(b"\n", 1)[0].rstrip(b"\r"))


def _nonempty(passphrase: bytes) -> bytes:
    if not passphrase:
        raise PassphraseMissing("The passphrase is empty.", "Give one with at least 12 bytes.")
    return passphrase
