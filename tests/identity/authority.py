"""A certificate authority of the tests, and certificates of every kind: good, expired, weak, signing themselves."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.identity.base64url import encode

_DAY = 86_400


@dataclass(frozen=True)
class Credential:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: Any

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def header(self) -> bytes:
        """As RFC 9440 hands it over."""
        return b":" + b64encode(self.der) + b":"

    @property
    def thumbprint(self) -> str:
        """`x5t#S256`."""
        return encode(sha256(self.der).digest())

    def files(self, folder: Path) -> tuple[Path, Path]:
        """(certificate, key) as PEM files."""
        name = self.thumbprint[:12]
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_bytes(self.pem)
        key.touch(0o600)
        key.write_bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate, key


@dataclass
class Authority:
    """Issues certificates about `now` (epoch seconds; default: the machine's clock)."""

    now: float | None = None
    name: str = "Authority"
    own: Credential = field(init=False)

    def __post_init__(self) -> None:
        self.own = self_signed(f"CN={self.name}", now=self.now, authority=True)

    def issue(self, subject: str = "CN=core,O=Bank,C=CN", **how: Any) -> Credential:
        """See `certificate`."""
        return certificate(subject, issuer=self.own, now=self.now, **how)


def self_signed(subject: str = "CN=core", **how: Any) -> Credential:
    """A certificate that signs itself; see `certificate`."""
    return certificate(subject, **how)


def certificate(
    subject: str,
    *,
    now: float | None = None,
    issuer: Credential | None = None,
    key: Any = None,
    names: tuple[x509.GeneralName, ...] = (),
    begins: int = -_DAY,
    ends: int = _DAY,
    authority: bool = False,
) -> Credential:
    """A certificate for an RFC 4514 subject, valid from `begins` to `ends` seconds from now."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    middle = datetime.now(UTC) if now is None else datetime.fromtimestamp(now, UTC)
    named = x509.Name.from_rfc4514_string(subject)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(issuer.certificate.subject if issuer else named)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(middle + timedelta(seconds=begins))
        .not_valid_after(middle + timedelta(seconds=ends))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    signer = issuer.key if issuer else key
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Credential(builder.sign(signer, algorithm), key)
