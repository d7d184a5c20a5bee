"""Signed PDFs in the archive: evidence beside the member's JWS, which is what brings an agreement into force.

A member attaches its PDF after it has signed by JWS: from then on the text is fixed. The signature must be by a key
that is registered as the member's signing key and confirmed by the other party; or, where the operator has configured
trust roots, by a certificate that leads to one of them and names the member's USCC as its organisation's identifier.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import bindparam, insert, select

from gateway.agreements.agreement import Agreement
from gateway.agreements.agreements import Agreements
from gateway.agreements.pdf import require_extra
from gateway.agreements.proof import TamperedAgreement, current_agreement, other_party
from gateway.agreements.tables import agreement_pdf
from gateway.agreements.terms import Terms
from gateway.database import Database, Query, Reading
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identity.client_keys import is_client_key
from gateway.identity.subject import Subject
from gateway.ledger import Change, Draft, Kind, Ledger
from gateway.members.keys import is_confirmed, signing_key
from gateway.members.tables import member

MOST_BYTES = 2 * 1024 * 1024
REGISTERED_KEY, TRUST_ROOT = "registered_key", "trust_root"
_ADD = Query(insert(agreement_pdf))
_OF_MEMBER = Query(
    select(agreement_pdf).where(
        agreement_pdf.c.agreement_id == bindparam("agreement"), agreement_pdf.c.member_id == bindparam("member")
    )
)
_USCC = Query(select(member.c.uscc).where(member.c.id == bindparam("id")))


class PdfEvidence:
    """Renders agreements as PDF, and keeps the ones that members signed."""

    def __init__(self, database: Database, ledger: Ledger, agreements: Agreements, roots: Path | None) -> None:
        self._database = database
        self._ledger = ledger
        self._agreements = agreements
        self._roots = roots

    async def rendered(self, subject: Subject, agreement_id: str) -> bytes:
        """The agreement's PDF, to be signed as it is; for its parties."""
        found = await self._agreements.visible(subject.member, agreement_id)
        return await _rendered(_terms(found))

    async def signed_by(self, subject: Subject, agreement_id: str, member_id: str) -> bytes:
        """The PDF that a party signed, as it was attached; for the parties."""
        await self._agreements.visible(subject.member, agreement_id)
        row = await self._database.one(_OF_MEMBER, agreement=agreement_id, member=member_id)
        if row is None:
            raise NotFound
        pdf = bytes(row["pdf"])
        if hashlib.sha256(pdf).hexdigest() != row["pdf_sha256"]:
            raise Conflicting("pdf_archive_changed", "The kept file is not what was attached.", remedy="Restore it.")
        return pdf

    async def attach(self, subject: Subject, agreement_id: str, pdf: bytes) -> dict[str, Any]:
        """Keep a PDF that this member signed, as one entry in the owner's log; the same one again changes nothing."""
        subject.require("sign")
        terms = _terms(await self._agreements.visible(subject.member, agreement_id))
        rendered = await _rendered(terms)
        from gateway.agreements.pdf.signed import SignedPdf, read_roots, verify_signed  # noqa: PLC0415 - the extra

        def verified() -> SignedPdf:
            roots = read_roots(self._roots.read_bytes()) if self._roots else []
            return verify_signed(pdf, rendered, terms.text, roots)

        proved = await asyncio.to_thread(verified)
        async with self._ledger.changing(terms.owner) as change:
            current = await current_agreement(change.tx, agreement_id)
            if current.sha256 != terms.sha256 or subject.member not in {one.member for one in current.signatures}:
                raise Conflicting(
                    "pdf_before_signature",
                    "You have not signed this text by JWS, which is what fixes it.",
                    remedy="Sign the bytes of /terms first.",
                )
            digest = hashlib.sha256(pdf).hexdigest()
            earlier = await change.tx.one(_OF_MEMBER, agreement=agreement_id, member=subject.member)
            if earlier is None:
                trusted_by = await _trusted_by(
                    change.tx, terms, subject.member, proved.fingerprint, proved.identifiers if proved.rooted else ()
                )
                facts = {
                    "pdf_sha256": digest,
                    "trusted_by": trusted_by,
                    "certificate_sha256": proved.certificate_sha256,
                }
                await _keep(change, subject, terms, pdf, facts)
            elif earlier["pdf_sha256"] != digest:
                raise Conflicting("pdf_attached", "You have attached another signed file; it stays.", field="pdf")
        return {"agreement": agreement_id, "member": subject.member, "pdf_sha256": digest}


async def _rendered(terms: Terms) -> bytes:
    require_extra()
    from gateway.agreements.pdf.rendering import render  # noqa: PLC0415 - the extra

    return await asyncio.to_thread(render, terms)


def _terms(found: Agreement) -> Terms:
    if found.terms is None:
        raise TamperedAgreement("agreement_tampered")
    return found.terms


async def _trusted_by(
    reading: Reading, terms: Terms, signer: str, fingerprint: str | None, identifiers: Sequence[str]
) -> str:
    """Why the signature is the member's; `Invalid` where nothing says so."""
    key = await signing_key(reading, fingerprint) if fingerprint else None
    if key is not None and key.member == signer and key.state == "active":
        other = other_party(terms, signer)
        if not await is_client_key(reading, key.fingerprint) and await is_confirmed(
            reading, by=other, fingerprint=key.fingerprint
        ):
            return REGISTERED_KEY
    row = await reading.one(_USCC, id=signer)
    if row is not None and row["uscc"] in identifiers:
        return TRUST_ROOT
    raise Invalid(
        "pdf_signer_unknown",
        "The certificate's key is no confirmed signing key of yours, and no trusted certificate of your company's.",
        field="pdf",
        remedy="Sign with your registered key, or with a certificate that names your USCC.",
    )


async def _keep(change: Change, subject: Subject, terms: Terms, pdf: bytes, facts: dict[str, str]) -> None:
    await change.tx.run(
        _ADD,
        agreement_id=terms.agreement,
        member_id=subject.member,
        pdf=pdf,
        terms_sha256=terms.sha256,
        attached_at=change.now_ms,
        **facts,
    )
    actor = {"member": subject.member, "client": subject.client}
    of = {"act": "agreement_pdf_attached", "actor": actor, "agreement": terms.agreement, "terms_sha256": terms.sha256}
    change.enter(Draft(log=terms.owner, kind=Kind.AGREEMENT, facts={**of, **facts}))
