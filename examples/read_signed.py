"""Read with signed messages (RFC 9421) and check the signature of the answer, with nothing of the gateway.

    python examples/read_signed.py DIR/alliance.json hotel

As `read_a_page.py`, but each request is signed by the client's key with `http-message-signatures`, as the draft profile
`fapi-2_0-http-signatures` of FAPI 2.0 wants it. One line of JSON is printed for each read; the exit code is 0 if every
answer was data and its signature holds by the key that the gateway publishes.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import requests
from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier, MappingKeyResolver, algorithms
from jwskate import Jwk
from read_a_page import TIMEOUT_S, arguments, find, obtain_token

ALGORITHMS = {"ES256": algorithms.ECDSA_P256_SHA256, "Ed25519": algorithms.ED25519, "PS256": algorithms.RSA_PSS_SHA512}
REQUEST = ("@method", "@target-uri", "authorization", "dpop")
ANSWER = (
    "@status",
    "content-digest",
    '"@method";req',
    '"@target-uri";req',
    '"signature";req;key="sig1"',
    '"signature-input";req;key="sig1"',
)


def main() -> int:
    """0 if every read was answered with data whose signature holds."""
    asked = arguments()
    alliance = json.loads(asked.alliance.read_text("utf-8"))
    member = find(alliance["members"], asked.member)
    key = Jwk(json.loads((asked.alliance.parent / member["jwk_file"]).read_text("utf-8"))).with_kid_thumbprint()
    token = obtain_token(alliance["issuer"], member, key)
    signer = HTTPMessageSigner(
        signature_algorithm=ALGORITHMS[key.get("alg", "ES256")],
        key_resolver=MappingKeyResolver(public_keys={}, private_keys={key["kid"]: key.cryptography_key}),
    )
    verifier = HTTPMessageVerifier(signature_algorithm=algorithms.ED25519, key_resolver=published(alliance["api"]))
    answered = [read(one, token, key["kid"], signer, verifier) for one in member["reads"]]
    return 0 if answered and all(answered) else 1


def published(api: str) -> MappingKeyResolver:
    """The keys that the gateway signs answers with, found by its metadata (RFC 9728)."""
    origin, _, path = api.rpartition("/")
    metadata = requests.get(f"{origin}/.well-known/oauth-protected-resource/{path}", timeout=TIMEOUT_S).json()
    keys = requests.get(metadata["jwks_uri"], timeout=TIMEOUT_S).json()["keys"]
    return MappingKeyResolver(public_keys={one["kid"]: Jwk(one).cryptography_key for one in keys}, private_keys={})


def read(
    wanted: dict[str, str], token: Any, keyid: str, signer: HTTPMessageSigner, verifier: HTTPMessageVerifier
) -> bool:
    """Print one page, or the problem; whether it was a page. Raises where the answer's signature does not hold."""
    answer = send(requests.Request("GET", wanted["url"], params={"purpose": wanted["purpose"]}), token, keyid, signer)
    verifier.verify(answer, expect_tag="fapi-2-response", require_components=ANSWER, body=answer.content)
    print(json.dumps({"url": wanted["url"], "status": answer.status_code, **answer.json()}, ensure_ascii=False))
    return answer.ok


def send(request: requests.Request, token: Any, keyid: str, signer: HTTPMessageSigner) -> requests.Response:
    """Send with a fresh proof and a signature over it; once more with the nonce, if one is asked for."""
    with requests.Session() as session:
        for _ in range(2):
            prepared = token(request.prepare())
            prepared.hooks["response"].clear()  # it would repeat the call with a new proof and the old signature
            signer.sign(prepared, key_id=keyid, label="sig1", tag="fapi-2-request", covered_component_ids=REQUEST)
            answer = session.send(prepared, timeout=TIMEOUT_S)
            if "use_dpop_nonce" not in answer.headers.get("WWW-Authenticate", ""):
                break
            token.dpop_key.handle_rs_provided_dpop_nonce(answer)
    return answer


if __name__ == "__main__":
    sys.exit(main())
