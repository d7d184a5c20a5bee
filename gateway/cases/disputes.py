"""Disputes (clause 7.2): a party disputes exactly one subject, which is frozen at once; everything else goes on.

First the parties negotiate, for as many business days as they agreed. Then either of them takes the dispute to the
forum they agreed on, with a manifest of the evidence whose digest stands in the owner's log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import bindparam, func, select, update

from gateway.agreements import Agreement, Agreements, HoldSubject, TamperedAgreement, Terms
from gateway.agreements.holds import Freeze, freeze
from gateway.business_days import end_of_business_day
from gateway.canonical import canonical, parse
from gateway.cases.case import Case
from gateway.cases.cases import evidence_of, existing
from gateway.cases.disputable import Disputable
from gateway.cases.keeping import keep
from gateway.cases.opening import MOST_EVIDENCE, Exhibit, NewCase, add_evidence, entered, open_case
from gateway.cases.steps import CaseKind, after
from gateway.cases.tables import case_file
from gateway.clock import MILLISECONDS, seconds
from gateway.confidentiality.filing import Filing
from gateway.database import Database, Query
from gateway.errors import Conflicting, NotFound
from gateway.identity.subject import Subject
from gateway.ledger import Change, Ledger

MANIFEST: Final = "manifest.json"
FORMAT: Final = "alliance-gateway/case/1"
_MOST_OPEN: Final = 64

_OPEN = Query(
    select(func.count().label("count")).where(
        case_file.c.claimant_id == bindparam("member"), case_file.c.kind == "dispute", case_file.c.state != "resolved"
    )
)
_ESCALATE = Query(
    update(case_file)
    .where(case_file.c.id == bindparam("the_id"))
    .values(state=bindparam("new_state"), forum=bindparam("the_forum"))
)


class Disputes:
    """What a party does about a dispute; each act is an entry in the log of the owner of the agreement's data."""

    def __init__(self, database: Database, ledger: Ledger, agreements: Agreements, disputable: Disputable) -> None:
        self._database = database
        self._ledger = ledger
        self._agreements = agreements
        self._disputable = disputable

    async def open(
        self,
        subject: Subject,
        agreement_id: str,
        about: HoldSubject,
        of: str,
        *,
        claim: str,
        evidence: Sequence[Exhibit] = (),
        key: str | None = None,
        fingerprint: str = "",
    ) -> str:
        """Dispute one subject under an agreement, and freeze exactly that; returns the case. Needs the action `sign`.

        `of` is the id of the dataset (for `term`, the dataset under this agreement alone), the agreement, referral,
        ledger line or memo. An equal request (`fingerprint`) with the same `key` gets the case that the first opened.
        `NotFound` for who is no party; `Conflicting` beyond 64 open disputes of one member.
        """
        subject.require("sign")
        found = await self._party_to(subject, agreement_id)
        frozen = await self._disputable.subject(found, subject.member, about, of)
        actor = _actor(subject)
        filing = Filing(subject, key, fingerprint)

        async def work(change: Change) -> str:
            row = await change.tx.one(_OPEN, member=subject.member)
            if row is not None and row["count"] >= _MOST_OPEN:
                raise Conflicting("too_many_disputes", f"{_MOST_OPEN} disputes of yours are open.")
            case_id = await open_case(
                change,
                NewCase(
                    alliance=found.alliance,
                    log=found.owner,
                    kind=CaseKind.DISPUTE,
                    claimant=subject.member,
                    respondent=_other(found, subject.member),
                    claim=claim,
                    actor=actor,
                    agreement=found.id,
                    subject_kind=about.value,
                    subject_id=frozen,
                    clock_until=_negotiation_ends(found, seconds(change.now_ms)),
                    evidence=evidence,
                ),
            )
            assert case_id is not None
            wanted = Freeze(alliance=found.alliance, owner=found.owner, kind=about, subject=frozen, case=case_id)
            await freeze(change, wanted, actor)
            named = {of} if about in (HoldSubject.TERM, HoldSubject.DATASET) else set()
            await keep(change, case_id, named or _datasets(found))
            return case_id

        answer = await filing.once(self._database, self._ledger, work, narrows=[found.owner])
        return str(parse(answer))

    async def escalate(self, subject: Subject, case_id: str) -> None:
        """Take a dispute to the agreed forum. Needs the action `sign`.

        `NotFound` for who is no party to it; `Conflicting` while negotiation runs, where no forum was agreed, and for
        what is no dispute under negotiation.
        """
        subject.require("sign")
        seen = await self._of_party(subject, case_id)
        terms = (await self._signed(seen.agreement or "")).terms
        assert terms is not None
        if terms.dispute is None:
            raise Conflicting(
                "no_forum_agreed",
                "The agreement names no forum (clause 2.3.1).",
                remedy="Agree on one, or let the committee resolve the dispute.",
            )
        forum = {"forum": terms.dispute.forum, "body": terms.dispute.body}
        async with self._ledger.changing(seen.log) as change:
            case = await existing(change.tx, case_id)
            state = after(case.kind, case.state, "escalate")
            if case.clock_until is not None and change.now_ms < case.clock_until:
                raise Conflicting("negotiation_runs", "The agreed time to negotiate is not over.", field="clock_until")
            kept = [(one.name, one.sha256) for one in await evidence_of(change.tx, case_id)]
            text = manifest(case, terms, kept)
            exhibit = Exhibit.text(MANIFEST, text)
            await add_evidence(change, case_id, [exhibit], _actor(subject), most=MOST_EVIDENCE + 1)
            await change.tx.run(_ESCALATE, the_id=case_id, new_state=state, the_forum=canonical(forum).decode())
            facts = {**forum, "manifest_sha256": exhibit.sha256}
            change.enter(entered(case, "case_escalated", _actor(subject), **facts))

    async def add(self, subject: Subject, case_id: str, evidence: Sequence[Exhibit]) -> None:
        """Add evidence to a case of any kind that one is a party to. Needs the action `sign`."""
        subject.require("sign")
        seen = await self._of_party(subject, case_id)
        async with self._ledger.changing(seen.log) as change:
            await add_evidence(change, case_id, evidence, _actor(subject))
            digests = [one.sha256 for one in evidence]
            change.enter(entered(seen, "case_evidence_added", _actor(subject), evidence=digests))

    async def _of_party(self, subject: Subject, case_id: str) -> Case:
        seen = await existing(self._database, case_id)
        if subject.member not in seen.parties:
            raise NotFound
        return seen

    async def _party_to(self, subject: Subject, agreement_id: str) -> Agreement:
        found = await self._signed(agreement_id)
        if subject.member not in (found.owner, found.recipient):
            raise NotFound
        if found.signed_at is None:
            raise Conflicting("agreement_not_signed", "Nothing was agreed yet that could be disputed.")
        return found

    async def _signed(self, agreement_id: str) -> Agreement:
        found = await self._agreements.load(agreement_id)
        if found is None:
            raise NotFound
        if found.terms is None:
            raise TamperedAgreement("agreement_tampered")
        return found


