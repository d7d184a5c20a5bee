"""What each side sees of a referral. Anybody else sees none.

The referrer sees where it stands, never what the recipient wrote down. The recipient sees the masked preview, and after
the disclosure no more of the person here either: the data is read through the seam alone.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.agreements.agreement import rfc3339
from gateway.referrals.preview import PARTS
from gateway.referrals.previews import opened
from gateway.referrals.referral import Referral
from gateway.referrals.states import State
from gateway.vault.keyring import MemberKeys

UNDER_REVIEW: Final = "under_review"
"""What a referrer is told of a referral that was accepted for review, whatever is found about it."""
_REVIEWED: Final = frozenset({State.READY, State.OFFERED})


def told_to(member: str, found: Referral, keys: MemberKeys) -> dict[str, Any]:
    """The referral as this party sees it; `keys` are the referrer's, for the preview."""
    preview = opened(keys, found)
    shown = dict.fromkeys(PARTS) if preview is None else preview.shown(_count(member, found))
    return {**(_for_referrer(found) if member == found.owner else _for_recipient(found)), "preview": shown}


def _count(member: str, found: Referral) -> int:
    """How many words of the preview this party sees; the recipient none while a case holds them."""
    if member == found.owner:
        return len(PARTS)
    return 0 if found.case else int(found.row["shown"])


def told_state(found: Referral) -> str:
    """The state as the referrer is told."""
    state = found.state_for_referrer
    return UNDER_REVIEW if state in _REVIEWED else state.value


def _for_referrer(found: Referral) -> dict[str, Any]:
    state = found.state_for_referrer
    return {
        **_for_both(found, told_state(found)),
        "recipient": found.recipient,
        "reason": found.row["reason"] if state is found.stored else "",
        "share_bp": found.row["share"] if state is State.WON else None,
        "registered_at": rfc3339(found.row["ready_at"]),
        "protected_until": rfc3339(found.row["protected_until"]),
        "attributed_until": rfc3339(found.row["attributed_until"]),
    }


def _for_recipient(found: Referral) -> dict[str, Any]:
    return {
        **_for_both(found, found.state.value),
        "referrer": found.owner,
        "reason": found.row["reason"] if found.stored is not State.DUPLICATE else "",
    }


def _for_both(found: Referral, state: str) -> dict[str, Any]:
    row, value = found.row, found.value
    return {
        "id": found.id,
        "agreement": row["agreement_id"],
        "dataset": row["dataset_id"],
        "purpose": row["purpose"],
        "state": state,
        "due_at": rfc3339(found.due_at) if state != State.EXPIRED.value else None,
        "case": found.case,
        "finance": found.finance.value,
        "value": None if value is None else {"minor": value.minor, "currency": value.currency},
        "clawed_back_minor": row["clawed_minor"],
        "drafted_at": rfc3339(row["drafted_at"]),
    }
