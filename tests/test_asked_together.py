"""What several requests ask at the same time is looked at once, and no answer is older than its question."""

from __future__ import annotations

import asyncio
import gc

import pytest

from gateway.abreast import AskedTogether


class Shelf:
    """Something to look at, which takes a while; it notes each look."""

    def __init__(self) -> None:
        self.content = "first"
        self.looks: list[str] = []
        self.begun = asyncio.Event()
        self.end = asyncio.Event()
        self.end.set()
        self.fails = False
        self.asked = AskedTogether(self._look)

    async def _look(self, key: str) -> str:
        self.looks.append(key)
        self.begun.set()
        found = f"{key}: {self.content}"
        await self.end.wait()
        if self.fails:
            raise OSError(key)
        return found


async def test_who_asks_the_same_at_the_same_time_shares_a_look() -> None:
    shelf = Shelf()
    answers = await asyncio.gather(*[shelf.asked.ask(key) for key in "abacab"])
    assert answers == [f"{key}: first" for key in "abacab"]
    assert shelf.looks == ["a", "b", "c"]


async def test_who_asks_once_a_look_has_begun_is_answered_by_another_one() -> None:
    shelf = Shelf()
    shelf.end.clear()
    early = asyncio.create_task(shelf.asked.ask("a"))
    await shelf.begun.wait()
    shelf.content = "second"
    late = asyncio.create_task(shelf.asked.ask("a"))
    await asyncio.sleep(0)
    shelf.end.set()
    assert await early == "a: first"
    assert await late == "a: second"


async def test_what_was_found_is_not_remembered() -> None:
    shelf = Shelf()
    assert await shelf.asked.ask("a") == "a: first"
    shelf.content = "second"
    assert await shelf.asked.ask("a") == "a: second"


async def test_a_look_that_fails_fails_for_those_who_joined_it_and_for_nobody_else() -> None:
    shelf = Shelf()
    shelf.fails = True
    failed = await asyncio.gather(*[shelf.asked.ask("a") for _ in range(3)], return_exceptions=True)
    assert [type(one) for one in failed] == [OSError] * 3
    shelf.fails = False
    assert await shelf.asked.ask("a") == "a: first"


async def test_the_look_at_one_thing_fails_nobody_who_asks_about_another() -> None:
    async def look(key: str) -> str:
        if key == "bad":
            raise ValueError(key)
        return key

    asked: AskedTogether[str, str] = AskedTogether(look)
    answers = await asyncio.gather(*[asked.ask(key) for key in ("good", "bad", "good")], return_exceptions=True)
    assert [answer if isinstance(answer, str) else type(answer) for answer in answers] == ["good", ValueError, "good"]


@pytest.mark.parametrize("gone", [0, 1, 2])
async def test_who_goes_away_takes_the_look_from_nobody(gone: int) -> None:
    shelf = Shelf()
    shelf.end.clear()
    asking = [asyncio.create_task(shelf.asked.ask("a")) for _ in range(3)]
    await shelf.begun.wait()
    asking[gone].cancel()
    await asyncio.sleep(0)
    shelf.end.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(answer) for answer in answers].count(asyncio.CancelledError) == 1
    assert [answer for answer in answers if answer == "a: first"] == ["a: first"] * 2


async def test_a_look_that_fails_after_everybody_has_gone_away_is_no_unheard_error() -> None:
    unheard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    shelf = Shelf()
    shelf.fails = True
    shelf.end.clear()
    asking = asyncio.create_task(shelf.asked.ask("a"))
    await shelf.begun.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    shelf.end.set()
    await asyncio.sleep(0.01)
    gc.collect()
    assert not unheard
    assert await asyncio.wait_for(_working(shelf), 1) == "a: first"


async def _working(shelf: Shelf) -> str:
    shelf.fails = False
    return await shelf.asked.ask("a")


async def test_a_look_that_is_cancelled_before_it_begins_stands_in_nobodys_way() -> None:
    shelf = Shelf()
    asking = asyncio.create_task(shelf.asked.ask("a"))
    await asyncio.sleep(0)
    [look] = asyncio.all_tasks() - {asyncio.current_task(), asking}
    look.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert await shelf.asked.ask("a") == "a: first"
