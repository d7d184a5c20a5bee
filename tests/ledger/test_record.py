"""Recording: durable before answered, contiguous, judged under the lock, on both databases."""

from __future__ import annotations

import asyncio
import hashlib
import json
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.canonical import parse_canonical
from gateway.database import CommitUnknown, Database, DatabaseUnavailable, Transaction
from gateway.errors import Conflicting, GatewayError, Invalid, Reason, TooLarge
from gateway.ledger import (
    ClockBehind,
    Draft,
    Effect,
    Kind,
    LedgerUnavailable,
    Opening,
    OpeningGroup,
    Quota,
    Recorded,
    StaleJudgement,
    UnknownLog,
    UsedBefore,
)
from gateway.ledger.merkle import leaf_hash
from tests.ledger.builders import CHAINS, HEADS, LEAVES, OPERATOR, OWNER, act, denial, new_ledger, opened, permit

SPENT = Reason("FREQUENCY_EXCEEDED", "4.1.2")


async def test_concurrent_entries_stand_at_contiguous_indices(database: Database) -> None:
    ledger = await opened(database)
    recorded = await asyncio.gather(*(ledger.record(permit(number)) for number in range(700)))
    assert sorted(entry.index for entry in recorded) == list(range(700))
    rows = {row["idx"]: row for row in await database.all(LEAVES)}
    assert sorted(rows) == list(range(700))
    for number, entry in enumerate(recorded):
        row = rows[entry.index]
        body = parse_canonical(bytes(row["body"]))
        assert (body["number"], body["event_id"], body["time"]) == (number, entry.event_id, entry.time_ms)
        assert entry.leaf_hash == bytes(row["hash"]) == leaf_hash(bytes(row["body"]))
        assert entry.warrant is not None
        assert entry.warrant.redeem("dataset", [f"{number:032x}@1"])[0].records == (f"{number:032x}@1",)
    await ledger.close()


async def test_an_answer_is_never_earlier_than_its_row(database: Database) -> None:
    ledger = await opened(database)

    async def one(number: int) -> bool:
        entry = await ledger.record(permit(number))
        return any(row["event_id"] == entry.event_id for row in await database.all(LEAVES))

    assert all(await asyncio.gather(*(one(number) for number in range(50))))


async def test_denials_yield_no_warrant(database: Database) -> None:
    ledger = await opened(database)
    entry = await ledger.record(denial())
    assert entry.warrant is None
    assert entry.effect is Effect.DENY


async def test_a_stale_permit_is_not_appended_while_others_in_its_batch_are(database: Database) -> None:
    ledger = await opened(database)
    async with ledger.changing(narrows=[OWNER]) as change:
        change.enter(act("withdrawal", log=OWNER))
    drafts = [permit(number, narrowing=number % 2) for number in range(20)]
    answers = await asyncio.gather(*(ledger.record(draft) for draft in drafts), return_exceptions=True)
    assert Counter(type(answer) for answer in answers) == {StaleJudgement: 10, Recorded: 10}
    bodies = [parse_canonical(bytes(row["body"])) for row in await database.all(LEAVES)]
    assert sorted(body["number"] for body in bodies[1:]) == [number for number in range(20) if number % 2]


async def test_a_permit_that_has_run_out_is_not_appended(database: Database) -> None:
    ledger = await opened(database)
    with pytest.raises(StaleJudgement):
        await ledger.record(permit()._replace(valid_until_ms=1))
    assert await database.all(LEAVES) == []


async def test_an_answer_has_run_out_at_the_very_instant_at_which_it_ends(database: Database) -> None:
    await opened(database)
    now = 1_700_000_000_000
    ledger = new_ledger(database, clock=lambda: now)
    with pytest.raises(StaleJudgement):
        await ledger.record(permit()._replace(valid_until_ms=now))
    assert (await ledger.record(permit()._replace(valid_until_ms=now + 1))).index == 0


class Single:
    """Something that counts once."""

    def __init__(self) -> None:
        self.left = 1

    async def use(self, _: Transaction) -> bool:
        self.left -= 1
        return self.left == 0


