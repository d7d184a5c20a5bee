"""What a notice must say, and what becomes of consents when it says something else."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from gateway.consents.notice_text import digest_of
from gateway.consents.notices import LONGEST_NAME
from gateway.consents.states import Event
from gateway.database import Query
from gateway.errors import Conflicting, Invalid, NotFound, Refused
from gateway.members.tables import alliance
from tests.catalog.conftest import AIRLINE, BANK, HOTEL, Shop, admitted, subject_of, uscc_of
from tests.consents.desk import PATIENT, Desk, opened_desk, statement
from tests.notices import TEXT, field, party

Spoil = Callable[[dict[str, Any]], Any]


def without(*path: str | int) -> Spoil:
    """Take this member out."""

    def spoil(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        del document[path[-1]]

    return spoil


def with_(value: Any, *path: str | int) -> Spoil:
    """Put this there."""

    def spoil(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = value

    return spoil


_LACKING: list[tuple[Spoil, str]] = [
    *((without(name), name) for name in ("kind", "jurisdiction", "controllers", "items", "storage_locations")),
    *((without(name), name) for name in ("withdrawal", "rights", "rights_contact", "automated_decisions")),
    *(
        (without("items", 0, name), f"items/0/{name}")
        for name in ("recipient", "purpose", "purpose_text", "methods", "retention")
    ),
    *((without("items", 0, "recipient", name), f"items/0/recipient/{name}") for name in ("name", "uscc", "contact")),
    (without("items", 0, "retention", "after"), "items/0/retention/after"),
    (without("items", 0, "purpose_text", "zh-CN"), "items/0/purpose_text/zh-CN"),
    (with_(" ", "items", 0, "purpose_text", "en"), "items/0/purpose_text/en"),
    *((without("items", 0, "fields", 0, name), f"items/0/fields/0/{name}") for name in ("category", "need", "reason")),
    (with_("urgent", "kind"), "kind"),
    (with_("partners", "items", 0, "recipient"), "items/0/recipient"),
    (with_([party(BANK, uscc_of(1))], "items", 0, "recipient"), "items/0/recipient"),
    (with_("partners", "items", 0, "recipient", "member"), "items/0/recipient/member"),
    (with_("9" * 32, "items", 0, "recipient", "member"), "items/0/recipient/member"),
    (with_(AIRLINE, "items", 0, "recipient", "member"), "items/0/recipient/member"),
    (with_(uscc_of(2), "items", 0, "recipient", "uscc"), "items/0/recipient/uscc"),
    (with_("91310000MA1000000X", "items", 0, "recipient", "uscc"), "items/0/recipient/uscc"),
    (with_("US", "items", 0, "recipient", "country"), "items/0/recipient/country"),
    (with_("US", "jurisdiction"), "items/0/cross_border"),
    (with_({"used": True}, "automated_decisions"), "automated_decisions/explanation"),
    (with_("personalisation", "items", 0, "purpose"), "automated_decisions/used"),
    (with_([party(BANK, uscc_of(1))], "controllers"), "controllers"),
    (with_("nothing", "items", 0, "fields", 0, "name"), "items/0/fields/0/name"),
    (with_("number", "items", 0, "fields", 1, "name"), "items/0/fields/1/name"),
    (with_(False, "items", 0, "fields", 2, "sensitive"), "items/0/fields/2/sensitive"),
    (without("items", 0, "fields", 2, "necessity"), "items/0/fields/2/necessity"),
    (without("items", 0, "fields", 2, "impact"), "items/0/fields/2/impact"),
    (without("items", 0, "consequences"), "items/0/consequences"),
    (without("items", 0, "security"), "items/0/security"),
    (without("items", 0, "fields"), "items/0"),
    (with_(["sms"], "items", 0, "channels"), "items/0"),
    (with_(["fax"], "items", 2, "channels"), "items/2/channels/0"),
    (with_(1, "more"), "more"),
    (lambda document: document["items"].append(document["items"][0]), "items/3"),
]


async def test_what_a_notice_lacks_is_named_and_it_is_not_published(shop: Shop) -> None:
    desk = Desk(shop, await shop.declare(PATIENT, person="number"))
    for spoil, at in _LACKING:
        document = desk.document()
        spoil(document)
        with pytest.raises(Invalid) as refused:
            await desk.publish(document)
        assert refused.value.field == f"/document/{at}", refused.value.detail
    [draft] = await desk.consents.notices.of_dataset(shop.owner, desk.dataset.id)
    assert (draft.state, draft.version) == ("draft", 1)
    await desk.publish()


async def test_a_company_of_another_alliance_is_no_recipient(shop: Shop) -> None:
    desk, foreign = Desk(shop, await shop.declare(PATIENT, person="number")), "9" * 32
    async with shop.database.transaction() as tx:
        now = shop.clock.now
        await tx.run(Query(insert(alliance)), id="b" * 32, name="Elsewhere", created_at=now, environment="test")
        await admitted(tx, "b" * 32, foreign, 3, now)
    document = desk.document()
    document["items"][0]["recipient"] = party(foreign, uscc_of(3))
    with pytest.raises(Invalid) as refused:
        await desk.publish(document)
    assert refused.value.field == "/document/items/0/recipient/member"


_ABROAD = {"mechanism": "standard_contract", "number": "2026-1"}
_EXPLAINED = {"used": True, "explanation": TEXT}


@pytest.mark.parametrize(
    "told",
    [
        [with_("US", "jurisdiction"), *(with_(_ABROAD, "items", at, "cross_border") for at in range(3))],
        [with_(_EXPLAINED, "automated_decisions")],
        [with_(_EXPLAINED, "automated_decisions"), with_("personalisation", "items", 0, "purpose")],
    ],
)
async def test_a_notice_that_says_on_what_ground_data_leaves_and_how_machines_decide_is_published(
    shop: Shop, told: list[Spoil]
) -> None:
    desk = Desk(shop, await shop.declare(PATIENT, person="number"))
    document = desk.document()
    for put in told:
        put(document)
    await desk.publish(document)
    assert desk.notice is not None
    assert desk.notice.document == document


async def test_a_change_of_how_machines_decide_makes_every_consent_stale(shop: Shop) -> None:
    desk = await opened_desk(shop)
    await desk.record(*(statement(desk.now - 5, recipient=of) for of in (BANK, HOTEL)))
    shop.clock.now += 1_000
    await desk.publish(desk.document() | {"automated_decisions": {"used": True, "explanation": TEXT}}, ago=0)
    assert await desk.live() == 0


async def test_a_notice_has_a_name_is_about_persons_and_was_not_in_use_in_time_to_come(shop: Shop) -> None:
    desk = await opened_desk(shop)
    notices, document = desk.consents.notices, desk.document()
    for name, code in (
        ("", "invalid_name"),
        ("n" * (LONGEST_NAME + 1), "invalid_name"),
        ("line\nline", "not_shown_as_written"),
    ):
        with pytest.raises(Invalid, match=code):
            await notices.draft(shop.owner, desk.dataset.id, name, document)
    prices = await shop.declare({"price": {"type": "integer", "x-class": "terms", "x-grade": 1}}, name="prices")
    with pytest.raises(Conflicting, match="not_personal"):
        await notices.draft(shop.owner, prices.id, "prices", document)
    drafted = await notices.draft(shop.owner, desk.dataset.id, "n" * LONGEST_NAME, document)
    with pytest.raises(Invalid, match="invalid_used_from"):
        await notices.publish(shop.owner, drafted.id, used_from=desk.now + 1)
    assert (await notices.publish(shop.owner, drafted.id, used_from=desk.now)).version == 1


async def test_a_published_notice_keeps_its_text_for_ever(shop: Shop, sqlite_path: Path) -> None:
    desk = await opened_desk(shop)
    with sqlite3.connect(sqlite_path) as connection:
        for statement_text in ("UPDATE notice SET document = '{}'", "DELETE FROM notice"):
            with pytest.raises(sqlite3.IntegrityError, match="archived"):
                connection.execute(statement_text)
    connection.close()
    assert desk.notice is not None
    shown = await desk.consents.notices.show(shop.owner, desk.notice.id)
    assert digest_of(shown.document) == shown.sha256
    with pytest.raises(Conflicting, match="wrong_state"):
        await desk.consents.notices.publish(shop.owner, desk.notice.id)


async def test_only_the_datasets_owner_drafts_publishes_or_sees(shop: Shop) -> None:
    desk = await opened_desk(shop)
    assert desk.notice is not None
    notices = desk.consents.notices
    with pytest.raises(NotFound):
        await notices.draft(subject_of(BANK), desk.dataset.id, "x", {})
    with pytest.raises(NotFound):
        await notices.show(subject_of(BANK), desk.notice.id)
    with pytest.raises(NotFound):
        await notices.retire(subject_of(BANK), desk.notice.id)
    with pytest.raises(Refused):
        await notices.draft(subject_of(AIRLINE, actions=["upload"]), desk.dataset.id, "x", {})


@pytest.mark.parametrize(
    "change",
    [
        with_({"zh-CN": "另一目的", "en": "Another purpose."}, "items", 0, "purpose_text"),
        with_({"zh-CN": "另一方式", "en": "Another method."}, "items", 0, "methods"),
        with_("另一公司", "items", 0, "recipient", "name"),
        with_({"period": "P2Y", "after": "deleted"}, "items", 0, "retention"),
        without("items", 0, "fields", 1),
        without("items", 0),
        with_("necessary", "items", 0, "fields", 1, "need"),
    ],
)
async def test_a_material_change_makes_the_consents_to_that_item_stale_and_no_others(shop: Shop, change: Spoil) -> None:
    desk = await opened_desk(shop)
    [bank], [hotel] = [await desk.record(statement(desk.now - 5, recipient=of)) for of in (BANK, HOTEL)]
    contact = await desk.propose(kind="contact", fields=frozenset(), channels=frozenset({"sms"}))
    before = await desk.narrowing()
    document = desk.document()
    change(document)
    shop.clock.now += 1_000
    await desk.publish(document, ago=0)
    assert await desk.live() == 1
    assert await desk.narrowing() > before
    assert [await desk.state(one["id"]) for one in (bank, hotel)] == ["stale", "given"]
    assert await desk.state(contact) == "requested"
    assert await desk.consents.overtaken.settle() == 1
    assert [(await desk.show(one["id"]))["state"] for one in (bank, hotel)] == ["stale", "given"]
    assert (await desk.show(bank["id"]))["events"][-1]["event"] == "age"
    assert desk.notice is not None
    assert (desk.notice.version, desk.notice.material) == (2, True)


async def test_an_editorial_change_leaves_every_consent_standing(shop: Shop) -> None:
    desk = await opened_desk(shop)
    [told] = await desk.record(statement(desk.now - 5))
    document = desk.document() | {"rights_contact": "another@example.com"}
    document["items"][0]["fields"][0]["reason"] = {"zh-CN": "更清楚的说明", "en": "Said more clearly."}
    shop.clock.now += 1_000
    await desk.publish(document, ago=0)
    assert await desk.state(told["id"]) == "given"
    assert desk.notice is not None
    assert not desk.notice.material


async def test_a_consent_under_a_text_that_was_changed_since_is_refused_however_old_it_is(shop: Shop) -> None:
    desk = await opened_desk(shop)
    former, given_s = desk.notice_sha256, desk.now - 5
    document = desk.document()
    document["items"][0]["methods"] = {"zh-CN": "另一方式", "en": "Another method."}
    shop.clock.now += 1_000
    await desk.publish(document, ago=0)
    with pytest.raises(Invalid, match="notice_changed") as refused:
        await desk.record(statement(given_s, notice_sha256=former))
    assert refused.value.field == "/consents/0/notice_sha256"
    [unchanged_item] = await desk.record(statement(given_s, notice_sha256=former, recipient=HOTEL))
    assert unchanged_item["result"] == "recorded"


async def test_a_consent_names_a_notice_that_was_in_force_when_it_was_given(shop: Shop) -> None:
    desk = Desk(shop, await shop.declare(PATIENT, person="number"))
    await desk.publish(ago=10)
    assert desk.notice is not None
    another = desk.document() | {"rights_contact": "another@example.com"}
    drafted = await desk.consents.notices.draft(shop.owner, desk.dataset.id, "referral", another)
    assert not drafted.in_force(desk.now)
    usual = statement(desk.now, fields=["number"])
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"notice_sha256": "0" * 64}, "notice_sha256"),
        ({"notice_sha256": drafted.sha256}, "notice_sha256"),
        ({"given_at": statement(desk.now - 11)["given_at"]}, "notice_sha256"),
        ({"purpose": "joint_marketing"}, "recipient"),
        ({"given_at": statement(desk.now + 1)["given_at"]}, "given_at"),
        ({"recipient": "partners"}, "recipient"),
    ]
    for changed, at in wrong:
        with pytest.raises(Invalid) as refused:
            await desk.record(usual | changed)
        assert refused.value.field == f"/consents/0/{at}"
    assert (await desk.record(usual))[0]["result"] == "recorded"
    shop.clock.now += 5_000
    await desk.consents.notices.retire(shop.owner, desk.notice.id)
    with pytest.raises(Invalid, match="notice"):
        await desk.record(statement(desk.now, subject="C2", fields=["number"]))
    assert await desk.live() == 1


async def test_fields_that_the_notice_does_not_name_are_refused(shop: Shop) -> None:
    desk = Desk(shop, await shop.declare(PATIENT, person="number"))
    await desk.publish(desk.document(fields=[field("number")]))
    with pytest.raises(Invalid) as refused:
        await desk.record(statement(desk.now - 5, fields=["number", "city"]))
    assert refused.value.field == "/consents/0/fields"
    assert desk.notice is not None
    for key in desk.notice.items:
        with pytest.raises(Invalid):
            desk.notice.require(key, ())


async def test_what_is_on_hold_goes_stale_with_a_material_change_and_is_not_lifted(shop: Shop) -> None:
    desk = await opened_desk(shop)
    [told] = await desk.record(statement(desk.now - 5))
    await desk.act(told["id"], Event.HOLD)
    document = desk.document()
    with_("另一公司", "items", 0, "recipient", "name")(document)
    shop.clock.now += 1_000
    await desk.publish(document, ago=0)
    with pytest.raises(Conflicting, match="wrong_state"):
        await desk.act(told["id"], Event.LIFT)
    assert (await desk.live(), await desk.state(told["id"])) == (0, "stale")
