"""The company's OpenID provider, spoken to by Authlib: discovery, authorization URL, token request, keys.

Authlib builds the PKCE request and authenticates us (private_key_jwt, or a secret). What it leaves open is closed
here: the issuer is compared exactly, no redirect is followed, no proxy or `.netrc` of the environment is used, answers
are capped in size and time, and no state is left in any cache. It speaks through `requests`, which is in the
production set already, in threads of its own, so that a provider that drips keeps only its own sign-ins waiting:
those are rare, and its asynchronous client would bring a second HTTP stack.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oidc.discovery import get_well_known_url
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry
from requests import PreparedRequest, RequestException, Response
from requests.adapters import HTTPAdapter

from gateway.canonical import canonical
from gateway.clock import Clock
from gateway.errors import Unavailable
from gateway.identity.base64url import encode
from gateway.identity.operators.id_token import Audience
from gateway.identity.operators.site import Site
from gateway.identity.token_keys import TokenKey
from gateway.settings import Settings

CALLBACK_PATH: Final = "/console/oidc/callback"
_ANSWER_BYTES: Final = 256 * 1024
_PATIENCE_S: Final = (3.05, 5)
"""For a connection, and for the next bytes of an answer."""
_ANSWER_S: Final = 10
"""For an answer as a whole."""
_PIECE_BYTES: Final = 16 * 1024
_ASKING: Final = ThreadPoolExecutor(16, thread_name_prefix="provider")
_METADATA_LIFE_MS: Final = 600_000
_KEYS_PAUSE_MS: Final = 10_000
_ASSERTION_LIFE_S: Final = 60
_OK: Final = 200
_ED25519: Final = JWSRegistry(algorithms=["Ed25519"]).get_alg("Ed25519")
_Answer = TypeVar("_Answer")

logging.getLogger("authlib").setLevel(logging.WARNING)  # at DEBUG it prints code verifiers


class ProviderUnavailable(Unavailable):
    """The provider does not answer, or not as OpenID Connect says."""

    def __init__(self) -> None:
        super().__init__("provider_unavailable", "The company's sign-in service cannot answer now.")


class CodeRejected(Exception):
    """The provider did not take the code, or us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """Which provider, who we are there, and what it must vouch for.

    `key` signs our client assertions; without one `secret` authenticates us. `acr` (any of them) and `amr` (all of
    them) are required of every sign-in. `ca_file` holds the roots of a company's own PKI.
    """

    issuer: str
    client_id: str
    algorithm: str
    redirect_uri: str
    key: TokenKey | None = None
    secret: str = ""
    acr: tuple[str, ...] = ()
    amr: tuple[str, ...] = ()
    ca_file: Path | None = None

    @classmethod
    def of(cls, settings: Settings, *, key: TokenKey | None = None, secret: str = "") -> Self:
        """What the gateway's settings say, with the key or the secret that they lead to."""
        return cls(
            issuer=settings.oidc_issuer,
            client_id=settings.oidc_client_id,
            algorithm=settings.oidc_algorithm,
            redirect_uri=Site.of(settings.base_url).origin + CALLBACK_PATH,
            key=key,
            secret=secret,
            acr=tuple(settings.oidc_acr.split()),
            amr=tuple(settings.oidc_amr.split()),
            ca_file=settings.oidc_ca_file,
        )

    @property
    def audience(self) -> Audience:
        """Who must have issued an ID token, for whom."""
        return Audience(self.issuer, self.client_id, self.algorithm)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a code was worth."""

    id_token: str
    access_token: str


class Provider:
    """One OpenID provider. Its metadata is read once in ten minutes, its keys when an unknown one signed."""

    def __init__(self, settings: ProviderSettings, clock: Clock) -> None:
        self.settings = settings
        self._clock = clock
        self._metadata: Mapping[str, Any] = {}
        self._metadata_until = 0
        self._keys: list[Mapping[str, Any]] = []
        self._keys_after = 0
        self._asking = asyncio.Lock()

    async def authorization_url(self, *, state: str, nonce: str, verifier: str, max_age: int, renew: bool) -> str:
        """Where to send the browser; `renew` makes the person authenticate once more."""
        metadata = await self.metadata()
        asked = {"prompt": "login"} if renew else {}
        if self.settings.acr:
            asked["acr_values"] = " ".join(self.settings.acr)
        url, _ = self._session().create_authorization_url(
            metadata["authorization_endpoint"],
            state=state,
            nonce=nonce,
            code_verifier=verifier,
            max_age=str(max_age),
            **asked,
        )
        return str(url)

    async def redeem(self, code: str, verifier: str) -> Tokens:
        """The tokens for a code; `CodeRejected` if the provider refuses."""
        metadata = await self.metadata()

        def fetch() -> Mapping[str, Any]:
            with self._session() as session:
                answer: Mapping[str, Any] = session.fetch_token(
                    metadata["token_endpoint"],
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=verifier,
                    allow_redirects=False,
                    timeout=_PATIENCE_S,
                )
            return answer

        answer = await _in_thread(fetch)
        id_token, access_token = answer.get("id_token"), answer.get("access_token")
        if not isinstance(id_token, str) or not isinstance(access_token, str):
            raise CodeRejected
        return Tokens(id_token, access_token)

    async def keys(self, *, fresh: bool = False) -> Sequence[Mapping[str, Any]]:
        """The provider's public keys; fetched again where `fresh`. It is asked at most once in ten seconds, also
        while it cannot answer: any visitor can cause the question."""
        async with self._asking:
            now = self._clock()
            if (fresh or not self._keys) and now >= self._keys_after:
                self._keys_after = now + _KEYS_PAUSE_MS
                document = await self._get((await self.metadata())["jwks_uri"])
                keys = document.get("keys")
                if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
                    raise ProviderUnavailable
                self._keys = keys
        if not self._keys:
            raise ProviderUnavailable
        return self._keys

    async def metadata(self) -> Mapping[str, Any]:
        """The provider's metadata, of exactly the issuer that is configured (OIDC Discovery section 4.3)."""
        now = self._clock()
        if now >= self._metadata_until:
            document = await self._get(get_well_known_url(self.settings.issuer, external=True))
            if document.get("issuer") != self.settings.issuer:
                raise ProviderUnavailable
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                self._check_endpoint(document.get(name))
            self._metadata, self._metadata_until = document, now + _METADATA_LIFE_MS
        return self._metadata

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Our own public key, for the provider's registration of us."""
        if self.settings.key is None:
            return {"keys": []}
        key = self.settings.key
        return {"keys": [{**key.public().jwk, "kid": key.kid, "use": "sig", "alg": "EdDSA"}]}

    def _check_endpoint(self, url: object) -> None:
        """https, or plain on the very loopback host that the issuer is on."""
        parts, issuer = urlsplit(url if isinstance(url, str) else ""), urlsplit(self.settings.issuer)
        plain = issuer.scheme == "http" and parts.scheme == "http" and parts.hostname == issuer.hostname
        if not (parts.scheme == "https" or plain) or not parts.hostname or "@" in parts.netloc or parts.fragment:
            raise ProviderUnavailable

    async def _get(self, url: str) -> Mapping[str, Any]:
        def get() -> Any:
            with self._session() as session:
                answer = session.get(url, withhold_token=True, allow_redirects=False, timeout=_PATIENCE_S)
                return answer.json() if answer.status_code == _OK else None

        try:
            document = await _in_thread(get)
        except CodeRejected:
            document = None
        if not isinstance(document, dict):
            raise ProviderUnavailable
        return document

    def _session(self) -> OAuth2Session:
        settings = self.settings
        session = OAuth2Session(
            settings.client_id,
            settings.key.private if settings.key else settings.secret,
            token_endpoint_auth_method="private_key_jwt" if settings.key else "client_secret_basic",
            scope="openid",
            redirect_uri=settings.redirect_uri,
            code_challenge_method="S256",
        )
        if settings.key:
            session.register_client_auth_method(_ShortAssertion(settings.issuer, settings.key.kid))
        session.trust_env = False
        session.verify = str(settings.ca_file) if settings.ca_file else True
        for scheme in ("https://", "http://"):
            session.mount(scheme, _Capped())
        return session


