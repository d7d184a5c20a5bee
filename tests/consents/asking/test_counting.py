"""What limits guessers and floods is counted in the database, by however many processes and connections at once."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.consents.asking import codes, links, visits
from gateway.consents.asking.budget import DAY_MS, MOST_A_DAY, PAUSE_MS, Budget
from gateway.consents.asking.codes import CODE_MS, MOST_TRIES
from gateway.consents.asking.links import LINK_MS, MOST_OPENINGS, Link
from gateway.consents.asking.visit import VISIT_MS, Kind, Visit
from gateway.consents.contacts import Address, BlindIndex, Channel, Holder, Role
from gateway.database import Database
from gateway.errors import GatewayError, Invalid, TooManyAttempts
from gateway.vault.keyring import OWN, KeyRing
from gateway.vault.providers import LocalKeyring
from tests.alliance import CHEAP
from tests.catalog.conftest import AIRLINE, Movable
from tests.conftest import _opened

PERSON = Holder(AIRLINE, "0" * 64, Role.OWN)
LINK = Link(Kind.SELF_SERVICE, None, (PERSON,), Channel.SMS, "en", b"term")
PHONE = Address.read("sms", "13800138000")
PROCESSES = 4


@asynccontextmanager
async def processes(url: str) -> AsyncIterator[Iterator[Database]]:
    """Connections of several processes, in turn."""
    async with (
        _opened(url) as one,
        _opened(url) as two,
        _opened(url) as three,
        _opened(url) as four,
    ):
        yield itertools.cycle((one, two, three, four))


async def visiting(database: Database, clock: Movable) -> tuple[Visit, str]:
    """A visit, and the code that was sent in it."""
    async with database.transaction() as tx:
        visit, _ = await visits.begin(tx, LINK, clock.now)
        code = await codes.issue(tx, visit, clock.now)
    assert code is not None
    return visit, code


def wrong(code: str, step: int = 1) -> str:
    return f"{(int(code) + step) % 10**6:06}"


async def tried(database: Database, clock: Movable, visit: Visit, code: str) -> str:
    """What became of a try: right, code_wrong or code_over."""
    try:
        mac = await codes.check(database, clock, visit, code)
    except GatewayError as error:
        return error.code
    async with database.transaction() as tx:
        return "right" if await codes.use(tx, visit, mac, clock.now) else "code_over"


async def test_however_many_guess_at_once_five_tries_count_and_then_the_code_is_burnt(database_url: str) -> None:
    clock = Movable()
    async with processes(database_url) as databases:
        visit, code = await visiting(next(databases), clock)
        guesses = [wrong(code, step) for step in range(1, 31)]
        told = await asyncio.gather(*(tried(next(databases), clock, visit, guess) for guess in guesses))
        assert sorted(told) == ["code_over"] * (30 - MOST_TRIES) + ["code_wrong"] * MOST_TRIES
        assert await tried(next(databases), clock, visit, code) == "code_over", "the right one comes too late"


async def test_a_code_is_used_once_however_many_have_it(database_url: str) -> None:
    clock = Movable()
    async with processes(database_url) as databases:
        visit, code = await visiting(next(databases), clock)
        told = await asyncio.gather(*(tried(next(databases), clock, visit, code) for _ in range(MOST_TRIES)))
    assert sorted(told) == ["code_over"] * (MOST_TRIES - 1) + ["right"]


async def test_a_number_is_written_to_once_a_minute_and_five_times_a_day_by_all_processes_together(
    database_url: str, tmp_path: Path
) -> None:
    clock = Movable()
    provider = LocalKeyring.create(tmp_path / "keyring.json", b"a passphrase for tests", cost=CHEAP)
    async with processes(database_url) as databases:
        index = BlindIndex(KeyRing(next(databases), provider, clock))
        async with next(databases).transaction() as tx:
            await index._keyring.create_member_keys(tx, OWN, clock.now)

        async def at_once(use: str = "code", address: Address = PHONE) -> int:
            budgets = [Budget(next(databases), index, clock) for _ in range(PROCESSES)]
            return sum(await asyncio.gather(*(budget.take(use, address) for budget in budgets)))

        for _ in range(MOST_A_DAY):
            assert await at_once() == 1
            clock.now += PAUSE_MS - 1
            assert await at_once() == 0
            clock.now += 1
        assert await at_once() == 0, "the sixth of the day"
        assert await at_once("link") == 1
        assert await at_once(address=Address.read("sms", "13900139000")) == 1
        clock.now += DAY_MS - MOST_A_DAY * PAUSE_MS
        assert await at_once() == 1


async def test_a_renewal_of_the_contact_key_gives_nobody_fresh_attempts(
    sqlite_database: Database, tmp_path: Path
) -> None:
    clock = Movable()
    provider = LocalKeyring.create(tmp_path / "keyring.json", b"a passphrase for tests", cost=CHEAP)
    keyring = KeyRing(sqlite_database, provider, clock)
    async with sqlite_database.transaction() as tx:
        await keyring.create_member_keys(tx, OWN, clock.now)
    budget = Budget(sqlite_database, BlindIndex(keyring), clock)
    assert await budget.take("code", PHONE)
    async with sqlite_database.transaction() as tx:
        await keyring.renew_own_index_key(tx, clock.now)
    renewed = Budget(sqlite_database, BlindIndex(KeyRing(sqlite_database, provider, clock)), clock)
    assert not await renewed.take("code", PHONE)


async def test_a_link_opens_twenty_times_and_not_after_its_end(database_url: str) -> None:
    clock = Movable()
    async with processes(database_url) as databases:
        async with next(databases).transaction() as tx:
            token = await links.issue(tx, LINK, clock.now)
            other = await links.issue(tx, LINK, clock.now)

        async def used(what: str) -> bool:
            async with next(databases).transaction() as tx:
                return await links.use(tx, what, clock.now)

        assert sum(await asyncio.gather(*(used(token) for _ in range(MOST_OPENINGS + 5)))) == MOST_OPENINGS
        assert await links.find(next(databases), token, clock.now) is None
        clock.now += LINK_MS - 1
        assert await links.find(next(databases), other, clock.now) == LINK
        clock.now += 1
        assert await links.find(next(databases), other, clock.now) is None
        assert not await used(other)


async def test_a_link_that_leads_to_nobody_opens_nothing(sqlite_database: Database) -> None:
    async with sqlite_database.transaction() as tx:
        token = await links.issue(tx, replace(LINK, persons=()), Movable().now)
    assert await links.find(sqlite_database, token, Movable().now) is None


async def test_a_code_of_one_visit_is_worth_nothing_in_another(sqlite_database: Database) -> None:
    clock = Movable()
    mine, code = await visiting(sqlite_database, clock)
    other, others = await visiting(sqlite_database, clock)
    if code != others:
        assert await tried(sqlite_database, clock, other, code) == "code_wrong"
    assert await tried(sqlite_database, clock, mine, code) == "right"


async def test_a_code_ends_after_ten_minutes_with_the_next_one_and_with_its_visit(sqlite_database: Database) -> None:
    clock = Movable()
    visit, first = await visiting(sqlite_database, clock)
    async with sqlite_database.transaction() as tx:
        second = await codes.issue(tx, visit, clock.now)
    assert second is not None
    if first != second:
        with pytest.raises(Invalid, match="code_wrong"):
            await codes.check(sqlite_database, clock, visit, first)
    clock.now += CODE_MS
    with pytest.raises(TooManyAttempts, match="code_over"):
        await codes.check(sqlite_database, clock, visit, second)
    clock.now += VISIT_MS - CODE_MS
    async with sqlite_database.transaction() as tx:
        assert await codes.issue(tx, visit, clock.now) is None


@pytest.mark.parametrize("typed", ["", "x", "000000000000", "\ud800", "１２３４５６", "0" * 100_000])
async def test_whatever_is_typed_is_one_try(sqlite_database: Database, typed: str) -> None:
    clock = Movable()
    visit, code = await visiting(sqlite_database, clock)
    assert await tried(sqlite_database, clock, visit, typed) == "code_wrong"
    for _ in range(MOST_TRIES - 2):
        assert await tried(sqlite_database, clock, visit, wrong(code)) == "code_wrong"
    assert await tried(sqlite_database, clock, visit, f" {code[:3]} {code[3:]} ") == "right"


async def test_neither_tokens_nor_codes_stand_in_the_database(sqlite_database: Database, sqlite_path: Path) -> None:
    clock = Movable()
    async with sqlite_database.transaction() as tx:
        token = await links.issue(tx, LINK, clock.now)
        visit, cookie = await visits.begin(tx, LINK, clock.now)
        code = await codes.issue(tx, visit, clock.now)
    stored = b"".join(path.read_bytes() for path in sqlite_path.parent.glob("gateway.db*"))
    assert code is not None
    for secret in (token, cookie, visit.code_key.decode("latin-1")):
        assert secret.encode("latin-1") not in stored
    found = await visits.find(sqlite_database, cookie, clock.now)
    assert found == visit
    for guess in ("", cookie[:-1], cookie + "x", "\ud800"):
        assert await visits.find(sqlite_database, guess, clock.now) is None
    shown = f"{visit!r} {LINK!r}"
    assert "code_key" not in shown
