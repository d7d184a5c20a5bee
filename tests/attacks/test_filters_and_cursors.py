"""What a filter or a cursor may be used for, and what not."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.canonical import canonical
from tests.access.world import PLACES, Deal, Shared, person, records, shared_on
from tests.alliance import Member, new_key


@pytest.fixture
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shared]:
    async with shared_on(request, tmp_path, "sqlite") as alliance:
        yield alliance


async def query(shared: Shared, deal: Deal, token: str, **asked: Any) -> httpx.Response:
    return await shared.hotel.post(f"{deal.path}/query", token, asked)


def invalid(answer: httpx.Response, code: str, field: str) -> None:
    assert answer.status_code == 400, answer.text
    problem = answer.json()
    assert (problem["code"], problem["field"]) == (code, field)


async def first_cursor(shared: Shared, deal: Deal, token: str, **asked: str) -> str:
    answer = await shared.hotel.get(deal.path, token, limit="1", **asked)
    assert len(records(answer)) == 1
    cursor: str = answer.json()["next"]
    return cursor


# ── filters ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_filter_finds_the_rows_with_that_value_and_no_other(shared: Shared) -> None:
    deal = await shared.market()
    token = await shared.token(deal)
    for place in PLACES:
        page = records(await query(shared, deal, token, filters={"code": place["code"]}))
        assert [fields["city"] for fields in page.values()] == [place["city"]]
    assert records(await query(shared, deal, token, filters={"code": "XXX"})) == {}


async def test_no_length_of_a_filter_makes_its_refusal_tell_whether_a_row_was_found(shared: Shared) -> None:
    """Numbers are found with blanks around them; and the entry names what is masked, here as much as there can be."""
    sought = {"type": "integer", "x-class": "open", "x-grade": 1, "x-confidentiality": "public", "x-filter": "equality"}
    masked = {"type": "integer", "x-class": "secret", "x-grade": 2, "x-confidentiality": "financial"}
    fields = dict.fromkeys("abcd", sought) | {f"{'s' * 62}{number}": masked for number in range(10, 68)}
    dataset = await shared.bank.declare({"type": "object", "x-kind": "market", "properties": fields})
    assert (await shared.bank.upload(dataset, [dict.fromkeys(fields, 1)])).status_code == 201
    deal = Deal(await shared.bank.agree(shared.hotel, dataset, list(fields)), dataset)
    token = await shared.token(deal)
    for blanks in (0, 247, 248, 540, 1023):
        found, nothing = [
            await query(shared, deal, token, filters=dict.fromkeys("abcd", value + " " * blanks)) for value in "12"
        ]
        if blanks < 248:
            assert (len(records(found)), records(nothing)) == (1, {})
        else:
            invalid(found, "filters_too_long", "/filters")
            invalid(nothing, "filters_too_long", "/filters")


async def test_no_filter_at_all_is_a_page(shared: Shared) -> None:
    deal = await shared.market()
    assert len(records(await query(shared, deal, await shared.token(deal), filters={}))) == 3


async def test_a_field_that_is_not_granted_cannot_be_filtered_on(shared: Shared) -> None:
    deal = await shared.market(["city"])
    token = await shared.token(deal)
    told = []
    for name in ("code", "margin", "colour"):
        answer = await query(shared, deal, token, filters={name: "PEK"})
        assert answer.status_code == 403, answer.text
        assert [reason["code"] for reason in answer.json()["reasons"]] == ["OUT_OF_SCOPE"]
        told.append({**answer.json(), "event_id": ""})
    assert told == [told[0]] * 3


async def test_a_field_that_is_filtered_on_counts_as_read(shared: Shared) -> None:
    deal = await shared.market()
    answer = await query(shared, deal, await shared.token(deal), fields=["city"], filters={"code": "PEK"})
    found = answer.json()["records"]
    assert found
    assert all(one["fields"].keys() == {"city", "code"} for one in found)


async def test_a_field_that_is_not_declared_for_filters_cannot_be_filtered_on(shared: Shared) -> None:
    deal = await shared.market()
    invalid(await query(shared, deal, await shared.token(deal), filters={"city": "Beijing"}), "not_filterable", "city")


async def test_a_person_who_did_not_consent_to_the_filtered_field_is_not_found_by_it(shared: Shared) -> None:
    deal = await shared.personal([1, 2])
    await shared.bank.consent(deal.dataset, shared.hotel, "C00001", fields=["name", "phone"])
    await shared.bank.consent(deal.dataset, shared.hotel, "C00002", fields=["name"])
    token = await shared.referral_token(deal)
    assert len(records(await shared.hotel.get(deal.path, token))) == 2
    found = records(await query(shared, deal, token, filters={"phone": person(1)["phone"]}))
    assert [fields["name"] for fields in found.values()] == ["Person 1"]
    hidden = await query(shared, deal, token, filters={"phone": person(2)["phone"]})
    nobody = await query(shared, deal, token, filters={"phone": person(9)["phone"]})
    same = [{**answer.json(), "event_id": "", "receipt": ""} for answer in (hidden, nobody)]
    assert same[0] == same[1]
    assert (same[0]["records"], same[0]["next"]) == ([], None)


async def test_a_person_who_did_not_consent_to_the_field_that_rows_are_agreed_by_does_not_leave(shared: Shared) -> None:
    """Whoever is shown would have the value told by being shown at all."""
    agreed = {"rows": [{"field": "phone", "in": [person(1)["phone"], person(2)["phone"]]}]}
    deal = await shared.personal([1, 2, 3], term=agreed)
    await shared.bank.consent(deal.dataset, shared.hotel, "C00001", fields=["name", "phone"])
    await shared.bank.consent(deal.dataset, shared.hotel, "C00002", fields=["name"])
    await shared.bank.consent(deal.dataset, shared.hotel, "C00003", fields=["name", "phone"])
    token = await shared.referral_token(deal)
    for answer in (
        await shared.hotel.get(deal.path, token),
        await shared.hotel.get(deal.path, token, fields="name"),
        await query(shared, deal, token, filters={"phone": person(1)["phone"]}),
    ):
        assert [fields["name"] for fields in records(answer).values()] == ["Person 1"]


async def test_a_withdrawn_consent_ends_being_found_too(shared: Shared) -> None:
    deal = await shared.personal([1])
    await shared.bank.consent(deal.dataset, shared.hotel, "C00001")
    token = await shared.referral_token(deal)
    asked = {"filters": {"phone": person(1)["phone"]}}
    assert len(records(await query(shared, deal, token, **asked))) == 1
    await shared.bank.withdraw(deal.dataset, "C00001")
    assert records(await query(shared, deal, token, **asked)) == {}


async def test_the_limit_counts_what_is_released_not_what_is_searched(shared: Shared) -> None:
    same = "13900000000"
    deal = await shared.personal([])
    assert (await shared.bank.upload(deal.dataset, [person(n) | {"phone": same} for n in range(40)])).status_code == 201
    given = [person(n)["customer_no"] for n in range(0, 40, 4)]
    await shared.bank.consent(deal.dataset, shared.hotel, *given)
    token = await shared.referral_token(deal)
    sizes, cursor = [], None
    while True:
        more: dict[str, Any] = {"cursor": cursor} if cursor else {}
        answer = await query(shared, deal, token, filters={"phone": same}, limit=4, **more)
        sizes.append(len(records(answer)))
        cursor = answer.json()["next"]
        if cursor is None:
            break
    assert sizes == [4, 4, 2]


async def test_filter_values_stand_sealed_in_the_entry_and_nowhere_readable(shared: Shared) -> None:
    deal = await shared.personal([1])
    await shared.bank.consent(deal.dataset, shared.hotel, "C00001")
    wanted = person(1)["phone"]
    assert len(records(await query(shared, deal, await shared.referral_token(deal), filters={"phone": wanted}))) == 1
    entry = await shared.last_access()
    assert entry["sealed"].keys() == {"key_id", "nonce", "ciphertext"}
    keys = await shared.gateway.keyring.unlock(shared.bank.id)
    assert wanted.encode() not in canonical(entry)
    bound = {
        "use": "filters",
        "client": shared.hotel.client,
        "agreement": deal.agreement,
        "dataset": deal.dataset,
        "purpose": "customer_referral",
        "fields": [],
        "filters": {"phone": wanted},
    }
    assert json.loads(keys.open_detail(entry["sealed"], canonical(bound))) == {"phone": wanted}
    for file in shared.gateway.settings.data_dir.iterdir():
        if file.is_file():
            assert wanted.encode() not in file.read_bytes()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "/filters"),
        ({"filters": []}, "/filters"),
        ({"filters": {"code": 1}}, "/filters/code"),
        ({"filters": {"code": None}}, "/filters/code"),
        ({"filters": {"code": ["PEK"]}}, "/filters/code"),
        ({"filters": {"code": "x" * 1025}}, "/filters/code"),
        ({"filters": dict.fromkeys("abcde", "x")}, "/filters"),
        ({"filters": {}, "limit": 0}, "/limit"),
        ({"filters": {}, "limit": 101}, "/limit"),
        ({"filters": {}, "limit": 10**30}, "/limit"),
        ({"filters": {}, "limit": True}, "/limit"),
        ({"filters": {}, "limit": "5"}, "/limit"),
        ({"filters": {}, "fields": "code"}, "/fields"),
        ({"filters": {}, "fields": ["Code"]}, "/fields/0"),
        ({"filters": {}, "fields": ["f"] * 63}, "/fields"),
        ({"filters": {}, "purpose": ["market_analysis"]}, "/purpose"),
        ({"filters": {}, "purpose": "x" * 65}, "/purpose"),
        ({"filters": {}, "cursor": "x" * 513}, "/cursor"),
        ({"filters": {}, "offset": 10}, "/offset"),
    ],
)
async def test_a_wrong_query_names_its_member(shared: Shared, body: dict[str, Any], field: str) -> None:
    deal = await shared.market()
    answer = await shared.hotel.post(f"{deal.path}/query", await shared.token(deal), body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["field"].startswith(field)
    assert await shared.accesses() == []


# ── cursors ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_cursor_serves_its_own_client_and_query(shared: Shared) -> None:
    deal = await shared.market()
    token = await shared.token(deal)
    cursor = await first_cursor(shared, deal, token)
    rest = records(await shared.hotel.get(deal.path, token, cursor=cursor))
    assert len(rest) == 2
    again = await shared.hotel.get(deal.path, await shared.token(deal), cursor=cursor, limit="1")
    assert len(records(again)) == 1


async def test_a_cursor_is_void_in_any_other_query(shared: Shared) -> None:
    deal = await shared.market(purposes=["market_analysis", "settlement"])
    other = Deal(await shared.bank.agree(shared.hotel, deal.dataset, ["code", "city"]), deal.dataset)
    token, elsewhere = await shared.token(deal, "market_analysis", "settlement"), await shared.token(other)
    usual = {"purpose": "market_analysis"}
    cursor = await first_cursor(shared, deal, token, **usual)
    for path, with_token, asked in (
        (deal.path, token, usual | {"fields": "code"}),
        (deal.path, token, {"purpose": "settlement"}),
        (other.path, elsewhere, usual),
    ):
        invalid(await shared.hotel.get(path, with_token, cursor=cursor, **asked), "invalid_cursor", "cursor")
    filtered = await query(shared, deal, token, filters={"code": "PEK"}, cursor=cursor, **usual)
    invalid(filtered, "invalid_cursor", "cursor")
    assert len(records(await shared.hotel.get(deal.path, token, cursor=cursor, **usual))) == 2


async def test_a_cursor_of_a_filtered_page_is_void_under_another_value(shared: Shared) -> None:
    rows = [{"code": code, "city": str(n), "price": 1, "margin": 1} for n in range(3) for code in ("PEK", "SHA")]
    dataset = await shared.places(rows)
    deal = Deal(await shared.bank.agree(shared.hotel, dataset, ["code", "city"]), dataset)
    token = await shared.token(deal)
    answer = await query(shared, deal, token, filters={"code": "PEK"}, limit=1)
    cursor = answer.json()["next"]
    assert len(records(await query(shared, deal, token, filters={"code": "PEK"}, cursor=cursor))) == 2
    for filters in ({"code": "SHA"}, {}):
        invalid(await query(shared, deal, token, filters=filters, cursor=cursor), "invalid_cursor", "cursor")


async def test_a_cursor_is_void_for_another_client_of_the_same_member(shared: Shared) -> None:
    deal = await shared.market()
    cursor = await first_cursor(shared, deal, await shared.token(deal))
    second = Member("hotel, second system", shared.alliance, id=shared.hotel.id, client_key=new_key())
    second.client = await shared.alliance.register(second, "second")
    token = await second.token(second.under(deal.agreement, deal.dataset))
    assert len(records(await second.get(deal.path, token))) == 3
    invalid(await second.get(deal.path, token, cursor=cursor), "invalid_cursor", "cursor")


async def test_a_cursor_with_any_altered_byte_is_void(shared: Shared) -> None:
    deal = await shared.market()
    token = await shared.token(deal)
    cursor = await first_cursor(shared, deal, token)
    assert len(records(await shared.hotel.get(deal.path, token, cursor=cursor))) == 2
    for place in range(0, len(cursor), 3):
        altered = "A" if cursor[place] != "A" else "B"
        forged = cursor[:place] + altered + cursor[place + 1 :]
        if decoded(forged) == decoded(cursor):
            continue
        invalid(await shared.hotel.get(deal.path, token, cursor=forged), "invalid_cursor", "cursor")


def decoded(cursor: str) -> list[bytes]:
    """The last letter of base64 carries bits that mean nothing."""
    key, *sealed = cursor.split(".")
    return [key.encode(), *(base64.urlsafe_b64decode(part + "==") for part in sealed)]


@pytest.mark.parametrize(
    "cursor", ["", ".", "..", "...", "a.b.c", "x" * 2000, "é.é.é", "\x00.a.b", "none", "0", "AAAA.AAAA.AAAA"]
)
async def test_what_never_was_a_cursor_is_void(shared: Shared, cursor: str) -> None:
    deal = await shared.market()
    answer = await shared.hotel.get(deal.path, await shared.token(deal), cursor=cursor)
    invalid(answer, "invalid_cursor", "cursor")


async def test_a_cursor_shows_no_record_id(shared: Shared) -> None:
    deal = await shared.market()
    token = await shared.token(deal)
    answer = await shared.hotel.get(deal.path, token, limit="1")
    [last] = records(answer)
    cursor = answer.json()["next"]
    assert last not in cursor
    assert bytes.fromhex(last) not in b"".join(decoded(cursor))


# ── parameters ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.0", "limit"),
        ("limit=%EF%BC%91", "limit"),
        ("limit=", "limit"),
        ("limit=000000001999", "limit"),
        ("limit=" + "0" * 10 + "9" * 5000, "limit"),
        ("limit=1&limit=2", "limit"),
        ("limit=1&limit=1", "limit"),
        ("offset=1", "offset"),
        ("filter=code", "filter"),
        ("fields=", "fields"),
        ("fields=code,,city", "fields"),
        ("fields=Code", "fields"),
        ("fields=code;city", "fields"),
        ("fields=" + "x" * 65, "fields"),
        ("fields=" + ",".join(f"f{n}" for n in range(63)), "fields"),
        ("fields=%00", "fields"),
        ("purpose=", "purpose"),
        ("purpose=a%20b", "purpose"),
        ("purpose=" + "x" * 65, "purpose"),
        ("purpose=Market", "purpose"),
        ("purpose=%FF", "purpose"),
        ("%FF=1", "\N{REPLACEMENT CHARACTER}"),
    ],
)
async def test_a_wrong_parameter_is_named(shared: Shared, asked: str, field: str) -> None:
    deal = await shared.market()
    token = await shared.token(deal)
    answer = await shared.hotel.call("GET", f"{deal.path}?{asked}", token)
    assert answer.status_code == 400, answer.text
    assert answer.json()["field"] == field
    assert await shared.accesses() == []


async def test_a_single_record_takes_neither_limit_nor_cursor(shared: Shared) -> None:
    deal = await shared.market()
    token = await shared.token(deal)
    record = next(iter(records(await shared.hotel.get(deal.path, token))))
    for name in ("limit", "cursor"):
        invalid(await shared.hotel.get(f"{deal.path}/{record}", token, **{name: "1"}), "unknown_parameter", name)


async def test_with_several_purposes_granted_one_must_be_named(shared: Shared) -> None:
    deal = await shared.market(purposes=["market_analysis", "settlement"])
    token = await shared.token(deal, "market_analysis", "settlement")
    invalid(await shared.hotel.get(deal.path, token), "purpose_required", "purpose")
    assert len(records(await shared.hotel.get(deal.path, token, purpose="settlement"))) == 3
