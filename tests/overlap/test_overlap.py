"""Two members count their common customers: agreed by both, over consenting persons, once, and coarsely."""

from __future__ import annotations

import asyncio
import json
import secrets
from base64 import urlsafe_b64decode
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import pytest

from gateway.errors import Reason, Refused
from gateway.identity import AgreementGrant, Subject
from gateway.overlap.answering import COHORT, STEP, commitment
from gateway.overlap.comparing import Comparison
from gateway.overlap.counting import Counting, WorkerFailed
from gateway.overlap.overlaps import MOST_A_MONTH
from gateway.overlap.record import found
from gateway.overlap.runs import FIRST_PAUSE_MS
from gateway.overlap.sides import PURPOSE, Side
from tests.access.world import reasons
from tests.confiding import assessment, file
from tests.overlap.world import Counted

pytestmark = pytest.mark.asyncio(loop_scope="module")

_FEW = {"at_least": 0, "fewer_than": COHORT + STEP}


class _Failing(Counting):
    """Fails as often as it is told, then counts as another does."""

    method = "failing"

    def __init__(self, then: Counting, failures: int) -> None:
        self.then = then
        self.failures = failures

    async def common(self, ours: Collection[bytes], theirs: Collection[bytes]) -> int:
        if self.failures:
            self.failures -= 1
            raise WorkerFailed
        return await self.then.common(ours, theirs)


class _Seeing(Counting):
    """Keeps the sets that were counted."""

    method = "keyed_join"

    def __init__(self) -> None:
        self.sets: list[frozenset[bytes]] = []

    async def common(self, ours: Collection[bytes], theirs: Collection[bytes]) -> int:
        self.sets = [frozenset(ours), frozenset(theirs)]
        return len(self.sets[0] & self.sets[1])


async def test_two_members_learn_how_many_they_share_and_both_logs_say_so(world: Counted) -> None:
    own, other = await world.both(range(180), range(30, 200))
    overlap = await world.accepted(own, other)
    assert (await world.count(overlap)).json()["code"] == "overlap_unanswered"
    await world.runs.run()
    seen = [(await world.count(overlap, member)).json() for member in (own.owner, other.owner)]
    assert seen[0] == seen[1]
    assert seen[0]["at_least"] <= 150 < seen[0]["fewer_than"]
    assert seen[0]["at_least"] >= 130
    for member in (own.owner, other.owner):
        acts = await world.acts(overlap, member)
        told = ["overlap_proposed", "overlap_accepted", "overlap_frozen", "overlap_answered"]
        assert [one["act"] for one in acts] == told
        assert (acts[-1]["at_least"], acts[-1]["fewer_than"]) == (seen[0]["at_least"], seen[0]["fewer_than"])
    token = await own.owner.token()
    shown = (await own.owner.get(f"/v1/overlaps/{overlap}", token)).json()
    assert (shown["state"], shown["read"]) == ("answered", 2), "sides, and no count of persons"
    listed = (await own.owner.get("/v1/overlaps", token, limit="100")).json()["items"]
    assert shown in listed


async def test_each_log_committed_to_the_very_sets_before_they_were_counted(world: Counted) -> None:
    own, other = await world.both(range(200, 230), range(220, 240))
    seeing, world.runs._counting = _Seeing(), world.runs._counting
    former, world.runs._counting = world.runs._counting, seeing
    try:
        overlap = await world.accepted(own, other)
        await world.runs.run()
    finally:
        world.runs._counting = former
    frozen = {m.id: (await world.acts(overlap, m))[2] for m in (own.owner, other.owner)}
    for member, role, elements in ((own.owner, "proposer", seeing.sets[0]), (other.owner, "acceptor", seeing.sets[1])):
        entry = frozen[member.id]
        keys = await world.shared.gateway.keyring.unlock(member.id)
        bound = {"use": "overlap_salt", "overlap": overlap, "member": member.id}
        salt = keys.open_detail(entry["sealed"], json.dumps(bound, sort_keys=True, separators=(",", ":")).encode())
        assert entry[f"{role}_sha256"] == commitment(salt, elements)
        assert entry["size"] == len(elements)
        assert len(urlsafe_b64decode(entry["sealed"]["nonce"] + "==")) == 24
    both = [{name: one[name] for name in ("proposer_sha256", "acceptor_sha256")} for one in frozen.values()]
    assert both[0] == both[1]
    assert [set(map(len, one)) for one in seeing.sets] == [{32}, {32}]


