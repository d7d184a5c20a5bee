"""What a dataset's owner states about one person's consent, and the rules it must meet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.catalog.dataset import Dataset
from gateway.errors import Invalid
from gateway.identifiers import PURPOSE_PATTERN

DEFAULT_TERM_S = 365 * 24 * 3600
LONGEST_TERM_S = 3 * 365 * 24 * 3600
LONGEST_SUBJECT = 1024
_KNOWN = frozenset(
    ["subject", "recipient", "purpose", "fields", "given_at", "expires_at", "evidence_sha256", "notice_sha256"]
)
_PURPOSE = re.compile(PURPOSE_PATTERN)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MEMBER = re.compile(r"[0-9a-f]{32}")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:Z|[+-][0-9]{2}:[0-9]{2})")


@dataclass(frozen=True, slots=True)
class Statement:
    """One consent as stated. `subject` is as `Dataset.subject_of` reads it; it is never stored."""

    subject: str
    recipient: str
    purpose: str
    fields: int
    given_at: int
    expires_at: int
    evidence_sha256: str
    notice_sha256: str

    def __repr__(self) -> str:
        return "Statement(subject not shown)"


def stated(dataset: Dataset, given: Any, now_s: int, at: str = "") -> Statement:
    """Check one statement; `Invalid` names the member that breaks a rule, under the JSON pointer `at`.

    `given_at` is not in the future; `expires_at` comes after now and at most three years after `given_at`, one year
    where it is left out. Instants are RFC 3339 in whole seconds.
    """
    if not isinstance(given, dict):
        raise Invalid("invalid_consent", "A consent is an object.", field=at or "/")
    for name in given:
        if name not in _KNOWN:
            raise Invalid("unknown_field", "A consent has no such member.", field=f"{at}/{name[:64]}")
    given_at = _instant(given, "given_at", at)
    expires_at = _instant(given, "expires_at", at) if "expires_at" in given else given_at + DEFAULT_TERM_S
    if given_at > now_s:
        raise _wrong(at, "given_at", "A consent cannot be given in the future.")
    if not given_at < expires_at <= given_at + LONGEST_TERM_S:
        raise _wrong(at, "expires_at", "A consent ends after it was given, at most three years later.")
    if expires_at <= now_s:
        raise _wrong(at, "expires_at", "The consent has expired already.")
    return Statement(
        subject=dataset.subject_of(subject_of(given, at), f"{at}/subject"),
        recipient=_matching(given, "recipient", _MEMBER, at, "The recipient is the id of one member."),
        purpose=purpose_of(given, at),
        fields=_fields(dataset, given.get("fields"), at),
        given_at=given_at,
        expires_at=expires_at,
        evidence_sha256=_matching(given, "evidence_sha256", _SHA256, at, "It is a SHA-256 in 64 hexadecimal digits."),
        notice_sha256=_matching(given, "notice_sha256", _SHA256, at, "It is a SHA-256 in 64 hexadecimal digits."),
    )


def subject_of(given: Mapping[str, Any], at: str = "") -> str:
    """The subject that a body names, as it is written there (`Dataset.subject_of` reads it)."""
    subject = given.get("subject")
    if (
        not isinstance(subject, str)
        or not subject.strip()
        or len(subject) > LONGEST_SUBJECT
        or not _is_unicode(subject)
    ):
        raise _wrong(at, "subject", "It is the value of the dataset's subject field, as a string.")
    return subject


def purpose_of(given: Mapping[str, Any], at: str = "") -> str:
    """The purpose that a body names."""
    return _matching(given, "purpose", _PURPOSE, at, "A purpose is a-z, then a-z, 0-9 and _, at most 64.")


def recipient_of(given: Mapping[str, Any], at: str = "") -> str:
    """The recipient that a body names."""
    return _matching(given, "recipient", _MEMBER, at, "The recipient is the id of one member.")


def _fields(dataset: Dataset, names: Any, at: str) -> int:
    if not isinstance(names, list) or not names or len(names) > len(dataset.fields):
        raise _wrong(at, "fields", "A consent lists at least one field, each once.")
    bits = 0
    for index, name in enumerate(names):
        if not isinstance(name, str) or name not in dataset.fields:
            raise _wrong(at, f"fields/{index}", "The dataset has no such field.")
        if bits & dataset.bit(name):
            raise _wrong(at, f"fields/{index}", "A field is listed twice.")
        bits |= dataset.bit(name)
    return bits


def _instant(given: Mapping[str, Any], name: str, at: str) -> int:
    text = given.get(name)
    if isinstance(text, str) and _INSTANT.fullmatch(text):
        try:
            return int(datetime.fromisoformat(text).astimezone(UTC).timestamp())
        except (ValueError, OverflowError):
            pass
    raise _wrong(at, name, "It is an instant of the form 2026-01-31T08:00:00Z.")


def _matching(given: Mapping[str, Any], name: str, pattern: re.Pattern[str], at: str, detail: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _wrong(at, name, detail)
    return value


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _wrong(at: str, name: str, detail: str) -> Invalid:
    return Invalid("invalid_consent", detail, field=f"{at}/{name}")
