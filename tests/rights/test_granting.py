from __future__ import annotations

import json
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest
from sqlalchemy import bindparam, func, select

from gateway.catalog import receiving
from gateway.catalog.staging import stage_terms
from gateway.catalog.tables import dataset, record, record_term
from gateway.consents.contacts import Address, Holder, Role
from gateway.consents.contacts.tables import contact_term
from gateway.consents.states import Event
from gateway.database import Query
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.rights import exporting
from tests.access.world import person, records
from tests.alliance import PERSONAL_SCHEMA, instant
from tests.offline.world import Desk
from tests.rights.world import Counter

pytestmark = pytest.mark.asyncio(loop_scope="package")
DAY_S = 24 * 3600
PARENT = {"relation": "parent", "verified": "document"}
CHECKS = {"identity": True, "basis": True, "feasible": True, "others": True}


async def test_a_deletion_shreds_the_key_ends_consents_and_is_followed_to_whoever_received(counter: Counter) -> None:
    await counter.received(1)
    address = await counter.reached(1, "one@example.com")
    told = await counter.granted(1, "deletion")
    assert (told["state"], told["outcome"]) == ("answered", {"shredded": True, "ended": 1, "recipients": 1})
    assert "Person 1" not in await counter.names()
    assert await counter.states(1) == ["revoked"]
    assert await counter.followed(1) == [(counter.shared.hotel.id, "erased")]
    assert await counter.contacts_behind(address) == []
    counter.shared.clock.pass_seconds(1)
    assert await counter.stated(1, ago=0) == "recorded"
    assert "Person 1" not in await counter.names()


async def test_of_a_deletion_the_owner_reads_what_the_person_without_a_page_has_to_be_told(counter: Counter) -> None:
    await counter.received(95)
    await counter.received(96)
    await counter.bank.withdraw(counter.deal.dataset, "C00095")
    await counter.merged(95, 96)
    told = await counter.granted(95, "deletion")
    read = (await counter.call("GET", f"/{told['id']}")).json()
    assert read["answer"] == "已办理。"
    assert read["remedies"] == told["remedies"]
    erased = {"recipient": counter.shared.hotel.id, "cause": "erased", "state": "queued"}
    assert read["followed"] == [erased, erased]
    assert "followed" not in (await counter.call("GET", f"/{await counter.asked(97, 'copy')}")).json()


async def test_a_deletion_for_which_nobody_received_is_followed_to_nobody(counter: Counter) -> None:
    assert (await counter.granted(2, "deletion"))["outcome"]["recipients"] == 0
    assert await counter.followed(2) == []


async def test_a_deletion_follows_what_had_ended_before_too(counter: Counter) -> None:
    await counter.received(54)
    await counter.bank.withdraw(counter.deal.dataset, "C00054")
    await counter.granted(54, "deletion")
    assert sorted(cause for _, cause in await counter.followed(54)) == ["erased", "withdrawn"]


async def test_a_deletion_follows_a_recipient_once_whose_newest_consent_was_never_read(counter: Counter) -> None:
    await counter.received(55)
    await counter.bank.withdraw(counter.deal.dataset, "C00055")
    counter.shared.clock.pass_seconds(120)
    await counter.bank.consent(counter.deal.dataset, counter.shared.hotel, "C00055")
    await counter.granted(55, "deletion")
    assert sorted(cause for _, cause in await counter.followed(55)) == ["erased", "withdrawn"]


async def test_a_deletion_is_followed_in_each_dataset_by_what_was_received_there(counter: Counter) -> None:
    shared, there = counter.shared, await counter.shared.personal([65])
    await counter.received(65)
    await counter.bank.consent(there.dataset, shared.hotel, "C00065")
    assert records(await shared.hotel.get(there.path, await shared.referral_token(there)))
    await counter.bank.withdraw(there.dataset, "C00065")
    await counter.granted(65, "deletion")
    assert sorted(cause for _, cause in await counter.followed(65)) == ["erased", "erased", "withdrawn"]


async def test_a_deletion_follows_a_recipient_whose_only_standing_consent_for_another_purpose_was_never_read(
    counter: Counter,
) -> None:
    await counter.received(66)
    await counter.bank.withdraw(counter.deal.dataset, "C00066")
    counter.shared.clock.pass_seconds(120)
    await counter.bank.consent(counter.deal.dataset, counter.shared.hotel, "C00066", purpose="service_delivery")
    assert (await counter.granted(66, "deletion"))["outcome"]["ended"] == 1
    assert sorted(cause for _, cause in await counter.followed(66)) == ["erased", "withdrawn"]