async def test_only_who_consents_to_be_matched_with_that_member_at_that_instant_is_counted(world: Counted) -> None:
    shared = world.shared
    own = await world.customers(shared.bank, shared.hotel, range(300, 460))
    other = await world.customers(shared.hotel, shared.bank, range(300, 460), consenting=False)
    await other.owner.consent(other.dataset, other.other, "C00300", purpose="customer_referral", fields=["phone"])
    await other.owner.consent(other.dataset, shared.stranger, "C00301", purpose="matching", fields=["phone"])
    await other.owner.consent(other.dataset, other.other, "C00302", purpose="matching", fields=["name"])
    seeing = _Seeing()
    former, world.runs._counting = world.runs._counting, seeing
    try:
        await own.owner.withdraw(own.dataset, "C00459")
        assert (await world.answered(own, other)).items() >= _FEW.items()
    finally:
        world.runs._counting = former
    assert [len(one) for one in seeing.sets] == [159, 0]


async def test_a_set_of_one_and_a_set_of_strangers_get_the_same_answer(world: Counted) -> None:
    """Existence of one person: whoever asks about a single person learns what asking about nobody tells."""
    bank = await world.customers(world.shared.bank, world.shared.hotel, range(500, 640))
    one = await world.customers(world.shared.hotel, world.shared.bank, [500])
    known = await world.answered(one, bank)
    world.next_month()
    nobody = await world.customers(world.shared.hotel, world.shared.bank, [9000])
    unknown = await world.answered(nobody, bank)
    assert {name: known[name] for name in _FEW} == {name: unknown[name] for name in _FEW} == _FEW


async def test_differencing_one_person_more_gets_the_answer_of_before(world: Counted) -> None:
    own, other = await world.both(range(700, 850), range(700, 850))
    before = await world.answered(own, other)
    await own.upload([850])
    await own.consenting([850])
    after = await world.answered(own, other)
    assert after | {"overlap": ""} == before | {
        "overlap": "",
        "repeats": before["overlap"],
        "answered_at": after["answered_at"],
    }
    world.next_month()
    again = await world.customers(own.owner, own.other, range(701, 850))
    assert (await world.answered(again, other))["repeats"] == before["overlap"]
    many = await world.customers(own.owner, own.other, range(840, 1100))
    assert (await world.answered(many, other))["repeats"] is None
    world.next_month()
    assert (await world.answered(own, other))["repeats"] == before["overlap"], "alternating sets tell nothing either"


async def test_what_has_changed_enough_since_a_count_is_not_opened_a_second_time(world: Counted) -> None:
    own, other = await world.both(range(2000, 2003), range(2000, 2003))
    answer = await world.answered(own, other)
    database, keyring = world.shared.gateway.database, world.shared.gateway.keyring
    one = await found(database, answer["overlap"], own.owner.id)
    keys = {member: await keyring.unlock(member) for member in one.members}
    strangers = {member: [secrets.token_bytes(32) for _ in range(300)] for member in one.members}
    comparison = Comparison(one, strangers, world.shared.clock())
    assert await comparison.nearly_same(database, keys) is None
    assert await comparison.nearly_same(database, {}) is None


