"""Signed requests, by the draft profile `fapi-2_0-http-signatures` of FAPI 2.0.

The draft leaves open what several signatures mean when one of them is bad (FAPI issue 714). Here a message has
exactly one, so that nobody has to say which of them counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.errors import GatewayError
from gateway.identity import digests
from gateway.identity.claims import text
from gateway.identity.keys import PublicKey
from gateway.identity.message_signatures import REGISTERED, Request, SignedMessage, holds, signature_base
from gateway.identity.proofs import MAX_AGE_SECONDS, MAX_AHEAD_SECONDS
from gateway.identity.structured_fields import FieldRefused, dictionary, field_value, serialised

PROFILE: Final = "fapi-2_0-http-signatures-01"
"""The draft that this is; agreements and metadata name it, so that another draft can stand beside it."""

FIELDS: Final = frozenset((b"signature", b"signature-input"))
TAG: Final = "fapi-2-request"
_PARAMETERS: Final = frozenset(("created", "expires", "nonce", "alg", "keyid", "tag"))
_TEXT: Final = range(1, 257)
_MOST_COMPONENTS: Final = 32
_LONGEST_LABEL: Final = 64
"""The answer's signature names the request's label twice."""


class SignatureRefused(GatewayError):
    """The signature does not count; the code is for the security log and never leaves the gateway."""

    def __init__(self, code: str) -> None:
        super().__init__(code, "The message signature does not hold.")


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request whose signature holds.

    `label` is its name in the two fields, which hold nothing but it; `input` is its member of `Signature-Input`.
    """

    request: Request
    message: SignedMessage
    label: str
    input: str

    def describe(self) -> dict[str, str]:
        """What the entry of an access states."""
        return {"profile": PROFILE, **self.message.describe()}


@dataclass(frozen=True, slots=True)
class _Stated:
    """The one signature that the fields state; nothing of it is verified yet."""

    label: str
    components: Sequence[str]
    parameters: dict[str, Any]
    signature: bytes

    def serialised(self) -> str:
        """The value of `@signature-params`."""
        return serialised(([(name, {}) for name in self.components], self.parameters))


def verify(request: Request, keys: Sequence[tuple[str, PublicKey]], now: int) -> SignedRequest:
    """The signed request, if every rule of the profile is met; else `SignatureRefused`.

    `keys` are the active ones of the client that the token was issued to, with their `kid`; `keyid` names one by
    `kid` or thumbprint. `now` is in epoch seconds. Guaranteed to be covered: method, target URI, `Authorization`,
    `DPoP` if it is there, and `Content-Digest` if there is content; the digest is that of the content.
    """
    stated = _stated(request)
    _check_parameters(stated.parameters, now)
    _check_coverage(request, stated.components)
    try:
        covered = [(serialised(name), request.component(name)) for name in stated.components]
    except FieldRefused:
        raise SignatureRefused("SIGNATURE_COMPONENT") from None
    parameters, algorithm = stated.serialised(), stated.parameters.get("alg")
    base = signature_base(covered, parameters)
    found = [key for kid, key in keys if stated.parameters["keyid"] in (kid, key.thumbprint)]
    if not found:
        raise SignatureRefused("SIGNATURE_KEY")
    for key in found:
        if algorithm in (None, REGISTERED[key.algorithm]):
            name = algorithm or key.algorithm
            if holds(base, stated.signature, name, key):
                message = SignedMessage(base, stated.signature, name, key)
                return SignedRequest(request, message, stated.label, parameters)
    raise SignatureRefused("SIGNATURE_MISMATCH")


def _stated(request: Request) -> _Stated:
    try:
        inputs = dictionary(field_value(request.headers, "signature-input"), field="signature-input")
        signatures = dictionary(field_value(request.headers, "signature"), field="signature")
    except FieldRefused:
        raise SignatureRefused("SIGNATURE_FIELDS") from None
    if len(inputs) != 1 or inputs.keys() != signatures.keys():
        raise SignatureRefused("SIGNATURE_COUNT")
    [(label, stated)], [(signature, more)] = inputs.items(), signatures.values()
    components, parameters = stated
    if not isinstance(components, list) or not isinstance(signature, bytes) or more or len(label) > _LONGEST_LABEL:
        raise SignatureRefused("SIGNATURE_FIELDS")
    if any(type(name) is not str or given for name, given in components):  # a parameter would change what is covered
        raise SignatureRefused("SIGNATURE_COMPONENT")
    return _Stated(label, [name for name, _ in components], parameters, signature)


def _check_parameters(parameters: dict[str, Any], now: int) -> None:
    if not parameters.keys() <= _PARAMETERS:
        raise SignatureRefused("SIGNATURE_PARAMETERS")
    for name in parameters.keys() - {"created", "expires"} | {"keyid", "tag"}:
        if text(parameters.get(name), _TEXT) is None:
            raise SignatureRefused("SIGNATURE_PARAMETERS")
    if parameters["tag"] != TAG:
        raise SignatureRefused("SIGNATURE_TAG")
    created, expires = parameters.get("created"), parameters.get("expires", now + 1)
    if type(created) is not int or type(expires) is not int:
        raise SignatureRefused("SIGNATURE_PARAMETERS")
    if not now - MAX_AGE_SECONDS <= created <= now + MAX_AHEAD_SECONDS or expires <= now:
        raise SignatureRefused("SIGNATURE_TIME")


def _check_coverage(request: Request, components: Sequence[str]) -> None:
    present = {name for name, _ in request.headers}
    demanded = {"@method", "@target-uri", "authorization"}
    if b"dpop" in present:
        demanded.add("dpop")
    if request.content or digests.FIELD.encode() in present:
        demanded.add(digests.FIELD)
    if len(components) > _MOST_COMPONENTS or len(set(components)) != len(components):
        raise SignatureRefused("SIGNATURE_COMPONENT")
    if not demanded <= set(components):
        raise SignatureRefused("SIGNATURE_COVERAGE")
    if digests.FIELD in demanded:
        try:
            digests.check_content_digest(field_value(request.headers, digests.FIELD), request.content)
        except FieldRefused:
            raise SignatureRefused("SIGNATURE_DIGEST") from None
