"""What a person, or a guardian, decides: which fields, from when, until when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.catalog.dataset import Dataset
from gateway.consents.minors import Guardian, check_age
from gateway.consents.notice import Notice
from gateway.consents.notice_text import CONTACT
from gateway.consents.record import Record, bits_of
from gateway.consents.states import Event, State
from gateway.errors import Conflicting, Invalid


def giving(
    record: Record,
    dataset: Dataset,
    event: Event,
    details: Mapping[str, Any],
    fields: frozenset[str] | None,
    *,
    now_s: int,
) -> dict[str, Any]:
    """What moves with the record when it is given: fields or channels, instants, and the guardian who gave it.

    `Conflicting` from the 14th birthday on: what would be out of date at once is not given, nor is a receipt for it.
    """
    if record.stale_at is not None and record.stale_at <= now_s:
        raise Conflicting("of_age", "The person is 14 by now, and decides itself.", remedy="Ask the person itself.")
    guardian = _guardian_of(details) if record.state is State.GUARDIAN_PENDING else record.guardian
    check_age(record.age_band, guardian, dataset, given=True)
    is_on_paper = event is Event.CONFIRM and record.state is State.IMPORTED
    given_at = now_s if record.given_at is None else record.given_at
    chosen = record.fields if is_on_paper and fields is None else _chosen(record, dataset, fields)
    instants = {"given_at": given_at, "expires_at": given_at + record.term_s}
    return {"fields": chosen, "channels": _turned_on(record, fields), "guardian": guardian, **instants}


def amended(record: Record, dataset: Dataset, fields: frozenset[str] | None) -> int:
    """The bits that the person keeps; `Invalid` unless they are fewer, and none that the item needs is missing."""
    kept = _chosen(record, dataset, fields) if fields else record.fields
    if kept == record.fields:
        raise Invalid("invalid_consent", "Name the fields that are kept, fewer than now.", field="/fields")
    return kept


def require_explicit(record: Record, told: Notice, names: Sequence[str], *, explicit: bool) -> None:
    """Sensitive fields are off until the person turns each on; on paper, that was on paper (PIPL Art. 29)."""
    if explicit or record.state is State.IMPORTED:
        return
    if told.fields_of(record.key, sensitive=True).intersection(names):
        raise Invalid(
            "not_explicit",
            "A sensitive field is given only where it is named.",
            field="/fields",
            remedy="Name the fields that the person turned on.",
        )


def _chosen(record: Record, dataset: Dataset, fields: frozenset[str] | None) -> int:
    """The bits of the fields chosen; without a choice, those that the item cannot do without."""
    if record.kind == CONTACT:
        return 0
    chosen = record.required if fields is None else bits_of(dataset, fields)
    if chosen & ~record.fields or record.required & ~chosen:
        raise Invalid(
            "invalid_consent",
            "The fields chosen are of those asked for, and none that is necessary is missing.",
            field="/fields",
            remedy="Refuse or withdraw the item to leave out a necessary field.",
        )
    return chosen


def _turned_on(record: Record, channels: frozenset[str] | None) -> tuple[str, ...]:
    """The channels of a contact that the person turned on; without a choice, those that were asked for."""
    if record.kind != CONTACT or channels is None:
        return record.channels
    if not channels.issubset(record.channels):
        raise Invalid("invalid_consent", "The channels chosen are of those asked for.", field="/channels")
    return tuple(sorted(channels))


def _guardian_of(details: Mapping[str, Any]) -> Guardian | None:
    told = details.get("guardian")
    if not isinstance(told, Mapping) or not {"relation", "verified"} <= told.keys() <= set(Guardian._fields):
        return None
    return Guardian(**{name: str(value) for name, value in told.items()})
