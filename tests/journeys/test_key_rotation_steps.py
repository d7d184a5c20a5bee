"""What one step of a rotation touches, and what it leaves alone: logs, retiring keys, and the other sets of keys."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.database import Query
from gateway.errors import Unavailable
from gateway.signing import WINDOWS, key_rotation
from gateway.vault.errors import KeysUnavailable
from gateway.vault.own_keys import FOLLOW_S, OwnKey
from gateway.vault.rotation import RotatedKey
from gateway.vault.tables import signing_key
from tests.journeys.test_key_rotation import DAY_S, Processes, begin, counted, processes

__all__ = ["processes"]


async def _rows(processes: Processes, use: str) -> dict[str, Any]:
    rows = await processes.shared.gateway.database.all(Query(signing_key.select()))
    return {row["kid"]: row for row in rows if row["use"] == use}


async def test_every_step_is_entered_in_the_log_of_every_alliance(processes: Processes) -> None:
    gateway = processes.gateways[0]
    other = await gateway.members.create_alliance("Another", operator="anna")
    first = processes.shared.alliance.id
    proposal = await gateway.approvals.propose(first, "rotate_key", {"use": "token"}, operator="anna")
    await gateway.approvals.approve(proposal, operator="bert")
    for seconds in (WINDOWS.published_s, WINDOWS.retiring_s):
        processes.shared.clock.pass_seconds(seconds)
        await processes.turn(gateway)
    await gateway.key_rotation.replace(RotatedKey.TOKEN, operator="anna")
    for alliance in (first, other):
        acts = [entry["act"] for entry in await processes.shared.entries(alliance) if entry["kind"] == "key"]
        assert acts == [
            "key_published", "key_retiring", "key_activated", "key_retired", "key_compromised", "key_activated",
        ]  # fmt: skip


async def test_a_compromise_ends_a_retiring_key_too_and_no_key_a_second_time(processes: Processes) -> None:
    gateway, clock = processes.gateways[0], processes.shared.clock
    await begin(gateway, RotatedKey.RECEIPT)
    clock.pass_seconds(WINDOWS.published_s)
    await processes.turn(gateway)
    kids, before = await processes.kids("receipt"), await _rows(processes, "receipt")
    ended: list[list[str]] = []
    for _ in range(2):
        clock.pass_seconds(60)
        entries = len(await processes.shared.entries(processes.shared.alliance.id))
        await gateway.key_rotation.replace(RotatedKey.RECEIPT, operator="anna")
        new = (await processes.shared.entries(processes.shared.alliance.id))[entries:]
        ended.append([entry["kid"] for entry in new if entry["act"] == "key_compromised"])
    assert ended[0] == [kids["retiring"], kids["active"]]
    assert len(ended[1]) == 1
    assert ended[1][0] not in ended[0]
    after = await _rows(processes, "receipt")
    retiring = kids["retiring"]
    assert after[retiring]["retiring_at"] == before[retiring]["retiring_at"], "it signed nothing since then"
    assert after[retiring]["retired_at"] == clock.ms - 60_000


async def test_no_key_is_rotated_by_schedule_where_no_schedule_is_wanted(processes: Processes) -> None:
    gateway = processes.gateways[0]
    rotation = key_rotation(gateway.database, gateway.ledger, gateway.keyring, gateway.clock, every_days=0)
    processes.shared.clock.pass_seconds(1000 * DAY_S)
    await rotation.turn(RotatedKey.TOKEN)
    assert await processes.states("token") == ["active"]


async def test_each_set_of_keys_is_read_whatever_becomes_of_the_others(processes: Processes) -> None:
    one = processes.gateways[0]
    published = [await begin(one, use) for use in (RotatedKey.RECEIPT, RotatedKey.MESSAGE)]
    for use in ("token", "receipt"):
        async with one.database.transaction() as tx:
            lost = signing_key.update().where(signing_key.c.use == use, signing_key.c.state == "active")
            assert await tx.run(Query(lost.values(state="retiring"))) == 1
    with pytest.raises(KeysUnavailable):
        await one.signing.follow()
    held = (one.signing._receipt_keys.held, one.signing._message_keys.held)
    assert [keys.keys[-1].kid for keys in held] == published


async def test_without_an_active_key_of_messages_no_answer_is_signed(processes: Processes) -> None:
    one = processes.gateways[0]
    one.signing.answers.sign_push("https://hotel.example/", b"{}", {})
    async with one.database.transaction() as tx:
        lost = signing_key.update().where(signing_key.c.use == "message").values(state="retiring")
        assert await tx.run(Query(lost)) == 1
    with pytest.raises(KeysUnavailable):
        await one.signing.follow()
    with pytest.raises(Unavailable, match="keys_unavailable"):
        one.signing.answers.sign_push("https://hotel.example/", b"{}", {})


async def test_a_clock_that_went_back_makes_no_set_of_keys_young(processes: Processes) -> None:
    one, clock = processes.gateways[0], processes.shared.clock
    await one.signing.follow()
    reads = counted(one, "token")
    clock.pass_seconds(-1)
    await one.signing.tokens.follow()
    assert reads() == 1
    await one.signing.tokens.follow("a stranger's")
    assert reads() == 2
    clock.pass_seconds(-1)
    await one.signing.tokens.follow()
    assert reads() == 3
    await one.signing.tokens.follow("a stranger's")
    assert reads() == 4, "the last look-up lies in no future"


async def test_of_many_who_wait_for_a_set_of_keys_one_reads_it(processes: Processes) -> None:
    one = processes.gateways[0]
    await one.signing.follow()
    reads = counted(one, "token")
    processes.shared.clock.pass_seconds(FOLLOW_S - 1)
    await one.signing.tokens.follow()
    assert reads() == 0
    processes.shared.clock.pass_seconds(1)
    await asyncio.gather(*(one.signing.tokens.follow() for _ in range(8)))
    assert reads() == 1


async def test_a_key_in_a_state_that_is_not_known_is_not_read(processes: Processes) -> None:
    [row] = (await _rows(processes, "token")).values()
    assert OwnKey.of(row).state == "active"
    with pytest.raises(KeysUnavailable):
        OwnKey.of({**dict(row), "state": "paused"})
