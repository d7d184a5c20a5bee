"""Who would decide, spy or pester in a person's place: scanners, guessers, replayers, and members' own staff."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.consents.asking import Choice, Decision, tables
from gateway.consents.asking.budget import MOST_A_DAY
from gateway.consents.asking.codes import MOST_TRIES
from gateway.consents.asking.questions import Asked
from gateway.consents.contacts import FRESH_MS
from gateway.database import Query
from gateway.errors import Conflicting, GatewayError, Invalid, NotFound, TooManyAttempts
from tests.alliance import PERSONAL_SCHEMA
from tests.consents.asking.test_asking import child, contacts
from tests.consents.asking.world import BROWSER, World

pytestmark = pytest.mark.asyncio(loop_scope="package")
GIVE = Decision(Choice.GIVE)


async def rows(world: World) -> dict[str, int]:
    """How many rows there are of what looking or finding could make."""
    import sqlite3

    names = ("asking_link", "visit", "written_to", "consent_event", "leaf")
    with sqlite3.connect(world.gateway.settings.sqlite_path) as connection:
        counted = {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}
    connection.close()
    return counted


async def test_a_scanner_that_follows_every_link_decides_nothing_and_uses_nothing_up(world: World) -> None:
    phone, made = await world.asked()
    token, before = world.box.link(phone), await rows(world)
    for _ in range(50):
        assert await world.asking.look(token) is not None
    assert await rows(world) == before
    assert await world.states(made["id"]) == ["requested"]
    await world.give(phone)


async def test_a_used_link_opens_nothing_any_more(world: World) -> None:
    phone, _ = await world.asked()
    token = world.box.link(phone)
    await world.give(phone)
    assert await world.asking.look(token) is None
    with pytest.raises(NotFound):
        await world.asking.open(token, BROWSER)


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "\ud800", "0" * 100_000, "../../v1"])
async def test_unknown_expired_used_and_worn_out_links_look_alike(world: World, token: str) -> None:
    phone, _ = await world.asked()
    used, _ = world.box.link(phone), await world.give(phone)
    other, _ = await world.asked()
    worn = world.box.link(other)
    for _ in range(20):
        await world.asking.open(worn, BROWSER)
    told = set()
    for one in (token, used, worn):
        assert await world.asking.look(one) is None
        with pytest.raises(NotFound) as refused:
            await world.asking.open(one, BROWSER)
        told.add(str(refused.value))
    assert len(told) == 1


async def test_many_who_guess_at_once_have_five_tries_and_then_not_even_the_right_code_gives(world: World) -> None:
    phone, made = await world.asked()
    visit = await world.visit(phone)
    code = await world.code(visit, phone)
    guesses = [f"{(int(code) + step) % 10**6:06}" for step in range(1, 21)]

    async def guess(typed: str) -> str:
        try:
            await world.asking.confirm(visit, typed, dict.fromkeys(made["records"], GIVE))
        except GatewayError as error:
            return error.code
        return "given"

    told = await asyncio.gather(*map(guess, guesses))
    assert sorted(told) == ["code_over"] * (20 - MOST_TRIES) + ["code_wrong"] * MOST_TRIES
    assert await guess(code) == "code_over"
    assert await world.states(made["id"]) == ["requested"]


async def test_new_codes_for_new_guesses_come_five_times_a_day_at_most(world: World) -> None:
    """So whoever has the link, and not the number, has 25 tries in a million a day."""
    phone, _ = await world.asked()
    sent = 0
    for _ in range(MOST_A_DAY + 2):
        visit = await world.visit(phone)
        world.clock.pass_seconds(61)
        try:
            await world.asking.send_code(visit)
        except TooManyAttempts:
            continue
        sent += 1
    assert sent == MOST_A_DAY


async def test_a_code_of_one_visit_confirms_no_other(world: World) -> None:
    phone, _ = await world.asked()
    mine, other = await world.visit(phone), await world.visit(phone)
    code = await world.code(mine, phone)
    with pytest.raises(TooManyAttempts, match="code_over"):
        await world.asking.confirm(other, code)
    second = await world.code(other, phone)
    if second != code:
        with pytest.raises(Invalid, match="code_wrong"):
            await world.asking.confirm(other, code)
    assert (await world.asking.confirm(mine, code)).is_confirmed(world.clock())


async def test_a_visit_decides_nothing_of_anybody_else(world: World) -> None:
    phone, made = await world.asked()
    _, others = await world.asked()
    visit = await world.confirmed(phone)
    for record in (*others["records"], "0" * 32, ""):
        with pytest.raises(NotFound):
            await world.asking.decide(visit, {record: GIVE})
        with pytest.raises(NotFound):
            await world.asking.withdraw(visit, [record])
        with pytest.raises(NotFound):
            await world.asking.decide(visit, {made["records"][0]: GIVE, record: GIVE})
    assert await world.states(made["id"]) == await world.states(others["id"]) == ["requested"]


async def test_a_link_of_one_request_shows_nothing_of_the_persons_others(world: World) -> None:
    phone, first = await world.asked()
    await world.give(phone)
    second = (await world.ask(phone, world.contact("sms"))).json()
    visit = await world.confirmed(phone)
    assert [one.id for one in await world.asking.about(visit)] == second["records"]
    with pytest.raises(NotFound):
        await world.asking.withdraw(visit, first["records"])


async def test_known_and_unknown_numbers_are_answered_alike_and_leave_alike(world: World) -> None:
    """The same answer, and the same reads and writes before it: only a message, sent beside it, tells them apart."""
    known, _ = await world.asked()
    grown: list[dict[str, int]] = []
    told: list[None] = []
    for number in (known, world.phone(), "nobody@example.com"):
        before = await rows(world)
        told.append(await world.asking.find(number, "en"))  # type: ignore[func-returns-value]
        after = await rows(world)
        grown.append({name: after[name] - before[name] for name in after})
    await world.asking.finding.settle()
    assert told == [None, None, None]
    assert (
        grown[0]
        == grown[1]
        == grown[2]
        == {"asking_link": 1, "visit": 0, "written_to": 1, "consent_event": 0, "leaf": 0}
    )
    assert [one.address for one in world.box.messages] == [known, known]


async def test_whoever_asks_again_at_once_is_not_held_up_by_the_message_that_is_to_leave(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leaves later, when nobody knows; signing or encrypting it takes milliseconds that would tell of it."""
    phone, _ = await world.asked()
    monkeypatch.setattr("gateway.consents.asking.finding.PAUSES_MS", range(3_600_000, 3_600_001))
    await world.asking.find(phone, "en")
    await asyncio.sleep(0.05)
    assert len(world.box.to(phone)) == 1, "what it was asked"
    await world.asking.finding.settle()
    assert len(world.box.to(phone)) == 2
    monkeypatch.setattr("gateway.consents.asking.finding.PAUSES_MS", range(1, 2))
    world.clock.pass_seconds(61)
    await world.asking.find(phone, "en")
    await asyncio.gather(*world.asking.finding._leaving)
    assert len(world.box.to(phone)) == 3, "nobody has to hurry it"


