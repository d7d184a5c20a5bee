from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI, Request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, bindparam, select

from gateway.canonical import parse
from gateway.consents.marks import COUNTED, Marking
from gateway.consents.routes import routes
from gateway.consents.states import Event
from gateway.consents.tables import consent, live
from gateway.database import AlreadyExists, Query
from gateway.errors import Conflicting, Invalid, NotFound, Refused, TooLarge, Unavailable
from gateway.identity.subject import Subject
from tests.catalog.conftest import AIRLINE, BANK, HOTEL, Shop, subject_of
from tests.consents.desk import LIVE, PERSON, Desk, instant, opened_desk, statement


async def test_a_consent_stands_from_its_instant_until_it_expires(shop_on_both: Shop) -> None:
    desk = await opened_desk(shop_on_both)
    [told] = await desk.record(statement(desk.now, expires_at=instant(desk.now + 10)))
    assert told["result"] == "recorded"
    assert await desk.live() == 1
    desk.shop.clock.now += 10_000
    assert await desk.live() == 0
    assert (await desk.show(told["id"]))["state"] == "expired"


async def test_a_withdrawal_ends_it_at_once_and_moves_the_narrowing_number(shop_on_both: Shop) -> None:
    desk = await opened_desk(shop_on_both)
    [told] = await desk.record(statement(desk.now - 5))
    before = await desk.narrowing()
    assert await desk.withdraw() == [told["id"]]
    assert await desk.live() == 0
    assert await desk.narrowing() == before + 1
    assert (await desk.show(told["id"]))["state"] == "withdrawn"
    assert await desk.withdraw() == []


async def test_withdrawing_by_id_twice_gives_the_same_answer(shop: Shop) -> None:
    desk = await opened_desk(shop)
    [told] = await desk.record(statement(desk.now - 5))
    await desk.consents.withdrawing.one(shop.owner, told["id"])
    first = await desk.show(told["id"])
    shop.clock.now += 5_000
    await desk.consents.withdrawing.one(shop.owner, told["id"])
    assert await desk.show(told["id"]) == first
    assert first["state"] == "withdrawn"


async def test_an_older_consent_never_comes_back_after_a_withdrawal_and_a_tie_is_withdrawn(shop: Shop) -> None:
    desk = await opened_desk(shop)
    await desk.record(statement(desk.now - 5))
    await desk.withdraw()
    for given_s in (desk.now - 9, desk.now - 5, desk.now):
        [told] = await desk.record(statement(given_s))
        assert told == {"result": "outdated", "because": "withdrawn"}
    shop.clock.now += 1_000
    [told] = await desk.record(statement(desk.now))
    assert told["result"] == "recorded"


async def test_a_withdrawal_that_found_nothing_still_stands_against_older_consents(shop: Shop) -> None:
    desk = await opened_desk(shop)
    assert await desk.withdraw("C9", recipient=BANK) == []
    [told] = await desk.record(statement(desk.now - 5, subject="C9"))
    assert told["result"] == "outdated"
    [other] = await desk.record(statement(desk.now - 5, subject="C9", recipient=HOTEL))
    assert other["result"] == "recorded"


async def test_a_newer_consent_supersedes_and_narrows_and_an_older_one_does_not(shop: Shop) -> None:
    desk = await opened_desk(shop)
    [first] = await desk.record(statement(desk.now - 5))
    before = await desk.narrowing()
    assert (await desk.record(statement(desk.now - 5)))[0] == {"result": "unchanged", "id": first["id"]}
    assert (await desk.record(statement(desk.now - 6)))[0]["result"] == "outdated"
    assert await desk.narrowing() == before
    [second] = await desk.record(statement(desk.now - 4, fields=["number"]))
    assert await desk.narrowing() == before + 1
    assert (await desk.show(first["id"]))["state"] == "superseded"
    assert (await desk.show(second["id"]))["fields"] == ["number"]
    assert await desk.live() == 1


async def test_what_ends_nothing_does_not_move_the_narrowing_number(shop: Shop) -> None:
    desk = await opened_desk(shop)
    before = await desk.narrowing()
    outcomes = await desk.record(statement(desk.now - 5), statement(desk.now - 5, recipient=HOTEL))
    assert [one["result"] for one in outcomes] == ["recorded", "recorded"]
    assert await desk.narrowing() == before


