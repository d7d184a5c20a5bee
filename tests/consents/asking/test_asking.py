"""A customer is asked by a link, looks, has a code sent, and decides item by item; silence is no consent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.consents.asking import Choice, Decision, Kind
from gateway.consents.contacts import Address, Channel, Contacts, Role
from gateway.consents.states import State
from gateway.errors import Conflicting, Invalid, NotFound, TooManyAttempts
from gateway.vault.keyring import KeyRing
from tests.alliance import PERSONAL_SCHEMA, instant
from tests.consents.asking.world import BROWSER, World

pytestmark = pytest.mark.asyncio(loop_scope="package")
DAY_S = 24 * 3600


async def test_the_customer_gives_with_the_code_and_only_what_was_turned_on(world: World) -> None:
    phone, made = await world.asked()
    [record] = made["records"]
    visit = await world.visit(phone)
    assert (visit.kind, visit.request_id, visit.language) == (Kind.REQUEST, made["id"], "en")
    code = await world.code(visit, phone)
    confirmed = await world.asking.confirm(visit, code, {record: Decision(Choice.GIVE)})
    assert confirmed.is_confirmed(world.clock())
    assert await world.states(made["id"]) == ["given"]
    assert await world.state(made["id"]) == "answered"
    [kept] = await world.asking.about(confirmed)
    dataset = await world.gateway.datasets.owned(await owner(world), world.dataset)
    assert kept.fields == dataset.bit("phone"), "the optional field was left off"


async def owner(world: World) -> Any:
    token = await world.bank.token()
    headers = [
        (b"authorization", f"DPoP {token}".encode()),
        (b"dpop", world.bank.proof("GET", f"{world.alliance.base}/v1/x", token).encode()),
    ]
    return await world.gateway.identity.authenticate("GET", "/v1/x", headers)


async def test_an_optional_field_is_given_once_it_is_turned_on_and_no_other_is(world: World) -> None:
    phone, made = await world.asked()
    [record] = made["records"]
    visit = await world.confirmed(phone)
    with pytest.raises(Invalid, match="not_optional"):
        await world.asking.decide(visit, {record: Decision(Choice.GIVE, frozenset({"id_number"}))})
    outcome = await world.asking.decide(visit, {record: Decision(Choice.GIVE, frozenset({"name"}))})
    assert outcome == {record: State.GIVEN}
    [kept] = await world.asking.about(visit)
    dataset = await world.gateway.datasets.owned(await owner(world), world.dataset)
    assert kept.fields == dataset.bit("phone") | dataset.bit("name")


async def test_giving_needs_the_code_and_refusing_does_not(world: World) -> None:
    phone, made = await world.asked()
    [record] = made["records"]
    visit = await world.visit(phone)
    with pytest.raises(Conflicting, match="not_confirmed"):
        await world.asking.decide(visit, {record: Decision(Choice.GIVE)})
    assert await world.states(made["id"]) == ["requested"]
    assert await world.asking.decide(visit, {record: Decision(Choice.REFUSE)}) == {record: State.REFUSED}
    assert await world.state(made["id"]) == "answered"
    again = await world.ask(phone)
    assert (again.status_code, again.json()["code"]) == (409, "cooling_down"), again.text


async def test_all_can_be_refused_at_once_and_nothing_can_be_given_at_once(world: World) -> None:
    phone, made = await world.asked(world.item(), world.contact("sms"))
    visit = await world.visit(phone)
    outcome = await world.asking.refuse_all(visit)
    assert set(outcome.values()) == {State.REFUSED}
    assert set(outcome) == set(made["records"])
    assert not [name for name in dir(world.asking) if "give" in name or "accept" in name]


async def test_whoever_has_just_given_withdraws_in_the_same_visit(world: World) -> None:
    phone, made = await world.asked()
    visit = await world.give(phone)
    assert await world.asking.withdraw(visit, made["records"]) == {made["records"][0]: State.WITHDRAWN}
    assert await world.states(made["id"]) == ["withdrawn"]


async def test_being_written_to_is_an_item_of_its_own(world: World) -> None:
    phone, made = await world.asked(world.item(), world.contact("sms", "phone"))
    visit = await world.confirmed(phone)
    [fields, channels] = made["records"]
    for wrong in (frozenset[str](), frozenset({"wechat"}), frozenset({"sms", "email"})):
        with pytest.raises(Invalid) as refused:
            await world.asking.decide(visit, {channels: Decision(Choice.GIVE, channels=wrong)})
        assert refused.value.field == "/channels"
    decisions = {fields: Decision(Choice.REFUSE), channels: Decision(Choice.GIVE, channels=frozenset({"sms"}))}
    assert await world.asking.decide(visit, decisions) == {fields: State.REFUSED, channels: State.GIVEN}
    [kept] = [one for one in await world.asking.about(visit) if one.id == channels]
    assert kept.channels == ("sms",)
    [told] = await events(world, channels, "give")
    assert told["channels"] == ["sms"]


async def test_nobody_is_asked_the_same_twice_at_once(world: World) -> None:
    phone, _ = await world.asked()
    again = await world.ask(phone)
    assert (again.status_code, again.json()["code"], again.json()["field"]) == (409, "asked_already", "/items/0")
    twice = await world.ask(world.phone(), world.item(), world.item())
    assert (twice.status_code, twice.json()["field"]) == (409, "/items/1")


async def test_that_a_notice_was_served_is_kept_without_the_address_or_the_browser(world: World) -> None:
    phone, made = await world.asked()
    await world.visit(phone)
    [served] = await events(world, made["records"][0], "serve")
    assert served["network"] == "203.0.113.0/24"
    assert (served["method"], served["path"]) == ("POST", "/my/link/")
    assert len(served["browser"]) == 64
    assert BROWSER.address not in str(served)
    assert BROWSER.user_agent not in str(served)


async def events(world: World, record: str, kind: str) -> list[dict[str, Any]]:
    from gateway.consents.events import events_of, read

    return [read(row["details"]) for row in await events_of(world.gateway.database, record) if row["event"] == kind]


async def test_closing_is_no_answer_and_is_reminded_of_once_and_then_lapses(world: World) -> None:
    phone, made = await world.asked()
    visit = await world.visit(phone)
    [record] = made["records"]
    assert await world.asking.decide(visit, {record: Decision(Choice.CLOSE)}) == {record: State.DEFERRED}
    assert await world.state(made["id"]) == "deferred"
    world.clock.pass_seconds(3 * DAY_S - 1)
    await world.asking.inviting.run()
    assert len(world.box.to(phone)) == 1
    world.clock.pass_seconds(1)
    first = world.box.link(phone)
    await world.asking.inviting.run()
    await world.asking.inviting.run()
    assert len(world.box.to(phone)) == 2
    assert "once" in world.box.to(phone)[-1]
    assert await world.asking.look(first) is None, "the earlier link opens nothing"
    assert await world.states(made["id"]) == ["requested"]
    again = await world.visit(phone)
    assert await world.asking.decide(again, {record: Decision(Choice.CLOSE)}) == {record: State.DEFERRED}
    world.clock.pass_seconds(3 * DAY_S)
    await world.asking.inviting.run()
    assert len(world.box.to(phone)) == 2, "one reminder"
    assert (await world.state(made["id"]), await world.states(made["id"])) == ("lapsed", ["lapsed"])


async def test_whoever_closed_may_come_back_over_the_same_link_and_give(world: World) -> None:
    phone, made = await world.asked()
    [record] = made["records"]
    await world.asking.decide(await world.visit(phone), {record: Decision(Choice.CLOSE)})
    await world.give(phone)
    assert await world.states(made["id"]) == ["given"]


async def test_silence_lapses_after_three_days_and_the_link_with_it(world: World) -> None:
    phone, made = await world.asked()
    world.clock.pass_seconds(3 * DAY_S)
    await world.asking.inviting.run()
    assert (await world.state(made["id"]), await world.states(made["id"])) == ("lapsed", ["lapsed"])
    assert await world.asking.look(world.box.link(phone)) is None


async def test_a_message_that_nobody_took_is_sent_again_with_another_link(world: World) -> None:
    world.box.deaf = True
    phone, made = await world.asked()
    world.clock.pass_seconds(60)
    await world.asking.inviting.run()
    world.box.deaf = False
    world.clock.pass_seconds(60)
    await world.asking.inviting.run()
    assert world.box.to(phone) == [], "its pause has doubled"
    world.clock.pass_seconds(60)
    await world.asking.inviting.run()
    assert (await world.visit(phone)).request_id == made["id"]
    world.clock.pass_seconds(3600)
    await world.asking.inviting.run()
    assert len(world.box.to(phone)) == 1


async def test_a_message_that_was_taken_unheard_is_sent_again_and_its_link_ends(world: World) -> None:
    world.box.lost = True
    phone, _ = await world.asked()
    first = world.box.link(phone)
    world.box.lost = False
    world.clock.pass_seconds(60)
    await world.asking.inviting.run()
    assert world.box.link(phone) != first
    assert await world.asking.look(first) is None
    assert await world.asking.look(world.box.link(phone)) is not None


async def test_the_same_request_twice_asks_once(world: World) -> None:
    phone = world.phone()
    token = await world.bank.token()
    said = {"subject": "C-twice", "notice_sha256": world.notice, "language": "zh-CN", "channel": "sms",
            "address": phone, "items": [world.item()]}  # fmt: skip
    path, key = f"/v1/datasets/{world.dataset}/consent-requests", {"Idempotency-Key": phone}
    first, second = [await world.bank.call("POST", path, token, json=said, headers=key) for _ in range(2)]
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert len(world.box.to(phone)) == 1
    assert "【bank】" in world.box.to(phone)[0]


async def test_mail_is_asked_by_mail(world: World) -> None:
    answer = await world.ask("li.na+bank@example.com", subject="C-mail")
    assert answer.status_code == 201, answer.text
    await world.give("li.na+bank@example.com")
    assert await world.states(answer.json()["id"]) == ["given"]


async def test_a_doubtful_number_is_asked_and_told_to_be_so(world: World) -> None:
    answer = await world.ask("14905001234")
    assert answer.json()["warnings"] == ["phone_doubtful"]
    assert world.box.to("+8614905001234")


@pytest.mark.parametrize(
    ("over", "field"),
    [
        ({"subject": ""}, "/subject"),
        ({"language": "fr"}, "/language"),
        ({"channel": "fax"}, "/channel"),
        ({"address": "12"}, "/address"),
        ({"notice_sha256": "0" * 64}, "/items/0/notice_sha256"),
        ({"notice_sha256": "x"}, "/notice_sha256"),
        ({"items": []}, "/items"),
        ({"items": [{}] * 21}, "/items"),
        ({"items": [{"purpose": "customer_referral"}]}, "/items/0/recipient"),
        ({"items": [{"recipient": "9" * 32, "purpose": "a", "fields": ["name"]}]}, "/items/0/recipient"),
        ({"more": 1}, "/more"),
        ({"age_band": "old"}, "/age_band"),
        ({"guardian": {"relation": "friend", "channel": "sms", "address": "13800138000"}}, "/guardian/relation"),
        ({"guardian": {"relation": "parent", "channel": "sms", "address": "1"}}, "/guardian/address"),
    ],
)
async def test_a_request_that_breaks_a_rule_is_named_and_nobody_is_written_to(
    world: World, over: dict[str, Any], field: str
) -> None:
    answer = await world.ask(world.phone(), **over)
    assert (answer.status_code, answer.json().get("field")) == (400, field), answer.text
    assert world.box.messages == []


async def test_only_the_owner_asks_and_only_the_owner_sees_how_it_goes(world: World) -> None:
    _, made = await world.asked()
    for stranger in (world.hotel, world.alliance.members["stranger"]):
        token = await stranger.token()
        assert (await stranger.get(f"/v1/consent-requests/{made['id']}", token)).status_code == 404
        answer = await stranger.post(f"/v1/datasets/{world.dataset}/consent-requests", token, {})
        assert answer.status_code == 404


async def test_a_child_is_asked_through_its_guardian_who_decides_with_a_code_of_its_own(world: World) -> None:
    guardian = world.phone()
    answer = await child(world, guardian)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert await world.states(made["id"]) == ["guardian_pending"]
    visit = await world.visit(guardian)
    assert (visit.kind, visit.persons[0].role) == (Kind.GUARDIAN, Role.GUARDIAN)
    [record] = made["records"]
    with pytest.raises(Conflicting, match="not_confirmed"):
        await world.asking.decide(visit, {record: Decision(Choice.GIVE)})
    await world.asking.confirm(visit, await world.code(visit, guardian), {record: Decision(Choice.GIVE)})
    assert await world.states(made["id"]) == ["given"]
    [kept] = await world.asking.about(visit)
    assert kept.guardian is not None
    assert (kept.guardian.relation, kept.guardian.verified) == ("parent", "link_and_code")


async def child(
    world: World, guardian: str, subject: str = "", turns_14_at: str = "2030-01-01T00:00:00Z", **about: Any
) -> Any:
    """A child's guardian is asked for its phone number; `about`: more of the item."""
    said = {
        "subject": subject or f"K{guardian[-5:]}",
        "notice_sha256": world.notice,
        "language": "zh-CN",
        "items": [world.item(**about)],
        "age_band": "under_14",
        "turns_14_at": turns_14_at,
        "guardian": {"relation": "parent", "channel": "sms", "address": guardian},
    }
    path = f"/v1/datasets/{world.dataset}/consent-requests"
    return await world.bank.post(path, await world.bank.token(), said)


