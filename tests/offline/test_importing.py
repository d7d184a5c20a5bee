from __future__ import annotations

import asyncio
import hashlib
import json
import threading

import pytest

from gateway import memory
from gateway.consents.offline import importing
from tests import notices
from tests.alliance import PERSONAL_SCHEMA
from tests.offline.breaking import before_change, die
from tests.offline.packing import archive, sheet
from tests.offline.world import Desk

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_a_dry_run_reports_every_row_by_line_column_and_code_and_changes_nothing(desk: Desk) -> None:
    before = await desk.shared.entries(desk.shared.bank.id)
    rows = [desk.row(1), desk.row(2, recipient="partners"), desk.row(3, given="2199-01-01"), desk.row(1, ago=700)]
    answer = await desk.send(desk.packed(rows), dry_run="true")
    told = answer.json()
    assert answer.status_code == 200, answer.text
    assert (told["state"], told["batch"]) == ("checked", None)
    assert (told["accepted"], told["refused"]) == (1, 3)
    assert [(one["line"], one["column"], one["code"]) for one in told["refusals"]] == [
        (3, "recipient", "recipient_not_named"),
        (4, "given", "future_date"),
        (5, "", "duplicate"),
    ]
    assert not any(secret in answer.text for secret in ("C00001", "partners", "2199-01", "S-17", "scans/"))
    assert await desk.shared.entries(desk.shared.bank.id) == before
    assert await desk.states(1) == []


async def test_a_dry_run_says_what_would_come_of_an_archive_now_and_imports_none_of_it(desk: Desk) -> None:
    body = desk.packed([desk.row(81)])
    told = (await desk.send(body, dry_run="true")).json()
    assert (told["state"], told["accepted"], await desk.states(81)) == ("checked", 1, [])
    assert (await desk.send(body)).json()["state"] == "imported"
    told = (await desk.send(body, dry_run="true")).json()
    assert (told["state"], told["refused_by_code"]) == ("checked", {"already_recorded": 1})


@pytest.mark.parametrize("all_or_nothing", ["false", "true"])
async def test_a_sheet_without_rows_makes_no_batch(desk: Desk, all_or_nothing: str) -> None:
    told = (await desk.send(desk.packed([]), all_or_nothing=all_or_nothing)).json()
    assert (told["state"], told["batch"]) == ("nothing_imported", None)


async def test_what_is_imported_permits_nothing(desk: Desk) -> None:
    await desk.imported(desk.row(4), desk.row(5))
    assert await desk.states(4) == ["imported"]
    assert await desk.read() == set()


async def test_good_rows_come_in_beside_bad_ones_and_none_do_where_all_or_nothing_is_asked(desk: Desk) -> None:
    rows = [desk.row(6), desk.row(7, purpose="???")]
    none = (await desk.send(desk.packed(rows), all_or_nothing="true")).json()
    assert (none["state"], none["batch"], none["accepted"]) == ("nothing_imported", None, 1)
    assert await desk.states(6) == []
    some = (await desk.send(desk.packed(rows))).json()
    assert (some["state"], some["accepted"], some["refused"]) == ("imported", 1, 1)
    assert (await desk.states(6), await desk.states(7)) == (["imported"], [])


async def test_none_come_in_where_all_or_nothing_is_asked_and_one_was_withdrawn_since(desk: Desk) -> None:
    await desk.shared.bank.withdraw(desk.deal.dataset, "C00059")
    rows = [desk.row(58), desk.row(59)]
    none = (await desk.send(desk.packed(rows), all_or_nothing="true")).json()
    assert (none["state"], none["batch"], none["accepted"], none["refused"]) == ("nothing_imported", None, 1, 1)
    assert (await desk.states(58), await desk.states(59)) == ([], [])
    all_of_it = (await desk.send(desk.packed(rows[:1]), all_or_nothing="true")).json()
    assert (all_of_it["state"], all_of_it["accepted"]) == ("imported", 1)


async def test_none_come_in_where_all_or_nothing_is_asked_and_one_is_withdrawn_while_they_are_written(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "_MADE_AT_ONCE", 1)
    by_pseudonym = (await desk.shared.gateway.keyring.unlock(desk.shared.bank.id)).pseudonym
    first, last = sorted(("C00056", "C00057"), key=by_pseudonym)
    body = desk.packed([desk.row(56), desk.row(57)])
    with before_change(desk, 3, lambda: desk.shared.bank.withdraw(desk.deal.dataset, last)):
        told = (await desk.send(body, all_or_nothing="true")).json()
    assert (told["state"], told["batch"], told["accepted"]) == ("nothing_imported", None, 1)
    assert told["refused_by_code"] == {"withdrawn_since": 1}
    await desk.offline.settling.run()
    assert sorted([await desk.states(56), await desk.states(57)]) == [[], ["invalidated"]]
    again = (await desk.send(body)).json()
    assert (again["state"], again["accepted"], again["refused"]) == ("imported", 1, 1)
    assert sorted(await desk.states(int(first[1:]))) == ["imported", "invalidated"]


