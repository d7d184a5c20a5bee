"""Who withdraws everything withdraws the paper too that waits to be confirmed."""

from __future__ import annotations

import pytest

from gateway.consents.states import State
from tests.consents.asking.world import BROWSER, Box
from tests.offline.world import Desk

pytestmark = pytest.mark.asyncio(loop_scope="package")
PHONE = "+8613800990041"


async def test_paper_that_waits_is_withdrawn_with_everything_else(desk: Desk) -> None:
    batch = await desk.imported(desk.row(41))
    contact = {"subject": "C00041", "channel": "sms", "address": PHONE}
    bank, asking = desk.shared.bank, desk.shared.gateway.asking
    box = Box()
    asking._senders._by_channel = {"sms": box, "email": box}
    path = f"/v1/datasets/{desk.deal.dataset}/contacts"
    assert (await bank.post(path, await bank.token(), {"contacts": [contact]})).status_code == 200
    await asking.find(PHONE, "en")
    await asking.finding.settle()
    visit = (await asking.open(box.link(PHONE), BROWSER)).visit
    await asking.send_code(visit)
    confirmed = await asking.confirm(visit, box.code(PHONE))
    assert set((await asking.withdraw_all(confirmed)).values()) == {State.WITHDRAWN}
    for row in await desk.draw(batch):
        await desk.mark(batch, row)
    await desk.accept(batch)
    assert await desk.states(41) == ["withdrawn"]
    assert "Person 41" not in await desk.read()