async def test_finding_somebody_again_and_again_sends_five_links_a_day(world: World) -> None:
    phone, _ = await world.asked()
    for _ in range(12):
        await world.asking.find(phone, "en")
        await world.asking.find(phone, "en")
        world.clock.pass_seconds(61)
    await world.asking.finding.settle()
    assert len([text for text in world.box.to(phone) if "asked to see" in text]) == MOST_A_DAY


async def test_whoever_gets_a_recycled_number_finds_nothing_of_the_former_owner(world: World) -> None:
    phone, _ = await world.asked()
    await world.give(phone)
    world.clock.ms += FRESH_MS
    sent = len(world.box.to(phone))
    await world.asking.find(phone, "en")
    await world.asking.finding.settle()
    assert len(world.box.to(phone)) == sent
    assert (await contacts(world, (f"C{phone[-5:]}", phone))).status_code == 200
    world.clock.pass_seconds(61)
    await world.asking.find(phone, "en")
    await world.asking.finding.settle()
    assert len(world.box.to(phone)) == sent + 1, "its owner says that it is still the same person's"


async def test_a_link_leads_to_nobody_whose_number_is_trusted_no_more_since_it_was_sent(world: World) -> None:
    """What is stated again for another customer with the same number renews nothing for the former one."""
    phone, former = await world.asked()
    await world.give(phone)
    world.clock.ms += FRESH_MS - 3_600_000
    newer = await world.ask(phone, subject=f"N{phone[-5:]}")
    assert newer.status_code == 201, newer.text
    world.clock.pass_seconds(61)
    await world.asking.find(phone, "en")
    await world.asking.finding.settle()
    link = world.box.link(phone)
    world.clock.pass_seconds(3_600)
    visit = (await world.asking.open(link, BROWSER)).visit
    assert [one.id for one in await world.asking.about(visit)] == newer.json()["records"]
    confirmed = await world.asking.confirm(visit, await world.code(visit, phone))
    await world.asking.withdraw_all(confirmed)
    assert await world.states(former["id"]) == ["given"]


