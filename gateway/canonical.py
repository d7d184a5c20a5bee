"""RFC 8785 canonical JSON for the subset that evidence uses.

The subset: objects with ASCII keys, arrays, strings without lone surrogates, booleans, null, integers
below 2**53. On it orjson with sorted keys gives the same bytes as RFC 8785, many times faster than a general
implementation; a property test compares the two.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from types import NoneType
from typing import Any

import orjson

from gateway.errors import Invalid

_LIMIT = 2**53
_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER

Written = orjson.Fragment
"""Canonical bytes that were made before, to stand as they are in a value that is made canonical."""

_PLAIN = (str, bool, NoneType, Written)
_OFTEN = frozenset(_PLAIN)


def canonical(value: Any) -> bytes:
    """The canonical bytes of a value in the subset; anything else is `Invalid`, named by its path."""
    try:
        if not _is_plain(value):
            _refuse(value, "")
        return orjson.dumps(value, option=_OPTIONS)
    except RecursionError:
        raise _not_canonical("The value is nested too deeply.", "") from None
    except orjson.JSONEncodeError:
        raise _not_canonical("A string holds a lone surrogate, or the value is nested too deeply.", "") from None


def written(value: Any) -> Written:
    """The canonical bytes of a value, for use as a part of others; `Invalid` as `canonical`."""
    return Written(canonical(value))


def parse(text: bytes) -> Any:
    """Parse JSON strictly: duplicate members, NaN, bad UTF-8 and too deep nesting are `Invalid`."""
    try:
        return _DECODER.decode(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Invalid("invalid_json", f"Not UTF-8 at byte {error.start}.", remedy="Send UTF-8.") from None
    except RecursionError:
        raise Invalid("invalid_json", "Nested too deeply.", remedy="Flatten the document.") from None
    except json.JSONDecodeError as error:
        raise Invalid("invalid_json", f"{error.msg} at line {error.lineno}, column {error.colno}.") from None
    except ValueError:
        raise Invalid("invalid_json", "A number has too many digits.") from None


def parse_canonical(text: bytes) -> Any:
    """Parse text that must already be in canonical form, byte for byte."""
    value = parse(text)
    if canonical(value) != text:
        raise Invalid("not_canonical", "The text is not in canonical form.", remedy="Serialise it by RFC 8785.")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise Invalid("duplicate_member", "An object has a member twice.", field=ascii(twice[:64])[1:-1])
    return members


def _refuse_constant(name: str) -> Any:
    raise Invalid("invalid_json", f"{name} is no JSON number.")


def _is_plain(value: Any) -> bool:
    if isinstance(value, _PLAIN):
        return True
    if isinstance(value, int):
        return -_LIMIT < value < _LIMIT
    if isinstance(value, dict):
        return _are_ascii(value) and _are_plain(value.values())
    return isinstance(value, list | tuple) and _are_plain(value)


def _are_plain(members: Collection[Any]) -> bool:
    return all(map(_is_plain, [one for one in members if type(one) not in _OFTEN]))


def _are_ascii(names: Collection[Any]) -> bool:
    try:
        return "".join(names).isascii()
    except TypeError:
        return False


def _refuse(value: Any, path: str) -> None:
    """Find what is not plain, and name it."""
    if isinstance(value, dict):
        for key, member in value.items():
            if not (isinstance(key, str) and key.isascii()):
                raise _not_canonical("An object key is not ASCII.", path)
            if not _is_plain(member):
                _refuse(member, f"{path}/{key}")
    elif isinstance(value, list | tuple):
        for index, member in enumerate(value):
            if not _is_plain(member):
                _refuse(member, f"{path}/{index}")
    elif isinstance(value, int):
        raise _not_canonical("An integer is 2**53 or larger.", path)
    else:
        raise _not_canonical(f"{type(value).__name__} has no canonical form.", path)


def _not_canonical(detail: str, path: str) -> Invalid:
    return Invalid("not_canonical", detail, field=path or "/")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
