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
_HIGHEST_SHAREABLE_GRADE = 4
_MOST_DAYS = 100 * 366


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
class Volume:
    """At most `records` records in each window of `per_seconds` (clause 4.1.2); counted by the ledger."""

    records: int
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
class Mask:
    """The requested fields that do not leave, and why (clause 8.1.1); none, if all do."""

    fields: tuple[str, ...]
    reason: Reason


MARKS = ("none", "confidential", "personal")
"""What copies may have to be marked as, from nothing to the strictest."""


@dataclass(frozen=True, slots=True)
class Obligations:
    """What comes with a permit: exactly one of each closed type.

    `mark` is one of `MARKS`, which the recipient's copies carry (clause 4.1.3). `retain_days` is how long the
    recipient may keep them, 0 where the terms do not say. `notify_owner`: a third party received them (clause 8.2.2).
    """

    frequency: Frequency
    volume: Volume
    subject_consent: SubjectConsent
    confidentiality: Confidentiality
    mask: Mask
    mark: str
    retain_days: int
    notify_owner: bool


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

    Anything unexpected is `AnswerInvalid`: another member or effect, a field that was not requested, a requested
    one that is neither released nor masked, a class that is not of the fields, an obligation missing, twice, or
    unknown, personal data without consent, important or core data.
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
    if any(case["resource"]["grades"][field] > _HIGHEST_SHAREABLE_GRADE for field in fields):
        raise AnswerInvalid("Important or core data would leave.")
    if members["reasons"] != []:
        raise AnswerInvalid("A permit gives reasons for a refusal.")
    return Decision(
        Effect.PERMIT,
        fields=tuple(sorted(fields)),
        classes=tuple(sorted(classes)),
        obligations=_obligations(members["obligations"], case, fields),
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


_MEMBERS: dict[str, set[str]] = {
    "frequency": {"reads", "per_seconds"},
    "volume": {"records", "per_seconds"},
    "subject_consent": {"required", "purpose"},
    "confidentiality": {"years"},
    "mask": {"fields", "code", "clause"},
    "mark": {"level"},
    "retain_until": {"days"},
    "notify": {"owner"},
}
"""The closed types of obligations, with the members of each."""


def _obligations(value: Any, case: Mapping[str, Any], released: set[str]) -> Obligations:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise AnswerInvalid("The obligations are no list of objects.")
    by_type = {item["type"]: item for item in value if isinstance(item.get("type"), str)}
    if by_type.keys() != _MEMBERS.keys() or len(value) != len(by_type):
        raise AnswerInvalid("An obligation is missing, twice, or unknown.")
    for kind, names in _MEMBERS.items():
        _members(by_type[kind], {"type", *names})
    frequency, volume = by_type["frequency"], by_type["volume"]
    return Obligations(
        frequency=Frequency(_positive(frequency["reads"], "reads"), _positive(frequency["per_seconds"], "per_seconds")),
        volume=Volume(_positive(volume["records"], "records"), _positive(volume["per_seconds"], "per_seconds")),
        subject_consent=_subject_consent(by_type["subject_consent"], case),
        confidentiality=Confidentiality(_whole(by_type["confidentiality"]["years"], "years")),
        mask=_mask(by_type["mask"], case, released),
        mark=_mark(by_type["mark"]["level"], case),
        retain_days=_days(by_type["retain_until"]["days"]),
        notify_owner=_truth(by_type["notify"]["owner"], "owner"),
    )


def _mask(members: Mapping[str, Any], case: Mapping[str, Any], released: set[str]) -> Mask:
    masked = _names(members["fields"], "mask")
    if masked & released or masked | released != set(case["action"]["fields"]):
        raise AnswerInvalid("A requested field is neither released nor masked, or both.")
    if masked & set(case["action"]["filters"]):
        raise AnswerInvalid("A filter asks about a field that is masked.")
    return Mask(tuple(sorted(masked)), _reason({"code": members["code"], "clause": members["clause"]}))


def _mark(level: Any, case: Mapping[str, Any]) -> str:
    if level not in MARKS or (case["resource"]["kind"] == "personal" and level != "personal"):
        raise AnswerInvalid("The mark is unknown, or personal data would leave without its own.")
    return str(level)


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


def _days(value: Any) -> int:
    if _whole(value, "days") > _MOST_DAYS:
        raise AnswerInvalid("days is more than a hundred years.")
    return int(value)


def _truth(value: Any, what: str) -> bool:
    if not isinstance(value, bool):
        raise AnswerInvalid(f"{what} is neither true nor false.")
    return value


def _positive(value: Any, what: str) -> int:
    if _whole(value, what) == 0:
        raise AnswerInvalid(f"{what} is zero.")
    return int(value)