async def test_a_deletion_follows_once_what_the_clock_and_the_deletion_end(counter: Counter) -> None:
    birthday = instant(datetime.fromtimestamp(counter.bank.now + 60, UTC))
    child = {"age_band": "under_14", "turns_14_at": birthday, "guardian": PARENT}
    await counter.bank.consent(counter.deal.dataset, counter.shared.hotel, "C00067", **child)
    assert "Person 67" in await counter.names()
    counter.shared.clock.pass_seconds(60)
    assert (await counter.granted(67, "deletion"))["outcome"]["ended"] == 1
    assert await counter.followed(67) == [(counter.shared.hotel.id, "erased")]


async def test_what_a_case_keeps_is_restricted_and_deleted_when_the_case_is_decided(counter: Counter) -> None:
    await counter.received(3)
    case = await counter.dispute()
    told = await counter.granted(3, "deletion")
    assert (told["state"], told["outcome"]) == ("restricted", {"kept_for": [case], "held": 1, "recipients": 1})
    [task] = [one for one in await counter.tasks(counter.shared.hotel) if one["request"] == told["id"]]
    assert (task["state"], await counter.followed(3)) == ("open", [])
    assert await counter.states(3) == ["on_hold"]
    assert "Person 3" not in await counter.names()
    await counter.rights.settling.run()
    assert await counter.states(3) == ["on_hold"]
    before = await counter.shared.gateway.ledger.narrowing(counter.bank.id)
    await counter.rights.settling.run()
    assert await counter.shared.gateway.ledger.narrowing(counter.bank.id) == before
    await counter.decide(case)
    await counter.rights.settling.run()
    assert await counter.states(3) == ["revoked"]
    async with counter.shared.gateway.database.reading() as reading:
        (now,) = await counter.rights.of_person(reading, await counter.person(3))
    assert (now["state"], now["outcome"]["shredded"], now["answer"]) == ("answered", True, "已办理。")
    [ended] = [one for one in await counter.tasks(counter.shared.hotel) if one["request"] == told["id"]]
    assert (ended["id"], ended["outcome"]) == (task["id"], "no_longer_asked")
    assert await counter.followed(3) == [(counter.shared.hotel.id, "erased")]


async def test_a_restriction_holds_every_consent_and_asks_every_recipient(counter: Counter) -> None:
    await counter.received(4)
    told = await counter.granted(4, "restriction")
    assert told["outcome"] == {"held": 1, "recipients": 1}
    assert await counter.states(4) == ["on_hold"]
    assert "Person 4" not in await counter.names()
    assert told["id"] in [task["request"] for task in await counter.tasks(counter.shared.hotel)]


async def test_paper_that_waits_for_its_sample_is_not_given_after_a_restriction(counter: Counter) -> None:
    desk = Desk(counter.shared, counter.deal, await counter.bank.notice(counter.deal.dataset, counter.shared.hotel))
    batch = await desk.imported(desk.row(53))
    assert (await counter.granted(53, "restriction"))["outcome"]["held"] == 0
    for row in await desk.draw(batch):
        await desk.mark(batch, row)
    await desk.accept(batch)
    assert "Person 53" not in await counter.names()
    assert await counter.states(53) == ["revoked"]
    assert await counter.stated(53, ago=0) == "recorded", "the person decided against that paper alone"


async def test_a_consent_of_before_is_not_recorded_again_after_a_deletion_or_an_objection(counter: Counter) -> None:
    for number, kind, given in ((50, "deletion", {}), (51, "objection", {"upheld": True})):
        await counter.received(number)
        counter.shared.clock.pass_seconds(2)
        await counter.granted(number, kind, "eu", **given)
        assert await counter.stated(number, ago=2) == "outdated"
        assert await counter.states(number) == ["revoked"]


async def test_a_consent_of_before_is_not_brought_in_another_dataset_after_a_deletion_or_an_objection(
    counter: Counter,
) -> None:
    beside = await counter.bank.declare(PERSONAL_SCHEMA)
    for number, kind, given in ((111, "deletion", {}), (112, "objection", {"upheld": True})):
        counter.shared.clock.pass_seconds(2)
        await counter.granted(number, kind, "eu", **given)
        later = await counter.bank.declare(PERSONAL_SCHEMA)
        assert [await counter.stated(number, ago=2, dataset=one) for one in (beside, later)] == ["outdated"] * 2
        counter.shared.clock.pass_seconds(1)
        assert await counter.stated(number, ago=0, dataset=later) == "recorded", "the person may agree anew"