async def test_a_guardian_gives_until_the_14th_birthday_and_refuses_after_it(world: World) -> None:
    guardian, birthday = world.phone(), world.bank.now + 1_800
    asked = await child(world, guardian, turns_14_at=instant(datetime.fromtimestamp(birthday, UTC)))
    visit = await world.confirmed(guardian)
    world.clock.pass_seconds(birthday - world.bank.now)
    with pytest.raises(Conflicting, match="of_age"):
        await world.asking.decide(visit, dict.fromkeys(asked.json()["records"], Decision(Choice.GIVE)))
    assert await world.states(asked.json()["id"]) == ["guardian_pending"]
    await world.asking.refuse_all(visit)
    assert await world.states(asked.json()["id"]) == ["refused"]


async def test_the_child_itself_cannot_give_and_its_own_number_is_no_guardians(world: World) -> None:
    own, guardian = world.phone(), world.phone()
    subject = f"K{own[-5:]}"
    assert (await contacts(world, (subject, own))).status_code == 200
    refused = await child(world, own, subject)
    assert (refused.status_code, refused.json()["code"]) == (400, "guardian_is_the_child")
    made = (await child(world, guardian, subject)).json()
    await world.asking.find(own, "zh-CN")
    await world.asking.finding.settle()
    visit = await world.confirmed(own)
    [record] = made["records"]
    with pytest.raises(Conflicting, match="guardian_only"):
        await world.asking.decide(visit, {record: Decision(Choice.GIVE)})
    assert await world.states(made["id"]) == ["guardian_pending"]


