"""What strangers tried is told to the host, and no flood of it fills a disk."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from gateway.background import works
from gateway.identity import SecurityLog
from tests.alliance import founded


async def test_a_flood_is_one_line_and_silence_none(caplog: pytest.LogCaptureFixture) -> None:
    log = SecurityLog()
    for _ in range(3000):
        log.note("CLIENT_UNKNOWN")
    log.note("PROOF_REPLAYED")
    await log.tell()
    await log.tell()
    log.note("CLIENT_UNKNOWN")
    await log.tell()
    told = ["attempts refused: CLIENT_UNKNOWN 3000, PROOF_REPLAYED 1", "attempts refused: CLIENT_UNKNOWN 1"]
    assert [record.getMessage() for record in caplog.records] == told
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


async def test_the_clients_claimed_most_are_named_three_at_most(caplog: pytest.LogCaptureFixture) -> None:
    log = SecurityLog()
    for client, times in {"a": 1, "b": 4, "": 9, "c": 3, "d": 2}.items():
        for _ in range(times):
            log.note("ASSERTION_SIGNATURE", client=client)
    log.note("ASSERTION_EXPIRED", client="a")
    await log.tell()
    [told] = [record.getMessage() for record in caplog.records]
    signatures = "ASSERTION_SIGNATURE 19 (client b 4, client c 3, client d 2)"
    assert told == f"attempts refused: {signatures}, ASSERTION_EXPIRED 1 (client a 1)"


async def test_a_server_tells_what_strangers_tried(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with founded(tmp_path) as alliance:
        answer = await alliance.http.get("/v1/agreements", headers={"Authorization": "DPoP x", "DPoP": "x.y.z"})
        assert answer.status_code == 401
        [telling] = [work for work in works(alliance.gateway) if work.doing == "telling of strangers"]
        for step in telling.steps:
            await step()
    assert "attempts refused: TOKEN_MALFORMED 1" in caplog.messages
