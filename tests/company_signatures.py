"""What a member signs on a machine of its own, with the key for agreements that it alone holds."""

from __future__ import annotations

from gateway.agreements import signatures
from gateway.duties import certificates
from gateway.identity.jws import PrivateKey, sign_compact, thumbprint


def sign_terms(text: bytes, key: PrivateKey) -> str:
    """The signature of one side under an agreement's terms."""
    return _signed(text, key, signatures.TYP)


def sign_certificate(text: bytes, key: PrivateKey) -> str:
    """The signature under a certificate that what was received is returned or destroyed."""
    return _signed(text, key, certificates.TYP)


def _signed(text: bytes, key: PrivateKey, typ: str) -> str:
    return sign_compact(text, key, typ=typ, header={"kid": thumbprint(key.as_dict(private=False))})
