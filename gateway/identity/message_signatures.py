"""HTTP message signatures (RFC 9421): the signature base, and whether a signature over it holds.

A signature base begins with a quotation mark, a compact JWS never does: what a client's key signs here can never
be taken for an assertion or a proof by the same key, nor the other way round.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from gateway.canonical import canonical, parse_canonical
from gateway.errors import Invalid
from gateway.identity.keys import PublicKey, public_key
from gateway.identity.structured_fields import FieldRefused, field_value

REGISTERED: Final = {"ES256": "ecdsa-p256-sha256", "Ed25519": "ed25519", "PS256": "rsa-pss-sha512"}
"""By the algorithm that a key is pinned to: what RFC 9421 section 3.3 calls its signatures, and the only value
that the parameter `alg` may have. Without the parameter the key's own JOSE algorithm is used (section 3.3.7)."""

_MODELS: Final = {
    name: JWSRegistry.algorithms[jose]
    for name, jose in {
        "ES256": "ES256",
        "Ed25519": "Ed25519",
        "PS256": "PS256",
        "ecdsa-p256-sha256": "ES256",
        "ed25519": "Ed25519",
        "rsa-pss-sha512": "PS512",  # the same parameters: MGF1 with SHA-512, a salt of 64 bytes
    }.items()
}
_MEMBERS: Final = {"v", "base", "signature", "algorithm", "jwk"}


@dataclass(frozen=True, slots=True)
class Request:
    """A request as its sender knows it.

    `target` is the absolute URI, by the gateway's public origin and not by any Host header; `headers` are raw, with
    lower-case names.
    """

    method: str
    target: str
    headers: Sequence[tuple[bytes, bytes]]
    content: bytes

    def component(self, name: str) -> str:
        """The value of a derived component or a field (RFC 9421 section 2); `FieldRefused` if there is none."""
        if name.startswith("@"):
            value = _DERIVED[name](self) if name in _DERIVED else ""
            if not value.isascii() or not value.isprintable() or not value:
                raise FieldRefused("The component is not known here, or has no value to sign.", field=name[:64])
            return value
        return field_value(self.headers, name)


_OWN_PORTS: Final = {"http": ":80", "https": ":443"}


def _authority(request: Request) -> str:
    """Host and port in lower case, without the port that the scheme has anyway (RFC 9421 section 2.2.3)."""
    parts = urlsplit(request.target)
    return parts.netloc.lower().removesuffix(_OWN_PORTS.get(parts.scheme, ""))


def _query(request: Request) -> str:
    return "?" + urlsplit(request.target).query


_DERIVED: Final[Mapping[str, Callable[[Request], str]]] = {
    "@method": lambda request: request.method,
    "@target-uri": lambda request: request.target,
    "@authority": _authority,
    "@scheme": lambda request: urlsplit(request.target).scheme,
    "@path": lambda request: urlsplit(request.target).path,
    "@query": _query,
}


def signature_base(covered: Sequence[tuple[str, str]], parameters: str) -> bytes:
    """The bytes that are signed (RFC 9421 section 2.5).

    `covered` pairs each component identifier, as it is serialised, with its value; `parameters` is the serialised
    inner list that names them all.
    """
    lines = [f"{identifier}: {value}" for identifier, value in covered]
    return "\n".join([*lines, f'"@signature-params": {parameters}']).encode("ascii")


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """A signature that holds, with all that an arbiter needs to see so: nothing else of the gateway is asked.

    `algorithm` is a name of RFC 9421 section 3.3, or of JOSE where the signature states none.
    """

    base: bytes
    signature: bytes
    algorithm: str
    key: PublicKey

    @property
    def sha256(self) -> str:
        """The digest of the signature base in hexadecimal: the message's name wherever it is kept."""
        return sha256(self.base).hexdigest()

    def describe(self) -> dict[str, str]:
        """What a ledger entry states of it."""
        return {
            "base_sha256": self.sha256,
            "signature": b64encode(self.signature).decode(),
            "algorithm": self.algorithm,
            "key": self.key.thumbprint,
        }

    def document(self) -> bytes:
        """The message as canonical JSON, to be kept and handed out; `read` takes it back."""
        return canonical(
            {
                "v": 1,
                "base": b64encode(self.base).decode(),
                "signature": b64encode(self.signature).decode(),
                "algorithm": self.algorithm,
                "jwk": dict(self.key.jwk),
            }
        )

    @classmethod
    def read(cls, document: bytes) -> SignedMessage:
        """The message of a document, if its signature holds by the public key that the document names.

        `Invalid` otherwise. Whose key it is, the ledger's entry says by the thumbprint.
        """
        value: Any = parse_canonical(document)
        if not isinstance(value, dict) or value.keys() != _MEMBERS or value["v"] != 1:
            raise _unreadable()
        try:
            base, signature = (b64decode(value[name], validate=True) for name in ("base", "signature"))
            message = cls(base, signature, value["algorithm"], public_key(value["jwk"]))
        except (ValueError, TypeError, AttributeError):
            raise _unreadable() from None
        if not holds(message.base, message.signature, message.algorithm, message.key):
            raise Invalid("message_signature", "The signature does not hold.", field="signature")
        return message


def holds(base: bytes, signature: bytes, algorithm: object, key: PublicKey) -> bool:
    """Whether the signature over the base is the key's, by an algorithm that the key is pinned to."""
    if algorithm not in (key.algorithm, REGISTERED[key.algorithm]):
        return False
    try:
        return _MODELS[algorithm].verify(base, signature, key.key)
    except (JoseError, ValueError, TypeError, OverflowError):
        return False


def _unreadable() -> Invalid:
    return Invalid("message_malformed", "Not a kept message.", remedy="Hand over the file as the gateway wrote it.")