async def test_what_counts_once_has_one_entry_and_stops_no_other_of_its_batch(database: Database) -> None:
    ledger, single = await opened(database), Single()
    drafts = [denial(number)._replace(once=None if number % 2 else single) for number in range(6)]
    answers = await asyncio.gather(*(ledger.record(draft) for draft in drafts), return_exceptions=True)
    assert Counter(type(answer) for answer in answers) == {Recorded: 4, UsedBefore: 2}
    bodies = [parse_canonical(bytes(row["body"])) for row in await database.all(LEAVES)]
    assert Counter(body["number"] % 2 for body in bodies) == {0: 1, 1: 3}


async def test_a_denial_is_appended_whatever_it_was_judged_by(database: Database) -> None:
    ledger = await opened(database)
    entry = await ledger.record(denial()._replace(narrowing=77))
    assert entry.index == 0


async def test_no_permit_follows_a_narrowing_that_it_did_not_know(database: Database) -> None:
    """Two ledgers stand for two processes; permits race bumps."""
    ledgers = [await opened(database), new_ledger(database, node="second")]

    async def read(ledger_number: int) -> None:
        ledger = ledgers[ledger_number]
        for number in range(40):
            judged = await ledger.narrowing(OWNER)
            await asyncio.sleep(0)
            try:
                await ledger.record(permit(number, narrowing=judged))
            except StaleJudgement:
                continue

    async def narrow(ledger_number: int) -> None:
        for number in range(10):
            async with ledgers[ledger_number].changing(OPERATOR, narrows=[OWNER]) as change:
                change.enter(act(f"withdrawal {number}", log=OWNER))
                change.enter(act("noted"))
            await asyncio.sleep(0.002)

    await asyncio.gather(*(read(number % 2) for number in range(8)), narrow(0), narrow(1))
    narrowed = 0
    rows = [row for row in await database.all(LEAVES) if row["log_id"] == OWNER]
    assert [row["idx"] for row in rows] == list(range(len(rows)))
    for row in rows:
        body = parse_canonical(bytes(row["body"]))
        if body["kind"] == "admin":
            narrowed += 1
        else:
            assert body["narrowing"] == narrowed
    assert narrowed == 20
    assert await ledgers[0].narrowing(OWNER) == 20


async def test_a_spent_quota_is_answered_by_its_refusal(database: Database) -> None:
    ledger = await opened(database)
    await ledger.record(denial())
    limited = permit()._replace(quotas=(Quota("agreement", 0, 5, 2, SPENT),), overdrawn=denial())
    answers = await asyncio.gather(*(ledger.record(limited) for _ in range(4)))
    assert [answer.effect for answer in answers] == [Effect.PERMIT, Effect.PERMIT, Effect.DENY, Effect.DENY]
    assert [answer.warrant is None for answer in answers] == [False, False, True, True]
    assert answers[3].reasons == (SPENT,)
    assert [answer.index for answer in answers] == [1, 2, 3, 4]
    later = limited._replace(quotas=(Quota("agreement", 60, 5, 5, SPENT),))
    assert (await ledger.record(later)).effect is Effect.PERMIT
    assert (await ledger.record(later)).effect is Effect.DENY


async def test_several_quotas_are_counted_together_or_not_at_all(database: Database) -> None:
    ledger = await opened(database)
    full = Reason("VOLUME_EXCEEDED", "4.1.2")

    def wish(records: int) -> Draft:
        quotas = (Quota("reads", 0, 3, 1, SPENT), Quota("records", 0, 100, records, full))
        return permit()._replace(quotas=quotas, overdrawn=denial())

    asked = [60, 60, 40, 1, 0, 1]
    answers = [await ledger.record(wish(records)) for records in asked]
    reasons = [(), (full,), (), (full,), (), (SPENT, full)]
    assert [answer.reasons for answer in answers] == reasons
    assert [answer.effect is Effect.PERMIT for answer in answers] == [not reason for reason in reasons]


