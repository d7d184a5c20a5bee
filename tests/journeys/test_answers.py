"""Every answer of the gateway to a reader, and the entry that stands behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.agreements import Drafting, HoldSubject
from gateway.policy.tables import activate
from tests.access.world import (
    ENGINES,
    PLACES,
    Deal,
    Shared,
    headers_of,
    reasons,
    records,
    shared_on,
)
from tests.alliance import instant, new_key, public

NOT_IN_FORCE = ("AGREEMENT_NOT_IN_FORCE", "2.3.2")
OUT_OF_SCOPE = ("OUT_OF_SCOPE", "4.1.2")
NO_SUCH = "0" * 32


@pytest.fixture(params=ENGINES)
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shared]:
    async with shared_on(request, tmp_path, request.param) as alliance:
        yield alliance


async def refused(shared: Shared, answer: httpx.Response, first: tuple[str, str], status: int = 403) -> dict[str, Any]:
    """Check that an answer is this refusal, and that the same stands in the owner's log; returns the entry."""
    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (problem["status"], problem["code"]) == (status, first[0])
    assert reasons(problem)[0] == first
    [entry] = [one for one in await shared.accesses() if one["event_id"] == problem["event_id"]]
    assert (entry["effect"], reasons(entry)) == ("deny", reasons(problem))
    assert "opening" not in entry
    return entry


@pytest.mark.parametrize("reader", ["bank", "hotel"])
@pytest.mark.parametrize("signatures", [0, 1])
async def test_a_party_to_an_unsigned_agreement_is_told_the_clause(
    shared: Shared, reader: str, signatures: int
) -> None:
    dataset = await shared.places()
    agreement, text = await shared.bank.draft(shared.hotel, dataset, ["code"])
    if signatures:
        await shared.hotel.confirm(shared.bank)
        assert (await shared.bank.sign(agreement, text)).status_code == 200
    party = shared.alliance.members[reader]
    answer = await party.get(Deal(agreement, dataset).path, await party.token(), purpose="market_analysis")
    entry = await refused(shared, answer, NOT_IN_FORCE)
    assert entry["actor"]["member"] == party.id


async def test_before_it_starts_and_after_it_ends_an_agreement_gives_nothing(shared: Shared) -> None:
    start, end = shared.hotel.now + 100, shared.hotel.now + 160
    span = {name: instant(datetime.fromtimestamp(at, UTC)) for name, at in (("start", start), ("end", end))}
    deal = await shared.market(**span)
    early = await shared.hotel.get(deal.path, await shared.hotel.token(), purpose="market_analysis")
    await refused(shared, early, NOT_IN_FORCE)
    shared.clock.pass_seconds(100)
    token = await shared.token(deal)
    assert len(records(await shared.hotel.get(deal.path, token))) == 3
    shared.clock.pass_seconds(59)
    assert len(records(await shared.hotel.get(deal.path, token))) == 3
    shared.clock.pass_seconds(1)
    late = await shared.hotel.get(deal.path, await shared.hotel.token(), purpose="market_analysis")
    await refused(shared, late, NOT_IN_FORCE)


@pytest.mark.parametrize("terminator", ["bank", "hotel"])
async def test_a_terminated_agreement_gives_nothing_at_the_next_read(shared: Shared, terminator: str) -> None:
    deal = await shared.market()
    token = await shared.token(deal)
    assert len(records(await shared.hotel.get(deal.path, token))) == 3
    party = shared.alliance.members[terminator]
    ended = await party.post(f"/v1/agreements/{deal.agreement}/termination", await party.token())
    assert ended.status_code == 200
    entry = await refused(shared, await shared.hotel.get(deal.path, token), NOT_IN_FORCE)
    assert reasons(entry) == [NOT_IN_FORCE]


async def test_a_purpose_that_is_not_agreed_is_refused(shared: Shared) -> None:
    deal = await shared.market()
    answer = await shared.hotel.get(deal.path, await shared.token(deal), purpose="settlement")
    entry = await refused(shared, answer, ("PURPOSE_NOT_AGREED", "8.2.2"))
    assert (entry["purpose"], len(entry["reasons"])) == ("settlement", 1)


