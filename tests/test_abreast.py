"""Requests that come together do like work in a row; each still gets an answer of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.identity import authentication
from tests.access.world import Shared, shared_on
from tests.identity.conftest import identity_database, world
from tests.identity.world import World

__all__ = ["identity_database", "world"]
TOGETHER = 4


@pytest.fixture
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shared]:
    async with shared_on(request, tmp_path, "sqlite") as alliance:
        yield alliance


class Steps:
    """The names of steps in the order in which they were begun."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self.taken: list[str] = []

    def watch(self, part: Any, method: str) -> None:
        """Note each call of a part's method, which does what it did before."""
        given = getattr(part, method)

        def noted(*args: Any, **named: Any) -> Any:
            self.taken.append(method)
            return given(*args, **named)

        self._patch.setattr(part, method, noted)


async def test_reads_that_come_together_go_through_each_stage_in_a_row(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal = await shared.market()
    token = await shared.token(deal)
    await shared.hotel.get(deal.path, token)
    steps, enforcement = Steps(monkeypatch), shared.gateway.enforcement
    stages = {
        "authenticate": shared.gateway.identity,
        "read": enforcement._facts,
        "select": enforcement._search,
        "record": enforcement._ledger,
        "sign": enforcement._receipts,
        "open": enforcement._vault,
    }
    for method, part in stages.items():
        steps.watch(part, method)
    answers = await asyncio.gather(*[shared.hotel.get(deal.path, token) for _ in range(TOGETHER)])
    assert [answer.status_code for answer in answers] == [200] * TOGETHER
    assert len({answer.json()["event_id"] for answer in answers}) == TOGETHER
    assert steps.taken == [step for step in stages for _ in range(TOGETHER)]


async def test_tokens_asked_for_together_are_checked_made_and_entered_in_rows(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.token()
    steps, endpoint = Steps(monkeypatch), world.identity.token_endpoint
    for part, method in (
        (endpoint._clients, "_known"),
        (endpoint._proofs, "check"),
        (endpoint._tokens, "mint"),
        (world.record, "on_granted"),
    ):
        steps.watch(part, method)
    tokens = await asyncio.gather(*[world.token() for _ in range(TOGETHER)])
    assert len(set(tokens)) == TOGETHER
    assert steps.taken == [step for step in ("_known", "check", "mint", "on_granted") for _ in range(TOGETHER)]


async def test_tokens_asked_for_together_look_their_client_up_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = Steps(monkeypatch)
    steps.watch(authentication, "find_client")
    await world.token()
    await asyncio.gather(*[world.token() for _ in range(TOGETHER)])
    assert steps.taken == ["find_client"] * 2
