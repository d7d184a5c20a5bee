"""The conformance suite's side: two clients, their keys, and requests that can be told to misbehave, over real HTTP.

What its modules send and expect is described in the OpenID Foundation's suite, plan
`fapi2-security-profile-final-test-plan`, profile `fapi_client_credentials_grant`, private_key_jwt and DPoP.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import httpx
from joserfc.jwk import ECKey, KeySet, RSAKey

from gateway.identity.base64url import encode
from gateway.identity.jws import PrivateKey
from tests.access.served import Served
from tests.alliance import Alliance
from tests.identity.world import JWT_BEARER, sign

TRIES = 2
"""A request is made once more where the server asks for a nonce, and no third time."""


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client: the suite's `client` has an RSA key, `client2` one on P-256."""

    id: str
    key: PrivateKey
    details: list[dict[str, Any]]


class Server(Served):
    """`gateway serve`; the hotel's client has an RSA key beside its own, because one module needs RS256."""

    def __init__(self) -> None:
        super().__init__()
        self.rsa = RSAKey.generate_key(2048)

    async def furnish(self, alliance: Alliance) -> None:
        hotel = alliance.members["hotel"]
        await alliance.by_two("add_client_key", client=hotel.client, jwk=self.rsa.as_dict(private=False))


@dataclass
class Suite:
    """One run against one server. `url` is the protected resource: a read of records under an agreement."""

    base: str
    client: Client
    client2: Client
    url: str
    http: httpx.Client
    dpop: PrivateKey = field(default_factory=lambda: ECKey.generate_key("P-256"))
    nonces: dict[str, str] = field(default_factory=dict)

    @classmethod
    def against(cls, server: Server, http: httpx.Client) -> Suite:
        """A run with the clients that `alliance.json` names."""
        alliance = json.loads(server.alliance_file.read_text())
        members = {one["jwk_file"].split(".")[0]: one for one in alliance["members"]}
        bank, hotel = members["bank"], members["hotel"]
        key = ECKey.import_key(json.loads((server.directory / bank["jwk_file"]).read_text()))
        read = hotel["reads"][0]
        return cls(
            alliance["issuer"],
            Client(hotel["client_id"], server.rsa, hotel["authorization_details"]),
            Client(bank["client_id"], key, bank["authorization_details"]),
            f"{read['url']}?purpose={read['purpose']}",
            http,
        )

    @property
    def token_endpoint(self) -> str:
        return f"{self.base}/token"

    def assertion(
        self, *, client: Client | None = None, key: PrivateKey | None = None, alg: str | None = None, **changes: Any
    ) -> str:
        """A client assertion of a minute, with claims changed; a claim set to `...` is left out."""
        who, now = client or self.client, int(time.time())
        claims = {
            "iss": who.id, "sub": who.id, "aud": self.base, "iat": now, "exp": now + 60,
            "jti": secrets.token_urlsafe(15), **changes,
        }  # fmt: skip
        return sign(claims, key or who.key, typ="JWT", header={"alg": alg} if alg else {})

    def proof(
        self,
        method: str,
        url: str,
        *,
        token: str | None = None,
        key: PrivateKey | None = None,
        header: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """A DPoP proof with the nonce last heard, with header and claims changed; `...` leaves one out."""
        signer = key or self.dpop
        claims: dict[str, Any] = {
            "jti": secrets.token_urlsafe(15), "htm": method, "htu": url, "iat": int(time.time()),
        }  # fmt: skip
        if token is not None:
            claims["ath"] = encode(sha256(token.encode()).digest())
        role = "token" if token is None else "resource"
        if role in self.nonces:
            claims["nonce"] = self.nonces[role]
        return sign(
            claims | changes, signer, typ="dpop+jwt", header={"jwk": signer.as_dict(private=False), **(header or {})}
        )

    def ask(
        self,
        *,
        client: Client | None = None,
        form: Mapping[str, str | None] | None = None,
        with_proof: bool = True,
        proof: Mapping[str, Any] | None = None,
        **assertion: Any,
    ) -> httpx.Response:
        """The token endpoint's answer; a form parameter set to None is left out."""
        for _ in range(TRIES):
            parameters = {
                "grant_type": "client_credentials",
                "client_assertion_type": JWT_BEARER,
                "client_assertion": self.assertion(client=client, **assertion),
                "authorization_details": json.dumps((client or self.client).details),
                **(form or {}),
            }
            sent = {name: value for name, value in parameters.items() if value is not None}
            headers = {"DPoP": self.proof("POST", self.token_endpoint, **(proof or {}))} if with_proof else {}
            answer = self.http.post(self.token_endpoint, data=sent, headers=headers)
            if not self._heard_nonce("token", answer):
                break
        return answer

    def token(self, **request: Any) -> str:
        """A fresh access token."""
        answer = self.ask(**request)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def call(
        self,
        token: str,
        *,
        scheme: str = "DPoP",
        header_name: str = "DPoP",
        proofs: int = 1,
        after: Any = None,
        **proof: Any,
    ) -> httpx.Response:
        """The protected resource's answer; `after` changes the signed proof, `proof` what is signed."""
        for _ in range(TRIES):
            made = [self.proof("GET", self.url, token=token, **proof) for _ in range(proofs)]
            sent = [(header_name, after(one) if after else one) for one in made]
            answer = self.http.get(self.url, headers=[("Authorization", f"{scheme} {token}"), *sent])
            if not self._heard_nonce("resource", answer):
                break
        return answer

    def keys(self) -> KeySet:
        """The server's published keys."""
        return KeySet.import_key_set(self.http.get(f"{self.base}/jwks").json())

    def _heard_nonce(self, role: str, answer: httpx.Response) -> bool:
        """Keep the nonce of an answer; whether it was asked for one."""
        if "DPoP-Nonce" in answer.headers:
            self.nonces[role] = answer.headers["DPoP-Nonce"]
        return "use_dpop_nonce" in answer.text + answer.headers.get("WWW-Authenticate", "")


def check_error(answer: httpx.Response, errors: Iterable[str]) -> None:
    """An OAuth error as RFC 6749 section 5.2 words it: 400, or 401 with `invalid_client`; JSON; plain descriptions."""
    assert answer.headers["content-type"].split(";")[0] == "application/json"
    body = answer.json()
    assert body["error"] in set(errors), body
    assert answer.status_code == (401 if body["error"] == "invalid_client" else 400)
    assert answer.headers["cache-control"] == "no-store"
    for name in ("error", "error_description", "error_uri"):
        text = body.get(name, "")
        assert all(character.isprintable() and character not in '"\\' for character in text), text
