"""What a reader gets: each record once, consented rows only, consented and agreed fields only, with a receipt."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from gateway.access import selection
from gateway.access.cases import DecidedCases
from gateway.access.judgement import Judgement
from gateway.identity.base64url import decode
from gateway.ledger import proofs, receipts
from gateway.ledger.merkle import leaf_hash, verify_inclusion
from gateway.ledger.stored import StoredHashes, entries, state
from tests.access.world import ENGINES, Deal, Shared, person, records, shared_on
from tests.alliance import PERSONAL_SCHEMA, b64, instant

FIELDS = ("customer_no", "name", "phone", "id_number")
CLASSES = {name: field["x-class"] for name, field in PERSONAL_SCHEMA["properties"].items()}


@pytest.fixture(params=ENGINES)
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shared]:
    async with shared_on(request, tmp_path, request.param) as alliance:
        yield alliance


async def pages(shared: Shared, path: str, token: str, **asked: str) -> list[dict[str, Any]]:
    """Every page from the first to the last, as answered."""
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = await shared.hotel.get(path, token, **asked, **({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
        cursor = found[-1]["next"]
    return found


def subsets(names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for count in range(1, len(names) + 1):
        yield from combinations(names, count)


async def test_paging_gives_each_record_once_and_tells_no_totals(shared: Shared) -> None:
    dataset = await shared.places({"code": f"P{n}", "city": "X", "price": n, "margin": 0} for n in range(250))
    deal = Deal(await shared.bank.agree(shared.hotel, dataset, ["code", "price"]), dataset)
    found = await pages(shared, deal.path, await shared.token(deal))
    assert [len(page["records"]) for page in found] == [100, 100, 50]
    assert all(page.keys() == {"records", "event_id", "next", "receipt", "obligations"} for page in found)
    ids = [one["id"] for page in found for one in page["records"]]
    assert ids == sorted(set(ids))
    codes = sorted(one["fields"]["code"] for page in found for one in page["records"])
    assert codes == sorted(f"P{n}" for n in range(250))
    assert len({page["event_id"] for page in found}) == 3


async def test_a_page_that_ends_with_the_data_has_no_next(shared: Shared) -> None:
    deal = await shared.market()
    found = await pages(shared, deal.path, await shared.token(deal), limit="3")
    assert [(len(page["records"]), page["next"]) for page in found] == [(3, None)]


def with_long_names(numbers: range, every: int) -> list[dict[str, str]]:
    """People, every so many of them with a name of 60 KB."""
    return [person(n) | ({} if n % every else {"name": f"Person {n}" + "x" * 60_000}) for n in numbers]


async def test_a_page_ends_before_a_long_record_which_comes_alone(shared: Shared) -> None:
    """So a page is about 4 MiB at most, whatever a member uploads; each record comes once all the same."""
    dataset = await shared.places(
        {"code": "A" if n % 2 else "B", "city": "x" * (60_000 if n % 5 == 0 else 40_000), "price": n, "margin": 0}
        for n in range(120)
    )
    deal = Deal(await shared.bank.agree(shared.hotel, dataset, ["code", "city", "price"]), dataset)
    token = await shared.token(deal)
    found = await pages(shared, deal.path, token)
    for page in found:
        cities = [len(one["fields"]["city"]) for one in page["records"]]
        assert cities == [60_000] or set(cities) == {40_000}, "a long record is alone"
    assert sorted(one["fields"]["price"] for page in found for one in page["records"]) == list(range(120))
    ids = [one["id"] for page in found for one in page["records"]]
    assert ids == sorted(ids)
    filtered: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await shared.hotel.post(f"{deal.path}/query", token, {"filters": {"code": "A"}, **cursor})).json()
        assert page["records"], "a page is never empty for that"
        filtered += [one["fields"]["price"] for one in page["records"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert sorted(filtered) == list(range(1, 120, 2))


async def test_a_long_record_without_consent_leaves_neither_gap_nor_short_page(shared: Shared) -> None:
    dataset = await shared.bank.declare(PERSONAL_SCHEMA)
    assert (await shared.bank.upload(dataset, with_long_names(range(60), 3))).status_code == 201
    agreement = await shared.bank.agree(shared.hotel, dataset, ("name", "phone"), purposes=["customer_referral"])
    deal = Deal(agreement, dataset)
    given = [person(n)["customer_no"] for n in range(60) if n % 3]
    await shared.bank.consent(dataset, shared.hotel, *given)
    found = await pages(shared, deal.path, await shared.referral_token(deal), limit="8")
    assert [len(page["records"]) for page in found] == [8, 8, 8, 8, 8]


async def test_a_long_record_whose_subject_withdraws_meanwhile_leaves_no_empty_page(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that begins with one takes two statements; the withdrawal falls between them."""
    dataset = await shared.bank.declare(PERSONAL_SCHEMA)
    assert (await shared.bank.upload(dataset, with_long_names(range(1), 1))).status_code == 201
    agreement = await shared.bank.agree(shared.hotel, dataset, ("name", "phone"), purposes=["customer_referral"])
    deal = Deal(agreement, dataset)
    await shared.bank.consent(dataset, shared.hotel, person(0)["customer_no"])
    token = await shared.referral_token(deal)
    assert len(records(await shared.hotel.get(deal.path, token))) == 1
    select_named = selection.select_named

    async def a_withdrawal_later(*given: Any) -> Mapping[bytes, selection.Selection]:
        assert (await shared.bank.withdraw(dataset, person(0)["customer_no"])).status_code == 200
        return await select_named(*given)

    monkeypatch.setattr(selection, "select_named", a_withdrawal_later)
    page = (await shared.hotel.get(deal.path, token)).json()
    assert (page["records"], page["next"]) == ([], None)


