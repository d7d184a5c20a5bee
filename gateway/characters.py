"""One text for all spellings of it (Unicode normal forms), in a time that hostile texts cannot stretch."""

from __future__ import annotations

from typing import Literal
from unicodedata import combining, normalize

_SHORT = 1024
_MOST_MARKS = 30
_JOINER = "\u034f"


def normalised(text: str, form: Literal["NFC", "NFKC"] = "NFKC") -> str:
    """The normal form of a text; of a long one, that of its stream-safe form (UAX #15, section 13).

    Marks that follow each other are put in order, which takes the square of their number, and nothing else runs in the
    process meanwhile: minutes for 1 MiB of them. In no language more than a few do.
    """
    if len(text) > _SHORT and not text.isascii():
        text = _stream_safe(text)
    return normalize(form, text)


def _stream_safe(text: str) -> str:
    """The text with a joiner, which nothing is moved past, wherever more than 30 marks follow each other."""
    pieces = []
    marks = 0
    for one in text:
        marks = marks + 1 if combining(normalize("NFKD", one)[0]) else 0
        if marks > _MOST_MARKS:
            pieces.append(_JOINER)
            marks = 1
        pieces.append(one)
    return "".join(pieces)