async def test_an_agreed_purpose_that_the_token_was_not_issued_for_is_refused(shared: Shared) -> None:
    deal = await shared.market(purposes=["market_analysis", "settlement"])
    token = await shared.token(deal, "market_analysis")
    answer = await shared.hotel.get(deal.path, token, purpose="settlement")
    await refused(shared, answer, ("PURPOSE_NOT_AGREED", "8.2.2"))


async def test_a_purpose_that_the_alliance_does_not_know_is_refused_even_if_agreed(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Drafting, "_check_purposes", lambda *_: None)  # as if the registry had it then
    deal = await shared.market(purposes=["curiosity"])
    answer = await shared.hotel.get(deal.path, await shared.token(deal, "curiosity"))
    entry = await refused(shared, answer, ("PURPOSE_UNKNOWN", "1.1"))
    assert len(entry["reasons"]) == 1


async def test_a_field_that_is_not_granted_is_refused_as_one_that_does_not_exist(shared: Shared) -> None:
    deal = await shared.market()
    token = await shared.token(deal)
    answers = [await shared.hotel.get(deal.path, token, fields=f"code,{name}") for name in ("margin", "colour")]
    for answer in answers:
        await refused(shared, answer, OUT_OF_SCOPE)
    withheld, unknown = ({**answer.json(), "event_id": ""} for answer in answers)
    assert withheld == unknown


async def test_a_dataset_outside_the_agreement_is_refused_alike_whether_it_exists_or_not(shared: Shared) -> None:
    deal = await shared.market()
    other = await shared.market()
    people = await shared.people([1])
    await shared.gateway.holds.place(shared.alliance.id, HoldSubject.DATASET, people, case="case-7", operator="test")
    strangers = await shared.stranger.declare({**_MINIMAL})
    token = await shared.token(deal)
    told = []
    for dataset in (NO_SUCH, other.dataset, people, strangers):
        answer = await shared.hotel.get(Deal(deal.agreement, dataset).path, token, purpose="market_analysis")
        await refused(shared, answer, OUT_OF_SCOPE)
        told.append(({**answer.json(), "event_id": ""}, {**headers_of(answer), "gateway-event-id": ""}))
    assert told == [told[0]] * 4


async def test_reads_beyond_the_agreed_frequency_are_refused_until_the_window_reopens(shared: Shared) -> None:
    deal = await shared.market(frequency={"reads": 2, "per_seconds": 60})
    token = await shared.token(deal)
    for _ in range(2):
        assert len(records(await shared.hotel.get(deal.path, token))) == 3
    for _ in range(2):
        await refused(shared, await shared.hotel.get(deal.path, token), ("FREQUENCY_EXCEEDED", "4.1.2"))
    shared.clock.pass_seconds(59)
    await refused(shared, await shared.hotel.get(deal.path, token), ("FREQUENCY_EXCEEDED", "4.1.2"))
    shared.clock.pass_seconds(1)
    assert len(records(await shared.hotel.get(deal.path, token))) == 3
    effects = [entry["effect"] for entry in await shared.accesses()]
    assert effects == ["permit"] * 2 + ["deny"] * 3 + ["permit"]


async def test_a_refused_read_does_not_count_against_the_frequency(shared: Shared) -> None:
    deal = await shared.market(frequency={"reads": 1, "per_seconds": 60})
    token = await shared.token(deal)
    for _ in range(3):
        await refused(shared, await shared.hotel.get(deal.path, token, fields="margin"), OUT_OF_SCOPE)
    assert len(records(await shared.hotel.get(deal.path, token))) == 3