async def test_rows_without_consent_leave_neither_gap_nor_short_page(shared: Shared) -> None:
    deal = await shared.personal(range(60))
    given = [person(n)["customer_no"] for n in range(0, 60, 3)]
    await shared.bank.consent(deal.dataset, shared.hotel, *given)
    found = await pages(shared, deal.path, await shared.referral_token(deal), limit="8")
    assert [len(page["records"]) for page in found] == [8, 8, 4]
    names = {one["fields"]["name"] for page in found for one in page["records"]}
    assert names == {f"Person {n}" for n in range(0, 60, 3)}


async def test_a_page_holds_the_consented_and_agreed_fields_of_consented_rows_and_nothing_else(shared: Shared) -> None:
    """Every subset of fields consented to, against every subset agreed on."""
    consented = dict(enumerate(subsets(FIELDS)))
    dataset = await shared.people(range(len(consented) + 1))
    for number, fields in consented.items():
        await shared.bank.consent(dataset, shared.hotel, person(number)["customer_no"], fields=list(fields))
    purposes = ["customer_referral"]
    for agreed in subsets(FIELDS):
        deal = Deal(await shared.bank.agree(shared.hotel, dataset, agreed, purposes=purposes), dataset)
        page = records(await shared.hotel.get(deal.path, await shared.referral_token(deal)))
        expected = [
            {name: person(number)[name] for name in FIELDS if name in agreed and name in fields}
            for number, fields in consented.items()
            if set(agreed) & set(fields)
        ]
        assert sorted(map(repr, page.values())) == sorted(map(repr, expected))
        await entry_names_exactly(shared, page)


async def entry_names_exactly(shared: Shared, page: dict[str, dict[str, Any]]) -> None:
    """The newest entry names these records, of each the fields given, their classes, and what these withhold."""
    groups = (await shared.last_access())["opening"]["groups"]
    named = {record: group for group in groups for record in group["records"]}
    assert named.keys() == {f"{record}@1" for record in page}
    assert sum(len(group["records"]) for group in groups) == len(page)
    for record, fields in page.items():
        group = named[f"{record}@1"]
        classes = {CLASSES[name] for name in fields}
        withheld = {name for name in FIELDS if CLASSES[name] in classes and name not in fields}
        said = [sorted(group[part]) for part in ("fields", "classes", "withheld")]
        assert said == [sorted(fields), sorted(classes), sorted(withheld)]


