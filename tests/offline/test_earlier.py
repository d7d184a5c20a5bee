"""What was decided about something else keeps no paper out, and asking for it costs no more for many than for one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.consents.states import Event
from gateway.database import Query, Row
from tests.offline.world import Desk
from tests.rights.world import Counter

pytestmark = pytest.mark.asyncio(loop_scope="package")


class Counted:
    """A database, or one reading of it, that notes what it is asked."""

    def __init__(self, real: Any, asked: list[Query]) -> None:
        self._real = real
        self._asked = asked

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Any]:
        async with self._real.reading() as reading:
            yield Counted(reading, self._asked)

    async def all(self, query: Query, **given: Any) -> Sequence[Row]:
        self._asked.append(query)
        rows: Sequence[Row] = await self._real.all(query, **given)
        return rows

    async def one(self, query: Query, **given: Any) -> Row | None:
        self._asked.append(query)
        row: Row | None = await self._real.one(query, **given)
        return row


async def asked(desk: Desk, monkeypatch: pytest.MonkeyPatch, numbers: Sequence[int]) -> list[Query]:
    """What a dry run of these customers' forms asks the database."""
    made: list[Query] = []
    with monkeypatch.context() as patch:
        patch.setattr(desk.offline.batches, "_database", Counted(desk.shared.gateway.database, made))
        answer = await desk.send(desk.packed([desk.row(number) for number in numbers]), dry_run="true")
    assert answer.json()["accepted"] == len(numbers), answer.text
    return made


async def test_persons_whom_nobody_merged_are_looked_up_together(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    of_one = await asked(desk, monkeypatch, [121])
    assert of_one
    assert await asked(desk, monkeypatch, range(121, 124)) == of_one


async def test_paper_for_one_dataset_is_no_decision_about_another(desk: Desk) -> None:
    other = await Desk.of(desk.shared, [101])
    revoked, _ = await desk.stored(await desk.imported(desk.row(101), desk.row(102)))
    await desk.act(revoked["id"], Event.REVOKE)
    await other.imported(other.row(101), other.row(102))


async def test_what_was_withdrawn_for_others_or_for_another_purpose_keeps_no_paper_out(desk: Desk) -> None:
    bank, path = desk.shared.bank, f"/v1/datasets/{desk.deal.dataset}/withdrawals"
    to_it, for_it = {"recipient": desk.shared.hotel.id}, {"purpose": "customer_referral"}
    to_other, for_other = {"recipient": desk.shared.stranger.id}, {"purpose": "market_analysis"}
    reaching: list[dict[str, str]] = [{}, to_it, for_it, to_it | for_it]
    beside = [to_other, for_other, to_other | for_it, to_it | for_other]
    numbers = range(103, 111)
    for number, said in zip(numbers, reaching + beside, strict=True):
        answer = await bank.post(path, await bank.token(), {"subject": f"C{number:05}"} | said)
        assert answer.status_code == 200, answer.text
    told = (await desk.send(desk.packed([desk.row(number) for number in numbers]))).json()
    assert [(one["line"], one["code"]) for one in told["refusals"]] == [
        (line, "withdrawn_since") for line in range(2, 6)
    ]


async def test_paper_from_before_a_deletion_stays_out_of_a_dataset_that_is_declared_after_it(desk: Desk) -> None:
    await Counter(desk.shared, desk.deal).granted(113, "deletion")
    later = await Desk.of(desk.shared, [113, 114])
    told = (await later.send(later.packed([later.row(113), later.row(114)]))).json()
    assert [(one["line"], one["code"]) for one in told["refusals"]] == [(2, "withdrawn_since")]


async def test_new_paper_of_the_same_day_comes_in_after_a_bad_one(desk: Desk) -> None:
    batch = await desk.imported(desk.row(111), desk.row(112))
    bad, good = await desk.draw(batch, "lenient")
    await desk.mark(batch, bad, "bad")
    await desk.mark(batch, good)
    await desk.accept(batch)
    assert (await desk.states(111), await desk.states(112)) == (["invalidated"], ["given"])
    await desk.imported(desk.row(111, evidence="scans/anew-111.pdf"))