class _ShortAssertion(PrivateKeyJWT):  # type: ignore[misc]
    """Authlib's method with assertions of a minute instead of an hour, for the issuer alone (RFC 10070).

    It says `EdDSA`, as providers know Ed25519; joserfc signs under the new name alone (RFC 9864).
    """

    def __init__(self, issuer: str, kid: str) -> None:
        super().__init__(issuer, alg="EdDSA")
        self._kid = kid

    def sign(self, auth: Any, token_endpoint: str) -> str:
        """The assertion for one request."""
        now = int(time.time())
        claims = {
            "iss": auth.client_id,
            "sub": auth.client_id,
            "aud": token_endpoint,
            "iat": now,
            "exp": now + _ASSERTION_LIFE_S,
            "jti": secrets.token_urlsafe(24),
        }
        header = {"alg": self.alg, "kid": self._kid, "typ": "JWT"}
        signed = f"{encode(canonical(header))}.{encode(canonical(claims))}"
        return f"{signed}.{encode(_ED25519.sign(signed.encode(), auth.client_secret))}"


class _Capped(HTTPAdapter):
    """Answers of at most 256 KiB in ten seconds: what is longer, or takes longer, is no answer."""

    def send(self, request: PreparedRequest, *_: Any, **options: Any) -> Response:
        """Send, and read no more than the caps."""
        until = time.monotonic() + _ANSWER_S
        answer = super().send(request, **{**options, "stream": True})
        content = bytearray()
        try:
            while piece := answer.raw.read1(_PIECE_BYTES, decode_content=True):
                content += piece
                if len(content) > _ANSWER_BYTES or time.monotonic() > until:
                    raise RequestException("too long")
        finally:
            answer.close()
        answer._content, answer._content_consumed = bytes(content), True  # type: ignore[attr-defined]
        return answer


async def _in_thread(work: Callable[[], _Answer]) -> _Answer:
    """What the provider answers. Nobody waits longer for it than an answer may take, headers included."""
    try:
        async with asyncio.timeout(_ANSWER_S):
            return await asyncio.get_running_loop().run_in_executor(_ASKING, work)
    except (RequestException, OSError):
        raise ProviderUnavailable from None
    except (AuthlibBaseError, JoseError, ValueError, TypeError, AttributeError, OverflowError):
        raise CodeRejected from None