async def test_fewer_fields_can_be_asked_for_and_no_more_are_opened(shared: Shared) -> None:
    deal = await shared.personal([1, 2], FIELDS)
    await shared.bank.consent(deal.dataset, shared.hotel, "C00001", fields=["name", "phone"])
    await shared.bank.consent(deal.dataset, shared.hotel, "C00002", fields=["id_number"])
    token = await shared.referral_token(deal)
    page = records(await shared.hotel.get(deal.path, token, fields="phone,phone,customer_no"))
    assert list(page.values()) == [{"phone": person(1)["phone"]}]
    [group] = (await shared.last_access())["opening"]["groups"]
    assert (group["fields"], group["classes"]) == (["phone"], ["personal_phone"])
    one = await shared.hotel.get(f"{deal.path}/{next(iter(page))}", token, fields="name")
    assert list(records(one).values()) == [{"name": "Person 1"}]


async def test_who_withdraws_is_gone_at_the_next_read(shared: Shared) -> None:
    deal = await shared.personal([1, 2])
    await shared.bank.consent(deal.dataset, shared.hotel, "C00001", "C00002")
    token = await shared.referral_token(deal)
    page = records(await shared.hotel.get(deal.path, token))
    assert len(page) == 2
    assert (await shared.bank.withdraw(deal.dataset, "C00001")).status_code == 200
    left = records(await shared.hotel.get(deal.path, token))
    assert [fields["name"] for fields in left.values()] == ["Person 2"]
    log = await shared.entries(shared.bank.id)
    withdrawn = next(n for n, entry in enumerate(log) if entry.get("act") == "consents_withdrawn")
    later = [entry for entry in log[withdrawn:] if entry["kind"] == "access"]
    gone = next(iter(page.keys() - left.keys()))
    assert later
    assert not [entry for entry in later if f"{gone}@1" in str(entry)]


async def test_a_consent_ends_at_its_instant(shared: Shared) -> None:
    deal = await shared.personal([1])
    end = instant(datetime.fromtimestamp(shared.bank.now + 60, UTC))
    await shared.bank.consent(deal.dataset, shared.hotel, "C00001", expires_at=end)
    token = await shared.referral_token(deal)
    shared.clock.pass_seconds(59)
    assert len(records(await shared.hotel.get(deal.path, token))) == 1
    shared.clock.pass_seconds(1)
    assert records(await shared.hotel.get(deal.path, token)) == {}


