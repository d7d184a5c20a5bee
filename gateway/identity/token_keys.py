"""The gateway's own keys for tokens: the one that signs now, and those that verify."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc.jwk import OKPKey

from gateway.errors import Unavailable
from gateway.identity import jws
from gateway.identity.keys import PublicKey, public_key

TYPE: Final = "at+jwt"
"""The `typ` of an access token (RFC 9068 section 2.1)."""

KEY_SET_CACHE_SECONDS: Final = 300
"""How long anybody may keep a key set of ours; its `Cache-Control` says so."""

Follow = Callable[[str | None], Awaitable[None]]
"""Makes sure that the keys are not out of date; given a kid, also looks for a key of that name."""


@dataclass(frozen=True)
class TokenKey:
    """An Ed25519 signing key of the gateway and its `kid`."""

    kid: str
    private: OKPKey

    @classmethod
    def of(cls, private: Ed25519PrivateKey, kid: str = "") -> TokenKey:
        """Wrap a `cryptography` key; without a `kid` its RFC 7638 thumbprint serves."""
        key = OKPKey.import_key(private)
        return cls(kid or public_key(key.as_dict(private=False)).thumbprint, key)

    @cached_property
    def signer(self) -> jws.Signer:
        """Signs access tokens with it."""
        return jws.Signer(self.private, typ=TYPE, header={"kid": self.kid})

    def public(self) -> PublicKey:
        """The public half."""
        return public_key(self.private.as_dict(private=False))


class TokenKeys:
    """The key that signs now, and the public halves that still verify (published before use, kept after).

    Where keys are rotated, `follow` reads them again and ends in `hold`; without it they stay what they are.
    """

    def __init__(
        self,
        current: TokenKey | None = None,
        others: Mapping[str, Ed25519PublicKey] | None = None,
        *,
        follow: Follow | None = None,
    ) -> None:
        self._follow = follow
        self._watchers: list[Callable[[], None]] = []
        halves = {kid: public_key(OKPKey.import_key(key).as_dict(private=False)) for kid, key in (others or {}).items()}
        self.hold(current, [{**half.jwk, "kid": kid} for kid, half in halves.items()])

    @property
    def current(self) -> TokenKey:
        """The key that signs; `Unavailable` while it cannot be unlocked."""
        if self._current is None:
            raise Unavailable("keys_unavailable", "There is no key to sign with now.")
        return self._current

    def hold(self, current: TokenKey | None, public: Iterable[Mapping[str, str]]) -> None:
        """Sign with `current` from now on, and verify by it and by these public JWKs, each named by its `kid`."""
        self._current = current
        self._public = {jwk["kid"]: public_key(jwk) for jwk in public}
        if current is not None:
            self._public[current.kid] = current.public()
        for tell in self._watchers:
            tell()

    def watch(self, tell: Callable[[], None]) -> None:
        """Call `tell` whenever the keys have changed: what was verified by them is no longer known to hold."""
        self._watchers.append(tell)

    async def follow(self, kid: str | None = None) -> None:
        """Be up to date: before a token is signed, before the key set is shown, and for a `kid` that is not known."""
        if self._follow is not None:
            await self._follow(kid)

    def find(self, kid: object) -> PublicKey | None:
        """The public key of a `kid`, if it is ours."""
        return self._public.get(kid) if isinstance(kid, str) else None

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public JWK Set (RFC 7517 section 5)."""
        keys = self._public.items()
        return {"keys": [{**key.jwk, "kid": kid, "use": "sig", "alg": key.algorithm} for kid, key in keys]}