async def contacts(world: World, *stated: tuple[str, str]) -> Any:
    said = [{"subject": subject, "channel": "sms", "address": address} for subject, address in stated]
    path = f"/v1/datasets/{world.dataset}/contacts"
    return await world.bank.post(path, await world.bank.token(), {"contacts": said})


async def test_a_person_finds_everything_by_its_number_and_withdraws_all_of_it_at_once(world: World) -> None:
    phone, made = await world.asked()
    await world.give(phone)
    await world.asking.find(phone.removeprefix("+86"), "zh-CN")
    await world.asking.finding.settle()
    visit = await world.visit(phone)
    assert visit.kind is Kind.SELF_SERVICE
    with pytest.raises(Conflicting, match="not_confirmed"):
        await world.asking.withdraw_all(visit)
    confirmed = await world.asking.confirm(visit, await world.code(visit, phone))
    assert [one.id for one in await world.asking.about(confirmed)] == made["records"]
    assert set((await world.asking.withdraw_all(confirmed)).values()) == {State.WITHDRAWN}
    assert await world.asking.withdraw_all(confirmed) == {}
    await world.asking.leave(confirmed)


async def _brought(world: World, phone: str, given_at: str, dataset: str, notice: str) -> list[dict[str, str]]:
    """What becomes of a consent of before that the bank brings now."""
    said = {
        "subject": f"C{phone[-5:]}",
        "recipient": world.hotel.id,
        "purpose": "customer_referral",
        "fields": ["phone"],
        "given_at": given_at,
        "evidence_sha256": "e" * 64,
        "notice_sha256": notice,
    }
    answer = await world.bank.post(f"/v1/datasets/{dataset}/consents", await world.bank.token(), said)
    return list(answer.json()["consents"])


