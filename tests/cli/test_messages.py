from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from gateway.ledger.stored import entries, state
from tests.access.world import PLACES, Deal
from tests.alliance import MARKET_SCHEMA, founded
from tests.cli.conftest import Gateway, permit_of
from tests.signing import send_signed


async def signed_read(folder: Path) -> tuple[str, dict[str, Any]]:
    """One signed read; returns the reader's id and what the access entry states of the message."""
    async with founded(folder) as alliance:
        bank, hotel = alliance.members["bank"], alliance.members["hotel"]
        dataset = await bank.declare(MARKET_SCHEMA)
        await bank.upload(dataset, PLACES)
        deal = Deal(await bank.agree(hotel, dataset, ["code"]), dataset)
        token = await hotel.token(hotel.under(deal.agreement, deal.dataset))
        answer = await send_signed(hotel, "GET", deal.path, token)
        assert answer.status_code == 200, answer.text
        database = alliance.gateway.database
        bodies = await entries(database, bank.id, 0, (await state(database, bank.id)).size)
        [access] = [one for one in map(json.loads, (row["body"] for row in bodies)) if one["kind"] == "access"]
        return hotel.id, access["message"]


def test_a_kept_message_is_handed_out_and_checked_far_from_the_gateway(
    gateway: Gateway, tmp_path: Path, settings: object
) -> None:
    hotel, stated = asyncio.run(signed_read(tmp_path))
    file = tmp_path / "message.json"
    written = gateway("message", stated["base_sha256"], "--out", str(file))
    assert written.exit_code == 0, written.output
    assert file.stat().st_mode & 0o777 == 0o600
    names = ("--key", stated["key"], "--digest", stated["base_sha256"])
    holds = gateway("verify-message", str(file), *names)
    assert (holds.exit_code, stated["key"] in holds.stdout) == (0, True), holds.output

    other = gateway("verify-message", str(file), "--key", "A" * 43, "--digest", stated["base_sha256"])
    assert (other.exit_code, "another_message" in other.output) == (1, True)
    file.write_text(file.read_text().replace('"v":1', '"v":2'))
    altered = gateway("verify-message", str(file), *names)
    assert (altered.exit_code, "message_malformed" in altered.output) == (1, True)

    exported = tmp_path / "log.zip"
    permit = permit_of(gateway, hotel)
    assert gateway("export", hotel, "--out", str(exported), "--permit", permit).exit_code == 0
    assert b'"act":"message_exported"' in exported.read_bytes()


def test_a_message_that_was_never_kept_is_told_in_a_sentence(gateway: Gateway, tmp_path: Path) -> None:
    gateway("init")
    answer = gateway("message", "0" * 64, "--out", str(tmp_path / "x.json"))
    assert (answer.exit_code, "not_found" in answer.output) == (1, True), answer.output
    assert not (tmp_path / "x.json").exists()