async def test_no_permit_is_recorded_at_the_instant_at_which_a_consent_ends(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal = await shared.personal([1])
    end = instant(datetime.fromtimestamp(shared.bank.now + 60, UTC))
    await shared.bank.consent(deal.dataset, shared.hotel, "C00001", expires_at=end)
    token = await shared.referral_token(deal)
    shared.clock.pass_seconds(59)
    keep, left = DecidedCases.keep, [1]

    async def a_second_later(cases: DecidedCases, judgement: Judgement) -> None:
        await keep(cases, judgement)
        shared.clock.pass_seconds(left.pop() if left else 0)

    monkeypatch.setattr(DecidedCases, "keep", a_second_later)
    assert records(await shared.hotel.get(deal.path, token)) == {}
    assert not left
    assert (await shared.last_access())["opening"]["groups"] == []


async def test_consent_to_another_recipient_or_purpose_opens_nothing(shared: Shared) -> None:
    deal = await shared.personal([1], purposes=["customer_referral", "service_delivery"])
    await shared.bank.consent(deal.dataset, shared.stranger, "C00001")
    await shared.bank.consent(deal.dataset, shared.hotel, "C00001", purpose="joint_marketing")
    token = await shared.token(deal, "customer_referral", "service_delivery")
    for purpose in ("customer_referral", "service_delivery"):
        assert records(await shared.hotel.get(deal.path, token, purpose=purpose)) == {}
    await shared.bank.consent(deal.dataset, shared.hotel, "C00001", purpose="service_delivery")
    assert records(await shared.hotel.get(deal.path, token, purpose="customer_referral")) == {}
    assert len(records(await shared.hotel.get(deal.path, token, purpose="service_delivery"))) == 1


async def test_consent_to_one_dataset_says_nothing_of_another(shared: Shared) -> None:
    deal, other = await shared.personal([1]), await shared.personal([1])
    await shared.bank.consent(deal.dataset, shared.hotel, "C00001")
    assert len(records(await shared.hotel.get(deal.path, await shared.referral_token(deal)))) == 1
    assert records(await shared.hotel.get(other.path, await shared.referral_token(other))) == {}


async def test_a_replaced_table_is_read_anew_and_the_old_records_are_gone(shared: Shared) -> None:
    deal = await shared.market()
    token = await shared.token(deal)
    before = records(await shared.hotel.get(deal.path, token))
    new = [{"code": "HKG", "city": "Hong Kong", "price": 1, "margin": 1}]
    assert (await shared.bank.upload(deal.dataset, new, mode="replace")).status_code == 201
    after = records(await shared.hotel.get(deal.path, token))
    assert [fields["code"] for fields in after.values()] == ["HKG"]
    assert (await shared.hotel.get(f"{deal.path}/{next(iter(before))}", token)).status_code == 404


async def test_a_receipt_verifies_by_the_published_key_and_its_entry_stands_in_the_log(shared: Shared) -> None:
    deal = await shared.market()
    token = await shared.token(deal)
    answers = [(await shared.hotel.get(deal.path, token)).json() for _ in range(5)]
    keys = {one["kid"]: one for one in (await shared.alliance.http.get("/v1/jwks")).json()["keys"]}
    key = keys[json.loads(decode(answers[0]["receipt"].partition(".")[0]))["kid"]]
    database, log = shared.gateway.database, shared.bank.id
    size = (await state(database, log)).size
    bodies = [bytes(row["body"]) for row in await entries(database, log, 0, size)]
    reader = StoredHashes(database, log)
    root = await proofs.root(reader, size)
    for answer in answers:
        receipt = receipts.verify(answer["receipt"], key)
        assert receipt.event_id == answer["event_id"]
        assert receipt.origin == shared.gateway.ledger.origin_of(log)
        assert receipt.issued_at == shared.hotel.now
        index = next(n for n, body in enumerate(bodies) if json.loads(body)["event_id"] == receipt.event_id)
        assert leaf_hash(bodies[index]) == receipt.leaf_hash
        verify_inclusion(index, size, receipt.leaf_hash, root, await proofs.inclusion(reader, index, size))
    for other in ({**key, "x": "A" * 43}, {"kty": "OKP", "crv": "Ed25519", "x": b64(bytes(range(32)))}):
        with pytest.raises(receipts.ReceiptRejected):
            receipts.verify(answers[0]["receipt"], other)
    (header, _, signature), (_, payload, _) = (one["receipt"].split(".") for one in answers[:2])
    with pytest.raises(receipts.ReceiptRejected):
        receipts.verify(".".join((header, payload, signature)), key)


async def test_personal_answers_are_never_cached(shared: Shared) -> None:
    deal = await shared.personal([1])
    await shared.bank.consent(deal.dataset, shared.hotel, "C00001")
    answer = await shared.hotel.get(deal.path, await shared.referral_token(deal))
    assert len(records(answer)) == 1
    assert answer.headers["cache-control"] == "no-store"
    assert not {"etag", "last-modified", "expires"} & set(answer.headers)
