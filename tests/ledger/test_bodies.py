"""Bodies are RFC 8785 canonical JSON, by comparison with an independent implementation."""

from __future__ import annotations

from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.canonical import canonical, parse_canonical
from gateway.errors import TooLarge
from gateway.ledger import Draft, Kind
from gateway.ledger.bodies import BODY_LIMIT, RESERVED, prepare

_KEYS = st.text(st.characters(codec="ascii"), max_size=12)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1)
_VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(_VALUES)
def test_canonical_gives_the_bytes_of_rfc_8785(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(_KEYS.filter(lambda key: key not in RESERVED), _VALUES, max_size=6),
    st.integers(0, 2**50),
    st.integers(0, 2**48),
)
def test_a_body_is_canonical_whatever_its_facts(facts: dict[str, Any], seq: int, time_ms: int) -> None:
    draft = Draft(log="log", kind=Kind.ADMIN, facts=facts)
    prepared = prepare(draft, event_id="event", origin="alliance.example/log", node="node", boot_id="boot")
    body = prepared.body(seq, "A" * 43, time_ms)
    assert len(body) < BODY_LIMIT
    value = parse_canonical(body)
    assert body == rfc8785.dumps(value)
    assert {name: value[name] for name in facts} == facts
    assert (value["node_seq"], value["prev_node_hash"], value["time"]) == (seq, "A" * 43, time_ms)


def test_no_late_value_brings_an_accepted_body_to_the_limit() -> None:
    """The numbers that a transaction fills in are counted at their longest before the entry waits for it."""

    def longest_body(length: int) -> int:
        draft = Draft(log="log", kind=Kind.ADMIN, facts={"text": "x" * length})
        prepared = prepare(draft, event_id="event", origin="alliance.example/log", node="node", boot_id="boot")
        return len(prepared.body(2**53 - 1, "A" * 43, 2**53 - 1))

    room = BODY_LIMIT - 1 - longest_body(0)
    assert longest_body(room) == BODY_LIMIT - 1
    with pytest.raises(TooLarge):
        longest_body(room + 1)
