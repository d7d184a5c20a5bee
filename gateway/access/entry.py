"""What the ledger is told of a judgement: who, why, by which policy, and exactly what will be opened."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from gateway.access.judgement import Judgement
from gateway.access.request import AccessRequest
from gateway.canonical import Written, canonical, written
from gateway.clock import MILLISECONDS
from gateway.consents.marks import Marking
from gateway.errors import Reason
from gateway.identity.subject import NOBODY
from gateway.ledger import Draft, Effect, Kind, Opening, Quota, Receipt

NOT_A_PARTY = Reason("NOT_A_PARTY", "1.2")
FREQUENCY_EXCEEDED = Reason("FREQUENCY_EXCEEDED", "4.1.2")
VOLUME_EXCEEDED = Reason("VOLUME_EXCEEDED", "4.1.2")
_NO_CEILING = 2**53 - 1
"""The volume of an agreement that states none."""


def describe(request: AccessRequest, judgement: Judgement, *, signing: Callable[[Receipt], str]) -> Draft:
    """The entry of an access, in the log of the data's owner.

    A permit carries the narrowing number it was judged by and the agreement's frequency and volume, all checked
    in the ledger's own transaction, and `signing` signs its receipt.
    """
    owner, decision = judgement.governing.owner, judgement.decision
    facts = {**_shared(request, judgement), **_message(request)}
    if not judgement.permits:
        return Draft(log=owner, kind=Kind.ACCESS, effect=decision.effect, reasons=decision.reasons, facts=facts)
    assert judgement.owed is not None
    return Draft(
        log=owner,
        kind=Kind.ACCESS,
        effect=decision.effect,
        facts={**facts, **_consents(judgement), "obligations": judgement.owed.entered},
        opening=Opening(dataset=request.dataset, groups=judgement.groups()),
        narrowing=judgement.selection.narrowing,
        quotas=_quotas(request, judgement),
        marks=Marking.of((one.consent, one.mark) for one in judgement.selection.records),
        overdrawn=Draft(log=owner, kind=Kind.ACCESS, effect=Effect.DENY, facts=facts),
        sealed=judgement.sealed_query,
        valid_until_ms=judgement.valid_until_s * MILLISECONDS,
        signing=signing,
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
            **_message(request),
        },
    )


def _shared(request: AccessRequest, judgement: Judgement) -> Mapping[str, Written]:
    subject, governing, decision = request.subject, judgement.governing, judgement.decision
    return _written(
        tuple(subject.actor().items()),
        (request.agreement, governing.terms["version"], request.action, request.dataset, request.purpose),
        judgement.now_s,
        (
            governing.policy_digest,
            judgement.engine,
            decision.case_sha256,
            decision.input_sha256,
            decision.valid_until,
        ),
        (request.fields, tuple(sorted(request.filters)), request.limit, request.record is not None),
        request.person,
    )


@lru_cache(maxsize=1024)
def _written(
    actor: tuple[tuple[str, str], ...],
    asked: tuple[str, int, str, str, str],
    judged_at: int,
    policy: tuple[str | None, str, str, str, int],
    query: tuple[tuple[str, ...], tuple[str, ...], int, bool],
    person: str,
) -> Mapping[str, Written]:
    """Who asked for what, and by what it was judged: within a second, a client's requests differ in records alone."""
    agreement, version, action, dataset, purpose = asked
    facts = {
        "actor": dict(actor),
        "agreement": f"{agreement}@{version}",
        "action": action,
        "dataset": dataset,
        "purpose": purpose,
        "judged_at": judged_at,
        "policy": dict(zip(("digest", "engine", "case_sha256", "input_sha256", "valid_until"), policy, strict=True)),
        "query_sha256": _shape(*query),
        **({} if person == NOBODY else {"person": person}),
    }
    return {name: written(fact) for name, fact in facts.items()}


def _shape(fields: tuple[str, ...], filters: tuple[str, ...], limit: int, single: bool) -> str:
    """A digest of which fields were asked and filtered on; values are no part of it."""
    shape = {"fields": fields, "filters": filters, "limit": limit, "single": single}
    return hashlib.sha256(canonical(shape)).hexdigest()


def _message(request: AccessRequest) -> dict[str, Any]:
    """The signed message that asked, if it was signed."""
    return {} if request.signed is None else {"message": request.signed.describe()}


def _consents(judgement: Judgement) -> dict[str, Any]:
    """The consents that stand behind what will be opened: how many, and the digest of their ids."""
    consents = sorted([one.consent for one in judgement.selection.records if one.consent])
    if not consents:
        return {}
    return {"consents": {"count": len(consents), "sha256": hashlib.sha256(canonical(consents)).hexdigest()}}


def _quotas(request: AccessRequest, judgement: Judgement) -> tuple[Quota, ...]:
    """How often, and how much of the dataset, the agreement lets its recipient read, counted per window.

    A permit always says how often; where no volume is agreed, or no record was found, there is nothing more to count.
    """
    obligations = judgement.decision.obligations
    assert obligations is not None
    frequency, volume = obligations.frequency, obligations.volume
    reads = Quota(
        f"{request.agreement}:reads",
        window_of(judgement.now_s, frequency.per_seconds),
        frequency.reads,
        1,
        FREQUENCY_EXCEEDED,
    )
    if volume.records >= _NO_CEILING or not judgement.selection.records:
        return (reads,)
    records = Quota(
        f"{request.agreement}:{request.dataset}:records",
        window_of(judgement.now_s, volume.per_seconds),
        volume.records,
        len(judgement.selection.records),
        VOLUME_EXCEEDED,
    )
    return reads, records


def window_of(now_s: int, per_seconds: int) -> int:
    """When the window began that an instant lies in: windows begin at multiples of their length."""
    return now_s - now_s % per_seconds