def manifest(case: Case, terms: Terms, kept: Sequence[tuple[str, str]]) -> str:
    """The canonical JSON that names, by SHA-256, everything a forum is given beside the extract of the log."""
    about: dict[str, Any] = {
        "format": FORMAT,
        "case": case.id,
        "kind": case.kind.value,
        "agreement": terms.agreement,
        "terms_sha256": terms.sha256,
        "subject": {"kind": case.subject_kind, "id": case.subject_id},
        "claim_sha256": hashlib.sha256(case.claim.encode()).hexdigest(),
        "claimant": case.claimant,
        "respondent": case.respondent,
        "opened_at": case.opened_at,
        "log": case.log,
        "evidence": [{"name": name, "sha256": digest} for name, digest in kept],
    }
    return canonical(about).decode()


def _negotiation_ends(found: Agreement, now_s: int) -> int | None:
    """Milliseconds; None where no time to negotiate was agreed."""
    if found.terms is None or found.terms.dispute is None:
        return None
    return end_of_business_day(now_s, found.terms.dispute.negotiation_days) * MILLISECONDS


def _datasets(found: Agreement) -> set[str]:
    return {term.dataset for term in found.terms.datasets} if found.terms else set()


def _other(found: Agreement, member: str) -> str:
    return found.recipient if member == found.owner else found.owner


def _actor(subject: Subject) -> dict[str, str]:
    return {"member": subject.member, "client": subject.client}
