"""Every act and every look once, on either database."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.access.world import ENGINES, shared_on
from tests.confiding import done
from tests.referrals.world import DAY_S, HOUR_S, PREVIEW, act, both_agree, decided, referring, see, state

WORTH = {"minor": 100, "currency": "CNY"}


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_referral_goes_the_same_way_on_either_database(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str
) -> None:
    async with shared_on(request, tmp_path, engine) as shared:
        bank = await referring(shared, shared.bank, range(1, 5))
        airline = await referring(shared, shared.stranger, range(1, 5))
        run, contact = shared.gateway.referrals.running.run, {"phone": "13800138000"}
        for one in (bank, airline):
            await one.policy(k=2)
            await one.policy(rule="committee", k=2)
        made = await bank.offer(1)
        done(await act(bank.hotel, made, "ask", about="city"))
        done(await act(bank.referrer, made, "answer", preview=PREVIEW | {"city": "Hangzhou"}))
        done(await act(bank.hotel, made, "accept", note="Call."))
        assert done(await bank.ask_disclosure(made))["record"]["fields"]["name"] == "Person 1"
        for name, said in (("contact", {}), ("qualify", {}), ("win", {"value": WORTH})):
            done(await act(bank.hotel, made, name, **said))
        done(await act(bank.hotel, made, "claw_back", value=WORTH))
        assert done(await see(bank.hotel, made))["notes"][0]["note"] == "Call."
        pair = [await one.offer(2, contact=contact) for one in (bank, airline)]
        cases = [done(await see(one.referrer, mine))["case"] for one, mine in zip((bank, airline), pair, strict=True)]
        await decided(shared, cases)
        await run()
        done(await act(airline.hotel, pair[1], "accept"))
        assert await state(bank.referrer, pair[0]) == "duplicate"
        waiting = await bank.refer(3, consented=False)
        await bank.consent(3)
        assert (await run()).registered == 1
        late = await bank.offer(4)
        await bank.withdraw(3)
        shared.clock.pass_seconds(12 * DAY_S)
        ran = await run()
        assert (ran.withdrawn, ran.returned) == (1, 2)
        assert (await state(bank.referrer, waiting), await state(bank.referrer, late)) == ("withdrawn", "expired")
        items = done(await bank.hotel.get("/v1/referrals", await bank.hotel.token()))["items"]
        assert {one["id"] for one in items} == {made, *pair, waiting, late}
        assert await run() == type(ran)()


@pytest.mark.parametrize("engine", ENGINES)
async def test_what_cases_hold_stands_still_and_goes_on_alike_on_either_database(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str
) -> None:
    async with shared_on(request, tmp_path, engine) as shared:
        bank = await referring(shared, shared.bank, range(1, 4))
        airline = await referring(shared, shared.stranger, range(1, 4))
        await both_agree(bank, airline, rule="committee")
        run, contacts = shared.gateway.referrals.running.run, [{"phone": f"1380013800{end}"} for end in range(2)]
        alone, first = await bank.disclosed(1), await bank.disclosed(2, contact=contacts[0])
        disputes = [await bank.dispute(shared.hotel, one) for one in (alone, first)]
        others = [await airline.offer(2, contact=contacts[0]), await airline.offer(3, contact=contacts[1])]
        others.append(await bank.offer(3, contact=contacts[1]))
        shared.clock.pass_seconds(20 * DAY_S)
        await run()
        held = [alone, first, *others]
        assert [await state(shared.hotel, one) for one in held] == ["disclosed"] * 2 + ["conflict_hold"] * 3
        await decided(shared, disputes)
        for one in held[1:]:
            await decided(shared, [done(await see(shared.hotel, one))["case"]])
        shared.clock.pass_seconds(HOUR_S)
        assert None not in [done(await see(shared.hotel, one))["due_at"] for one in held]
        await run()
        for one, name in ((alone, "contact"), (others[0], "accept"), (others[1], "accept")):
            done(await act(shared.hotel, one, name))
        assert [await state(shared.hotel, one) for one in (first, others[2])] == ["duplicate"] * 2
