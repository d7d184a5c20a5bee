"""Client certificates (RFC 8705): how they are read, what names them, and when they are too old or too weak.

Whether the client holds the certificate's key was shown to the TLS proxy, and whether its chain is good was judged
there. Here a certificate is only read; `proxy` says whose word is taken for it.
"""

from __future__ import annotations

import warnings
from base64 import b64decode
from binascii import Error
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from ipaddress import ip_address
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from joserfc.jwk import ECKey, OKPKey, RSAKey

from gateway.errors import Invalid
from gateway.identity import base64url
from gateway.identity.keys import is_sound, public_key

CERTIFICATE_BYTES: Final = 8192
NAME_KINDS: Final = ("subject_dn", "san_dns", "san_uri", "san_ip", "san_email")
"""What may name a client of a public-key infrastructure, as in RFC 8705 section 2.1.2: exactly one."""

_NAME: Final = 512
_RSA_BITS: Final = range(2048, 8193)
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_UNREADABLE: Final = (
    ValueError,
    TypeError,
    Warning,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
_ATTRIBUTES: Final = {
    "emailAddress": NameOID.EMAIL_ADDRESS,
    "serialNumber": NameOID.SERIAL_NUMBER,
    "organizationIdentifier": NameOID.ORGANIZATION_IDENTIFIER,
}
"""Names that OpenSSL prints and RFC 4514 does not know."""


class CertificateRefused(Invalid):
    """No certificate that can be read, or one whose key is too weak."""

    def __init__(self, detail: str) -> None:
        super().__init__(
            "certificate_refused",
            detail,
            field="certificate",
            remedy="Use an X.509 certificate with an RSA >= 2048, P-256, P-384, P-521 or Ed25519 key.",
        )


@dataclass(frozen=True, slots=True)
class Certificate:
    """One X.509 certificate. `thumbprint` is its `x5t#S256`; it is valid from `begins` to `ends`, epoch seconds.

    `names` holds (kind, text) for its subject and each of its alternative names, as `CertificateName` writes them.
    """

    thumbprint: str
    begins: int
    ends: int
    names: frozenset[tuple[str, str]]

    def is_valid_at(self, now: int) -> bool:
        """Whether it has begun and has not expired; both ends belong to it (RFC 5280 section 4.1.2.5)."""
        return self.begins <= now <= self.ends


@dataclass(frozen=True, slots=True)
class CertificateName:
    """The one name by which a client's certificates are known, written in one way only."""

    kind: str
    text: str

    @classmethod
    def of(cls, kind: str, text: str) -> CertificateName:
        """Read a name as it is registered; `Invalid` for one that no certificate could be compared with."""
        try:
            if not 0 < len(text) <= _NAME or not text.isprintable() or "*" in text:
                raise ValueError
            return cls(kind, _WRITTEN[kind](text))
        except (ValueError, KeyError):
            remedy = "Name one exactly; a subject_dn as RFC 4514 writes it: openssl x509 -subject -nameopt RFC2253."
            raise Invalid("invalid_certificate_name", "No such name.", field=kind, remedy=remedy) from None

    def names(self, certificate: Certificate) -> bool:
        """Whether the certificate bears exactly this name."""
        return (self.kind, self.text) in certificate.names


def from_header(value: bytes) -> Certificate:
    """Read a `Client-Cert` field value (RFC 9440 section 2.1): DER as a byte sequence of structured fields."""
    if len(value) > 2 * CERTIFICATE_BYTES or value[:1] != b":" or value[-1:] != b":" or len(value) < len(b"::"):
        raise CertificateRefused("The certificate is malformed.")
    return _decoded(value[1:-1])


def from_pem(text: bytes) -> Certificate:
    """Read the one certificate of a PEM text."""
    try:
        found = x509.load_pem_x509_certificates(text)
    except _UNREADABLE:
        raise CertificateRefused("The certificate is malformed.") from None
    if len(found) != 1:
        raise CertificateRefused("The file holds several certificates.")
    return _read(found[0].public_bytes(Encoding.DER))


def from_jwk(jwk: Mapping[str, Any]) -> Certificate:
    """Read the certificate of a JWK's `x5c` (RFC 7517 section 4.7); it must be of the JWK's own key."""
    chain = jwk.get("x5c")
    if not isinstance(chain, list) or not chain or not isinstance(chain[0], str) or not chain[0].isascii():
        raise CertificateRefused("The JWK has no x5c.")
    certificate = _decoded(chain[0].encode())
    if public_key(jwk).thumbprint != _key_thumbprint(b64decode(chain[0])):
        raise CertificateRefused("The certificate is of another key.")
    return certificate


def _decoded(text: bytes) -> Certificate:
    try:
        der = b64decode(text, validate=True)
    except Error:
        raise CertificateRefused("The certificate is malformed.") from None
    return _read(der)


@lru_cache(maxsize=1024)
def _read(der: bytes) -> Certificate:
    if len(der) > CERTIFICATE_BYTES:
        raise CertificateRefused(f"The certificate exceeds {CERTIFICATE_BYTES} bytes.")
    try:
        with warnings.catch_warnings(action="error"):  # what the library will refuse one day is refused already
            parsed = x509.load_der_x509_certificate(der)
            strong = _is_strong(parsed.public_key())
            names = frozenset(_names(parsed))
    except _UNREADABLE:
        raise CertificateRefused("The certificate is malformed.") from None
    if not strong:
        raise CertificateRefused("The certificate's key is too weak or of another kind.")
    begins, ends = parsed.not_valid_before_utc, parsed.not_valid_after_utc
    return Certificate(base64url.encode(sha256(der).digest()), int(begins.timestamp()), int(ends.timestamp()), names)


def _is_strong(key: object) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size in _RSA_BITS
    if isinstance(key, ec.EllipticCurvePublicKey):
        return isinstance(key.curve, _CURVES)
    return isinstance(key, ed25519.Ed25519PublicKey) and is_sound(key.public_bytes_raw())


def _names(certificate: x509.Certificate) -> set[tuple[str, str]]:
    found = {("subject_dn", certificate.subject.rfc4514_string())}
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            found.update(name for other in extension.value if (name := _alternative(other)) is not None)
    return found


def _alternative(name: x509.GeneralName) -> tuple[str, str] | None:
    if isinstance(name, x509.DNSName):
        return "san_dns", name.value.lower()
    if isinstance(name, x509.UniformResourceIdentifier):
        return "san_uri", name.value
    if isinstance(name, x509.IPAddress):
        return "san_ip", str(name.value)
    if isinstance(name, x509.RFC822Name):
        return "san_email", name.value
    return None


def _key_thumbprint(der: bytes) -> str:
    """The RFC 7638 thumbprint of a certificate's key, where it is of a kind that signs JWS here."""
    key = x509.load_der_x509_certificate(der).public_key()
    if isinstance(key, rsa.RSAPublicKey):
        jwk: RSAKey | ECKey | OKPKey = RSAKey.import_key(key)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        jwk = ECKey.import_key(key)
    else:
        assert isinstance(key, ed25519.Ed25519PublicKey)
        jwk = OKPKey.import_key(key)
    return public_key(jwk.as_dict(private=False)).thumbprint


_WRITTEN: Final = {
    "subject_dn": lambda text: x509.Name.from_rfc4514_string(text, _ATTRIBUTES).rfc4514_string(),
    "san_dns": lambda text: x509.DNSName(text).value.lower(),
    "san_uri": lambda text: x509.UniformResourceIdentifier(text).value,
    "san_ip": lambda text: str(ip_address(text)),
    "san_email": lambda text: x509.RFC822Name(text).value,
}
