"""The demo's receiver of webhooks believes nobody but the gateway, so what the demo tells of it was verified."""

from __future__ import annotations

import time
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.demo.inbox import Inbox
from gateway.identity.signed_responses import webhook_content

KEY = Ed25519PrivateKey.generate()
CONTENT = b'{"type":"consent.withdrawn","data":{"consent":"c1"}}'


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inbox:
    published = urlsafe_b64encode(KEY.public_key().public_bytes_raw()).decode().rstrip("=")
    keys = {"keys": [{"kty": "EC", "crv": "P-256"}, {"kty": "OKP", "crv": "Ed25519", "x": published}]}
    monkeypatch.setattr("gateway.demo.inbox.requests.get", lambda *_, **__: SimpleNamespace(json=lambda: keys))
    return Inbox(tmp_path, "http://127.0.0.1:1")


def _headers(key: Ed25519PrivateKey = KEY, age_s: int = 0) -> dict[str, str]:
    at = str(int(time.time()) - age_s)
    signature = b64encode(key.sign(webhook_content("m1", at, CONTENT))).decode()
    return {"Webhook-Id": "m1", "Webhook-Timestamp": at, "Webhook-Signature": f"v1a,{signature}"}


def test_what_the_gateway_signed_is_taken(inbox: Inbox) -> None:
    assert inbox.take(_headers(), CONTENT) == 204
    assert inbox.told_of("c1")["type"] == "consent.withdrawn"


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({}, CONTENT),
        (_headers(Ed25519PrivateKey.generate()), CONTENT),
        (_headers(), CONTENT.replace(b"c1", b"c2")),
        (_headers() | {"Webhook-Id": "m2"}, CONTENT),
        (_headers(age_s=3600), CONTENT),
        (_headers() | {"Webhook-Timestamp": "soon"}, CONTENT),
    ],
    ids=["unsigned", "another key", "altered", "another id", "old", "no instant"],
)
def test_forged_altered_and_old_messages_are_not(inbox: Inbox, headers: dict[str, str], content: bytes) -> None:
    assert inbox.take(headers, content) == 401


def test_while_it_is_down_it_takes_nothing(inbox: Inbox) -> None:
    inbox.is_down = True
    assert inbox.take(_headers(), CONTENT) == 503