async def test_the_same_on_other_evidence_is_another_consent(shop: Shop) -> None:
    desk = await opened_desk(shop)
    [first] = await desk.record(statement(desk.now - 5))
    [second] = await desk.record(statement(desk.now - 5, evidence_sha256="d" * 64))
    assert second["result"] == "recorded"
    assert await desk.state(first["id"]) == "superseded"
    assert (await desk.show(second["id"]))["evidence_sha256"] == "d" * 64


async def test_a_contact_that_stands_is_unchanged_after_the_disclosure_beside_it_was_withdrawn(shop: Shop) -> None:
    desk = await opened_desk(shop)
    contact = {name: of for name, of in statement(desk.now - 5, channels=["email"]).items() if name != "fields"}
    [disclosed], [written] = await desk.record(statement(desk.now - 5)), await desk.record(contact)
    await desk.consents.withdrawing.one(shop.owner, disclosed["id"])
    assert await desk.state(written["id"]) == "given"
    assert await desk.record(contact) == [{"result": "unchanged", "id": written["id"]}]


async def test_a_withdrawal_out_of_a_hold_does_not_make_it_stand_again(shop: Shop) -> None:
    desk = await opened_desk(shop)
    [told] = await desk.record(statement(desk.now - 5))
    await desk.act(told["id"], Event.HOLD)
    assert await desk.withdraw() == [told["id"]]
    assert await desk.live() == 0


@pytest.mark.parametrize("over", ["used up", "expired"])
async def test_what_the_clock_ended_is_over_before_a_server_has_recorded_its_end(shop: Shop, over: str) -> None:
    desk = await opened_desk(shop)
    given_s = desk.now - 5
    told = statement(given_s, expires_at=instant(desk.now + 10), max_uses=1)
    [given] = await desk.record(told)
    if over == "used up":
        marking = Marking.of([(given["id"], COUNTED)])
        assert marking is not None
        async with shop.database.transaction() as tx:
            await marking.write(tx, shop.clock.now)
    else:
        shop.clock.now += 20_000
    later, before = instant(desk.now + 99), await desk.narrowing()
    for again in (told | {"expires_at": later}, statement(given_s, evidence_sha256="d" * 64)):
        assert await desk.record(again) == [{"result": "outdated", "because": "spent"}]
    assert await desk.live() == 0
    assert [one["act"] for one in await desk.entries()].count("consents_overtaken") == 1
    assert await desk.narrowing() == before + 1


async def test_paper_of_the_instant_of_a_consent_that_has_expired_is_not_confirmed(shop: Shop) -> None:
    desk = await opened_desk(shop)
    given_s = desk.now - 5
    await desk.record(statement(given_s, expires_at=instant(desk.now + 10)))
    paper = await desk.propose(origin="offline", given_at=given_s, evidence_sha256="d" * 64)
    shop.clock.now += 20_000
    with pytest.raises(Conflicting, match="spent"):
        await desk.act(paper, Event.CONFIRM)
    assert await desk.live() == 0


async def test_many_are_recorded_in_order_and_a_repetition_changes_nothing(shop_on_both: Shop) -> None:
    desk = await opened_desk(shop_on_both)
    many = [statement(desk.now - 5, subject=f"C{n}") for n in range(600)]
    first = await desk.record(*many)
    assert {one["result"] for one in first} == {"recorded"}
    again = await desk.record(*many)
    assert [one["id"] for one in again] == [one["id"] for one in first]
    assert {one["result"] for one in again} == {"unchanged"}


async def test_equal_requests_at_once_with_one_key_are_answered_alike(shop_on_both: Shop) -> None:
    desk = await opened_desk(shop_on_both)
    many = [statement(desk.now - 5, subject=f"C{n}") for n in range(120)]
    first, *others = await asyncio.gather(*(desk.record(*many, key="k") for _ in range(3)))
    assert others == [first, first]
    assert await desk.live() == 120
    assert await desk.record(*many, key="k") == first