async def test_a_quota_holds_over_two_processes(database: Database) -> None:
    ledgers = [await opened(database), new_ledger(database, node="second")]
    limited = permit()._replace(quotas=(Quota("agreement", 0, 25, 1, SPENT),), overdrawn=denial())
    answers = await asyncio.gather(*(ledgers[number % 2].record(limited) for number in range(60)))
    assert sum(answer.effect is Effect.PERMIT for answer in answers) == 25


async def test_what_was_judged_in_the_window_before_is_still_counted_there(database: Database) -> None:
    ledgers = [await opened(database), new_ledger(database, node="second")]

    def read(window: int) -> Draft:
        return permit()._replace(quotas=(Quota("agreement", window, 2, 1, SPENT),), overdrawn=denial())

    windows = [0, 0, 60, 0, 60, 0, 120, 60]
    effects = [(await ledgers[at % 2].record(read(window))).effect for at, window in enumerate(windows)]
    spent = [at for at, effect in enumerate(effects) if effect is Effect.DENY]
    assert spent == [3, 5, 7]


async def test_a_stale_permit_costs_no_quota(database: Database) -> None:
    ledger = await opened(database)
    limited = permit(narrowing=9)._replace(quotas=(Quota("agreement", 0, 1, 1, SPENT),), overdrawn=denial())
    with pytest.raises(StaleJudgement):
        await ledger.record(limited)
    assert (await ledger.record(limited._replace(narrowing=0))).effect is Effect.PERMIT


async def test_a_clock_far_behind_appends_nothing(database: Database) -> None:
    now = [1_000_000]
    ledger = new_ledger(database, clock=lambda: now[0])
    async with ledger.changing() as change:
        await change.open_log(OWNER)
    await ledger.record(denial(1))
    now[0] -= 5_000
    tolerated = await ledger.record(denial(2))
    assert tolerated.time_ms == 1_000_000
    now[0] -= 1
    with pytest.raises(ClockBehind):
        await ledger.record(denial(3))
    with pytest.raises(ClockBehind):
        async with ledger.changing(OWNER):
            pytest.fail("the block ran")
    assert len(await database.all(LEAVES)) == 2


async def test_a_node_chains_its_entries_over_logs_changes_and_boots(database: Database) -> None:
    first = await opened(database)
    await first.record(denial(0))
    async with first.changing(OPERATOR, OWNER) as change:
        change.enter(act("one"))
        change.enter(act("two", log=OWNER))
    second = new_ledger(database)
    await second.record(denial(1))
    rows = [(parse_canonical(bytes(row["body"])), bytes(row["hash"])) for row in await database.all(LEAVES)]
    rows.sort(key=lambda pair: pair[0]["node_seq"])
    assert [body["node_seq"] for body, _ in rows] == [0, 1, 2, 3]
    links = [urlsafe_b64decode(body["prev_node_hash"] + "=") for body, _ in rows]
    assert links[1:] == [digest for _, digest in rows[:-1]]
    assert rows[0][0]["prev_node_hash"] == ""
    assert len({body["boot_id"] for body, _ in rows}) == 2
    assert [row["seq"] for row in await database.all(CHAINS)] == [4]


async def test_a_failed_change_leaves_nothing_behind(database: Database) -> None:
    ledger = await opened(database)

    async def fail() -> None:
        async with ledger.changing(narrows=[OWNER]) as change:
            change.enter(act("withdrawal", log=OWNER))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await ledger.narrowing(OWNER) == 0
    assert await database.all(LEAVES) == []
    assert (await ledger.record(denial())).index == 0


async def test_a_change_enters_only_what_it_locked(database: Database) -> None:
    ledger = await opened(database)
    async with ledger.changing(OWNER) as change:
        with pytest.raises(UnknownLog):
            change.enter(act("elsewhere", log=OPERATOR))
        with pytest.raises(Invalid):
            change.enter(permit())
    with pytest.raises(UnknownLog):
        async with ledger.changing("nowhere"):
            pytest.fail("the block ran")


