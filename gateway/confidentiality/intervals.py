"""When something holds: intervals of whole seconds, the end excluded, and the one rule for what follows what."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from gateway.agreements.fields import instant
from gateway.clock import MILLISECONDS, seconds
from gateway.errors import Conflicting, Invalid

OPEN: Final = 253_402_300_799
"""The end of what has none: 9999-12-31T23:59:59Z."""

Interval = dict[str, int]
"""As the policy's input has it: `from` and `until` in epoch seconds."""


def lasting(from_ms: int, until_ms: int | None) -> Interval:
    """From an instant to another, in milliseconds; without an end open."""
    return {"from": seconds(from_ms), "until": OPEN if until_ms is None else seconds(until_ms)}


def interval(from_ms: int | None, until_ms: int | None = None) -> Interval | None:
    """As `lasting`; without a beginning there is none."""
    return None if from_ms is None else lasting(from_ms, until_ms)


def stated(said: dict[str, Any], at: str = "") -> tuple[int, int]:
    """`from` and `until` of a document, in milliseconds; `Invalid` for an end that is not after the beginning."""
    begins, ends = instant(said["from"], f"{at}/from"), instant(said["until"], f"{at}/until")
    if ends <= begins:
        raise Invalid("interval_empty", "The end is not after the beginning.", field=f"{at}/until")
    return begins * MILLISECONDS, ends * MILLISECONDS


def continued(begins: int, ends: int, *, now_ms: int, standing: tuple[int, int] | None) -> int:
    """Where the time begins that is covered without a gap, if this follows what stands (its beginning and end).

    Nothing begins in the future unless it continues what stands: so what stands always covers one stretch that
    includes the instant of its filing, and none has to be chosen. All in milliseconds.

    Raises:
        Invalid: It is over already.
        Conflicting: It would leave a gap, or end before what stands.
    """
    if ends <= now_ms:
        raise Invalid("interval_over", "It has ended already.", field="/until")
    if standing is None or standing[1] <= now_ms:
        if begins > now_ms:
            raise Conflicting("interval_not_begun", "It has not begun.", field="/from", remedy="File it then.")
        return begins
    if begins > standing[1]:
        raise Conflicting(
            "interval_gap", "It begins after the end of what stands.", field="/from", remedy="File it when it begins."
        )
    if ends < standing[1]:
        raise Conflicting(
            "interval_overlaps",
            "What stands lasts longer.",
            field="/until",
            remedy="End what stands first, if it is to end earlier.",
        )
    return min(begins, standing[0])


def written(milliseconds: int | None) -> str | None:
    """RFC 3339 in UTC, or None."""
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(seconds(milliseconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
