"""What becomes of referrals without anybody's act, any number of times and on any number of processes.

Consents that came register a referral, registered ones are matched and offered, what a withdrawal or a deadline has
ended is written down, what nobody consents to is cancelled, and customers are told. Nothing waits for this to be safe:
reading decides by consent and clock.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import BigInteger, Select, and_, bindparam, or_, select

from gateway.agreements import Agreements
from gateway.apart import Apart
from gateway.clock import Clock, seconds
from gateway.consents.tables import consent, live
from gateway.database import Database, Query
from gateway.ledger import Change, Ledger
from gateway.referrals.entries import GATEWAY, enter_both
from gateway.referrals.offering import Offering
from gateway.referrals.referral import Referral, as_it_stands, at, existing, of_the_person
from gateway.referrals.registering import register
from gateway.referrals.states import OPEN, Event, Standing, State, follow
from gateway.referrals.tables import referral
from gateway.referrals.telling import Tellings
from gateway.referrals.unconsented import IN_VAIN, OUTLIVING, Unconsented
from gateway.referrals.writing import move

_PAGE: Final = 500
_MOST: Final = bindparam("most", type_=BigInteger)
_ENDING: Final = {State.WITHDRAWN: Event.WITHDRAW, State.EXPIRED: Event.EXPIRE}


def _standing_consents() -> Select[tuple[str]]:
    return (
        select(referral.c.id)
        .join(consent, and_(of_the_person(consent), live(consent, bindparam("now", type_=BigInteger))))
        .where(referral.c.state == State.CONSENT_PENDING.value)
        .order_by(consent.c.recorded_at, referral.c.submitted_at, referral.c.id)
        .limit(_MOST)
    )


_CONSENTED = Query(_standing_consents())
_REGISTERED = Query(
    select(referral.c.id)
    .where(referral.c.state == State.READY.value)
    .order_by(referral.c.recipient_id, referral.c.sequence)
    .limit(_MOST)
)
_OPEN = Query(
    as_it_stands()
    .where(
        or_(
            *(referral.c.state == state.value for state in sorted(OPEN)),
            and_(referral.c.state == State.DUPLICATE.value, referral.c.due_at.is_not(None)),
        ),
        referral.c.id > bindparam("after"),
    )
    .order_by(referral.c.id)
    .limit(_PAGE)
)


@dataclass(slots=True)
class Ran:
    """What one run did."""

    registered: int = 0
    matched: int = 0
    withdrawn: int = 0
    returned: int = 0
    cancelled: int = 0
    told: int = 0


class ReferralRun:
    """Looks at every referral whose time has come."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        agreements: Agreements,
        offering: Offering,
        tellings: Tellings,
        clock: Clock,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._agreements = agreements
        self._offering = offering
        self._tellings = tellings
        self._unconsented = Unconsented(database, ledger, clock)
        self._clock = clock

    async def run(self) -> Ran:
        """Do whatever is due by now; a second run finds nothing to do.

        A referral that cannot be dealt with keeps no other one waiting: its error is raised at the end.
        """
        ran = Ran()
        with Apart() as each:
            await self._end(ran, each)
            ran.cancelled = await self._all(IN_VAIN, self._unconsented.cancel, each)
            await self._all(_CONSENTED, partial(self._register, ran), each)
            ran.matched = await self._all(_REGISTERED, self._match, each)
            ran.told = await self._tellings.run()
        return ran

    async def forget(self) -> int:
        """Forget what is kept of persons that have withdrawn; of how many referrals. Nobody is shown it meanwhile.

        It looks at every referral that has words (0.3 s for 100,000 on SQLite), so it is done less often than `run`.
        """
        with Apart() as each:
            return await self._all(OUTLIVING, self._unconsented.forget, each)

    async def _all(self, query: Query, work: Callable[[str], Awaitable[bool]], each: Apart) -> int:
        """How many of those that are found the work was done for, in their order; each is tried once."""
        done, tried = 0, set[str]()
        while True:
            rows = await self._database.all(query, **at(self._clock()), most=_PAGE + len(tried) - done)
            fresh = [one for one in dict.fromkeys(row["id"] for row in rows) if one not in tried]
            if not fresh:
                return done
            tried.update(fresh)
            done += sum([await each(work(one)) for one in fresh])

    async def _register(self, ran: Ran, referral_id: str) -> bool:
        seen = await existing(self._database, referral_id, self._clock())
        is_agreed = await self._is_agreed(seen)
        async with self._ledger.changing(seen.owner, seen.recipient) as change:
            found = await existing(change.tx, referral_id, change.now_ms)
            if found.state is not State.CONSENT_PENDING or found.standing is not Standing.GIVEN:
                return False
            if not is_agreed:
                await _cancel(change, found)
                return True
            enter_both(change, "referral_registered", GATEWAY, await register(change, found))
        ran.registered += 1
        return True

    async def _match(self, referral_id: str) -> bool:
        seen = await existing(self._database, referral_id, self._clock())
        if await self._is_agreed(seen):
            return await self._offering.match(referral_id)
        async with self._ledger.changing(seen.owner, seen.recipient) as change:
            found = await existing(change.tx, referral_id, change.now_ms)
            if found.state is State.READY:
                await _cancel(change, found)
        return False

    async def _is_agreed(self, seen: Referral) -> bool:
        return await self._agreements.in_force(seen.row["agreement_id"], seconds(seen.now_ms)) is not None

    async def _end(self, ran: Ran, each: Apart) -> None:
        """Write down what consent and clock have ended, and let a clock run again that a case had stopped."""
        after, now = "", self._clock()
        while rows := await self._database.all(_OPEN, after=after, **at(now)):
            for seen in (Referral(row, now) for row in rows):
                after = seen.id
                if seen.state in _ENDING and seen.state is not seen.stored:
                    await each(self._end_one(seen, ran))
                elif seen.is_freed:
                    await each(self._offering.resume(seen))

    async def _end_one(self, seen: Referral, ran: Ran) -> None:
        async with self._ledger.changing(seen.owner, seen.recipient) as change:
            found = await existing(change.tx, seen.id, change.now_ms)
            if found.state not in _ENDING or found.state is found.stored:
                return
            ended = await move(change, found, follow(found.stored, _ENDING[found.state]), reason="")
            is_withdrawn = ended.stored is State.WITHDRAWN
            enter_both(change, "referral_withdrawn" if is_withdrawn else "referral_returned", GATEWAY, ended)
        ran.withdrawn += is_withdrawn
        ran.returned += not is_withdrawn


async def _cancel(change: Change, found: Referral) -> None:
    """Its agreement has ended: without one nobody is offered anything."""
    ended = await move(change, found, follow(found.state, Event.CANCEL), reason="agreement_ended")
    enter_both(change, "referral_cancelled", GATEWAY, ended, reason="agreement_ended")
