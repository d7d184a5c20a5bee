"""A run over the clocks beside others: what they have done between its look and the lock of the owner's log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from copy import copy
from typing import Any

import pytest

from gateway.ledger import Change, Ledger
from gateway.ledger.errors import LedgerRolledBack
from tests.rights.world import Counter
from tests.rolled_back import RolledBackAtFirst

pytestmark = pytest.mark.asyncio(loop_scope="package")


class Overtaken:
    """A ledger whose next lock somebody else gets first."""

    def __init__(self, ledger: Ledger, others: Callable[[], Awaitable[Any]]) -> None:
        self._ledger = ledger
        self._others = [others]

    @asynccontextmanager
    async def changing(self, *logs: str, **narrows: Any) -> AsyncIterator[Change]:
        while self._others:
            await self._others.pop()()
        async with self._ledger.changing(*logs, **narrows) as change:
            yield change


@pytest.mark.parametrize(("number", "step", "behind_by"), [(73, "answer", 0), (74, "extension", 1)])
async def test_what_others_answered_or_extended_meanwhile_is_not_late(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, number: int, step: str, behind_by: int
) -> None:
    request, clock = await counter.asked(number, "complaint", profile="eu"), counter.shared.clock
    clock.ms = (await counter.rights.requests.owned(await counter.subject(), request)).due_at + 1
    settling = counter.rights.settling

    async def others() -> None:
        clock.ms -= behind_by
        done = await counter.post(f"/{request}/{step}", {"text": "Here."} if step == "answer" else {"reason": "many"})
        assert done.status_code == 200, done.text

    monkeypatch.setattr(settling, "_ledger", Overtaken(settling._ledger, others))
    await settling.run()
    found = await counter.rights.requests.owned(await counter.subject(), request)
    assert (found.case, found.state == "answered", found.extended) == (None, step == "answer", step == "extension")


async def test_what_another_run_has_opened_a_case_for_meanwhile_has_that_one(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, owned = await counter.asked(76, "complaint", profile="eu"), counter.rights.requests.owned
    counter.shared.clock.ms = (await owned(await counter.subject(), request)).due_at + 1
    settling, seen = counter.rights.settling, []
    beside = copy(settling)

    async def others() -> None:
        assert await beside.run() >= 1
        seen.append((await owned(await counter.subject(), request)).case)

    monkeypatch.setattr(settling, "_ledger", Overtaken(settling._ledger, others))
    assert await settling.run() == 0
    assert seen == [(await owned(await counter.subject(), request)).case]


async def test_what_another_run_has_deleted_meanwhile_is_deleted_once(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await counter.dispute()
    request = (await counter.granted(75, "deletion"))["id"]
    await counter.decide(case)
    settling = counter.rights.settling
    monkeypatch.setattr(settling, "_ledger", Overtaken(settling._ledger, copy(settling).run))
    await settling.run()
    assert (await counter.acts(request)).count("right_granted") == 1


async def test_what_a_new_case_keeps_meanwhile_is_not_deleted_before_that_is_decided(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await counter.dispute()
    request = (await counter.granted(77, "deletion"))["id"]
    await counter.decide(case)
    settling, later = counter.rights.settling, []

    async def others() -> None:
        later.append(await counter.dispute())

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(settling, "_ledger", Overtaken(settling._ledger, others))
        await settling.run()
    assert "right_granted" not in await counter.acts(request)
    await counter.decide(*later)
    await settling.run()
    assert (await counter.acts(request)).count("right_granted") == 1


async def test_an_owner_whose_log_cannot_be_written_keeps_nobody_else_waiting(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [await counter.asked(number, "complaint", profile="eu") for number in (78, 79, 80)]
    owned, subject = counter.rights.requests.owned, await counter.subject()
    counter.shared.clock.ms = max([(await owned(subject, one)).due_at for one in requests]) + 1
    settling = counter.rights.settling
    with monkeypatch.context() as broken:
        broken.setattr(settling, "_ledger", RolledBackAtFirst(settling._ledger))
        with pytest.raises(LedgerRolledBack):
            await settling.run()
    assert await settling.run() == 1, "it was the only one that was left"
    assert all([(await owned(subject, one)).case for one in requests])
