"""What an upload keeps aside is closed only when no thread is at work on it: under a statement it ended the process."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Event

import pytest

from gateway.catalog.spill import Spill
from gateway.catalog.spool import TermSpool
from gateway.catalog.uniqueness import Seen
from gateway.errors import Unavailable


class Slow:
    """Items for a table, the second of which comes when it is released."""

    def __init__(self, *items: object) -> None:
        self.first, self.second = items
        self.begun, self.released = Event(), Event()

    def __iter__(self) -> Iterator[object]:
        yield self.first
        self.begun.set()
        assert self.released.wait(30)
        yield self.second


@pytest.mark.parametrize(
    ("make", "items"), [(TermSpool, ((1, b"a", b"r"), (1, b"b", b"r"))), (Seen, (b"a", b"b"))], ids=["terms", "keys"]
)
def test_closing_waits_for_the_thread_at_work(make: Callable[[], TermSpool | Seen], items: tuple[object]) -> None:
    kept, slow = make(), Slow(*items)
    with ThreadPoolExecutor(2) as threads:
        adding = threads.submit(kept.add, slow)  # type: ignore[arg-type]
        assert slow.begun.wait(30)
        closing = threads.submit(kept.close)
        assert not wait([closing], timeout=0.2).done
        slow.released.set()
        adding.result(30)
        closing.result(30)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        kept.add(items)  # type: ignore[arg-type]


def test_a_thread_that_comes_after_the_end_is_refused() -> None:
    terms, keys = TermSpool(), Seen()
    terms.close()
    keys.close()
    for late in (lambda: terms.next(1), lambda: keys.first(b"a")):
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            late()


def test_a_failed_statement_leaves_it_to_the_next_thread() -> None:
    spill = Spill("kept (n INTEGER)")
    with pytest.raises(sqlite3.OperationalError), spill as kept:
        kept.execute("INSERT INTO nothing VALUES (1)")
    with ThreadPoolExecutor(1) as threads:
        threads.submit(spill.close).result(30)


def test_a_full_disk_is_told_as_such_and_what_was_kept_can_be_forgotten() -> None:
    spill = Spill("kept (n BLOB)")
    with spill as kept:
        kept.execute("PRAGMA max_page_count=4")
    with pytest.raises(Unavailable, match="no_room"), spill as kept:
        kept.execute("INSERT INTO kept VALUES (zeroblob(1000000))")
    spill.close()
