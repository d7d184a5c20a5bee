"""What is signed for an entry is signed while the disk takes it, and is had by nobody before it is durable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from gateway.database import Database, Transaction
from gateway.errors import Invalid, Reason, Unavailable
from gateway.identity.subject import Subject
from gateway.ledger import Draft, Effect, LedgerUnavailable, Quota, Receipt, Recorded
from gateway.ledger.appending import Appended
from gateway.ledger.bodies import prepare
from gateway.supplies import Roll, TokenEvents

from .builders import LEAVES, OPERATOR, OWNER, denial, new_ledger, opened, permit, receipt_of


class _HeldUp:
    """A real database whose transactions, once written, wait while it is held; `lost`: the next is rolled back."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._go_on = asyncio.Event()
        self._go_on.set()
        self.lost = False
        self.written = False

    @contextmanager
    def held(self) -> Iterator[None]:
        self._go_on.clear()
        try:
            yield
        finally:
            self._go_on.set()

    def __getattr__(self, name: str) -> object:
        return getattr(self._database, name)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with self._database.transaction() as tx:
            yield tx
            self.written = True
            await self._go_on.wait()
            if self.lost:
                self.lost = False
                raise ConnectionResetError


class _Pen:
    """Signs, and keeps what it signed for."""

    def __init__(self) -> None:
        self.signed_for: list[Receipt] = []
        self.begun = asyncio.Event()

    def sign(self, receipt: Receipt) -> str:
        self.signed_for.append(receipt)
        self.begun.set()
        return f"signed {receipt.event_id}"


class _Spending:
    """Something that is used up now, or was before."""

    def __init__(self, *, fresh: bool) -> None:
        self._fresh = fresh

    async def use(self, _: Transaction) -> bool:
        return self._fresh


def _broken(_: Receipt) -> str:
    raise Unavailable("keys_unavailable", "There is no key to sign with now.")


async def test_an_entry_comes_back_with_what_was_signed_of_its_receipt(database: Database) -> None:
    pen, ledger = _Pen(), await opened(database)
    first, second, plain = await asyncio.gather(
        ledger.record(permit(1)._replace(signing=pen.sign)),
        ledger.record(denial(2)._replace(signing=pen.sign)),
        ledger.record(denial(3)),
    )
    assert [first.signed, second.signed, plain.signed] == [f"signed {first.event_id}", f"signed {second.event_id}", ""]
    assert pen.signed_for == [receipt_of(first), receipt_of(second)]


async def test_signing_does_not_wait_for_the_disk_but_whoever_asked_does(database: Database) -> None:
    await opened(database)
    pen, slow = _Pen(), _HeldUp(database)
    ledger = new_ledger(slow)  # type: ignore[arg-type]
    await ledger.record(denial())
    slow.written = False
    begun_after: list[bool] = []

    def sign(receipt: Receipt) -> str:
        begun_after.append(slow.written)
        return pen.sign(receipt)

    with slow.held():
        asked = asyncio.gather(*[ledger.record(permit(number)._replace(signing=sign)) for number in range(2)])
        await asyncio.wait_for(pen.begun.wait(), 5)
        assert begun_after == [True, True]
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(await database.all(LEAVES)) == 1
        assert not asked.done()
    assert pen.signed_for == [receipt_of(recorded) for recorded in await asked]
    assert len(await database.all(LEAVES)) == 3


async def test_nobody_gets_what_was_signed_for_an_entry_that_did_not_last(database: Database) -> None:
    await opened(database)
    pen, slow = _Pen(), _HeldUp(database)
    ledger = new_ledger(slow)  # type: ignore[arg-type]
    await ledger.record(denial())
    with slow.held():
        asked = asyncio.create_task(ledger.record(permit()._replace(signing=pen.sign)))
        await asyncio.wait_for(pen.begun.wait(), 5)
        slow.lost = True
    with pytest.raises(LedgerUnavailable):
        await asked
    assert len(await database.all(LEAVES)) == 1


