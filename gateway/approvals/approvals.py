"""Four eyes: what one operator proposes, another approves. The approval and the act are one transaction.

So an approved act has happened, exactly once, and an act that did not happen is not approved: whether the process
stops, two approve at once, or the act itself refuses. There is no state between.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final

from sqlalchemy import bindparam, func, insert, select, update

from gateway.approvals.act import Act, Arguments, Mandate
from gateway.approvals.proposal import Proposal, checked_approver, checked_operator
from gateway.approvals.tables import proposal
from gateway.canonical import canonical
from gateway.characters import all_shown_as_written
from gateway.clock import Clock
from gateway.database import Database, Query, Reading, Transaction
from gateway.errors import Conflicting, Invalid, NotFound, Reason, Refused, TooLarge
from gateway.identifiers import random_id
from gateway.ledger import Change, Draft, Effect, Kind, Ledger

LIFETIME_MS: Final = 7 * 24 * 3600 * 1000
_LARGEST: Final = 64 * 1024
_PENDING_EACH: Final = 64

_ADD = Query(insert(proposal))
_FIND = Query(select(proposal).where(proposal.c.id == bindparam("id")))
_STANDING = (proposal.c.state == "pending", proposal.c.expires_at > bindparam("now"))
_PENDING = Query(
    select(proposal)
    .where(proposal.c.alliance_id == bindparam("alliance"), *_STANDING)
    .order_by(proposal.c.proposed_at, proposal.c.id)
)
_COUNT = Query(
    select(func.count().label("count"))
    .select_from(proposal)
    .where(proposal.c.alliance_id == bindparam("alliance"), proposal.c.proposed_by == bindparam("by"), *_STANDING)
)
_DECIDE = Query(
    update(proposal)
    .where(proposal.c.id == bindparam("the_id"), proposal.c.state == "pending")
    .values(state=bindparam("new_state"), decided_by=bindparam("by"), decided_at=bindparam("at"), made=bindparam("of"))
)


Still = Callable[[Reading], Awaitable[None]]
"""Raises unless whoever decides still may, as the database has it now."""


async def _whoever(_: Reading) -> None:
    """On the host, who may run the command may decide."""


class Approvals:
    """Proposals of every alliance. `operator` is whoever acts, as entries will name them: an opaque string.

    Each step is an entry in the operator's log of the alliance. A proposal is over after `lifetime_ms`.
    """

    def __init__(
        self, database: Database, ledger: Ledger, clock: Clock, acts: Iterable[Act], *, lifetime_ms: int = LIFETIME_MS
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._clock = clock
        self._acts = {act.name: act for act in acts}
        self._lifetime_ms = lifetime_ms

    @property
    def acts(self) -> frozenset[str]:
        """The name of every act that can be proposed."""
        return frozenset(self._acts)

    async def propose(self, alliance: str, act: str, arguments: Arguments, *, operator: str) -> str:
        """Put an act before the others; returns the proposal's id. Nothing is done yet.

        Raises:
            Invalid: No such act, arguments without a canonical form or not shown as they are written, or whatever the
                act's own check refuses.
            TooLarge: The arguments exceed 64 KiB.
            Conflicting: The proposer has 64 proposals pending already.
            UnknownLog: There is no such alliance.
        """
        checked_operator(operator)
        known = self._act(act)
        text = canonical(dict(arguments))
        if len(text) > _LARGEST:
            raise TooLarge("proposal_too_large", f"The arguments exceed {_LARGEST} bytes.", field="arguments")
        all_shown_as_written(dict(arguments), "")
        await known.check(self._database, alliance, arguments)
        async with self._ledger.changing(alliance) as change:
            count = await change.tx.one(_COUNT, alliance=alliance, by=operator, now=change.now_ms)
            if count is not None and count["count"] >= _PENDING_EACH:
                raise Conflicting("too_many_proposals", f"{_PENDING_EACH} proposals of yours are pending.")
            row = {
                "id": random_id(),
                "alliance_id": alliance,
                "act": act,
                "arguments": text.decode(),
                "arguments_sha256": sha256(text).hexdigest(),
                "proposed_by": operator,
                "proposed_at": change.now_ms,
                "expires_at": change.now_ms + self._lifetime_ms,
                "state": "pending",
                "decided_by": None,
                "decided_at": None,
                "made": None,
            }
            await change.tx.run(_ADD, **row)
            made = Proposal.of(row)
            change.enter(_step(made, "proposal_made", operator))
        return made.id

    async def approve(self, proposal_id: str, *, operator: str, still: Still = _whoever) -> str:
        """Do what was proposed, once; returns the name of what it made. The entry names both people and the hash.

        `still` raises unless the operator may decide; it is asked under the lock, so that no decision follows the
        entry that ends an operator or an office.

        Raises:
            NotFound: There is no such proposal.
            Refused: The proposer cannot approve; the attempt is an entry.
            Conflicting: Decided, expired, or altered in the database.
            GatewayError: Whatever the act itself refuses. The proposal stays as it was.
        """
        checked_approver(operator)
        found = await self.find(proposal_id)
        act = self._act(found.act)
        if found.proposed_by == operator:
            raise await self._refusal(found, operator)
        narrows = await act.narrows(found.alliance, found.arguments)
        logs = await act.logs(found.alliance, found.arguments)
        async with self._ledger.changing(found.alliance, *logs, narrows=narrows) as change:
            await still(change.tx)
            standing = await _pending(change, proposal_id)
            made = await act.perform(change, _mandate(standing, operator), standing.arguments)
            await _decide(change, standing, "approved", operator, made=made)
            change.enter(_step(standing, "proposal_approved", operator))
        return made

    async def decline(self, proposal_id: str, *, operator: str, still: Still = _whoever) -> None:
        """Refuse a proposal for good; its proposer withdraws it instead. `still` and errors as for `approve`."""
        checked_approver(operator)
        found = await self.find(proposal_id)
        if found.proposed_by == operator:
            raise await self._refusal(found, operator)
        act = self._act(found.act)
        async with self._ledger.changing(found.alliance) as change:
            await still(change.tx)
            standing = await _end(change, found, "declined", operator)
            await act.declined(change, _mandate(standing, operator), standing.arguments)

    async def withdraw(self, proposal_id: str, *, operator: str) -> None:
        """Take one's own proposal back; `NotFound` for another's."""
        found = await self.find(proposal_id)
        if found.proposed_by != operator:
            raise NotFound
        async with self._ledger.changing(found.alliance) as change:
            await _end(change, found, "withdrawn", operator)

    async def pending(self, alliance: str) -> Sequence[Proposal]:
        """What waits for a decision, oldest first."""
        rows = await self._database.all(_PENDING, alliance=alliance, now=self._clock())
        return [Proposal.of(row) for row in rows]

    async def find(self, proposal_id: str) -> Proposal:
        """A proposal in any state, or `NotFound`."""
        return await _found(self._database, proposal_id)

    def _act(self, name: str) -> Act:
        if name not in self._acts:
            raise Invalid("unknown_act", "There is no such act.", field="act")
        return self._acts[name]

    async def _refusal(self, found: Proposal, operator: str) -> Refused:
        """The refusal of whoever would decide alone, once it is on record."""
        reasons = (Reason("OWN_PROPOSAL", ""),)
        facts = found.facts("proposal_not_decided", operator)
        draft = Draft(log=found.alliance, kind=Kind.ADMIN, effect=Effect.DENY, reasons=reasons, facts=facts)
        event_id = (await self._ledger.record(draft)).event_id
        return Refused(reasons, event_id=event_id, remedy="Another operator decides, by an account of their own.")


async def _end(change: Change, found: Proposal, state: str, operator: str) -> Proposal:
    """A pending proposal is over without its act; returns it as it stood."""
    standing = await _pending(change, found.id)
    await _decide(change, standing, state, operator)
    change.enter(_step(standing, f"proposal_{state}", operator))
    return standing


def _mandate(standing: Proposal, operator: str) -> Mandate:
    return Mandate(standing.alliance, standing.id, standing.digest, standing.proposed_by, operator)


async def _found(reading: Reading, proposal_id: str) -> Proposal:
    row = await reading.one(_FIND, id=proposal_id)
    if row is None:
        raise NotFound
    return Proposal.of(row)


async def _pending(change: Change, proposal_id: str) -> Proposal:
    """The proposal as it stands under the lock of the alliance's log, which every decision on it holds."""
    found = await _found(change.tx, proposal_id)
    found.require_pending(change.now_ms)
    return found


async def _decide(change: Change, standing: Proposal, state: str, operator: str, *, made: str | None = None) -> None:
    tx: Transaction = change.tx
    decided = await tx.run(_DECIDE, the_id=standing.id, new_state=state, by=operator, at=change.now_ms, of=made)
    if decided != 1:
        raise Conflicting("proposal_decided", "The proposal is decided already.", field="proposal")


def _step(of: Proposal, act: str, operator: str) -> Draft:
    return Draft(log=of.alliance, kind=Kind.ADMIN, facts=of.facts(act, operator))
