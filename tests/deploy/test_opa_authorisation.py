"""The OPA server of the production set answers its one caller, and nothing but decisions."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.opa import OPA

_DECISION = "/v1/data/gateway/access/decision"


@pytest.fixture(scope="module")
def guarded(opa_binary: Path) -> Iterator[OPA]:
    with OPA(opa_binary, token="of-the-gateway") as server:
        yield server


def _ask(server: OPA, method: str, path: str, token: str | None) -> int:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    body = b'{"input": {}}' if method != "GET" else None
    request = urllib.request.Request(server.url + path, data=body, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            status: int = answer.status
    except urllib.error.HTTPError as refused:
        with refused:
            status = refused.code
    return status


def test_the_caller_gets_decisions(guarded: OPA) -> None:
    assert _ask(guarded, "POST", _DECISION, "of-the-gateway") == 200


@pytest.mark.parametrize("token", [None, "", "of-somebody-else"])
def test_nobody_else_does(guarded: OPA, token: str | None) -> None:
    assert _ask(guarded, "POST", _DECISION, token) == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/data/caller"),
        ("POST", "/v1/data/caller"),
        ("POST", "/v1/data"),
        ("GET", "/v1/policies"),
        ("PUT", _DECISION),
        ("DELETE", "/v1/policies/gateway"),
        ("POST", "/v1/query"),
    ],
)
def test_the_caller_gets_nothing_but_decisions(guarded: OPA, method: str, path: str) -> None:
    assert _ask(guarded, method, path, "of-the-gateway") == 401
