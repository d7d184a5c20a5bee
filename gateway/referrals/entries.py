"""What the logs are told of referrals: ids, states and reasons; no value, no note, no person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.identity.subject import Subject
from gateway.ledger import Change, Draft, Kind
from gateway.referrals.referral import Referral

GATEWAY: Final[Mapping[str, str]] = {"process": "referrals"}
"""The actor of what nobody did: a clock that ran out, a consent that ended, a match that was found."""


def entry(log: str, act: str, by: Subject | Mapping[str, str], **facts: Any) -> Draft:
    """What a member, or the gateway, did, for a log."""
    actor = {"member": by.member, "client": by.client} if isinstance(by, Subject) else dict(by)
    return Draft(log=log, kind=Kind.REFERRAL, facts={"act": act, "actor": actor, **facts})


def enter_both(change: Change, act: str, by: Subject | Mapping[str, str], found: Referral, **facts: Any) -> None:
    """One act, in the logs of both sides; in the recipient's only once the referral was offered to it."""
    logs = [found.owner] if found.row["offered_at"] is None else [found.owner, found.recipient]
    for log in logs:
        change.enter(entry(log, act, by, **about(found), **facts))


def about(found: Referral) -> dict[str, str]:
    """The referral as entries name it."""
    return {"referral": found.id, "agreement": found.row["agreement_id"], "dataset": found.row["dataset_id"]}
