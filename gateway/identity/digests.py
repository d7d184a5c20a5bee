"""`Content-Digest` (RFC 9530): what ties a message's content to the fields that a signature covers."""

from __future__ import annotations

import hmac
from hashlib import sha256, sha512
from typing import Final

from gateway.identity.structured_fields import FieldRefused, dictionary, serialised

FIELD: Final = "content-digest"
_HASHES: Final = {"sha-256": sha256, "sha-512": sha512}


def content_digest(content: bytes) -> str:
    """The field's value for a content, by SHA-256."""
    return serialised({"sha-256": sha256(content).digest()})


def check_content_digest(value: str, content: bytes) -> None:
    """Return if the field names at least one digest, each by SHA-256 or SHA-512, and each of them is the content's.

    `FieldRefused` otherwise. RFC 9530 would let an unknown algorithm pass unread; here nothing signed stays unread.
    """
    members = dictionary(value, field=FIELD)
    if not members:
        raise FieldRefused("The field names no digest.", field=FIELD)
    for algorithm, (digest, parameters) in members.items():
        if algorithm not in _HASHES or not isinstance(digest, bytes) or parameters:
            raise FieldRefused("Only plain sha-256 and sha-512 digests are accepted.", field=FIELD)
        if not hmac.compare_digest(digest, _HASHES[algorithm](content).digest()):
            raise FieldRefused("The digest is not the content's.", field=FIELD)
