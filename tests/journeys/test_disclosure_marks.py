"""Who may have received is marked with the entry, before anything is opened; a use is spent exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.consents.marks import Marking
from gateway.vault.errors import KeysUnavailable
from gateway.vault.vault import Vault
from tests.access.world import ENGINES, Deal, Shared, person, records, shared_on


@pytest.fixture(params=ENGINES)
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shared]:
    async with shared_on(request, tmp_path, request.param) as alliance:
        yield alliance


async def shown(shared: Shared, consent: str) -> dict[str, Any]:
    answer = await shared.bank.get(f"/v1/consents/{consent}", await shared.bank.token())
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def read(shared: Shared, deal: Deal, token: str) -> int:
    return len(records(await shared.hotel.get(deal.path, token)))


async def test_the_first_permit_marks_and_the_next_ones_write_nothing(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal = await shared.personal(range(3))
    one, two = await shared.bank.consent(deal.dataset, shared.hotel, "C00000", "C00001")
    written: list[Marking] = []
    write = Marking.write

    async def watched(marking: Marking, *given: Any) -> None:
        written.append(marking)
        await write(marking, *given)

    monkeypatch.setattr(Marking, "write", watched)
    token = await shared.referral_token(deal)
    assert [(await shown(shared, consent))["disclosed_at"] for consent in (one, two)] == [None, None]
    assert await read(shared, deal, token) == 2
    entered = (await shared.last_access())["time"]
    first = [(await shown(shared, consent))["disclosed_at"] for consent in (one, two)]
    assert first == [shared.clock.ms] * 2, entered
    shared.clock.pass_seconds(5)
    assert await read(shared, deal, token) == 2
    assert [(await shown(shared, consent))["disclosed_at"] for consent in (one, two)] == first
    assert len(written) == 1
    [three] = await shared.bank.consent(deal.dataset, shared.hotel, "C00002")
    assert await read(shared, deal, token) == 3
    assert ((await shown(shared, three))["disclosed_at"], len(written)) == (shared.clock.ms, 2)


async def test_what_was_logged_counts_as_received_even_if_opening_failed(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal = await shared.personal(range(1))
    [consent] = await shared.bank.consent(deal.dataset, shared.hotel, "C00000", max_uses=2)
    token = await shared.referral_token(deal)

    async def lost(*_: Any) -> Any:
        raise KeysUnavailable("Not now.")

    with monkeypatch.context() as broken:
        broken.setattr(Vault, "open", lost)
        assert (await shared.hotel.get(deal.path, token)).status_code == 503
    found = await shown(shared, consent)
    assert (found["disclosed_at"], found["uses_left"]) == (shared.clock.ms, 1)


async def test_a_refusal_marks_nothing_and_spends_no_use(shared: Shared) -> None:
    deal = await shared.personal(range(1), frequency={"reads": 1, "per_seconds": 3600})
    [consent] = await shared.bank.consent(deal.dataset, shared.hotel, "C00000", max_uses=5)
    token = await shared.referral_token(deal)
    assert await read(shared, deal, token) == 1
    assert (await shared.hotel.get(deal.path, token)).status_code == 403
    assert (await shown(shared, consent))["uses_left"] == 4


async def test_reads_at_once_spend_each_use_once(shared: Shared) -> None:
    deal = await shared.personal(range(2))
    limited, free = await shared.bank.consent(deal.dataset, shared.hotel, "C00000", max_uses=2) + (
        await shared.bank.consent(deal.dataset, shared.hotel, "C00001")
    )
    token = await shared.referral_token(deal)
    await shared.hotel.get(deal.path, token, fields="name", limit="1", nothing="")  # a nonce for all
    counts = await asyncio.gather(*(read(shared, deal, token) for _ in range(6)))
    assert sorted(counts) == [1, 1, 1, 1, 2, 2]
    found = await shown(shared, limited)
    assert (found["uses_left"], found["state"]) == (0, "consumed")
    assert (await shown(shared, free))["state"] == "given"
    assert person(0)["customer_no"] == "C00000"
