"""Every reason for which a row of a batch stays out. None of them quotes the row."""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway.catalog.columns import MESSAGES as OF_ROWS

REASONS: Final = {
    **{code: OF_ROWS[code] for code in ("cell_too_large", "invalid_utf8", "broken_quoting", "wrong_number_of_cells")},
    "missing_value": "The cell may not be empty.",
    "invalid_subject": "The dataset's subject field cannot have this value.",
    "recipient_not_named": "The recipient is the id of one member; a word for many companies names none.",
    "unknown_recipient": "The recipient is another member of the alliance.",
    "invalid_purpose": "A purpose is a-z, then a-z, 0-9 and _, at most 64.",
    "unknown_field": "The dataset has no such field, or the row names it twice.",
    "invalid_notice": "The notice is a SHA-256 in 64 hexadecimal digits.",
    "unknown_notice": "The dataset has no published notice with this SHA-256.",
    "notice_not_published": "The notice was not in force at the instant at which the consent was given.",
    "notice_changed": "What the notice said then has changed since, in what matters: ask the person anew.",
    "not_in_notice": "The notice does not name this recipient, purpose and every field.",
    "invalid_date": "It is a day of the form 2026-01-31, or an instant of the form 2026-01-31T08:00:00+08:00.",
    "future_date": "A consent cannot have been given in the future.",
    "invalid_expiry": "A consent ends after it was given, at most three years later.",
    "expired": "The consent has expired already.",
    "invalid_name": "Staff and store are 1 to 64 letters, digits, and . _ -: a number of yours, not a name.",
    "invalid_language": "The language is zh-CN or en.",
    "evidence_not_listed": "The manifest does not list this evidence.",
    "duplicate": "A newer row of the batch, or one before it, is about the same person, recipient and purpose.",
    "withdrawn_since": "The person withdrew at that instant or later.",
    "cooling_down": "The person refused less than 180 days before that instant, or later.",
    "on_hold": "A consent of the person is on hold; it stands again when the hold is lifted.",
    "spent": "What was given at that instant, or later, has expired, was used up or revoked: bring a newer consent.",
    "newer_consent": "A newer consent of the person is there already.",
    "already_recorded": "This consent is there already, or another one of the same paper.",
    "evidence_rejected": "This paper was bad, or its batch ended after the draw: ask the person, or bring new paper.",
}


class RefusedRow(NamedTuple):
    """A row that stays out: the line that it begins on, the column ('' where none is to blame) and the code."""

    line: int
    column: str
    code: str


class RowRefused(Exception):
    """One cell keeps its row out. It never leaves this package."""

    def __init__(self, column: str, code: str) -> None:
        super().__init__(code)
        self.column = column
        self.code = code
