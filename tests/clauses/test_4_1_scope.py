"""Scope, method, purpose and frequency are agreed on, or there is nothing to be had."""

from __future__ import annotations

from tests.access.world import Deal, Shared, reasons, records
from tests.confiding import at, done, opt_in


async def test_4_1_2_what_is_outside_the_scope_is_refused_and_what_is_inside_is_not(shared: Shared) -> None:
    deal = await shared.market(["code", "city"])
    token = await shared.token(deal)
    assert len(records(await shared.hotel.get(deal.path, token, fields="code"))) == 3
    for fields in ("margin", "code,price", "no_such_field"):
        answer = await shared.hotel.get(deal.path, token, fields=fields)
        assert (answer.status_code, reasons(answer.json())) == (403, [("OUT_OF_SCOPE", "4.1.2")])
    filtered = await shared.hotel.post(f"{deal.path}/query", token, {"filters": {"margin": "7"}})
    assert (filtered.status_code, reasons(filtered.json())) == (403, [("OUT_OF_SCOPE", "4.1.2")])


async def test_4_1_2_a_token_for_one_dataset_is_none_for_its_neighbour(shared: Shared) -> None:
    one, other = await shared.places(), await shared.places()
    parts = [
        {"dataset": name, "fields": ["code"], "purposes": ["market_analysis"], "methods": ["api"]}
        for name in (one, other)
    ]
    agreement = await shared.bank.agree(shared.hotel, one, ["code"], datasets=parts)
    for party in (shared.bank, shared.hotel):
        done(await opt_in(party, agreement, other))
    token = await shared.token(Deal(agreement, one))
    assert len(records(await shared.hotel.get(Deal(agreement, one).path, token))) == 3
    answer = await shared.hotel.get(Deal(agreement, other).path, token)
    assert reasons(answer.json()) == [("OUT_OF_SCOPE", "4.1.2"), ("PURPOSE_NOT_AGREED", "8.2.2")]


async def test_4_1_2_more_often_than_agreed_is_refused_until_the_window_reopens(shared: Shared) -> None:
    deal = await shared.market(frequency={"reads": 2, "per_seconds": 60})
    token = await shared.token(deal)
    for _ in range(2):
        assert len(records(await shared.hotel.get(deal.path, token))) == 3
    answer = await shared.hotel.get(deal.path, token)
    assert (answer.status_code, reasons(answer.json())) == (403, [("FREQUENCY_EXCEEDED", "4.1.2")])
    assert (await shared.last_access())["effect"] == "deny"
    shared.clock.pass_seconds(60)
    assert len(records(await shared.hotel.get(deal.path, token))) == 3


async def test_4_1_2_an_answer_says_how_long_copies_stay_secret_and_how_they_are_marked(shared: Shared) -> None:
    deal = await shared.personal([1], confidentiality_years=4)
    await shared.bank.consent(deal.dataset, shared.hotel, "C00001")
    answer = await shared.hotel.get(deal.path, await shared.referral_token(deal))
    owed = answer.json()["obligations"]
    assert (owed["mark"], owed["confidentiality_years"]) == ("personal", 4)
    entry = await shared.last_access()
    assert (entry["obligations"]["mark"], entry["obligations"]["confidentiality_years"]) == ("personal", 4)


async def test_4_1_2_an_answer_says_until_when_copies_may_be_kept_if_the_terms_say_for_how_long(shared: Shared) -> None:
    dataset = await shared.places()
    part = {"dataset": dataset, "fields": ["code"], "purposes": ["market_analysis"], "methods": ["api"]}
    for term, owed in ({"retention_days": 30}, at(shared.clock.ms // 1000 + 30 * 24 * 3600)), ({}, None):
        agreement = await shared.bank.agree(shared.hotel, dataset, ["code"], datasets=[part | term])
        deal = Deal(agreement, dataset)
        answer = await shared.hotel.get(deal.path, await shared.token(deal))
        assert answer.json()["obligations"].get("retain_until") == owed
        assert (await shared.last_access())["obligations"].get("retain_days") == term.get("retention_days")