async def test_a_change_names_its_entries_and_its_instant(database: Database) -> None:
    ledger = await opened(database)
    async with ledger.changing(OWNER) as change:
        event = change.enter(act("one", log=OWNER))
        instant = change.now_ms
    (row,) = await database.all(LEAVES)
    assert row["event_id"] == event
    assert parse_canonical(bytes(row["body"]))["time"] == instant


async def test_an_event_is_recorded_once(database: Database) -> None:
    ledger = await opened(database)
    named = denial()._replace(event_id="0190a5f0-0000-7000-8000-000000000000")
    answers = await asyncio.gather(*(ledger.record(named) for _ in range(3)), return_exceptions=True)
    assert Counter(type(answer) for answer in answers) == {Recorded: 1, Conflicting: 2}
    with pytest.raises(Conflicting):
        await ledger.record(named)


async def test_long_record_lists_stand_beside_the_leaf(database: Database) -> None:
    ledger = await opened(database)
    refs = tuple(f"{number:032x}@1" for number in range(5000))
    entry = await ledger.record(permit(records=refs))
    many = tuple(OpeningGroup(("basic",), (f"field_{number}" * 4,), (), (refs[number],)) for number in range(300))
    grouped = await ledger.record(permit()._replace(opening=Opening("dataset", many)))
    for recorded, row in zip((entry, grouped), await database.all(LEAVES), strict=True):
        body = parse_canonical(bytes(row["body"]))
        assert len(row["body"]) < 8192
        assert body["opening"]["records"]["sha256"] == hashlib.sha256(row["detail"]).hexdigest()
        assert recorded.warrant is not None
    rows = await database.all(LEAVES)
    assert json.loads(rows[0]["detail"]) == [list(refs)]
    assert parse_canonical(bytes(rows[0]["body"]))["opening"]["records"]["count"] == 5000
    assert [group["records"] for group in json.loads(rows[1]["detail"])] == [[ref] for ref in refs[:300]]
    assert entry.warrant is not None
    assert entry.warrant.redeem("dataset", refs)[0].records == refs


@pytest.mark.parametrize(
    ("draft", "error"),
    [
        (denial()._replace(facts={"time": 1}), Invalid),
        (denial()._replace(facts={"ratio": 0.5}), Invalid),
        (
            denial()._replace(
                facts={7: 1},  # type: ignore[dict-item]
            ),
            Invalid,
        ),
        (denial()._replace(facts={"text": "x" * 8192}), TooLarge),
        (permit()._replace(effect=Effect.DENY), Invalid),
        (permit()._replace(narrowing=None), Invalid),
        (permit()._replace(quotas=(Quota("q", 0, 1, 1, SPENT),)), Invalid),
        (permit()._replace(quotas=(Quota("q", 0, 1, 1, SPENT),), overdrawn=permit()), Invalid),
        (permit()._replace(quotas=(Quota("q", 0, 1, 1, SPENT),), overdrawn=denial(log=OPERATOR)), Invalid),
        (denial(log="nowhere"), UnknownLog),
    ],
)
async def test_a_draft_that_breaks_a_rule_is_refused(
    sqlite_database: Database, draft: Draft, error: type[GatewayError]
) -> None:
    ledger = await opened(sqlite_database)
    with pytest.raises(error):
        await ledger.record(draft)
    assert await sqlite_database.all(LEAVES) == []


async def test_a_full_queue_refuses(sqlite_database: Database) -> None:
    await opened(sqlite_database)
    ledger = new_ledger(sqlite_database, node="small", capacity=3)
    answers = await asyncio.gather(*(ledger.record(denial(number)) for number in range(9)), return_exceptions=True)
    assert [type(answer) for answer in answers].count(LedgerUnavailable) >= 1
    assert len(await sqlite_database.all(LEAVES)) == [type(answer) for answer in answers].count(Recorded)


async def test_a_waiter_that_goes_away_leaves_its_entry(sqlite_database: Database) -> None:
    ledger = await opened(sqlite_database)
    await ledger.record(denial())
    waiter = asyncio.create_task(ledger.record(permit(1)))
    await asyncio.sleep(0)
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    assert (await ledger.record(denial(2))).index == 2


