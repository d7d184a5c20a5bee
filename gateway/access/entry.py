"""What the ledger is told of a judgement: who, why, by which policy, and exactly what will be opened."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

from gateway.access.judgement import Judgement
from gateway.access.request import AccessRequest
from gateway.canonical import canonical
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
            "actor": subject.actor(),
            "agreement": request.agreement,
            "action": request.action,
            "dataset": request.dataset,
        },
    )


def _facts(request: AccessRequest, judgement: Judgement) -> dict[str, Any]:
    subject, terms = request.subject, judgement.governing.terms
    facts: dict[str, Any] = {
        "actor": subject.actor(),
        "agreement": f"{request.agreement}@{terms['version']}",
        "action": request.action,
        "dataset": request.dataset,
        "purpose": request.purpose,
        "judged_at": judgement.now_s,
        "policy": {
            "digest": judgement.governing.policy_digest,
            "engine": judgement.engine,
            "case_sha256": judgement.decision.case_sha256,
            "input_sha256": judgement.decision.input_sha256,
            "valid_until": judgement.decision.valid_until,
        },
        "query_sha256": _shape(
            request.fields, tuple(sorted(request.filters)), request.limit, request.record is not None
        ),
    }
    consents = sorted(one.consent for one in judgement.selection.records if one.consent)
    if consents:
        facts["consents"] = {"count": len(consents), "sha256": hashlib.sha256(canonical(consents)).hexdigest()}
    return facts


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
