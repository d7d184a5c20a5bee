"""What was asked is taken back: what it held stands again, and nothing is done about it any more."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.consents.states import Event
from gateway.errors import Conflicting
from tests.alliance import instant
from tests.rights.world import Counter

pytestmark = pytest.mark.asyncio(loop_scope="package")
VISIT = "a" * 32


async def _retract(counter: Counter, number: int, request: str) -> None:
    await counter.rights.retract(await counter.person(number), request, visit=VISIT)


async def test_a_person_ends_its_restriction_and_what_it_agreed_to_stands_again(counter: Counter) -> None:
    await counter.received(85)
    told = await counter.granted(85, "restriction")
    assert "Person 85" not in await counter.names()
    await _retract(counter, 85, told["id"])
    assert await counter.states(85) == ["given"]
    assert "Person 85" in await counter.names()
    found = await counter.rights.requests.owned(await counter.subject(), told["id"])
    assert (found.state, found.describe()["outcome"]) == ("retracted", told["outcome"])
    assert (await counter.acts(told["id"]))[-2:] == ["right_tasks_ended", "right_retracted"]
    entries = await counter.shared.entries(counter.bank.id)
    [entry] = [one for one in entries if (one.get("act"), one.get("request")) == ("right_retracted", told["id"])]
    assert (entry["lifted"], entry["actor"]) == (1, {"visit": VISIT})
    with pytest.raises(Conflicting, match="wrong_state"):
        await _retract(counter, 85, told["id"])


async def test_a_deletion_that_waits_for_a_case_is_taken_back_and_is_not_carried_out_after_it(counter: Counter) -> None:
    await counter.received(86)
    case = await counter.dispute()
    told = await counter.granted(86, "deletion")
    assert await counter.states(86) == ["on_hold"]
    await _retract(counter, 86, told["id"])
    assert await counter.states(86) == ["given"]
    await counter.decide(case)
    await counter.rights.settling.run()
    assert await counter.states(86) == ["given"]
    [task] = [one for one in await counter.tasks(counter.shared.hotel) if one["request"] == told["id"]]
    assert task["outcome"] == "no_longer_asked"


async def test_what_another_request_of_the_person_holds_stays_on_hold_until_that_is_taken_back_too(
    counter: Counter,
) -> None:
    await counter.received(87)
    await counter.received(88)
    await counter.merged(87, 88)
    case = await counter.dispute()
    restriction, deletion = await counter.granted(88, "restriction"), await counter.granted(87, "deletion")
    assert (restriction["outcome"]["held"], deletion["outcome"]["held"]) == (2, 0)
    await _retract(counter, 88, restriction["id"])
    assert [*await counter.states(87), *await counter.states(88)] == ["on_hold", "on_hold"]
    await _retract(counter, 87, deletion["id"])
    assert [*await counter.states(87), *await counter.states(88)] == ["given", "given"]
    await counter.decide(case)


async def test_taking_back_lifts_nothing_that_no_request_holds(counter: Counter) -> None:
    await counter.received(89)
    [held] = await _records(counter, 89)
    async with counter.shared.gateway.ledger.changing(counter.bank.id, narrows={counter.bank.id}) as change:
        await counter.shared.gateway.consents.records.act(change, held, Event.HOLD, actor={"client": "x"})
    await _retract(counter, 89, (await counter.granted(89, "restriction"))["id"])
    assert await counter.states(89) == ["on_hold"]


async def test_taking_back_what_holds_nothing_lifts_nothing(counter: Counter) -> None:
    await counter.received(92)
    await counter.merged(92, 93)
    await counter.granted(93, "restriction")
    parted = {"subject": "C00092", "duplicate": "C00093"}
    separations = f"/v1/datasets/{counter.deal.dataset}/separations"
    assert (await counter.bank.post(separations, await counter.bank.token(), parted)).status_code == 204
    await _retract(counter, 92, await counter.asked(92, "complaint"))
    assert await counter.states(92) == ["on_hold"]


async def test_a_guardian_ends_no_pause_of_what_the_person_agreed_to_itself_and_the_person_does(
    counter: Counter,
) -> None:
    person, parent = await counter.person(99), {"guardian": {"relation": "parent", "verified": "document"}}
    here, hotel, answering = counter.deal.dataset, counter.shared.hotel, counter.rights.answering
    shown = {"method": "document", "staff": "1", "evidence_sha256": "a" * 64}
    await counter.bank.consent(here, hotel, "C00099", age_band="unknown", **parent)
    for own in (False, True):
        if own:
            await counter.bank.consent(here, hotel, "C00099", age_band="14_to_17", purpose="service_delivery")
        request = await counter.asked(99, "restriction", behalf="guardian")
        await answering.identify(await counter.subject(), request, shown)
        await answering.grant(await counter.subject(), request, {"text": "已办理。"})
        for behalf, can_end_it in (("guardian", not own), ("self", True)):
            shown_to = await counter.rights.of_person(counter.shared.gateway.database, person, behalf=behalf)
            assert {one["id"]: one["can_be_retracted"] for one in shown_to}[request] is can_end_it
        if own:
            with pytest.raises(Conflicting, match="not_a_childs"):
                await counter.rights.retract(person, request, visit=VISIT, behalf="guardian")
            assert await counter.states(99) == ["on_hold", "on_hold"]
            await counter.rights.retract(person, request, visit=VISIT)
        else:
            await counter.rights.retract(person, request, visit=VISIT, behalf="guardian")
        assert set(await counter.states(99)) == {"given"}


async def test_what_ended_while_it_was_on_hold_does_not_stand_again(counter: Counter) -> None:
    soon = instant(datetime.fromtimestamp(counter.bank.now + 60, UTC))
    await counter.bank.consent(counter.deal.dataset, counter.shared.hotel, "C00090", expires_at=soon)
    told = await counter.granted(90, "restriction")
    counter.shared.clock.pass_seconds(61)
    await _retract(counter, 90, told["id"])
    assert "Person 90" not in await counter.names()


async def test_an_owner_takes_back_by_the_persons_word_only_what_did_not_come_from_the_page(counter: Counter) -> None:
    await counter.received(91)
    asked = {"dataset": counter.deal.dataset, "subject": "C00091", "kind": "restriction", "text": "Please."}
    by_letter = (await counter.post("", asked)).json()["id"]
    shown = {"method": "counter", "staff": "1"}
    assert (await counter.post(f"/{by_letter}/identity", shown)).status_code == 200
    assert (await counter.post(f"/{by_letter}/answer", {"text": "Done."})).status_code == 200
    assert await counter.states(91) == ["on_hold"]
    assert (await counter.post(f"/{by_letter}/retraction", {}, counter.shared.hotel)).status_code == 404
    done = await counter.post(f"/{by_letter}/retraction", {})
    assert (done.status_code, done.json().get("state")) == (200, "retracted"), done.text
    assert await counter.states(91) == ["given"]
    on_the_page = await counter.asked(91, "deletion")
    refused = await counter.post(f"/{on_the_page}/retraction", {})
    assert (refused.status_code, refused.json()["code"]) == (409, "asked_on_the_page")


async def _records(counter: Counter, number: int) -> list[str]:
    person = await counter.person(number)
    async with counter.shared.gateway.database.reading() as reading:
        found = await counter.shared.gateway.consents.records.of_person(reading, *person)
    return [one.id for one in found]
