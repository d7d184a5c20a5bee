"""How a second input may differ from a first: everything that can be withdrawn, or the instant alone."""

from __future__ import annotations

from typing import Any

import z3

from tests.policy.smt.unknown import Change, Unknown, Variation


def nothing_varies(_: Unknown) -> Variation:
    """The claim is about one input."""
    return {}


def another_instant(_: Unknown) -> Variation:
    """The same question at any other instant."""
    return {"context.now": lambda _, new: new}


def withdrawals(names: Unknown) -> Variation:
    """Whatever can be taken away, each by itself and all together: terms, token, standing, holds, time, signature."""
    return {
        "subject.member_state": _turned_from(names, "admitted"),
        "resource.owner_state": _turned_from(names, "admitted"),
        "subject.client_state": _turned_from(names, "active"),
        "agreement.state": _turned_from(names, "signed"),
        "action.signature": _turned_to(names, "none"),
        "subject.grants": _fewer,
        "subject.grants.datasets": _fewer,
        "subject.grants.purposes": _fewer,
        "subject.grants.actions": _fewer,
        "agreement.granted_fields": _fewer,
        "agreement.purposes": _fewer,
        "agreement.methods": _fewer,
        "agreement.starts_at": _later,
        "agreement.ends_at": _earlier,
        "agreement.signed_messages.actions": _more,
        "holds": _more,
        "holds.state": _turned_from(names, "lifted"),
    }


def _fewer(old: Any, new: Any) -> Any:
    return z3.And(old, new)


def _more(old: Any, new: Any) -> Any:
    return z3.Or(old, new)


def _earlier(old: Any, new: Any) -> Any:
    return z3.If(new < old, new, old)


def _later(old: Any, new: Any) -> Any:
    return z3.If(new > old, new, old)


def _turned_from(names: Unknown, giving: str) -> Change:
    """A name that may have become any but the one that gives something."""
    return lambda old, new: z3.If(new == names.text(giving).expression, old, new)


def _turned_to(names: Unknown, taking: str) -> Change:
    """A name that may have become this one."""
    return lambda old, new: z3.If(new == names.text(taking).expression, new, old)
