"""What an owner asks of a person, as its body says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.agreements.fields import (
    FIELD_NAME,
    IDENTIFIER,
    PURPOSE,
    choice,
    distinct,
    instant,
    items,
    matching,
    members,
    whole,
)
from gateway.consents.asking.words import LANGUAGES
from gateway.consents.contacts import Address
from gateway.consents.minors import AGE_BANDS, RELATIONS
from gateway.consents.notice_text import CHANNELS, CONTACT, DISCLOSURE
from gateway.consents.statement import subject_of

MOST_ITEMS: Final = 20
"""More questions at once are answered by nobody who reads them."""

MOST_FIELDS: Final = 62
LONGEST_DAYS: Final = 3 * 365
_SHA256: Final = "[0-9a-f]{64}"
_DAY_S: Final = 24 * 60 * 60


@dataclass(frozen=True, slots=True)
class WishedItem:
    """One item: fields for a recipient and a purpose, or channels to turn to the person by."""

    recipient: str
    purpose: str
    kind: str
    fields: frozenset[str]
    optional: frozenset[str]
    channels: frozenset[str]
    expires_after_s: int
    max_uses: int | None

    @property
    def names(self) -> frozenset[str]:
        """What it is about: fields or channels."""
        return self.fields | self.optional | self.channels


@dataclass(frozen=True, slots=True)
class Wish:
    """One question to one person, or to a child's guardian. The subject is never stored, nor printed."""

    subject: str = field(repr=False)
    notice_sha256: str
    language: str
    address: Address
    items: tuple[WishedItem, ...]
    age_band: str
    turns_14_at: int | None
    relation: str
    """How the guardian who is asked is related; '' where the person is asked itself."""

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Wish:
        """Check a body; `Invalid` names the member that breaks a rule."""
        needed = ("subject", "notice_sha256", "language", "items")
        optional = ("channel", "address", "age_band", "turns_14_at", "guardian")
        members(said, needed, "", optional=optional)
        asked, at, relation = said, "", ""
        if "guardian" in said:
            asked, at = said["guardian"], "/guardian"
            members(asked, ("relation", "channel", "address"), at)
            relation = choice(asked["relation"], f"{at}/relation", RELATIONS)
        else:
            members(said, (*needed, "channel", "address"), "", optional=optional)
        return cls(
            subject=subject_of(said),
            notice_sha256=matching(said["notice_sha256"], "/notice_sha256", _SHA256),
            language=choice(said["language"], "/language", LANGUAGES),
            address=Address.read(asked.get("channel"), asked.get("address"), at),
            items=tuple(
                _item(one, f"/items/{index}") for index, one in enumerate(items(said["items"], "/items", MOST_ITEMS))
            ),
            age_band=choice(said.get("age_band", "adult"), "/age_band", AGE_BANDS),
            turns_14_at=instant(said["turns_14_at"], "/turns_14_at") if "turns_14_at" in said else None,
            relation=relation,
        )


def _item(item: Any, at: str) -> WishedItem:
    members(
        item,
        ("recipient", "purpose"),
        at,
        optional=("kind", "fields", "optional", "channels", "expires_after_days", "max_uses"),
    )
    return WishedItem(
        recipient=matching(item["recipient"], f"{at}/recipient", IDENTIFIER),
        purpose=matching(item["purpose"], f"{at}/purpose", PURPOSE),
        kind=choice(item.get("kind", DISCLOSURE), f"{at}/kind", (DISCLOSURE, CONTACT)),
        fields=_names(item, "fields", at),
        optional=_names(item, "optional", at),
        channels=frozenset(choice(one, at, CHANNELS) for one, at in _each(item, "channels", at, len(CHANNELS))),
        expires_after_s=_DAY_S
        * whole(item.get("expires_after_days", 365), f"{at}/expires_after_days", 1, LONGEST_DAYS),
        max_uses=None if item.get("max_uses") is None else whole(item["max_uses"], f"{at}/max_uses", 1, 1_000_000),
    )


def _names(item: Mapping[str, Any], name: str, at: str) -> frozenset[str]:
    return frozenset(distinct(item[name], f"{at}/{name}", MOST_FIELDS, FIELD_NAME)) if name in item else frozenset()


def _each(said: Mapping[str, Any], name: str, at: str, most: int) -> list[tuple[Any, str]]:
    """What an array holds, each with its pointer; nothing where there is no such array."""
    listed = items(said[name], f"{at}/{name}", most) if name in said else ()
    return [(one, f"{at}/{name}/{index}") for index, one in enumerate(listed)]
