"""What an agreement's rows prove. A row alone proves nothing: the text must be what both parties signed."""

from __future__ import annotations

import hashlib

from sqlalchemy import bindparam, select

from gateway.agreements.agreement import Agreement, Signature
from gateway.agreements.signatures import verify_signature
from gateway.agreements.tables import agreement, agreement_signature
from gateway.agreements.terms import Terms, parse_terms
from gateway.database import Query, Reading, Row
from gateway.errors import Conflicting, Invalid, NotFound, TooLarge
from gateway.identity.keys import thumbprint
from gateway.members.keys import is_confirmed, signing_key

AGREEMENT_ROW = Query(select(agreement).where(agreement.c.id == bindparam("id")))
_SIGNATURES = Query(
    select(agreement_signature)
    .where(agreement_signature.c.agreement_id == bindparam("agreement"))
    .order_by(agreement_signature.c.signed_at, agreement_signature.c.member_id)
)


class TamperedAgreement(Conflicting):
    """What the database holds is not what was agreed. `code` says where it fails; nothing is granted by it."""

    def __init__(self, code: str) -> None:
        detail = "The stored agreement is not what its parties signed."
        super().__init__(code, detail, remedy="Restore it, or sign a new one.")


async def prove(reading: Reading, row: Row) -> Agreement:
    """The agreement that a row and its signatures prove, in any state; else `TamperedAgreement`.

    `reading` is the snapshot that the row was read from.
    """
    terms = _proved_terms(row)
    stored = await reading.all(_SIGNATURES, agreement=row["id"])
    signatures = tuple([await _proved_signature(reading, one, terms) for one in stored])
    if row["state"] == "signed":
        if {one.member for one in signatures} != set(terms.parties):
            raise TamperedAgreement("signature_missing")
        if row["signed_at"] is None or row["ended_at"] is not None:
            raise TamperedAgreement("state_contradicts_times")
    return Agreement(
        id=row["id"],
        alliance=row["alliance_id"],
        owner=row["owner_id"],
        recipient=row["recipient_id"],
        version=row["version"],
        state="superseded" if row["superseded_by"] is not None else row["state"],
        text=terms.text,
        terms=terms,
        signatures=signatures,
        created_at=row["created_at"],
        signed_at=row["signed_at"],
        ended_at=row["ended_at"],
        superseded_by=row["superseded_by"],
    )


async def current_agreement(reading: Reading, agreement_id: str) -> Agreement:
    """The agreement as this snapshot or transaction sees it, proved; `TamperedAgreement` otherwise."""
    row = await reading.one(AGREEMENT_ROW, id=agreement_id)
    if row is None:
        raise NotFound
    return await prove(reading, row)


def unproved(row: Row) -> Agreement:
    """The shell of an agreement whose rows prove nothing: known to its parties, granting nothing."""
    return Agreement(
        id=row["id"],
        alliance=row["alliance_id"],
        owner=row["owner_id"],
        recipient=row["recipient_id"],
        version=row["version"],
        state="tampered",
        text=b"",
        terms=None,
        signatures=(),
        created_at=row["created_at"],
        signed_at=None,
        ended_at=row["ended_at"],
        superseded_by=row["superseded_by"],
    )


def _proved_terms(row: Row) -> Terms:
    text = bytes(row["terms"])
    if hashlib.sha256(text).hexdigest() != row["terms_sha256"]:
        raise TamperedAgreement("terms_changed")
    try:
        terms = parse_terms(text)
    except (Invalid, TooLarge):
        raise TamperedAgreement("terms_unreadable") from None
    named = (terms.agreement, terms.alliance, terms.owner, terms.recipient)
    if named != (row["id"], row["alliance_id"], row["owner_id"], row["recipient_id"]):
        raise TamperedAgreement("row_contradicts_terms")
    return terms


async def _proved_signature(reading: Reading, row: Row, terms: Terms) -> Signature:
    """The signature, if a party made it over these terms with a confirmed key of its own that was active then."""
    signature = Signature(row["member_id"], row["fingerprint"], row["jws"], row["signed_at"])
    key = await signing_key(reading, signature.fingerprint)
    if signature.member not in terms.parties or key is None or key.member != signature.member:
        raise TamperedAgreement("signature_foreign")
    if key.revoked_at is not None and signature.signed_at > key.revoked_at:
        raise TamperedAgreement("signature_after_revocation")
    other = other_party(terms, signature.member)
    if not await is_confirmed(reading, by=other, fingerprint=key.fingerprint):
        raise TamperedAgreement("signature_key_unconfirmed")
    try:
        genuine = thumbprint(key.jwk) == key.fingerprint
        verify_signature(signature.jws, key.jwk, terms.text)
    except Invalid:
        raise TamperedAgreement("signature_invalid") from None
    if not genuine:
        raise TamperedAgreement("signing_key_changed")
    return signature


def other_party(terms: Terms, member: str) -> str:
    """The party that is not this member."""
    return terms.recipient if member == terms.owner else terms.owner