async def test_a_spent_budget_is_a_refusal_on_record_in_both_logs(world: Counted) -> None:
    own, other = await world.both(range(1200, 1203), range(1200, 1203))
    for _ in range(MOST_A_MONTH):
        await world.accepted(own, other)
    overlap = await world.proposed(own, other)
    refused = await world.accept(overlap, own, other)
    assert (refused.status_code, reasons(refused.json())) == (403, [("OVERLAP_BUDGET_SPENT", "2.2.1")])
    for member in (own.owner, other.owner):
        last = (await world.acts(overlap, member))[-1]
        assert (last["act"], last["effect"]) == ("overlap_accepted", "deny")
    assert (await world.acts(overlap, other.owner))[-1]["event_id"] == refused.json()["event_id"]
    await world.runs.run()
    assert (await world.count(overlap)).status_code == 409
    world.next_month()
    assert (await world.accept(overlap, own, other)).status_code == 200


async def test_a_race_of_acceptances_spends_the_budget_once(world: Counted) -> None:
    own, other = await world.both(range(1210, 1212), range(1210, 1212))
    asked = [await world.proposed(own, other) for _ in range(MOST_A_MONTH + 2)]
    answers = await asyncio.gather(*[world.accept(one, own, other) for one in asked])
    assert sorted(answer.status_code for answer in answers) == [200] * MOST_A_MONTH + [403, 403]
    accepted = [one for one, answer in zip(asked, answers, strict=True) if answer.status_code == 200]
    assert (await world.accept(accepted[0], own, other)).status_code == 200
    entered = await world.acts(accepted[0], own.owner)
    assert [one["act"] for one in entered] == ["overlap_proposed", "overlap_accepted"]