async def test_an_archive_that_is_sent_again_is_imported_once(desk: Desk) -> None:
    body = desk.packed([desk.row(8)])
    first, second = await desk.send(body), await desk.send(body)
    assert first.json() == second.json()
    assert await desk.states(8) == ["imported"]
    other = (await desk.send(desk.packed([desk.row(8)]))).json()
    assert other["refusals"][0]["code"] == "already_recorded"
    assert await desk.states(8) == ["imported"]


async def test_a_withdrawal_wins_over_paper_that_is_older_or_as_old(desk: Desk) -> None:
    bank = desk.shared.bank
    await bank.withdraw(desk.deal.dataset, "C00009")
    told = (await desk.send(desk.packed([desk.row(9), desk.row(10)]))).json()
    assert told["refused_by_code"] == {"withdrawn_since": 1}
    desk.shared.clock.pass_seconds(60)
    assert (await desk.send(desk.packed([desk.row(9, ago=60)]))).json()["refused_by_code"] == {"withdrawn_since": 1}
    assert (await desk.send(desk.packed([desk.row(9, ago=30)]))).json()["refused"] == 0


async def test_paper_that_is_older_than_what_stands_stays_out(desk: Desk) -> None:
    await desk.shared.bank.consent(desk.deal.dataset, desk.shared.hotel, "C00011")
    told = (await desk.send(desk.packed([desk.row(11, ago=1200)]))).json()
    assert told["refused_by_code"] == {"newer_consent": 1}
    assert await desk.states(11) == ["given"]


@pytest.mark.parametrize(
    ("over", "code"),
    [
        ({"notice_sha256": "0" * 64}, "unknown_notice"),
        ({"recipient": "f" * 32}, "unknown_recipient"),
        ({"purpose": "market_analysis"}, "not_in_notice"),
    ],
)
async def test_a_row_that_its_notice_does_not_cover_stays_out(desk: Desk, over: dict[str, str], code: str) -> None:
    told = (await desk.send(desk.packed([desk.row(12) | over]), dry_run="true")).json()
    assert told["refused_by_code"] == {code: 1}


async def test_a_row_with_a_field_that_its_notice_lacks_stays_out(desk: Desk) -> None:
    bank, hotel = desk.shared.bank, desk.shared.hotel
    of_name = notices.item(notices.party(hotel.id, hotel.uscc), "customer_referral", fields=[notices.field("name")])
    document = notices.notice(notices.party(bank.id, bank.uscc), [of_name])
    said = {"notice_sha256": await bank.publish(desk.deal.dataset, "the name alone", document)}
    rows = [desk.row(82, fields="name") | said, desk.row(83, fields="name phone") | said]
    told = (await desk.send(desk.packed(rows), dry_run="true")).json()
    assert [(one["line"], one["code"]) for one in told["refusals"]] == [(3, "not_in_notice")]


async def test_a_notice_that_was_not_published_then_covers_nothing(desk: Desk) -> None:
    told = (await desk.send(desk.packed([desk.row(12, ago=30 * 24 * 3600)]), dry_run="true")).json()
    assert told["refused_by_code"] == {"notice_not_published": 1}


async def test_evidence_is_checked_where_it_is_there_and_stated_where_it_is_not(desk: Desk) -> None:
    body = archive(sheet([desk.row(13)]), {}, {"scans/13.pdf": b"kept by the bank"})
    assert (await desk.send(body)).json()["evidence"] == {"checked": 0, "stated": 1}


async def test_entries_name_digests_of_rows_and_neither_persons_nor_pseudonyms(desk: Desk) -> None:
    batch = await desk.imported(desk.row(14), desk.row(15))
    keys = await desk.shared.gateway.keyring.unlock(desk.shared.bank.id)
    entries = [one for one in await desk.shared.entries(desk.shared.bank.id) if one.get("batch") == batch]
    acts = [one["act"] for one in entries]
    assert acts == ["offline_import_begun", "offline_consents_imported", "offline_batch_imported"]
    assert (entries[1]["count"], entries[2]["accepted"]) == (2, 2)
    text = json.dumps(entries)
    assert "C00014" not in text
    assert keys.pseudonym("C00014") not in text


