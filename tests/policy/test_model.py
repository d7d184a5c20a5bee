"""What of an engine's answer is believed."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import Reason
from gateway.ledger import Effect
from gateway.policy.model import (
    AnswerInvalid,
    Confidentiality,
    Frequency,
    Mask,
    Obligations,
    SubjectConsent,
    Volume,
    believe,
)
from tests.policy.cases import NOW, agreed_case, put


def _permit() -> dict[str, Any]:
    return {
        "effect": "permit",
        "fields": ["origin", "amount"],
        "classes": ["route", "plain"],
        "obligations": [
            {"type": "confidentiality", "years": 5},
            {"type": "frequency", "reads": 100, "per_seconds": 60},
            {"type": "subject_consent", "required": False, "purpose": "market_analysis"},
            {"type": "volume", "records": 1000, "per_seconds": 3600},
            {"type": "mask", "fields": [], "code": "NDA_MISSING", "clause": "8.1.1"},
            {"type": "mark", "level": "confidential"},
            {"type": "retain_until", "days": 30},
            {"type": "notify", "owner": False},
        ],
        "reasons": [],
        "valid_until": NOW + 1000,
    }


def _deny() -> dict[str, Any]:
    reasons = [{"code": "OUT_OF_SCOPE", "clause": "4.1.2"}, {"code": "CASE_MALFORMED", "clause": ""}]
    return {"effect": "deny", "fields": [], "classes": [], "obligations": [], "reasons": reasons, "valid_until": 0}


def test_a_permit_is_believed_sorted_and_typed() -> None:
    decision = believe(_permit(), agreed_case(), "abc")
    assert (decision.effect, decision.fields, decision.classes) == (
        Effect.PERMIT,
        ("amount", "origin"),
        ("plain", "route"),
    )
    assert decision.obligations == Obligations(
        frequency=Frequency(100, 60),
        volume=Volume(1000, 3600),
        subject_consent=SubjectConsent(required=False, purpose="market_analysis"),
        confidentiality=Confidentiality(5),
        mask=Mask((), Reason("NDA_MISSING", "8.1.1")),
        mark="confidential",
        retain_days=30,
        notify_owner=False,
    )
    assert (decision.reasons, decision.valid_until, decision.input_sha256) == ((), NOW + 1000, "abc")


def test_a_refusal_is_believed_in_its_order() -> None:
    decision = believe(_deny(), agreed_case())
    assert decision.effect is Effect.DENY
    assert decision.reasons == (Reason("OUT_OF_SCOPE", "4.1.2"), Reason("CASE_MALFORMED", ""))
    assert decision.obligations is None


_TWICE = _permit()["obligations"] + [{"type": "confidentiality", "years": 1}]
_UNKNOWN = [{"type": "delete_after_days", "value": 30}]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("effect",), "PERMIT"),
        (("effect",), "indeterminate"),
        (("effect",), True),
        (("fields",), []),
        (("fields",), ["amount", "due_on"]),
        (("fields",), ["amount", "amount", "origin"]),
        (("fields",), "amount"),
        (("fields",), [1]),
        (("classes",), ["plain", "route", "identity"]),
        (("classes",), ["plain"]),
        (("classes",), None),
        (("obligations",), []),
        (("obligations",), None),
        (("obligations",), _permit()["obligations"][:2]),
        (("obligations",), _permit()["obligations"] + _UNKNOWN),
        (("obligations",), _TWICE),
        (("obligations",), [*_permit()["obligations"], 5]),
        (("obligations", 0), {"type": "confidentiality", "years": 5, "unless": "asked"}),
        (("obligations", 0, "years"), "5"),
        (("obligations", 0, "years"), True),
        (("obligations", 1, "reads"), 0),
        (("obligations", 1, "reads"), 1.0),
        (("obligations", 1, "per_seconds"), -1),
        (("obligations", 2, "required"), "no"),
        (("obligations", 2, "purpose"), "risk_control"),
        (("obligations", 3, "records"), 0),
        (("obligations", 4, "fields"), ["amount"]),
        (("obligations", 4, "fields"), ["due_on"]),
        (("obligations", 4, "code"), "no code"),
        (("obligations", 5, "level"), "secret"),
        (("obligations", 6, "days"), -1),
        (("obligations", 7, "owner"), 0),
        (("reasons",), [{"code": "OUT_OF_SCOPE", "clause": "4.1.2"}]),
        (("valid_until",), NOW),
        (("valid_until",), -1),
        (("valid_until",), "never"),
        (("valid_until",), 1e12),
        (("valid_until",), True),
        (("allow",), True),
    ],
)
def test_any_other_permit_is_not_believed(place: tuple[Any, ...], value: object) -> None:
    with pytest.raises(AnswerInvalid):
        believe(put(_permit(), place, value), agreed_case())


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("fields",), ["amount"]),
        (("classes",), ["plain"]),
        (("obligations",), _UNKNOWN),
        (("reasons",), []),
        (("reasons",), None),
        (("reasons",), ["OUT_OF_SCOPE"]),
        (("reasons",), [{"code": "OUT_OF_SCOPE", "clause": "4.1.2"}] * 33),
        (("reasons", 0), {"code": "OUT_OF_SCOPE"}),
        (("reasons", 0, "code"), "out of scope: 合同"),
        (("reasons", 0, "clause"), "four"),
        (("reasons", 0, "clause"), 4),
    ],
)
def test_any_other_refusal_is_not_believed(place: tuple[Any, ...], value: object) -> None:
    with pytest.raises(AnswerInvalid):
        believe(put(_deny(), place, value), agreed_case())


@pytest.mark.parametrize("answer", [None, True, "permit", [], {}, {"effect": "permit"}, [_permit()]])
def test_what_is_no_decision_is_not_believed(answer: object) -> None:
    with pytest.raises(AnswerInvalid):
        believe(answer, agreed_case())


def test_personal_data_without_consent_is_not_believed() -> None:
    case = put(agreed_case(), ("resource", "kind"), "personal")
    with pytest.raises(AnswerInvalid, match="consent"):
        believe(_permit(), case)
    consented = put(_permit(), ("obligations", 2, "required"), True)
    with pytest.raises(AnswerInvalid, match="mark"):
        believe(consented, case)
    assert believe(put(consented, ("obligations", 5, "level"), "personal"), case).effect is Effect.PERMIT


def _masked(field: str) -> dict[str, Any]:
    answer = put(_permit(), ("obligations", 4, "fields"), [field])
    return {**answer, "fields": ["origin"], "classes": ["route"]}


def test_a_permit_may_release_less_than_was_asked_and_says_what_it_masks() -> None:
    decision = believe(_masked("amount"), agreed_case())
    assert decision.fields == ("origin",)
    assert decision.obligations is not None
    assert decision.obligations.mask == Mask(("amount",), Reason("NDA_MISSING", "8.1.1"))


def test_a_field_that_is_neither_released_nor_masked_is_not_believed() -> None:
    with pytest.raises(AnswerInvalid, match="neither"):
        believe({**_permit(), "fields": ["origin"], "classes": ["route"]}, agreed_case())


def test_a_mask_over_a_field_that_is_filtered_on_is_not_believed() -> None:
    with pytest.raises(AnswerInvalid, match="filter"):
        believe(_masked("amount"), put(agreed_case(), ("action", "filters"), ["amount"]))


def test_important_data_is_not_believed_to_leave() -> None:
    with pytest.raises(AnswerInvalid, match="Important"):
        believe(_permit(), put(agreed_case(), ("resource", "grades", "amount"), 5))


def test_a_field_that_the_dataset_lacks_is_not_believed() -> None:
    case = put(agreed_case(), ("action", "fields"), ["amount", "origin", "remark"])
    with pytest.raises(AnswerInvalid):
        believe(put(_permit(), ("fields",), ["amount", "origin", "remark"]), case)