async def test_an_address_that_is_stated_while_its_person_is_deleted_leaves_nothing_of_it(counter: Counter) -> None:
    gateway, person = counter.shared.gateway, await counter.person(113)
    reached = await gateway.asking.contacts.prepare(Holder(*person, Role.OWN), Address.guessed("13900000113"))
    await counter.granted(113, "deletion")
    with pytest.raises(Conflicting, match="person_deleted"):
        async with gateway.database.transaction() as tx:
            await gateway.asking.contacts.keep(tx, reached, counter.shared.clock())
    assert await gateway.database.all(Query(select(contact_term).where(contact_term.c.pseudonym == person[1]))) == []
    await counter.reached(113, "13900000113")


async def test_what_the_clock_has_ended_keeps_no_request_from_being_granted(counter: Counter) -> None:
    soon = instant(datetime.fromtimestamp(counter.bank.now + 2, UTC))
    await counter.bank.consent(counter.deal.dataset, counter.shared.hotel, "C00052", expires_at=soon)
    counter.shared.clock.pass_seconds(3)
    assert (await counter.granted(52, "deletion"))["outcome"]["ended"] == 0


async def test_an_objection_ends_consents_only_where_it_is_upheld(counter: Counter) -> None:
    await counter.received(5)
    request = await counter.asked(5, "objection")
    with pytest.raises(Invalid):
        await counter.rights.answering.grant(await counter.subject(), request, {"text": "x", "upheld": "yes"})
    assert (await counter.granted(5, "objection", "eu", upheld=False))["outcome"] == {"upheld": False, "ended": 0}
    assert await counter.states(5) == ["given"]
    assert (await counter.granted(5, "objection", "eu", upheld=True))["outcome"]["ended"] == 1
    assert await counter.states(5) == ["revoked"]


async def test_an_objection_to_automated_decisions_ends_what_personalises_and_switches_suggestions_off(
    counter: Counter,
) -> None:
    here, hotel, persons = counter.deal.dataset, counter.shared.hotel, counter.shared.gateway.bundling.persons
    await counter.received(94)
    await counter.bank.consent(here, hotel, "C00094", purpose="personalisation")
    assert (await counter.granted(94, "objection", upheld=False))["outcome"]["ended"] == 0
    assert not await persons.is_off(*await counter.person(94))
    assert (await counter.granted(94, "objection", upheld=True))["outcome"]["ended"] == 1
    assert sorted(await counter.states(94)) == ["given", "revoked"]
    assert "Person 94" in await counter.names()
    assert await persons.is_off(*await counter.person(94))


async def test_a_correction_names_an_upload_of_the_owner_after_the_request_and_is_followed(counter: Counter) -> None:
    await counter.received(6)
    before = await counter.uploaded()
    counter.shared.clock.pass_seconds(1)
    request = await counter.asked(6, "correction")
    subject, answering = await counter.subject(), counter.rights.answering
    for upload in (before, "0" * 32):
        with pytest.raises(Invalid, match="upload_unknown"):
            await answering.grant(subject, request, {"text": "Corrected.", "upload": upload})
    counter.shared.clock.pass_seconds(1)
    upload = await counter.uploaded()
    found = await answering.grant(subject, request, {"text": "Corrected.", "upload": upload})
    assert found.state == "answered"
    assert (counter.shared.hotel.id, "corrected") in await counter.followed(6)


async def test_a_correction_is_not_what_was_uploaded_of_somebody_else(counter: Counter) -> None:
    request = await counter.asked(56, "correction")
    subject, answering = await counter.subject(), counter.rights.answering
    counter.shared.clock.pass_seconds(1)
    elsewhere = await counter.bank.declare(PERSONAL_SCHEMA)
    others = (await counter.bank.upload(elsewhere, [person(59)])).json()["id"]
    with pytest.raises(Invalid, match="upload_unknown"):
        await answering.grant(subject, request, {"text": "Corrected.", "upload": others})
    theirs = (await counter.bank.upload(elsewhere, [person(56)])).json()["id"]
    assert (await answering.grant(subject, request, {"text": "Corrected.", "upload": theirs})).state == "answered"


