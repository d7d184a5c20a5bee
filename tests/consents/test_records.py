"""The life of a consent record: who may decide what, and when it no longer counts."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.consents import overtaken, recording
from gateway.consents.events import events_of, is_chained
from gateway.consents.marks import COUNTED, FIRST, Marking
from gateway.consents.minors import Guardian
from gateway.consents.offline.earlier import Earlier
from gateway.consents.offline.sheet import Item, SheetRow
from gateway.consents.past import COOL_DOWN_S
from gateway.consents.proposing import check_new
from gateway.consents.records import Ended
from gateway.consents.states import Event, State
from gateway.errors import Conflicting, GatewayError, Invalid
from gateway.ledger import Change
from gateway.ledger.receipts import ReceiptSigner
from tests.catalog.conftest import AIRLINE, BANK, HOTEL, Shop
from tests.consents.desk import PATIENT, PURPOSE, Desk, instant, opened_desk, statement

ALL = frozenset({"number", "city", "illness"})
MOTHER = {"relation": "parent", "verified": "civil register, seen by staff"}


@dataclass
class Told:
    """Followers that remember."""

    heard: list[Ended] = field(default_factory=list)

    async def ended(self, _: Change, ended: Sequence[Ended]) -> None:
        self.heard += ended

    def causes(self) -> list[str]:
        return [one.cause for one in self.heard]


async def test_asking_and_showing_permit_nothing_and_giving_does(shop_on_both: Shop) -> None:
    desk = await opened_desk(shop_on_both, of=PATIENT)
    record = await desk.propose()
    assert await desk.state(record) == "requested"
    for event in (Event.SERVE, Event.CLOSE, Event.SEND, Event.SERVE):
        await desk.act(record, event)
        assert await desk.live() == 0
    given_record = await desk.act(record, Event.GIVE, fields=frozenset(PATIENT))
    assert (given_record.state, given_record.id) == (State.GIVEN, record)
    assert await desk.live() == 1
    after = await desk.act(record, Event.WITHDRAW)
    assert (after.state, await desk.live()) == (State.WITHDRAWN, 0)
    acts = [entry["act"] for entry in await desk.entries() if entry["act"].startswith("consent_")]
    events = ["send", "serve", "close", "send", "serve", "give", "withdraw"]
    assert acts == [f"consent_{event}" for event in events]
    told = await events_of(shop_on_both.database, record)
    assert [one["event"] for one in told] == events
    assert is_chained(told)


async def test_sensitive_and_optional_fields_are_off_until_each_is_turned_on(shop: Shop) -> None:
    desk = await opened_desk(shop, of=PATIENT)
    record = await desk.propose()
    with pytest.raises(Invalid, match="not_explicit"):
        await desk.act(record, Event.GIVE)
    with pytest.raises(Invalid, match="necessary"):
        await desk.act(record, Event.GIVE, fields=frozenset({"city"}))
    with pytest.raises(Invalid):
        await desk.act(record, Event.GIVE, fields=frozenset({"number", "illness", "unknown"}))
    given_record = await desk.act(record, Event.GIVE, fields=frozenset({"number", "illness"}))
    assert (await desk.show(given_record.id))["fields"] == ["number", "illness"]
    other = await desk.propose("C2", fields=frozenset({"number", "city"}))
    assert (await desk.show((await desk.act(other, Event.GIVE)).id))["fields"] == ["number"]


async def test_fields_can_be_taken_out_and_never_put_in(shop: Shop) -> None:
    told = Told()
    desk = await opened_desk(shop, of=PATIENT, followers=told)
    record = await desk.propose()
    await desk.act(record, Event.GIVE, fields=frozenset(PATIENT))
    for wrong in (ALL, frozenset({"city"}), frozenset[str]()):
        with pytest.raises(Invalid):
            await desk.act(record, Event.AMEND, fields=wrong)
    await desk.act(record, Event.AMEND, fields=ALL - {"city"})
    assert (await desk.show(record))["fields"] == ["number", "illness"]
    with pytest.raises(Invalid):
        await desk.act(record, Event.AMEND, fields=frozenset(PATIENT))
    assert told.causes() == ["amended"]


async def test_nobody_asks_again_for_180_days_after_a_refusal(shop: Shop) -> None:
    desk = await opened_desk(shop)
    record = await desk.propose()
    await desk.act(record, Event.REFUSE)
    refused_s = desk.now
    with pytest.raises(Conflicting, match="cooling_down") as refused:
        await desk.propose()
    assert str(refused_s + COOL_DOWN_S) in str(refused.value.remedy)
    shop.clock.now += 1_000
    assert (await desk.record(statement(desk.now)))[0] == {"result": "outdated", "because": "cooling_down"}
    with pytest.raises(Conflicting, match="cooling_down"):
        await desk.propose(origin="offline", given_at=desk.now)
    assert await desk.state(await desk.propose(recipient=HOTEL)) == "requested"
    shop.clock.now += COOL_DOWN_S * 1000
    assert await desk.state(await desk.propose()) == "requested"


async def test_180_days_after_a_refusal_to_the_second_it_may_be_asked_again(shop: Shop) -> None:
    desk = await opened_desk(shop)
    await desk.act(await desk.propose(), Event.REFUSE)
    shop.clock.now += (COOL_DOWN_S - 1) * 1000
    with pytest.raises(Conflicting, match="cooling_down"):
        await desk.propose()
    shop.clock.now += 1000
    assert await desk.state(await desk.propose()) == "requested"


async def test_of_giving_and_withdrawing_in_the_same_second_the_withdrawal_counts(shop: Shop) -> None:
    desk = await opened_desk(shop)
    record = await desk.propose()
    await desk.act(record, Event.GIVE, fields=frozenset({"number", "city"}))
    await desk.act(record, Event.WITHDRAW)
    again = await desk.propose(expires_after_s=5)
    with pytest.raises(Conflicting, match="withdrawn"):
        await desk.act(again, Event.GIVE, fields=frozenset({"number", "city"}))
    assert await desk.live() == 0
    shop.clock.now += 1_000
    await desk.act(again, Event.GIVE, fields=frozenset({"number", "city"}))
    assert await desk.live() == 1


async def test_a_renewal_is_a_new_record_that_supersedes_the_old_one(shop: Shop) -> None:
    told = Told()
    desk = await opened_desk(shop, followers=told)
    first = await desk.propose()
    await desk.act(first, Event.GIVE, fields=frozenset({"number", "city"}))
    second = await desk.propose()
    shop.clock.now += 1_000
    renewed = await desk.act(second, Event.GIVE)
    assert renewed.supersedes == first
    assert [await desk.state(one) for one in (first, second)] == ["superseded", "given"]
    assert await desk.live() == 1
    assert told.causes() == ["amended"]  # the city is no longer consented to


async def test_a_hold_stops_it_and_only_lifting_makes_it_stand_again(shop: Shop) -> None:
    desk = await opened_desk(shop)
    [told] = await desk.record(statement(desk.now - 5))
    await desk.act(told["id"], Event.HOLD)
    assert await desk.live() == 0
    shop.clock.now += 1_000
    assert (await desk.record(statement(desk.now)))[0] == {"result": "outdated", "because": "on_hold"}
    await desk.act(told["id"], Event.LIFT)
    assert await desk.live() == 1
    await desk.act(told["id"], Event.HOLD)
    assert await desk.withdraw() == [told["id"]]
    with pytest.raises(Conflicting, match="wrong_state"):
        await desk.act(told["id"], Event.LIFT)


@pytest.mark.parametrize("ago_s", [9, 1])
async def test_no_paper_comes_in_about_what_is_on_hold_however_new_it_is(shop: Shop, ago_s: int) -> None:
    desk = await opened_desk(shop)
    [held] = await desk.record(statement(desk.now - 5))
    await desk.act(held["id"], Event.HOLD)
    item = Item(BANK, PURPOSE, 1, desk.notice_sha256, "zh-CN")
    paper = SheetRow(2, await desk.pseudonym(), item, desk.now - ago_s, desk.now + 9, "s1", "s2", "f" * 64)
    refusal = (await Earlier.of(shop.database, desk.dataset, [paper])).refusal(paper)
    assert refusal is not None
    assert refusal.code == "on_hold"


async def test_neither_a_lifted_hold_nor_the_end_of_a_contact_is_told_to_whoever_received(shop: Shop) -> None:
    told = Told()
    desk = await opened_desk(shop, followers=told)
    [held] = await desk.record(statement(desk.now - 5))
    for event in (Event.HOLD, Event.LIFT):
        await desk.act(held["id"], event)
    contact = await desk.propose(kind="contact", fields=frozenset(), channels=frozenset({"sms"}))
    await desk.act(contact, Event.GIVE)
    shop.clock.now += 1_000
    await desk.act(await desk.propose(kind="contact", fields=frozenset(), channels=frozenset({"sms"})), Event.GIVE)
    assert await desk.state(contact) == "superseded"
    assert len(await desk.withdraw(recipient=BANK)) == 2
    assert [(one.record_id, one.cause) for one in told.heard] == [(held["id"], "withdrawn")]


async def test_a_withdrawal_out_of_a_hold_or_after_going_stale_is_told_to_whoever_received(shop: Shop) -> None:
    told = Told()
    desk = await opened_desk(shop, followers=told)
    [one], [two] = [await desk.record(statement(desk.now - 5, subject=who)) for who in ("C1", "C2")]
    await desk.act(one["id"], Event.HOLD)
    await desk.act(two["id"], Event.AGE)
    assert told.causes() == ["stale"]
    await desk.withdraw("C1")
    await desk.withdraw("C2")
    assert told.causes() == ["stale", "withdrawn", "withdrawn"]


async def test_clocks_that_differ_permit_neither_before_the_giving_nor_after_the_withdrawal(shop: Shop) -> None:
    desk = await opened_desk(shop)
    record = await desk.propose()
    await desk.act(record, Event.GIVE, fields=frozenset({"number", "city"}))
    shop.clock.now -= 3_000  # a reader that is slow
    assert (await desk.live(), await desk.state(record)) == (0, "requested")
    shop.clock.now += 4_000
    assert (await desk.live(), await desk.state(record)) == (1, "given")
    await desk.withdraw()
    shop.clock.now -= 2_000
    assert (await desk.live(), await desk.state(record)) == (0, "withdrawn")
    again = await desk.propose()
    with pytest.raises(Conflicting, match="withdrawn"):
        await desk.act(again, Event.GIVE, fields=frozenset({"number", "city"}))


async def test_an_import_discloses_nothing_until_it_is_confirmed_and_a_withdrawal_ends_it(shop: Shop) -> None:
    desk = await opened_desk(shop)
    paper = {"origin": "offline", "given_at": desk.now - 100, "evidence_sha256": "e" * 64}
    one, two = await desk.propose("C1", **paper), await desk.propose("C2", **paper)
    assert await desk.live() == 0
    confirmed = await desk.act(one, Event.CONFIRM)
    assert (confirmed.given_at, await desk.live()) == (desk.now - 100, 1)
    fewer = await desk.act(await desk.propose("C4", **paper), Event.CONFIRM, fields=frozenset({"number"}))
    assert (fewer.given_at, fewer.fields) == (desk.now - 100, fewer.required)
    assert await desk.withdraw("C2") == [two]
    with pytest.raises(Conflicting, match="wrong_state"):
        await desk.act(two, Event.CONFIRM)
    with pytest.raises(Invalid):
        await desk.propose("C3", origin="offline", given_at=desk.now + 1)


async def test_a_record_is_about_fields_of_persons_or_about_channels(shop: Shop) -> None:
    desk = await opened_desk(shop)
    nothing, sms = frozenset[str](), frozenset({"sms"})
    wrongs: list[dict[str, Any]] = [
        {"kind": "profiling"},
        {"kind": "profiling", "fields": nothing, "channels": sms},
        {"fields": nothing},
        {"channels": sms},
        {"kind": "contact", "channels": sms},
        {"kind": "contact", "fields": nothing},
    ]
    for wrong in wrongs:
        with pytest.raises(Invalid) as refused:
            check_new(await desk.new(**wrong), desk.now)
        assert refused.value.field == "/kind"
    prices = await shop.declare({"price": {"type": "integer", "x-class": "terms", "x-grade": 1}}, name="prices")
    with pytest.raises(Conflicting, match="not_personal"):
        check_new(await desk.new(dataset=prices), desk.now)


async def test_of_an_item_that_can_do_without_each_field_at_least_one_is_given(shop: Shop) -> None:
    desk = await opened_desk(shop)
    record = await desk.propose(fields=frozenset({"city"}))
    for nothing in (None, frozenset[str]()):
        with pytest.raises(Invalid) as refused:
            await desk.act(record, Event.GIVE, fields=nothing)
        assert refused.value.field == "/fields"
    await desk.act(record, Event.GIVE, fields=frozenset({"city"}))
    assert await desk.live() == 1


async def test_a_sensitive_field_on_paper_is_confirmed_without_being_named_once_more(shop: Shop) -> None:
    desk = await opened_desk(shop, of=PATIENT)
    paper = {"origin": "offline", "given_at": desk.now - 100, "evidence_sha256": "e" * 64}
    one, asked = await desk.propose("C1", **paper), await desk.propose("C2")
    with pytest.raises(Invalid, match="not_explicit"):
        await desk.act(asked, Event.GIVE)
    assert (await desk.act(one, Event.CONFIRM)).fields == (
        await desk.act(asked, Event.GIVE, fields=frozenset(PATIENT))
    ).fields


async def test_contact_is_permitted_apart_from_any_disclosure(shop: Shop) -> None:
    desk = await opened_desk(shop)
    contact = await desk.propose(kind="contact", fields=frozenset(), channels=frozenset({"sms"}))
    for wrong in (frozenset[str](), frozenset({"email"}), frozenset({"sms", "email"})):
        with pytest.raises(Invalid) as refused:
            await desk.act(contact, Event.GIVE, fields=wrong)
        assert refused.value.field == "/channels"
    await desk.act(contact, Event.GIVE)
    assert (await desk.state(contact), await desk.live()) == ("given", 0)
    await desk.record(statement(desk.now - 5))
    assert await desk.live() == 1
    await desk.act(contact, Event.WITHDRAW)
    assert (await desk.state(contact), await desk.live()) == ("withdrawn", 1)
    with pytest.raises(Invalid):
        await desk.propose(kind="contact", fields=frozenset(), channels=frozenset({"wechat"}))
    stated = {name: value for name, value in statement(desk.now).items() if name != "fields"}
    assert (await desk.record(stated | {"subject": "C2", "channels": ["email"]}))[0]["result"] == "recorded"
    assert await desk.live() == 1


async def test_a_contact_withdrawn_on_the_page_keeps_no_disclosure_out_that_was_given_before(shop: Shop) -> None:
    desk = await opened_desk(shop)
    contact = await desk.propose(kind="contact", fields=frozenset(), channels=frozenset({"sms"}))
    await desk.act(contact, Event.GIVE)
    await desk.act(contact, Event.WITHDRAW)
    assert [one["result"] for one in await desk.record(statement(desk.now - 5))] == ["recorded"]
    assert await desk.live() == 1


@pytest.mark.parametrize(
    ("given_ago_s", "outcome"),
    [
        (50, {"result": "unchanged"}),
        (49, {"result": "recorded"}),
        (51, {"result": "outdated", "because": "newer_consent"}),
    ],
)
async def test_a_contact_that_stands_is_no_withdrawal_of_what_is_stated_beside_it(
    shop: Shop, given_ago_s: int, outcome: dict[str, str]
) -> None:
    desk = await opened_desk(shop)
    contact = {name: of for name, of in statement(desk.now - 50, channels=["email"]).items() if name != "fields"}
    await desk.record(contact)
    [told] = await desk.record(contact | {"given_at": instant(desk.now - given_ago_s)})
    assert {name: said for name, said in told.items() if name != "id"} == outcome


async def test_only_a_guardian_gives_for_a_child_and_the_child_is_asked_at_14(shop: Shop) -> None:
    desk = await opened_desk(shop)
    birthday = desk.now + 1_000
    with pytest.raises(Invalid):
        await desk.propose(age_band="under_14")
    record = await desk.propose(age_band="under_14", turns_14_at=birthday, fields=frozenset({"number"}))
    with pytest.raises(Invalid, match="guardian_needed"):
        await desk.act(record, Event.GIVE)
    await desk.act(record, Event.NEED_GUARDIAN)
    for wrong in ({"relation": "neighbour", "verified": "x"}, {"relation": "parent", "verified": ""}):
        with pytest.raises(Invalid, match="invalid_consent") as refused:
            await desk.act(record, Event.CONFIRM, details={"guardian": wrong})
        assert refused.value.field == "/guardian"
    for lacking in ({}, {"guardian": {"relation": "parent"}}):
        with pytest.raises(Invalid):
            await desk.act(record, Event.CONFIRM, details=lacking)
    confirmed = await desk.act(record, Event.CONFIRM, details={"guardian": MOTHER})
    assert confirmed.guardian == Guardian(**MOTHER)
    assert await desk.live() == 1
    shop.clock.now = birthday * 1000
    assert (await desk.live(), await desk.state(record)) == (0, "stale")
    assert await desk.consents.overtaken.settle() == 1
    assert (await desk.show(record))["events"][-1]["event"] == "age"


async def test_of_unknown_age_in_a_dataset_for_children_is_treated_as_under_14(shop: Shop) -> None:
    schema = {"type": "object", "x-kind": "personal", "x-subject-field": "number", "x-for-children": True}
    told = await shop.datasets.declare(
        shop.owner, "pupils", schema | {"properties": {"number": PATIENT["number"]}}, key=None
    )
    [found] = [one for one in await shop.datasets.page(shop.owner, after="", limit=9) if one.id.encode() in told]
    desk = await Desk(shop, found).publish()
    record = await desk.propose(age_band="unknown")
    with pytest.raises(Invalid, match="guardian_needed"):
        await desk.act(record, Event.GIVE)
    with pytest.raises(Invalid) as refused:
        await desk.record(statement(desk.now - 5, fields=["number"], age_band="unknown"))
    assert refused.value.field == "/consents/0/guardian"
    grown_up = await desk.propose("C2", age_band="14_to_17")
    assert (await desk.act(grown_up, Event.GIVE)).guardian is None


async def test_the_last_use_consumes_it_and_marks_are_left_once(shop_on_both: Shop) -> None:
    shop, told = shop_on_both, Told()
    desk = await opened_desk(shop, followers=told)
    [one] = await desk.record(statement(desk.now - 5, max_uses=2))
    database = shop.database
    for number in range(2):
        marking = Marking.of([(one["id"], COUNTED), (one["id"], COUNTED)])
        assert marking is not None
        async with database.transaction() as tx:
            assert await marking.stand(tx)
            await marking.write(tx, 1_000 + number)
    shown = await desk.show(one["id"])
    assert (shown["disclosed_at"], shown["uses_left"], shown["state"]) == (1_000, 0, "consumed")
    assert await desk.live() == 0
    spent = Marking([], [one["id"]])
    async with database.transaction() as tx:
        assert not await spent.stand(tx)
    assert Marking.of([]) is None
    assert Marking.of([("a", 0)]) is None
    assert Marking.of([("a", FIRST)]) is not None
    assert await desk.consents.overtaken.settle() == 1
    assert await desk.consents.overtaken.settle() == 0
    assert told.causes() == ["consumed"]


async def test_revoking_what_has_expired_finds_it_expired(shop: Shop) -> None:
    told = Told()
    desk = await opened_desk(shop, followers=told)
    record = await desk.propose(expires_after_s=10)
    await desk.act(record, Event.GIVE, fields=frozenset({"number"}))
    with pytest.raises(Conflicting, match="not_due"):
        await desk.act(record, Event.EXPIRE)
    shop.clock.now += 10_000
    assert (await desk.state(record), await desk.live()) == ("expired", 0)
    with pytest.raises(Conflicting, match="expired"):
        await desk.act(record, Event.REVOKE)
    assert await desk.withdraw() == []
    assert set(told.causes()) == {"expired"}
    assert (await desk.show(record))["state"] == "expired"


async def test_a_request_that_nobody_answers_lapses(shop: Shop) -> None:
    desk = await opened_desk(shop)
    record = await desk.propose(answer_by=desk.now + 10)
    shop.clock.now += 10_000
    with pytest.raises(Conflicting, match="lapsed"):
        await desk.act(record, Event.GIVE, fields=frozenset({"number"}))
    assert await desk.consents.overtaken.settle() == 1
    assert await desk.state(record) == "lapsed"


async def test_a_step_that_takes_something_away_must_narrow(shop: Shop) -> None:
    desk = await opened_desk(shop)
    [told] = await desk.record(statement(desk.now - 5))
    with pytest.raises(AssertionError):
        async with shop.ledger.changing(AIRLINE) as change:
            await desk.consents.records.act(change, told["id"], Event.WITHDRAW, actor={"person": "p"})
    assert await desk.live() == 1


async def test_a_withdrawal_does_not_wait_for_a_key_to_sign_with(shop: Shop) -> None:
    desk = await opened_desk(shop)
    [told] = await desk.record(statement(desk.now - 5))
    signer: ReceiptSigner = desk.signer
    signer.hold(None, "")
    assert await desk.withdraw() == [told["id"]]
    signer.hold(desk.key, "k1")
    kept = await desk.consents.receipts.of(shop.database, told["id"])
    assert [one.kind for one in kept] == ["given", "withdrawn"]


async def test_no_event_can_be_changed_or_taken_out_unnoticed(shop: Shop, sqlite_path: Path) -> None:
    desk = await opened_desk(shop)
    record = await desk.propose()
    await desk.act(record, Event.SERVE)
    await desk.act(record, Event.REFUSE)
    with sqlite3.connect(sqlite_path) as connection:
        for text in ("UPDATE consent_event SET event = 'give'", "DELETE FROM consent_event"):
            with pytest.raises(sqlite3.IntegrityError, match="kept"):
                connection.execute(text)
    connection.close()
    told: list[dict[str, Any]] = [dict(one) for one in await events_of(shop.database, record)]  # type: ignore[call-overload]
    assert is_chained(told)
    assert not is_chained(told[1:])
    assert not is_chained([told[0], told[2]])
    assert not is_chained([told[0] | {"details": "{}", "at": 1}, *told[1:]])


async def test_a_history_that_was_rewritten_past_the_guards_is_shown_as_such(shop: Shop, sqlite_path: Path) -> None:
    desk = await opened_desk(shop)
    record = await desk.propose()
    await desk.act(record, Event.REFUSE)
    assert (await desk.show(record))["history_intact"]
    with sqlite3.connect(sqlite_path) as connection:
        guards = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'consent_event'"
        for (name,) in connection.execute(guards).fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE consent_event SET event = 'give', state = 'given' WHERE event = 'refuse'")
    connection.close()
    assert not (await desk.show(record))["history_intact"]


async def test_merged_duplicates_keep_only_what_neither_withdrew(shop: Shop) -> None:
    desk = await opened_desk(shop)
    [one], [two] = [await desk.record(statement(desk.now - 5, subject=who)) for who in ("C1", "C2")]
    [kept] = await desk.record(statement(desk.now - 5, subject="C2", recipient=HOTEL))
    await desk.withdraw("C1")
    [later] = await desk.record(statement(desk.now - 5, subject="C3"))
    refused = await desk.propose("C4", recipient=HOTEL)
    await desk.act(refused, Event.REFUSE)
    merging = desk.consents.merging
    before = await desk.narrowing()
    first = await merging.merge(shop.owner, desk.dataset.id, person="C1", duplicate="C2")
    assert [await desk.state(record["id"]) for record in (one, two, kept, later)] == [
        *("withdrawn", "withdrawn", "withdrawn", "given"),
    ]
    assert two["id"].encode() in first
    assert await desk.narrowing() == before + 1
    assert (await desk.entries())[-1]["act"] == "persons_merged"
    again = await merging.merge(shop.owner, desk.dataset.id, person="C2", duplicate="C1")
    assert b'"withdrawn":[]' in again
    assert (await desk.record(statement(desk.now, subject="C2")))[0]["result"] == "outdated"
    with pytest.raises(Invalid):
        await merging.merge(shop.owner, desk.dataset.id, person="C1", duplicate=" C1 ")


async def test_what_the_clock_ended_is_recorded_in_as_many_transactions_as_it_takes(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await opened_desk(shop)
    soon = instant(desk.now + 1)
    told = [await desk.record(statement(desk.now, subject=f"C{n}", expires_at=soon)) for n in range(3)]
    shop.clock.now += 1_000
    monkeypatch.setattr(overtaken, "_LONGEST_TRANSACTION_S", -1)
    before = await desk.narrowing()
    assert await desk.consents.overtaken.settle() == 3
    assert await desk.narrowing() == before + 3
    assert {(await desk.show(one["id"]))["ended_at"] for [one] in told} == {desk.now}


async def test_consents_are_recorded_in_as_many_transactions_as_it_takes(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await opened_desk(shop)
    monkeypatch.setattr(recording, "_LONGEST_TRANSACTION_S", -1)
    told = await desk.record(*[statement(desk.now, subject=f"C{n}") for n in range(3)])
    assert [one["result"] for one in told] == ["recorded"] * 3
    assert [entry["count"] for entry in await desk.entries() if entry["act"] == "consents_recorded"][-3:] == [1, 1, 1]


async def test_withdrawing_a_contact_by_its_id_leaves_the_disclosure(shop: Shop) -> None:
    desk = await opened_desk(shop)
    [disclosure] = await desk.record(statement(desk.now))
    contact = await desk.propose(kind="contact", fields=frozenset(), channels=frozenset({"sms"}))
    await desk.act(contact, Event.GIVE)
    await desk.consents.withdrawing.one(shop.owner, contact)
    assert (await desk.state(contact), await desk.live()) == ("withdrawn", 1)
    await desk.consents.withdrawing.one(shop.owner, disclosure["id"])
    assert await desk.live() == 0


async def test_merging_leaves_what_was_given_after_the_withdrawal_however_often(shop: Shop) -> None:
    desk = await opened_desk(shop)
    for who in ("C1", "C2"):
        await desk.record(statement(desk.now - 5, subject=who))
    await desk.withdraw("C1")
    shop.clock.now += 2_000
    [newer] = await desk.record(statement(desk.now, subject="C1"))
    shop.clock.now += 2_000
    for _ in range(2):
        await desk.consents.merging.merge(shop.owner, desk.dataset.id, person="C1", duplicate="C2")
        assert await desk.state(newer["id"]) == "given"
    assert await desk.live() == 1


async def test_a_refusal_of_one_duplicate_ends_what_the_other_gave_before(shop: Shop) -> None:
    desk = await opened_desk(shop)
    [one] = await desk.record(statement(desk.now - 5, subject="C1"))
    await desk.act(await desk.propose("C2"), Event.REFUSE)
    await desk.consents.merging.merge(shop.owner, desk.dataset.id, person="C1", duplicate="C2")
    assert await desk.state(one["id"]) == "withdrawn"


@pytest.mark.parametrize("on_the_page", [False, True])
async def test_a_later_withdrawal_as_one_duplicate_reaches_every_other(shop: Shop, *, on_the_page: bool) -> None:
    desk = await opened_desk(shop)
    merge = desk.consents.merging.merge
    for duplicate in ("C2", "C3"):
        await merge(shop.owner, desk.dataset.id, person=duplicate, duplicate="C1" if duplicate == "C2" else "C2")
    given = [(await desk.record(statement(desk.now - 5, subject=who)))[0]["id"] for who in ("C1", "C2", "C3", "C4")]
    [other] = await desk.record(statement(desk.now - 5, subject="C3", recipient=HOTEL))
    if on_the_page:
        await desk.act(given[0], Event.WITHDRAW)
    else:
        await desk.consents.withdrawing.one(shop.owner, given[0])
    assert [await desk.state(one) for one in given] == [*["withdrawn"] * 3, "given"]
    assert await desk.state(other["id"]) == "given", "for another recipient"
    assert (await desk.record(statement(desk.now - 5, subject="C3")))[0]["result"] == "outdated"


@pytest.mark.parametrize("event", [Event.WITHDRAW, Event.REFUSE])
async def test_what_a_person_decides_against_in_one_dataset_stands_in_another(shop: Shop, event: Event) -> None:
    desk, other = await opened_desk(shop), await opened_desk(shop, "other customers")
    [here], [there] = [await one.record(statement(one.now - 5)) for one in (desk, other)]
    shop.clock.now += 1_000
    await desk.act(await desk.propose() if event is Event.REFUSE else here["id"], event)
    assert [await desk.state(here["id"]), await other.state(there["id"])] == ["withdrawn", "given"]
    assert [await desk.live(), await other.live()] == [0, 1]


async def test_paper_beside_a_refusal_waits_to_be_refused_by_itself_and_is_not_made_good(shop: Shop) -> None:
    desk = await opened_desk(shop)
    paper = await desk.propose(origin="offline", given_at=desk.now - 100, evidence_sha256="e" * 64)
    await desk.act(await desk.propose(), Event.REFUSE)
    assert await desk.state(paper) == "imported"
    with pytest.raises(Conflicting, match="cooling_down"):
        await desk.act(paper, Event.CONFIRM)
    assert await desk.live() == 0
    await desk.act(paper, Event.REFUSE)
    assert await desk.state(paper) == "refused"


_NUMBERS = count()
STEPS = st.lists(st.tuples(st.sampled_from(Event), st.integers(0, 3)), max_size=12)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_whatever_happens_the_row_that_reads_join_says_what_the_record_says(
    shop: Shop, steps: list[tuple[Event, int]]
) -> None:
    number = next(_NUMBERS)
    desk = await opened_desk(shop, name=f"people {number}")
    record = await desk.propose(f"C{number}", expires_after_s=4, answer_by=desk.now + 6, max_uses=1)
    ended = False
    for event, pause in [*steps, (Event.GIVE, 0)]:
        shop.clock.now += pause * 1_000
        try:
            given_fields = frozenset({"number", "city"}) if event is Event.GIVE else None
            await desk.act(record, event, fields=given_fields, details={"guardian": MOTHER})
        except GatewayError:
            pass
        state = await desk.state(record)
        assert await desk.live() == (state == "given")
        assert not (ended and state == "given")
        ended = ended or state in {"withdrawn", "revoked", "expired", "invalidated", "refused", "lapsed", "stale"}
    assert is_chained(await events_of(shop.database, record))


async def test_a_contact_withdrawn_in_this_second_is_not_given_again_in_it(shop: Shop) -> None:
    desk = await opened_desk(shop)
    asked: dict[str, Any] = {"kind": "contact", "fields": frozenset(), "channels": frozenset({"sms"})}
    first = await desk.propose(**asked)
    await desk.act(first, Event.GIVE)
    await desk.act(first, Event.WITHDRAW)
    again = await desk.propose(**asked)
    with pytest.raises(Conflicting, match="withdrawn"):
        await desk.act(again, Event.GIVE)
