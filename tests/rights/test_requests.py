from __future__ import annotations

import json

import pytest

from gateway.errors import Conflicting, Invalid, NotFound
from gateway.rights.request import decide
from gateway.rights.states import RightKind, Step
from tests.rights.world import Counter

pytestmark = pytest.mark.asyncio(loop_scope="package")
DAY_S = 24 * 3600
UNREADABLE = ("\u202e", "\x00", "\x1b", "\r", "\x85", "\ud800", "\ufdd0", "\uffff")


async def test_what_a_person_asks_is_sealed_and_read_by_the_owner_after_an_entry(counter: Counter) -> None:
    request = await counter.rights.open(
        await counter.person(31), "explanation", "为什么给我推荐酒店?", visit="a" * 32, language="en"
    )
    row = str(await counter.stored(request))
    assert "推荐" not in row
    answer = await counter.call("GET", f"/{request}")
    assert (answer.status_code, answer.json()["text"]) == (200, "为什么给我推荐酒店?")
    assert (await counter.acts(request))[-1] == "right_read"
    assert answer.json()["law"] == "PIPL 48, 24"
    listed = (await counter.call("GET", "?limit=100")).json()["items"]
    assert request in [one["id"] for one in listed]
    assert "推荐" not in json.dumps(listed, ensure_ascii=False)
    entries = json.dumps(await counter.shared.entries(counter.bank.id))
    assert (await counter.person(31)).pseudonym not in entries


async def test_a_request_is_the_owners_and_the_persons_alone(counter: Counter) -> None:
    request = await counter.asked(32, "access")
    nowhere = await counter.call("GET", f"/{'0' * 32}", counter.shared.hotel)
    for path, body in (
        ("", None),
        ("/answer", {"text": "x"}),
        ("/refusal", {"reasons": ["excessive"], "text": "x"}),
        ("/identity", {"staff": "1"}),
        ("/extension", {"reason": "many"}),
        ("/export", {}),
    ):
        for other in (counter.shared.hotel, counter.shared.stranger):
            answer = await counter.call("GET" if body is None else "POST", f"/{request}{path}", other, body)
            assert (answer.status_code, answer.json()) == (404, nowhere.json()), path
    async with counter.shared.gateway.database.reading() as reading:
        assert await counter.rights.of_person(reading, await counter.person(33)) == []
    with pytest.raises(NotFound):
        await counter.rights.exporting.link_for(await counter.person(33), request, visit="a" * 32)


async def test_a_request_by_letter_is_answered_only_when_it_is_shown_who_asks(counter: Counter) -> None:
    asked = {"dataset": counter.deal.dataset, "subject": "C00034", "kind": "access", "text": "Please."}
    opened = await counter.post("", asked)
    assert opened.status_code == 201, opened.text
    request = opened.json()["id"]
    early = await counter.post(f"/{request}/answer", {"text": "Here."})
    assert (early.status_code, early.json()["code"]) == (409, "wrong_state")
    shown = await counter.post(f"/{request}/identity", {"method": "document", "staff": "S-17"})
    assert (shown.json()["state"], shown.json()["identified"]) == ("open", True)
    done = await counter.post(f"/{request}/answer", {"text": "Here."})
    assert done.json()["state"] == "answered"
    assert await counter.acts(request) == ["right_requested", "right_identified", "right_granted"]


async def test_a_relative_shows_by_which_right_and_asks_only_what_the_law_lets_relatives_ask(counter: Counter) -> None:
    with pytest.raises(Invalid, match="not_for_relatives"):
        await counter.asked(35, "transfer", behalf="next_of_kin")
    with pytest.raises(Invalid, match="not_for_relatives"):
        await counter.asked(35, "deletion", behalf="next_of_kin", profile="eu")
    request = await counter.asked(35, "deletion", behalf="next_of_kin")
    answering, subject = counter.rights.answering, await counter.subject()
    with pytest.raises(Invalid, match="evidence_missing"):
        await answering.identify(subject, request, {"method": "document", "staff": "S-17"})
    papers = {"method": "document", "staff": "S-17", "evidence_sha256": "e" * 64}
    assert (await answering.identify(subject, request, papers)).state == "open"