@pytest.mark.parametrize("kind", [HoldSubject.DATASET, HoldSubject.AGREEMENT])
async def test_a_hold_answers_423_with_its_case_and_freezes_nothing_else(shared: Shared, kind: HoldSubject) -> None:
    deal, other = await shared.market(), await shared.market()
    held = deal.dataset if kind is HoldSubject.DATASET else deal.agreement
    token, elsewhere = await shared.token(deal), await shared.token(other)
    assert len(records(await shared.hotel.get(deal.path, token))) == 3
    hold = await shared.gateway.holds.place(shared.alliance.id, kind, held, case="case-42", operator="test")
    answer = await shared.hotel.get(deal.path, token)
    entry = await refused(shared, answer, ("DISPUTED_ITEM", "7.2.3"), 423)
    assert (answer.json()["case"], len(entry["reasons"])) == ("case-42", 1)
    assert len(records(await shared.hotel.get(other.path, elsewhere))) == 3
    besides = await shared.hotel.get(deal.path, token, fields="margin")
    entry = await refused(shared, besides, OUT_OF_SCOPE, 423)
    assert (besides.json()["case"], [code for code, _ in reasons(entry)]) == (
        "case-42",
        ["OUT_OF_SCOPE", "DISPUTED_ITEM"],
    )
    await shared.alliance.lift(hold)
    assert len(records(await shared.hotel.get(deal.path, token))) == 3


@pytest.mark.parametrize("suspended", ["bank", "hotel"])
async def test_while_either_side_is_suspended_nothing_is_given(shared: Shared, suspended: str) -> None:
    deal = await shared.market()
    token = await shared.token(deal)
    assert len(records(await shared.hotel.get(deal.path, token))) == 3
    member = shared.alliance.members[suspended].id
    await shared.gateway.members.suspend(member, case="case-9", operator="test")
    await refused(shared, await shared.hotel.get(deal.path, token), ("MEMBER_SUSPENDED", "9.2.3"))
    await shared.alliance.readmit(member, case="case-9")
    assert len(records(await shared.hotel.get(deal.path, token))) == 3


async def test_a_stranger_an_unknown_agreement_and_another_alliance_look_the_same(shared: Shared) -> None:
    deal = await shared.market()
    rival = await shared.alliance.neighbour()
    seen = []
    for member, agreement in (
        (shared.stranger, deal.agreement),
        (shared.stranger, NO_SUCH),
        (shared.hotel, NO_SUCH),
        (rival, deal.agreement),
        (rival, NO_SUCH),
    ):
        path = Deal(agreement, deal.dataset).path
        for wanted in (path, f"{path}/{NO_SUCH}"):
            answer = await member.get(wanted, await member.token(), purpose="market_analysis")
            seen.append((answer.status_code, answer.content, headers_of(answer)))
    assert seen[0][0] == 404
    assert seen == [seen[0]] * len(seen)
    assert await shared.accesses() == []
    ours, theirs = [await shared.accesses(log) for log in (shared.alliance.id, rival.alliance.id)]
    assert [entry["actor"]["member"] for entry in ours] == [shared.stranger.id] * 4 + [shared.hotel.id] * 2
    assert [entry["actor"]["member"] for entry in theirs] == [rival.id] * 4
    for entry in ours + theirs:
        assert (entry["effect"], reasons(entry)) == ("deny", [("NOT_A_PARTY", "1.2")])


async def test_a_record_without_consent_and_an_unknown_record_look_the_same(shared: Shared) -> None:
    deal = await shared.personal([1, 2])
    await shared.bank.consent(deal.dataset, shared.hotel, "C00001", "C00002")
    token = await shared.referral_token(deal)
    page = records(await shared.hotel.get(deal.path, token))
    gone = next(record for record, fields in page.items() if fields["name"] == "Person 2")
    kept = next(record for record in page if record != gone)
    assert (await shared.bank.withdraw(deal.dataset, "C00002")).status_code == 200
    assert list(records(await shared.hotel.get(deal.path, token))) == [kept]
    without, unknown = [await shared.hotel.get(f"{deal.path}/{one}", token) for one in (gone, NO_SUCH)]
    assert without.status_code == 404
    assert without.content == unknown.content
    assert headers_of(without) == headers_of(unknown)
    for entry in (await shared.accesses())[-2:]:
        assert (entry["effect"], entry["opening"]["groups"]) == ("permit", [])
    one = await shared.hotel.get(f"{deal.path}/{kept}", token)
    assert records(one) == {kept: {"name": "Person 1", "phone": page[kept]["phone"]}}