async def test_an_answer_that_cannot_be_kept_leaves_nothing_recorded(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await opened_desk(shop)

    async def refuse(*_: Any, **__: Any) -> None:
        raise Unavailable("database_unavailable", "Not now.")

    with monkeypatch.context() as broken:
        broken.setattr("gateway.consents.recording.remember", refuse)
        with pytest.raises(Unavailable):
            await desk.record(statement(desk.now - 5), key="k")
    assert await desk.live() == 0
    assert [one["result"] for one in await desk.record(statement(desk.now - 5), key="k")] == ["recorded"]


async def test_what_cannot_be_kept_for_another_reason_than_an_equal_request_is_raised(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await opened_desk(shop)

    async def refuse(*_: Any, **__: Any) -> None:
        raise AlreadyExists

    monkeypatch.setattr("gateway.consents.recording.remember", refuse)
    with pytest.raises(AlreadyExists):
        await desk.record(statement(desk.now - 5), key="k")
    assert await desk.live() == 0


async def test_a_body_has_at_least_one_consent_and_no_more_than_are_taken_at_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await opened_desk(shop)
    monkeypatch.setattr("gateway.consents.recording.MOST_AT_ONCE", 2)
    given = [statement(desk.now - 5, subject=f"C{n}") for n in range(3)]
    with pytest.raises(Invalid, match="no consent") as empty:
        await desk.record()
    with pytest.raises(TooLarge, match="too_many_consents") as many:
        await desk.record(*given)
    assert (empty.value.field, many.value.field) == ("/consents", "/consents")
    assert len(await desk.record(*given[:2])) == await desk.live() == 2


@pytest.mark.parametrize("media_type", ["application/json", "application/x-ndjson"])
@pytest.mark.parametrize(("many", "aside"), [(1, False), (400, True)])
async def test_long_bodies_are_parsed_beside_the_event_loop(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, media_type: str, many: int, aside: bool
) -> None:
    desk = await opened_desk(shop)
    threads: set[int] = set()

    def watched(body: bytes) -> Any:
        threads.add(threading.get_ident())
        return parse(body)

    async def owner(_: Request) -> Subject:
        return shop.owner

    monkeypatch.setattr("gateway.consents.routes.parse", watched)
    app = FastAPI()
    app.include_router(routes(owner, owner, desk.consents))
    given = [desk.under_notice(statement(desk.now - 5, subject=f"C{n}")) for n in range(many)]
    lines = b"\n".join(orjson.dumps(one) for one in given)
    body = lines if media_type.endswith("ndjson") else orjson.dumps(given)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        path = f"/v1/datasets/{desk.dataset.id}/consents"
        answer = await client.post(path, content=body, headers={"content-type": media_type})
    assert (answer.status_code, len(answer.json()["consents"])) == (201, many)
    assert (threading.get_ident() not in threads) == aside


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"recipient": AIRLINE}, "recipient"),
        ({"recipient": "9" * 32}, "recipient"),
        ({"recipient": "*"}, "recipient"),
        ({"fields": []}, "fields"),
        ({"fields": ["nothing"]}, "fields/0"),
        ({"fields": ["city", "city"]}, "fields/1"),
        ({"evidence_sha256": "E" * 64}, "evidence_sha256"),
        ({"notice_sha256": None}, "notice_sha256"),
        ({"given_at": "2999-01-01T00:00:00Z"}, "given_at"),
        ({"given_at": "yesterday"}, "given_at"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2999-01-01T00:00:00Z"}, "expires_at"),
        ({"subject": ""}, "subject"),
        ({"subject": "\ud800"}, "subject"),
        ({"guardian": {"relation": "parent", "verified": "\ud800"}}, "guardian"),
        ({"purpose": ["a"]}, "purpose"),
        ({"purpose": "a.b"}, "purpose"),
        ({"purpose": "a-b"}, "purpose"),
        ({"purpose": "a:b"}, "purpose"),
        ({"purpose": "a" * 65}, "purpose"),
        ({"more": 1}, "more"),
        ({"fields": "city"}, "fields"),
        ({"fields": 7}, "fields"),
        ({"fields": ["city"] * 3}, "fields"),
        ({"fields": [["city"]]}, "fields/0"),
        ({"channels": ["email"]}, "channels"),
        ({"fields": None, "channels": []}, "channels"),
        ({"max_uses": "1"}, "max_uses"),
        ({"max_uses": True}, "max_uses"),
        ({"max_uses": None}, "max_uses"),
        ({"age_band": "old"}, "age_band"),
        ({"age_band": ["adult"]}, "age_band"),
        ({"language": 1}, "language"),
        ({"subject": 7}, "subject"),
        ({"subject": " "}, "subject"),
        ({"subject": "x" * 4097}, "subject"),
        ({"guardian": "parent"}, "guardian"),
        ({"guardian": {"relation": "parent"}}, "guardian"),
        ({"guardian": {"relation": "parent", "verified": "id", "more": "x"}}, "guardian"),
        ({"given_at": 7}, "given_at"),
        ({"given_at": "2026-02-30T00:00:00Z"}, "given_at"),
    ],
)
async def test_a_consent_that_breaks_a_rule_is_named_and_none_is_recorded(
    shop: Shop, changed: dict[str, Any], field: str
) -> None:
    desk = await opened_desk(shop)
    with pytest.raises(Invalid) as refused:
        await desk.record(statement(desk.now - 5), statement(desk.now - 5, **changed))
    assert refused.value.field == f"/consents/1/{field}"
    assert await desk.live() == 0


