from __future__ import annotations

import pytest

from gateway.apart import Apart
from gateway.database import DatabaseUnavailable
from gateway.errors import Conflicting

MOVED = Conflicting("moved", "It was moved meanwhile.")


async def do(number: int, error: Exception | None = None) -> int:
    if error is not None:
        raise error
    return number


async def nothing() -> None:
    return None


async def test_one_failure_keeps_nobody_else_waiting_and_is_raised_at_the_end() -> None:
    counts = []

    async def work() -> None:
        with Apart() as each:
            counts.extend([await each(one) for one in (do(1), do(2, MOVED), nothing(), do(3))])

    with pytest.raises(Conflicting, match="moved"):
        await work()
    assert counts == [1, 0, 0, 3]


async def test_the_last_of_several_failures_is_raised_whatever_it_is() -> None:
    async def work() -> None:
        with Apart() as each:
            await each(do(1, MOVED))
            await each(do(1, ZeroDivisionError()))

    with pytest.raises(ZeroDivisionError):
        await work()


async def test_without_a_database_nobody_is_served() -> None:
    asked = []

    async def work() -> None:
        with Apart() as each:
            await each(do(1, MOVED))
            await each(do(1, DatabaseUnavailable()))
            asked.append(await each(do(1)))

    with pytest.raises(DatabaseUnavailable):
        await work()
    assert asked == []


async def test_what_ends_the_block_itself_is_not_hidden() -> None:
    async def work() -> None:
        with Apart() as each:
            await each(do(1, MOVED))
            raise KeyError

    with pytest.raises(KeyError):
        await work()
