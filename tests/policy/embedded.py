"""The embedded engine asked about any JSON at all, of which the gateway's schema would let little in."""

from __future__ import annotations

import json
from typing import Any

from gateway.policy.bundle import ENTRYPOINT
from gateway.policy.rego import CompiledRules


def decide(rules: CompiledRules, document: Any) -> Any:
    """The answer of `decision`, which looks at the guards of types, as a server does for its callers."""
    return decide_text(rules, json.dumps(document, ensure_ascii=False, sort_keys=True))


def decide_text(rules: CompiledRules, text: str) -> Any:
    """The same of JSON as it is written."""
    rules.interpreter.set_input_term(text)
    return rules.answer(ENTRYPOINT)