async def test_an_erasure_leaves_no_link_and_no_visit_that_leads_to_the_person(world: World) -> None:
    phone, _ = await world.asked()
    opened = await world.asking.open(world.box.link(phone), BROWSER)
    [person] = opened.visit.persons
    async with world.gateway.database.transaction() as tx:
        await world.asking.forget(tx, person.owner, person.pseudonym)
    assert await world.asking.visit(opened.cookie) is None
    for table in (tables.asking_link, tables.visit):
        leading = table.c.persons.contains(person.pseudonym)
        assert await world.gateway.database.all(Query(select(table).where(leading))) == []


async def test_a_link_is_worth_nothing_once_the_number_is_another_persons(world: World) -> None:
    phone, _ = await world.asked()
    token = world.box.link(phone)
    visit = await world.visit(phone)
    assert (await contacts(world, (f"C{phone[-5:]}", world.phone()))).status_code == 200
    with pytest.raises(NotFound):
        await world.asking.open(token, BROWSER)
    world.clock.pass_seconds(61)
    with pytest.raises(NotFound):
        await world.asking.send_code(visit)


async def corrected(world: World, phone: str) -> None:
    """The owner states another number for the person of this one."""
    assert (await contacts(world, (f"C{phone[-5:]}", world.phone()))).status_code == 200


async def test_a_visit_ends_once_its_number_turns_out_to_be_anothers(world: World) -> None:
    phone, _ = await world.asked()
    opened = await world.asking.open(world.box.link(phone), BROWSER)
    await world.asking.confirm(opened.visit, await world.code(opened.visit, phone))
    await corrected(world, phone)
    assert await world.asking.visit(opened.cookie) is None


async def test_a_link_to_a_number_that_turns_out_to_be_anothers_does_not_say_who_sent_it(world: World) -> None:
    phone, _ = await world.asked()
    link = world.box.link(phone)
    assert await world.asking.look(link) is not None
    await corrected(world, phone)
    assert await world.asking.look(link) is None


@pytest.mark.parametrize("choice", Choice)
async def test_whoever_has_the_wrong_number_decides_nothing_after_its_correction(world: World, choice: Choice) -> None:
    phone, made = await world.asked()
    visit = await world.confirmed(phone)
    await corrected(world, phone)
    before = len(await world.entries())
    with pytest.raises(NotFound):
        await world.asking.decide(visit, dict.fromkeys(made["records"], Decision(choice)))
    assert len(await world.entries()) == before
    assert await world.states(made["id"]) == ["requested"]


async def test_whoever_has_the_wrong_number_refuses_nothing_without_a_code_after_its_correction(world: World) -> None:
    phone, made = await world.asked()
    visit = await world.visit(phone)
    await corrected(world, phone)
    with pytest.raises(NotFound):
        await world.asking.refuse_all(visit)
    with pytest.raises(NotFound):
        await world.asking.decide(visit, dict.fromkeys(made["records"], Decision(Choice.REFUSE)))
    assert await world.states(made["id"]) == ["requested"]


async def test_whoever_has_the_wrong_number_withdraws_nothing_after_its_correction(world: World) -> None:
    phone, made = await world.asked()
    visit = await world.give(phone)
    await corrected(world, phone)
    with pytest.raises(NotFound):
        await world.asking.withdraw(visit, made["records"])
    with pytest.raises(NotFound):
        await world.asking.withdraw_all(visit)
    assert await world.states(made["id"]) == ["given"]


async def test_a_visit_goes_on_for_those_of_a_family_who_keep_the_number(world: World) -> None:
    phone, corrected_ones = await world.asked()
    world.clock.pass_seconds(61)
    kept = await world.ask(phone, subject=f"F{phone[-5:]}")
    assert kept.status_code == 201, kept.text
    await world.asking.find(phone, "en")
    await world.asking.finding.settle()
    opened = await world.asking.open(world.box.link(phone), BROWSER)
    await world.asking.confirm(opened.visit, await world.code(opened.visit, phone))
    await corrected(world, phone)
    visit = await world.asking.visit(opened.cookie)
    assert visit is not None
    assert [one.id for one in await world.asking.about(visit)] == kept.json()["records"]
    await world.asking.refuse_all(visit)
    assert await world.states(kept.json()["id"]) == ["refused"]
    assert await world.states(corrected_ones["id"]) == ["requested"]