async def test_evidence_is_a_sha_256_and_kept_even_where_somebody_asks_for_itself(counter: Counter) -> None:
    asked = {"dataset": counter.deal.dataset, "subject": "C00061", "kind": "access", "text": "Please."}
    request = (await counter.post("", asked)).json()["id"]
    shown = {"method": "document", "staff": "S-17"}
    for wrong in ("e" * 63, "E" * 64, "", 7):
        answer = await counter.post(f"/{request}/identity", shown | {"evidence_sha256": wrong})
        assert (answer.status_code, answer.json().get("field")) == (400, "/evidence_sha256")
    assert (await counter.post(f"/{request}/identity", shown | {"evidence_sha256": "e" * 64})).status_code == 200
    entry = (await counter.shared.entries(counter.bank.id))[-1]
    assert (entry["act"], entry["evidence_sha256"]) == ("right_identified", "e" * 64)


async def test_a_refusal_has_reasons_and_tells_where_to_complain_and_to_sue(counter: Counter) -> None:
    request = await counter.asked(36, "access", language="en")
    for body in ({"text": "No."}, {"text": "No.", "reasons": []}, {"text": "No.", "reasons": ["because"]}):
        assert (await counter.post(f"/{request}/refusal", body)).status_code == 400
    done = await counter.post(f"/{request}/refusal", {"text": "Not you.", "reasons": ["not_this_person"]})
    assert done.json().get("state") == "refused", done.text
    async with counter.shared.gateway.database.reading() as reading:
        (told,) = await counter.rights.of_person(reading, await counter.person(36))
    assert (told["answer"], told["outcome"]) == ("Not you.", {"reasons": ["not_this_person"]})
    assert "people's court" in told["remedies"]
    assert "Art. 65" in told["remedies"]


async def test_a_complaint_is_answered_like_any_request(counter: Counter) -> None:
    assert (await counter.granted(37, "complaint"))["state"] == "answered"


async def test_a_person_takes_a_request_back_and_nobody_else_does(counter: Counter) -> None:
    request = await counter.asked(38, "objection")
    with pytest.raises(NotFound):
        await counter.rights.retract(await counter.person(39), request, visit="a" * 32)
    await counter.rights.retract(await counter.person(38), request, visit="a" * 32)
    with pytest.raises(Conflicting, match="wrong_state"):
        await counter.rights.answering.grant(await counter.subject(), request, {"text": "x", "upheld": True})


async def test_what_was_decided_about_a_request_that_has_moved_meanwhile_is_refused(counter: Counter) -> None:
    request, owned = await counter.asked(62, "complaint"), counter.rights.requests.owned
    seen = await owned(await counter.subject(), request)
    await counter.rights.retract(await counter.person(62), request, visit="a" * 32)
    with pytest.raises(Conflicting, match="wrong_state"):
        async with counter.shared.gateway.ledger.changing(counter.bank.id) as change:
            await decide(change.tx, seen, Step.ANSWER, {}, "", change.now_ms)
    assert (await owned(await counter.subject(), request)).state == "retracted"


async def test_a_person_cannot_fill_an_owners_list(counter: Counter) -> None:
    for _ in range(8):
        await counter.asked(40, "access")
    with pytest.raises(Conflicting, match="too_many_requests"):
        await counter.asked(40, "access")


async def test_nothing_is_asked_about_a_dataset_without_persons(counter: Counter) -> None:
    asked = {"dataset": await counter.shared.places(), "subject": "PEK", "kind": "access", "text": "x"}
    answer = await counter.post("", asked)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_personal")


@pytest.mark.parametrize("wrong", ["mars", "", None, 1, [], {}])
@pytest.mark.parametrize("name", ["profile", "behalf", "language"])
async def test_a_profile_behalf_or_language_that_is_not_known_is_refused(
    counter: Counter, name: str, wrong: object
) -> None:
    asked = {"dataset": counter.deal.dataset, "subject": "C00063", "kind": "access", "text": "x", name: wrong}
    answer = await counter.post("", asked)
    assert (answer.status_code, answer.json().get("field")) == (400, f"/{name}")


