"""Nobody is forced: who leaves a sharing owes nothing more, and no breach is recorded of it."""

from __future__ import annotations

from tests.access.world import Shared
from tests.clauses.test_9_1 import DAY_S, daily
from tests.confiding import done, opt_out


async def test_1_3_1_leaving_a_sharing_creates_no_breach_record(shared: Shared) -> None:
    deal = await daily(shared)
    done(await opt_out(shared.bank, deal.agreement, deal.dataset))
    shared.clock.pass_seconds(5 * DAY_S)
    settled = await shared.gateway.duties.settling.run()
    assert settled.dates >= 4
    assert settled.candidates == 0
    listed = await shared.bank.get("/v1/cases", await shared.bank.token())
    assert listed.json()["items"] == []
