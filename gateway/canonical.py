"""RFC 8785 canonical JSON for the subset that evidence uses.

The subset: objects with ASCII keys, arrays, strings without lone surrogates, booleans, null, integers
below 2**53. On it `json.dumps` with sorted keys gives the same bytes as RFC 8785, six to fourteen
times faster than a general implementation; a property test compares the two.
"""

from __future__ import annotations

import json
from typing import Any

from gateway.errors import Invalid

_LIMIT = 2**53


def canonical(value: Any) -> bytes:
    """The canonical bytes of a value in the subset; anything else is `Invalid`, named by its path."""
    _check(value, "")
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Invalid("not_canonical", "A string holds a lone surrogate.") from None


def parse(text: bytes) -> Any:
    """Parse JSON strictly: duplicate members, NaN, bad UTF-8 and too deep nesting are `Invalid`."""
    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant)
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
        raise Invalid("duplicate_member", "An object has a member twice.", field=twice[:64])
    return members


def _refuse_constant(name: str) -> Any:
    raise Invalid("invalid_json", f"{name} is no JSON number.")


def _check(value: Any, path: str) -> None:
    if isinstance(value, str | bool) or value is None:
        return
    if isinstance(value, int):
        if not -_LIMIT < value < _LIMIT:
            raise Invalid("not_canonical", "An integer is 2**53 or larger.", field=path or "/")
    elif isinstance(value, dict):
        for key, member in value.items():
            if not (isinstance(key, str) and key.isascii()):
                raise Invalid("not_canonical", "An object key is not ASCII.", field=path or "/")
            _check(member, f"{path}/{key}")
    elif isinstance(value, list | tuple):
        for index, member in enumerate(value):
            _check(member, f"{path}/{index}")
    else:
        raise Invalid("not_canonical", f"{type(value).__name__} has no canonical form.", field=path or "/")
