"""An export as operators do it on hosts: two processes approve at once, one permits, and the bundle verifies."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from gateway.ledger.note import VerifierKey
from gateway.ledger.verify import verify
from tests.databases import database_on
from tests.served import served


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_of_two_processes_that_approve_an_export_at_once_one_permits_it(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str
) -> None:
    if engine == "sqlite":
        await _export_by_two(tmp_path)
        return
    with database_on(request.getfixturevalue("postgresql")) as url:
        await _export_by_two(tmp_path, database_url=url, valkey_url=request.getfixturevalue("valkey").url)


async def _export_by_two(folder: Path, **over: Any) -> None:
    async with served(folder, **over) as site:
        log, bundle = site.alliance.members["bank"].id, folder / "bank.zip"
        await site.share_places()
        status, said = await site.command("admin", "export-log", log)
        assert status == 0, said
        proposal = said.strip()
        answers = await asyncio.gather(*(site.command("admin", "approve", proposal, by=name) for name in ("b", "c")))
        assert sorted(status for status, _ in answers) == [0, 1], answers
        assert "proposal_decided" in next(said for status, said in answers if status)
        status, said = await site.command("export", log, "--out", str(bundle), "--permit", proposal, by="carl")
        assert status == 0, said
        signer = await site.alliance.gateway.log_signers.of(log)
        assert verify(bundle, str(VerifierKey(signer.name, signer.public_key)), []).exit_code == 0
        rows = await site.rows(log)
        acts = [row["act"] for row in rows if row["kind"] in ("admin", "query")]
        assert acts == ["export_permitted", "log_export_begun", "log_exported"]
        assert rows[-1]["sha256"] == hashlib.sha256(bundle.read_bytes()).hexdigest()
        assert rows[-1]["actor"] == {"operator": "carl"}