async def test_a_transfer_is_granted_only_with_all_four_checks(counter: Counter) -> None:
    request = await counter.asked(7, "transfer")
    subject, answering = await counter.subject(), counter.rights.answering
    for name in CHECKS:
        with pytest.raises(Invalid, match="check_failed") as caught:
            await answering.grant(subject, request, {"text": "x", "checks": CHECKS | {name: False}})
        assert caught.value.field == f"/checks/{name}"
    with pytest.raises(Invalid):
        await answering.grant(subject, request, {"text": "x"})
    found = await answering.grant(subject, request, {"text": "Here.", "checks": CHECKS})
    assert json.loads(found.outcome) == {"checks": CHECKS}


async def test_every_member_that_received_is_asked_once_and_answers_with_ids_that_it_knows(counter: Counter) -> None:
    await counter.received(8)
    request = await counter.asked(8, "access")
    (task,) = [one for one in await counter.tasks(counter.shared.hotel) if one["request"] == request]
    assert await counter.tasks(counter.shared.stranger) == []
    shown = (await counter.call("GET", f"/tasks/{task['id']}", counter.shared.hotel)).json()
    assert (shown["owner"], shown["right"], len(shown["consents"])) == (counter.bank.id, "access", 1)
    read = await counter.shared.hotel.get(counter.deal.path, await counter.shared.referral_token(counter.deal))
    (known,) = [one["id"] for one in read.json()["records"] if one["fields"]["name"] == "Person 8"]
    assert known in shown["records"][counter.deal.dataset]
    assert "C00008" not in json.dumps(shown)
    for other in (counter.bank, counter.shared.stranger):
        assert (await counter.call("GET", f"/tasks/{task['id']}", other)).status_code == 404
    said = {"outcome": "informed", "text": "We hold the name and the phone."}
    done = await counter.post(f"/tasks/{task['id']}/answer", said, counter.shared.hotel)
    assert (done.json()["state"], done.json()["outcome"]) == ("done", "informed")
    again = await counter.post(f"/tasks/{task['id']}/answer", said, counter.shared.hotel)
    assert (again.status_code, again.json()["code"]) == (409, "already_answered")


async def test_a_task_names_no_record_of_an_upload_that_its_member_never_read(counter: Counter) -> None:
    await counter.received(82)
    before = (await counter.passed_on(82, "access"))["records"][counter.deal.dataset]
    await counter.bank.withdraw(counter.deal.dataset, "C00082")
    await counter.uploaded()
    after = (await counter.passed_on(82, "access"))["records"][counter.deal.dataset]
    assert len(before) == 1
    assert after == before


async def test_a_member_says_no_outcome_but_those_there_are(counter: Counter) -> None:
    await counter.received(68)
    request, hotel = await counter.asked(68, "access"), counter.shared.hotel
    (task,) = [one for one in await counter.tasks(hotel) if one["request"] == request]
    for wrong in ("gone", "no_longer_asked", None, 7):
        answer = await counter.post(f"/tasks/{task['id']}/answer", {"outcome": wrong, "text": "x"}, hotel)
        assert (answer.status_code, answer.json().get("code")) == (400, "unknown_outcome")
    assert (await counter.call("GET", f"/tasks/{task['id']}", hotel)).json()["state"] == "open"


