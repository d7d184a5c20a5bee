"""Negotiating a draft (clause 2.3.2): either party proposes another text, and each text is kept with its redline.

A signature binds one exact text. So a text that one party has signed can no longer be changed: who wants to change
it withdraws the draft and drafts anew. Nobody's signature is ever dropped, or carried over to another text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, update

from gateway.agreements.agreement import Agreement
from gateway.agreements.agreements import Agreements
from gateway.agreements.amendment import check_amends
from gateway.agreements.archive import manifest
from gateway.agreements.drafting import Drafting
from gateway.agreements.proof import current_agreement
from gateway.agreements.tables import agreement
from gateway.agreements.terms import Terms, complete_proposal
from gateway.agreements.texts import Revision, keep_text, next_number, revisions_of
from gateway.database import Database, Query
from gateway.errors import Conflicting, Invalid, Reason, Refused
from gateway.identity.subject import Subject
from gateway.ledger import Draft, Kind, Ledger
from gateway.members.members import stays_admitted

_REPLACE_TEXT = Query(
    update(agreement)
    .where(agreement.c.id == bindparam("the_id"), agreement.c.state == "draft")
    .values(version=agreement.c.version + 1, terms=bindparam("text"), terms_sha256=bindparam("sha256"))
)


class Negotiation:
    """Changes a draft's text. What is refused changes nothing and leaves no entry."""

    def __init__(self, database: Database, ledger: Ledger, agreements: Agreements, drafting: Drafting) -> None:
        self._database = database
        self._ledger = ledger
        self._agreements = agreements
        self._drafting = drafting

    async def revise(self, subject: Subject, agreement_id: str, proposal: bytes, *, replaces: str) -> Agreement:
        """Put another text in place of the draft's, as one entry with both digests.

        `proposal` is what `AgreementLife.draft` takes; `replaces` is the digest of the text that it changes, so that
        nobody overwrites what he has not read.
        """
        subject.require("draft")
        seen = await self._agreements.visible(subject.member, agreement_id)
        terms = complete_proposal(proposal, alliance=seen.alliance, agreement=seen.id)
        if terms.parties != seen.parties:
            raise Invalid("revision_changes_parties", "A draft keeps its owner and its recipient.", field="/owner")
        await self._drafting.check(self._database, subject, terms)
        await check_amends(self._database, terms)
        async with self._ledger.changing(seen.owner) as change:
            current = await current_agreement(change.tx, agreement_id)
            _refuse_change(current, terms, replaces)
            for party in current.parties:
                if not await stays_admitted(change.tx, alliance_id=current.alliance, member_id=party):
                    raise Refused((Reason("MEMBER_SUSPENDED", "9.2.3"),))
            number = await next_number(change.tx, agreement_id)
            await change.tx.run(_REPLACE_TEXT, the_id=agreement_id, text=terms.text, sha256=terms.sha256)
            await keep_text(change, terms, author=subject.member, number=number)
            revised = await current_agreement(change.tx, agreement_id)
            facts = {
                "act": "agreement_revised",
                "actor": {"member": subject.member, "client": subject.client},
                "agreement": agreement_id,
                "version": revised.version,
                "state": revised.state,
                "terms_sha256": revised.sha256,
                "replaces_sha256": current.sha256,
                "text": number,
            }
            change.enter(Draft(log=current.owner, kind=Kind.AGREEMENT, facts=facts))
        return revised

    async def history(self, subject: Subject, agreement_id: str) -> Sequence[Revision]:
        """Every text that was proposed, for the parties; `NotFound` for anyone else."""
        await self._agreements.visible(subject.member, agreement_id)
        return await revisions_of(self._database, agreement_id)

    async def archive(self, subject: Subject, agreement_id: str) -> dict[str, Any]:
        """What is archived of it, by digests, for the parties; `NotFound` for anyone else."""
        return await manifest(self._database, await self._agreements.visible(subject.member, agreement_id))


def _refuse_change(current: Agreement, terms: Terms, replaces: str) -> None:
    if current.state != "draft":
        raise Conflicting("agreement_not_draft", "This is no draft any more.", remedy="Draft an amendment of it.")
    if current.signatures:
        raise Conflicting(
            "signed_text_is_fixed",
            "One party has signed this text; a signature binds one text.",
            remedy="Sign it, or withdraw it and draft anew.",
        )
    if current.sha256 != replaces:
        raise Conflicting(
            "revision_stale",
            "The draft has another text by now.",
            field="replaces",
            remedy="Read it again, and name the terms_sha256 that you change.",
        )
    if current.sha256 == terms.sha256:
        raise Conflicting("revision_unchanged", "This is the text that the draft has.", remedy="Change it, or sign it.")
