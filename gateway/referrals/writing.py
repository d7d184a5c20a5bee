"""The only statements that change a referral, each in a change that locks the logs of the members concerned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, LargeBinary, bindparam, delete, insert, update
from sqlalchemy import Text as SQLText

from gateway.database import Query
from gateway.errors import Conflicting
from gateway.ledger import Change
from gateway.referrals.deadlines import due_after
from gateway.referrals.policy import ReferralPolicy
from gateway.referrals.referral import Referral, existing
from gateway.referrals.states import CLOSED, OPEN, State
from gateway.referrals.tables import referral, referral_telling, referral_term

_TEXTS: Final = ("state", "reason", "finance", "value_currency", "policy", "conflict_id", "preview")
_BYTES: Final = ("city_term", "need_term", "budget_term")
_NUMBERS: Final = (
    "shown",
    "value_minor",
    "clawed_minor",
    "sequence",
    "share",
    "submitted_at",
    "ready_at",
    "offered_at",
    "due_at",
    "protected_until",
    "attributed_until",
    "changed_at",
)
_WRITE = Query(
    update(referral)
    .where(referral.c.id == bindparam("the_id"), referral.c.state == bindparam("old_state"))
    .values(
        **{name: bindparam(f"new_{name}", type_=SQLText) for name in _TEXTS},
        **{name: bindparam(f"new_{name}", type_=BigInteger) for name in _NUMBERS},
        **{name: bindparam(f"new_{name}", type_=LargeBinary) for name in _BYTES},
    )
)
_FORGET_TERMS = Query(delete(referral_term).where(referral_term.c.referral_id == bindparam("the_id")))
_ONE_CONFLICT = Query(
    update(referral).where(referral.c.conflict_id == bindparam("other")).values(conflict_id=bindparam("the_one"))
)
_TELL = Query(insert(referral_telling))
_MATCHED_BY: Final = OPEN | {State.DRAFT, State.CONSENT_PENDING, State.WON}
"""States in which it may be matched with others; in every other one its terms are gone."""


async def move(
    change: Change, found: Referral, state: State, *, policy: ReferralPolicy | None = None, **new: Any
) -> Referral:
    """Write the state and what else is new, with the deadline that goes with it; the referral as it stands then.

    `policy` is the one that it is registered under.

    `Conflicting` where somebody else moved it meanwhile. Whoever is told later, a customer after the disclosure and at
    the end, is queued here. What can no longer be matched loses its terms, and what was withdrawn its preview.
    """
    row = {name: found.row[name] for name in (*_TEXTS, *_NUMBERS, *_BYTES)}
    row |= {"state": state.value, "changed_at": change.now_ms}
    row |= {"due_at": due_after(state, policy or found.policy, found.due_kept, change.now_ms)} | new
    if policy is not None:
        row["policy"] = policy.text()
    if state is State.WITHDRAWN:
        row["preview"] = ""
    written = await change.tx.run(
        _WRITE, the_id=found.id, old_state=found.stored.value, **{f"new_{name}": value for name, value in row.items()}
    )
    if written != 1:
        raise Conflicting("referral_moved", "It was moved meanwhile.", remedy="Look at it as it is.")
    if state not in _MATCHED_BY:
        await change.tx.run(_FORGET_TERMS, the_id=found.id)
    what = _told_at(found.stored, state)
    if what:
        await change.tx.run(_TELL, referral_id=found.id, what=what, **_untold(change.now_ms))
    return await existing(change.tx, found.id, change.now_ms)


async def make_one_conflict(change: Change, conflict: str, others: Sequence[str]) -> None:
    """Make other conflicts with a recipient part of this one, in a change that locks the recipient's log."""
    for other in others:
        await change.tx.run(_ONE_CONFLICT, the_one=conflict, other=other)


def _untold(now_ms: int) -> dict[str, int | None]:
    return {"queued_at": now_ms, "attempts": 0, "next_at": now_ms, "told_at": None}


def _told_at(before: State, after: State) -> str:
    if after is State.DISCLOSED and before is not State.DISCLOSED:
        return "disclosed"
    return "closed" if after in CLOSED and before not in CLOSED else ""
