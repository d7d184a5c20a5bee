"""Whatever is consented to, agreed on and cleared: no answer holds a field that is not all three."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.access.world import Deal, Shared, person, shared_on
from tests.alliance import PERSONAL_SCHEMA, Member, instant

FIELDS = tuple(PERSONAL_SCHEMA["properties"])
GRADES = {name: said["x-grade"] for name, said in PERSONAL_SCHEMA["properties"].items()}
AGREED = (frozenset(FIELDS), frozenset({"customer_no", "name"}), frozenset({"phone", "id_number"}))
CLEARANCES = (2, 3, 4)
CHOSEN = st.frozensets(st.sampled_from(FIELDS))


class Market:
    """A dataset of two persons, and for every clearance a reader under each of three agreements."""

    def __init__(self, shared: Shared, dataset: str, deals: dict[tuple[int, int], tuple[Member, Deal, str]]) -> None:
        self.shared = shared
        self.dataset = dataset
        self.deals = deals


@pytest.fixture
async def market(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Market]:
    async with shared_on(request, tmp_path, "sqlite") as shared:
        dataset = await shared.people(range(2))
        deals = {}
        for clearance in CLEARANCES:
            reader = await shared.alliance.join(f"cleared for {clearance}", clearance=clearance)
            for number, agreed in enumerate(AGREED):
                agreement = await shared.bank.agree(reader, dataset, sorted(agreed), purposes=["customer_referral"])
                token = await reader.token(reader.under(agreement, dataset, "customer_referral"))
                deals[clearance, number] = (reader, Deal(agreement, dataset), token)
        yield Market(shared, dataset, deals)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    consented=st.tuples(CHOSEN, CHOSEN),
    asked=CHOSEN,
    clearance=st.sampled_from(CLEARANCES),
    agreement=st.integers(0, len(AGREED) - 1),
    filtered=st.sampled_from([False, False, True]),
    within=st.sampled_from([True, True, True, False]),
)
async def test_fields_of_every_answer_are_consented_agreed_and_cleared(
    market: Market,
    consented: tuple[frozenset[str], frozenset[str]],
    asked: frozenset[str],
    clearance: int,
    agreement: int,
    filtered: bool,
    within: bool,
) -> None:
    """Within what is agreed and cleared a reader asks most of the time: all else is refused as a whole."""
    shared, (reader, deal, token) = market.shared, market.deals[clearance, agreement]
    shared.clock.pass_seconds(1)
    now = instant(datetime.fromtimestamp(reader.now, UTC))
    for number, fields in enumerate(consented):
        subject = person(number)["customer_no"]
        if fields:
            await shared.bank.consent(market.dataset, reader, subject, fields=sorted(fields), given_at=now)
        else:
            await shared.bank.withdraw(market.dataset, subject)
    cleared = {name for name, grade in GRADES.items() if grade <= clearance}
    if within:
        permitted = AGREED[agreement] & cleared
        asked = (asked & permitted) or permitted
    params = {"fields": ",".join(sorted(asked))} if asked else {}
    if filtered:
        body = {"filters": {"phone": person(0)["phone"]}, **({"fields": sorted(asked)} if asked else {})}
        answer = await reader.post(f"{deal.path}/query", token, body)
    else:
        answer = await reader.get(deal.path, token, **params)
    if answer.status_code != 200:
        assert answer.status_code in (400, 403, 422), answer.text
        assert "records" not in answer.json()
        return
    event("released" if answer.json()["records"] else "nothing to release")
    numbers = {person(number)["name"]: number for number in range(2)}
    for one in answer.json()["records"]:
        held = set(one["fields"])
        allowed = [set(fields) & AGREED[agreement] & cleared for fields in consented]
        assert any(held and held <= fields for fields in allowed), one
        if "name" in held:
            assert held <= allowed[numbers[one["fields"]["name"]]]
