"""Customers are referred within the law, and what is told of them is theirs to decide."""

from __future__ import annotations

from itertools import combinations

import pytest

from tests.access.world import Deal, Shared, person, reasons, records
from tests.alliance import PERSONAL_SCHEMA

FIELDS = ("customer_no", "name", "phone", "id_number")
GRADES = {name: said["x-grade"] for name, said in PERSONAL_SCHEMA["properties"].items()}


async def test_4_3_1_a_consent_for_one_recipient_is_worth_nothing_to_another(shared: Shared) -> None:
    deal = await shared.personal([1])
    other = Deal(
        await shared.bank.agree(shared.stranger, deal.dataset, ["name", "phone"], purposes=["customer_referral"]),
        deal.dataset,
    )
    await shared.bank.consent(deal.dataset, shared.hotel, "C00001")
    reading = await shared.stranger.token(shared.stranger.under(other.agreement, other.dataset, "customer_referral"))
    assert len(records(await shared.hotel.get(deal.path, await shared.referral_token(deal)))) == 1
    assert records(await shared.stranger.get(other.path, reading)) == {}


async def test_4_3_1_without_consent_no_personal_information_leaves(shared: Shared) -> None:
    deal = await shared.personal([1, 2])
    token = await shared.referral_token(deal)
    assert records(await shared.hotel.get(deal.path, token)) == {}
    await shared.bank.consent(deal.dataset, shared.hotel, "C00002")
    found = records(await shared.hotel.get(deal.path, token))
    assert [one["name"] for one in found.values()] == ["Person 2"]
    await shared.bank.withdraw(deal.dataset, "C00002")
    assert records(await shared.hotel.get(deal.path, token)) == {}


async def test_4_3_2_a_field_that_is_not_consented_or_not_agreed_is_omitted_and_not_null(shared: Shared) -> None:
    agreed = ("name", "phone", "id_number")
    consents = [names for count in (1, 2, 3) for names in combinations(FIELDS, count)]
    deal = await shared.personal(range(len(consents)), agreed)
    for number, names in enumerate(consents):
        await shared.bank.consent(deal.dataset, shared.hotel, f"C{number:05}", fields=list(names))
    found = records(await shared.hotel.get(deal.path, await shared.referral_token(deal)))
    left = sorted(tuple(sorted(fields)) for fields in found.values())
    assert left == sorted(tuple(sorted(set(names) & set(agreed))) for names in consents if set(names) & set(agreed))


@pytest.mark.parametrize("clearance", [2, 3, 4])
async def test_4_3_2_a_field_leaves_where_it_is_consented_agreed_and_cleared(shared: Shared, clearance: int) -> None:
    consented, agreed = {"customer_no", "name", "id_number"}, {"name", "phone", "id_number"}
    reader = await shared.alliance.join("reader", clearance=clearance)
    dataset = await shared.people([1])
    agreement = await shared.bank.agree(reader, dataset, sorted(agreed), purposes=["customer_referral"])
    await shared.bank.consent(dataset, reader, "C00001", fields=sorted(consented))
    token = await reader.token(reader.under(agreement, dataset, "customer_referral"))
    for name in FIELDS:
        answer = await reader.get(Deal(agreement, dataset).path, token, fields=name)
        if name not in agreed:
            assert answer.status_code == 403
        elif GRADES[name] > clearance:
            assert ("CLEARANCE", "4.1.3") in reasons(answer.json())
        elif name not in consented:
            assert records(answer) == {}
        else:
            assert list(records(answer).values()) == [{name: person(1)[name]}]


async def test_4_3_2_no_permit_follows_a_withdrawal_in_the_ledger(shared: Shared) -> None:
    deal = await shared.personal([1])
    await shared.bank.consent(deal.dataset, shared.hotel, "C00001")
    token = await shared.referral_token(deal)
    assert len(records(await shared.hotel.get(deal.path, token))) == 1
    await shared.bank.withdraw(deal.dataset, "C00001")
    assert records(await shared.hotel.get(deal.path, token)) == {}
    entries = await shared.entries(shared.bank.id)
    withdrawn = next(place for place, one in enumerate(entries) if one.get("act") == "consents_withdrawn")
    disclosing = [place for place, one in enumerate(entries) if one["kind"] == "access" and "consents" in one]
    assert len(disclosing) == 1
    assert disclosing[0] < withdrawn
    assert entries[-1]["kind"] == "access"


async def test_4_3_2_a_disclosure_names_the_consents_behind_it(shared: Shared) -> None:
    deal = await shared.personal([1, 2])
    await shared.bank.consent(deal.dataset, shared.hotel, "C00001", "C00002")
    answer = await shared.hotel.get(deal.path, await shared.referral_token(deal))
    assert len(records(answer)) == 2
    assert (await shared.last_access())["consents"]["count"] == 2


async def test_4_3_1_the_refusal_of_a_customer_is_no_answer_to_a_recipient(shared: Shared) -> None:
    deal = await shared.personal([1])
    token = await shared.referral_token(deal)
    never = await shared.hotel.get(deal.path, token)
    await shared.bank.withdraw(deal.dataset, "C00001")
    refused = await shared.hotel.get(deal.path, token)
    before, after = ({**one.json(), "event_id": "", "receipt": ""} for one in (never, refused))
    assert before == after
    assert (after["records"], after["next"]) == ([], None)
