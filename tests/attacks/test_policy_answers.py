"""A server that speaks OPA's protocol and lies: whatever it answers, nothing is permitted and nothing raises."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gateway.ledger import Effect
from gateway.policy import DecisionPoint, load_bundle
from gateway.policy.opa import OpaServer
from tests.policy.cases import agreed_case

DIGEST = load_bundle(Path(__file__).resolve().parents[2] / "policies").digest


class LyingServer(ThreadingHTTPServer):
    """Answers every question with the same prepared bytes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.status, self.body, self.delay_s, self.kind = 200, b"", 0.0, "application/json"
        self.asked: list[tuple[str, bytes]] = []


class _Answer(BaseHTTPRequestHandler):
    server: LyingServer

    def do_POST(self) -> None:
        self.server.asked.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        time.sleep(self.server.delay_s)
        self.send_response(self.server.status)
        self.send_header("Content-Type", self.server.kind)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def liar() -> Iterator[LyingServer]:
    with LyingServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


_PERMIT: dict[str, Any] = {
    "effect": "permit",
    "fields": ["amount", "origin"],
    "classes": ["plain", "route"],
    "obligations": [
        {"type": "frequency", "reads": 100, "per_seconds": 60},
        {"type": "subject_consent", "required": False, "purpose": "market_analysis"},
        {"type": "confidentiality", "years": 5},
        {"type": "volume", "records": 1000, "per_seconds": 3600},
        {"type": "mask", "fields": [], "code": "NDA_MISSING", "clause": "8.1.1"},
        {"type": "mark", "level": "confidential"},
        {"type": "retain_until", "days": 30},
        {"type": "notify", "owner": False},
    ],
    "reasons": [],
    "valid_until": 1_767_226_600,
}
_OURS = {"bundles": {"gateway": {"revision": DIGEST}}}


def _said(result: Any = _PERMIT, provenance: Any = _OURS) -> bytes:
    return json.dumps({"result": result, "provenance": provenance}).encode()


async def _decide(liar: LyingServer, *, timeout_s: float = 10) -> Effect:
    engine = OpaServer(DIGEST, host="127.0.0.1", port=liar.server_address[1], timeout_s=timeout_s)
    await engine.open()
    point = DecisionPoint(engine)
    point._proven = True
    try:
        return (await point.decide(agreed_case())).effect
    finally:
        await point.close()


async def test_the_prepared_permit_would_be_believed_of_the_right_policy(liar: LyingServer) -> None:
    liar.body = _said()
    assert await _decide(liar) is Effect.PERMIT
    path, body = liar.asked[0]
    assert path == "/v1/data/gateway/access/decision?provenance=True"
    assert json.loads(body) == {"input": agreed_case()}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b"{}",
        b'{"warning": {"code": "api_usage_warning"}}',
        json.dumps({"result": _PERMIT}).encode(),
        _said(provenance=None),
        _said(provenance={}),
        _said(provenance={"bundles": []}),
        _said(provenance={"bundles": {}}),
        _said(provenance={"bundles": {"gateway": None}}),
        _said(provenance={"bundles": {"gateway": {"revision": "0" * 64}}}),
        _said(provenance={"bundles": {"one": {"revision": DIGEST}, "two": {"revision": DIGEST}}}),
        _said(provenance={"revision": DIGEST}),
        _said(result=None),
        _said(result=True),
        _said(result="permit"),
        _said(result={**_PERMIT, "fields": ["amount", "name"]}),
        _said(result={**_PERMIT, "obligations": []}),
        _said(result={**_PERMIT, "obligations": [*_PERMIT["obligations"], {"type": "watermark"}]}),
        _said(result={**_PERMIT, "reasons": [{"code": "NO", "clause": ""}]}),
        _said(result={**_PERMIT, "allow": True}),
        _said(result={**_PERMIT, "valid_until": 5}),
        _said(result={**_PERMIT, "effect": "Permit"}),
    ],
)
async def test_a_lie_is_indeterminate(liar: LyingServer, body: bytes) -> None:
    liar.body = body
    assert await _decide(liar) is Effect.INDETERMINATE


@pytest.mark.parametrize("status", [204, 400, 401, 403, 404, 500, 502, 503, 504])
async def test_a_permit_with_another_status_is_asked_for_once_and_not_believed(liar: LyingServer, status: int) -> None:
    liar.status, liar.body = status, _said()
    effect = await _decide(liar)
    assert len(liar.asked) == 1
    assert effect is Effect.INDETERMINATE


async def test_a_permit_that_comes_too_late_is_not_believed(liar: LyingServer) -> None:
    liar.body, liar.delay_s = _said(), 1
    assert await _decide(liar, timeout_s=0.25) is Effect.INDETERMINATE


async def test_a_permit_of_another_kind_is_not_believed(liar: LyingServer) -> None:
    liar.body, liar.kind = _said(), "text/html"
    assert await _decide(liar) is Effect.INDETERMINATE
