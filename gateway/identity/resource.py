"""The resource's side: one request's token and what it is bound to (RFC 9449 section 7, RFC 8705 section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from urllib.parse import urlsplit

from gateway.clock import Clock, seconds
from gateway.identity import base64url
from gateway.identity.certificates import CertificateRefused
from gateway.identity.nonces import Nonces
from gateway.identity.proofs import ProofCheck, ProofRefused
from gateway.identity.proxy import TrustedProxy
from gateway.identity.refusals import Challenge
from gateway.identity.replay import ProofWindow
from gateway.identity.security_log import SecurityLog
from gateway.identity.subject import Subject
from gateway.identity.tokens import TokenInvalid, Tokens, VerifiedTokens


class ResourceCheck:
    """Turns the credentials of a request into a `Subject`.

    Verified each time: expiry, binding, and the proof with its signature and single use, or the connection's
    certificate. Remembered: verified tokens, parsed public keys and certificates. No database is asked; whether the
    client still stands is the caller's next question.
    """

    def __init__(
        self,
        tokens: Tokens,
        window: ProofWindow,
        clock: Clock,
        log: SecurityLog,
        *,
        origin: str,
        metadata: str,
        proxy: TrustedProxy,
    ) -> None:
        self._tokens = tokens
        self._window = window
        self._clock = clock
        self._log = log
        self._origin = origin
        self._metadata = metadata
        self._proxy = proxy
        self._nonces = Nonces("resource", window.nonce_secret, clock)
        self._proofs = ProofCheck(self._nonces, clock)
        self._verified = VerifiedTokens()
        tokens.keys.watch(self._verified.forget)

    async def authenticate(
        self, method: str, url: str, headers: Sequence[tuple[bytes, bytes]], peer: str = ""
    ) -> Subject:
        """See `Identity.authenticate`."""
        token, proof = self._credentials(headers)
        if proof is None:
            return await self._by_certificate(token, headers, peer)
        digest = sha256(token).digest()
        try:
            subject = await self._subject(token, digest)
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

    async def _by_certificate(self, token: bytes, headers: Sequence[tuple[bytes, bytes]], peer: str) -> Subject:
        """The subject of a token that is bound to the certificate of this very connection."""
        try:
            subject = await self._subject(token, sha256(token).digest())
            certificate = self._proxy.certificate(headers, peer)
        except TokenInvalid as refused:
            raise self.challenge("invalid_token", refused.code, scheme="Bearer") from None
        except CertificateRefused:
            raise self.challenge("invalid_token", "CERTIFICATE_MALFORMED", scheme="Bearer") from None
        if certificate is None:
            raise self.challenge("invalid_token", "CERTIFICATE_MISSING", scheme="Bearer")
        if certificate.thumbprint != subject.certificate:
            raise self.challenge("invalid_token", "TOKEN_BINDING", scheme="Bearer")
        if not certificate.is_valid_at(seconds(self._clock())):
            raise self.challenge("invalid_token", "CERTIFICATE_EXPIRED", scheme="Bearer")
        return subject

    def challenge(self, error: str | None, reason: str, *, scheme: str = "DPoP") -> Challenge:
        """A 401 to raise; noted in the security log, unless it only asks for a nonce."""
        if error != "use_dpop_nonce":
            self._log.note(reason)
        return Challenge(error, reason, nonce=self._nonces.current(), resource_metadata=self._metadata, scheme=scheme)

    def _credentials(self, headers: Sequence[tuple[bytes, bytes]]) -> tuple[bytes, bytes | None]:
        """Token and proof; no proof under `Bearer`, which is for tokens that are bound to a certificate."""
        authorizations = [value for name, value in headers if name == b"authorization"]
        proofs = [value for name, value in headers if name == b"dpop"]
        if not authorizations:
            raise self.challenge(None, "CREDENTIALS_MISSING")
        scheme, _, token = authorizations[0].partition(b" ")
        if len(authorizations) == 1 and scheme.lower() == b"bearer" and token and self._proxy.is_trusted:
            if proofs:
                raise self.challenge("invalid_token", "PROOF_UNEXPECTED", scheme="Bearer")
            return token, None
        if len(authorizations) != 1 or scheme.lower() != b"dpop" or not token:
            raise self.challenge("invalid_token", "TOKEN_SCHEME")
        if len(proofs) != 1:
            raise self.challenge("invalid_dpop_proof", "PROOF_COUNT")
        return token, proofs[0]

    async def _subject(self, token: bytes, digest: bytes) -> Subject:
        now = seconds(self._clock())
        subject = self._verified.find(digest, now)
        if subject is None:
            subject = (await self._tokens.recognise(token, now)).subject
            self._verified.keep(digest, subject)
        return subject


def _path(url: str) -> str:
    if url.startswith("/"):
        return url.partition("?")[0]
    try:
        return urlsplit(url).path
    except ValueError:
        return "/"
