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
from tests.policy.smt.values import TRUE, Formula, Truth, Value, all_of, contains, equal, keys_of, members_of, no
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
    lifted = one.text("lifted")
    holds = members_of(one.at("holds"))
    return z3.And(one.answers("permit"), holds.exists(lambda hold: no(equal(member_at(hold, "state"), lifted))))


def _was_not_held(cases: Documents, answers: Documents) -> bool:
    return not _permits(answers) or all(hold["state"] == "lifted" for hold in cases[0]["holds"])


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
    return z3.And(one.answers("permit"), no(equal(one.at("subject.member"), one.at("agreement.recipient"))))


def _was_by_the_recipient(cases: Documents, answers: Documents) -> bool:
    return not _permits(answers) or bool(cases[0]["subject"]["member"] == cases[0]["agreement"]["recipient"])


def _beyond(asked: Sequence[Asked]) -> Formula:
    (one,) = asked
    name = one.names.any_text("a field")
    allowed = [
        contains(members_of(one.at("action.fields")), name),
        contains(members_of(one.at("agreement.granted_fields")), name),
        contains(keys_of(one.at("resource.fields"), one.text), name),
    ]
    return z3.And(one.releases(name), no(z3.And(allowed)))


def _was_within(cases: Documents, answers: Documents) -> bool:
    case = cases[0]
    allowed = {*case["action"]["fields"]} & {*case["agreement"]["granted_fields"]} & case["resource"]["fields"].keys()
    return allowed.issuperset(answers[0]["fields"])


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
    return z3.And(after.releases(name), no(before.releases(name)))


def _did_not_widen(_: Documents, answers: Documents) -> bool:
    before, after = answers
    return set(after["fields"]) <= set(before["fields"])


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


CLAIMS: Final = (
    Claim("nothing is permitted while a requirement is unmet", "2.2.3", _nothing_unmet, _nothing_was_unmet),
    Claim("a hold that is not lifted dominates", "7.2.3", _held, _was_not_held),
    Claim("nothing is permitted before or after the term", "2.3.2", _outside_the_term, _was_inside_the_term),
    Claim("nothing is permitted to a third party without a grant", "8.2.2", _by_another, _was_by_the_recipient),
    Claim("fields are requested, granted and there", "4.1.2", _beyond, _was_within),
    Claim("personal data demands the person's consent", "4.3.1", _without_consent, _was_with_consent),
    Claim("withdrawing anything never widens", "4.2.2", _widened, _did_not_widen, withdrawals),
    Claim("an answer is constant until valid_until", "2.3.2", _changed_early, _stayed_the_same, another_instant),
    Claim("there is exactly one answer, and a refusal grants nothing", "1.1", _not_one_answer, _was_one_answer),
)


def claim(name: str) -> Claim:
    """The claim of that name."""
    return next(one for one in CLAIMS if one.name == name)
