"""The words and marks of a policy's text, with where they stand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gateway.errors import Invalid

KEYWORDS: Final = frozenset({"if", "in", "not", "every", "some", "contains", "default", "else", "as", "with"})

_TOKENS: Final = re.compile(
    r"""(?P<comment>\#[^\n]*)
      | (?P<blank>[ \t\r]+)
      | (?P<text>"(?:[^"\\\n]|\\.)*"|`[^`]*`)
      | (?P<number>[0-9][0-9A-Za-z_.]*)
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)
      | (?P<mark>:=|==|!=|<=|>=|\n|[=<>+\-*/%&|{}\[\]();:,.])""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """One word (with its dots), number, text or mark; `depth` is in how many brackets it stands."""

    kind: str
    text: str
    line: int
    column: int
    depth: int
    touches: bool
    """Whether nothing stands between it and the token before."""


def read_tokens(path: str, text: str) -> list[Token]:
    """The tokens of a module without blanks and comments; ends of lines are among them."""
    tokens: list[Token] = []
    position, line, begins, depth, touches = 0, 1, 0, 0, False
    while position < len(text):
        match = _TOKENS.match(text, position)
        if match is None:
            raise outside(path, line, "a character outside the profile", "Use plain Rego v1.")
        kind, piece = str(match.lastgroup), match.group()
        depth -= kind == "mark" and piece in ")]}"
        if kind not in {"comment", "blank"}:
            tokens.append(Token(kind, piece, line, position - begins, depth, touches))
        depth += kind == "mark" and piece in "([{"
        touches = kind not in {"comment", "blank"}
        line += piece.count("\n")
        position = match.end()
        begins = position if piece == "\n" else begins
    return tokens


def outside(path: str, line: int, construct: str, remedy: str) -> Invalid:
    """What to raise about a construct that the portable profile does not have."""
    detail = f"{path}:{line} uses {construct}, outside the portable profile."
    return Invalid("policy_outside_profile", detail, field=f"{path}:{line}", remedy=remedy)
