"""Attacks on the warrant: what it does not name, twice, too late, forged, copied, or meant for another entry."""

from __future__ import annotations

import copy
import pickle
import threading
import time
from collections.abc import Callable

import pytest

from gateway.clock import system_clock
from gateway.database import Database
from gateway.ledger import Opening, OpeningGroup, Recorded, Warrant, WarrantExpired, WarrantRejected, warrant
from tests.ledger.builders import opened, permit

_REFS = ("a@1", "b@1", "c@2")


async def _warrant(database: Database) -> Warrant:
    ledger = await opened(database)
    groups = (
        OpeningGroup(("basic",), ("name",), (), _REFS[:2]),
        OpeningGroup(("basic", "contact"), ("name", "phone"), (), _REFS[2:]),
    )
    entry = await ledger.record(permit()._replace(opening=Opening("dataset", groups)))
    assert isinstance(entry, Recorded)
    assert entry.warrant is not None
    return entry.warrant


async def test_a_warrant_opens_what_its_entry_names(sqlite_database: Database) -> None:
    groups = (await _warrant(sqlite_database)).redeem("dataset", _REFS)
    assert [group.records for group in groups] == [("a@1", "b@1"), ("c@2",)]


async def test_a_second_redemption_is_refused(sqlite_database: Database) -> None:
    found = await _warrant(sqlite_database)
    found.redeem("dataset", list(_REFS))
    with pytest.raises(WarrantRejected):
        found.redeem("dataset", _REFS)


@pytest.mark.parametrize(
    ("dataset", "records"),
    [
        ("other", _REFS),
        ("dataset", ()),
        ("dataset", _REFS[:2]),
        ("dataset", (*_REFS, "d@1")),
        ("dataset", ("b@1", "a@1", "c@2")),
        ("dataset", ("a@1", "b@1", "c@3")),
        ("dataset", ("a@1", "a@1", "b@1", "c@2")),
    ],
)
async def test_anything_else_than_what_was_logged_is_refused_and_spends_the_warrant(
    sqlite_database: Database, dataset: str, records: tuple[str, ...]
) -> None:
    found = await _warrant(sqlite_database)
    with pytest.raises(WarrantRejected):
        found.redeem(dataset, records)
    with pytest.raises(WarrantRejected):
        found.redeem("dataset", _REFS)


async def test_an_expired_warrant_is_refused(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    found = await _warrant(sqlite_database)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + warrant.LIFETIME_S + 0.001)
    with pytest.raises(WarrantExpired):
        found.redeem("dataset", _REFS)


async def test_a_warrant_never_outlives_what_it_was_judged_by(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = await opened(sqlite_database)
    entry = await ledger.record(permit(records=_REFS)._replace(valid_until_ms=system_clock() + 3000))
    assert entry.warrant is not None
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 3.001)
    with pytest.raises(WarrantExpired):
        entry.warrant.redeem("dataset", _REFS)


async def test_nobody_else_mints_a_warrant() -> None:
    for token in (None, object(), "mint"):
        with pytest.raises(WarrantRejected):
            Warrant(
                event_id="e",
                log="l",
                index=0,
                leaf_hash=b"",
                dataset="dataset",
                groups=(),
                deadline=time.monotonic() + 5,
                minted_by=token,
            )


@pytest.mark.parametrize("double", [copy.copy, copy.deepcopy, pickle.dumps])
async def test_a_warrant_cannot_be_doubled(sqlite_database: Database, double: Callable[[Warrant], object]) -> None:
    found = await _warrant(sqlite_database)
    with pytest.raises(TypeError):
        double(found)


async def test_of_many_threads_one_redeems(sqlite_database: Database) -> None:
    found = await _warrant(sqlite_database)
    opened_by: list[int] = []
    ready = threading.Barrier(8)

    def redeem(number: int) -> None:
        ready.wait()
        try:
            found.redeem("dataset", _REFS)
        except WarrantRejected:
            return
        opened_by.append(number)

    threads = [threading.Thread(target=redeem, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened_by) == 1


async def test_a_warrant_opens_no_other_entry_s_records(sqlite_database: Database) -> None:
    ledger = await opened(sqlite_database)
    first, second = await ledger.record(permit(1)), await ledger.record(permit(2))
    assert first.warrant is not None
    with pytest.raises(WarrantRejected):
        first.warrant.redeem("dataset", [f"{2:032x}@1"])
    assert second.index == first.index + 1