async def test_who_withdraws_everything_withdraws_what_is_brought_later_too(world: World) -> None:
    phone, _ = await world.asked()
    world.clock.pass_seconds(60)
    given_at = instant(datetime.fromtimestamp(world.bank.now, UTC))
    await world.asking.find(phone, "en")
    await world.asking.finding.settle()
    await world.asking.withdraw_all(await world.confirmed(phone))
    told = await _brought(world, phone, given_at, world.dataset, world.notice)
    assert told == [{"result": "outdated", "because": "withdrawn"}]
    assert [one for one in await world.entries() if one.get("act") == "everything_withdrawn"] != []


async def test_who_withdraws_everything_withdraws_what_is_brought_later_into_a_dataset_that_was_not_there_yet(
    world: World,
) -> None:
    phone, _ = await world.asked()
    world.clock.pass_seconds(60)
    given_at = instant(datetime.fromtimestamp(world.bank.now, UTC))
    await world.asking.withdraw_all(await world.confirmed_by_own_entry(phone))
    later = await world.bank.declare(PERSONAL_SCHEMA)
    told = await _brought(world, phone, given_at, later, await world.bank.notice(later, world.hotel))
    assert told == [{"result": "outdated", "because": "withdrawn"}]


async def test_whoever_could_be_reached_before_the_contact_key_was_renewed_comes_in_and_withdraws_after_it(
    world: World,
) -> None:
    phone, made = await world.asked()
    await world.give(phone)
    await world.renew_contact_key()
    visit = await world.found(phone)
    confirmed = await world.asking.confirm(visit, await world.code(visit, phone))
    assert await world.asking.withdraw_all(confirmed) == {made["records"][0]: State.WITHDRAWN}
    stated_later = world.phone()
    assert (await contacts(world, ("C-later", stated_later))).status_code == 200
    await world.found(stated_later)