async def test_a_worker_that_fails_is_503_and_neither_the_question_nor_the_budget_is_lost(world: Counted) -> None:
    own, other = await world.both(range(1300, 1440), range(1300, 1440))
    former = world.runs._counting
    world.runs._counting = _Failing(former, 2)
    try:
        overlap = await world.accepted(own, other)
        await world.runs.run()
        failed = await world.count(overlap)
        assert (failed.status_code, failed.json()["code"]) == (503, "overlap_worker_failed")
        assert failed.headers["Retry-After"]
        await world.runs.run()
        assert (await world.count(overlap)).status_code == 503, "it is not due yet"
        for attempt in range(2):
            world.shared.clock.pass_seconds((FIRST_PAUSE_MS << attempt) // 1000)
            await world.runs.run()
        answer = (await world.count(overlap)).json()
    finally:
        world.runs._counting = former
    assert answer["at_least"] <= 140 < answer["fewer_than"]
    for _ in range(MOST_A_MONTH - 1):
        await world.accepted(own, other)
    assert (await world.accept(await world.proposed(own, other), own, other)).status_code == 403


class _Endless(Counting):
    """Never ends."""

    method = "endless"

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def common(self, _: Collection[bytes], __: Collection[bytes]) -> int:
        self.begun.set()
        await asyncio.sleep(600)
        return 0


async def test_a_server_that_stops_while_it_counts_keeps_no_other_from_counting_soon(
    world: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other = await world.both(range(2000, 2140), range(2000, 2140))
    world.next_month()
    overlap, endless = await world.accepted(own, other), _Endless()
    with monkeypatch.context() as stopping:
        stopping.setattr(world.runs, "_counting", endless)
        running = asyncio.create_task(world.runs.run())
        await asyncio.wait_for(endless.begun.wait(), 60)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    world.shared.clock.pass_seconds(FIRST_PAUSE_MS // 1000)
    await world.runs.run()
    assert (await world.count(overlap)).status_code == 200


async def test_without_an_impact_assessment_nothing_is_counted_and_the_budget_is_whole(world: Counted) -> None:
    own, other = await world.both(range(1500, 1503), range(1500, 1503))
    path = f"/v1/agreements/{other.agreement}/datasets/{other.dataset}/assessments"
    shown = (await other.owner.get(path, await other.owner.token())).json()["items"]
    ended = await file(other.owner, f"{path}/{shown[0]['id']}", method="DELETE")
    assert ended.status_code < 300, ended.text
    overlap = await world.accepted(own, other)
    await world.runs.run()
    refused = await world.count(overlap)
    assert (refused.status_code, refused.json()["code"]) == (403, "PIA_MISSING")
    last = (await world.acts(overlap, own.owner))[-1]
    assert (last["act"], reasons(last)) == ("overlap_refused", [("PIA_MISSING", "1.3.4")])
    assert (await file(other.owner, path, assessment(other.owner))).status_code < 300
    for _ in range(MOST_A_MONTH):
        await world.accepted(own, other)


async def test_without_an_agreement_of_each_side_nothing_can_be_asked(world: Counted) -> None:
    own, other = await world.both([1600], [1600])
    read_only = await world.customers(
        other.owner, other.other, [1601], purposes=["matching"], term={"methods": ["api"]}
    )
    not_agreed = await world.propose(own, read_only)
    assert (not_agreed.status_code, not_agreed.json()["code"]) == (409, "overlap_not_agreed")
    assert (await world.propose(own, other, {"own": other.side()})).json()["code"] == "overlap_not_own"
    stranger = await world.customers(world.shared.stranger, own.owner, [1600])
    assert (await world.propose(own, stranger)).json()["code"] == "overlap_not_mutual"
    ungranted = await own.owner.post(
        "/v1/overlaps", await own.owner.token(), {"matched_by": "phone", "own": own.side(), "other": other.side()}
    )
    assert (ungranted.status_code, ungranted.json()["code"]) == (403, "ACTION_NOT_GRANTED")
    assert (await world.propose(own, other, {"matched_by": "name"})).json()["field"] == "/matched_by"
    overlap = await world.proposed(own, other)
    ended = await own.owner.post(f"/v1/agreements/{own.agreement}/termination", await own.owner.token())
    assert ended.status_code < 300, ended.text
    token = await other.owner.token()
    assert (await other.owner.post(f"/v1/overlaps/{overlap}/acceptance", token)).status_code == 403
    over = await world.propose(own, other)
    assert (over.status_code, over.json()["code"], over.json()["field"]) == (409, "overlap_not_agreed", "/own")


async def test_a_dataset_that_its_agreement_does_not_name_is_not_found(world: Counted) -> None:
    own, other = await world.both([1610], [1610])
    unnamed = await world.propose(own, other, {"own": own.side() | {"dataset": other.dataset}})
    assert unnamed.status_code == 404


@pytest.mark.parametrize(
    "instead",
    [{"agreement": "another"}, {"datasets": ("another",)}, {"purposes": ("referral",)}, {"actions": ("query",)}],
    ids=str,
)
async def test_a_grant_of_anything_but_reading_that_side_for_matching_grants_no_count(
    instead: Mapping[str, Any],
) -> None:
    side = Side("theirs", "customers", "phone")
    grant = AgreementGrant(side.agreement, (side.dataset,), (PURPOSE,), ("read",))
    granted = Subject("alliance", "bank", "client", (grant,), frozenset(), "token", "key", 0, 1)
    side.require_grant(granted)
    with pytest.raises(Refused) as refused:
        side.require_grant(replace(granted, agreements=(replace(grant, **instead),)))
    assert refused.value.reasons == (Reason("ACTION_NOT_GRANTED"),)


async def test_an_overlap_belongs_to_its_two_members_and_only_the_asked_one_decides(world: Counted) -> None:
    own, other = await world.both([1700], [1700])
    overlap = await world.proposed(own, other)
    stranger = await world.shared.stranger.token()
    for method, path in (("GET", ""), ("GET", "/count"), ("POST", "/acceptance"), ("DELETE", "")):
        told = await world.shared.stranger.call(method, f"/v1/overlaps/{overlap}{path}", stranger)
        none = await world.shared.stranger.call(method, f"/v1/overlaps/{'0' * 32}{path}", stranger)
        assert (told.status_code, told.json()) == (404, none.json())
    mine = await own.owner.call("DELETE", f"/v1/overlaps/{overlap}", await own.owner.token())
    assert (mine.status_code, mine.json()["code"]) == (403, "OTHER_SIDE_ONLY")
    theirs = await other.owner.token()
    for _ in range(2):
        declined = await other.owner.call("DELETE", f"/v1/overlaps/{overlap}", theirs)
        assert (declined.status_code, declined.json()["state"]) == (200, "declined")
    assert (await world.accept(overlap, own, other)).status_code == 409
    agreed = await world.accepted(own, other)
    late = await other.owner.call("DELETE", f"/v1/overlaps/{agreed}", theirs)
    assert (late.status_code, late.json()["code"]) == (409, "overlap_accepted")
    assert (await world.shared.stranger.get("/v1/overlaps", stranger)).json()["items"] == []


async def test_nobody_reads_for_matching_whatever_is_agreed_and_consented(world: Counted) -> None:
    own = await world.customers(
        world.shared.bank,
        world.shared.hotel,
        [1800],
        purposes=["matching", "customer_referral"],
        term={"methods": ["api", "overlap"]},
    )
    token = await own.other.token(own.other.under(own.agreement, own.dataset, "matching"))
    read = await own.other.get(f"/v1/agreements/{own.agreement}/datasets/{own.dataset}/records", token)
    assert (read.status_code, reasons(read.json())) == (403, [("METHOD_NOT_AGREED", "4.1.2")])


async def test_more_persons_than_a_side_may_have_are_refused_on_record(
    world: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other = await world.both(range(1900, 1912), [1900])
    monkeypatch.setattr(world.runs._freezing, "_most", 11)
    overlap = await world.accepted(own, other)
    await world.runs.run()
    assert (await world.count(overlap)).json()["code"] == "OVERLAP_TOO_LARGE"


async def test_a_new_version_of_the_index_key_changes_no_set_so_the_answer_of_before_is_given(world: Counted) -> None:
    own, other = await world.both(range(2100, 2250), range(2100, 2250))
    before = await world.answered(own, other)
    await world.renew_index_key()
    after = await world.answered(own, other)
    assert (after["repeats"], after["at_least"]) == (before["overlap"], before["at_least"])


async def test_an_index_key_that_is_renewed_between_the_two_sides_leaves_the_answer_true(
    world: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other = await world.both(range(2300, 2450), range(2300, 2450))
    freeze, frozen = world.runs._freezing.freeze, 0

    async def freeze_and_renew(*side: Any) -> Collection[bytes]:
        nonlocal frozen
        found = await freeze(*side)
        frozen += 1
        if frozen == 1:
            await world.renew_index_key()
        return found

    monkeypatch.setattr(world.runs._freezing, "freeze", freeze_and_renew)
    answer = await world.answered(own, other)
    assert answer["at_least"] <= 150 < answer["fewer_than"]


async def test_how_many_pages_the_other_side_has_is_not_told_for_it_says_how_many_persons(world: Counted) -> None:
    bank = await world.customers(world.shared.bank, world.shared.hotel, [2600])
    token, shown = await world.shared.bank.token(), []
    for numbers in (range(2600, 2601), range(2600, 2810)):
        other = await world.customers(world.shared.hotel, world.shared.bank, numbers)
        overlap = await world.accepted(bank, other)
        await world.runs.run()
        shown.append((await world.shared.bank.get(f"/v1/overlaps/{overlap}", token)).json()["read"])
    assert shown == [2, 2]


async def test_the_elements_of_one_pair_of_members_say_nothing_to_those_of_another(world: Counted) -> None:
    shared, seeing = world.shared, _Seeing()
    former, world.runs._counting = world.runs._counting, seeing
    seen: list[frozenset[bytes]] = []
    try:
        for others in (shared.hotel, shared.stranger):
            own = await world.customers(shared.bank, others, range(2900, 3010))
            await world.answered(own, await world.customers(others, shared.bank, range(2900, 3010)))
            assert seeing.sets[0] == seeing.sets[1]
            seen.append(seeing.sets[0])
    finally:
        world.runs._counting = former
    assert [len(one) for one in seen] == [110, 110]
    assert not seen[0] & seen[1]