async def test_a_task_of_another_member_looks_like_one_that_never_was(counter: Counter) -> None:
    await counter.received(69)
    request = await counter.asked(69, "access")
    (task,) = [one for one in await counter.tasks(counter.shared.hotel) if one["request"] == request]
    answers = [await counter.call("GET", f"/tasks/{one}", counter.shared.stranger) for one in (task["id"], "0" * 32)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json() == answers[1].json()


async def test_a_member_that_answers_nothing_in_time_is_a_breach_candidate_once(counter: Counter) -> None:
    await counter.received(9)
    request = await counter.asked(9, "explanation")
    (task,) = [one for one in await counter.tasks(counter.shared.hotel) if one["request"] == request]
    counter.shared.clock.pass_seconds(40 * DAY_S)
    await counter.rights.settling.run()
    assert await counter.rights.settling.run() == 0
    shown = (await counter.call("GET", f"/tasks/{task['id']}", counter.shared.hotel)).json()
    case = await counter.shared.gateway.casework.cases.find(shown["case"])
    assert (case.respondent, case.claimant) == (counter.shared.hotel.id, counter.bank.id)


async def test_a_member_is_not_late_in_the_last_instant_of_its_time_but_after_it(counter: Counter) -> None:
    await counter.received(98)
    shown = await counter.passed_on(98, "access")
    clock, task = counter.shared.clock, f"/tasks/{shown['id']}"
    clock.ms = int(datetime.fromisoformat(shown["due_at"]).timestamp()) * 1000
    await counter.rights.settling.run()
    assert (await counter.call("GET", task, counter.shared.hotel)).json()["case"] is None
    clock.ms += 1
    await counter.rights.settling.run()
    assert (await counter.call("GET", task, counter.shared.hotel)).json()["case"] is not None


@pytest.mark.parametrize(("number", "ends"), [(57, "refused"), (58, "retracted")])
async def test_what_is_refused_or_taken_back_asks_nobody_any_more(counter: Counter, number: int, ends: str) -> None:
    await counter.received(number)
    request, hotel = await counter.asked(number, "access"), counter.shared.hotel
    if ends == "refused":
        await counter.post(f"/{request}/refusal", {"reasons": ["not_this_person"], "text": "No."})
    else:
        await counter.rights.retract(await counter.person(number), request, visit="a" * 32)
    [task] = [one for one in await counter.tasks(hotel) if one["request"] == request]
    shown = (await counter.call("GET", f"/tasks/{task['id']}", hotel)).json()
    assert (shown["state"], shown["outcome"]) == ("done", "no_longer_asked")
    assert (shown["consents"], shown["records"]) == ([], {})
    late = await counter.post(f"/tasks/{task['id']}/answer", {"outcome": "informed", "text": "x"}, hotel)
    assert (late.status_code, late.json()["code"]) == (409, "already_answered")
    counter.shared.clock.pass_seconds(40 * DAY_S)
    await counter.rights.settling.run()
    assert (await counter.call("GET", f"/tasks/{task['id']}", hotel)).json()["case"] is None
    assert (await counter.acts(request))[-2:] == ["right_tasks_ended", f"right_{ends}"]


async def test_an_export_holds_records_receipts_notices_and_requests_and_no_value(counter: Counter) -> None:
    await counter.received(10)
    told = await counter.granted(10, "copy")
    link = (await counter.post(f"/{told['id']}/export", {})).json()
    answer = await counter.shared.alliance.http.get(f"/v1/rights/exports/{link['token']}")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    with ZipFile(BytesIO(answer.content)) as archive:
        names = archive.namelist()
        data = json.loads(archive.read("data.json"))
        page = archive.read("index.html").decode()
        everything = b"".join(archive.read(name) for name in names)
    (consent,) = data["consents"]
    assert consent["fields"] == ["name", "phone"]
    assert f"receipts/{consent['id']}.txt" in names
    assert f"notices/{consent['notice_sha256']}.json" in names
    assert [one["kind"] for one in data["requests"]] == ["copy"]
    assert "<script" not in page
    assert b"Person 10" not in everything
    assert b"C00010" not in everything
    assert (await counter.acts(told["id"]))[-2:] == ["right_export_linked", "right_export_fetched"]


async def test_an_export_is_of_every_subject_that_is_the_person(counter: Counter) -> None:
    await counter.received(46)
    await counter.received(47)
    await counter.merged(46, 47)
    await counter.granted(47, "complaint")
    data = await counter.exported((await counter.granted(46, "copy"))["id"])
    assert (len(data["consents"]), len(data["disclosures"])) == (2, 3), "the first was read twice"
    assert sorted(one["kind"] for one in data["requests"]) == ["complaint", "copy"]


@pytest.mark.parametrize(("behalf", "number"), [("guardian", 44), ("next_of_kin", 45)])
async def test_whoever_asks_for_another_gets_no_word_that_the_person_wrote(
    counter: Counter, behalf: str, number: int
) -> None:
    await counter.received(number)
    await counter.bank.withdraw(counter.deal.dataset, f"C{number:05}")
    await counter.rights.open(await counter.person(number), "complaint", "我自己的话。", visit="b" * 32)
    request = await _copied(counter, number, behalf)
    data = await counter.exported(request)
    assert "我自己的话。" not in json.dumps(data, ensure_ascii=False)
    assert [one["behalf"] for one in data["requests"]] == [behalf]
    assert {one["request"] for one in data["tasks"]} == {request}
    of_grown_up = 0 if behalf == "guardian" else 1
    assert [len(data[part]) for part in ("consents", "disclosures", "followed")] == [of_grown_up] * 3


async def test_a_guardian_gets_what_guardians_gave_refuse_or_are_asked_and_nothing_that_the_child_gave(
    counter: Counter,
) -> None:
    here, hotel = counter.deal.dataset, counter.shared.hotel
    await counter.bank.consent(here, hotel, "C00070", age_band="unknown", guardian=PARENT)
    assert "Person 70" in await counter.names()
    young = {"age_band": "under_14", "turns_14_at": counter.bank.now + DAY_S}
    await counter.guardian_asked(70, "service_delivery", Event.REFUSE, **young)
    await counter.guardian_asked(70, "market_analysis", age_band="unknown")
    await counter.bank.consent(here, hotel, "C00070", age_band="14_to_17", purpose="personalisation")
    data = await counter.exported(await _copied(counter, 70, "guardian"))
    states = {one["purpose"]: one["state"] for one in data["consents"]}
    assert states == {
        "customer_referral": "given",
        "service_delivery": "refused",
        "market_analysis": "guardian_pending",
    }
    assert [one["purpose"] for one in data["disclosures"]] == ["customer_referral"]


async def _copied(counter: Counter, number: int, behalf: str) -> str:
    """Somebody asks for another's copy, shows by which right, and it is granted."""
    request = await counter.asked(number, "copy", behalf=behalf)
    subject, answering = await counter.subject(), counter.rights.answering
    await answering.identify(subject, request, {"method": "document", "staff": "1", "evidence_sha256": "a" * 64})
    await answering.grant(subject, request, {"text": "已办理。"})
    return request


async def test_a_link_ends_by_time_by_number_and_looks_like_one_that_never_was(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "MOST_FETCHES", 1)
    told = await counter.granted(11, "copy")
    person, rights = await counter.person(11), counter.rights.exporting
    used = await rights.link_for(person, told["id"], visit="a" * 32)
    await rights.fetch(used["token"])
    late = await rights.link_for(person, told["id"], visit="a" * 32)
    counter.shared.clock.pass_seconds(72 * 3600)
    answers = [
        await counter.shared.alliance.http.get(f"/v1/rights/exports/{token}")
        for token in (used["token"], late["token"], "x" * 43)
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    with pytest.raises(NotFound):
        await rights.fetch(late["token"])


async def test_only_what_was_granted_is_exported(counter: Counter) -> None:
    waiting, other = await counter.asked(12, "access"), (await counter.granted(12, "complaint"))["id"]
    for request in (waiting, other):
        with pytest.raises(Conflicting, match="nothing_to_export"):
            await counter.rights.exporting.link(await counter.subject(), request)


async def test_words_of_a_person_are_text_in_an_export_and_never_markup(counter: Counter) -> None:
    person = await counter.person(13)
    await counter.rights.open(person, "complaint", "<script>alert(1)</script>", visit="a" * 32)
    told = await counter.granted(13, "copy")
    link = await counter.rights.exporting.link_for(person, told["id"], visit="a" * 32)
    with ZipFile(BytesIO(await counter.rights.exporting.fetch(link["token"]))) as archive:
        page = archive.read("index.html").decode()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


async def _terms(counter: Counter, dataset_id: str) -> dict[str, int]:
    """How many keyed terms find each person in a dataset."""
    found = Query(
        select(record.c.pseudonym, func.count(record_term.c.term).label("terms"))
        .outerjoin(record_term, record_term.c.record_id == record.c.id)
        .join(dataset, dataset.c.no == record.c.dataset_no)
        .where(dataset.c.id == bindparam("id"))
        .group_by(record.c.pseudonym)
    )
    return {row["pseudonym"]: row["terms"] for row in await counter.shared.gateway.database.all(found, id=dataset_id)}


@pytest.mark.parametrize("number", [117, 118], ids=["before its terms are staged", "after them"])
async def test_whoever_is_deleted_while_an_upload_is_under_way_is_found_by_nothing_of_it(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    beside, (_, pseudonym) = await counter.bank.declare(PERSONAL_SCHEMA), await counter.person(number)

    async def before(*given: Any) -> None:
        await counter.granted(number, "deletion")
        await stage_terms(*given)

    async def after(*given: Any) -> None:
        await stage_terms(*given)
        await counter.granted(number, "deletion")

    monkeypatch.setattr(receiving, "stage_terms", before if number == 117 else after)
    assert (await counter.bank.upload(beside, [person(number), person(116)])).status_code == 201
    assert await _terms(counter, beside) == {pseudonym: 0, (await counter.person(116))[1]: 2}


async def test_whoever_comes_anew_after_a_deletion_is_found_again(counter: Counter) -> None:
    beside, (_, pseudonym) = await counter.bank.declare(PERSONAL_SCHEMA), await counter.person(119)
    await counter.granted(119, "deletion")
    assert (await counter.bank.upload(beside, [person(119)])).status_code == 201
    assert await _terms(counter, beside) == {pseudonym: 2}
