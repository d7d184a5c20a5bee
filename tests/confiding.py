"""What members file beside an agreement's terms, as their own systems would: over HTTP, signed by their own keys."""

from __future__ import annotations

import hashlib
import json
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx

from gateway.canonical import canonical
from gateway.identity.jws import sign_compact, thumbprint

if TYPE_CHECKING:
    from joserfc.jwk import ECKey

    from tests.alliance import Member

CLASSES = ("business_secret", "technical_secret", "customer", "financial")
EVIDENCE = hashlib.sha256(b"a signed paper").hexdigest()
YEAR_S = 365 * 24 * 3600
SECTIONS = {
    "purpose_and_necessity": "Referral of customers who asked for it.",
    "impact_and_risks": "Telephone numbers could be misused; small.",
    "protective_measures": "Need-to-know roster, encryption, consent per person.",
}


def no_secrets(schema: dict[str, Any]) -> dict[str, Any]:
    """A dataset's schema whose every field is public: for tests that are not about secrets."""
    fields = {name: {"x-confidentiality": "public"} | said for name, said in schema["properties"].items()}
    return schema | {"properties": fields}


def at(epoch_s: int) -> str:
    """RFC 3339 in UTC."""
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def lasting(member: Member, *, begins: int = -60, ends: int = YEAR_S) -> dict[str, str]:
    """`from` and `until`, in seconds from now."""
    return {"from": at(member.now + begins), "until": at(member.now + ends)}


def signed(member: Member, typ: str, text: dict[str, Any], key: ECKey | None = None) -> str:
    """A statement as a compact JWS by the member's key for agreements, or by another."""
    used = key or member.signing_key
    return sign_compact(canonical(text), used, typ=typ, header={"kid": thumbprint(dict(used.as_dict(private=False)))})


def undertaking(member: Member, towards: str, **over: Any) -> dict[str, Any]:
    """The text of a company's NDA."""
    text = {"v": 1, "kind": "organisation_nda", "nonce": secrets.token_urlsafe(16), "alliance": member.alliance.id}
    text |= {"member": member.id, "towards": towards, "classes": list(CLASSES), **lasting(member)}
    return text | over


def person_text(member: Member, person: str, **over: Any) -> dict[str, Any]:
    """The text of a person's NDA."""
    text = {"v": 1, "kind": "person_nda", "nonce": secrets.token_urlsafe(16), "alliance": member.alliance.id}
    text |= {"member": member.id, "person": person, "evidence_sha256": EVIDENCE, **lasting(member)}
    return text | over


def grant_text(owner: Member, agreement: str, recipient: str, *purposes: str, **over: Any) -> dict[str, Any]:
    """The text of an onward grant."""
    text = {"v": 1, "kind": "onward_grant", "nonce": secrets.token_urlsafe(16), "alliance": owner.alliance.id}
    text |= {"agreement": agreement, "recipient": recipient, "purposes": list(purposes), **lasting(owner)}
    return text | over


async def file(member: Member, path: str, document: Any = None, method: str = "POST") -> httpx.Response:
    """A call with a token for everything that a member may do for itself."""
    return await member.call(method, path, await member.token(), json=document)


def done(answer: httpx.Response) -> dict[str, Any]:
    """What a successful answer says."""
    assert answer.status_code < 300, answer.text
    return dict(answer.json()) if answer.content else {}


async def person_of(member: Member, name: str = "Wang Fang") -> str:
    """A new person of the member."""
    return str(done(await file(member, "/v1/persons", {"name": name}))["id"])


async def undertake(member: Member, towards: str, **over: Any) -> httpx.Response:
    """File the member's NDA."""
    return await file(member, "/v1/ndas", {"jws": signed(member, "nda+jws", undertaking(member, towards, **over))})


async def record_nda(member: Member, person: str, **over: Any) -> httpx.Response:
    """File a person's NDA."""
    jws = signed(member, "nda+jws", person_text(member, person, **over))
    return await file(member, f"/v1/persons/{person}/nda", {"jws": jws})


async def enlist(member: Member, agreement: str, dataset: str, person: str, **over: Any) -> httpx.Response:
    """Put a person on the roster."""
    return await file(member, f"/v1/agreements/{agreement}/datasets/{dataset}/roster/{person}", over, "PUT")


async def strike(member: Member, agreement: str, dataset: str, person: str) -> httpx.Response:
    """Strike a person off the roster."""
    return await file(member, f"/v1/agreements/{agreement}/datasets/{dataset}/roster/{person}", method="DELETE")


async def opt_in(member: Member, agreement: str, dataset: str) -> httpx.Response:
    """Take part."""
    return await file(member, f"/v1/agreements/{agreement}/datasets/{dataset}/participation", method="PUT")


async def opt_out(member: Member, agreement: str, dataset: str) -> httpx.Response:
    """Take no part any more."""
    return await file(member, f"/v1/agreements/{agreement}/datasets/{dataset}/participation", method="DELETE")


def assessment(owner: Member, **over: Any) -> dict[str, Any]:
    """An impact assessment for a year."""
    stated = {"sections": SECTIONS, "report_sha256": EVIDENCE, "retention_years": 3, **lasting(owner)}
    return stated | over


async def assess(owner: Member, agreement: str, dataset: str, **over: Any) -> httpx.Response:
    """File an impact assessment."""
    path = f"/v1/agreements/{agreement}/datasets/{dataset}/assessments"
    return await file(owner, path, assessment(owner, **over))


async def grant(owner: Member, agreement: str, recipient: str, *purposes: str, **over: Any) -> httpx.Response:
    """Grant onward use to a third party."""
    jws = signed(owner, "onward-grant+jws", grant_text(owner, agreement, recipient, *purposes, **over))
    return await file(owner, f"/v1/agreements/{agreement}/onward-grants", {"jws": jws})


async def confided(member: Member, agreement: str, dataset: str, towards: str, name: str = "Li Na") -> str:
    """A person of the member with everything it takes: both NDAs, and a place on the roster."""
    person = await person_of(member, name)
    done(await undertake(member, towards))
    done(await record_nda(member, person))
    done(await enlist(member, agreement, dataset, person))
    return person


async def is_personal(owner: Member, dataset: str) -> bool:
    """Whether a dataset of the owner's is about persons."""
    answer = await owner.get(f"/v1/datasets/{dataset}", await owner.token())
    return bool(json.loads(answer.text)["schema"]["x-kind"] == "personal")