@pytest.mark.parametrize("given", [None, 7, "consent", ["consent"]])
async def test_a_consent_that_is_no_object_is_named(shop: Shop, given: object) -> None:
    desk = await opened_desk(shop)
    with pytest.raises(Invalid) as refused:
        await desk.record(given)
    assert refused.value.field == "/consents/0"


@pytest.mark.parametrize("channels", [[], "email", ["pigeon"], [["email"]], 7, None])
async def test_channels_that_are_no_list_of_them_are_named(shop: Shop, channels: object) -> None:
    desk = await opened_desk(shop)
    contact = {name: of for name, of in statement(desk.now - 5).items() if name != "fields"}
    with pytest.raises(Invalid) as refused:
        await desk.record(contact | {"channels": channels})
    assert refused.value.field == "/consents/0/channels"


_TEXT = {"x-class": "personal", "x-grade": 3, "type": "string"}
_SUBJECTS: list[tuple[dict[str, Any], str, str, str]] = [
    ({**_TEXT, "type": "integer"}, "5", "05", "five"),
    ({**_TEXT, "type": "integer"}, "5", " +5 ", "5.0"),
    ({**_TEXT, "x-format": "phone", "pattern": "^[0-9]+$"}, "13800000000", "１３８００００００００", "138-0000"),
    ({**_TEXT, "pattern": "^C[0-9]$"}, "C1", "C1", "C1 "),
    ({**_TEXT, "enum": ["C1", "C2"]}, "C1", "C1", "C3"),
]


@pytest.mark.parametrize(("subject", "row", "written", "_"), _SUBJECTS)
async def test_a_subject_is_read_as_the_rows_was_when_recording_and_withdrawing(
    shop: Shop, sqlite_path: Path, subject: dict[str, Any], row: str, written: str, _: str
) -> None:
    declared = await shop.declare({"number": subject, "city": PERSON["city"]}, person="number")
    desk = await Desk(shop, declared).publish()
    await shop.upload(desk.dataset, f"number,city\n{row},x\n".encode())
    [told] = await desk.record(statement(desk.now - 5, subject=written))
    [standing] = await shop.database.all(LIVE, now=desk.now)
    with sqlite3.connect(sqlite_path) as connection:
        assert connection.execute("SELECT pseudonym FROM record").fetchall() == [(standing["pseudonym"],)]
    connection.close()
    assert await desk.withdraw(row) == [told["id"]]
    assert await desk.live() == 0
    shop.clock.now += 10_000
    [again] = await desk.record(statement(desk.now - 1, subject=row))
    assert await desk.withdraw(written) == [again["id"]]


