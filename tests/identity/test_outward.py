"""Connections outwards: what a member's address does there, it does to itself."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from gateway.identity import outward
from gateway.identity.outward import NotAcknowledged, PostClient


async def test_names_that_are_never_answered_keep_no_other_work_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the servers of a name decides how long a look-up takes, and may register many addresses."""
    monkeypatch.setattr(outward, "POST_SECONDS", 0.5)
    answered, looked_up = threading.Event(), socket.getaddrinfo

    def slow(host: Any, *rest: Any, **more: Any) -> Any:
        if host == "never.example":
            answered.wait()
            raise socket.gaierror
        return looked_up(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    posts = [PostClient().post("https://never.example/", b"", {}) for _ in range(40)]
    sent = asyncio.gather(*posts, return_exceptions=True)
    try:
        await asyncio.sleep(0.1)
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "done"), 5) == "done"
        assert {error.code for error in await sent if isinstance(error, NotAcknowledged)} == {"PUSH_TIMEOUT"}
    finally:
        answered.set()


async def test_a_name_is_looked_up_as_the_system_does() -> None:
    found = await outward.OwnThreads().resolve("localhost", 443, socket.AF_UNSPEC)
    assert {one["port"] for one in found} == {443}
    assert {one["host"] for one in found} <= {"127.0.0.1", "::1"}
