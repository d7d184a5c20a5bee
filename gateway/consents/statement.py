"""What a dataset's owner states about one person's consent, and the rules it must meet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.catalog.dataset import Dataset
from gateway.characters import all_shown_as_written
from gateway.consents.minors import Guardian
from gateway.consents.notice_text import CHANNELS, CONTACT, DISCLOSURE, LANGUAGES
from gateway.consents.record import DEFAULT_TERM_S, LONGEST_TERM_S
from gateway.errors import Invalid
from gateway.identifiers import PURPOSE_PATTERN

LONGEST_SUBJECT = 1024
LONGEST_TEXT = 200
_KNOWN = frozenset(
    (
        *("subject", "recipient", "purpose", "fields", "channels", "given_at", "expires_at", "max_uses"),
        *("language", "age_band", "turns_14_at", "guardian", "evidence_sha256", "notice_sha256"),
    )
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
    fields: frozenset[str]
    channels: frozenset[str]
    given_at: int
    expires_at: int
    evidence_sha256: str
    notice_sha256: str
    max_uses: int | None
    language: str
    age_band: str
    turns_14_at: int | None
    guardian: Guardian | None

    @property
    def kind(self) -> str:
        """disclosure of fields, or contact by channels."""
        return CONTACT if self.channels else DISCLOSURE

    def __repr__(self) -> str:
        return "Statement(subject not shown)"


def stated(dataset: Dataset, given: Any, now_s: int, at: str = "") -> Statement:
    """Check one statement; `Invalid` names the member that breaks a rule, under the JSON pointer `at`.

    `given_at` is not in the future; `expires_at` comes after now and at most three years after `given_at`, one year
    where it is left out. Instants are RFC 3339 in whole seconds. `channels` in place of `fields` permit to turn to the
    person, and disclose nothing.
    """
    if not isinstance(given, dict):
        raise Invalid("invalid_consent", "A consent is an object.", field=at or "/")
    for name in given:
        if name not in _KNOWN:
            raise Invalid("unknown_field", "A consent has no such member.", field=f"{at}/{name[:64]}")
    given_at = instant_of(given, "given_at", at)
    expires_at = instant_of(given, "expires_at", at) if "expires_at" in given else given_at + DEFAULT_TERM_S
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
        fields=frozenset() if "channels" in given else _fields(dataset, given.get("fields"), at),
        channels=_channels(given, at),
        given_at=given_at,
        expires_at=expires_at,
        evidence_sha256=_matching(given, "evidence_sha256", _SHA256, at, "It is a SHA-256 in 64 hexadecimal digits."),
        notice_sha256=_matching(given, "notice_sha256", _SHA256, at, "It is a SHA-256 in 64 hexadecimal digits."),
        max_uses=_uses(given, at),
        language=_text(given, "language", at, LANGUAGES[0]),
        age_band=_text(given, "age_band", at, "adult"),
        turns_14_at=instant_of(given, "turns_14_at", at) if "turns_14_at" in given else None,
        guardian=_guardian(given, at),
    )


def subject_of(given: Mapping[str, Any], at: str = "", name: str = "subject") -> str:
    """The subject that a body names, as it is written there (`Dataset.subject_of` reads it)."""
    subject = given.get(name)
    if (
        not isinstance(subject, str)
        or not subject.strip()
        or len(subject) > LONGEST_SUBJECT
        or not _is_unicode(subject)
    ):
        raise _wrong(at, name, "It is the value of the dataset's subject field, as a string.")
    return subject


def purpose_of(given: Mapping[str, Any], at: str = "") -> str:
    """The purpose that a body names."""
    return _matching(given, "purpose", _PURPOSE, at, "A purpose is a-z, then a-z, 0-9 and _, at most 64.")


def recipient_of(given: Mapping[str, Any], at: str = "") -> str:
    """The recipient that a body names."""
    return _matching(given, "recipient", _MEMBER, at, "The recipient is the id of one member.")


def _fields(dataset: Dataset, names: Any, at: str) -> frozenset[str]:
    if not isinstance(names, list) or not names or len(names) > len(dataset.fields):
        raise _wrong(at, "fields", "A consent lists at least one field, each once.")
    seen: set[str] = set()
    for index, name in enumerate(names):
        if not isinstance(name, str) or name not in dataset.fields:
            raise _wrong(at, f"fields/{index}", "The dataset has no such field.")
        if name in seen:
            raise _wrong(at, f"fields/{index}", "A field is listed twice.")
        seen.add(name)
    return frozenset(seen)


def _channels(given: Mapping[str, Any], at: str) -> frozenset[str]:
    if "channels" not in given:
        return frozenset()
    names = given["channels"]
    known = isinstance(names, list) and names and all(name in CHANNELS for name in names if isinstance(name, str))
    if not known or any(not isinstance(name, str) for name in names) or "fields" in given:
        raise _wrong(at, "channels", f"It lists some of {', '.join(CHANNELS)}, and stands in place of fields.")
    return frozenset(names)


def _uses(given: Mapping[str, Any], at: str) -> int | None:
    uses = given.get("max_uses")
    if "max_uses" in given and type(uses) is not int:
        raise _wrong(at, "max_uses", "It is a whole number.")
    return uses


def _text(given: Mapping[str, Any], name: str, at: str, default: str) -> str:
    text = given.get(name, default)
    if not isinstance(text, str):
        raise _wrong(at, name, "It is a string.")
    return text


def _guardian(given: Mapping[str, Any], at: str) -> Guardian | None:
    if "guardian" not in given:
        return None
    told = given["guardian"]
    texts = isinstance(told, dict) and all(
        isinstance(text, str) and len(text) <= LONGEST_TEXT and _is_unicode(text) for text in told.values()
    )
    if not texts or not {"relation", "verified"} <= told.keys() <= set(Guardian._fields):
        raise _wrong(at, "guardian", "It has relation, verified and, if it applies, rule.")
    all_shown_as_written(told, f"{at}/guardian")
    return Guardian(**told)


def instant_of(given: Mapping[str, Any], name: str, at: str = "") -> int:
    """The instant that a body names, in epoch seconds."""
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
