"""The token request's body, read strictly: `application/x-www-form-urlencoded`, each parameter once."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from gateway.identity.refusals import TokenRefused

BODY_BYTES: Final = 32 * 1024
_PARAMETERS: Final = 32
_TYPE: Final = re.compile(rb"application/x-www-form-urlencoded[ \t]*(;[ \t]*charset=\"?utf-8\"?[ \t]*)?", re.IGNORECASE)
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ALIKE: Final = frozenset(("authorization_details", "client_assertion_type", "resource"))
"""What a client says in the same words every time; of all else that forms bring nothing is kept here."""
_ALIKE_BYTES: Final = 4096
_PERCENT: Final = ord("%")
"""Looked for as a number: for `b"%" in text` CPython raises and swallows a TypeError."""


def parse_form(content_type: bytes, body: bytes, *, most: int = _PARAMETERS) -> dict[str, str]:
    """The parameters by name; empty ones count as absent (RFC 6749 section 3.2), any name twice is refused.

    So is U+0000, which no database keeps in a text. `most`: more of them are refused, too.
    """
    if not _TYPE.fullmatch(content_type):
        raise TokenRefused("invalid_request", "FORM_TYPE")
    if len(body) > BODY_BYTES:
        raise TokenRefused("invalid_request", "FORM_TOO_LARGE")
    pairs = [pair.partition(b"=") for pair in body.split(b"&")] if body else []
    if len(pairs) > most:
        raise TokenRefused("invalid_request", "FORM_PARAMETERS")
    form: dict[str, str] = {}
    for name, _, value in pairs:
        plain = _decoded(name)
        if plain in form:
            raise TokenRefused("invalid_request", "FORM_DUPLICATE")
        form[plain] = _decoded(value, alike=plain in _ALIKE)
    return {name: value for name, value in form.items() if value}


def _decoded(text: bytes, *, alike: bool = False) -> str:
    plain = text.replace(b"+", b" ")
    if _PERCENT in plain:
        if _BAD_ESCAPE.search(plain):
            raise TokenRefused("invalid_request", "FORM_ENCODING")
        plain = _unescaped(plain) if alike and len(plain) <= _ALIKE_BYTES else unquote_to_bytes(plain)
    if b"\0" in plain:
        raise TokenRefused("invalid_request", "FORM_ENCODING")
    try:
        return plain.decode()
    except UnicodeDecodeError:
        raise TokenRefused("invalid_request", "FORM_ENCODING") from None


@lru_cache(maxsize=256)
def _unescaped(text: bytes) -> bytes:
    """Most ask for what they asked for before, in the same words: 2 MiB of them at most."""
    return unquote_to_bytes(text)
