"""Cases for the policy: one that is permitted, and thousands made of it from a seed, a third of them ill-typed."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

from gateway.policy import CIRCUMSTANCES

NOW = 1_767_225_600
PURPOSES = ["market_analysis", "settlement", "risk_control", "curiosity"]
FIELDS = ["amount", "due_on", "name", "origin", "remark"]
PROFILES = ["profile-1", "profile-2"]
CLASSES = ["plain", "route", "identity"]
SECRETS = ["public", "public", "public", "business_secret", "customer", "financial"]
BASES = ["consent", "contract", "non_personal", "none"]
ALWAYS = {"from": 0, "until": 253_402_300_799}
NEVER = {"from": 0, "until": 0}
ILL_TYPED: list[Any] = [
    *(None, True, False, "", "zzz", -1, 0, 1.5, 1.0, 5, 2**31, 2**53, 2**63, 2**64, -(2**63), 1e300),
    *([], {}, [[]], [None], ["amount", 5], {"amount": "plain"}, {"x": ["amount"]}, [{}], "1767225600"),
    *('a"b', "a\\b", "a\u0000b", "\u00e9", "\\u0061mount", "amount\n", '","effect":"permit","x":"', "read ", "READ"),
]


def agreed_case() -> dict[str, Any]:
    """A case that every requirement is met in."""
    return {
        "subject": {
            "member": "bank",
            "client": "bank-1",
            "member_state": "admitted",
            "client_state": "active",
            "person": "p1",
            "qualified_until": NOW + 2000,
            "clearance": 3,
            "country": "CN",
            "grants": [
                {"agreement": "a1", "datasets": ["flights"], "purposes": ["market_analysis"], "actions": ["read"]}
            ],
        },
        "action": {
            "name": "read",
            "method": "api",
            "fields": ["amount", "origin"],
            "filters": ["origin"],
            "includes": ["read"],
            "signature": "profile-1",
        },
        "resource": {
            "dataset": "flights",
            "owner": "airline",
            "owner_state": "admitted",
            "owner_qualified_until": NOW + 2500,
            "country": "CN",
            "kind": "market",
            "fields": {"amount": "plain", "due_on": "plain", "origin": "route", "name": "identity"},
            "grades": {"amount": 3, "due_on": 1, "origin": 2, "name": 4},
            "confidential": {"amount": "financial", "due_on": "public", "origin": "public", "name": "customer"},
        },
        "context": {"now": NOW, "purpose": "market_analysis"},
        "agreement": {
            "id": "a1",
            "version": 3,
            "state": "signed",
            "owner": "airline",
            "recipient": "bank",
            "starts_at": NOW - 1000,
            "ends_at": NOW + 1000,
            "granted_fields": ["origin", "amount", "due_on"],
            "purposes": ["market_analysis", "settlement"],
            "methods": ["api"],
            "frequency": {"reads": 100, "per_seconds": 60},
            "confidentiality_years": 5,
            "onward": "forbidden",
            "signed_messages": {"profile": "profile-1", "actions": ["read"]},
            "volume": {"records": 1000, "per_seconds": 3600},
            "lawful_basis": "consent",
            "retention_days": 30,
            "third_parties": ["processor"],
        },
        "circumstances": {
            "owner_participation": {"from": 1, "until": NOW + 5000},
            "recipient_participation": {"from": 1, "until": NOW + 5000},
            "organisation_nda": {"from": 1, "until": NOW + 5000},
            "person_nda": {"from": 1, "until": NOW + 5000},
            "roster": {"from": 1, "until": NOW + 5000},
            "assessment": {"from": 1, "until": NOW + 5000},
        },
        "onward_consents": [],
        "holds": [{"case": "c1", "subject": "flights", "state": "lifted", "from": 1, "until": NOW + 5000}],
    }


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside a document, outermost first."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, member in steps:
        yield (*path, step)
        yield from places(member, (*path, step))


def put(document: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A copy with another value at `path`."""
    changed: Any = copy.deepcopy(document)
    part = changed
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    return dict(changed)


