"""Signed answers, pushes and webhooks. Answers by the draft profile `fapi-2_0-http-signatures` of FAPI 2.0: bound to
the request they answer."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.clock import Clock, seconds
from gateway.errors import Unavailable
from gateway.identity import digests
from gateway.identity.keys import PublicKey, public_key
from gateway.identity.message_signatures import SignedMessage, signature_base
from gateway.identity.signed_requests import PROFILE, SignedRequest
from gateway.identity.structured_fields import serialised

TAG: Final = "fapi-2-response"
PUSH_TAG: Final = "alliance-gateway-push"
_LABEL: Final = "gateway"


@dataclass(frozen=True, slots=True)
class SignedResponse:
    """A signature over an answer, or over a push, and the three header fields that carry it."""

    message: SignedMessage
    headers: Mapping[str, str]

    def describe(self) -> dict[str, str]:
        """What the entry of a delivery states."""
        return {"profile": PROFILE, **self.message.describe()}


class ResponseSigner:
    """Signs with one Ed25519 key of the gateway, which is published and signs nothing else: the last that it was given.

    `hold` takes its public half with its `kid`, and what makes the 64-byte signature.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: tuple[PublicKey, str, Callable[[bytes], bytes]] | None = None

    def hold(self, jwk: Mapping[str, str], sign: Callable[[bytes], bytes]) -> None:
        """Sign with this key from now on."""
        self._held = public_key(jwk), jwk["kid"], sign

    def drop(self) -> None:
        """Sign nothing until there is a key again."""
        self._held = None

    def sign(self, status: int, content: bytes, answered: SignedRequest) -> SignedResponse:
        """Cover status and content, and by `;req` the request's method, target URI, digest and signature.

        `Unavailable` without a key.
        """
        if self._held is None:
            raise Unavailable("keys_unavailable", "There is no key to sign answers with now.")
        key, kid, signature_of = self._held
        request = answered.request
        digest = digests.content_digest(content)
        covered: list[tuple[Any, str]] = [(_item("@status"), str(status)), (_item(digests.FIELD), digest)]
        covered += [(_item(name, req=True), request.component(name)) for name in ("@method", "@target-uri")]
        if any(name == digests.FIELD.encode() for name, _ in request.headers):
            covered.append((_item(digests.FIELD, req=True), request.component(digests.FIELD)))
        covered.append((_item("signature", req=True, key=answered.label), serialised(answered.message.signature)))
        covered.append((_item("signature-input", req=True, key=answered.label), answered.input))
        parameters = {"created": seconds(self._clock()), "keyid": kid, "tag": TAG}
        stated = ([item for item, _ in covered], parameters)
        base = signature_base([(serialised(item), value) for item, value in covered], serialised(stated))
        message = SignedMessage(base, signature_of(base), key.algorithm, key)
        return SignedResponse(message, _carried(digest, stated, message))

    def sign_push(self, uri: str, content: bytes, fields: Mapping[str, str]) -> SignedResponse:
        """Cover a POST of ours to an address: method, target URI, digest, and every one of these (lower-case) fields.

        The header fields returned carry the signature alone. `Unavailable` without a key.
        """
        if self._held is None:
            raise Unavailable("keys_unavailable", "There is no key to sign with now.")
        key, kid, signature_of = self._held
        digest = digests.content_digest(content)
        covered = [("@method", "POST"), ("@target-uri", uri), (digests.FIELD, digest), *fields.items()]
        parameters = {"created": seconds(self._clock()), "keyid": kid, "tag": PUSH_TAG}
        stated = ([_item(name) for name, _ in covered], parameters)
        base = signature_base([(serialised(_item(name)), value) for name, value in covered], serialised(stated))
        message = SignedMessage(base, signature_of(base), key.algorithm, key)
        return SignedResponse(message, _carried(digest, stated, message))

    def sign_webhook(self, message: str, content: bytes) -> dict[str, str]:
        """The header fields of a webhook (Standard Webhooks 1.0.0, asymmetric scheme `v1a`: Ed25519).

        What is signed begins with the message's id, and a signature base of RFC 9421 with a quotation mark: neither
        can be taken for the other. `Unavailable` without a key.
        """
        if self._held is None:
            raise Unavailable("keys_unavailable", "There is no key to sign with now.")
        _, _, signature_of = self._held
        timestamp = str(seconds(self._clock()))
        signature = signature_of(webhook_content(message, timestamp, content))
        return {
            "webhook-id": message,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1a,{b64encode(signature).decode()}",
        }


def webhook_content(message: str, timestamp: str, content: bytes) -> bytes:
    """What the signature of a webhook covers (Standard Webhooks 1.0.0)."""
    return b"%b.%b.%b" % (message.encode(), timestamp.encode(), content)


def _carried(digest: str, stated: Any, message: SignedMessage) -> dict[str, str]:
    return {
        "Content-Digest": digest,
        "Signature-Input": serialised({_LABEL: stated}),
        "Signature": serialised({_LABEL: message.signature}),
    }


def _item(name: str, **parameters: Any) -> tuple[str, dict[str, Any]]:
    """A component identifier."""
    return name, parameters
