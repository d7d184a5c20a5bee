"""How a client authenticates and what its tokens are bound to: registered once, and nothing else is accepted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import bindparam, select, update

from gateway.database import AlreadyExists, Query, Reading, Row, Transaction
from gateway.errors import Invalid
from gateway.identity import base64url
from gateway.identity.certificates import CertificateName
from gateway.identity.tables import client

_CERTIFICATES: Final = 8
_SHA256: Final = 32


class MethodName(StrEnum):
    """`token_endpoint_auth_method` (RFC 7591 section 2, RFC 8705 section 2)."""

    PRIVATE_KEY_JWT = "private_key_jwt"
    TLS_CLIENT_AUTH = "tls_client_auth"
    SELF_SIGNED_TLS_CLIENT_AUTH = "self_signed_tls_client_auth"


class Binding(StrEnum):
    """What a client's tokens are bound to: the key of its DPoP proofs (RFC 9449), or its certificate (RFC 8705)."""

    DPOP = "dpop"
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A client's registered way to authenticate, checked.

    `certificate_name` goes with `tls_client_auth`, `certificates` (thumbprints, `x5t#S256`) with
    `self_signed_tls_client_auth`. With `strict_typ` an assertion must say `client-authentication+jwt` (RFC 10070).
    """

    name: MethodName = MethodName.PRIVATE_KEY_JWT
    binding: Binding = Binding.DPOP
    certificate_name: CertificateName | None = None
    certificates: tuple[str, ...] = ()
    strict_typ: bool = False

    def __post_init__(self) -> None:
        """`Invalid` for what does not go together."""
        if (self.name is MethodName.TLS_CLIENT_AUTH) != (self.certificate_name is not None):
            raise _invalid("tls_client_auth is registered with exactly one certificate name, other methods with none.")
        if (self.name is MethodName.SELF_SIGNED_TLS_CLIENT_AUTH) != bool(self.certificates):
            raise _invalid("self_signed_tls_client_auth is registered with certificates, other methods with none.")
        if len(self.certificates) > _CERTIFICATES or len(set(self.certificates)) != len(self.certificates):
            raise _invalid(f"A client has at most {_CERTIFICATES} certificates, each once.")
        if not all(_is_thumbprint(one) for one in self.certificates):
            raise _invalid("A certificate is registered by its SHA-256, base64url.")
        if self.name is not MethodName.PRIVATE_KEY_JWT and (self.strict_typ or self.binding is Binding.DPOP):
            raise _invalid("Who authenticates by certificate has no assertions, and tokens bound to the certificate.")

    def columns(self) -> dict[str, Any]:
        """As the client's row keeps it."""
        named = self.certificate_name
        return {
            "method": self.name.value,
            "binding": self.binding.value,
            "certificate_name": None if named is None else f"{named.kind}:{named.text}",
            "certificates": json.dumps(self.certificates),
            "assertion_typ": "strict" if self.strict_typ else "any",
        }

    @classmethod
    def of(cls, row: Row) -> Method:
        """Read the columns back."""
        return _read(row["method"], row["binding"], row["certificate_name"], row["certificates"], row["assertion_typ"])

    def facts(self) -> dict[str, Any]:
        """As an entry tells it."""
        return {name: value for name, value in self.columns().items() if value is not None}


@lru_cache(maxsize=4096)
def _read(name: str, binding: str, certificate_name: str | None, certificates: str, assertion_typ: str) -> Method:
    kind, _, text = (certificate_name or "").partition(":")
    return Method(
        name=MethodName(name),
        binding=Binding(binding),
        certificate_name=CertificateName(kind, text) if kind else None,
        certificates=tuple(json.loads(certificates)),
        strict_typ=assertion_typ != "any",
    )


PRIVATE_KEY_JWT: Final = Method()
"""What a client is registered with unless something else is said: assertions by its keys, tokens bound by DPoP."""

_SET = Query(
    update(client)
    .where(client.c.id == bindparam("the_id"))
    .values(
        method=bindparam("the_method"),
        binding=bindparam("the_binding"),
        certificate_name=bindparam("the_certificate_name"),
        certificates=bindparam("the_certificates"),
        assertion_typ=bindparam("the_assertion_typ"),
        version=client.c.version + 1,
    )
)
_NAME_OF_ANOTHER = Query(
    select(client.c.id).where(client.c.certificate_name == bindparam("name"), client.c.id != bindparam("id"))
)
_CERTIFICATE_OF_ANOTHER = Query(
    select(client.c.id).where(client.c.certificates.like(bindparam("pattern")), client.c.id != bindparam("id"))
)


async def set_method(tx: Transaction, client_id: str, method: Method) -> None:
    """Write how a client authenticates and move its version, which ends every token that it holds.

    `AlreadyExists` where a name or a certificate is, or was, another client's: it speaks for one client. That the
    client stands is the caller's to check.
    """
    columns = method.columns()
    await refuse_taken(tx, client_id, method)
    await tx.run(_SET, the_id=client_id, **{f"the_{name}": value for name, value in columns.items()})


async def refuse_taken(reading: Reading, client_id: str, method: Method) -> None:
    """`AlreadyExists` where a name or a certificate is, or was, another client's."""
    name = method.columns()["certificate_name"]
    if await reading.one(_NAME_OF_ANOTHER, id=client_id, name=name) is not None:
        raise AlreadyExists("The certificate name is another client's.")
    for certificate in method.certificates:
        if await reading.one(_CERTIFICATE_OF_ANOTHER, id=client_id, pattern=f'%"{certificate}"%') is not None:
            raise AlreadyExists("The certificate is another client's.")


def _is_thumbprint(text: str) -> bool:
    try:
        return len(base64url.decode(text)) == _SHA256
    except Invalid:
        return False


def _invalid(detail: str) -> Invalid:
    return Invalid("invalid_method", detail, field="method")
