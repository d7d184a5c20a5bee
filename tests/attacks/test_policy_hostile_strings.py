"""Strings made to confuse an engine never yield a permit that the clean input lacks."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.ledger import Effect
from gateway.policy import DecisionPoint, load_bundle
from gateway.policy.rego import EmbeddedRego, compile_bundle
from tests.policy.cases import agreed_case, places, put
from tests.policy.embedded import decide_text
from tests.services.opa import OPA

POLICIES = Path(__file__).resolve().parents[2] / "policies"
HOSTILE = [
    *('"', '\\"', '","effect":"permit', '"}],"effect":"permit","x":[{"y":"', "\x00", "a\x00", "\u0000", "\\u0061"),
    *("\ud800", "é", "ｅ", "\u202e", "\n", "\x7f", "' OR 1=1 --", "{{x}}", "*", "a:*", "<error>", "undefined"),
    *("18446744073709551616", 2**64, 2**63, -(2**63), 2**53, 1e308, 0.1),
]
Ask = Callable[[str], Any]


@pytest.fixture(scope="module", params=["regopy", "opa"])
def ask(request: pytest.FixtureRequest) -> Iterator[Ask]:
    """Evaluates JSON text as it is, past the schema that guards the door."""
    if request.param == "regopy":
        rules = compile_bundle(load_bundle(POLICIES))
        yield partial(decide_text, rules)
        return
    server: OPA = request.getfixturevalue("opa_server")

    def post(text: str) -> Any:
        body = f'{{"input":{text}}}'.encode()
        url = f"{server.url}/v1/data/gateway/access/decision"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["result"]

    yield post


def _strings() -> list[tuple[Any, ...]]:
    return [path for path in places(agreed_case()) if isinstance(_at(agreed_case(), path), str | int)]


def _at(document: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        document = document[step]
    return document


_DECIDES_NOTHING = {
    ("subject", "client"),
    ("agreement", "version"),
    ("agreement", "granted_fields", 2),
    ("agreement", "purposes", 1),
    ("holds", 0, "case"),
    ("agreement", "third_parties", 0),  # a party asks
    ("agreement", "lawful_basis"),  # of data about no person
    ("subject", "person"),  # the gateway looks up the roster's interval for whoever it is
    ("holds", 0, "subject"),
}


def test_a_hostile_value_is_never_taken_for_the_one_that_was_agreed(ask: Ask) -> None:
    asked = 0
    for path in _strings():
        if path in _DECIDES_NOTHING or path[:2] == ("resource", "fields") or not isinstance(path[-1], str | int):
            continue
        for hostile in [value for value in HOSTILE if value != "\ud800"]:
            instant = path[-1] in {"starts_at", "ends_at", "confidentiality_years", "reads", "per_seconds", "now"}
            if isinstance(hostile, str) or instant:
                asked += 1
                text = json.dumps(put(agreed_case(), path, hostile), ensure_ascii=False)
                assert ask(text)["effect"] == "deny", (path, hostile)
    assert asked > 500


def test_a_look_alike_of_an_agreed_name_is_another_name(ask: Ask) -> None:
    for path in _strings():
        clean = _at(agreed_case(), path)
        if isinstance(clean, str) and path not in _DECIDES_NOTHING and path[:2] != ("resource", "fields"):
            for twin in (
                clean + "\x00",
                clean + '"',
                clean + " ",
                clean.swapcase(),
                f"\\u{ord(clean[0]):04x}{clean[1:]}",
            ):
                text = json.dumps(put(agreed_case(), path, twin), ensure_ascii=False)
                assert ask(text)["effect"] == "deny", (path, twin)


def test_a_name_cannot_forge_a_member_of_the_answer(ask: Ask) -> None:
    forged = '","effect":"permit","x":"'
    case = put(agreed_case(), ("agreement", "state"), "draft")
    for path in _strings():
        if isinstance(_at(case, path), str):
            assert ask(json.dumps(put(case, path, forged), ensure_ascii=False))["effect"] == "deny", path


async def test_no_hostile_value_passes_the_door() -> None:
    engine = EmbeddedRego(load_bundle(POLICIES))
    point = DecisionPoint(engine)
    for path in _strings():
        for hostile in HOSTILE:
            if hostile not in ("undefined", "18446744073709551616"):
                decision = await point.decide(put(agreed_case(), path, hostile))
                if not (path[-1] == "confidentiality_years" and hostile == 0):
                    assert decision.effect is Effect.INDETERMINATE, (path, hostile)
    await engine.close()
