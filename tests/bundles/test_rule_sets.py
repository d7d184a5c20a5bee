"""Rules come into force as they were drafted, by operators of the alliance whose member drafted them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import bindparam, update

from gateway.bundles.tables import bundle_rules
from gateway.canonical import canonical
from gateway.database import Query
from gateway.errors import Conflicting, NotFound
from tests.bundles.world import Offering

pytestmark = pytest.mark.asyncio(loop_scope="module")
_REWRITE = Query(
    update(bundle_rules).where(bundle_rules.c.id == bindparam("the_id")).values(text=bindparam("other_text"))
)


async def states(world: Offering) -> list[str]:
    """Of the hotel's rule sets, oldest first."""
    hotel = world.shared.hotel
    return [one["state"] for one in (await hotel.get("/v1/bundles/rules", await hotel.token())).json()["items"]]


async def proposed(world: Offering, alliance: str, arguments: dict[str, Any]) -> str:
    """What an operator of an alliance proposes."""
    approvals = world.shared.gateway.approvals
    return await approvals.propose(alliance, "approve_bundle_rules", arguments, operator="test")


async def test_a_member_without_rules_in_force_is_told_so(world: Offering) -> None:
    airline = world.shared.stranger
    wish = {"agreement": world.products.agreement, "dataset": world.products.dataset, "record": "0" * 32}
    answer = await airline.post("/v1/bundles", await airline.token(), wish)
    assert (answer.status_code, answer.json()["code"]) == (409, "no_bundle_rules")
    assert answer.json()["remedy"]


async def test_rules_that_nobody_drafted_cannot_be_approved(world: Offering) -> None:
    with pytest.raises(NotFound):
        await world.shared.gateway.bundling.rule_sets.approval("0" * 32)
    with pytest.raises(NotFound):
        await proposed(world, world.shared.alliance.id, {"rules": "0" * 32, "sha256": "0" * 64})


async def test_operators_of_another_alliance_find_no_rules_to_approve(world: Offering) -> None:
    gateway = world.shared.gateway
    elsewhere = await gateway.members.create_alliance("Elsewhere", operator="test")
    _, arguments = await gateway.bundling.rule_sets.approval((await world.drafted())["id"])
    with pytest.raises(NotFound):
        await proposed(world, elsewhere, arguments)
    assert await proposed(world, world.shared.alliance.id, arguments)


async def test_rules_whose_text_was_changed_past_the_gateway_do_not_come_into_force(world: Offering) -> None:
    gateway, before = world.shared.gateway, await states(world)
    _, arguments = await gateway.bundling.rule_sets.approval((await world.drafted())["id"])
    proposal = await proposed(world, world.shared.alliance.id, arguments)
    async with gateway.database.transaction() as tx:
        await tx.run(_REWRITE, the_id=arguments["rules"], other_text=canonical(world.rules(size=1)).decode())
    with pytest.raises(Conflicting, match="bundle_rules_differ"):
        await gateway.approvals.approve(proposal, operator="second test")
    assert await states(world) == [*before, "draft"]
