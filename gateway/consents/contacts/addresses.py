"""Phone numbers and e-mail addresses, each in the one form that equal ones share.

A number is refused only where its length makes it impossible: tables of valid prefixes lag behind what operators
issue (google/libphonenumber#947, #2127), so a doubtful one is accepted and told to be so.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.characters import normalised
from gateway.errors import Invalid

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

LONGEST_ADDRESS: Final = 254
_WITHOUT_DOTS: Final = {"gmail.com": "gmail.com", "googlemail.com": "gmail.com"}
"""Domains at which dots in the local part mean nothing, and what the domain is really called."""


class Channel(StrEnum):
    """What a message goes by."""

    SMS = "sms"
    EMAIL = "email"


class Email(NamedTuple):
    """An address. `exact` decides who somebody is; `suggested`, the mailbox it probably leads to, only suggests."""

    exact: str
    suggested: str


@dataclass(frozen=True, slots=True)
class Address:
    """A number or an address in its one form, with the channel that it belongs to. Never printed."""

    channel: Channel
    text: str

    @classmethod
    def read(cls, channel: object, text: object, at: str = "") -> Address:
        """From a body: `Invalid` names the member `channel` or `address` under the JSON pointer `at`."""
        try:
            by = Channel(channel)  # type: ignore[arg-type]
        except ValueError:
            raise Invalid(
                "invalid_channel", f"A channel is one of {', '.join(Channel)}.", field=f"{at}/channel"
            ) from None
        if not isinstance(text, str):
            raise Invalid("invalid_address", "An address is a string.", field=f"{at}/address")
        try:
            return cls(by, normalised_phone(text) if by is Channel.SMS else normalised_email(text).exact)
        except Invalid as error:
            raise Invalid(error.code, error.detail, field=f"{at}/address", remedy=error.remedy) from None

    @classmethod
    def guessed(cls, text: str) -> Address:
        """As a person types it into one box: with an @ it is an e-mail address, else a number."""
        channel = Channel.EMAIL if "@" in normalised(text[:LONGEST_ADDRESS]) else Channel.SMS
        return cls.read(channel, text)

    def __repr__(self) -> str:
        return f"Address({self.channel}, not shown)"


def normalised_phone(text: str, region: str = "CN") -> str:
    """The number as E.164. Full-width digits, 0086, a leading 0, blanks and hyphens make no difference.

    `Invalid` where no number can have this length. One without its area code, or with an extension, names nobody.
    """
    import phonenumbers  # noqa: PLC0415 - its tables take long to load

    number = _parsed(text, region)
    possible = phonenumbers.is_possible_number_with_reason(number)
    if possible != phonenumbers.ValidationResult.IS_POSSIBLE or number.extension:
        raise _no_number()
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def phone_is_doubtful(number: str) -> bool:
    """Whether a possible number has a prefix that the tables do not know; a warning, never a refusal."""
    import phonenumbers  # noqa: PLC0415 - as above

    return not phonenumbers.is_valid_number(phonenumbers.parse(number))


def normalised_email(text: str) -> Email:
    """The address with its domain in lower case (IDN decoded); the local part keeps its case and its +tag.

    Its mailbox, as a suggestion: in lower case, without +tag, and without dots where the provider ignores them.
    `Invalid` for what RFC 5321 knows no form of; nothing is looked up.
    """
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415 - takes long to load

    if len(text) > LONGEST_ADDRESS:
        raise _no_address()
    try:
        found = validate_email(normalised(text).strip(), check_deliverability=False)
    except EmailNotValidError:
        raise _no_address() from None
    domain = _WITHOUT_DOTS.get(found.domain, found.domain)
    mailbox = found.local_part.lower().partition("+")[0] or found.local_part.lower()
    if found.domain in _WITHOUT_DOTS:
        mailbox = mailbox.replace(".", "")
    return Email(found.normalized, f"{mailbox}@{domain}")


def _parsed(text: str, region: str) -> PhoneNumber:
    import phonenumbers  # noqa: PLC0415 - as above

    if len(text) > LONGEST_ADDRESS:
        raise _no_number()
    try:
        return phonenumbers.parse(normalised(text).strip(), region)
    except phonenumbers.NumberParseException:
        raise _no_number() from None


def _no_number() -> Invalid:
    return Invalid("invalid_phone", "Not a possible phone number.", remedy="Write it with its country code: +86….")


def _no_address() -> Invalid:
    return Invalid("invalid_email", "Not an e-mail address.", remedy="Write it as name@example.com.")