@pytest.mark.parametrize("name", ["\ud800", "\0", "", "a" * 65, None, []])
async def test_a_dataset_that_no_dataset_can_be_called_is_refused(counter: Counter, name: object) -> None:
    asked = {"dataset": name, "subject": "C00041", "kind": "access", "text": "x"}
    answer = await counter.bank.call(
        "POST",
        "/v1/rights",
        await counter.bank.token(),
        content=json.dumps(asked),
        headers={"Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.json()["field"]) == (400, "/dataset")


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("\u3000\u3000我要投诉。\n\u3000\u3000贵公司未经同意联系我。\n", "我要投诉。\n  贵公司未经同意联系我。"),
        ("张\u3000三", "张 三"),
        ("please\tdelete\u00a0it", "please delete it"),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
        ("one\u2028two", "one\ntwo"),
    ],
)
async def test_words_are_taken_as_persons_write_them(counter: Counter, written: str, kept: str) -> None:
    request = await counter.rights.open(await counter.person(48), "complaint", written, visit="a" * 32)
    assert (await counter.rights.requests.read(await counter.subject(), request))["text"] == kept


@pytest.mark.parametrize(
    "text", ["", " ", "\u3000", "x" * 8001, "x\n" * 400 + "x", *(f"a{one}b" for one in UNREADABLE)]
)
async def test_words_that_cannot_be_read_are_refused(counter: Counter, text: str) -> None:
    with pytest.raises(Invalid):
        await counter.rights.open(await counter.person(41), "access", text, visit="a" * 32)


async def test_europe_takes_longer_once_and_china_does_not(counter: Counter) -> None:
    answering, subject = counter.rights.answering, await counter.subject()
    here = await counter.asked(42, "access")
    with pytest.raises(Conflicting, match="not_extensible"):
        await answering.extend(subject, here, "complex")
    there = await counter.asked(42, "access", profile="eu")
    before = (await counter.rights.requests.owned(subject, there)).due_at
    with pytest.raises(Invalid):
        await answering.extend(subject, there, "we are busy")
    assert (await answering.extend(subject, there, "complex")).due_at > before
    with pytest.raises(Conflicting, match="not_extensible"):
        await answering.extend(subject, there, "complex")


async def test_a_clock_that_has_run_out_is_not_extended(counter: Counter) -> None:
    requests = [await counter.asked(64, kind, profile="eu") for kind in ("access", "copy")]
    answering, subject, clock = counter.rights.answering, await counter.subject(), counter.shared.clock
    clock.ms = (await counter.rights.requests.owned(subject, requests[0])).due_at
    assert (await answering.extend(subject, requests[0], "many")).extended
    clock.ms += 1
    with pytest.raises(Conflicting, match="not_extensible"):
        await answering.extend(subject, requests[1], "many")


async def test_what_is_late_is_one_breach_candidate_however_often_it_is_looked_at(counter: Counter) -> None:
    request = await counter.asked(43, "access")
    await counter.rights.settling.run()
    counter.shared.clock.pass_seconds(60 * DAY_S)
    assert await counter.rights.settling.run() >= 1
    assert await counter.rights.settling.run() == 0
    found = await counter.rights.requests.owned(await counter.subject(), request)
    case = await counter.shared.gateway.casework.cases.find(str(found.case))
    assert (case.respondent, case.kind, case.state) == (counter.bank.id, "breach", "candidate")
    late = await counter.rights.answering.grant(await counter.subject(), request, {"text": "Late, but here."})
    assert (late.state, late.case) == ("answered", found.case)


async def test_every_kind_has_a_name_that_the_api_knows(counter: Counter) -> None:
    wrong = await counter.post(
        "", {"dataset": counter.deal.dataset, "subject": "C1", "kind": "everything", "text": "x"}
    )
    assert (wrong.status_code, wrong.json()["code"]) == (400, "unknown_kind")
    assert all(kind.value in wrong.json()["detail"] for kind in RightKind)
