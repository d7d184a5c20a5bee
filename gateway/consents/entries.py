"""The entries of what is done to many consents at once: how many, and the digest of their ids."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.canonical import canonical
from gateway.catalog.dataset import Dataset
from gateway.consents.statement import Statement
from gateway.identity.subject import Subject
from gateway.ledger import Draft, Kind

_MOST_NAMED = 20


def recorded_entry(subject: Subject, dataset: Dataset, recorded: Sequence[tuple[str, Statement]]) -> Draft:
    """Consents that their owner recorded."""
    facts: dict[str, Any] = {"act": "consents_recorded", **_common(subject, dataset, [one for one, _ in recorded])}
    if len(recorded) == 1:
        only = recorded[0][1]
        facts |= {
            "recipient": only.recipient,
            "purpose": only.purpose,
            "fields": sorted(only.fields),
            "channels": sorted(only.channels),
            "evidence_sha256": only.evidence_sha256,
        }
    else:
        facts |= {
            "recipients": sorted({one.recipient for _, one in recorded})[:_MOST_NAMED],
            "purposes": sorted({one.purpose for _, one in recorded})[:_MOST_NAMED],
            "evidence_sha256": _digest(one.evidence_sha256 for _, one in recorded),
        }
    return Draft(log=dataset.owner, kind=Kind.CONSENT, facts=facts)


def withdrawn_entry(subject: Subject, dataset: Dataset, ids: Sequence[str], recipient: str, purpose: str) -> Draft:
    """Consents that a person withdrew, through the dataset's owner; '' for every recipient or purpose."""
    facts = {
        "act": "consents_withdrawn",
        **_common(subject, dataset, ids),
        "recipient": recipient,
        "purpose": purpose,
    }
    return Draft(log=dataset.owner, kind=Kind.CONSENT, facts=facts)


def merged_entry(subject: Subject, dataset: Dataset, ids: Sequence[str]) -> Draft:
    """Two subjects that are one person: the consents that ended because the other had withdrawn or refused."""
    facts = {"act": "persons_merged", **_common(subject, dataset, ids)}
    return Draft(log=dataset.owner, kind=Kind.CONSENT, facts=facts)


def separated_entry(subject: Subject, dataset: Dataset) -> Draft:
    """Two subjects that had been merged by mistake."""
    return Draft(
        log=dataset.owner, kind=Kind.CONSENT, facts={"act": "persons_separated", **_common(subject, dataset, [])}
    )


def overtaken_entry(owner: str, actor: Mapping[str, str], ids: Sequence[str]) -> Draft:
    """Consents that the clock ended."""
    facts = {"act": "consents_overtaken", "actor": dict(actor), **_named(ids)}
    return Draft(log=owner, kind=Kind.CONSENT, facts=facts)


def _common(subject: Subject, dataset: Dataset, ids: Sequence[str]) -> dict[str, Any]:
    return {
        "actor": {"member": subject.member, "client": subject.client},
        "dataset": dataset.id,
        **_named(ids),
    }


def _named(ids: Sequence[str]) -> dict[str, Any]:
    named: dict[str, Any] = {"count": len(ids), "ids_sha256": _digest(ids)}
    return named | ({"consents": list(ids)} if len(ids) <= _MOST_NAMED else {})


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256(canonical(list(texts))).hexdigest()
