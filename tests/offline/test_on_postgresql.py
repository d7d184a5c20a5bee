"""What the database could answer otherwise: a whole batch, from the archive to the read, and its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.access.world import shared_on
from tests.offline.world import Desk


async def test_a_batch_goes_the_same_way_on_postgresql(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    async with shared_on(request, tmp_path, "postgresql") as shared:
        desk = await Desk.of(shared, range(1, 4))
        await shared.bank.withdraw(desk.deal.dataset, "C00003")
        body = desk.packed([desk.row(number) for number in (1, 2, 3)])
        told = (await desk.send(body)).json()
        assert (told["accepted"], told["refused_by_code"]) == (2, {"withdrawn_since": 1})
        assert (await desk.send(body)).json() == told
        batch = told["batch"]
        for row in await desk.draw(batch):
            await desk.mark(batch, row)
        await desk.accept(batch)
        assert await desk.read() == {"Person 1", "Person 2"}
        bank = shared.bank
        ended = await bank.post(f"/v1/offline-consents/{batch}/invalidation", await bank.token())
        assert ended.json()["state"] == "invalidated"
        assert await desk.read() == set()
        await desk.offline.settling.run()
        assert await desk.states(1) == ["invalidated"]