async def test_a_request_goes_on_where_a_process_that_missed_the_renewal_states_the_address_again(world: World) -> None:
    before, database = world.clock(), world.gateway.database
    keyring = KeyRing(database, world.gateway.keyring._provider, lambda: before)
    missed_it = Contacts(database, keyring, world.clock)
    await missed_it.index.terms("sms", "+8613800138000")
    await world.renew_contact_key()
    phone, made = await world.asked()
    [person] = (await world.visit(phone)).persons
    reached = await missed_it.prepare(person, Address(Channel.SMS, phone))
    async with world.gateway.database.transaction() as tx:
        await missed_it.keep(tx, reached, world.clock())
    await world.give(phone)
    assert await world.states(made["id"]) == ["given"]


async def test_a_person_who_is_two_merged_subjects_withdraws_both_at_once(world: World) -> None:
    phone, first = await world.asked()
    await world.give(phone)
    world.clock.pass_seconds(61)
    second = await world.ask(phone, subject="C-again")
    assert second.status_code == 201, second.text
    await world.give(phone)
    pair = {"subject": f"C{phone[-5:]}", "duplicate": "C-again"}
    merged = await world.bank.post(f"/v1/datasets/{world.dataset}/merges", await world.bank.token(), pair)
    assert merged.json()["withdrawn"] == []
    await world.asking.find(phone, "en")
    await world.asking.finding.settle()
    confirmed = await world.confirmed(phone)
    outcome = await world.asking.withdraw_all(confirmed)
    assert outcome == dict.fromkeys([*first["records"], *second.json()["records"]], State.WITHDRAWN)


async def test_a_visit_ends_after_half_an_hour_and_when_it_is_left(world: World) -> None:
    phone, made = await world.asked()
    opened = await world.asking.open(world.box.link(phone), BROWSER)
    visit = await world.asking.confirm(opened.visit, await world.code(opened.visit, phone))
    world.clock.pass_seconds(1799)
    assert await world.asking.visit(opened.cookie) == visit
    world.clock.pass_seconds(1)
    assert await world.asking.visit(opened.cookie) is None
    with pytest.raises(Conflicting, match="not_confirmed"):
        await world.asking.decide(visit, {made["records"][0]: Decision(Choice.GIVE)})
    opened = await world.asking.open(world.box.link(phone), BROWSER)
    await world.asking.leave(opened.visit)
    assert await world.asking.visit(opened.cookie) is None


async def test_a_decision_names_the_text_that_was_on_the_page(world: World) -> None:
    phone, made = await world.asked()
    visit = await world.confirmed(phone)
    [record] = made["records"]
    with pytest.raises(Conflicting, match="other_notice"):
        await world.asking.decide(visit, {record: Decision(Choice.GIVE, notice_sha256="0" * 64)})
    given = {record: Decision(Choice.GIVE, notice_sha256=world.notice)}
    assert await world.asking.decide(visit, given) == {record: State.GIVEN}


async def test_a_decision_that_is_refused_leaves_the_code_unused_and_nothing_changed(world: World) -> None:
    phone, made = await world.asked()
    visit = await world.visit(phone)
    code = await world.code(visit, phone)
    before = len(await world.entries())
    with pytest.raises(NotFound):
        await world.asking.confirm(visit, code, dict.fromkeys([*made["records"], "0" * 32], Decision(Choice.GIVE)))
    assert len(await world.entries()) == before
    assert await world.states(made["id"]) == ["requested"]
    assert (await world.asking.confirm(visit, code)).is_confirmed(world.clock())


async def test_codes_come_a_minute_apart_and_five_a_day_whichever_visit_asks(world: World) -> None:
    phone, _ = await world.asked()
    visit = await world.visit(phone)
    for _ in range(5):
        await world.code(visit, phone)
        with pytest.raises(TooManyAttempts, match="code_too_soon"):
            await world.asking.send_code(visit)
    other = await world.visit(phone)
    world.clock.pass_seconds(61)
    with pytest.raises(TooManyAttempts, match="code_too_soon"):
        await world.asking.send_code(other)
    assert len([text for text in world.box.to(phone) if "code is" in text]) == 5
