"""The referral policy of an agreement: proposed by one party, in force once the other one has said the same."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import BigInteger, bindparam, func, insert, null, select, update

from gateway.agreements import Agreement, Agreements
from gateway.agreements.agreement import rfc3339
from gateway.canonical import parse
from gateway.confidentiality.filing import Filing
from gateway.database import Database, Query, Reading
from gateway.errors import Conflicting
from gateway.identity.subject import Subject
from gateway.ledger import Change, Ledger
from gateway.referrals.entries import entry
from gateway.referrals.policy import ReferralPolicy
from gateway.referrals.tables import referral_policy

_IN_FORCE = Query(
    select(referral_policy.c.document)
    .where(referral_policy.c.agreement_id == bindparam("agreement"), referral_policy.c.number.is_not(None))
    .order_by(referral_policy.c.number.desc())
    .limit(1)
)
_PROPOSED = Query(
    select(referral_policy)
    .where(referral_policy.c.agreement_id == bindparam("agreement"), referral_policy.c.number.is_(None))
    .order_by(referral_policy.c.proposed_at, referral_policy.c.sha256)
)
_EXISTING = Query(
    select(referral_policy).where(
        referral_policy.c.agreement_id == bindparam("agreement"), referral_policy.c.sha256 == bindparam("sha256")
    )
)
_LAST = Query(
    select(func.coalesce(func.max(referral_policy.c.number), 0).label("number")).where(
        referral_policy.c.agreement_id == bindparam("agreement")
    )
)
_ADD = Query(insert(referral_policy))
_IN_FORCE_FROM = Query(
    update(referral_policy)
    .where(referral_policy.c.agreement_id == bindparam("of_agreement"), referral_policy.c.sha256 == bindparam("of"))
    .values(in_force_at=bindparam("at", type_=BigInteger), number=bindparam("next", type_=BigInteger))
)
_PROPOSED_BY = Query(
    update(referral_policy)
    .where(referral_policy.c.agreement_id == bindparam("of_agreement"), referral_policy.c.sha256 == bindparam("of"))
    .values(
        proposed_by=bindparam("who"), proposed_at=bindparam("at", type_=BigInteger), in_force_at=null(), number=null()
    )
)


class Policies:
    """Looks policies up, and takes both parties' word for one."""

    def __init__(self, database: Database, ledger: Ledger, agreements: Agreements) -> None:
        self._database = database
        self._ledger = ledger
        self._agreements = agreements

    async def show(self, subject: Subject, agreement_id: str) -> dict[str, Any]:
        """What is in force, and what is proposed; for the agreement's parties alone."""
        found = await self._agreements.visible(subject.member, agreement_id)
        return await _shown(self._database, found)

    async def state(self, filing: Filing, agreement_id: str, given: Any) -> bytes:
        """Propose a policy, or accept the very same one that the other party proposed. Needs the action `sign`.

        It is in force from the second word on, for what is registered from then on; what was registered before keeps
        the policy of that time.
        """
        subject = filing.subject
        subject.require("sign")
        policy = ReferralPolicy.read(given)
        found = await self._agreements.visible(subject.member, agreement_id)
        if found.has_ended:
            raise Conflicting("agreement_terminated", "This agreement has ended.")
        text = policy.text()
        sha256 = hashlib.sha256(text.encode()).hexdigest()

        async def work(change: Change) -> Any:
            row = await change.tx.one(_EXISTING, agreement=found.id, sha256=sha256)
            named = {"of_agreement": found.id, "of": sha256}
            act = "referral_policy_proposed"
            if row is None:
                await change.tx.run(
                    _ADD,
                    agreement_id=found.id,
                    sha256=sha256,
                    document=text,
                    proposed_by=subject.member,
                    proposed_at=change.now_ms,
                    number=None,
                    in_force_at=None,
                )
            elif row["number"] is None and row["proposed_by"] != subject.member:
                last = await change.tx.one(_LAST, agreement=found.id)
                assert last is not None
                await change.tx.run(_IN_FORCE_FROM, **named, at=change.now_ms, next=last["number"] + 1)
                act = "referral_policy_agreed"
            elif row["number"] is not None and text != (await in_force(change.tx, found.id)).text():
                await change.tx.run(_PROPOSED_BY, **named, who=subject.member, at=change.now_ms)
            else:
                return await _shown(change.tx, found)
            for log in found.parties:
                change.enter(entry(log, act, subject, agreement=found.id, policy_sha256=sha256))
            return await _shown(change.tx, found)

        return await filing.once(self._database, self._ledger, work, *found.parties)


async def in_force(reading: Reading, agreement_id: str) -> ReferralPolicy:
    """The policy of an agreement; the default where its parties have agreed on none."""
    row = await reading.one(_IN_FORCE, agreement=agreement_id)
    return ReferralPolicy() if row is None else ReferralPolicy.read(parse(row["document"].encode()))


async def _shown(reading: Reading, found: Agreement) -> dict[str, Any]:
    proposed = [
        {
            "policy": parse(row["document"].encode()),
            "sha256": row["sha256"],
            "proposed_by": row["proposed_by"],
            "proposed_at": rfc3339(row["proposed_at"]),
        }
        for row in await reading.all(_PROPOSED, agreement=found.id)
    ]
    return {"agreement": found.id, "policy": (await in_force(reading, found.id)).describe(), "proposed": proposed}
