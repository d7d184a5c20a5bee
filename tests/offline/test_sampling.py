from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import bindparam, update

from gateway.consents.offline.plans import drawn, plan_of
from gateway.consents.offline.settling import Settling
from gateway.consents.offline.tables import offline_row
from gateway.consents.states import Event
from gateway.database import Database, Query, Row
from gateway.errors import Conflicting, Invalid, NotFound, Refused
from gateway.ledger import LedgerRolledBack
from tests import notices
from tests.alliance import Alliance, instant
from tests.offline.breaking import Before
from tests.offline.world import Desk

pytestmark = pytest.mark.asyncio(loop_scope="package")
_WRITE_BAD = Query(
    update(offline_row)
    .values(verdict="bad")
    .where(offline_row.c.batch_id == bindparam("batch"), offline_row.c.line == bindparam("the_line"))
)


async def test_a_batch_whose_sample_is_good_is_given_from_the_day_on_the_paper(desk: Desk) -> None:
    rows = [desk.row(number) for number in (1, 2, 3)]
    batch = await desk.imported(*rows)
    for row in await desk.draw(batch):
        assert await desk.mark(batch, row) == "sampled"
    assert await desk.read() == set()
    await desk.accept(batch)
    assert await desk.read() == {"Person 1", "Person 2", "Person 3"}
    given_at = desk.shared.bank.now - 600
    keys = await desk.shared.gateway.keyring.unlock(desk.shared.bank.id)
    async with desk.shared.gateway.database.reading() as reading:
        (record,) = await desk.shared.gateway.consents.records.of_person(
            reading, desk.shared.bank.id, keys.pseudonym("C00001")
        )
    assert (record.state, record.given_at, record.expires_at) == ("given", given_at, given_at + 365 * 24 * 3600)
    own = await desk.shared.bank.get(f"/v1/offline-consents/{batch}", await desk.shared.bank.token())
    assert (own.json()["state"], own.json()["settled"]) == ("accepted", True)


async def test_a_draw_is_on_record_and_anybody_with_the_seed_draws_the_same_rows(desk: Desk) -> None:
    batch = await desk.imported(*[desk.row(number) for number in range(4, 12)])
    rows = await desk.draw(batch)
    entries = await desk.shared.entries(desk.shared.bank.id)
    (entry,) = [one for one in entries if one.get("act") == "offline_sample_drawn" and one["batch"] == batch]
    lines = list(range(2, 10))
    assert (
        entry["lines"] == [row["line"] for row in rows] == drawn(entry["seed"], lines, plan_of("standard").sample_of(8))
    )
    assert entry["actor"]["operator"] != entry["actor"]["approver"]
    (closed,) = [one for one in entries if one.get("act") == "offline_batch_imported" and one["batch"] == batch]
    assert entry["rows_sha256"] == closed["rows_sha256"]
    assert entries.index(closed) < entries.index(entry)


async def test_a_sample_is_drawn_once_and_by_two(desk: Desk) -> None:
    alliance: Alliance = desk.shared.alliance
    batch = await desk.imported(desk.row(12))
    approvals = alliance.gateway.approvals
    asked = {"batch": batch, "plan": "standard"}
    proposal = await approvals.propose(alliance.id, "sample_offline_batch", asked, operator="one")
    with pytest.raises(Refused):
        await approvals.approve(proposal, operator="one")
    await approvals.approve(proposal, operator="two")
    with pytest.raises(Conflicting, match="wrong_state"):
        await approvals.propose(alliance.id, "sample_offline_batch", asked, operator="one")


async def test_one_bad_row_invalidates_the_whole_batch_at_once(desk: Desk) -> None:
    batch = await desk.imported(*[desk.row(number) for number in (13, 14, 15)])
    first, *_ = await desk.draw(batch)
    assert await desk.mark(batch, first, "bad") == "invalidated"
    await desk.offline.settling.run()
    assert [await desk.states(number) for number in (13, 14, 15)] == [["invalidated"]] * 3
    with pytest.raises(Conflicting, match="wrong_state"):
        await desk.shared.alliance.by_two("accept_offline_batch", batch=batch)


async def test_a_batch_is_accepted_only_when_every_drawn_row_was_looked_at(desk: Desk) -> None:
    batch = await desk.imported(desk.row(16), desk.row(17))
    first, *others = await desk.draw(batch)
    await desk.mark(batch, first)
    assert others
    with pytest.raises(Conflicting, match="sample_not_marked"):
        await desk.shared.alliance.by_two("accept_offline_batch", batch=batch)


async def test_a_good_row_names_the_very_evidence_that_was_imported_and_is_marked_once(desk: Desk) -> None:
    batch = await desk.imported(desk.row(18))
    (row,) = await desk.draw(batch)
    with pytest.raises(Invalid, match="evidence_differs"):
        await desk.mark(batch, row | {"evidence_sha256": "0" * 64})
    with pytest.raises(NotFound):
        await desk.mark(batch, row | {"line": 999})
    await desk.mark(batch, row)
    with pytest.raises(Conflicting, match="already_marked"):
        await desk.mark(batch, row, "bad")


