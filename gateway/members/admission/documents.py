"""The typed documents of a dossier (clause 2.1.1): what each kind's number must be, and until when each is good.

The tax registration and the organisation code merged into the licence with its one code in 2015 and 2016; both are
taken as legacy kinds, and never decide whether a company is qualified.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.canonical import canonical
from gateway.characters import shown_as_written
from gateway.clock import MILLISECONDS
from gateway.errors import Invalid, TooLarge
from gateway.members.members import OPEN_END_MS
from gateway.members.uscc import checked_uscc

ZONE: Final = "Asia/Shanghai"
"""Where a document's last day ends, unless it says another zone."""
DAY_MS: Final = 24 * 3600 * MILLISECONDS
LARGEST_FILE: Final = 8 * 1024 * 1024
_NUMBER = re.compile(r"[^\s](?:.{0,98}[^\s])?")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_ORGANISATION = slice(8, 17)
"""Characters 9 to 17 of the unified code are the organisation code (GB 32100-2015)."""


class DocumentKind(StrEnum):
    """What a document is."""

    BUSINESS_LICENCE = "business_licence"
    INDUSTRY_CERTIFICATE = "industry_certificate"
    OPERATING_STATE = "operating_state"
    CREDIT_RECORD = "credit_record"
    TAX_REGISTRATION = "tax_registration"
    ORGANISATION_CODE = "organisation_code"


REQUIRED: Final = (DocumentKind.BUSINESS_LICENCE, DocumentKind.OPERATING_STATE, DocumentKind.CREDIT_RECORD)
"""Without one of each, nobody is admitted."""
COUNTED: Final = frozenset((*REQUIRED, DocumentKind.INDUSTRY_CERTIFICATE))
"""Their ends bound the qualification; of industry certificates, every one that is filed."""
ENDLESS: Final = frozenset(
    (DocumentKind.BUSINESS_LICENCE, DocumentKind.TAX_REGISTRATION, DocumentKind.ORGANISATION_CODE)
)
"""Kinds that may be without a last day (长期)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDocument:
    """A document as it is handed in. `valid_to` is its last day, `YYYY-MM-DD`, None for one without an end.

    `replaces` names the industry certificate that it renews; documents of other kinds replace their predecessor.
    """

    kind: DocumentKind
    number: str
    valid_to: str | None
    content: bytes
    time_zone: str = ZONE
    replaces: str = ""

    def checked(self, uscc: str, now_ms: int) -> dict[str, Any]:
        """The columns that follow from it, for a company of this code; `Invalid` names what is wrong."""
        if not self.content:
            raise Invalid("document_empty", "The file is empty.", field="content")
        if len(self.content) > LARGEST_FILE:
            raise TooLarge("document_too_large", f"A document has at most {LARGEST_FILE} bytes.", field="content")
        if self.replaces and self.kind is not DocumentKind.INDUSTRY_CERTIFICATE:
            raise Invalid("replaces_itself", "This kind replaces its predecessor by itself.", field="replaces")
        until = _valid_until(self.kind, self.valid_to, self.time_zone)
        if until <= now_ms:
            raise Invalid("document_expired", "The document has expired.", field="valid_to", remedy="File a valid one.")
        return {
            "kind": self.kind.value,
            "number": _checked_number(self.kind, self.number, uscc),
            "valid_to": self.valid_to,
            "time_zone": self.time_zone,
            "valid_until": until,
            "sha256": sha256(self.content).hexdigest(),
        }


@dataclass(frozen=True, slots=True)
class Document:
    """A document of a dossier, without its file. Times in milliseconds; `valid_until` is the first instant after it."""

    id: str
    member: str
    kind: DocumentKind
    number: str
    valid_to: str | None
    time_zone: str
    valid_until: int
    sha256: str
    uploaded_by: str
    replaces: str | None
    state: str

    @classmethod
    def of(cls, row: Any) -> Document:
        """Read a row."""
        same = ("id", "number", "valid_to", "time_zone", "valid_until", "sha256", "uploaded_by", "replaces", "state")
        return cls(member=row["member_id"], kind=DocumentKind(row["kind"]), **{name: row[name] for name in same})


def dossier_digest(current: Iterable[Document]) -> str:
    """SHA-256, hexadecimal, of what a dossier holds: reviews and reports name by it what they looked at."""
    held = [
        {"id": one.id, "kind": one.kind.value, "number": one.number, "valid_until": one.valid_until, "file": one.sha256}
        for one in sorted(current, key=lambda one: one.id)
    ]
    return sha256(canonical(held)).hexdigest()


def missing(current: Iterable[Document]) -> list[str]:
    """The required kinds that a dossier lacks."""
    there = {one.kind for one in current}
    return [kind.value for kind in REQUIRED if kind not in there]


def qualified_until(current: Sequence[Document], grace_days: int) -> int:
    """The first instant at which a company is not qualified any more: the earliest end, plus the grace."""
    ends = [one.valid_until for one in current if one.kind in COUNTED]
    earliest = min(ends, default=OPEN_END_MS)
    return min(earliest + grace_days * DAY_MS, OPEN_END_MS)


def day_end(day: str, time_zone: str, field: str) -> int:
    """The first instant, in milliseconds, after a day in a time zone; `Invalid` for no day or no zone.

    The last day of the calendar, 9999-12-31, is how registers write that there is no end: it ends as the open end does.
    """
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid("time_zone_unknown", "There is no such time zone (IANA).", field="time_zone") from None
    try:
        if not _DAY.fullmatch(day):
            raise ValueError
        last = date.fromisoformat(day)
    except ValueError:
        raise Invalid("date_malformed", "This is no day, written YYYY-MM-DD.", field=field) from None
    if last == date.max:
        return OPEN_END_MS
    return int(datetime.combine(last + timedelta(days=1), time_of_day(), zone).timestamp()) * MILLISECONDS


def _valid_until(kind: DocumentKind, valid_to: str | None, time_zone: str) -> int:
    if valid_to is not None:
        return day_end(valid_to, time_zone, "valid_to")
    if kind not in ENDLESS:
        raise Invalid("valid_to_missing", "A document of this kind has a last day.", field="valid_to")
    day_end("2000-01-01", time_zone, "valid_to")
    return OPEN_END_MS


def _checked_number(kind: DocumentKind, number: str, uscc: str) -> str:
    if not _NUMBER.fullmatch(number):
        raise Invalid("number_malformed", "A number has 1 to 100 characters in one line.", field="number")
    shown_as_written(number, "number")
    if kind is DocumentKind.BUSINESS_LICENCE and checked_uscc(number) != uscc:
        raise Invalid("licence_of_another", "The licence is another company's.", field="number")
    if kind is DocumentKind.ORGANISATION_CODE and number.replace("-", "").upper() != uscc[_ORGANISATION]:
        raise Invalid(
            "organisation_code_of_another",
            "The organisation code is not the one in the unified social credit code.",
            field="number",
            remedy="Compare it with characters 9 to 17 of the code on the licence.",
        )
    return checked_uscc(number) if kind is DocumentKind.BUSINESS_LICENCE else number
