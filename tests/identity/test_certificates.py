"""Client certificates: what is read of them, what is refused, and which names are the same."""

from __future__ import annotations

from base64 import b64encode
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, RSAKey

from gateway.errors import Invalid
from gateway.identity.certificates import CertificateName, CertificateRefused, from_header, from_jwk, from_pem
from tests.identity.authority import Authority, Credential, self_signed
from tests.identity.world import NOW


def _read(credential: Credential) -> Any:
    return from_header(credential.header)


def test_a_certificate_is_named_by_the_hash_of_its_bytes() -> None:
    credential = self_signed(now=NOW)
    assert _read(credential).thumbprint == from_pem(credential.pem).thumbprint == credential.thumbprint


@pytest.mark.parametrize(("moment", "valid"), [(-1, False), (0, True), (60, True), (61, False)])
def test_a_certificate_is_valid_between_its_ends_and_at_them(moment: int, valid: bool) -> None:
    assert _read(self_signed(now=NOW, begins=0, ends=60)).is_valid_at(NOW + moment) is valid


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=lambda key: type(key).__name__,
)
def test_strong_keys_are_accepted(key: Any) -> None:
    assert _read(self_signed(now=NOW, key=key)).thumbprint


@pytest.mark.parametrize(
    "key",
    [rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP192R1())],
    ids=["RSA-1024", "P-192"],
)
def test_weak_keys_are_refused(key: Any) -> None:
    with pytest.raises(CertificateRefused):
        _read(self_signed(now=NOW, key=key))


def test_a_key_under_which_signatures_are_anybodys_is_refused() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    good = self_signed(now=NOW, key=key)
    anybodys = good.der.replace(key.public_key().public_bytes_raw(), bytes([1, *bytes(31)]))
    with pytest.raises(CertificateRefused, match="too weak"):
        from_header(b":" + b64encode(anybodys) + b":")


_GOOD = self_signed(now=NOW)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b":",
        b"::",
        b64encode(_GOOD.der),
        b":" + b64encode(_GOOD.der),
        b":" + b64encode(_GOOD.der) + b":;a=1",
        b":" + b64encode(_GOOD.der) + b":, :" + b64encode(_GOOD.der) + b":",
        b":" + b64encode(_GOOD.der[:-1]) + b":",
        b":" + b64encode(_GOOD.der + b"\0") + b":",
        b":" + b64encode(_GOOD.der).replace(b"M", b" M") + b":",
        b":" + b64encode(b"not a certificate") + b":",
        b":" + b64encode(b"\x30" + b"\xff" * 100) + b":",
        b":" + b64encode(b"\0" * 9000) + b":",
        b":" + b"A" * 100_000 + b":",
        _GOOD.pem,
    ],
)
def test_what_is_no_certificate_is_refused_in_our_own_words(value: bytes) -> None:
    with pytest.raises(CertificateRefused):
        from_header(value)


def test_a_certificate_with_a_negative_serial_number_is_refused() -> None:
    certificates = (self_signed(now=NOW) for _ in range(1000))
    good = next(one for one in certificates if one.certificate.serial_number.bit_length() > 152)
    serial = good.certificate.serial_number.to_bytes(20, "big")
    place = good.der.index(serial)
    negative = good.der[:place] + bytes([serial[0] | 0x80]) + good.der[place + 1 :]
    with pytest.raises(CertificateRefused):
        from_header(b":" + b64encode(negative) + b":")


@given(st.integers(0, len(_GOOD.der) - 1), st.integers(1, 255))
@settings(max_examples=300, deadline=None)
def test_a_damaged_certificate_is_refused_or_another_one(place: int, change: int) -> None:
    damaged = bytearray(_GOOD.der)
    damaged[place] ^= change
    try:
        found = from_header(b":" + b64encode(bytes(damaged)) + b":")
    except CertificateRefused:
        return
    assert found.thumbprint != _GOOD.thumbprint