async def test_a_closed_ledger_commits_what_waits_and_refuses_the_rest(sqlite_database: Database) -> None:
    ledger = await opened(sqlite_database)
    await ledger.record(denial())
    waiters = [asyncio.create_task(ledger.record(denial(number))) for number in range(5)]
    await asyncio.sleep(0)
    await ledger.close()
    assert [(await waiter).index for waiter in waiters] == [1, 2, 3, 4, 5]
    with pytest.raises(LedgerUnavailable):
        await ledger.record(denial())


async def test_a_dead_committer_fails_its_waiters_and_the_next_entry_starts_another(sqlite_database: Database) -> None:
    ledger = await opened(sqlite_database)
    await ledger.record(denial())
    waiters = [asyncio.create_task(ledger.record(denial(number))) for number in range(5)]
    await asyncio.sleep(0)
    (committer,) = [task for task in asyncio.all_tasks() if task.get_name() == "ledger-committer"]
    committer.cancel()
    answers = await asyncio.gather(*waiters, return_exceptions=True)
    assert all(isinstance(answer, LedgerUnavailable) for answer in answers)
    assert isinstance(await ledger.record(denial(9)), Recorded)


class _Failing:
    """A real database whose transactions fail around their COMMIT, as a lost connection makes them."""

    def __init__(self, database: Database, *, commits: bool, error: Exception) -> None:
        self._database = database
        self._commits = commits
        self._error = error
        self.armed = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._database, name)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        if not self.armed:
            async with self._database.transaction() as tx:
                yield tx
            return
        self.armed = False
        try:
            async with self._database.transaction() as tx:
                yield tx
                if not self._commits:
                    raise _Lost
        except _Lost:
            raise self._error from None
        raise self._error


class _Lost(Exception):
    pass


@pytest.mark.parametrize("commits", [True, False])
async def test_an_unknown_commit_is_looked_up_before_anyone_is_answered(database: Database, commits: bool) -> None:
    await opened(database)
    failing = _Failing(database, commits=commits, error=CommitUnknown())
    ledger = new_ledger(failing)  # type: ignore[arg-type]
    await ledger.record(denial(0))
    failing.armed = True
    answers = await asyncio.gather(*(ledger.record(permit(number)) for number in range(4)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {Recorded if commits else LedgerUnavailable}
    assert len(await database.all(LEAVES)) == (5 if commits else 1)
    failing.armed = True
    if commits:
        async with ledger.changing(OWNER) as change:
            change.enter(act("once", log=OWNER))
    else:
        with pytest.raises(DatabaseUnavailable):
            async with ledger.changing(OWNER) as change:
                change.enter(act("never", log=OWNER))
    last = await ledger.record(denial(9))
    rows = await database.all(LEAVES)
    assert [row["idx"] for row in rows] == list(range(last.index + 1))
    assert len(rows) == (7 if commits else 2)
    sequence = [parse_canonical(bytes(row["body"]))["node_seq"] for row in rows]
    assert sequence == list(range(len(rows)))


async def test_heads_tell_the_size_of_their_logs(database: Database) -> None:
    ledger = await opened(database)
    await asyncio.gather(*(ledger.record(denial(number)) for number in range(7)))
    sizes = {row["log_id"]: row["size"] for row in await database.all(HEADS)}
    assert sizes == {OWNER: 7, OPERATOR: 0}


async def test_the_kind_effect_and_reasons_stand_in_the_body(sqlite_database: Database) -> None:
    ledger = await opened(sqlite_database)
    await ledger.record(denial()._replace(sealed={"key_id": "k", "nonce": "n", "ciphertext": "c"}))
    body = parse_canonical(bytes((await sqlite_database.all(LEAVES))[0]["body"]))
    assert body["kind"] == Kind.ACCESS
    assert body["effect"] == Effect.DENY
    assert body["reasons"] == [{"clause": "4.2", "code": "FREQUENCY_EXCEEDED"}]
    assert body["sealed"] == {"key_id": "k", "nonce": "n", "ciphertext": "c"}
    assert body["log"] == ledger.origin_of(OWNER)
