"""Where a client's keys come from: stated one by one (`jwks`), or published at an address (`jwks_uri`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam, select

from gateway.database import Query, Reading
from gateway.errors import Conflicting, Invalid
from gateway.identity.client_keys import ClientKey, key_set
from gateway.identity.key_address import checked_address
from gateway.members.tables import member_signing_key

FRESH_MS: Final = 5 * 60 * 1000
"""How long keys that were found at an address are used without another look."""

_SIGNING_KEY = Query(
    select(member_signing_key.c.member_id).where(member_signing_key.c.fingerprint == bindparam("fingerprint"))
)


@dataclass(frozen=True, slots=True)
class KeySource:
    """Keys, or the address of keys; never both (RFC 7591 section 2)."""

    keys: tuple[ClientKey, ...] = ()
    jwks_uri: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any], *, loopback: bool) -> KeySource:
        """Read the member `jwks` or `jwks_uri`, of which exactly one must be there. `Invalid` names what is wrong."""
        named = [name for name in ("jwks", "jwks_uri") if given.get(name) is not None]
        if len(named) != 1:
            raise Invalid("invalid_jwks", "Give either jwks or jwks_uri.", field="jwks")
        if named == ["jwks_uri"]:
            return cls(jwks_uri=checked_address(given["jwks_uri"], loopback=loopback))
        return cls(keys=tuple(key_set(given["jwks"])))

    def terms(self) -> dict[str, Any]:
        """As the member that it was read from, and with nothing that was not understood."""
        if self.jwks_uri is not None:
            return {"jwks_uri": self.jwks_uri}
        return {"jwks": {"keys": [one.jwk() for one in self.keys]}}

    def facts(self) -> dict[str, Any]:
        """For an entry: thumbprints, or the address."""
        if self.jwks_uri is not None:
            return {"jwks_uri": self.jwks_uri}
        return {"keys": sorted(one.key.thumbprint for one in self.keys)}

    async def refuse_signing_keys(self, reading: Reading) -> None:
        """`Conflicting` for a key that signs agreements.

        What binds a company by signature must not lie on the server that fetches data.
        """
        for one in self.keys:
            if await is_signing_key(reading, one.key.thumbprint):
                raise Conflicting(
                    "client_key_is_signing_key",
                    "This key signs agreements.",
                    field="jwk",
                    remedy="Make a key for the client alone.",
                )


async def is_signing_key(reading: Reading, thumbprint: str) -> bool:
    """Whether the key signs, or once signed, agreements."""
    return await reading.one(_SIGNING_KEY, fingerprint=thumbprint) is not None
