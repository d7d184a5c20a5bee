"""After the end of an agreement whoever received anything returns or destroys it, and certifies that (clause 8.3).

What goes on to be shared under an amendment is owed at that one's end, with what was received under it.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from sqlalchemy import bindparam, insert, select, update

from gateway.agreements import Agreement, Agreements
from gateway.agreements.held import OPEN_END_MS
from gateway.cases.case import told
from gateway.cases.opening import NewCase, open_case
from gateway.cases.steps import CaseKind
from gateway.database import Database, Query, Row
from gateway.duties.certificates import certificate_text, verified
from gateway.duties.received import owing
from gateway.duties.tables import return_duty
from gateway.errors import Conflicting, NotFound, Reason, Refused
from gateway.identity.subject import Subject
from gateway.ledger import Change, Draft, Kind, Ledger

DAY_MS: Final = 24 * 3600 * 1000
CERTIFYING: Final = ("sign", "withdraw")
"""Either of these lets a token hand in a certificate: a suspended member has the second one, and owes it too."""

_ADD = Query(insert(return_duty))
_ONE = Query(
    select(return_duty).where(
        return_duty.c.agreement_id == bindparam("agreement"), return_duty.c.member_id == bindparam("member")
    )
)
_OF_AGREEMENT = Query(
    select(return_duty)
    .where(return_duty.c.agreement_id == bindparam("agreement"))
    .order_by(return_duty.c.due_at, return_duty.c.member_id)
)
_CERTIFY = Query(
    update(return_duty)
    .where(
        return_duty.c.agreement_id == bindparam("the_agreement"),
        return_duty.c.member_id == bindparam("the_member"),
        return_duty.c.state == "open",
    )
    .values(
        state="certified",
        outcome=bindparam("what"),
        certificate=bindparam("jws"),
        fingerprint=bindparam("by_key"),
        certified_at=bindparam("at"),
    )
)
_OVERDUE = Query(
    update(return_duty)
    .where(
        return_duty.c.agreement_id == bindparam("the_agreement"),
        return_duty.c.member_id == bindparam("the_member"),
        return_duty.c.state == "open",
    )
    .values(case_id=bindparam("the_case"))
)


class Returns:
    """What each recipient of an ended agreement still owes. Each step is an entry in the owner's log."""

    def __init__(self, database: Database, ledger: Ledger, agreements: Agreements, *, days: int) -> None:
        self._database = database
        self._ledger = ledger
        self._agreements = agreements
        self._days = days

    async def settle(self, found: Agreement, ended_at: int) -> tuple[int, int]:
        """Make the duties of an agreement that has ended, and open a candidate for each that is overdue, once.

        Returns how many were opened, and when (ms) to look again.
        """
        rows = await self._database.all(_OF_AGREEMENT, agreement=found.id)
        receivers = set() if rows else await owing(self._database, self._agreements, found)
        opened, next_at = 0, OPEN_END_MS
        async with self._ledger.changing(found.owner) as change:
            if not await change.tx.all(_OF_AGREEMENT, agreement=found.id):
                await self._make(change, found, receivers, ended_at)
            for row in await change.tx.all(_OF_AGREEMENT, agreement=found.id):
                if row["state"] != "open" or row["case_id"] is not None:
                    continue
                if change.now_ms > row["due_at"]:
                    opened += await _open_candidate(change, found, row)
                else:
                    next_at = min(next_at, row["due_at"] + 1)
        return opened, next_at

    async def _make(self, change: Change, found: Agreement, receivers: set[str], ended_at: int) -> None:
        due_at = ended_at + self._days * DAY_MS
        for member in sorted(receivers | {found.recipient}):
            owes = member in receivers
            await change.tx.run(
                _ADD,
                agreement_id=found.id,
                member_id=member,
                ended_at=ended_at,
                due_at=due_at,
                state="open" if owes else "nothing",
                outcome="",
                certificate="",
                fingerprint="",
                certified_at=None,
                case_id=None,
            )
            if owes:
                facts = {"act": "return_due", "agreement": found.id, "member": member, "due_at": due_at}
                change.enter(Draft(log=found.owner, kind=Kind.AGREEMENT, facts=facts))

    async def text(self, subject: Subject, agreement_id: str, outcome: str) -> bytes:
        """The exact bytes of the certificate to sign; `NotFound` for who owes nothing under this agreement."""
        found, _ = await self._owed(subject, agreement_id)
        return certificate_text(found, subject.member, outcome)

    async def certify(self, subject: Subject, agreement_id: str, jws: str) -> dict[str, Any]:
        """Take a certificate; overdue ones too, whose candidate stays. The same one again changes nothing.

        Needs the action `sign` or `withdraw`. `NotFound` for who owes nothing under this agreement; `Conflicting` for
        another certificate where one stands.
        """
        if not subject.actions & set(CERTIFYING):
            raise Refused((Reason("ACTION_NOT_GRANTED", ""),))
        found, row = await self._owed(subject, agreement_id)
        if row["certificate"] != jws:
            async with self._ledger.changing(found.owner) as change:
                outcome, fingerprint = await verified(change.tx, found, subject.member, jws)
                certified = await change.tx.run(
                    _CERTIFY,
                    the_agreement=found.id,
                    the_member=subject.member,
                    what=outcome,
                    jws=jws,
                    by_key=fingerprint,
                    at=change.now_ms,
                )
                if not certified:
                    raise Conflicting("already_certified", "Another certificate stands already.", field="jws")
                facts = {
                    "act": "return_certified",
                    "actor": {"member": subject.member, "client": subject.client},
                    "agreement": found.id,
                    "outcome": outcome,
                    "fingerprint": fingerprint,
                    "certificate_sha256": hashlib.sha256(jws.encode()).hexdigest(),
                }
                change.enter(Draft(log=found.owner, kind=Kind.AGREEMENT, facts=facts))
        _, row = await self._owed(subject, agreement_id)
        return describe_return(row)

    async def _owed(self, subject: Subject, agreement_id: str) -> tuple[Agreement, Row]:
        row = await self._database.one(_ONE, agreement=agreement_id, member=subject.member)
        found = await self._agreements.load(agreement_id)
        if row is None or row["state"] == "nothing" or found is None or found.terms is None:
            raise NotFound
        return found, row


def describe_return(row: Row) -> dict[str, Any]:
    """A duty to return or destroy, as both sides see it."""
    return {
        "kind": "return",
        "agreement": row["agreement_id"],
        "member": row["member_id"],
        "ended_at": told(row["ended_at"]),
        "due_at": told(row["due_at"]),
        "state": row["state"],
        "outcome": row["outcome"],
        "certified_at": told(row["certified_at"]),
        "case": row["case_id"],
    }


async def _open_candidate(change: Change, found: Agreement, row: Row) -> bool:
    member = row["member_id"]
    new = NewCase(
        alliance=found.alliance,
        log=found.owner,
        kind=CaseKind.BREACH,
        claimant=found.owner,
        respondent=member,
        claim=f"No certificate of return or destruction came by {told(row['due_at'])}.",
        actor={"duty": "return"},
        agreement=found.id,
        subject_kind="agreement",
        subject_id=found.id,
        origin=f"return:{found.id}:{member}",
        facts={"due_at": row["due_at"]},
    )
    case_id = await open_case(change, new)
    if case_id is not None:
        await change.tx.run(_OVERDUE, the_agreement=found.id, the_member=member, the_case=case_id)
    return case_id is not None
