"""A consent record: one person, one recipient, one purpose, and everything that happened to it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Select, or_, select

from gateway.canonical import canonical
from gateway.catalog.dataset import Dataset
from gateway.catalog.tables import dataset
from gateway.clock import seconds
from gateway.consents.minors import Guardian
from gateway.consents.notice import Notice
from gateway.consents.notice_text import DISCLOSURE, ItemKey
from gateway.consents.states import Event, State, effective, overtaking
from gateway.consents.tables import consent, consent_record
from gateway.database import Row
from gateway.identifiers import random_id

DEFAULT_TERM_S = 365 * 24 * 3600
LONGEST_TERM_S = 3 * 365 * 24 * 3600
ANSWER_WITHIN_S = 30 * 24 * 3600
"""For so long after asking, a request can be answered."""
_SAME = (
    *("id", "dataset_no", "pseudonym", "purpose", "kind", "fields", "optional", "sequence", "notice_id"),
    *("notice_sha256", "language", "request_id", "term_s", "given_at", "expires_at", "stale_at", "max_uses"),
    *("uses_left", "disclosed_at", "ended_at", "supersedes", "origin", "age_band", "changed_at", "recorded_at"),
)


@dataclass(frozen=True, kw_only=True)
class NewRecord:
    """An item to be asked for, imported or recorded, about one person of a dataset's owner.

    `fields` of a disclosure, or `channels` of a contact. `optional`: more fields that the person may leave out, beside
    those that the notice calls optional. `given_at` (epoch seconds) of what was given already, on paper or online;
    `answer_by` until when a request can be answered.
    """

    dataset: Dataset
    pseudonym: str
    recipient: str
    purpose: str
    notice: Notice
    kind: str = DISCLOSURE
    fields: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    language: str = "zh-CN"
    expires_after_s: int = DEFAULT_TERM_S
    max_uses: int | None = None
    age_band: str = "adult"
    turns_14_at: int | None = None
    guardian: Guardian | None = None
    collection: Mapping[str, Any] = field(default_factory=dict)
    request_id: str | None = None
    origin: str = "page"
    given_at: int | None = None
    answer_by: int | None = None
    evidence_sha256: str = ""

    @property
    def key(self) -> ItemKey:
        """What it is about."""
        return ItemKey(self.recipient, self.purpose, self.kind)


@dataclass(frozen=True, kw_only=True)
class Record:
    """A record as it is stored, with what its permission has come to. Instants in epoch seconds."""

    id: str
    alliance: str
    owner: str
    dataset_no: int
    dataset: str
    pseudonym: str
    recipient: str
    purpose: str
    kind: str
    fields: int
    optional: int
    channels: tuple[str, ...]
    state: State
    sequence: int
    notice_id: str | None
    notice_sha256: str
    language: str
    request_id: str | None
    term_s: int
    given_at: int | None
    expires_at: int | None
    stale_at: int | None
    max_uses: int | None
    uses_left: int | None
    disclosed_at: int | None
    """Milliseconds: when the first permit named it."""
    ended_at: int | None
    supersedes: str | None
    origin: str
    age_band: str
    guardian: Guardian | None
    collection: Mapping[str, Any]
    changed_at: int
    """Milliseconds, as `recorded_at`."""
    recorded_at: int

    @classmethod
    def of(cls, row: Row) -> Record:
        """The record that a row of `chosen` stands for."""
        return cls(
            alliance=row["alliance_id"],
            owner=row["owner_id"],
            dataset=row["dataset_id"],
            recipient=row["recipient_id"],
            channels=tuple(row["channels"].split()),
            state=State(row["state"]),
            guardian=None if row["guardian"] is None else Guardian(**json.loads(row["guardian"])),
            collection=json.loads(row["collection"]),
            **{name: row[name] for name in _SAME},
        )

    @property
    def key(self) -> ItemKey:
        """What it is about."""
        return ItemKey(self.recipient, self.purpose, self.kind)

    @property
    def required(self) -> int:
        """The bits of the fields that the person cannot leave out without refusing the item."""
        return self.fields & ~self.optional

    @property
    def is_a_childs(self) -> bool:
        """Whether a guardian gives it, or gave it: what a child that is old enough decided is its own."""
        return self.state is State.GUARDIAN_PENDING or self.guardian is not None or self.age_band == "under_14"

    def effective(self, now_s: int) -> State:
        """Where it stands at an instant, by its state and the clock."""
        return effective(
            self.state,
            given_at=self.given_at,
            expires_at=self.expires_at,
            uses_left=self.uses_left,
            stale_at=self.stale_at,
            now_s=now_s,
        )

    def overtaking(self, now_s: int) -> Event | None:
        """The step that the clock has taken, which no event tells of yet."""
        return overtaking(
            self.state, expires_at=self.expires_at, uses_left=self.uses_left, stale_at=self.stale_at, now_s=now_s
        )


def chosen(*conditions: ColumnElement[bool]) -> Select[Any]:
    """Select records with what `Record.of` needs, oldest first."""
    return (
        select(
            consent_record,
            dataset.c.id.label("dataset_id"),
            consent.c.uses_left,
            consent.c.disclosed_at,
            consent.c.ended_at,
        )
        .join(dataset, dataset.c.no == consent_record.c.dataset_no)
        .outerjoin(consent, consent.c.id == consent_record.c.id)
        .where(*conditions)
        .order_by(consent_record.c.recorded_at, consent_record.c.id)
    )


def in_states(states: Collection[State]) -> ColumnElement[bool]:
    """The condition that a record is stored in one of these states."""
    return or_(*(consent_record.c.state == state.value for state in states))


def names_of(dataset: Dataset, bits: int) -> list[str]:
    """The names of these bits' fields, in order of declaration."""
    return [name for name in dataset.fields if dataset.bit(name) & bits]