@pytest.mark.parametrize("how", ["revoked", "key retired"])
async def test_a_client_that_was_ended_is_not_authenticated_at_the_very_next_call(shared: Shared, how: str) -> None:
    deal = await shared.market()
    token = await shared.token(deal)
    assert len(records(await shared.hotel.get(deal.path, token))) == 3
    clients = shared.gateway.clients
    if how == "revoked":
        await clients.revoke(shared.hotel.client, operator="test")
    else:
        key = shared.hotel.client_key.thumbprint()
        await shared.alliance.by_two("add_client_key", client=shared.hotel.client, jwk=public(new_key()))
        await clients.retire_key(shared.hotel.client, key, operator="test")
    answer = await shared.hotel.get(deal.path, token)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    entry = await shared.last_access()
    assert (entry["effect"], reasons(entry)) == ("deny", [("CLIENT_REVOKED", "2.2.3")])
    elsewhere = await shared.hotel.get("/v1/agreements", token)
    assert (elsewhere.status_code, elsewhere.content) == (401, answer.content)


async def test_a_policy_in_force_that_is_not_loaded_is_503_until_it_is(shared: Shared) -> None:
    deal = await shared.market()
    token = await shared.token(deal)
    assert len(records(await shared.hotel.get(deal.path, token))) == 3
    async with shared.gateway.ledger.changing(shared.alliance.id, narrows=[shared.bank.id]) as change:
        await activate(change.tx, shared.alliance.id, "f" * 64, change.now_ms)
    answer = await shared.hotel.get(deal.path, token)
    assert (answer.status_code, answer.json()["code"]) == (503, "indeterminate")
    assert int(answer.headers["retry-after"]) > 0
    entry = await shared.last_access()
    assert (entry["effect"], entry["policy"]["digest"]) == ("indeterminate", "f" * 64)
    assert [code for code, _ in reasons(entry)] == ["POLICY_NOT_LOADED"]
    await shared.gateway.activate_policy(shared.alliance.id, operator="test")
    assert len(records(await shared.hotel.get(deal.path, token))) == 3


async def test_a_release_is_on_record_with_exactly_what_it_opened(shared: Shared) -> None:
    deal = await shared.market(["code", "city", "price"])
    token = await shared.token(deal)
    answer = await shared.hotel.get(deal.path, token, fields="code,price")
    page = records(answer)
    assert sorted(fields["code"] for fields in page.values()) == sorted(str(place["code"]) for place in PLACES)
    assert all(fields.keys() == {"code", "price"} for fields in page.values())
    entry = await shared.last_access()
    assert entry["event_id"] == answer.json()["event_id"] == answer.headers["gateway-event-id"]
    subject = await shared.subject(shared.hotel, token)
    assert entry["actor"] == {
        "member": shared.hotel.id,
        "client": shared.hotel.client,
        "token": subject.token,
        "jkt": subject.jkt,
    }
    assert (entry["effect"], entry["dataset"], entry["purpose"]) == ("permit", deal.dataset, "market_analysis")
    assert entry["agreement"].partition("@")[0] == deal.agreement
    assert entry["policy"]["digest"] == shared.gateway.decisions.digest
    assert entry["opening"] == {
        "dataset": deal.dataset,
        "groups": [
            {
                "classes": ["place", "terms"],
                "fields": ["code", "price"],
                "withheld": ["city"],
                "records": [f"{record}@1" for record in sorted(page)],
            }
        ],
    }


_MINIMAL = {
    "type": "object",
    "x-kind": "product",
    "properties": {"code": {"type": "string", "x-class": "open", "x-grade": 1, "x-confidentiality": "public"}},
}