async def test_staff_cannot_have_one_number_decide_for_many_customers(world: World) -> None:
    own = world.phone()
    answers = [await world.ask(own, subject=f"M{number}") for number in range(6)]
    assert [one.status_code for one in answers] == [201] * 5 + [400]
    assert answers[-1].json()["code"] == "address_of_many"
    other = world.phone()
    stated = await contacts(world, *((f"N{number}", other) for number in range(6)))
    assert (stated.status_code, stated.json()["field"]) == (400, "/contacts/5/address")
    assert (await contacts(world, *((f"N{number}", other) for number in range(1, 6)))).status_code == 200


async def test_a_members_client_finds_no_way_to_decide(world: World) -> None:
    _, made = await world.asked()
    [record] = made["records"]
    token = await world.bank.token()
    for path in (f"/v1/consents/{record}/decision", f"/v1/consent-requests/{made['id']}/decision",
                 f"/v1/consent-requests/{made['id']}"):  # fmt: skip
        assert (await world.bank.post(path, token, {"choice": "give"})).status_code in (404, 405)
    paths = (await world.alliance.http.get("/v1/openapi.json")).json()["paths"]
    asking = {path: sorted(methods) for path, methods in paths.items() if "consent-request" in path}
    assert asking == {
        "/v1/datasets/{dataset_id}/consent-requests": ["post"],
        "/v1/consent-requests/{request_id}": ["get"],
    }


async def test_staff_do_not_give_for_a_child(world: World) -> None:
    guardian = world.phone()
    made = (await child(world, guardian)).json()
    given = {
        "subject": f"K{guardian[-5:]}",
        "recipient": world.hotel.id,
        "purpose": "customer_referral",
        "fields": ["phone"],
        "given_at": "2020-01-01T00:00:00Z",
        "evidence_sha256": "e" * 64,
        "notice_sha256": world.notice,
        "age_band": "under_14",
    }
    answer = await world.bank.post(f"/v1/datasets/{world.dataset}/consents", await world.bank.token(), [given])
    assert answer.status_code == 400
    assert await world.states(made["id"]) == ["guardian_pending"]


async def test_the_cool_down_holds_for_a_request_that_was_open_beside_the_one_refused(world: World) -> None:
    """Whoever refuses is not asked again, over whichever link, dataset or notice."""
    phone, made = await world.asked()
    refused = await world.visit(phone)
    other = await world.bank.declare(PERSONAL_SCHEMA, name=f"other {phone}")
    hotel = await world.bank.notice(other, world.hotel)
    path = f"/v1/datasets/{other}/consent-requests"
    said = {"subject": f"C{phone[-5:]}", "notice_sha256": hotel, "language": "en", "channel": "sms",
            "address": phone, "items": [world.item(optional=["name"])]}  # fmt: skip
    answer = await world.bank.post(path, await world.bank.token(), said)
    assert (answer.status_code, answer.json()["code"]) == (409, "asked_already")
    await world.asking.decide(refused, {made["records"][0]: Decision(Choice.REFUSE)})
    answer = await world.bank.post(path, await world.bank.token(), said)
    assert (answer.status_code, answer.json()["code"]) == (409, "cooling_down")
    world.clock.pass_seconds(180 * 24 * 3600 - 1)
    answer = await world.bank.post(path, await world.bank.token(), said)
    assert answer.json()["code"] == "cooling_down"


async def test_a_decision_twice_is_refused_the_second_time(world: World) -> None:
    phone, made = await world.asked()
    visit = await world.confirmed(phone)
    [record] = made["records"]
    told = await asyncio.gather(*(world.asking.decide(visit, {record: GIVE}) for _ in range(4)), return_exceptions=True)
    assert len([one for one in told if isinstance(one, Conflicting)]) == 3


