"""Signed messages in tests: requests written by hand, so that every part can be wrong, and answers checked by
`http-message-signatures`, which knows nothing of the gateway's code."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from http_message_signatures import HTTPMessageVerifier, MappingKeyResolver, algorithms
from joserfc.jws import JWSRegistry

from gateway.identity.base64url import decode
from tests.alliance import Alliance, Member, public

PROFILE = "fapi-2_0-http-signatures-01"
_JOSE = {"EC": "ES256", "OKP": "Ed25519", "RSA": "PS256"}
_JOSE_OF = {"rsa-pss-sha512": "PS512", "ecdsa-p256-sha256": "ES256", "ed25519": "Ed25519"}


def digest(content: bytes, algorithm: str = "sha-256") -> str:
    """A `Content-Digest` (RFC 9530)."""
    found = hashlib.new(algorithm.replace("-", ""), content).digest()
    return f"{algorithm}=:{b64encode(found).decode()}:"


@dataclass
class Message:
    """A request that is to be signed, and is then sent as it stands here."""

    method: str
    url: str
    headers: dict[str, str]
    content: bytes = b""

    def value(self, name: str) -> str:
        """A component's value, as a signer sees it."""
        path = self.url.partition("://")[2].partition("/")
        derived = {"@method": self.method, "@target-uri": self.url, "@authority": path[0]}
        return derived[name] if name in derived else self.headers[name]


@dataclass
class Signature:
    """How a message is signed; by default as the profile asks. `components` None: all that it asks for."""

    key: Any
    created: int
    keyid: str
    components: Sequence[str] | None = None
    tag: str | None = "fapi-2-request"
    alg: str | None = None
    jose: str | None = None
    label: str = "sig1"
    more: Mapping[str, str] = field(default_factory=dict)
    without: Sequence[str] = ()

    def write(self, message: Message) -> tuple[str, str]:
        """The values of `Signature-Input` and `Signature`."""
        usual = ["@method", "@target-uri", "authorization", "dpop", *["content-digest"] * bool(message.content)]
        names = usual if self.components is None else self.components
        parameters = {
            "created": str(self.created),
            "keyid": f'"{self.keyid}"',
            **({} if self.alg is None else {"alg": f'"{self.alg}"'}),
            **({} if self.tag is None else {"tag": f'"{self.tag}"'}),
            **self.more,
        }
        stated = f"({' '.join(_quoted(name) for name in names)})" + "".join(
            f";{name}={value}" for name, value in parameters.items() if name not in self.without
        )
        lines = [f"{_quoted(name)}: {message.value(name)}" for name in names if name in _known(message)]
        base = "\n".join([*lines, f'"@signature-params": {stated}']).encode()
        name = self.jose or _JOSE_OF.get(self.alg or "", _JOSE[self.key.key_type])
        made = JWSRegistry.algorithms[name].sign(base, self.key)
        return f"{self.label}={stated}", f"{self.label}=:{b64encode(made).decode()}:"


def _quoted(name: str) -> str:
    return name if name.startswith('"') else f'"{name}"'


def _known(message: Message) -> set[str]:
    return {"@method", "@target-uri", "@authority", *message.headers}


Change = Callable[[Message], object]


async def send_signed(
    member: Member,
    method: str,
    path: str,
    token: str,
    content: bytes = b"",
    *,
    before: Change | None = None,
    after: Change | None = None,
    **how: Any,
) -> httpx.Response:
    """A signed call with a fresh proof, repeated once if a nonce is asked for.

    `before` changes the message before it is signed, `after` on its way; `how` changes the `Signature`.
    """
    alliance = member.alliance
    for _ in range(2):
        message = Message(method, alliance.base + path, {}, content)
        message.headers["authorization"] = f"DPoP {token}"
        message.headers["dpop"] = member.proof(method, message.url.partition("?")[0], token)
        if content:
            message.headers |= {"content-type": "application/json", "content-digest": digest(content)}
        if before is not None:
            before(message)
        usual: dict[str, Any] = {
            "key": member.client_key,
            "created": member.now,
            "keyid": member.client_key.thumbprint(),
        }
        signed = Signature(**(usual | how))
        message.headers["signature-input"], message.headers["signature"] = signed.write(message)
        if after is not None:
            after(message)
        answer = await alliance.http.request(
            message.method, message.url, headers=message.headers, content=message.content
        )
        if "DPoP-Nonce" in answer.headers:
            member.nonces["resource"] = answer.headers["DPoP-Nonce"]
        if answer.status_code != 401 or "use_dpop_nonce" not in answer.headers.get("WWW-Authenticate", ""):
            break
    return answer


async def check_answer(alliance: Alliance, answer: httpx.Response) -> dict[str, str]:
    """Verify an answer's signature by the published keys and the independent library; returns what it covers."""
    jwks = (await alliance.http.get("/v1/jwks")).json()["keys"]
    keys = {one["kid"]: Ed25519PublicKey.from_public_bytes(decode(one["x"])) for one in jwks}
    verifier = HTTPMessageVerifier(
        signature_algorithm=algorithms.ED25519, key_resolver=MappingKeyResolver(public_keys=keys, private_keys={})
    )
    [found] = verifier.verify(
        answer,
        expect_tag="fapi-2-response",
        require_components=[
            "@status",
            "content-digest",
            '"@method";req',
            '"@target-uri";req',
            '"signature";req;key="sig1"',
            '"signature-input";req;key="sig1"',
        ],
        body=answer.content,
    )
    return dict(found.covered_components)


def is_signed(answer: httpx.Response) -> bool:
    """Whether an answer claims a signature at all."""
    return "signature" in answer.headers or "signature-input" in answer.headers


def thumbprint_of(member: Member) -> str:
    """The RFC 7638 thumbprint of the member's client key."""
    assert public(member.client_key)["kty"] == "EC"
    return str(member.client_key.thumbprint())
