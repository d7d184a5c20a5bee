"""The enforcement point itself: without its log line nothing opens, without its refusal line nothing leaks,
and no permit outlives what it was judged by."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import types
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, select, update

from gateway.access import enforcement
from gateway.access.enforcement import EnforcementPoint
from gateway.access.request import AccessRequest
from gateway.access.tables import decided_case
from gateway.agreements import HoldSubject
from gateway.agreements.tables import agreement as agreement_table
from gateway.canonical import canonical
from gateway.database import Query
from gateway.errors import GatewayError, NotAuthenticated, Refused, Unavailable
from gateway.ledger import Effect, OpeningGroup, Recorded, StaleJudgement, Warrant
from gateway.ledger.errors import WarrantRejected
from gateway.policy import DecisionPoint, load_bundle
from gateway.policy.rego import EmbeddedRego
from tests.access.world import ENGINES, Deal, Shared, reasons, records, second_process, shared_on
from tests.alliance import POLICIES, instant

SOURCE = Path(inspect.getfile(enforcement)).read_text()
REFUSAL = "        refuse_unless_permitted(judgement, recorded)\n"
LEDGER = "        return await self._ledger.record(describe(request, judgement, signing=self._receipts.sign))\n"

_CASE = Query(select(decided_case.c.document).where(decided_case.c.sha256 == bindparam("sha256")))
_MOVE = Query(
    update(agreement_table)
    .where(agreement_table.c.id == bindparam("the_id"))
    .values(version=agreement_table.c.version + 1)
)


@pytest.fixture(params=ENGINES)
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shared]:
    async with shared_on(request, tmp_path, request.param) as alliance:
        yield alliance


@pytest.fixture
async def embedded(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shared]:
    async with shared_on(request, tmp_path, "sqlite") as alliance:
        yield alliance


class Counting:
    """A part of the seam, unchanged but for one method that something is done after; counts its calls."""

    def __init__(self, part: Any, method: str, after: Callable[[Any, int], Coroutine[Any, Any, Any]]) -> None:
        self._part, self._method, self._after = part, method, after
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        given = getattr(self._part, name)
        if name != self._method:
            return given

        async def watched(*args: Any, **named: Any) -> Any:
            self.calls += 1
            return await self._after(await given(*args, **named), self.calls)

        return watched


async def unchanged(answer: Any, _: int) -> Any:
    return answer


def parts(shared: Shared) -> dict[str, Any]:
    """What the composed enforcement point is made of."""
    return {name.removeprefix("_"): part for name, part in vars(shared.gateway.enforcement).items()}


def rebuilt(shared: Shared, kind: type[EnforcementPoint] = EnforcementPoint, **other: Any) -> EnforcementPoint:
    """An enforcement point of the same parts, some of them others."""
    return kind(**(parts(shared) | other))


def mutant(*removed: str) -> type[EnforcementPoint]:
    """The enforcement point from its own source without these lines."""
    source = SOURCE
    for line in removed:
        assert source.count(line) == 1
        source = source.replace(line, "")
    module = types.ModuleType("mutant")
    module.__dict__["__name__"] = "gateway.access.enforcement"
    exec(compile(source, "mutant", "exec"), module.__dict__)
    kind: type[EnforcementPoint] = module.__dict__["EnforcementPoint"]
    return kind


async def request_for(shared: Shared, deal: Deal, purpose: str = "market_analysis", **over: Any) -> AccessRequest:
    subject = await shared.subject(shared.hotel, await shared.token(deal, purpose))
    return AccessRequest(subject=subject, agreement=deal.agreement, dataset=deal.dataset, purpose=purpose, **over)


# ── the two lines ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("given", ["no warrant", "a made-up warrant", "an unminted warrant", "a spent warrant"])
async def test_without_a_warrant_of_the_ledger_nothing_is_opened(embedded: Shared, given: str) -> None:
    deal = await embedded.market()
    wish = await request_for(embedded, deal)
    assert len((await rebuilt(embedded).release(wish)).records) == 3

    async def forging(recorded: Recorded, _: int) -> Recorded:
        assert recorded.warrant is not None
        if given == "a spent warrant":
            with pytest.raises(WarrantRejected):
                recorded.warrant.redeem("another dataset", [])
            return recorded
        opening = (await embedded.last_access())["opening"]
        groups = [OpeningGroup(**{part: tuple(named) for part, named in one.items()}) for one in opening["groups"]]
        forged = {
            "no warrant": None,
            "a made-up warrant": types.SimpleNamespace(redeem=lambda *_: tuple(groups)),
            "an unminted warrant": Warrant.__new__(Warrant),
        }[given]
        return replace(recorded, warrant=forged)  # type: ignore[arg-type]

    point = rebuilt(embedded, ledger=Counting(embedded.gateway.ledger, "record", forging))
    with pytest.raises((AssertionError, AttributeError, WarrantRejected)):
        await point.release(wish)


async def test_a_ledger_that_records_nothing_opens_nothing(embedded: Shared) -> None:
    deal = await embedded.market()
    wish = await request_for(embedded, deal)
    earlier = await embedded.gateway.enforcement.release(wish)
    before = await embedded.accesses()

    class Silent:
        async def record(self, _: Any) -> Recorded:
            return earlier.recorded

    with pytest.raises(WarrantRejected):
        await rebuilt(embedded, ledger=Silent()).release(wish)
    assert await embedded.accesses() == before


async def test_a_mint_outside_the_ledger_is_rejected() -> None:
    with pytest.raises(WarrantRejected):
        Warrant(
            event_id="", log="", index=0, leaf_hash=b"", dataset="", groups=(), deadline=1e12, minted_by=object()
        )  # fmt: skip


async def test_the_source_that_is_mutated_is_the_one_that_works(embedded: Shared) -> None:
    deal = await embedded.market()
    wish = await request_for(embedded, deal)
    assert len((await rebuilt(embedded, mutant()).release(wish)).records) == 3


async def test_with_the_ledger_line_removed_nothing_can_be_opened(embedded: Shared) -> None:
    deal = await embedded.market()
    wish = await request_for(embedded, deal)
    before = await embedded.accesses()
    for removed in ((LEDGER,), (LEDGER, REFUSAL)):
        vault = Counting(parts(embedded)["vault"], "open", unchanged)
        with pytest.raises(AttributeError):
            await rebuilt(embedded, mutant(*removed), vault=vault).release(wish)
        assert vault.calls == 0
    assert await embedded.accesses() == before


async def test_with_the_refusal_line_removed_nothing_leaks(embedded: Shared) -> None:
    kind = mutant(REFUSAL)
    deal = await embedded.market(frequency={"reads": 1, "per_seconds": 60})
    wish = await request_for(embedded, deal)
    assert len((await rebuilt(embedded, kind).release(wish)).records) == 3
    refusals = [wish, wish._replace(purpose="settlement"), wish._replace(fields=("margin",))]
    await embedded.gateway.holds.place(
        embedded.alliance.id, HoldSubject.DATASET, deal.dataset, case="case-1", operator="test"
    )
    refusals.append(wish)
    for refused in refusals:
        with pytest.raises(Refused):
            await embedded.gateway.enforcement.release(refused)
        vault = Counting(parts(embedded)["vault"], "open", unchanged)
        with pytest.raises((AssertionError, AttributeError)):
            await rebuilt(embedded, kind, vault=vault).release(refused)
        assert vault.calls == 0


# ── what moves while a request is judged ───────────────────────────────────────────────────────────────────────


async def test_a_withdrawal_between_selection_and_entry_is_judged_once_more(shared: Shared) -> None:
    deal = await shared.personal([1, 2])
    await shared.bank.consent(deal.dataset, shared.hotel, "C00001", "C00002")
    wish = await request_for(shared, deal, "customer_referral")

    async def withdrawing(judgement: Any, call: int) -> Any:
        if call == 1:
            assert len(judgement.selection.records) == 2
            assert (await shared.bank.withdraw(deal.dataset, "C00001")).status_code == 200
        return judgement

    search = Counting(parts(shared)["search"], "select", withdrawing)
    released = await rebuilt(shared, search=search).release(wish)
    assert search.calls == 2
    assert [json.loads(fields)["name"] for _, fields in released.records] == ["Person 2"]
    [entry] = await shared.accesses()
    assert entry["narrowing"] == await shared.gateway.ledger.narrowing(shared.bank.id)
    order = [one.get("act", one["kind"]) for one in await shared.entries(shared.bank.id)]
    assert order.index("consents_withdrawn") < order.index("access")


async def test_what_narrows_at_every_try_is_indeterminate_and_on_record(shared: Shared) -> None:
    deal = await shared.personal([1, 2, 3])
    await shared.bank.consent(deal.dataset, shared.hotel, "C00001", "C00002", "C00003")
    wish = await request_for(shared, deal, "customer_referral")

    async def withdrawing(judgement: Any, call: int) -> Any:
        assert (await shared.bank.withdraw(deal.dataset, f"C0000{call}")).status_code == 200
        return judgement

    search = Counting(parts(shared)["search"], "select", withdrawing)
    with pytest.raises(Unavailable) as refused:
        await rebuilt(shared, search=search).release(wish)
    assert (refused.value.code, search.calls) == ("indeterminate", 2)
    [entry] = await shared.accesses()
    assert (entry["effect"], reasons(entry)) == ("indeterminate", [("MOVED", "")])
    assert "opening" not in entry


async def test_a_judgement_that_is_stale_twice_opens_nothing(embedded: Shared) -> None:
    deal = await embedded.market()
    wish = await request_for(embedded, deal)

    async def stale(recorded: Recorded, _: int) -> Recorded:
        if recorded.effect is Effect.PERMIT:
            raise StaleJudgement
        return recorded

    ledger = Counting(embedded.gateway.ledger, "record", stale)
    vault = Counting(parts(embedded)["vault"], "open", unchanged)
    with pytest.raises(Unavailable):
        await rebuilt(embedded, ledger=ledger, vault=vault).release(wish)
    assert (ledger.calls, vault.calls) == (3, 0)
    assert (await embedded.last_access())["effect"] == "indeterminate"


async def test_a_termination_between_decision_and_selection_is_decided_anew(shared: Shared) -> None:
    deal = await shared.market()
    wish = await request_for(shared, deal)

    async def terminating(judgement: Any, call: int) -> Any:
        if call == 1:
            assert judgement.permits
            ended = await shared.bank.post(f"/v1/agreements/{deal.agreement}/termination", await shared.bank.token())
            assert ended.status_code == 200
        return judgement

    deciding = Counting(parts(shared)["deciding"], "judge", terminating)
    with pytest.raises(Refused, match="AGREEMENT_NOT_IN_FORCE"):
        await rebuilt(shared, deciding=deciding).release(wish)
    assert deciding.calls == 2
    assert [entry["effect"] for entry in await shared.accesses()] == ["deny"]


@pytest.mark.parametrize("how", ["terminated", "superseded", "expired"])
async def test_an_agreement_that_ends_between_selection_and_release_releases_nothing(shared: Shared, how: str) -> None:
    deal = await shared.market(end=instant(datetime.fromtimestamp(shared.clock() // 1000 + 600, UTC)))
    amendment, text = await shared.bank.draft(shared.hotel, deal.dataset, ["code"], amends=deal.agreement)
    assert (await shared.bank.sign(amendment, text)).status_code == 200
    wish = await request_for(shared, deal)
    vault = Counting(parts(shared)["vault"], "open", unchanged)

    async def ending(selection: Any, call: int) -> Any:
        if call == 1 and how == "terminated":
            ended = await shared.bank.post(f"/v1/agreements/{deal.agreement}/termination", await shared.bank.token())
            assert ended.status_code == 200
        if call == 1 and how == "superseded":
            assert (await shared.hotel.sign(amendment, text)).status_code == 200
        if call == 1 and how == "expired":
            shared.clock.pass_seconds(600)
        return selection

    search = Counting(parts(shared)["search"], "select", ending)
    with pytest.raises((Refused, Unavailable)):
        await rebuilt(shared, search=search, vault=vault).release(wish)
    assert vault.calls == 0
    assert "permit" not in [entry["effect"] for entry in await shared.accesses()]


@pytest.mark.parametrize("after", ["judge", "select"])
async def test_no_permit_follows_the_revocation_of_its_own_token(shared: Shared, after: str) -> None:
    deal = await shared.market()
    token = await shared.token(deal)
    subject = await shared.subject(shared.hotel, token)
    wish = AccessRequest(subject=subject, agreement=deal.agreement, dataset=deal.dataset, purpose="market_analysis")
    assert len((await rebuilt(shared).release(wish)).records) == 3

    async def revoking(judgement: Any, call: int) -> Any:
        if call == 1:
            assert judgement.permits
            await shared.hotel.revoke(token)
        return judgement

    part = "deciding" if after == "judge" else "search"
    watched: dict[str, Any] = {part: Counting(parts(shared)[part], after, revoking)}
    point = rebuilt(shared, **watched)
    with pytest.raises(NotAuthenticated):
        await point.release(wish)
    entries = await shared.entries(shared.bank.id)
    revoked = next(place for place, entry in enumerate(entries) if entry.get("act") == "token_revoked")
    later = [entry for entry in entries[revoked:] if entry["kind"] == "access"]
    assert [(entry["effect"], reasons(entry)) for entry in later] == [("deny", [("CLIENT_REVOKED", "2.2.3")])]


async def test_facts_read_for_a_revoked_token_are_not_those_of_another(shared: Shared) -> None:
    deal = await shared.market()
    revoked, standing = await shared.token(deal), await shared.token(deal)
    await shared.hotel.revoke(revoked)
    for _ in range(3):
        assert (await shared.hotel.get(deal.path, revoked)).status_code == 401
        assert len(records(await shared.hotel.get(deal.path, standing))) == 3


@pytest.mark.parametrize(("moves", "answered"), [(1, True), (2, False)])
async def test_versions_that_move_are_read_once_more_and_then_refused(
    shared: Shared, moves: int, answered: bool
) -> None:
    deal = await shared.market()
    wish = await request_for(shared, deal)

    async def moving(judgement: Any, call: int) -> Any:
        if call <= moves:
            async with shared.gateway.database.transaction() as tx:
                assert await tx.run(_MOVE, the_id=deal.agreement) == 1
        return judgement

    deciding = Counting(parts(shared)["deciding"], "judge", moving)
    point = rebuilt(shared, deciding=deciding)
    if answered:
        assert len((await point.release(wish)).records) == 3
    else:
        with pytest.raises(Unavailable):
            await point.release(wish)
    assert deciding.calls == 2
    entry = await shared.last_access()
    assert entry["effect"] == ("permit" if answered else "indeterminate")
    assert ("opening" in entry) is answered


# ── what is remembered ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("change", ["terminated", "held", "suspended", "owner suspended", "revoked", "withdrawn"])
async def test_nothing_remembered_outlives_a_change_made_in_another_process(shared: Shared, change: str) -> None:
    deal = await shared.personal([1])
    await shared.bank.consent(deal.dataset, shared.hotel, "C00001")
    token = await shared.referral_token(deal)
    for _ in range(3):
        assert len(records(await shared.hotel.get(deal.path, token))) == 1
    async with second_process(shared) as other:
        if change == "terminated":
            subject = await shared.subject(shared.bank, await shared.bank.token())
            await other.life.terminate(subject, deal.agreement)
        elif change == "held":
            await other.holds.place(shared.alliance.id, HoldSubject.DATASET, deal.dataset, case="c", operator="test")
        elif change == "suspended":
            await other.members.suspend(shared.hotel.id, case="c", operator="test")
        elif change == "owner suspended":
            await other.members.suspend(shared.bank.id, case="c", operator="test")
        elif change == "revoked":
            await other.clients.revoke(shared.hotel.client, operator="test")
        else:
            subject = await shared.subject(shared.bank, await shared.bank.token())
            await other.consents.withdrawing.matching(subject, deal.dataset, person="C00001")
    answer = await shared.hotel.get(deal.path, token)
    if change == "withdrawn":
        assert records(answer) == {}
    else:
        assert answer.status_code == {"held": 423, "revoked": 401}.get(change, 403)
        assert (await shared.last_access())["effect"] == "deny"


async def test_every_decision_can_be_made_again_from_what_was_kept(shared: Shared) -> None:
    deal = await shared.market(frequency={"reads": 3, "per_seconds": 3600})
    token = await shared.token(deal)
    for asked in ({}, {"fields": "code"}, {"fields": "margin"}, {"purpose": "settlement"}):
        await shared.hotel.get(deal.path, token, **asked)
        shared.clock.pass_seconds(2)
    await shared.gateway.holds.place(shared.alliance.id, HoldSubject.DATASET, deal.dataset, case="c", operator="test")
    await shared.hotel.get(deal.path, token)
    decisions = DecisionPoint(EmbeddedRego(load_bundle(POLICIES)), memo_capacity=0)
    await decisions.start()
    accesses = await shared.accesses()
    assert [entry["effect"] for entry in accesses] == ["permit", "permit", "deny", "deny", "deny"]
    for entry in accesses:
        policy = entry["policy"]
        row = await shared.gateway.database.one(_CASE, sha256=policy["case_sha256"])
        assert row is not None
        assert hashlib.sha256(bytes(row["document"])).hexdigest() == policy["case_sha256"]
        case = json.loads(row["document"])
        case["context"]["now"] = entry["judged_at"]
        assert hashlib.sha256(canonical(case)).hexdigest() == policy["input_sha256"]
        again = await decisions.decide(case)
        assert policy["digest"] == decisions.digest
        assert again.effect == entry["effect"]
        assert [(one.code, one.clause) for one in again.reasons] == (
            [] if entry["effect"] == "permit" else reasons(entry)
        )
        assert again.valid_until == policy["valid_until"]
        if entry["effect"] == "permit":
            [group] = entry["opening"]["groups"]
            assert set(again.fields) == set(group["fields"])
            assert set(again.classes) == set(group["classes"])
    await decisions.close()


# ── its shape ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_seam_is_one_file_of_at_most_100_lines() -> None:
    assert len(SOURCE.splitlines()) <= 100


def test_what_is_opened_is_recorded_and_refused_first_and_in_one_place() -> None:
    calls = [
        (node.lineno, node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", ""))
        for node in ast.walk(ast.parse(SOURCE))
        if isinstance(node, ast.Call)
    ]
    release = [name for _, name in sorted(calls) if name in {"_judge_and_record", "refuse_unless_permitted", "open"}]
    assert release == ["_judge_and_record", "refuse_unless_permitted", "open"]
    steps = {"read", "judge", "select", "keep", "record", "describe", "refuse_unless_permitted", "open"}
    assert steps <= {name for _, name in calls}
    assert "describe(request, judgement, signing=self._receipts.sign)" in SOURCE


async def test_no_permit_is_answered_unless_its_entry_is_durable(embedded: Shared) -> None:
    deal = await embedded.market()
    wish = await request_for(embedded, deal)
    seen: list[bool] = []

    async def looked_up(recorded: Recorded, _: int) -> Recorded:
        seen.append(recorded.event_id in {one["event_id"] for one in await embedded.accesses()})
        return recorded

    ledger = Counting(embedded.gateway.ledger, "record", looked_up)
    await rebuilt(embedded, ledger=ledger).release(wish)
    with pytest.raises(GatewayError):
        await rebuilt(embedded, ledger=ledger).release(wish._replace(purpose="settlement"))
    assert seen == [True, True]
