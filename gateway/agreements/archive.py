"""The archive of an agreement (clause 2.3.2): a manifest of every text and signature, each with its digest.

What it names is guarded in the database against change and removal. Whoever keeps a manifest can hold what is served
later against it.
"""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import bindparam, select

from gateway.agreements.agreement import Agreement, rfc3339
from gateway.agreements.tables import agreement_pdf
from gateway.agreements.texts import revisions_of
from gateway.database import Database, Query

_PDFS = Query(
    select(
        agreement_pdf.c.member_id,
        agreement_pdf.c.pdf_sha256,
        agreement_pdf.c.terms_sha256,
        agreement_pdf.c.trusted_by,
        agreement_pdf.c.certificate_sha256,
        agreement_pdf.c.attached_at,
    )
    .where(agreement_pdf.c.agreement_id == bindparam("agreement"))
    .order_by(agreement_pdf.c.member_id)
)


async def manifest(database: Database, found: Agreement) -> dict[str, Any]:
    """Everything that is archived of an agreement, by digests; SHA-256 in hexadecimal."""
    async with database.reading() as reading:
        texts = await revisions_of(reading, found.id)
        pdfs = await reading.all(_PDFS, agreement=found.id)
    return {
        "agreement": found.id,
        "state": found.state,
        "terms_sha256": found.sha256,
        "texts": [
            {
                "revision": one.number,
                "author": one.author,
                "proposed_at": rfc3339(one.proposed_at),
                "terms_sha256": one.sha256,
            }
            for one in texts
        ],
        "signatures": [
            {
                "member": one.member,
                "fingerprint": one.fingerprint,
                "jws_sha256": hashlib.sha256(one.jws.encode()).hexdigest(),
                "signed_at": rfc3339(one.signed_at),
            }
            for one in found.signatures
        ],
        "pdfs": [
            {
                "member": row["member_id"],
                "pdf_sha256": row["pdf_sha256"],
                "terms_sha256": row["terms_sha256"],
                "trusted_by": row["trusted_by"],
                "certificate_sha256": row["certificate_sha256"],
                "attached_at": rfc3339(row["attached_at"]),
            }
            for row in pdfs
        ],
        "signed_at": rfc3339(found.signed_at),
        "ended_at": rfc3339(found.ended_at),
        "superseded_by": found.superseded_by,
    }
