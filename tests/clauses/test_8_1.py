"""Clause 8.1: what is confidential, and in which form."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from itertools import product
from typing import Any

import pytest

from gateway.agreements import HoldSubject
from gateway.confidentiality import memos as memos_module
from gateway.confidentiality.filing import entry
from gateway.confidentiality.memos import MOST_NAMED
from gateway.identifiers import event_id, random_id
from gateway.identity import Subject
from gateway.ledger import Change, Ledger
from gateway.ledger.bodies import BODY_LIMIT, prepare
from tests.access.world import Shared, reasons, records
from tests.confiding import at, confided, done, enlist, file, person_of

PUBLIC = ("code", "city", "country", "opened", "beds", "stars")
SECRET = {"margin": "financial", "recipe": "technical_secret", "guests": "business_secret"}
NINE = {*PUBLIC, *SECRET}
ROW = dict.fromkeys(PUBLIC, "x") | dict.fromkeys(SECRET, "secret")


def house_schema() -> dict[str, Any]:
    """Six public fields and three secrets, one of which is left to be what it is by default."""
    fields: dict[str, Any] = {
        name: {"type": "string", "x-class": "house", "x-grade": 1, "x-confidentiality": "public"} for name in PUBLIC
    }
    for name, kind in SECRET.items():
        fields[name] = {"type": "string", "x-class": "secrets", "x-grade": 2}
        if kind != "business_secret":
            fields[name]["x-confidentiality"] = kind
    return {"type": "object", "x-kind": "market", "properties": fields}


async def test_8_1_1_with_an_nda_nine_fields_leave_and_without_it_six(shared: Shared) -> None:
    bank, hotel = shared.bank, shared.hotel
    dataset = await bank.declare(house_schema())
    assert (await bank.upload(dataset, [ROW])).json()["accepted"] == 1
    agreement = await bank.agree(hotel, dataset, sorted(NINE))
    with_nda = await confided(hotel, agreement, dataset, bank.id)
    without = await person_of(hotel)
    done(await enlist(hotel, agreement, dataset, without))
    path, seen = f"/v1/agreements/{agreement}/datasets/{dataset}/records", {}
    for person in (with_nda, without):
        token = await hotel.token(hotel.under(agreement, dataset) | {"person": person})
        [fields] = records(await hotel.get(path, token)).values()
        seen[person] = set(fields)
    assert seen == {with_nda: NINE, without: set(PUBLIC)}
    entry = await shared.last_access()
    assert entry["effect"] == "permit"
    assert "secret" not in str(entry)
    token = await hotel.token(hotel.under(agreement, dataset) | {"person": without})
    alone = await hotel.get(path, token, fields="margin")
    assert (alone.status_code, reasons(alone.json())) == (403, [("NDA_MISSING", "8.1.1")])


async def test_8_1_2_what_was_told_is_kept_like_a_file_searched_and_contested(shared: Shared) -> None:
    deal = await shared.market()
    memos, query = (f"/v1/agreements/{deal.agreement}/{name}" for name in ("memos", "memo-query"))
    told = {
        "owner": shared.bank.id,
        "said": "The margin in Beijing will be halved in May.",
        "by": "Zhang Wei, bank",
        "to": "Li Na, hotel",
        "said_at": at(shared.bank.now - 3600),
        "answer_within_days": 5,
    }
    memo = done(await file(shared.bank, memos, told))
    assert (memo["owner"], memo["state"]) == (shared.bank.id, "open")
    for member, text, found in (
        (shared.hotel, "MARGIN in beijing", [memo["id"]]),
        (shared.bank, "li na", [memo["id"]]),
        (shared.hotel, "Shanghai", []),
    ):
        answer = done(await file(member, query, {"text": text}))
        assert [one["id"] for one in answer["items"]] == found
    assert (await file(shared.stranger, query, {"text": "margin"})).status_code == 404
    assert done(await file(shared.hotel, memos, method="GET"))["items"] == [memo]
    own = await file(shared.bank, f"{memos}/{memo['id']}/answer", {"answer": "confirmed"})
    assert (own.status_code, reasons(own.json())) == (403, [("OTHER_SIDE_ONLY", "")])
    contested = done(await file(shared.hotel, f"{memos}/{memo['id']}/answer", {"answer": "contested"}))
    assert contested["state"] == "contested"
    acts = [entry.get("act") for entry in await shared.entries(shared.bank.id)]
    assert [act for act in acts if act and "memo" in act] == [
        *("memo_recorded", "memos_read", "memos_read", "memos_read", "memo_answered"),
    ]
    read = [one["memos"] for one in await shared.entries(shared.bank.id) if one.get("act") == "memos_read"]
    assert read == [[memo["id"]]] * 3
    assert "halved" not in str(await shared.entries(shared.bank.id))


async def test_8_1_2_a_reading_names_each_memo_in_the_log_of_its_owner_however_many(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memos_module, "MOST_NAMED", 2)
    deal, bank, hotel = await shared.market(), shared.bank, shared.hotel
    memos, query = (f"/v1/agreements/{deal.agreement}/{name}" for name in ("memos", "memo-query"))
    told = {"said": "said", "by": "b", "to": "t", "said_at": at(bank.now), "answer_within_days": 1}
    filed = {
        owner.id: [done(await file(hotel, memos, told | {"owner": owner.id}))["id"] for _ in range(count)]
        for owner, count in ((bank, 5), (hotel, 1))
    }
    done(await file(hotel, query, {"text": "nothing like it"}))
    done(await file(hotel, f"{memos}/{filed[bank.id][0]}", method="GET"))
    for owner, lengths in ((bank.id, [2, 2, 1, 1]), (hotel.id, [1])):
        read = [one for one in await shared.entries(owner) if one.get("act") == "memos_read"]
        assert {one["actor"]["member"] for one in read} == {hotel.id}
        assert [len(one["memos"]) for one in read] == lengths
        assert {name for one in read for name in one["memos"]} == set(filed[owner])


def test_8_1_2_an_entry_has_room_for_as_many_memos_as_one_names() -> None:
    subject = Subject("a" * 32, "m" * 32, "c" * 32, (), frozenset(), "t", "j", 0, 1)
    draft = entry("l" * 32, "memos_read", subject, agreement="b" * 32, memos=[random_id()] * MOST_NAMED)
    prepared = prepare(draft, event_id=event_id(0), origin="o" * 255, node="n" * 255, boot_id="d" * 36)
    assert len(prepared.body(2**53, "h" * 43, 2**53)) < BODY_LIMIT


async def test_8_1_2_a_memo_that_nobody_answers_in_time_is_neither_confirmed_nor_contested(shared: Shared) -> None:
    deal = await shared.market()
    memos = f"/v1/agreements/{deal.agreement}/memos"
    told = {"owner": shared.bank.id, "said": "s", "by": "b", "to": "t", "said_at": at(shared.bank.now)}
    memo = done(await file(shared.hotel, memos, told | {"answer_within_days": 1}))
    shared.clock.pass_seconds(24 * 3600)
    late = await file(shared.bank, f"{memos}/{memo['id']}/answer", {"answer": "confirmed"})
    assert (late.status_code, late.json()["code"]) == (409, "memo_overdue")
    read = await shared.bank.get(f"{memos}/{memo['id']}", await shared.bank.token())
    assert (read.json()["state"], read.json()["said"]) == ("unanswered", "s")


async def test_8_1_2_a_memo_is_disputed_like_a_file_and_frozen_for_both_sides_until_the_case_is_over(
    shared: Shared,
) -> None:
    deal = await shared.market()
    memos, query = (f"/v1/agreements/{deal.agreement}/{name}" for name in ("memos", "memo-query"))
    told = {"owner": shared.bank.id, "said": "said", "by": "b", "to": "t", "said_at": at(shared.bank.now)}
    ids = [done(await file(shared.hotel, memos, told | {"answer_within_days": 1}))["id"] for _ in range(2)]
    disputed = {"kind": "dispute", "agreement": deal.agreement, "claim": "That was never said."}
    case = done(await file(shared.bank, "/v1/cases", disputed | {"subject": {"kind": "memo", "id": ids[0]}}))["id"]
    for member in (shared.bank, shared.hotel):
        held = await file(member, f"{memos}/{ids[0]}", method="GET")
        assert (held.status_code, held.json()["case"], reasons(held.json())) == (
            *(423, case, [("DISPUTED_ITEM", "7.2.3")]),
        )
        assert done(await file(member, f"{memos}/{ids[1]}", method="GET"))["said"] == "said"
        assert [one["id"] for one in done(await file(member, query, {"text": "said"}))["items"]] == [ids[1]]
    decisions = shared.gateway.casework.decisions
    _, resolved = await decisions.deciding(case, "resolve", resolution="r-7", why="It was said.")
    await shared.alliance.by_two("decide_case", **resolved)
    assert done(await file(shared.bank, f"{memos}/{ids[0]}", method="GET"))["said"] == "said"
    assert len(records(await shared.hotel.get(deal.path, await shared.token(deal)))) == 3


@pytest.mark.parametrize("held", ["agreement", "access"])
async def test_8_1_2_a_memo_is_frozen_with_its_agreement_and_with_its_listeners_access(
    shared: Shared, held: str
) -> None:
    deal, bank, hotel = await shared.market(), shared.bank, shared.hotel
    memos, query = (f"/v1/agreements/{deal.agreement}/{name}" for name in ("memos", "memo-query"))
    told = {"said": "said", "by": "b", "to": "t", "said_at": at(bank.now), "answer_within_days": 1}
    of_bank, of_hotel = [done(await file(hotel, memos, told | {"owner": one.id}))["id"] for one in (bank, hotel)]
    opening: dict[str, Any] = {"agreement": deal.agreement, "claim": "This was not agreed."}
    if held == "agreement":
        opening |= {"kind": "dispute", "subject": {"kind": "agreement", "id": deal.agreement}}
    else:
        opening |= {"kind": "leak", "evidence": [{"name": "a copy", "sha256": "ab" * 32}]}
    case = done(await file(bank, "/v1/cases", opening))["id"]
    frozen = {(hotel.name, of_bank)} if held == "access" else set(product((bank.name, hotel.name), (of_bank, of_hotel)))
    for member, memo in product((bank, hotel), (of_bank, of_hotel)):
        answer = await file(member, f"{memos}/{memo}", method="GET")
        is_frozen = (member.name, memo) in frozen
        assert (answer.status_code, answer.json().get("case")) == ((423, case) if is_frozen else (200, None))
        for listing in (
            done(await file(member, memos, method="GET")),
            done(await file(member, query, {"text": "said"})),
        ):
            assert (memo not in [one["id"] for one in listing["items"]]) is is_frozen
    shared.clock.pass_seconds(72 * 3600)
    assert (await file(hotel, f"{memos}/{of_bank}", method="GET")).status_code == (200 if held == "access" else 423)


@pytest.mark.parametrize("way", ["read", "search"])
async def test_8_1_2_no_reading_of_a_memo_follows_the_hold_in_the_log(
    shared: Shared, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    deal, bank, hotel, place = await shared.market(), shared.bank, shared.hotel, shared.gateway.holds.place
    told = {"owner": bank.id, "said": "said", "by": "b", "to": "t", "said_at": at(bank.now), "answer_within_days": 1}
    memo = done(await file(bank, f"/v1/agreements/{deal.agreement}/memos", told))["id"]
    changing, cases = Ledger.changing, ["case-1"]

    @asynccontextmanager
    async def after_a_hold(ledger: Ledger, *logs: str, narrows: Collection[str] = ()) -> AsyncIterator[Change]:
        while cases:
            await place(shared.alliance.id, HoldSubject.MEMO, memo, case=cases.pop(), owner=bank.id, operator="test")
        async with changing(ledger, *logs, narrows=narrows) as change:
            yield change

    monkeypatch.setattr(Ledger, "changing", after_a_hold)
    if way == "read":
        held = await file(hotel, f"/v1/agreements/{deal.agreement}/memos/{memo}", method="GET")
        assert (held.status_code, held.json()["case"]) == (423, "case-1")
    else:
        assert done(await file(hotel, f"/v1/agreements/{deal.agreement}/memo-query", {"text": "said"}))["items"] == []
    assert [one["act"] for one in await shared.entries(bank.id)][-1] == "hold_placed"
