"""base64url without padding (RFC 7515 appendix C), read strictly: one text per value, nothing skipped."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from binascii import Error, a2b_base64
from typing import Final

from gateway.errors import Invalid

_TO_STANDARD: Final = bytes.maketrans(b"-_+/=\n", b"+/!!!!")
_PADDING: Final = (b"", None, b"==", b"=")
_WITHOUT_LOOSE_BITS: Final = {2: b"AQgw", 3: b"AEIMQUYcgkosw048"}


def encode(value: bytes) -> str:
    """The one text of a value."""
    return urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def decode(text: str | bytes) -> bytes:
    """The value of a text; padding, foreign characters and loose trailing bits are `Invalid`."""
    try:
        raw = text.encode("ascii") if isinstance(text, str) else text
        tail = len(raw) % 4
        padding = _PADDING[tail]
        if padding is not None and (not tail or raw[-1] in _WITHOUT_LOOSE_BITS[tail]):
            return a2b_base64(raw.translate(_TO_STANDARD) + padding, strict_mode=True)
    except (Error, UnicodeEncodeError):
        pass
    raise Invalid("invalid_base64url", "The text is not base64url without padding.")
