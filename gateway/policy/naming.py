"""How rules and variables are named in the portable profile.

A variable named like a rule hides it, and neither engine says so. A requirement that is stated in another form than
`requirement.CODE.met if …` may be there without being met: an empty set is something, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Final

from gateway.policy.tokens import KEYWORDS, Token, outside

_NAMES_OF_A_PART: Final = 3
_QUANTIFIERS: Final = frozenset({"some", "every"})


def check_names(tokens_of: Mapping[str, Sequence[Token]]) -> set[str]:
    """Return the policy's own functions if heads and variables are named as they must be."""
    solid_of = {path: [token for token in tokens if token.text != "\n"] for path, tokens in tokens_of.items()}
    heads = [(solid, n) for solid in solid_of.values() for n in range(len(solid)) if _is_head(solid, n)]
    rules = {solid[n].text.partition(".")[0] for solid, n in heads}
    for path, solid in solid_of.items():
        for number, token in enumerate(solid):
            if _is_head(solid, number):
                _check_head(path, solid, number, rules)
            else:
                _check_variables(path, solid, number, rules)
            if _is_misplaced(solid, number):
                raise outside(path, token.line, "a rule that does not begin its line", "Run `opa fmt`.")
    return {solid[n].text for solid, n in heads if _has_arguments(solid, n)}


def _is_head(solid: Sequence[Token], number: int) -> bool:
    """Whether a rule, or its default, is stated here."""
    token = solid[number]
    if token.kind != "word" or token.depth or token.text in KEYWORDS:
        return False
    return token.column == 0 or _text(solid, number - 1) == "default"


def _is_misplaced(solid: Sequence[Token], number: int) -> bool:
    token = solid[number]
    begins_a_line = number == 0 or solid[number - 1].line < token.line
    return begins_a_line and not token.depth and token.kind == "word" and token.column > 0


def _check_head(path: str, solid: Sequence[Token], number: int, rules: set[str]) -> None:
    token, following = solid[number], _text(solid, number + 1)
    names = token.text.count(".") + 1
    is_part = names == _NAMES_OF_A_PART and following == "if"
    if following == "[" or (names > 1 and not is_part):
        raise outside(path, token.line, f"{token.text} as the name of a rule", "State it as `a.b.c if …`.")
    if _has_arguments(solid, number):
        for argument in takewhile(lambda one: one.text != ")", solid[number + 2 :]):
            _check_variable(path, argument, rules)


def _check_variables(path: str, solid: Sequence[Token], number: int, rules: set[str]) -> None:
    token, before, after = solid[number], _text(solid, number - 1), _text(solid, number + 1)
    if before in _QUANTIFIERS or after == ":=":
        _check_variable(path, token, rules)
    if before in _QUANTIFIERS and after == ",":
        raise outside(path, token.line, f"`{before} key, value in`", f"Write `{before} key in object.keys(…)`.")
    if (token.text == ":=" and before in {"]", "}"}) or (token.text in _QUANTIFIERS and after in {"[", "{"}):
        raise outside(path, token.line, "several variables at once", "Bind one after the other.")


def _check_variable(path: str, token: Token, rules: set[str]) -> None:
    if token.text in rules:
        raise outside(path, token.line, f"{token.text}, a rule, as a variable", "Give it a name of its own.")


def _has_arguments(solid: Sequence[Token], number: int) -> bool:
    return _text(solid, number + 1) == "("


def _text(solid: Sequence[Token], number: int) -> str:
    return solid[number].text if 0 <= number < len(solid) else ""