def test_a_pem_file_holds_one_certificate() -> None:
    for text in (_GOOD.pem * 2, b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        with pytest.raises(CertificateRefused):
            from_pem(text)


_NAMES = (
    x509.DNSName("Core.Bank.example"),
    x509.UniformResourceIdentifier("urn:bank:core"),
    x509.IPAddress(ip_address("2001:db8::1")),
    x509.RFC822Name("core@bank.example"),
    x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("subject_dn", "CN=core,O=Bank,C=CN"),
        ("subject_dn", "CN=core, O=Bank, C=CN".replace(", ", ",")),
        ("san_dns", "core.bank.example"),
        ("san_dns", "CORE.bank.example"),
        ("san_uri", "urn:bank:core"),
        ("san_ip", "2001:DB8:0::1"),
        ("san_email", "core@bank.example"),
    ],
)
def test_a_certificate_bears_its_names(kind: str, text: str) -> None:
    assert CertificateName.of(kind, text).names(_read(Authority(NOW).issue(names=_NAMES)))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("subject_dn", "C=CN,O=Bank,CN=core"),
        ("subject_dn", "CN=core,O=Bank"),
        ("subject_dn", "CN=core"),
        ("subject_dn", "CN=Core,O=Bank,C=CN"),
        ("san_dns", "bank.example"),
        ("san_dns", "urn:bank:core"),
        ("san_dns", "core"),
        ("san_uri", "URN:bank:core"),
        ("san_ip", "2001:db8::2"),
        ("san_email", "other@bank.example"),
    ],
)
def test_a_certificate_bears_no_other_name(kind: str, text: str) -> None:
    assert not CertificateName.of(kind, text).names(_read(Authority(NOW).issue(names=_NAMES)))


def test_a_comma_within_a_name_is_no_second_name() -> None:
    sly = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "core,O=Bank")])
    escaped = self_signed(sly.rfc4514_string(), now=NOW)
    assert escaped.certificate.subject == sly
    assert not CertificateName.of("subject_dn", "CN=core,O=Bank").names(_read(escaped))


def test_a_wildcard_in_a_certificate_matches_nothing() -> None:
    wild = _read(Authority(NOW).issue(names=(x509.DNSName("*.bank.example"),)))
    assert not CertificateName.of("san_dns", "core.bank.example").names(wild)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("san_dns", "*.bank.example"),
        ("san_dns", ""),
        ("san_dns", "bänk.example"),
        ("san_ip", "core.bank.example"),
        ("subject_dn", "core"),
        ("subject_dn", "CN=core\0"),
        ("san_uri", "u" * 513),
        ("issuer_dn", "CN=Authority"),
    ],
)
def test_a_name_that_nothing_could_be_compared_with_is_not_registered(kind: str, text: str) -> None:
    with pytest.raises(Invalid) as refused:
        CertificateName.of(kind, text)
    assert (refused.value.code, refused.value.field) == ("invalid_certificate_name", kind)


def _jwk(credential: Credential) -> dict[str, Any]:
    kind = RSAKey if isinstance(credential.key, rsa.RSAPrivateKey) else ECKey
    return {**kind.import_key(credential.key.public_key()).as_dict(), "x5c": [b64encode(credential.der).decode()]}


@pytest.mark.parametrize("key", [None, rsa.generate_private_key(65537, 2048)], ids=["P-256", "RSA"])
def test_a_jwk_may_bring_its_certificate(key: Any) -> None:
    credential = self_signed(now=NOW, key=key)
    assert from_jwk(_jwk(credential)).thumbprint == credential.thumbprint


@pytest.mark.parametrize("chain", [..., [], "text", [7], ["ü"], ["AAAA"], ["!"], [_GOOD.pem.decode()]])
def test_a_jwk_without_a_readable_certificate_is_refused(chain: Any) -> None:
    jwk = {**_jwk(_GOOD), "x5c": chain}
    with pytest.raises(CertificateRefused):
        from_jwk({name: value for name, value in jwk.items() if value is not ...})


def test_a_certificate_of_another_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CertificateRefused, match="another key"):
        from_jwk({**_jwk(_GOOD), "x5c": _jwk(self_signed(now=NOW))["x5c"]})
