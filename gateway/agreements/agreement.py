"""An agreement as it has been proved, and its slice for the policy."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.agreements.fields import years_after
from gateway.agreements.terms import Terms
from gateway.clock import seconds

MOST = 2**53 - 1
"""The largest integer of a policy's input: a number of records that nobody reaches."""

_ENDED = ("terminated", "superseded")


@dataclass(frozen=True, slots=True)
class Signature:
    """One side's signature: a compact JWS over the terms, by the key of that fingerprint, at `signed_at` (ms)."""

    member: str
    fingerprint: str
    jws: str
    signed_at: int

    def describe(self) -> dict[str, Any]:
        """What the parties see of it."""
        at = rfc3339(self.signed_at)
        return {"member": self.member, "fingerprint": self.fingerprint, "jws": self.jws, "signed_at": at}


@dataclass(frozen=True, slots=True)
class Agreement:
    """An agreement. `state` is `signed` only if both signatures were verified over `text`.

    It is `superseded` once another agreement, `superseded_by`, has replaced it (`Terms.amends`). Times in
    milliseconds since the epoch. `terms` is None, and `state` never `signed`, where the stored text is not what was
    agreed.
    """

    id: str
    alliance: str
    owner: str
    recipient: str
    version: int
    state: str
    text: bytes
    terms: Terms | None
    signatures: tuple[Signature, ...]
    created_at: int
    signed_at: int | None
    ended_at: int | None
    superseded_by: str | None = None

    @property
    def parties(self) -> tuple[str, str]:
        """The owner and the recipient."""
        return self.owner, self.recipient

    @property
    def has_ended(self) -> bool:
        """Whether it was terminated, or superseded by another: no agreement comes back from there."""
        return self.state in _ENDED

    @property
    def sha256(self) -> str:
        """The digest of the text, in hexadecimal."""
        return hashlib.sha256(self.text).hexdigest()

    @property
    def confidential_until(self) -> int | None:
        """Epoch seconds at which the agreed years of secrecy, counted from signing, are to be reviewed.

        A reminder, not an end: the duty goes on until it is released (clause 8.3).
        """
        if self.terms is None or self.signed_at is None:
            return None
        return years_after(seconds(self.signed_at), self.terms.confidentiality_years)

    def in_force_at(self, now_s: int) -> bool:
        """Signed by both, begun, and not ended at an instant (epoch seconds)."""
        return self.state == "signed" and self.terms is not None and self.terms.starts_at <= now_s < self.terms.ends_at

    def describe(self) -> dict[str, Any]:
        """What its parties see of it."""
        return {
            "id": self.id,
            "owner": self.owner,
            "recipient": self.recipient,
            "title": self.terms.title if self.terms else "",
            "state": self.state,
            "version": self.version,
            "terms": self.text.decode("utf-8", "replace"),
            "terms_sha256": self.sha256,
            "signatures": [one.describe() for one in self.signatures],
            "created_at": rfc3339(self.created_at),
            "signed_at": rfc3339(self.signed_at),
            "ended_at": rfc3339(self.ended_at),
            "amends": self.terms.amends if self.terms else None,
            "superseded_by": self.superseded_by,
        }


def agreement_case(agreement: Agreement, dataset_id: str) -> dict[str, Any]:
    """The `agreement` object of the policy's input, sliced to one dataset; of drafts too.

    What the terms do not cover is an empty list, and an agreement without proved terms grants nothing, so that
    the policy refuses a party with the clause that is not met. Members that rules ask about most stand first: the
    embedded engine passes the names before the one that it looks for.
    """
    terms = agreement.terms
    term = terms.term_for(dataset_id) if terms else None
    signed = terms.signed_messages if terms else None
    return {
        "owner": agreement.owner,
        "recipient": agreement.recipient,
        "ends_at": terms.ends_at if terms else 0,
        "starts_at": terms.starts_at if terms else 0,
        "frequency": _frequency_case(terms),
        "signed_messages": {
            "profile": signed.profile if signed else "none",
            "actions": list(signed.actions) if signed else [],
        },
        "volume": {
            "records": term.volume.records if term and term.volume else MOST,
            "per_seconds": term.volume.per_seconds if term and term.volume else 1,
        },
        "id": agreement.id,
        "state": agreement.state if terms else "draft",
        "granted_fields": list(term.fields) if term else [],
        "purposes": list(term.purposes) if term else [],
        "methods": list(term.methods) if term else [],
        "confidentiality_years": terms.confidentiality_years if terms else 0,
        "onward": terms.onward if terms else "forbidden",
        "lawful_basis": term.lawful_basis if term and term.lawful_basis else "none",
        "retention_days": term.retention_days if term and term.retention_days else 0,
        "third_parties": list(terms.third_parties) if terms else [],
        "version": agreement.version,
    }


def _frequency_case(terms: Terms | None) -> dict[str, int]:
    """No agreed frequency allows no read (clause 2.3.1)."""
    agreed = terms.frequency if terms else None
    return {"reads": agreed.reads if agreed else 0, "per_seconds": agreed.per_seconds if agreed else 1}


def rfc3339(milliseconds: int | None) -> str | None:
    """An instant as its parties see it, in UTC and whole seconds; None for none."""
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(seconds(milliseconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
