"""Offering what was registered, or setting it aside: the one place that looks whether a person is known already.

It runs behind every answer, so that no answer, and no time that one takes, tells a referrer what is found. What it
finds is entered with the recipient, or with the alliance's operators; in a referrer's log only what its policy tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.clock import Clock
from gateway.database import Database, Reading
from gateway.ledger import Change, Ledger
from gateway.referrals.cohorts import shared_values
from gateway.referrals.conflicts import contest_all
from gateway.referrals.entries import GATEWAY, about, enter_both, entry
from gateway.referrals.keys import EXACT, is_known_to_recipient, of_the_same_person, terms_kept
from gateway.referrals.matching import Claim, Outcome, decide
from gateway.referrals.policy import Tells
from gateway.referrals.referral import Referral, existing
from gateway.referrals.states import CLAIMING, Event, State, follow
from gateway.referrals.writing import move

KNOWN_CUSTOMER: Final = "known_customer"
ALREADY_REFERRED: Final = "already_referred"


class Offering:
    """Matches and offers registered referrals, each once, in the order of their registration."""

    def __init__(self, database: Database, ledger: Ledger, clock: Clock) -> None:
        self._database = database
        self._ledger = ledger
        self._clock = clock

    async def match(self, referral_id: str) -> bool:
        """Offer a registered referral, set it aside, or open the dispute about it.

        False where that was done, and while a case holds what it was made under: it is looked at again.
        """
        seen = await existing(self._database, referral_id, self._clock())
        rivals = await _earlier(self._database, seen, self._clock())
        owners = {seen.owner, *(one.owner for one in rivals)}
        logs = {seen.row["alliance_id"], seen.recipient, *owners}
        contested = decide(_claim(seen), [_claim(one) for one in rivals]).outcome is Outcome.CONTESTED
        async with self._ledger.changing(*logs, narrows=owners if contested else ()) as change:
            found = await existing(change.tx, referral_id, change.now_ms)
            if found.state is not State.READY or found.frozen_for:
                return False
            earlier = await _earlier(change.tx, found, change.now_ms)
            if not owners >= {one.owner for one in earlier}:
                return False  # another came first meanwhile: the next run knows its log
            return await self._settle(change, found, earlier, may_contest=contested)

    async def resume(self, seen: Referral) -> None:
        """No case holds it any more: its clock begins anew. What was contested is shown as an offer is."""
        async with self._ledger.changing(seen.owner, seen.recipient) as change:
            found = await existing(change.tx, seen.id, change.now_ms)
            if found.is_freed:
                is_contested = found.stored is State.CONFLICT_HOLD
                shown = await shared_values(change.tx, found) if is_contested else found.row["shown"]
                resumed = await move(change, found, found.stored, due_at=found.due_at, shown=shown)
                enter_both(change, "referral_resumed", GATEWAY, resumed)

    async def _settle(self, change: Change, found: Referral, earlier: Sequence[Referral], *, may_contest: bool) -> bool:
        terms = await terms_kept(change.tx, found.id)
        if await is_known_to_recipient(change.tx, found, terms):
            await _set_aside(change, found, KNOWN_CUSTOMER)
            return True
        verdict = decide(_claim(found), [_claim(one) for one in earlier])
        match verdict.outcome:
            case Outcome.SET_ASIDE:
                await _set_aside(change, found, ALREADY_REFERRED)
            case Outcome.CONTESTED if may_contest:
                await contest_all(change, found, earlier)
            case Outcome.CONTESTED:
                return False  # its owners' logs are to be narrowed too: at the next run
            case Outcome.OFFERED:
                for one in earlier if verdict.displaces else ():
                    await _set_aside(change, one, ALREADY_REFERRED)
                await _offer(change, found, verdict.share)
        return True


async def _earlier(reading: Reading, found: Referral, now_ms: int) -> list[Referral]:
    """Claims of the same person that were registered before this one and are protected at this instant."""
    terms = await terms_kept(reading, found.id)
    others = [await existing(reading, one, now_ms) for one in await of_the_same_person(reading, found, terms, EXACT)]
    return [one for one in others if _stands_against(one, found, now_ms)]


def _stands_against(other: Referral, found: Referral, now_ms: int) -> bool:
    if other.state not in CLAIMING or other.is_withdrawn:
        return False
    return bool(other.row["sequence"] < found.row["sequence"] and now_ms < other.row["protected_until"])


async def _offer(change: Change, found: Referral, share: int) -> None:
    shown = await shared_values(change.tx, found)
    offered = await move(
        change,
        found,
        follow(found.state, Event.OFFER),
        offered_at=change.now_ms,
        shown=shown,
        share=share,
        due_at=found.due_kept,
    )
    change.enter(entry(offered.recipient, "referral_offered", GATEWAY, **about(offered)))


async def _set_aside(change: Change, found: Referral, reason: str) -> None:
    """The operators' log has why; the referrer's, and the row, no more than its policy tells."""
    tells = found.policy.tells
    aside = await move(
        change,
        found,
        follow(found.state, Event.SET_ASIDE),
        due_at=found.due_kept if tells is Tells.NOTHING else None,
        reason=reason if tells is Tells.REASON else "",
    )
    change.enter(entry(found.row["alliance_id"], "referral_set_aside", GATEWAY, **about(aside), reason=reason))
    if tells is not Tells.NOTHING:
        told = {"reason": reason} if tells is Tells.REASON else {}
        change.enter(entry(aside.owner, "referral_set_aside", GATEWAY, **about(aside), **told))


def _claim(found: Referral) -> Claim:
    return Claim(found.row["sequence"], found.state, found.policy)
