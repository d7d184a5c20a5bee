"""What the ledger is told of a judgement: who, why, by which policy, and exactly what will be opened."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from gateway.access.judgement import Judgement
from gateway.access.request import AccessRequest
from gateway.canonical import Canonical, canonical
from gateway.clock import MILLISECONDS
from gateway.errors import Reason
from gateway.ledger import Draft, Effect, Kind, Opening, Quota

NOT_A_PARTY = Reason("NOT_A_PARTY", "1.2")
FREQUENCY_EXCEEDED = Reason("FREQUENCY_EXCEEDED", "4.1.2")


def describe(request: AccessRequest, judgement: Judgement) -> Draft:
    """The entry of an access, in the log of the data's owner.

    A permit carries the narrowing number it was judged by and the agreement's frequency, both checked in
    the ledger's own transaction.
    """
    owner, facts, decision = judgement.governing.owner, _facts(request, judgement), judgement.decision
    if not judgement.permits:
        return Draft(log=owner, kind=Kind.ACCESS, effect=decision.effect, reasons=decision.reasons, facts=facts)
    refusal = Draft(log=owner, kind=Kind.ACCESS, effect=Effect.DENY, reasons=(FREQUENCY_EXCEEDED,), facts=facts)
    return Draft(
        log=owner,
        kind=Kind.ACCESS,
        effect=decision.effect,
        facts=facts,
        opening=Opening(dataset=request.dataset, groups=judgement.groups()),
        narrowing=judgement.selection.narrowing,
        quota=_quota(request, judgement),
        overdrawn=refusal,
        sealed=judgement.sealed_query,
        valid_until_ms=judgement.valid_until_s * MILLISECONDS,
    )


def describe_stranger(request: AccessRequest) -> Draft:
    """The entry of a request by somebody who is no party: in the operator's log, for it has no owner to tell."""
    subject = request.subject
    return Draft(
        log=subject.alliance,
        kind=Kind.ACCESS,
        effect=Effect.DENY,
        reasons=(NOT_A_PARTY,),
        facts={
            "actor": {"member": subject.member, "client": subject.client, "token": subject.token, "jkt": subject.jkt},
            "agreement": request.agreement,
            "action": request.action,
            "dataset": request.dataset,
        },
    )


def _facts(request: AccessRequest, judgement: Judgement) -> Mapping[str, Any]:
    subject, decision = request.subject, judgement.decision
    facts = _written(
        actor=_actor(subject.member, subject.client, subject.token, subject.jkt),
        agreement=f"{request.agreement}@{judgement.governing.terms['version']}",
        action=request.action,
        dataset=request.dataset,
        purpose=request.purpose,
        judged_at=judgement.now_s,
        policy=_policy(
            judgement.governing.policy_digest,
            judgement.engine,
            decision.case_sha256,
            decision.input_sha256,
            decision.valid_until,
        ),
        query_sha256=_shape(request.fields, tuple(sorted(request.filters)), request.limit, request.record is not None),
    )
    consents = sorted([one.consent for one in judgement.selection.records if one.consent])
    if not consents:
        return facts
    return {
        **facts,
        "consents": {"count": len(consents), "sha256": hashlib.sha256(canonical(consents)).hexdigest()},
    }


@lru_cache(maxsize=1024)
def _written(**facts: Canonical | str | int) -> Mapping[str, Canonical]:
    """The facts as they will stand in the body: within a second, a client's requests differ in their records alone."""
    return {name: fact if type(fact) is Canonical else Canonical.of(fact) for name, fact in facts.items()}


@lru_cache(maxsize=4096)
def _actor(member: str, client: str, token: str, jkt: str) -> Canonical:
    return Canonical.of({"member": member, "client": client, "token": token, "jkt": jkt})


@lru_cache(maxsize=1024)
def _policy(digest: str | None, engine: str, case_sha256: str, input_sha256: str, valid_until: int) -> Canonical:
    return Canonical.of(
        {
            "digest": digest,
            "engine": engine,
            "case_sha256": case_sha256,
            "input_sha256": input_sha256,
            "valid_until": valid_until,
        }
    )


@lru_cache(maxsize=1024)
def _shape(fields: tuple[str, ...], filters: tuple[str, ...], limit: int, single: bool) -> str:
    """A digest of which fields were asked and filtered on; values are no part of it."""
    shape = {"fields": fields, "filters": filters, "limit": limit, "single": single}
    return hashlib.sha256(canonical(shape)).hexdigest()


def _quota(request: AccessRequest, judgement: Judgement) -> Quota:
    """How often the agreement lets its recipient read, counted per window; a permit always says it."""
    assert judgement.decision.obligations is not None
    frequency = judgement.decision.obligations.frequency
    window = judgement.now_s - judgement.now_s % frequency.per_seconds
    return Quota(key=f"{request.agreement}:reads", window_start=window, limit=frequency.reads)