async def test_nothing_of_the_person_stands_in_the_ledger_the_log_or_in_clear(
    world: World, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    subject, phone = "canary-person", world.phone()
    made = (await world.ask(phone, subject=subject)).json()
    token = world.box.link(phone)
    visit = await world.give(phone)
    await world.asking.find(phone, "en")
    await world.asking.finding.settle()
    code, pseudonym = world.box.code(phone), visit.persons[0].pseudonym
    told = str(await world.entries()) + str(made) + caplog.text + "".join(capfd.readouterr())
    local = phone.removeprefix("+86")
    for secret in (subject, local, token, f"'{code}'", pseudonym, BROWSER.address, BROWSER.user_agent):
        assert secret not in told
    folder: Path = world.gateway.settings.data_dir
    stored = b"".join(path.read_bytes() for path in folder.glob("gateway.db*"))
    for secret in (subject, local, token, BROWSER.address, BROWSER.user_agent):
        assert secret.encode() not in stored
    for text in world.box.to(phone):
        assert subject not in text
        assert local not in text


async def test_staff_name_no_guardian_for_an_adult(world: World) -> None:
    """Else somebody of theirs would give, as a guardian, for a customer who needs none."""
    guardian = {"relation": "other_guardian", "channel": "sms", "address": world.phone()}
    said = {"subject": "grown-up", "notice_sha256": world.notice, "language": "en", "items": [world.item()]}
    path = f"/v1/datasets/{world.dataset}/consent-requests"
    for age in ({}, {"age_band": "14_to_17"}, {"age_band": "unknown"}):
        answer = await world.bank.post(path, await world.bank.token(), said | {"guardian": guardian} | age)
        assert (answer.status_code, answer.json()["code"]) == (400, "no_guardian_needed"), age


async def test_a_code_that_went_to_the_former_number_confirms_nothing_once_there_is_another(world: World) -> None:
    phone, made = await world.asked()
    visit = await world.visit(phone)
    code, new = await world.code(visit, phone), world.phone()
    assert (await contacts(world, (f"C{phone[-5:]}", new))).status_code == 200
    with pytest.raises(NotFound):
        await world.asking.confirm(visit, code, dict.fromkeys(made["records"], GIVE))
    assert await world.states(made["id"]) == ["requested"]
    world.clock.ms += FRESH_MS
    await world.asking.find(new, "en")
    await world.asking.finding.settle()
    assert world.box.to(new) == [], "nobody ever proved the new number"


async def test_a_member_writes_to_one_number_five_times_a_day_at_most_however_much_it_asks(world: World) -> None:
    """Each message costs, and each pesters; what another member sends is not counted, for that would tell of it."""
    phone = world.phone()
    for number in range(7):
        items = [world.item(), world.contact("sms")]
        answer = await world.ask(phone, items[number % 2], subject=f"P{number // 2}-{phone[-5:]}")
        assert answer.status_code == 201, answer.text
        world.clock.pass_seconds(61)
        await world.asking.inviting.run()
    for _ in range(20):
        world.clock.pass_seconds(61)
        await world.asking.inviting.run()
    assert len(world.box.to(phone)) == MOST_A_DAY


async def test_one_question_that_cannot_go_on_holds_up_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world.box.deaf = True
    (first, broken), (second, _) = await world.asked(), await world.asked()
    world.box.deaf = False
    world.clock.pass_seconds(61)
    step = world.asking.inviting._step

    async def breaks(asked: Asked) -> None:
        if asked.question.id == broken["id"]:
            raise RuntimeError(first)
        await step(asked)

    monkeypatch.setattr(world.asking.inviting, "_step", breaks)
    await world.asking.inviting.run()
    assert len(world.box.to(second)) == 1
    assert "RuntimeError" in caplog.text
    assert first not in caplog.text


@pytest.mark.parametrize("everything", [False, True])
async def test_a_link_that_was_found_refuses_nothing_without_the_code(world: World, *, everything: bool) -> None:
    phone, made = await world.asked()
    await world.asking.find(phone, "en")
    await world.asking.finding.settle()
    visit = await world.visit(phone)
    refusals = dict.fromkeys(made["records"], Decision(Choice.REFUSE))
    with pytest.raises(Conflicting, match="not_confirmed"):
        await (world.asking.refuse_all(visit) if everything else world.asking.decide(visit, refusals))
    assert await world.states(made["id"]) == ["requested"]


async def test_a_guardian_finds_nothing_of_what_was_asked_of_the_person_itself(world: World) -> None:
    guardian = world.phone()
    subject = f"K{guardian[-5:]}"
    await world.asked(world.contact("sms"), subject=subject)
    made = (await child(world, guardian, subject)).json()
    await world.asking.find(guardian, "en")
    await world.asking.finding.settle()
    visit = await world.confirmed(guardian)
    assert [one.id for one in await world.asking.about(visit)] == made["records"]
