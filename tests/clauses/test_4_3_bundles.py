"""Clause 4.3.3: products that suit a person's needs, from what it consented to, at the price that everybody pays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.bundles.world import PEOPLE, Offering, offering, prices, shown


@pytest.fixture
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Offering]:
    async with offering(request, tmp_path, getattr(request, "param", "sqlite")) as found:
        yield found


async def test_4_3_3_without_consent_to_personalisation_the_list_is_generic(world: Offering) -> None:
    generic = await world.made("C2")
    assert (generic["personal"], generic["fields_used"]) == (False, [])
    await world.consent("C2")
    personal = await world.made("C2")
    assert personal["personal"] is True
    assert shown(personal) != shown(generic)
    assert personal["items"][0]["reasons"] == ["LIKES_MOUNTAINS"]
    await world.shared.bank.withdraw(world.people.dataset, "C2")
    assert shown(await world.made("C2")) == shown(generic)


@pytest.mark.parametrize("world", ["postgresql"], indirect=True)
async def test_4_3_3_a_price_is_the_same_with_and_without_a_profile_and_for_everybody(world: Offering) -> None:
    await world.in_force(size=4)
    generic = prices(await world.made("C1"))
    await world.consent(*PEOPLE)
    bundles = {person: await world.made(person) for person in PEOPLE}
    assert {person: prices(made) for person, made in bundles.items()} == dict.fromkeys(PEOPLE, generic)
    assert len({tuple(shown(made)) for made in bundles.values()}) > 1
