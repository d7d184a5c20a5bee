"""Texts as they are compared and as they are shown.

One text for all spellings of it (Unicode normal forms), in a time that hostile texts cannot stretch; and one rule for
what a person reads and decides by: nothing in it is hidden, and nothing in it moves the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal
from unicodedata import combining, normalize

from gateway.errors import Invalid

_SHORT = 1024
_MOST_MARKS = 30
_JOINER = "\u034f"

_WITHOUT_INK = (
    r"\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2065\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0"
    r"\ufffc\U000e0100-\U000e01ef"
)
_UNSEEN = (
    r"\x00-\x1f\x7f-\x9f"  # controls (Cc)
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # what turns or steers directions (UAX #9)
    r"\u2028\u2029"  # separators of lines and paragraphs (Zl, Zp)
    rf"{_WITHOUT_INK}\u206a-\u206f"
    r"\ufff0-\ufffb\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # what has no ink either
    r"\ud800-\uf8ff\ufdd0-\ufdef\ufffe\uffff"  # surrogates, private use, and what is no character
    r"\U0001fffe\U0001ffff\U0002fffe\U0002ffff\U0003fffe-\U0010ffff"  # planes of tags, private use and nothing
)
_JOINED = r"\u0620-\u0dff\u1000-\u109f\u1780-\u17b3\u17b6-\u17ff\u1820-\u18af\u1b00-\u1bff\ua840-\ua8ff\ua980-\ua9df"
_JOINED += r"\U00010a00-\U00011fff\U0001e900-\U0001e95f"
_PICTURE = r"\u2190-\u27ff\u2900-\u2bff\U0001f000-\U0001faff"
_IDEOGRAPH = r"\u2e80-\u2fff\u3001-\u3163\u3165-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"
_NEEDED = "|".join(
    (
        rf"(?<=[{_JOINED}])[\u200c\u200d](?=[{_JOINED}])",  # between letters of a script that joins them
        rf"(?<=[{_PICTURE}\ufe0f])\u200d(?=[{_PICTURE}])",  # between pictures that make one
        rf"(?<=[{_PICTURE}\u00a9\u00ae\u203c\u2049\u2122\u2139\u3030\u303d\u3297\u3299])[\ufe0e\ufe0f]",
        r"(?<=[0-9#*])\ufe0f(?=\u20e3)",  # a key of a telephone
        rf"(?<=[{_IDEOGRAPH}])[\ufe00-\ufe02\U000e0100-\U000e01ef]",  # one form of an ideograph
        r"(?<=[\u1820-\u18aa])[\u180b-\u180d\u180f]",  # one form of a Mongolian letter
        r"(?<=[\u1820-\u18aa\u180b-\u180d\u180f])\u180e(?=[\u1820-\u18aa])",  # the gap before a Mongolian ending
    )
)
_HIDDEN = re.compile(rf"(?!{_NEEDED})[{_UNSEEN}]")
_STRAY = re.compile(rf"(?!{_NEEDED})[{_WITHOUT_INK}]")
_IN_LINES = {ord("\n"): " ", ord("\t"): " "}
_LONGEST_POINTER = 200
_WITH_TEXTS = (str, dict, list, tuple)


def shown_as_written(text: str, field: str, *, lines: bool = False) -> str:
    """The text, if whoever reads it sees each of its characters in its place; else `not_shown_as_written`.

    Refused are controls (but LF and TAB in `lines`), what turns directions (UAX #9), separators of lines, what has no
    ink though it is no blank (UTR #36, UTS #39: format characters, fillers, tags), surrogates, private use, and what
    is no character. Joiners and variants of form are taken where a script or a picture needs them, and nowhere else.
    Blanks of every width and every letter are taken: who mixes letters that look alike is not found here.

    The rule asks no table of the interpreter, so that it means the same everywhere: places that Unicode keeps for what
    has no ink are refused before anything stands there, whole planes without characters too; a place of another plane
    that is still free is shown as a box, hides nothing, and may be a letter of a name tomorrow (GB 18030).
    """
    found = _HIDDEN.search(text.translate(_IN_LINES) if lines else text)
    if found is not None:
        raise Invalid(
            "not_shown_as_written",
            f"Character {found.start() + 1} (U+{ord(found[0]):04X}) is not shown, or has the others shown otherwise.",
            field=field,
            remedy="Leave it out: type the text anew, or paste it without its format.",
        )
    return text


def without_strays(text: str) -> str:
    """The text without what has no ink where nothing needs it: its writer neither sees it nor knows of it."""
    return _STRAY.sub("", text)


def has_odd_blanks(text: str) -> bool:
    """Whether a blank is no space: names that differ in their blanks alone look like one."""
    return any(one.isspace() and one != " " for one in text)


def all_shown_as_written(value: Any, at: str) -> None:
    """Each text in a value of JSON is shown as it is written, in lines; else the refusal names its JSON pointer.

    One pointer is kept for each level that is open, and its beginning alone: a member's name may be as long as a body.
    """
    waiting = [iter(((at, value),))]
    while waiting:
        here, one = next(waiting[-1], ("", None))
        if one is None:
            waiting.pop()
        elif isinstance(one, str):
            shown_as_written(one, here or "/", lines=True)
        elif isinstance(one, _WITH_TEXTS):
            waiting.append(_inner(one, here))


def _inner(value: Any, at: str) -> Iterator[tuple[str, Any]]:
    """What may hold a text in a value, each with the beginning of its pointer."""
    named = value.items() if isinstance(value, dict) else enumerate(value)
    return ((f"{at}/{_quotable(name)}"[:_LONGEST_POINTER], one) for name, one in named if isinstance(one, _WITH_TEXTS))


def _quotable(name: str | int) -> str:
    return ascii(str(name)[:_LONGEST_POINTER])[1:-1]


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
