"""What must hold for every input, each stated twice: as a formula for z3, and as a check of an engine's answers.

A claim is broken by one input, or by two that differ as its variation says. `broken` says so of unknown inputs;
`holds` of documents and the answers to them, so that a counter-example can be run on any engine. Neither reads the
rules: a claim is what the rulebook demands, stated a second time and differently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import z3

from tests.policy.smt.asked import Asked, member_at
from tests.policy.smt.unknown import Unknown, Variation
from tests.policy.smt.values import (
    TRUE,
    Dictionary,
    Formula,
    Number,
    Text,
    Truth,
    Value,
    all_of,
    contains,
    equal,
    keys_of,
    members_of,
    no,
    resolved,
)
from tests.policy.smt.variations import another_instant, nothing_varies, withdrawals

Documents = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Claim:
    """One invariant: its name, its clause, and what would break it."""

    name: str
    clause: str
    broken: Callable[[Sequence[Asked]], Formula]
    holds: Callable[[Documents, Documents], bool]
    variation: Callable[[Unknown], Variation] = nothing_varies
    """Where two inputs are compared: how the second differs from the first."""


def _permits(answers: Documents) -> bool:
    return bool(answers[0]["effect"] == "permit")


def _nothing_unmet(asked: Sequence[Asked]) -> Formula:
    (one,) = asked
    grants = members_of(one.at("subject.grants"))

    def covers(grant: Value) -> Formula:
        return all_of(
            [
                lambda: equal(member_at(grant, "agreement"), one.at("agreement.id")),
                lambda: contains(members_of(member_at(grant, "datasets")), one.at("resource.dataset")),
                lambda: contains(members_of(member_at(grant, "actions")), one.at("action.name")),
            ]
        )

    demanded = [
        one.is_one_of("subject.member_state", "admitted"),
        one.is_one_of("resource.owner_state", "admitted"),
        one.is_one_of("subject.client_state", "active"),
        one.is_one_of("agreement.state", "signed"),
        equal(one.at("agreement.owner"), one.at("resource.owner")),
        contains(members_of(one.at("agreement.methods")), one.at("action.method")),
        contains(members_of(one.at("agreement.purposes")), one.at("context.purpose")),
        grants.exists(covers),
        members_of(one.at("action.fields")).exists(lambda _: TRUE),
    ]
    return z3.And(one.answers("permit"), no(z3.And(demanded)))


def _nothing_was_unmet(cases: Documents, answers: Documents) -> bool:
    case, agreement, subject, action = cases[0], cases[0]["agreement"], cases[0]["subject"], cases[0]["action"]
    demanded = (
        subject["member_state"] == case["resource"]["owner_state"] == "admitted"
        and subject["client_state"] == "active"
        and agreement["state"] == "signed"
        and agreement["owner"] == case["resource"]["owner"]
        and action["method"] in agreement["methods"]
        and case["context"]["purpose"] in agreement["purposes"]
        and any(
            grant["agreement"] == agreement["id"]
            and case["resource"]["dataset"] in grant["datasets"]
            and action["name"] in grant["actions"]
            for grant in subject["grants"]
        )
        and bool(action["fields"])
    )
    return demanded or not _permits(answers)


def _held(asked: Sequence[Asked]) -> Formula:
    (one,) = asked
    lifted, now = one.text("lifted"), one.number("context.now")

    def holds(hold: Value) -> Formula:
        return z3.And(_lasts(hold, now), no(equal(member_at(hold, "state"), lifted)))

    return z3.And(one.answers("permit"), members_of(one.at("holds")).exists(holds))


def _was_not_held(cases: Documents, answers: Documents) -> bool:
    case = cases[0]
    return not _permits(answers) or all(hold["state"] == "lifted" or not _lasted(hold, case) for hold in case["holds"])


def _outside_the_term(asked: Sequence[Asked]) -> Formula:
    (one,) = asked
    now = one.number("context.now")
    inside = z3.And(one.number("agreement.starts_at") <= now, now < one.number("agreement.ends_at"))
    return z3.And(one.answers("permit"), no(inside))


def _was_inside_the_term(cases: Documents, answers: Documents) -> bool:
    agreement, now = cases[0]["agreement"], cases[0]["context"]["now"]
    return not _permits(answers) or bool(agreement["starts_at"] <= now < agreement["ends_at"])


def _by_another(asked: Sequence[Asked]) -> Formula:
    (one,) = asked
    asking, now = one.at("subject.member"), one.number("context.now")

    def grants(consent: Value) -> Formula:
        return z3.And(_lasts(consent, now), equal(member_at(consent, "purpose"), one.at("context.purpose")))

    granted = z3.And(
        contains(members_of(one.at("agreement.third_parties")), asking),
        one.is_one_of("agreement.onward", "written_consent"),
        members_of(one.at("onward_consents")).exists(grants),
    )
    is_party = z3.Or(equal(asking, one.at("agreement.recipient")), equal(asking, one.at("agreement.owner")))
    return z3.And(one.answers("permit"), no(is_party), no(granted))


def _was_granted(cases: Documents, answers: Documents) -> bool:
    case, agreement, asking = cases[0], cases[0]["agreement"], cases[0]["subject"]["member"]
    consents = [one for one in case["onward_consents"] if one["purpose"] == case["context"]["purpose"]]
    granted = (
        asking in agreement["third_parties"]
        and agreement["onward"] == "written_consent"
        and any(_lasted(consent, case) for consent in consents)
    )
    return not _permits(answers) or asking in {agreement["recipient"], agreement["owner"]} or granted


def _beyond(asked: Sequence[Asked]) -> Formula:
    (one,) = asked
    name = one.names.any_text("a field")
    allowed = [
        contains(members_of(one.at("action.fields")), name),
        contains(members_of(one.at("agreement.granted_fields")), name),
        contains(keys_of(one.at("resource.fields"), one.text), name),
        z3.Or(_has(one, "resource.confidential", name, one.text("public")), _under_both_ndas(one)),
    ]
    return z3.And(one.releases(name), no(z3.And(allowed)))


def _lasts(interval: Value, now: Any) -> Formula:
    def is_there(known: Value) -> Formula:
        begins, ends = member_at(known, "from"), member_at(known, "until")
        assert isinstance(begins, Number)
        assert isinstance(ends, Number)
        return z3.And(begins.expression <= now, now < ends.expression)

    return resolved(interval, is_there)


def _lasted(interval: Mapping[str, Any] | None, case: Mapping[str, Any]) -> bool:
    return interval is not None and bool(interval["from"] <= case["context"]["now"] < interval["until"])


def _under_both_ndas(one: Asked) -> Formula:
    now = one.number("context.now")
    return z3.And([_lasts(one.at(f"circumstances.{nda}"), now) for nda in ("organisation_nda", "person_nda")])


def _has(one: Asked, path: str, name: Text, value: Value) -> Formula:
    known = one.at(path)
    assert isinstance(known, Dictionary)
    return known.exists(lambda key, member: z3.And(equal(key, name), equal(member, value)))


def _was_within(cases: Documents, answers: Documents) -> bool:
    case = cases[0]
    allowed = {*case["action"]["fields"]} & {*case["agreement"]["granted_fields"]} & case["resource"]["fields"].keys()
    if not all(_lasted(case["circumstances"].get(nda), case) for nda in ("organisation_nda", "person_nda")):
        allowed = {name for name in allowed if case["resource"]["confidential"].get(name) == "public"}
    return bool(allowed.issuperset(answers[0]["fields"]))


def _without_consent(asked: Sequence[Asked]) -> Formula:
    (one,) = asked

    def demands_it(members: Mapping[str, Value]) -> Formula:
        purpose = equal(members["purpose"], one.at("context.purpose"))
        return z3.And(equal(members["required"], Truth(TRUE)), purpose)

    personal = one.is_one_of("resource.kind", "personal")
    return z3.And(one.answers("permit"), personal, no(one.obliges("subject_consent", demands_it)))


def _was_with_consent(cases: Documents, answers: Documents) -> bool:
    demanded = {"type": "subject_consent", "required": True, "purpose": cases[0]["context"]["purpose"]}
    personal = cases[0]["resource"]["kind"] == "personal"
    return not _permits(answers) or not personal or demanded in answers[0]["obligations"]


def _widened(asked: Sequence[Asked]) -> Formula:
    before, after = asked
    name = before.names.any_text("a field")
    asked_for, filters = members_of(before.at("action.fields")), members_of(before.at("action.filters"))
    for_it_alone = z3.And(
        contains(asked_for, name),
        no(asked_for.exists(lambda other: no(equal(other, name)))),
        no(filters.exists(lambda _: TRUE)),
    )
    malformed = before.gives_reason(before.text("CASE_MALFORMED"))
    return z3.And(after.releases(name), for_it_alone, no(before.releases(name)), no(malformed))


def _did_not_widen(cases: Documents, answers: Documents) -> bool:
    action, (before, after) = cases[0]["action"], answers
    alone = not action["filters"] and len(set(action["fields"])) == 1
    left = {*after["fields"]} & {*action["fields"]}
    return not alone or left <= {*before["fields"]} or before["reasons"] == [_MALFORMED]


def _changed_early(asked: Sequence[Asked]) -> Formula:
    first, later = asked
    end = z3.Int("valid_until")
    name, code = first.names.any_text("a field"), first.names.any_text("a code")
    same = z3.And(
        first.answers("permit") == later.answers("permit"),
        first.releases(name) == later.releases(name),
        first.gives_reason(code) == later.gives_reason(code),
        later.is_valid_until(end),
    )
    now, then = first.number("context.now"), later.number("context.now")
    return z3.And(first.is_valid_until(end), now <= then, then < end, no(same))


def _stayed_the_same(cases: Documents, answers: Documents) -> bool:
    first, later = (case["context"]["now"] for case in cases)
    return not first <= later < answers[0]["valid_until"] or _comparable(answers[0]) == _comparable(answers[1])


def _comparable(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {name: sorted(value, key=str) if isinstance(value, list) else value for name, value in answer.items()}


def _not_one_answer(asked: Sequence[Asked]) -> Formula:
    (one,) = asked
    permit, deny = one.answers("permit"), one.answers("deny")
    reasons, fields, obligations = (one.has_any(part) for part in ("reasons", "fields", "obligations"))
    return z3.Or(permit == deny, z3.And(permit, reasons), z3.And(deny, z3.Or(fields, obligations)))


def _was_one_answer(_: Documents, answers: Documents) -> bool:
    answer = answers[0]
    if answer["effect"] == "permit":
        return not answer["reasons"]
    return answer["effect"] == "deny" and not answer["fields"] and not answer["obligations"]


def _too_secret(asked: Sequence[Asked]) -> Formula:
    (one,) = asked
    clearance = one.number("subject.clearance")

    def is_above(grade: Value) -> Formula:
        assert isinstance(grade, Number)
        return z3.Or(grade.expression > clearance, grade.expression > _HIGHEST_SHAREABLE)

    grades = one.at("resource.grades")
    assert isinstance(grades, Dictionary)
    return grades.exists(lambda name, grade: z3.And(is_above(grade), one.releases(name)))


def _was_cleared(cases: Documents, answers: Documents) -> bool:
    grades, clearance = cases[0]["resource"]["grades"], cases[0]["subject"]["clearance"]
    return all(grades[name] <= min(clearance, _HIGHEST_SHAREABLE) for name in answers[0]["fields"])


_HIGHEST_SHAREABLE: Final = 4
_MALFORMED: Final = {"code": "CASE_MALFORMED", "clause": ""}

CLAIMS: Final = (
    Claim("nothing is permitted while a requirement is unmet", "2.2.3", _nothing_unmet, _nothing_was_unmet),
    Claim("a hold that is not lifted dominates", "7.2.3", _held, _was_not_held),
    Claim("nothing is permitted before or after the term", "2.3.2", _outside_the_term, _was_inside_the_term),
    Claim("nothing is permitted to a third party without a grant", "8.2.2", _by_another, _was_granted),
    Claim("fields are requested, granted, there, and public or under both NDAs", "8.1.1", _beyond, _was_within),
    Claim("no field is graded above the clearance, or is important or core data", "4.1.3", _too_secret, _was_cleared),
    Claim("personal data demands the person's consent", "4.3.1", _without_consent, _was_with_consent),
    Claim(
        "what leaves after anything is withdrawn could have left before", "4.2.2", _widened, _did_not_widen, withdrawals
    ),
    Claim("an answer is constant until valid_until", "2.3.2", _changed_early, _stayed_the_same, another_instant),
    Claim("there is exactly one answer, and a refusal grants nothing", "1.1", _not_one_answer, _was_one_answer),
)


def claim(name: str) -> Claim:
    """The claim of that name."""
    return next(one for one in CLAIMS if one.name == name)
