"""What a decision is, and what of an engine's answer is believed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.errors import GatewayError, Reason
from gateway.ledger import Effect

_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_CLAUSE = re.compile(r"([0-9]{1,3}(\.[0-9]{1,3}){0,4})?")
_MOST_REASONS = 32


class AnswerInvalid(GatewayError):
    """An engine answered something that is no decision about the case. The detail quotes nothing of it."""

    def __init__(self, detail: str) -> None:
        super().__init__("policy_answer_invalid", detail)


@dataclass(frozen=True, slots=True)
class Frequency:
    """At most `reads` accesses in each window of `per_seconds` (clause 4.1.2); counted by the ledger."""

    reads: int
    per_seconds: int


@dataclass(frozen=True, slots=True)
class SubjectConsent:
    """If `required`, only records whose subject consents to `purpose` leave (clauses 4.3.1, 4.3.2)."""

    required: bool
    purpose: str


@dataclass(frozen=True, slots=True)
class Confidentiality:
    """For how many years the recipient keeps what it receives secret (clause 8.3)."""

    years: int


@dataclass(frozen=True, slots=True)
class Obligations:
    """What comes with a permit: exactly one of each closed type."""

    frequency: Frequency
    subject_consent: SubjectConsent
    confidentiality: Confidentiality


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one case.

    `fields` (a subset of those requested) and `classes` (of exactly these fields) are sorted, and empty unless
    `effect` is permit; `obligations` is there with a permit alone. `reasons` names every unmet requirement in
    the order of the rulebook's decision order, or why there is no answer. The answer holds from the instant
    that was decided until just before `valid_until` (epoch seconds; 0: for this instant only).
    `input_sha256` is the hex SHA-256 of the canonical case, '' where the case itself was refused; `case_sha256`
    that of the canonical case without its instant, '' where there is no answer.
    """

    effect: Effect
    fields: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    obligations: Obligations | None = None
    reasons: tuple[Reason, ...] = ()
    valid_until: int = 0
    input_sha256: str = ""
    case_sha256: str = ""


def indeterminate(code: str, input_sha256: str = "") -> Decision:
    """No answer: neither yes nor no, and never remembered."""
    return Decision(Effect.INDETERMINATE, reasons=(Reason(code),), input_sha256=input_sha256)


def believe(answer: Any, case: Mapping[str, Any], input_sha256: str = "") -> Decision:
    """The decision that an engine's answer states about a well-formed `case`.

    Anything unexpected is `AnswerInvalid`: another member or effect, a field that was not requested, a class
    that is not of the fields, an obligation missing, twice, or unknown, personal data without consent.
    """
    members = _members(answer, {"effect", "fields", "classes", "obligations", "reasons", "valid_until"})
    valid_until = _whole(members["valid_until"], "valid_until")
    if 0 < valid_until <= case["context"]["now"]:
        raise AnswerInvalid("valid_until has passed already.")
    if members["effect"] == "permit":
        return _permit(members, case, valid_until, input_sha256)
    if members["effect"] == "deny":
        return _deny(members, valid_until, input_sha256)
    raise AnswerInvalid("The effect is neither permit nor deny.")


def _permit(members: Mapping[str, Any], case: Mapping[str, Any], valid_until: int, input_sha256: str) -> Decision:
    fields = _names(members["fields"], "fields")
    classes = _names(members["classes"], "classes")
    of_field = case["resource"]["fields"]
    if not fields or not fields <= set(case["action"]["fields"]) or not fields <= of_field.keys():
        raise AnswerInvalid("The fields are none, or not among those requested.")
    if classes != {of_field[field] for field in fields}:
        raise AnswerInvalid("The classes are not those of the fields.")
    if members["reasons"] != []:
        raise AnswerInvalid("A permit gives reasons for a refusal.")
    return Decision(
        Effect.PERMIT,
        fields=tuple(sorted(fields)),
        classes=tuple(sorted(classes)),
        obligations=_obligations(members["obligations"], case),
        valid_until=valid_until,
        input_sha256=input_sha256,
    )


def _deny(members: Mapping[str, Any], valid_until: int, input_sha256: str) -> Decision:
    if any(members[name] != [] for name in ("fields", "classes", "obligations")):
        raise AnswerInvalid("A refusal grants something.")
    reasons = members["reasons"]
    if not isinstance(reasons, list) or not 0 < len(reasons) <= _MOST_REASONS:
        raise AnswerInvalid("A refusal gives no reasons.")
    return Decision(
        Effect.DENY,
        reasons=tuple(_reason(reason) for reason in reasons),
        valid_until=valid_until,
        input_sha256=input_sha256,
    )


def _reason(value: Any) -> Reason:
    members = _members(value, {"code", "clause"})
    code, clause = members["code"], members["clause"]
    if not (isinstance(code, str) and _CODE.fullmatch(code) and isinstance(clause, str) and _CLAUSE.fullmatch(clause)):
        raise AnswerInvalid("A reason is not a code with a clause.")
    return Reason(code, clause)


def _obligations(value: Any, case: Mapping[str, Any]) -> Obligations:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise AnswerInvalid("The obligations are no list of objects.")
    by_type = {item["type"]: item for item in value if isinstance(item.get("type"), str)}
    if by_type.keys() != {"frequency", "subject_consent", "confidentiality"} or len(value) != len(by_type):
        raise AnswerInvalid("An obligation is missing, twice, or unknown.")
    frequency = _members(by_type["frequency"], {"type", "reads", "per_seconds"})
    consent = _members(by_type["subject_consent"], {"type", "required", "purpose"})
    confidentiality = _members(by_type["confidentiality"], {"type", "years"})
    return Obligations(
        Frequency(_positive(frequency["reads"], "reads"), _positive(frequency["per_seconds"], "per_seconds")),
        _subject_consent(consent, case),
        Confidentiality(_whole(confidentiality["years"], "years")),
    )


def _subject_consent(members: Mapping[str, Any], case: Mapping[str, Any]) -> SubjectConsent:
    required, purpose = members["required"], members["purpose"]
    if not isinstance(required, bool) or (case["resource"]["kind"] == "personal" and not required):
        raise AnswerInvalid("Personal data without the consent of its subjects.")
    if purpose != case["context"]["purpose"]:
        raise AnswerInvalid("The consent asked for is not for the purpose asked for.")
    return SubjectConsent(required, purpose)


def _members(value: Any, names: set[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict) or value.keys() != names:
        raise AnswerInvalid(f"An object has other members than {', '.join(sorted(names))}.")
    return value


def _names(value: Any, what: str) -> set[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise AnswerInvalid(f"{what} is no list of strings.")
    names = set(value)
    if len(names) != len(value):
        raise AnswerInvalid(f"{what} repeats a name.")
    return names


def _whole(value: Any, what: str) -> int:
    if type(value) is not int or not 0 <= value < 2**53:
        raise AnswerInvalid(f"{what} is no integer from 0 to 2**53 - 1.")
    return value


def _positive(value: Any, what: str) -> int:
    if _whole(value, what) == 0:
        raise AnswerInvalid(f"{what} is zero.")
    return int(value)
