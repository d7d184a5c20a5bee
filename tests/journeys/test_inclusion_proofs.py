"""What becomes of a receipt: its recipient cannot fetch the proof; the owner can, and anybody checks it offline."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.ledger.note import VerifierKey
from tests.access.world import database_settings
from tests.alliance import Member
from tests.served import Site, served

_SECONDS = 30


async def _signed(member: Member, path: str) -> httpx.Response:
    """The answer once a checkpoint covers the entry: until then it is 404, and says so."""
    async with asyncio.timeout(_SECONDS):
        while (answer := await member.get(path, await member.token())).status_code != 200:
            assert (answer.status_code, "not signed yet" in answer.text) == (404, True), answer.text
            await asyncio.sleep(0.1)
    return answer


async def _verify(site: Site, proof: Path, vkey: str, receipt: Path, jwks: Path) -> tuple[int, str]:
    return await site.command(
        "verify-proof", str(proof), "--vkey", vkey, "--receipt", str(receipt), "--jwks", str(jwks)
    )


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_a_receipt_is_redeemed_by_the_owner_and_the_proof_is_checked_far_from_the_gateway(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str
) -> None:
    async with database_settings(request, engine) as over, served(tmp_path, **over) as site:
        bank, hotel, stranger = (site.alliance.members[name] for name in ("bank", "hotel", "stranger"))
        path, token = await site.share_places()
        first, second = [(await hotel.get(path, token)).json() for _ in range(2)]
        proofs = f"/v1/logs/{bank.id}/proofs"

        answer = await _signed(bank, f"{proofs}/{first['event_id']}")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"

        for other in (hotel, stranger):
            for asked in (f"{proofs}/{first['event_id']}", f"/v1/logs/{other.id}/proofs/{first['event_id']}"):
                refused = await other.get(asked, await other.token())
                assert (refused.status_code, "no such thing" in refused.text) == (404, True), refused.text
        under_the_agreement = await hotel.get(f"{proofs}/{first['event_id']}", token)
        assert (under_the_agreement.status_code, under_the_agreement.json()["code"]) == (403, "ACTION_NOT_GRANTED")
        assert (await site.alliance.http.get(f"{site.alliance.base}{proofs}/{first['event_id']}")).status_code == 401
        for unknown in ("none", "%00", "%F0%9F%92%A9", f"{first['event_id']}x", "9" * 400):
            assert (await bank.get(f"{proofs}/{unknown}", await bank.token())).status_code == 404, unknown

        fetched, made, receipt, jwks = (tmp_path / name for name in ("a.tlog-proof", "b.tlog-proof", "r.jws", "jwks"))
        fetched.write_bytes(answer.content)
        receipt.write_text(first["receipt"] + "\n")
        jwks.write_bytes((await site.alliance.http.get(f"{site.alliance.base}/v1/jwks")).content)
        status, said = await site.command("proof", bank.id, first["event_id"], "--out", str(made), by="carl")
        assert status == 0, said
        vkeys = {log: await _vkey(site, log) for log in (bank.id, hotel.id)}
        for proof in (fetched, made):
            status, said = await _verify(site, proof, vkeys[bank.id], receipt, jwks)
            assert (status, said.startswith(f"✔ The receipt's entry {first['event_id']} is entry ")) == (0, True), said
            assert said.count("\n") == 1, "one sentence"

        assert (await _verify(site, made, vkeys[hotel.id], receipt, jwks))[0] == 2
        receipt.write_text(second["receipt"])
        status, said = await _verify(site, made, vkeys[bank.id], receipt, jwks)
        assert (status, said.startswith("✘ The entry does not stand there")) == (1, True), said
        rows = await site.rows(bank.id)
        [entry] = [row for row in rows if row.get("act") == "proof_exported"]
        assert (entry["event"], entry["actor"]) == (first["event_id"], {"operator": "carl"})
        assert first["receipt"].encode() not in made.read_bytes()
        assert first["event_id"].encode() not in made.read_bytes(), "a proof names no event and no party"


async def test_a_proof_that_is_not_to_be_had_is_told_in_a_sentence_and_leaves_no_entry(tmp_path: Path) -> None:
    async with served(tmp_path) as site:
        bank, out = site.alliance.members["bank"], tmp_path / "none.tlog-proof"
        await site.share_places()
        before = await site.rows(bank.id)
        for log, event in (
            (bank.id, "none"),
            ("none", before[0]["event_id"]),
            (site.alliance.id, before[0]["event_id"]),
        ):
            status, said = await site.command("proof", log, event, "--out", str(out))
            assert (status, "not_found" in said, "Traceback" in said) == (1, True, False), said
        assert await site.rows(bank.id) == before
        assert not out.exists()
        status, said = await site.command("proof", bank.id, before[0]["event_id"])
        assert (status, said.startswith("c2sp.org/tlog-proof@v1\nindex 0\n")) == (0, True), said


@pytest.mark.parametrize("open_logs", [False, True])
async def test_anybody_has_proofs_of_open_logs_and_of_no_others(tmp_path: Path, open_logs: bool) -> None:
    async with served(tmp_path, open_logs=open_logs) as site:
        bank = site.alliance.members["bank"]
        await site.share_places()
        [first, *_] = await site.rows(bank.id)
        await _signed(bank, f"/v1/logs/{bank.id}/proofs/{first['event_id']}")
        url = f"{site.alliance.base}/v1/logs/{bank.id}/proofs/"
        answers = [await site.alliance.http.get(url + event) for event in (first["event_id"], "none")]
        assert [one.status_code for one in answers] == ([200, 404] if open_logs else [401, 401])
        nowhere = f"{site.alliance.base}/v1/logs/{'f' * 32}"
        of_none = ("checkpoint", "tile/0/000.p/1", "tile/entries/000.p/1", f"proofs/{first['event_id']}")
        strange = [await site.alliance.http.get(f"{nowhere}/{path}") for path in of_none]
        assert [one.status_code for one in strange] == [404 if open_logs else 401] * len(of_none)


async def _vkey(site: Site, log: str) -> str:
    signer: Any = await site.alliance.gateway.log_signers.of(log)
    return str(VerifierKey(signer.name, signer.public_key))
