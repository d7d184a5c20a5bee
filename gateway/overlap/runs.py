"""Accepted overlaps are run: both sides frozen and committed to, counted, and answered, once.

Whatever fails before the answer leaves the overlap accepted, to be tried again under the same acceptance; only a
refusal ends it. A process that stops here loses its sets, and nothing else.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import BigInteger, Text, bindparam, select, update

from gateway.access.refusal import ClientChanged
from gateway.canonical import canonical
from gateway.clock import Clock
from gateway.database import Database, Query
from gateway.errors import GatewayError, NotFound, Reason, Refused, TooLarge
from gateway.finishing import finished
from gateway.identity.tables import client
from gateway.ledger import Ledger
from gateway.overlap.answering import Told, commitment, told
from gateway.overlap.comparing import Comparison, Keys
from gateway.overlap.counting import Counting
from gateway.overlap.freezing import Asker, Freezing
from gateway.overlap.record import Overlap
from gateway.overlap.tables import overlap
from gateway.vault.keyring import KeyRing

CLAIMED_MS: Final = 20 * 60 * 1000
"""Within it a run is done, or some process may try it again; a count takes half of that at most."""
FIRST_PAUSE_MS: Final = 5_000
LONGEST_PAUSE_MS: Final = 3_600_000
_GATEWAY: Final[Mapping[str, str]] = {"gateway": "overlap"}
_SALT_BYTES: Final = 32

_DUE = Query(
    select(overlap)
    .where(overlap.c.state == "accepted", overlap.c.due_at <= bindparam("now", type_=BigInteger))
    .order_by(overlap.c.due_at, overlap.c.id)
    .limit(1)
)
_THIS = (overlap.c.id == bindparam("the_id"), overlap.c.state == "accepted")
_CLAIM = Query(
    update(overlap)
    .where(*_THIS, overlap.c.due_at == bindparam("seen", type_=BigInteger))
    .values(due_at=bindparam("until", type_=BigInteger), read=0)
)
_READ = Query(update(overlap).where(*_THIS).values(read=overlap.c.read + 1))
_LATER = Query(
    update(overlap)
    .where(*_THIS)
    .values(due_at=bindparam("at", type_=BigInteger), attempts=overlap.c.attempts + 1, last_code=bindparam("code"))
)
_REFUSE = Query(update(overlap).where(*_THIS).values(state="refused", last_code=bindparam("code")))
_ANSWER = Query(
    update(overlap)
    .where(*_THIS)
    .values(
        state="answered",
        at_least=bindparam("least", type_=BigInteger),
        fewer_than=bindparam("fewer", type_=BigInteger),
        method=bindparam("by", type_=Text),
        answered_at=bindparam("at", type_=BigInteger),
        repeats=bindparam("again", type_=Text),
    )
)
_CLIENT = Query(select(client.c.version).where(client.c.id == bindparam("client")))

Sets = Mapping[str, Collection[bytes]]
"""Each member's frozen set."""


