"""A late upload is one breach candidate, and no less access."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.access.world import Deal, MovableClock, Shared, second_process
from tests.alliance import founded
from tests.confiding import done, opt_in, opt_out

SHANGHAI = ZoneInfo("Asia/Shanghai")
SPRING_FESTIVAL = datetime(2026, 2, 13, 9, tzinfo=SHANGHAI)
"""A Friday; 15 to 23 February 2026 are holidays, and Saturday the 14th is worked."""


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[Shared]:
    """The alliance, on the day before a long holiday."""
    clock = MovableClock(int(SPRING_FESTIVAL.timestamp()) * 1000)
    async with founded(tmp_path, clock) as alliance:
        yield Shared(alliance, clock)


async def weekly(shared: Shared) -> Deal:
    dataset = await shared.places()
    cadence: dict[str, Any] = {
        "every": "week",
        "on": 3,
        "by": "18:00",
        "time_zone": "Asia/Shanghai",
        "calendar": "CN",
        "grace_days": 1,
        "first": "2026-02-18",
    }
    term = {"dataset": dataset, "fields": ["code"], "purposes": ["market_analysis"], "methods": ["api"]}
    agreement = await shared.bank.agree(shared.hotel, dataset, [], datasets=[term | {"cadence": cadence}])
    return Deal(agreement, dataset)


def move(shared: Shared, *moment: int) -> None:
    year, month, day, hour, minute = moment
    shared.clock.ms = int(datetime(year, month, day, hour, minute, tzinfo=SHANGHAI).timestamp()) * 1000


async def test_4_1_2_due_and_grace_over_holidays_then_exactly_one_breach_record(shared: Shared) -> None:
    deal = await weekly(shared)
    shown = await shared.bank.get("/v1/duties", await shared.bank.token())
    first = shown.json()["items"][0]
    assert (first["period"], first["due_at"], first["grace_until"]) == (
        "2026-02-18",
        "2026-02-24T10:00:00Z",
        "2026-02-25T10:00:00Z",
    )
    move(shared, 2026, 2, 25, 18, 0)
    assert (await shared.gateway.duties.settling.run()).candidates == 0
    move(shared, 2026, 2, 25, 18, 1)
    async with second_process(shared) as other:
        runs = (one.duties.settling.run() for one in (shared.gateway, other, shared.gateway, other))
        assert sum(done.candidates for done in await asyncio.gather(*runs)) == 1
    assert (await shared.gateway.duties.settling.run()).candidates == 0
    cases = (await shared.hotel.get("/v1/cases", await shared.hotel.token())).json()["items"]
    assert [(one["kind"], one["clause"], one["state"]) for one in cases] == [("breach", "9.1.1", "candidate")]
    answer = await shared.hotel.get(deal.path, await shared.token(deal), purpose="market_analysis")
    assert answer.status_code == 200
    calendar = await shared.hotel.get("/v1/duties.ics", await shared.hotel.token(), since="1770000000")
    assert calendar.headers["content-type"].startswith("text/calendar")
    assert b"20260224T100000Z" in calendar.content


async def test_4_1_2_an_upload_in_time_is_a_delivery(shared: Shared) -> None:
    deal = await weekly(shared)
    move(shared, 2026, 2, 20, 12, 0)
    assert (
        await shared.bank.upload(deal.dataset, [{"code": "XIY", "city": "Xi'an", "price": 1, "margin": 1}])
    ).status_code == 201
    move(shared, 2026, 2, 26, 0, 0)
    done = await shared.gateway.duties.settling.run()
    assert (done.dates, done.candidates) == (1, 0)


async def test_4_1_2_a_header_alone_says_that_nothing_is_new_and_is_a_delivery(shared: Shared) -> None:
    deal = await weekly(shared)
    move(shared, 2026, 2, 20, 12, 0)
    answer = await shared.bank.call(
        "POST",
        f"/v1/datasets/{deal.dataset}/uploads",
        await shared.bank.token(),
        content=b"code,city,price,margin\n",
        headers={"content-type": "text/csv"},
    )
    assert (answer.status_code, answer.json()["accepted"]) == (201, 0)
    move(shared, 2026, 2, 26, 0, 0)
    done = await shared.gateway.duties.settling.run()
    assert (done.dates, done.candidates) == (1, 0)


async def test_4_1_2_an_upload_whose_every_row_is_refused_is_no_delivery(shared: Shared) -> None:
    deal = await weekly(shared)
    move(shared, 2026, 2, 20, 12, 0)
    refused = await shared.bank.upload(deal.dataset, [{"code": "XIY", "city": "Xi'an", "price": "much", "margin": 1}])
    assert refused.status_code == 400
    move(shared, 2026, 2, 26, 0, 0)
    done = await shared.gateway.duties.settling.run()
    assert (done.dates, done.candidates) == (1, 1)


async def test_4_1_2_leaving_and_returning_within_the_grace_undoes_no_breach(shared: Shared) -> None:
    deal = await weekly(shared)
    move(shared, 2026, 2, 24, 18, 1)
    done(await opt_out(shared.bank, deal.agreement, deal.dataset))
    move(shared, 2026, 2, 24, 18, 2)
    done(await opt_in(shared.bank, deal.agreement, deal.dataset))
    move(shared, 2026, 2, 25, 18, 1)
    assert (await shared.gateway.duties.settling.run()).candidates == 1
