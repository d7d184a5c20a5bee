"""The unified social credit code (统一社会信用代码, GB 32100-2015) that identifies a Chinese company."""

from __future__ import annotations

from stdnum.cn import uscc
from stdnum.exceptions import InvalidChecksum, InvalidLength, ValidationError

from gateway.errors import Invalid


class UsccInvalid(Invalid):
    """The code cannot be a company's: its length, its characters or its check digit is wrong."""


def checked_uscc(text: str) -> str:
    """The code in its 18-character form, separators removed and letters raised; `UsccInvalid` otherwise."""
    try:
        code: str = uscc.validate(text)
    except InvalidLength:
        detail = "A unified social credit code has 18 characters."
    except InvalidChecksum:
        detail = "The check digit (character 18) does not match the other 17."
    except ValidationError:
        detail = "Characters 1 to 8 are digits; the others are digits or letters except I, O, S, V and Z."
    else:
        return code
    raise UsccInvalid("uscc_invalid", detail, field="uscc", remedy="Copy the code from the business licence.")