class OverlapRuns:
    """Runs what is due. Several processes may: each overlap is claimed by one of them."""

    def __init__(
        self, database: Database, ledger: Ledger, keyring: KeyRing, freezing: Freezing, counting: Counting, clock: Clock
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._keyring = keyring
        self._freezing = freezing
        self._counting = counting
        self._clock = clock

    async def run(self) -> None:
        """One after the other until nothing is due; what failed is due later."""
        while (row := await self._database.one(_DUE, now=self._clock())) is not None:
            one = Overlap.of(row)
            if await self._claim(one):
                await self._run(one)

    async def _run(self, one: Overlap) -> None:
        try:
            sets = {
                one.proposer: await self._frozen(one, one.proposer),
                one.acceptor: await self._frozen(one, one.acceptor),
            }
            await self._commit(one, sets)
            await self._answer(one, sets)
        except (Refused, NotFound, ClientChanged, TooLarge) as error:
            reasons = error.reasons if isinstance(error, Refused) else ()
            await self._refuse(one, reasons or (Reason(error.code.upper()),))
        except GatewayError as error:
            await self._postpone(one, error.code)
        except asyncio.CancelledError:  # the process stops; another need not wait until the claim ends
            await finished(self._postpone(one, "overlap_interrupted"))
            raise

    async def _claim(self, one: Overlap) -> bool:
        async with self._database.transaction() as tx:
            until = self._clock() + CLAIMED_MS
            return await tx.run(_CLAIM, the_id=one.id, seen=one.due_at, until=until) == 1

    async def _frozen(self, one: Overlap, owner: str) -> Collection[bytes]:
        proposers = owner == one.proposer
        by = one.acceptor_client if proposers else one.proposer_client
        row = await self._database.one(_CLIENT, client=by)
        if row is None:
            raise NotFound
        asker = Asker(one.alliance, one.acceptor if proposers else one.proposer, str(by), row["version"])
        side = one.proposers if proposers else one.acceptors

        async def progress() -> None:
            async with self._database.transaction() as tx:
                await tx.run(_READ, the_id=one.id)

        return await self._freezing.freeze(one.id, one.pair, one.matched_by, side, asker, progress)

    async def _commit(self, one: Overlap, sets: Sets) -> None:
        """Before anything is counted, each log names what will be: both commitments, and the salt for its owner."""
        salts = {member: secrets.token_bytes(_SALT_BYTES) for member in sets}
        named = {"method": self._counting.method}
        named |= {f"{side}_sha256": commitment(salts[m], sets[m]) for side, m in _sides(one)}
        keys = await self._keys(one)
        async with self._ledger.changing(*one.members) as change:
            for draft in one.entries("overlap_frozen", _GATEWAY, **named):
                salt = keys[draft.log].seal_detail(salts[draft.log], _bound(one.id, draft.log))
                own = {**draft.facts, "size": len(sets[draft.log])}
                change.enter(draft._replace(facts=own, sealed=salt))

    async def _answer(self, one: Overlap, sets: Sets) -> None:
        """Count and round; nearly the same sets as before get the answer of before, and are not counted.

        Of those that were counted at once, the first to be answered is before: that is asked under both logs' locks.
        """
        comparison = Comparison(one, sets, self._clock())
        former = await comparison.nearly_same(self._database, await self._keys(one))
        counted = None if former else await self._counted(one, sets)
        keys = await self._keys(one)
        async with self._ledger.changing(*one.members) as change:
            again, answer = former or await comparison.nearly_same(change.tx, keys) or (None, counted)
            assert answer is not None
            said = {"least": answer.at_least, "fewer": answer.fewer_than, "by": self._counting.method, "again": again}
            if not await change.tx.run(_ANSWER, the_id=one.id, at=change.now_ms, **said):
                return
            if again is None:
                await comparison.keep(change.tx, keys)
            facts = {**answer._asdict(), "method": self._counting.method, "repeats": again}
            for draft in one.entries("overlap_answered", _GATEWAY, **facts):
                change.enter(draft)

    async def _keys(self, one: Overlap) -> Keys:
        return {member: await self._keyring.unlock(member) for member in one.members}

    async def _counted(self, one: Overlap, sets: Sets) -> Told:
        ours, theirs = sets[one.proposer], sets[one.acceptor]
        return told(await self._counting.common(ours, theirs), ours, theirs)

    async def _refuse(self, one: Overlap, reasons: tuple[Reason, ...]) -> None:
        async with self._ledger.changing(*one.members) as change:
            if await change.tx.run(_REFUSE, the_id=one.id, code=reasons[0].code):
                for draft in one.entries("overlap_refused", _GATEWAY, *reasons):
                    change.enter(draft)

    async def _postpone(self, one: Overlap, code: str) -> None:
        pause = min(FIRST_PAUSE_MS << min(one.attempts, 20), LONGEST_PAUSE_MS)
        async with self._database.transaction() as tx:
            await tx.run(_LATER, the_id=one.id, at=self._clock() + pause, code=code)


def _sides(one: Overlap) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("proposer", one.proposer), ("acceptor", one.acceptor)


def _bound(overlap_id: str, member: str) -> bytes:
    return canonical({"use": "overlap_salt", "overlap": overlap_id, "member": member})
