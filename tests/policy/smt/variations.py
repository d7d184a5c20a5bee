"""How a second input may differ from a first: everything that can be withdrawn, or the instant alone."""

from __future__ import annotations

from typing import Any

import z3

from gateway.policy import CIRCUMSTANCES
from tests.policy.smt.unknown import LARGEST, Change, Unknown, Variation


def nothing_varies(_: Unknown) -> Variation:
    """The claim is about one input."""
    return {}


def another_instant(_: Unknown) -> Variation:
    """The same question at any other instant."""
    return {"context.now": _any}


def withdrawals(names: Unknown) -> Variation:
    """Whatever can be taken away, each by itself and all together: standing, token, terms, circumstances, time.

    The second request may ask for other fields than the first.
    """
    return {
        "action.fields": _any,
        "action.filters": _any,
        "subject.member_state": _turned_from(names, "admitted"),
        "resource.owner_state": _turned_from(names, "admitted"),
        "subject.client_state": _turned_from(names, "active"),
        "subject.qualified_until": _lower,
        "resource.owner_qualified_until": _lower,
        "subject.clearance": _lower,
        "resource.grades.*": _higher,
        "resource.confidential.*": _turned_from(names, "public"),
        "action.signature": _turned_to(names, "none"),
        "subject.grants": _fewer,
        "subject.grants.datasets": _fewer,
        "subject.grants.purposes": _fewer,
        "subject.grants.actions": _fewer,
        "agreement.state": _turned_from(names, "signed"),
        "agreement.granted_fields": _fewer,
        "agreement.purposes": _fewer,
        "agreement.methods": _fewer,
        "agreement.starts_at": _higher,
        "agreement.ends_at": _lower,
        "agreement.lawful_basis": _turned_to(names, "none"),
        "agreement.third_parties": _fewer,
        "agreement.onward": _turned_to(names, "forbidden"),
        "agreement.signed_messages.actions": _more,
        **{f"circumstances.{name}": _fewer for name in CIRCUMSTANCES},
        **_shorter(*(f"circumstances.{name}" for name in CIRCUMSTANCES)),
        "onward_consents": _fewer,
        **_shorter("onward_consents"),
        "holds": _more,
        "holds.state": lambda old, new: z3.If(old == names.text("lifted").expression, new, old),
        "holds.from": _lower,
        "holds.until": _higher,
    }


def _shorter(*intervals: str) -> Variation:
    """Intervals that begin later and end earlier."""
    begins = {f"{path}.from": _higher for path in intervals}
    return begins | {f"{path}.until": _lower for path in intervals}


def _any(_: Any, new: Any) -> Any:
    return new


def _fewer(old: Any, new: Any) -> Any:
    return z3.And(old, new)


def _more(old: Any, new: Any) -> Any:
    return z3.Or(old, new)


def _lower(old: Any, new: Any) -> Any:
    return z3.If(z3.And(new >= 0, new < old, old <= LARGEST), new, old)


def _higher(old: Any, new: Any) -> Any:
    return z3.If(z3.And(old >= 0, old < new, new <= LARGEST), new, old)


def _turned_from(names: Unknown, giving: str) -> Change:
    """A name that may have become any but the one that gives something."""
    return lambda old, new: z3.If(new == names.text(giving).expression, old, new)


def _turned_to(names: Unknown, taking: str) -> Change:
    """A name that may have become this one."""
    return lambda old, new: z3.If(new == names.text(taking).expression, new, old)