def bits_of(dataset: Dataset, names: Collection[str]) -> int:
    """The bits of these fields together; `Invalid` names one that the dataset lacks."""
    return dataset.bits(tuple(sorted(names)))


def due_at(state: State, expires_at: int | None, stale_at: int | None) -> int | None:
    """When the clock takes a record's next step; None where it takes none."""
    steps = [
        instant
        for instant in (expires_at, stale_at)
        if instant is not None
        and overtaking(state, expires_at=expires_at, stale_at=stale_at, uses_left=None, now_s=instant)
    ]
    return min(steps, default=None)


def row_of(new: NewRecord, *, state: State, supersedes: str | None, now_ms: int, sequence: int = 1) -> dict[str, Any]:
    """The row of a record that begins in a state, at an instant."""
    in_notice = new.notice.fields_of(new.key, need="optional") if new.kind == DISCLOSURE else frozenset()
    answer_by = new.answer_by or seconds(now_ms) + ANSWER_WITHIN_S
    expires_at = answer_by if new.given_at is None else new.given_at + new.expires_after_s
    stale_at = new.turns_14_at
    return {
        "id": random_id(),
        "alliance_id": new.dataset.alliance,
        "owner_id": new.dataset.owner,
        "dataset_no": new.dataset.no,
        "pseudonym": new.pseudonym,
        "recipient_id": new.recipient,
        "purpose": new.purpose,
        "kind": new.kind,
        "fields": bits_of(new.dataset, new.fields),
        "optional": bits_of(new.dataset, new.fields & (new.optional | in_notice)),
        "channels": " ".join(sorted(new.channels)),
        "state": state.value,
        "sequence": sequence,
        "notice_id": new.notice.id,
        "notice_sha256": new.notice.sha256,
        "language": new.language,
        "request_id": new.request_id,
        "term_s": new.expires_after_s,
        "given_at": new.given_at,
        "expires_at": expires_at,
        "stale_at": stale_at,
        "due_at": due_at(state, expires_at, stale_at),
        "max_uses": new.max_uses,
        "supersedes": supersedes,
        "origin": new.origin,
        "age_band": new.age_band,
        "guardian": None if new.guardian is None else new.guardian.text(),
        "collection": canonical(dict(new.collection)).decode(),
        "changed_at": now_ms,
        "recorded_at": now_ms,
    }