@pytest.mark.parametrize(("subject", "_", "__", "never"), _SUBJECTS)
async def test_a_subject_that_no_row_can_have_is_refused_by_name(
    shop: Shop, subject: dict[str, Any], _: str, __: str, never: str
) -> None:
    declared = await shop.declare({"number": subject, "city": PERSON["city"]}, person="number")
    desk = await Desk(shop, declared).publish()
    with pytest.raises(Invalid) as refused:
        await desk.withdraw(never)
    assert (refused.value.field, never in str(refused.value)) == ("/subject", False)
    with pytest.raises(Invalid) as refused:
        await desk.record(statement(desk.now - 5, subject=never))
    assert refused.value.field == "/consents/0/subject"


async def test_only_the_owner_of_a_personal_dataset_records_or_sees(shop: Shop) -> None:
    desk = await opened_desk(shop)
    [told] = await desk.record(statement(desk.now - 5))
    with pytest.raises(NotFound):
        await desk.record(statement(desk.now - 5), by=subject_of(BANK))
    with pytest.raises(NotFound):
        await desk.consents.withdrawing.one(subject_of(BANK), told["id"])
    with pytest.raises(NotFound):
        await desk.consents.showing.one(subject_of(BANK), told["id"])
    with pytest.raises(Refused):
        await desk.record(statement(desk.now - 5), by=subject_of(AIRLINE, actions=["upload"]))
    market = await shop.declare({"a": {"type": "string", "x-class": "open", "x-grade": 1}})
    with pytest.raises(Conflicting, match="not_personal"):
        await Desk(shop, market).record(statement(desk.now))


async def test_neither_subject_nor_pseudonym_stands_in_the_ledger_or_in_clear(shop: Shop, sqlite_path: Path) -> None:
    desk = await opened_desk(shop)
    await desk.record(statement(desk.now - 5, subject="canary-person"))
    await desk.withdraw("canary-person")
    pseudonym = (await shop.keyring.unlock(AIRLINE)).pseudonym("canary-person")
    with sqlite3.connect(sqlite_path) as connection:
        bodies = b"".join(row[0] for row in connection.execute("SELECT body FROM leaf"))
    connection.close()
    assert b"consents_recorded" in bodies
    assert b"consents_withdrawn" in bodies
    assert pseudonym.encode() not in bodies
    assert b"canary" not in bodies + b"".join(path.read_bytes() for path in sqlite_path.parent.glob("gateway.db*"))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["give", "withdraw", "wait"]),
        st.sampled_from(["C1", "C2"]),
        st.sampled_from([BANK, HOTEL]),
        st.integers(0, 4),
    ),
    max_size=14,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_any_sequence_of_giving_and_withdrawing_ends_as_a_naive_model_says(
    shop: Shop, steps: list[tuple[str, str, str, int]]
) -> None:
    """Newest decision counts, withdrawal wins ties, nothing ended stands again."""
    desk = await opened_desk(shop, name=f"customers {shop.clock.now}")
    decisions: dict[tuple[str, str], tuple[int, int]] = {}  # when, and 1 for a withdrawal: the greater one counts
    ended: set[str] = set()
    for act, person, recipient, ago in steps:
        item = (person, recipient)
        if act == "wait":
            shop.clock.now += 1_000 * ago
        elif act == "give":
            await desk.record(statement(desk.now - ago, subject=person, recipient=recipient))
            decisions[item] = max(decisions.get(item, (0, 0)), (desk.now - ago, 0))
        else:
            await desk.withdraw(person, recipient=recipient)
            decisions[item] = max(decisions.get(item, (0, 0)), (desk.now, 1))
        rows = await shop.database.all(Query(select(consent)))
        now_ended = {row["id"] for row in rows if row["ended_at"] is not None}
        assert ended <= now_ended
        ended = now_ended
    standing = {item for item, (_, withdrawn) in decisions.items() if not withdrawn}
    keys = await shop.keyring.unlock(AIRLINE)
    found = await shop.database.all(
        Query(select(consent).where(live(consent, bindparam("now", type_=BigInteger)))), now=desk.now
    )
    here = {(row["pseudonym"], row["recipient_id"]) for row in found if row["dataset_no"] == desk.dataset.no}
    assert here == {(keys.pseudonym(person), recipient) for person, recipient in standing}
    shop.clock.now += 1_000
