"""A partner's own system, as a stranger would write it: a public OAuth library, and nothing of the gateway's.

`requests_oauth2client` speaks private_key_jwt and DPoP; `jwskate` signs agreements.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from jwskate import Jwk, JwsCompact
from requests_oauth2client import DPoPKey, OAuth2Client, PrivateKeyJwt

_TIMEOUT_S = 300
_MEMBER_ACTIONS = ("draft", "sign", "upload", "consent", "withdraw", "audit", "participate", "confide", "refer")


def _new_key() -> Jwk:
    return Jwk.generate(alg="ES256").with_kid_thumbprint()


@dataclass(slots=True)
class Partner:
    """One company: its client with a key for tokens, and a separate key that signs agreements."""

    name: str
    industry: str
    uscc: str
    base_url: str
    client_key: Jwk = field(default_factory=_new_key, repr=False)
    signing_key: Jwk = field(default_factory=_new_key, repr=False)
    proof_key: DPoPKey = field(default_factory=lambda: DPoPKey.generate("ES256"), repr=False)
    member: str = ""
    client: str = ""
    _http: requests.Session = field(default_factory=requests.Session, repr=False)

    def for_itself(self) -> list[dict[str, Any]]:
        """The `authorization_details` for what a member does on its own behalf."""
        return [{"type": "alliance_member", "actions": list(_MEMBER_ACTIONS)}]

    def under(
        self, agreement: str, datasets: Iterable[str], purposes: Iterable[str], person: str = ""
    ) -> list[dict[str, Any]]:
        """The `authorization_details` for reading under an agreement, by one of the company's persons."""
        return [
            {
                "type": "alliance_agreement",
                "agreement": agreement,
                "datasets": list(datasets),
                "purposes": list(purposes),
                "actions": ["read"],
                **({"person": person} if person else {}),
            }
        ]

    def token(self, details: list[dict[str, Any]]) -> Any:
        """A DPoP-bound access token for these details; the library handles the nonce challenge."""
        oauth = OAuth2Client(
            f"{self.base_url}/token",
            PrivateKeyJwt(self.client, self.client_key, alg="ES256", aud=self.base_url),
            issuer=self.base_url,
            dpop_bound_access_tokens=True,
            testing=True,
        )
        return oauth.client_credentials(authorization_details=json.dumps(details), dpop_key=self.proof_key)

    def get(self, path: str, token: Any, **params: str) -> requests.Response:
        """GET below the base URL."""
        return self._http.get(self.base_url + path, params=params, auth=token, timeout=_TIMEOUT_S)

    def post(self, path: str, token: Any, document: Any = None) -> requests.Response:
        """POST a JSON document."""
        return self._http.post(self.base_url + path, json=document, auth=token, timeout=_TIMEOUT_S)

    def send(self, method: str, path: str, token: Any, document: Any = None) -> requests.Response:
        """Another method below the base URL."""
        return self._http.request(method, self.base_url + path, json=document, auth=token, timeout=_TIMEOUT_S)

    def upload(
        self, dataset: str, token: Any, rows: Iterable[bytes], key: str, *, null: str | None = None
    ) -> Mapping[str, Any]:
        """Stream a CSV file into a dataset and return the per-row report; `null` is how the file writes a gap."""
        self.get("/v1/datasets", token)  # settles the nonce, so that the stream need not be sent twice
        headers = {"Content-Type": "text/csv", "Idempotency-Key": key}
        answer = self._http.post(
            f"{self.base_url}/v1/datasets/{dataset}/uploads",
            params={"mode": "replace"} | ({"null": null} if null else {}),
            data=rows,
            headers=headers,
            auth=token,
            timeout=_TIMEOUT_S,
        )
        answer.raise_for_status()
        report: Mapping[str, Any] = answer.json()
        return report

    @property
    def fingerprint(self) -> str:
        """What this company reads out by telephone, so that the others can confirm its signing key."""
        return str(self.signing_key.thumbprint())

    def sign(self, terms: bytes, typ: str = "agreement+jws") -> str:
        """A signature over the exact text of an agreement, or of another statement: a compact JWS of this `typ`."""
        headers = {"typ": typ, "kid": self.fingerprint}
        signed = JwsCompact.sign(terms, self.signing_key, alg="ES256", extra_headers=headers)
        return str(signed)