def without(document: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    """A copy without what is at `path`."""
    changed: Any = copy.deepcopy(document)
    part = changed
    for step in path[:-1]:
        part = part[step]
    del part[path[-1]]
    return dict(changed)


def generated_cases(seed: int, count: int) -> Iterator[dict[str, Any]]:
    """Different cases, the same for the same seed; each third is ill-typed or lacks a member."""
    draw = random.Random(seed)
    seen: set[str] = set()
    while len(seen) < count:
        case = _well_typed(draw) if draw.random() < 0.5 else _close_to_agreed(draw)
        if len(seen) % 3 == 0:
            case = _damaged(draw, case)
        text = json.dumps(case, sort_keys=True)
        if text not in seen:
            seen.add(text)
            yield case


def _close_to_agreed(draw: random.Random) -> dict[str, Any]:
    case = agreed_case()
    case["action"]["fields"] = draw.sample(["amount", "due_on", "origin"], draw.randint(1, 3))
    case["resource"]["kind"] = draw.choice(["market", "product", "personal"])
    case["agreement"]["version"] = draw.randint(1, 2**53 - 1)
    case["agreement"]["frequency"] = {"reads": draw.randint(1, 10**6), "per_seconds": draw.choice([1, 60, 86400])}
    case["context"]["now"] = NOW + draw.randint(-1001, 1001)
    return put(case, *draw.choice(_TURNS)) if draw.random() < 0.2 else case


def _well_typed(draw: random.Random) -> dict[str, Any]:
    case = agreed_case()
    case["subject"]["grants"] = [_grant(draw) for _ in range(draw.choice([1, 1, 2, 3]))]
    case["action"]["fields"] = draw.sample(FIELDS, draw.randint(1, 3))
    names = draw.sample(FIELDS, draw.choice([4, 5, 5]))
    case["resource"]["fields"] = {name: draw.choice(CLASSES) for name in names}
    case["resource"]["grades"] = {name: draw.choice([1, 1, 2, 2, 3, 3, 4, 5]) for name in names}
    case["resource"]["confidential"] = {name: draw.choice(SECRETS) for name in names}
    case["action"]["filters"] = draw.sample(case["action"]["fields"], draw.choice([0, 0, 1]))
    case["subject"]["clearance"] = draw.choice([2, 3, 4, 4, 4])
    case["subject"]["person"] = draw.choice(["none", "p1", "p1", "p1"])
    case["circumstances"] = _circumstances(draw)
    onward = range(draw.choice([0, 1, 2]))
    case["onward_consents"] = [{"purpose": draw.choice(PURPOSES[:2]), **_interval(draw)} for _ in onward]
    case["resource"]["kind"] = draw.choice(["market", "product", "personal"])
    case["context"]["purpose"] = draw.choice(PURPOSES[:2])
    case["context"]["now"] = NOW + draw.choice([-2000, -1000, -999, 0, 0, 1, 999, 1000, draw.randint(-3000, 3000)])
    agreement = case["agreement"]
    agreement["version"] = draw.randint(1, 2**53 - 1)
    agreement["starts_at"] = NOW + draw.choice([-1000, -1000, -1000, -99, 999, -NOW])
    agreement["ends_at"] = NOW + draw.choice([1000, 1000, 1000, 9, 10**10, 10**12])
    agreement["granted_fields"] = draw.sample(FIELDS, draw.choice([0, 3, 4, 5, 5, 5]))
    agreement["purposes"] = draw.sample(PURPOSES, draw.choice([0, 2, 3, 4]))
    agreement["frequency"] = {"reads": draw.randint(1, 10**6), "per_seconds": draw.choice([1, 60, 86400])}
    case["action"]["includes"] = draw.choice([["read"], ["read", "query"], []])
    case["action"]["signature"] = draw.choice(["none", *PROFILES])
    agreement["signed_messages"] = {
        "profile": draw.choice(["none", *PROFILES]),
        "actions": draw.choice([[], [], [], ["read"], ["query"], ["read", "query"]]),
    }
    agreement["onward"] = draw.choice(["forbidden", "written_consent"])
    agreement["volume"] = {"records": draw.randint(1, 2**53 - 1), "per_seconds": draw.choice([1, 60, 86400])}
    agreement["lawful_basis"] = draw.choice(BASES)
    agreement["retention_days"] = draw.choice([0, 30, 3650])
    case["holds"] = [_hold(draw) for _ in range(draw.choice([0, 0, 1, 2]))]
    for _ in range(draw.choice([0, 0, 0, 1, 2])):
        case = put(case, *draw.choice(_TURNS))
    return case


def _interval(draw: random.Random) -> dict[str, int]:
    ends = {"from": 0, "until": NOW + draw.choice([1, 1000, 5000])}
    late = {"from": NOW + draw.choice([0, 1, 999]), "until": NOW + 4000}
    return draw.choice([dict(ALWAYS), dict(ALWAYS), ends, ends, late, dict(NEVER)])


def _circumstances(draw: random.Random) -> dict[str, Any]:
    standing = [name for name in CIRCUMSTANCES if draw.random() < 0.97]
    return {name: dict(ALWAYS) if draw.random() < 0.85 else _interval(draw) for name in standing}


_TURNS: list[tuple[tuple[Any, ...], Any]] = [
    (("subject", "member_state"), "suspended"),
    (("subject", "member_state"), "prospect"),
    (("subject", "client_state"), "revoked"),
    (("subject", "grants"), []),
    (("subject", "member"), "processor"),
    (("subject", "member"), "hotel"),
    (("subject", "country"), "SG"),
    (("subject", "country"), "ZZ"),
    (("subject", "qualified_until"), NOW),
    (("subject", "clearance"), 1),
    (("circumstances", "transfer"), {"from": 0, "until": NOW + 1}),
    (("circumstances", "roster"), {"from": 0, "until": 0}),
    (("circumstances", "assessment"), {"from": 0, "until": 0}),
    (("circumstances", "owner_participation"), {"from": 0, "until": NOW - 1}),
    (("agreement", "frequency"), {"reads": 0, "per_seconds": 1}),
    (("agreement", "third_parties"), ["hotel", "bank"]),
    (("resource", "owner_qualified_until"), 0),
    (("resource", "owner_state"), "suspended"),
    (("resource", "owner_state"), "prospect"),
    (("resource", "owner"), "hotel"),
    (("resource", "dataset"), "planes"),
    (("action", "name"), "write"),
    (("action", "method"), "file"),
    (("action", "fields"), []),
    (("action", "fields"), ["amount", "amount"]),
    (("context", "purpose"), "curiosity"),
    (("agreement", "state"), "draft"),
    (("agreement", "state"), "terminated"),
    (("agreement", "recipient"), "hotel"),
    (("agreement", "methods"), ["file", "api"]),
    (("agreement", "methods"), []),
    (("agreement", "id"), "a2"),
    (("agreement", "signed_messages"), {"profile": "none", "actions": []}),
    (("action", "signature"), "none"),
]


def _grant(draw: random.Random) -> dict[str, Any]:
    return {
        "agreement": draw.choice(["a1", "a1", "a1", "a2"]),
        "datasets": draw.sample(["flights", "planes"], draw.choice([1, 2, 2])),
        "purposes": draw.sample(PURPOSES, draw.randint(1, 4)),
        "actions": draw.choice([["read"], ["read"], ["read", "upload"], ["upload"]]),
    }


def _hold(draw: random.Random) -> dict[str, Any]:
    state = draw.choice(["lifted", "lifted", "lifted", "active"])
    return {
        "case": "c1",
        "subject": "flights",
        "state": state,
        "from": NOW - 50,
        "until": NOW + draw.choice([0, 1, 99]),
    }


def _damaged(draw: random.Random, case: dict[str, Any]) -> dict[str, Any]:
    for _ in range(draw.choice([1, 1, 1, 2])):
        path = draw.choice(list(places(case)))
        case = without(case, path) if draw.random() < 0.3 else put(case, path, draw.choice(ILL_TYPED))
    return case
