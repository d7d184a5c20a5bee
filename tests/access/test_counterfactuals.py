"""What would have changed a decision is read off the rules, whatever these call the parts of the case."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.access.counterfactuals import Change, Counterfactuals
from gateway.policy import DecisionPoint, load_bundle
from gateway.policy.rego import EmbeddedRego
from tests.alliance import POLICIES
from tests.policy.cases import ALWAYS, NEVER, agreed_case, put


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (
            ("context", "purpose"),
            "curiosity",
            [
                Change("PURPOSE_UNKNOWN", "context.purpose", "curiosity", "market_analysis"),
                Change("PURPOSE_NOT_AGREED", "context.purpose", "curiosity", "market_analysis"),
            ],
        ),
        (
            ("agreement", "signed_messages", "profile"),
            "profile-2",
            [Change("MESSAGE_SIGNATURE_REQUIRED", "agreement.signed_messages.profile", "profile-2", "profile-1")],
        ),
        (
            ("agreement", "state"),
            "draft",
            [Change("AGREEMENT_NOT_IN_FORCE", "agreement.state", "draft", "signed")],
        ),
        (
            ("circumstances",),
            {name: one for name, one in agreed_case()["circumstances"].items() if name != "roster"},
            [Change("NOT_NEED_TO_KNOW", "circumstances.roster", NEVER, ALWAYS)],
        ),
    ],
)
async def test_one_fact_that_would_have_met_a_requirement_is_named(
    path: tuple[str, ...], value: Any, told: list[Change]
) -> None:
    bundle = load_bundle(POLICIES)
    decisions = DecisionPoint(EmbeddedRego(bundle))
    case = put(agreed_case(), path, value)
    codes = [reason.code for reason in (await decisions.decide(case)).reasons]
    assert await Counterfactuals(decisions, bundle).that_meet(case, codes) == told
    await decisions.close()
