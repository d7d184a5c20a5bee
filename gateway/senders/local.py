"""Senders that reach nobody: for development, demonstrations and tests on one machine."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import time
from pathlib import Path
from typing import TextIO

from gateway.senders.sender import NotSent, Outgoing
from gateway.vault.files import FileMissing, create_secret


class ConsoleSender:
    """Shows each message on the console, where whoever started the gateway reads it."""

    def __init__(self, console: TextIO | None = None) -> None:
        self._console = console

    async def send(self, message: Outgoing) -> None:
        """Write it at once."""
        console = self._console or sys.stderr
        console.write(f"{message.channel} to {message.address}: {message.text}\n")
        console.flush()


class FileSender:
    """Lays each message down as a file of mode 0600, named by its instant, for another program to take."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, message: Outgoing) -> None:
        """Durable on return."""
        content = {
            "channel": message.channel,
            "to": message.address,
            "subject": message.subject,
            "text": message.text,
        }
        path = self._folder / f"{time.time_ns():020}-{secrets.token_hex(4)}.json"
        try:
            await asyncio.to_thread(create_secret, path, json.dumps(content, ensure_ascii=False).encode())
        except (FileMissing, OSError):
            raise NotSent("FILE_NOT_WRITTEN") from None