async def test_an_entry_stands_for_exactly_the_records_between_its_ids_whose_order_tells_nothing(desk: Desk) -> None:
    batch = await desk.imported(*(desk.row(number) for number in range(30, 45)))
    rows = await desk.stored(batch)
    entered = [one for one in await desk.shared.entries(desk.shared.bank.id) if one.get("batch") == batch]
    covered = []
    for entry in (one for one in entered if one["act"] == "offline_consents_imported"):
        first, last = entry["records"]
        its = [row for row in rows if first <= row["id"] <= last]
        text = "".join(f"{row['line']} {row['id']} {row['sha256']}\n" for row in its)
        assert (entry["count"], entry["rows_sha256"]) == (len(its), hashlib.sha256(text.encode()).hexdigest())
        covered += its
    assert covered == rows
    assert [row["pseudonym"] for row in rows] == sorted(row["pseudonym"] for row in rows)
    assert [row["line"] for row in rows] != sorted(row["line"] for row in rows)


async def test_an_import_gives_back_the_memory_that_it_needed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    given = threading.Semaphore(0)
    monkeypatch.setattr(memory, "give_back", given.release)
    monkeypatch.setattr(memory, "SHORT_S", 0.0)
    await desk.send(desk.packed([desk.row(47)]), dry_run="true")
    assert await asyncio.to_thread(given.acquire, timeout=30)


async def test_a_batch_is_its_owners_alone(desk: Desk) -> None:
    batch = await desk.imported(desk.row(16))
    stranger, hotel = desk.shared.stranger, desk.shared.hotel
    nowhere = await stranger.get(f"/v1/offline-consents/{'0' * 32}", await stranger.token())
    for other in (stranger, hotel):
        for method, path in (("GET", ""), ("POST", "/invalidation")):
            answer = await other.call(method, f"/v1/offline-consents/{batch}{path}", await other.token())
            assert (answer.status_code, answer.json()) == (404, nowhere.json())
        page = await other.get("/v1/offline-consents", await other.token())
        assert page.json()["items"] == []
        assert (await desk.send(desk.packed([desk.row(17)]), by=other)).status_code == 404
    own = await desk.shared.bank.get(f"/v1/offline-consents/{batch}", await desk.shared.bank.token())
    assert (own.json()["state"], own.json()["accepted"]) == ("imported", 1)
    page = await desk.shared.bank.get("/v1/offline-consents", await desk.shared.bank.token(), limit="100")
    assert batch in [one["id"] for one in page.json()["items"]]


async def test_what_is_no_archive_is_refused_and_says_what_to_do(desk: Desk) -> None:
    answer = await desk.send(b"PK but no archive")
    assert (answer.status_code, answer.json()["code"]) == (400, "archive_unreadable")
    bank = desk.shared.bank
    path = f"/v1/datasets/{desk.deal.dataset}/offline-consents"
    wrong = await bank.call("POST", path, await bank.token(), content=b"x", headers={"Content-Type": "text/csv"})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "unsupported_media_type")


async def test_a_market_dataset_has_no_consents_to_import(desk: Desk) -> None:
    market = await desk.shared.places()
    answer = await desk.send(desk.packed([desk.row(1)]), dataset=market)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_personal")


async def test_a_dataset_for_children_takes_no_paper(desk: Desk) -> None:
    children = await desk.shared.bank.declare(PERSONAL_SCHEMA | {"x-for-children": True})
    answer = await desk.send(desk.packed([desk.row(1)]), dataset=children)
    assert (answer.status_code, answer.json()["code"]) == (409, "guardian_needed")


async def test_an_import_that_was_failed_while_it_paused_writes_nothing_more(desk: Desk) -> None:
    async def pause() -> None:
        desk.shared.clock.pass_seconds(16 * 60)
        await desk.offline.settling.run()

    with before_change(desk, 2, pause):
        assert (await desk.send(desk.packed([desk.row(84)]))).json()["code"] == "import_abandoned"
    assert await desk.states(84) == []


async def test_an_import_that_stopped_half_way_is_invalidated_and_can_be_sent_again(desk: Desk) -> None:
    body = desk.packed([desk.row(18)])
    with before_change(desk, 3, die):
        assert (await desk.send(body)).status_code == 500
    assert await desk.states(18) == ["imported"]
    assert (await desk.send(body)).json()["code"] == "import_under_way"
    desk.shared.clock.pass_seconds(16 * 60)
    await desk.offline.settling.run()
    assert await desk.states(18) == ["invalidated"]
    assert (await desk.send(body)).json()["state"] == "imported"
    assert await desk.states(18) == ["invalidated", "imported"]
