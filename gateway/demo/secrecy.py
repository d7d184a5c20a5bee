"""What the demo's companies file beside an agreement: they take part, and name who may see what, under which NDA."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.demo.partner import Partner

CLASSES = ("business_secret", "technical_secret", "customer", "financial")
_PAPER = hashlib.sha256("示例保密承诺书 / sample of a signed NDA".encode()).hexdigest()
_REPORT = hashlib.sha256("示例个人信息保护影响评估报告 / sample of an assessment".encode()).hexdigest()
_SECTIONS = {
    "purpose_and_necessity": "为客户推荐住宿,仅限其同意的字段 / referral, only the fields consented to",
    "impact_and_risks": "电话可能被滥用,影响较低 / telephone numbers could be misused; low",
    "protective_measures": "按需知悉名册、逐字段加密、逐人同意 / roster, encryption, consent per person",
}

Said = Callable[[str, Any, int], Any]
"""Given what happens, its answer and the status that the story expects: what the answer says."""


def take_part(said: Said, agreement: str, dataset: str, *partners: Partner) -> None:
    """Each of these opts in to sharing one dataset under an agreement."""
    for partner in partners:
        path = f"/v1/agreements/{agreement}/datasets/{dataset}/participation"
        said(f"{partner.name} takes part", partner.send("PUT", path, partner.token(partner.for_itself())), 200)


def assess(said: Said, owner: Partner, agreement: str, dataset: str) -> None:
    """The owner files its impact assessment, for a year."""
    stated = {"sections": _SECTIONS, "report_sha256": _REPORT, "retention_years": 3, **_year()}
    path = f"/v1/agreements/{agreement}/datasets/{dataset}/assessments"
    said("an impact assessment is filed", owner.post(path, owner.token(owner.for_itself()), stated), 201)


def undertake(said: Said, partner: Partner, owner: Partner, alliance: str) -> None:
    """A company signs its NDA towards an owner."""
    text = {"kind": "organisation_nda", "alliance": alliance, "member": partner.member, "towards": owner.member}
    jws = partner.sign(_statement(text | {"classes": list(CLASSES)} | _year()), typ="nda+jws")
    said("a company signs its NDA", partner.post("/v1/ndas", partner.token(partner.for_itself()), {"jws": jws}), 200)


def entrust(said: Said, partner: Partner, agreement: str, dataset: str, name: str) -> str:
    """A person of the company goes on the roster, without an NDA yet; returns the id that tokens name."""
    own = partner.token(partner.for_itself())
    person = str(said("a person is recorded", partner.post("/v1/persons", own, {"name": name}), 201)["id"])
    path = f"/v1/agreements/{agreement}/datasets/{dataset}/roster/{person}"
    said("a person is put on the roster", partner.send("PUT", path, own, {}), 200)
    return person


def bind(said: Said, partner: Partner, person: str, alliance: str) -> None:
    """The company records that its person signed an NDA."""
    text = {"kind": "person_nda", "alliance": alliance, "member": partner.member, "person": person}
    jws = partner.sign(_statement(text | {"evidence_sha256": _PAPER} | _year()), typ="nda+jws")
    own = partner.token(partner.for_itself())
    said("a person's NDA is filed", partner.post(f"/v1/persons/{person}/nda", own, {"jws": jws}), 200)


def strike(said: Said, owner: Partner, agreement: str, dataset: str, person: str) -> None:
    """The owner strikes a person off the roster."""
    path = f"/v1/agreements/{agreement}/datasets/{dataset}/roster/{person}"
    said("a person is struck", owner.send("DELETE", path, owner.token(owner.for_itself())), 200)


def _year() -> dict[str, str]:
    begins = datetime.now(UTC) - timedelta(minutes=1)
    return {"from": f"{begins:%Y-%m-%dT%H:%M:%SZ}", "until": f"{begins + timedelta(days=365):%Y-%m-%dT%H:%M:%SZ}"}


def _statement(text: dict[str, Any]) -> bytes:
    """The canonical text of a statement: these are ASCII and integers, so that sorted compact JSON is RFC 8785."""
    whole = text | {"v": 1, "nonce": secrets.token_urlsafe(16)}
    return json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()
