"""The resource's side: one request's token, proof and binding (RFC 9449 section 7)."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from urllib.parse import urlsplit

from gateway.clock import Clock, seconds
from gateway.identity import base64url
from gateway.identity.nonces import Nonces
from gateway.identity.proofs import ProofCheck, ProofRefused
from gateway.identity.refusals import Challenge
from gateway.identity.replay import ProofWindow
from gateway.identity.security_log import SecurityLog
from gateway.identity.subject import Subject
from gateway.identity.tokens import TokenInvalid, Tokens, VerifiedTokens


class ResourceCheck:
    """Turns the credentials of a request into a `Subject`.

    Verified each time: expiry, binding, the proof with its signature, its single use. Remembered: verified tokens
    and parsed public keys. No database is asked; whether the client still stands is the caller's next question.
    """

    def __init__(
        self, tokens: Tokens, window: ProofWindow, clock: Clock, log: SecurityLog, *, origin: str, metadata: str
    ) -> None:
        self._tokens = tokens
        self._window = window
        self._clock = clock
        self._log = log
        self._origin = origin
        self._metadata = metadata
        self._nonces = Nonces("resource", window.nonce_secret, clock)
        self._proofs = ProofCheck(self._nonces, clock)
        self._verified = VerifiedTokens()

    async def authenticate(self, method: str, url: str, headers: Sequence[tuple[bytes, bytes]]) -> Subject:
        """See `Identity.authenticate`."""
        token, proof = self._credentials(headers)
        digest = sha256(token).digest()
        try:
            subject = self._subject(token, digest)
            checked = self._proofs.check(
                proof, method=method, target=self._origin + _path(url), ath=base64url.encode(digest)
            )
        except ProofRefused as refused:
            raise self.challenge(refused.error, refused.code) from None
        except TokenInvalid as refused:
            raise self.challenge("invalid_token", refused.code) from None
        if checked.jkt != subject.jkt:
            raise self.challenge("invalid_token", "TOKEN_BINDING")
        if not await self._window.reserve("resource", checked.jkt, checked.jti, checked.until):
            raise self.challenge("invalid_dpop_proof", "PROOF_REPLAYED")
        return subject

    def next_nonce(self) -> str:
        """The nonce for the caller's next proof, to be sent as `DPoP-Nonce` with any answer."""
        return self._nonces.current()

    def challenge(self, error: str | None, reason: str) -> Challenge:
        """A 401 to raise; noted in the security log, unless it only asks for a nonce."""
        if error != "use_dpop_nonce":
            self._log.note(reason)
        return Challenge(error, reason, nonce=self._nonces.current(), resource_metadata=self._metadata)

    def _credentials(self, headers: Sequence[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
        authorizations = [value for name, value in headers if name == b"authorization"]
        proofs = [value for name, value in headers if name == b"dpop"]
        if not authorizations:
            raise self.challenge(None, "CREDENTIALS_MISSING")
        scheme, _, token = authorizations[0].partition(b" ")
        if len(authorizations) != 1 or scheme.lower() != b"dpop" or not token:
            raise self.challenge("invalid_token", "TOKEN_SCHEME")
        if len(proofs) != 1:
            raise self.challenge("invalid_dpop_proof", "PROOF_COUNT")
        return token, proofs[0]

    def _subject(self, token: bytes, digest: bytes) -> Subject:
        now = seconds(self._clock())
        subject = self._verified.find(digest, now)
        if subject is None:
            subject = self._tokens.verify(token, now)
            self._verified.keep(digest, subject)
        return subject


def _path(url: str) -> str:
    if url.startswith("/"):
        return url.partition("?")[0]
    try:
        return urlsplit(url).path
    except ValueError:
        return "/"
