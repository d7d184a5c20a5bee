"""What a new record must say before it begins, and the rows that it begins with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.consents.events import event_row
from gateway.consents.minors import check_age
from gateway.consents.notice_text import CHANNELS, CONTACT, DISCLOSURE, LANGUAGES
from gateway.consents.record import LONGEST_TERM_S, NewRecord, row_of
from gateway.consents.states import Event, State
from gateway.errors import Conflicting, Invalid

MOST_USES = 1_000_000


def check_new(new: NewRecord, now_s: int, at: str = "") -> None:
    """`Invalid` names the member, under the pointer `at`, that breaks a rule of every new record."""
    if new.dataset.kind != "personal":
        raise Conflicting("not_personal", "Only personal datasets have consents.", field="dataset")
    named, empty = (new.fields, new.channels) if new.kind == DISCLOSURE else (new.channels, new.fields)
    if new.kind not in (DISCLOSURE, CONTACT) or not named or empty:
        raise _wrong(at, "kind", "It is about fields to disclose, or about channels to turn to the person by.")
    if not new.channels.issubset(CHANNELS):
        raise _wrong(at, "channels", f"Of {', '.join(CHANNELS)}.")
    if new.language not in LANGUAGES:
        raise _wrong(at, "language", f"One of {', '.join(LANGUAGES)}.")
    if not 0 < new.expires_after_s <= LONGEST_TERM_S:
        raise _wrong(at, "expires_at", "A consent ends after it was given, at most three years later.")
    if new.max_uses is not None and not 1 <= new.max_uses <= MOST_USES:
        raise _wrong(at, "max_uses", f"1 to {MOST_USES}.")
    if (new.given_at is None) != (new.origin == "page") or (new.given_at or now_s) > now_s:
        raise _wrong(at, "given_at", "A consent cannot be given in the future.")
    check_age(new.age_band, new.guardian, new.dataset, at, given=new.origin == "owner")
    if (new.age_band == "under_14") != (new.turns_14_at is not None) or (new.turns_14_at or now_s + 1) <= now_s:
        raise _wrong(at, "turns_14_at", "A child under 14 has a 14th birthday to come, and nobody else has.")


def born(
    new: NewRecord, event: Event, state: State, now_ms: int, *, supersedes: str | None, by: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The rows of a record and of its first event."""
    row = row_of(new, state=state, supersedes=supersedes, now_ms=now_ms)
    facts: dict[str, Any] = {"fields": sorted(new.fields), "channels": sorted(new.channels)}
    facts |= {name: row[name] for name in ("given_at", "expires_at") if row[name] is not None}
    return row, event_row(row["id"], 1, event, state, now_ms, by=by, details=facts)


def _wrong(at: str, name: str, detail: str) -> Invalid:
    return Invalid("invalid_consent", detail, field=f"{at}/{name}")
