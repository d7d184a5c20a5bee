"""Texts that point at a person: mobile numbers, e-mail addresses, resident identity numbers, bank cards.

A text may hold one anywhere. Each is confirmed by its own rules, so that a number which merely has the right length
is none: prefixes and lengths of mobile numbers, the syntax of addresses, birth date, region and check digit of a
resident identity number (GB 11643), issuer prefix and Luhn digit of a card (ISO/IEC 7812).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from stdnum import luhn
from stdnum.cn import ric

from gateway.characters import normalised

RESIDENT_ID: Final = "resident identity number"
PHONE: Final = "mobile number"
EMAIL: Final = "e-mail address"
CARD: Final = "bank card number"

SUSPICIOUS: Final = re.compile(
    rb"@|\+[1-9]|1[3-9][0-9][ .-]?[0-9]{4}[ .-]?[0-9]{4}|(?:[0-9]{4}[ -]?){3}[0-9]"
    rb"|\xef\xbc[\x8b\x90-\x99\xa0]|[0-9](?:\xc2\xa0|\xe2\x80[\x8b-\x95])[0-9]"
)
"""What every such text has in its UTF-8 bytes, full-width forms included; nothing else needs a closer look."""

_HYPHENS: Final = dict.fromkeys(range(0x2010, 0x2016), "-")
_NOTHING: Final = dict.fromkeys(range(0x200B, 0x2010), "")
_WHOLE = re.compile(r"([0-9]{11,})\.0+")
_CHINESE_MOBILE = re.compile(
    r"(?<![0-9.+])(?:(?:\+|00)?86[ .-]?)?1[3-9][0-9](?:(?:[ -]?[0-9]{4}){2}|(?:\.[0-9]{4}){2})(?![0-9.])"
)
_INTERNATIONAL = re.compile(r"\+[1-9][0-9 ().-]{6,20}[0-9]")
_ADDRESS = re.compile(r"[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")
_RESIDENT_ID = re.compile(r"(?<![0-9])[1-9][0-9]{16}[0-9Xx](?![0-9A-Za-z])")
_CARD = re.compile(r"(?<![0-9.])(?:62[0-9]{14,17}|4[0-9]{15}|5[1-5][0-9]{14})(?![0-9.])")
_HEXADECIMAL = re.compile(r"(?<![0-9A-Fa-f-])(?![0-9-]+(?![0-9A-Fa-f-]))[0-9A-Fa-f-]{16,}")
_CARD_SPACED = re.compile(r"(?<![0-9.])[0-9]{4}(?:[ -][0-9]{4}){3}(?:[ -]?[0-9]{1,3})?(?![0-9.])")


def may_be_chance(kind: str, text: str) -> bool:
    """Whether what means something else looks like this now and then.

    Of numbers, 7 in 100 with 11 digits and 1 in 10 with 16; of hexadecimal digests, 3 in 1,000; of UUIDs, 1 in 1,000.
    """
    text = plain(text)
    return kind == CARD or (kind == PHONE and (text.strip().isdigit() or kind_of(_HEXADECIMAL.sub(" ", text)) is None))


def plain(text: str) -> str:
    """The text in compatible characters, hyphens alike, nothing invisible; a whole number without `.0` behind it."""
    text = normalised(text).translate(_HYPHENS | _NOTHING)
    return _WHOLE.sub(r"\1", text) if _WHOLE.fullmatch(text) else text


def kind_of(text: str) -> str | None:
    """Which kind of clue to a person stands in a text, or None."""
    text = plain(text)
    return next((kind for kind, holds in _KINDS if holds(text)), None)


def _holds_resident_id(text: str) -> bool:
    return any(_is_resident_id(found.group()) for found in _RESIDENT_ID.finditer(text))


def _is_resident_id(number: str) -> bool:
    try:
        return bool(ric.is_valid(number))
    except KeyError:  # the library's answer to a region without counties, where nobody is born
        return False


def _holds_mobile(text: str) -> bool:
    if _CHINESE_MOBILE.search(text):
        return True
    return any(_is_mobile(found.group()) for found in _INTERNATIONAL.finditer(text))


def _is_mobile(number: str) -> bool:
    import phonenumbers  # noqa: PLC0415 - its tables take long to load, and few uploads need them

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return False
    mobile = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)
    return phonenumbers.is_valid_number(parsed) and phonenumbers.number_type(parsed) in mobile


def _holds_address(text: str) -> bool:
    return any(_is_address(found.group()) for found in _ADDRESS.finditer(text)) if "@" in text else False


def _is_address(address: str) -> bool:
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415 - as above

    try:
        validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return False
    return True


def _holds_card(text: str) -> bool:
    found = [one.group() for one in _CARD.finditer(text)]
    found += [re.sub("[ -]", "", one.group()) for one in _CARD_SPACED.finditer(text)]
    return any(_CARD.fullmatch(one) and luhn.is_valid(one) for one in found)


_KINDS: Final[tuple[tuple[str, Callable[[str], bool]], ...]] = (
    (RESIDENT_ID, _holds_resident_id),
    (PHONE, _holds_mobile),
    (EMAIL, _holds_address),
    (CARD, _holds_card),
)
