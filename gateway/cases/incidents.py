"""Leaks (clause 9.1.2) and investigations (9.1.3).

A reported leak stops the leaking party's access to the leaked owner's data at once, for a stated time. Unless two
operators extend it by a resolution, the hold ends by itself. That the agreement has ended changes nothing: secrecy
outlives it (clause 8.3).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from sqlalchemy import bindparam, select

from gateway.agreements import Agreement, Agreements, HoldSubject
from gateway.agreements.held import access_of
from gateway.agreements.holds import Freeze, freeze
from gateway.canonical import parse
from gateway.cases.keeping import keep
from gateway.cases.opening import Exhibit, NewCase, open_case
from gateway.cases.steps import CaseKind
from gateway.cases.tables import case_file
from gateway.confidentiality.filing import Filing
from gateway.database import Database, Query
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identity.subject import Subject
from gateway.ledger import Change, Ledger
from gateway.members.members import admission

HOUR_MS: Final = 3600 * 1000

_REPORTED = Query(
    select(case_file.c.id).where(
        case_file.c.log_id == bindparam("owner"),
        case_file.c.respondent_id == bindparam("respondent"),
        case_file.c.kind == CaseKind.LEAK.value,
        case_file.c.state == "reported",
    )
)


class Incidents:
    """Opens cases about what somebody did; each is an entry in the log of the owner concerned."""

    def __init__(self, database: Database, ledger: Ledger, agreements: Agreements, *, hold_hours: int) -> None:
        self._database = database
        self._ledger = ledger
        self._agreements = agreements
        self._hold_ms = hold_hours * HOUR_MS

    async def report_leak(
        self,
        subject: Subject,
        agreement_id: str,
        respondent: str,
        *,
        claim: str,
        evidence: Sequence[Exhibit],
        key: str | None = None,
        fingerprint: str = "",
    ) -> str:
        """Report, as the owner, that `respondent` leaked what it received under an agreement, in force or ended.

        `respondent` is the recipient (also by ''), or a third party that the terms name. Returns the case. Needs the
        action `sign`. `Conflicting` while a leak of the same member is reported and not decided: a second report
        would extend the hold, which takes a resolution. An equal request (`fingerprint`) with the same `key` gets the
        case that the first opened.
        """
        subject.require("sign")
        found = await self._agreements.load(agreement_id)
        if found is None or subject.member not in found.parties:
            raise NotFound
        if subject.member != found.owner:
            raise Invalid("not_your_data", "A leak is reported by the owner of what leaked.", field="/agreement")
        actor = {"member": subject.member, "client": subject.client}
        work = self._leaking(found, respondent, claim, evidence, actor)
        filing = Filing(subject, key, fingerprint)
        return str(parse(await filing.once(self._database, self._ledger, work, narrows=[found.owner])))

    async def report_leak_by_operator(
        self, agreement_id: str, respondent: str, *, claim: str, evidence: Sequence[Exhibit], operator: str
    ) -> str:
        """As `report_leak`, by an operator of the alliance."""
        found = await self._agreements.load(agreement_id)
        if found is None:
            raise NotFound
        work = self._leaking(found, respondent, claim, evidence, {"operator": operator})
        async with self._ledger.changing(narrows=[found.owner]) as change:
            return await work(change)

    async def investigate(
        self, alliance: str, member: str, *, claim: str, evidence: Sequence[Exhibit], operator: str
    ) -> str:
        """Open an investigation of fraud or unfair competition against a member; returns the case."""
        found = await admission(self._database, member)
        if found is None or found.alliance != alliance:
            raise NotFound
        async with self._ledger.changing(alliance) as change:
            case_id = await open_case(
                change,
                NewCase(
                    alliance=alliance,
                    log=alliance,
                    kind=CaseKind.INVESTIGATION,
                    respondent=member,
                    claim=claim,
                    actor={"operator": operator},
                    subject_kind="member",
                    subject_id=member,
                    evidence=evidence,
                ),
            )
        assert case_id is not None
        return case_id

    def _leaking(
        self, found: Agreement, respondent: str, claim: str, evidence: Sequence[Exhibit], actor: Mapping[str, str]
    ) -> Callable[[Change], Awaitable[str]]:
        """What opens the case, in a change that narrows the owner's log; here it is refused what cannot be reported."""
        if found.signed_at is None:
            raise Conflicting("agreement_not_signed", "Nothing was shared under this agreement.")
        if not evidence:
            raise Invalid("evidence_missing", "A leak is reported with evidence.", field="/evidence")
        by = respondent or found.recipient
        third = found.terms.third_parties if found.terms else ()
        if by not in (found.recipient, *third):
            raise Invalid("respondent_no_recipient", "This member receives nothing by it.", field="/respondent")

        async def work(change: Change) -> str:
            if (row := await change.tx.one(_REPORTED, owner=found.owner, respondent=by)) is not None:
                raise Conflicting(
                    "leak_reported",
                    f"A leak of this member is under way already: {row['id']}.",
                    remedy="Add your evidence to that case.",
                )
            until = change.now_ms + self._hold_ms
            case_id = await open_case(
                change,
                NewCase(
                    alliance=found.alliance,
                    log=found.owner,
                    kind=CaseKind.LEAK,
                    claimant=found.owner,
                    respondent=by,
                    claim=claim,
                    actor=actor,
                    agreement=found.id,
                    subject_kind=HoldSubject.RECIPIENT_OF_OWNER.value,
                    subject_id=access_of(by, found.owner),
                    evidence=evidence,
                    facts={"severity": "high", "hold_until": until},
                ),
            )
            assert case_id is not None
            wanted = Freeze(
                alliance=found.alliance,
                owner=found.owner,
                kind=HoldSubject.RECIPIENT_OF_OWNER,
                subject=access_of(by, found.owner),
                case=case_id,
                until=until,
            )
            await freeze(change, wanted, actor)
            await keep(change, case_id, {term.dataset for term in found.terms.datasets} if found.terms else set())
            return case_id

        return work