async def test_who_cannot_sign_tells_its_own_waiter_alone(database: Database) -> None:
    pen, ledger = _Pen(), await opened(database)
    one, other = await asyncio.gather(
        ledger.record(permit(1)._replace(signing=_broken)),
        ledger.record(permit(2)._replace(signing=pen.sign)),
        return_exceptions=True,
    )
    assert isinstance(one, Unavailable)
    assert one.code == "keys_unavailable"
    assert not isinstance(other, BaseException)
    assert other.signed == f"signed {other.event_id}"
    assert len(await database.all(LEAVES)) == 2


async def test_a_refusal_that_stands_in_for_a_permit_is_not_signed_for(database: Database) -> None:
    pen, ledger = _Pen(), await opened(database)
    spent = (Quota("agreement", 0, 0, 1, Reason("FREQUENCY_EXCEEDED", "4.1.2")),)
    recorded = await ledger.record(permit()._replace(quotas=spent, overdrawn=denial(), signing=pen.sign))
    assert (recorded.effect, recorded.signed, pen.signed_for) == (Effect.DENY, "", [])


async def test_a_signing_that_breaks_costs_its_neighbours_nothing(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(_: Receipt) -> str:
        raise ZeroDivisionError

    pen, ledger = _Pen(), await opened(database)
    before, broken, after, plain = await asyncio.gather(
        ledger.record(permit(1)._replace(signing=pen.sign)),
        ledger.record(permit(2)._replace(signing=breaks)),
        ledger.record(permit(3)._replace(signing=pen.sign)),
        ledger.record(denial(4)),
        return_exceptions=True,
    )
    assert isinstance(broken, ZeroDivisionError)
    assert [type(one) for one in (before, after, plain)] == [Recorded] * 3
    assert len(await database.all(LEAVES)) == 4
    assert (await ledger.record(permit(5)._replace(signing=pen.sign))).signed
    assert [record for record in caplog.records if record.name == "asyncio"] == []


def test_what_was_signed_does_not_stand_in_what_is_shown_of_an_entry() -> None:
    draft = permit()._replace(signing=lambda _: "a secret")
    entry = prepare(draft, event_id="event", origin="alliance.example/log", node="node", boot_id="boot")
    appended = Appended(entry, 0, b"", 0, 0.0)
    recorded = appended.recorded()
    assert recorded.signed == "a secret"
    assert "a secret" not in f"{appended} {recorded}"


async def test_a_token_is_signed_once_its_assertion_is_used_up_and_for_no_used_one(database: Database) -> None:
    await opened(database)
    slow = _HeldUp(database)
    at: list[bool] = []
    ledger = new_ledger(slow)  # type: ignore[arg-type]
    events = TokenEvents(ledger, Roll(database), None)  # type: ignore[arg-type]
    subject = Subject(OPERATOR, "m", "c", (), frozenset(("audit",)), "t", "k", 300, 1)
    await ledger.record(denial())

    def sign() -> str:
        at.append(slow.written)
        return "a token"

    for fresh in (True, False):
        slow.written = False
        assert await events.on_granted(subject, _Spending(fresh=fresh), sign) == ("a token" if fresh else "")
    assert at == [True]
    assert len(await database.all(LEAVES)) == 2


@pytest.mark.parametrize(
    ("field", "draft"),
    [
        ("/opening", permit()),
        ("/quotas", denial()._replace(quotas=(Quota("agreement", 0, 1, 1, Reason("FREQUENCY_EXCEEDED", "4.1.2")),))),
        ("/signing", denial()._replace(signing=_broken)),
    ],
)
async def test_a_change_enters_nothing_that_opens_counts_or_is_signed_for(
    sqlite_database: Database, field: str, draft: Draft
) -> None:
    ledger = await opened(sqlite_database)
    with pytest.raises(Invalid, match="not_a_change") as refused:
        async with ledger.changing(OWNER) as change:
            change.enter(draft)
    assert refused.value.field == field
    assert await sqlite_database.all(LEAVES) == []
