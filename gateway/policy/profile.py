"""The portable profile of Rego: what both engines were measured to answer alike.

This check reads tokens and errs towards refusal. The tests check the same rules on OPA's own parsed tree.
What the profile bans and why: docs/decisions/0002-policy-engines.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.errors import Invalid

BUILTINS: Final = frozenset(
    {
        "concat",
        "count",
        "is_array",
        "is_boolean",
        "is_number",
        "is_object",
        "is_string",
        "lower",
        "object.get",
        "object.keys",
        "startswith",
    }
)
"""The built-in functions inside the profile."""

_BODY_ONLY: Final = frozenset({"concat", "is_array", "is_boolean", "is_number", "is_object", "is_string"})
_STATEMENT_STARTS: Final = frozenset({"\n", "{", ";", "if", "|", "not"})
_KEYWORDS: Final = frozenset({"if", "in", "not", "every", "some", "contains", "default", "else", "as", "with"})

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
class _Token:
    kind: str
    text: str
    line: int
    touches: bool  # nothing stands between this token and the one before


_NEW_LINE: Final = _Token("mark", "\n", 0, touches=False)


def check_profile(modules: Mapping[str, str]) -> None:
    """Return if the modules (path -> text) stay inside the profile; else `Invalid` names file, line and construct."""
    tokens_of = {path: _tokens(path, text) for path, text in modules.items()}
    own_functions = {name for tokens in tokens_of.values() for name in _functions(tokens)}
    rules = {name for tokens in tokens_of.values() for name in _rules(tokens)}
    for path, tokens in tokens_of.items():
        for index, token in enumerate(tokens):
            before = tokens[index - 1] if index else _NEW_LINE
            rest = tokens[index + 1 : index + 4]
            if token.kind == "word":
                _check_word(path, token, before, rest, own_functions)
                _check_variable(path, token, before, rest, rules)
            elif token.kind == "number":
                _check_number(path, token)
            elif token.kind == "mark":
                _check_mark(path, token, before, rest)


def _tokens(path: str, text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position, line, touches = 0, 1, False
    while position < len(text):
        match = _TOKENS.match(text, position)
        if match is None:
            raise _refuse(path, line, "a character outside the profile", "Use plain Rego v1.")
        kind, piece = str(match.lastgroup), match.group()
        if kind not in {"comment", "blank"}:
            tokens.append(_Token(kind, piece, line, touches))
        touches = kind not in {"comment", "blank"}
        line += piece.count("\n")
        position = match.end()
    return tokens


def _functions(tokens: Sequence[_Token]) -> Iterator[str]:
    """The policy's own functions: words that begin a line and have an argument list."""
    for before, token, after in zip([_NEW_LINE, *tokens], tokens, tokens[1:], strict=False):
        if before.text == "\n" and token.kind == "word" and after.text == "(" and after.touches:
            yield token.text


def _rules(tokens: Sequence[_Token]) -> Iterator[str]:
    """The first name of each rule: what begins a line without a blank before it."""
    for before, token in zip([_NEW_LINE, *tokens], tokens, strict=False):
        if _begins_a_line(token, before) and token.text not in _KEYWORDS:
            yield token.text.partition(".")[0]


def _begins_a_line(token: _Token, before: _Token) -> bool:
    return token.kind == "word" and before.text == "\n" and token.touches


def _check_variable(path: str, token: _Token, before: _Token, rest: Sequence[_Token], rules: set[str]) -> None:
    """A variable that is named like a rule hides it, and neither engine says so."""
    assigned = rest[:1] and rest[0].text == ":=" and before.text != "default" and not _begins_a_line(token, before)
    if token.text in rules and (assigned or before.text in {"some", "every"}):
        raise _refuse(path, token.line, f"{token.text}, a rule, as a variable", "Give the variable a name of its own.")


def _check_word(path: str, token: _Token, before: _Token, rest: Sequence[_Token], own_functions: set[str]) -> None:
    word = token.text
    following = [other.text for other in rest]
    if word in {"import", "with"}:
        raise _refuse(path, token.line, word, "Keep to one package, and read `input` only.")
    if word == "data" or (word.startswith("data.") and not word.startswith("data.gateway.")):
        raise _refuse(path, token.line, "data outside the policy's own packages", "Put it into `input`.")
    if word == "package" and following[:1] and following[0] != "gateway" and not following[0].startswith("gateway."):
        raise _refuse(path, token.line, "a package outside gateway", "Name it gateway.<something>.")
    if word == "if" and following[:1] == ["every"]:
        raise _refuse(path, token.line, "`if every` without braces", "Write `if { every … }`.")
    if word == "some" and following[1:2] == [","]:
        raise _refuse(path, token.line, "`some key, value in`", "Write `some key in object.keys(…)`.")
    if following[:1] == ["("] and rest[0].touches and word not in _KEYWORDS:
        _check_call(path, token, before, own_functions)


def _check_call(path: str, token: _Token, before: _Token, own_functions: set[str]) -> None:
    if token.text not in BUILTINS and token.text not in own_functions:
        raise _refuse(path, token.line, f"the function {token.text}", "Use one of " + ", ".join(sorted(BUILTINS)) + ".")
    if token.text in _BODY_ONLY and before.text not in _STATEMENT_STARTS:
        raise _refuse(path, token.line, f"{token.text} as a value", "Use it as a condition of its own.")


def _check_number(path: str, token: _Token) -> None:
    if not token.text.isdigit() or int(token.text) >= 2**53:
        raise _refuse(path, token.line, f"the number {token.text[:32]}", "Use integers below 2**53.")


def _check_mark(path: str, token: _Token, before: _Token, rest: Sequence[_Token]) -> None:
    following = [other.text for other in rest]
    if token.text in {"/", "&"}:
        raise _refuse(path, token.line, f"the operator {token.text}", "Use + - * and comparison on integers.")
    if token.text == "%" and following[:1] != ["1"]:
        raise _refuse(path, token.line, "a remainder other than by 1", "Only `x % 1 == 0` is measured.")
    is_reference = token.text == "[" and token.touches and (before.kind == "word" or before.text in {"]", ")"})
    if is_reference and following[1:2] != ["]"]:
        raise _refuse(path, token.line, "a reference inside a reference", "Bind the inner one to a variable first.")
    if is_reference and "." in following[0]:
        raise _refuse(path, token.line, "a reference inside a reference", "Bind the inner one to a variable first.")


def _refuse(path: str, line: int, construct: str, remedy: str) -> Invalid:
    detail = f"{path}:{line} uses {construct}, outside the portable profile."
    return Invalid("policy_outside_profile", detail, field=f"{path}:{line}", remedy=remedy)