async def test_a_row_is_good_or_bad_and_nothing_else(desk: Desk) -> None:
    batch = await desk.imported(desk.row(93))
    (row,) = await desk.draw(batch)
    with pytest.raises(Invalid, match="unknown_verdict"):
        await desk.mark(batch, row, "doubtful")


async def test_whoever_saw_another_paper_finds_the_row_bad(desk: Desk) -> None:
    batch = await desk.imported(desk.row(94))
    (row,) = await desk.draw(batch)
    assert await desk.mark(batch, row | {"evidence_sha256": "0" * 64}, "bad") == "invalidated"
    (found,) = await desk.offline.sampling.sample(batch)
    assert (found["verdict"], found["seen_sha256"], found["evidence_sha256"]) == (
        "bad",
        "0" * 64,
        row["evidence_sha256"],
    )


async def test_a_sample_with_too_many_bad_rows_is_not_accepted_whoever_wrote_them_down(desk: Desk) -> None:
    batch = await desk.imported(desk.row(95), desk.row(96))
    first, second = await desk.draw(batch)
    await desk.mark(batch, first)
    async with desk.shared.gateway.database.transaction() as tx:
        await tx.run(_WRITE_BAD, batch=batch, the_line=second["line"])
    with pytest.raises(Conflicting, match="sample_failed"):
        await desk.shared.alliance.by_two("accept_offline_batch", batch=batch)
    assert (await desk.offline.batches.find(batch)).state == "sampled"


async def test_with_an_acceptance_number_a_bad_row_is_invalid_and_the_others_are_given(desk: Desk) -> None:
    batch = await desk.imported(desk.row(19), desk.row(20))
    bad, good = await desk.draw(batch, "lenient")
    assert await desk.mark(batch, bad, "bad") == "sampled"
    assert await desk.mark(batch, good) == "sampled"
    await desk.accept(batch)
    assert sorted([await desk.states(19), await desk.states(20)]) == [["given"], ["invalidated"]]


async def test_who_withdrew_after_the_import_is_not_given_by_a_sample(desk: Desk) -> None:
    batch = await desk.imported(desk.row(21), desk.row(22))
    for row in await desk.draw(batch):
        await desk.mark(batch, row)
    await desk.shared.bank.withdraw(desk.deal.dataset, "C00021")
    await desk.accept(batch)
    assert (await desk.states(21))[-1] in ("withdrawn", "invalidated")
    assert await desk.states(22) == ["given"]
    assert "Person 21" not in await desk.read()


async def test_an_owner_invalidates_a_batch_and_no_permit_follows(desk: Desk) -> None:
    batch = await desk.imported(desk.row(23), desk.row(24))
    for row in await desk.draw(batch):
        await desk.mark(batch, row)
    await desk.accept(batch)
    assert {"Person 23", "Person 24"} <= await desk.read()
    bank = desk.shared.bank
    answer = await bank.post(f"/v1/offline-consents/{batch}/invalidation", await bank.token())
    assert (answer.status_code, answer.json()["state"]) == (200, "invalidated")
    assert not {"Person 23", "Person 24"} & await desk.read()
    again = await bank.post(f"/v1/offline-consents/{batch}/invalidation", await bank.token())
    assert again.json() == answer.json()
    await desk.offline.settling.run()
    assert (await desk.states(23), await desk.states(24)) == (["invalidated"], ["invalidated"])
    assert await desk.offline.settling.run() == 0


class _ReadsFirst:
    """A database whose first answer is old by the time that it is used."""

    def __init__(self, database: Database, then: Callable[[], Awaitable[object]]) -> None:
        self.transaction = database.transaction
        self._database = database
        self._then: list[Callable[[], Awaitable[object]]] = [then]

    async def all(self, query: Query, **given: Any) -> Sequence[Row]:
        rows = await self._database.all(query, **given)
        while self._then:
            await self._then.pop()()
        return rows


async def test_a_server_that_is_still_accepting_gives_nothing_of_a_batch_that_was_invalidated(desk: Desk) -> None:
    batch = await desk.imported(desk.row(27))
    for row in await desk.draw(batch):
        await desk.mark(batch, row)
    alliance, gateway = desk.shared.alliance, desk.shared.gateway
    await alliance.by_two("accept_offline_batch", batch=batch)
    late: Any = _ReadsFirst(gateway.database, lambda: alliance.by_two("invalidate_offline_batch", batch=batch))
    assert await Settling(late, gateway.ledger, gateway.consents.records, gateway.clock).run() == 0
    assert (await desk.states(27), await desk.read() & {"Person 27"}) == (["imported"], set())
    await desk.offline.settling.run()
    assert await desk.states(27) == ["invalidated"]
    settled = [
        one for one in await desk.shared.entries(desk.shared.bank.id) if one.get("act") == "offline_batch_settled"
    ]
    assert [one["state"] for one in settled if one["batch"] == batch] == ["invalidated"]


