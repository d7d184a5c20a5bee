"""Consents on paper, and what a person asks about its own data."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.access.world import Shared, shared_on
from tests.offline.world import Desk
from tests.rights.world import Counter

pytestmark = pytest.mark.asyncio(loop_scope="module")
DAY_S = 24 * 3600


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    async with shared_on(request, tmp_path_factory.mktemp("paper"), "sqlite") as built:
        yield built


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def counter(shared: Shared) -> Counter:
    return await Counter.of(shared)


async def test_4_3_1_consent_on_paper_discloses_nothing_before_it_is_confirmed(shared: Shared) -> None:
    desk = await Desk.of(shared, [71, 72])
    batch = await desk.imported(desk.row(71), desk.row(72))
    assert await desk.read() == set()
    for row in await desk.draw(batch):
        await desk.mark(batch, row)
    assert await desk.read() == set()
    await desk.accept(batch)
    assert await desk.read() == {"Person 71", "Person 72"}


async def test_4_3_1_consent_for_partners_names_no_recipient(shared: Shared) -> None:
    desk = await Desk.of(shared, [73])
    told = (await desk.send(desk.packed([desk.row(73, recipient="\u5408\u4f5c\u4f19\u4f34")]))).json()
    assert told["refused_by_code"] == {"recipient_not_named": 1}


async def test_4_3_2_a_person_has_its_data_deleted_and_everybody_who_received_is_told(counter: Counter) -> None:
    await counter.received(1)
    await counter.granted(1, "deletion")
    assert "Person 1" not in await counter.names()
    assert (counter.shared.hotel.id, "erased") in await counter.followed(1)


async def test_7_2_2_what_a_person_wants_deleted_is_restricted_until_the_case_is_decided(counter: Counter) -> None:
    case = await counter.dispute()
    told = await counter.granted(2, "deletion")
    assert (told["state"], told["outcome"]["kept_for"]) == ("restricted", [case])
    await counter.decide(case)
    await counter.rights.settling.run()
    assert (await counter.rights.requests.owned(await counter.subject(), told["id"])).state == "answered"


async def test_9_1_1_a_request_of_a_person_that_nobody_answers_is_one_breach_candidate(counter: Counter) -> None:
    await counter.asked(3, "access")
    counter.shared.clock.pass_seconds(60 * DAY_S)
    assert await counter.rights.settling.run() == 1
    assert await counter.rights.settling.run() == 0
