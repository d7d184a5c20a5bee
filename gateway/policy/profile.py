"""The portable profile of Rego: what both engines were measured to answer alike.

This check reads tokens and errs towards refusal. The tests check the same rules on OPA's own parsed tree.
What the profile bans and why: docs/decisions/0002-policy-engines.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.policy.naming import check_names
from gateway.policy.tokens import KEYWORDS, Token, outside, read_tokens

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
_NEW_LINE: Final = Token("mark", "\n", 0, 0, 0, touches=False)


def check_profile(modules: Mapping[str, str]) -> None:
    """Return if the modules (path -> text) stay inside the profile; else `Invalid` names file, line and construct."""
    tokens_of = {path: read_tokens(path, text) for path, text in modules.items()}
    own_functions = check_names(tokens_of)
    for path, tokens in tokens_of.items():
        for index, token in enumerate(tokens):
            before = tokens[index - 1] if index else _NEW_LINE
            rest = tokens[index + 1 : index + 4]
            if token.kind == "word":
                _check_word(path, token, before, rest, own_functions)
            elif token.kind == "number":
                _check_number(path, token)
            elif token.kind == "mark":
                _check_mark(path, token, before, rest)


def _check_word(path: str, token: Token, before: Token, rest: Sequence[Token], own_functions: set[str]) -> None:
    word = token.text
    following = [other.text for other in rest]
    if word in {"import", "with"}:
        raise outside(path, token.line, word, "Keep to one package, and read `input` only.")
    if word == "data" or (word.startswith("data.") and not word.startswith("data.gateway.")):
        raise outside(path, token.line, "data outside the policy's own packages", "Put it into `input`.")
    if word == "package" and following[:1] and following[0] != "gateway" and not following[0].startswith("gateway."):
        raise outside(path, token.line, "a package outside gateway", "Name it gateway.<something>.")
    if word == "if" and following[:1] == ["every"]:
        raise outside(path, token.line, "`if every` without braces", "Write `if { every … }`.")
    if following[:1] == ["("] and rest[0].touches and word not in KEYWORDS:
        _check_call(path, token, before, own_functions)


def _check_call(path: str, token: Token, before: Token, own_functions: set[str]) -> None:
    if token.text not in BUILTINS and token.text not in own_functions:
        raise outside(path, token.line, f"the function {token.text}", "Use one of " + ", ".join(sorted(BUILTINS)) + ".")
    if token.text in _BODY_ONLY and before.text not in _STATEMENT_STARTS:
        raise outside(path, token.line, f"{token.text} as a value", "Use it as a condition of its own.")


def _check_number(path: str, token: Token) -> None:
    if not token.text.isdigit() or int(token.text) >= 2**53:
        raise outside(path, token.line, f"the number {token.text[:32]}", "Use integers below 2**53.")


def _check_mark(path: str, token: Token, before: Token, rest: Sequence[Token]) -> None:
    following = [other.text for other in rest]
    if token.text in {"/", "&"}:
        raise outside(path, token.line, f"the operator {token.text}", "Use + - * and comparison on integers.")
    if token.text == "%" and following[:1] != ["1"]:
        raise outside(path, token.line, "a remainder other than by 1", "Only `x % 1 == 0` is measured.")
    is_reference = token.text == "[" and token.touches and (before.kind == "word" or before.text in {"]", ")"})
    if is_reference and following[1:2] != ["]"]:
        raise outside(path, token.line, "a reference inside a reference", "Bind the inner one to a variable first.")
    if is_reference and "." in following[0]:
        raise outside(path, token.line, "a reference inside a reference", "Bind the inner one to a variable first.")