async def accepted(desk: Desk, *rows: Mapping[str, str]) -> str:
    """A batch that two operators accepted, whose records have yet to follow."""
    batch = await desk.imported(*rows)
    for row in await desk.draw(batch):
        await desk.mark(batch, row)
    await desk.offline.settling.run()
    await desk.shared.alliance.by_two("accept_offline_batch", batch=batch)
    return batch


@pytest.mark.parametrize(("by", "number"), [("another server", 86), ("the person", 87)])
async def test_what_was_given_meanwhile_stays_given_when_its_batch_settles(desk: Desk, by: str, number: int) -> None:
    batch, gateway = await accepted(desk, desk.row(number)), desk.shared.gateway

    async def give() -> None:
        if by == "another server":
            await desk.offline.settling.run()
            return
        (row,) = await desk.stored(batch)
        await desk.act(row["id"], Event.CONFIRM)

    late: Any = Before(gateway.ledger, 1, give)
    await Settling(gateway.database, late, gateway.consents.records, gateway.clock).run()
    assert await desk.states(number) == ["given"]


async def test_what_expires_before_a_batch_has_settled_keeps_no_other_row_waiting(desk: Desk) -> None:
    soon = instant(datetime.fromtimestamp(desk.shared.bank.now + 60, UTC))
    given = await accepted(desk, desk.row(88, expires=soon), desk.row(89))
    ended = await desk.imported(desk.row(90, expires=soon), desk.row(91))
    desk.shared.clock.pass_seconds(60)
    await desk.shared.alliance.by_two("invalidate_offline_batch", batch=ended)
    await desk.offline.settling.run()
    for batch in (given, ended):
        assert (await desk.offline.batches.find(batch)).settled_at is not None
    await desk.shared.gateway.consents.overtaken.settle()
    assert [await desk.states(number) for number in (88, 89)] == [["expired"], ["given"]]
    assert [await desk.states(number) for number in (90, 91)] == [["expired"], ["invalidated"]]


async def test_what_a_new_notice_made_stale_just_now_is_invalidated_with_its_batch(desk: Desk) -> None:
    bank, hotel = desk.shared.bank, desk.shared.hotel

    def document(*fields: str) -> dict[str, Any]:
        asked = notices.item(
            notices.party(hotel.id, hotel.uscc), "customer_referral", fields=[notices.field(name) for name in fields]
        )
        return notices.notice(notices.party(bank.id, bank.uscc), [asked])

    former = await bank.publish(desk.deal.dataset, "at the counter", document("name"))
    batch = await desk.imported(desk.row(92, fields="name", notice_sha256=former))
    for row in await desk.draw(batch):
        await desk.mark(batch, row)
    await desk.accept(batch)
    await bank.publish(desk.deal.dataset, "at the counter", document("name", "phone"))
    await desk.shared.alliance.by_two("invalidate_offline_batch", batch=batch)
    await desk.offline.settling.run()
    await desk.shared.gateway.consents.overtaken.settle()
    assert await desk.states(92) == ["invalidated"]


async def test_a_batch_whose_log_cannot_be_written_keeps_no_other_one_waiting(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (28, 29):
        batch = await desk.imported(desk.row(number))
        await desk.shared.alliance.by_two("invalidate_offline_batch", batch=batch)

    told = "what C00028 gave is missing"

    async def roll_back() -> None:
        raise LedgerRolledBack(told)

    gateway = desk.shared.gateway
    broken: Any = Before(gateway.ledger, 1, roll_back)
    assert await Settling(gateway.database, broken, gateway.consents.records, gateway.clock).run() == 1
    assert sorted([await desk.states(28), await desk.states(29)]) == [["imported"], ["invalidated"]]
    assert "LedgerRolledBack while settling paper" in caplog.text
    assert told not in caplog.text
    assert await desk.offline.settling.run() == 1
    assert (await desk.states(28), await desk.states(29)) == (["invalidated"], ["invalidated"])


async def test_two_operators_invalidate_a_batch_too(desk: Desk) -> None:
    batch = await desk.imported(desk.row(25))
    await desk.shared.alliance.by_two("invalidate_offline_batch", batch=batch)
    await desk.offline.settling.run()
    assert await desk.states(25) == ["invalidated"]


async def test_the_acts_refuse_another_alliances_batch_and_arguments_they_do_not_know(desk: Desk) -> None:
    batch = await desk.imported(desk.row(26))
    gateway = desk.shared.gateway
    other = await gateway.members.create_alliance("Another alliance", operator="test")
    for act, more in (
        ("sample_offline_batch", {"plan": "standard"}),
        ("accept_offline_batch", {}),
        ("invalidate_offline_batch", {}),
    ):
        with pytest.raises(NotFound):
            await gateway.approvals.propose(other, act, {"batch": batch, **more}, operator="one")
        for wrong in ({"batch": batch, "more": 1}, {"batch": 7}, {"batch": [batch]}):
            with pytest.raises(Invalid, match="invalid_arguments"):
                await gateway.approvals.propose(desk.shared.alliance.id, act, wrong | more, operator="one")
