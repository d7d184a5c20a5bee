"""The two ways in which identity says no: RFC 6749 errors at the token endpoint, a challenge at the resource."""

from __future__ import annotations

from typing import Final

from gateway.errors import GatewayError, NotAuthenticated
from gateway.identity.keys import ALGORITHMS

_SENTENCES: Final = {
    "invalid_request": "The request is malformed.",
    "invalid_client": "The client is not authenticated.",
    "invalid_target": "The resource is not served here.",
    "invalid_scope": "No scope is offered; ask with authorization_details.",
    "invalid_dpop_proof": "The DPoP proof does not hold.",
    "use_dpop_nonce": "The DPoP proof needs the nonce of this answer.",
    "unsupported_grant_type": "Only client_credentials is offered.",
    "unauthorized_client": "The member is not admitted.",
    "unsupported_token_type": "Tokens of this type are not issued here.",
    "invalid_authorization_details": "Nothing of what was asked can be granted.",
    "temporarily_unavailable": "Try again shortly.",
    "FLOOD_OF_CLIENT": "Too many requests; wait as long as Retry-After says.",
    "FLOOD_OF_STRANGERS": "Too many requests; wait as long as Retry-After says.",
    "ASSERTION_LIFETIME": "ASSERTION_LIFETIME: exp is more than 300 seconds after iat or now; sign shorter assertions.",
}
_STATUS: Final = {"invalid_client": 401, "temporarily_unavailable": 503}
_TOO_MANY: Final = 429


class TokenRefused(GatewayError):
    """No token. `error` is the RFC 6749 / 9396 / 8707 / 9449 code of the answer, `code` the finer one of our logs.

    `description` depends on the error alone, except where the code itself is documented to the client.
    `nonce` is set with `use_dpop_nonce`, `retry_after` (seconds) where too many requests came: then the status is 429.
    """

    def __init__(self, error: str, code: str, *, nonce: str | None = None, retry_after: int | None = None) -> None:
        self.error = error
        self.description = _SENTENCES.get(code, _SENTENCES[error])
        self.status = _TOO_MANY if retry_after else _STATUS.get(error, 400)
        self.nonce = nonce
        self.retry_after = retry_after
        super().__init__(code, self.description)


class Challenge(NotAuthenticated):
    """401 at the resource, as RFC 9449 section 7.1 and RFC 9728 section 5.1 word it.

    `error` is `invalid_token`, `invalid_dpop_proof`, `use_dpop_nonce`, `invalid_signature` (ours, for message
    signatures) or None (no credentials at all); `reason` is the finer code for the security log and never leaves
    the gateway. `scheme` is `Bearer` where a certificate-bound token was sent (RFC 6750 section 3, RFC 8705 section 3).
    """

    def __init__(
        self, error: str | None, reason: str, *, nonce: str, resource_metadata: str, scheme: str = "DPoP"
    ) -> None:
        super().__init__(error or "not_authenticated", "The credentials are missing or do not hold.")
        self.error = error
        self.reason = reason
        self.nonce = nonce
        self.resource_metadata = resource_metadata
        self.scheme = scheme

    def headers(self) -> list[tuple[str, str]]:
        """The response headers that go with the 401; that nobody keeps it is said of every problem."""
        named = f'error="{self.error}", ' if self.error else ""
        algorithms = f'algs="{" ".join(ALGORITHMS)}", ' if self.scheme == "DPoP" else ""
        challenge = f'{self.scheme} {named}{algorithms}resource_metadata="{self.resource_metadata}"'
        return [("WWW-Authenticate", challenge), ("DPoP-Nonce", self.nonce)]
