"""One version of what persons are told, and whether a consent may name it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from gateway.consents.notice_text import DISCLOSURE, ItemKey, items_of
from gateway.database import Row
from gateway.errors import Invalid


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A notice as it is stored. Once published it never changes; another text is another version."""

    id: str
    owner: str
    dataset_no: int
    name: str
    version: int
    sha256: str
    state: str
    used_from: int | None
    """Epoch seconds, as `retired_at`: when it was in use."""
    retired_at: int | None
    material: bool
    document: Mapping[str, Any]

    @classmethod
    def of(cls, row: Row) -> Notice:
        """The notice that a row of the table stands for."""
        return cls(
            id=row["id"],
            owner=row["owner_id"],
            dataset_no=row["dataset_no"],
            name=row["name"],
            version=row["version"],
            sha256=row["sha256"],
            state=row["state"],
            used_from=row["used_from"],
            retired_at=row["retired_at"],
            material=bool(row["material"]),
            document=_read(row["document"]),
        )

    @cached_property
    def items(self) -> Mapping[ItemKey, Mapping[str, Any]]:
        """What it asks for, by recipient, purpose and kind."""
        return items_of(self.document)

    def fields_of(self, key: ItemKey, *, need: str | None = None, sensitive: bool | None = None) -> frozenset[str]:
        """The names of an item's fields: all, or those of this need, or those that are sensitive, or not."""
        return frozenset(
            field["name"]
            for field in self.items[key].get("fields", ())
            if need in (None, field["need"]) and sensitive in (None, field["sensitive"])
        )

    def in_force(self, at_s: int) -> bool:
        """Whether it was what persons were told at an instant."""
        if self.used_from is None or self.used_from > at_s:
            return False
        return self.retired_at is None or at_s < self.retired_at

    def require(self, key: ItemKey, names: Collection[str], at: str = "") -> None:
        """`Invalid`, under the pointer `at`, unless it names recipient, purpose and all these fields (or channels)."""
        told = self._told.get(key)
        if told is None:
            raise Invalid("invalid_consent", "The notice names another recipient or purpose.", field=f"{at}/recipient")
        if not names or not told.issuperset(names):
            member = "fields" if key.kind == DISCLOSURE else "channels"
            raise Invalid("invalid_consent", "The notice does not name all of them.", field=f"{at}/{member}")

    @cached_property
    def _told(self) -> Mapping[ItemKey, frozenset[str]]:
        return {
            key: self.fields_of(key) if key.kind == DISCLOSURE else frozenset(item["channels"])
            for key, item in self.items.items()
        }


def no_such_notice(at: str = "") -> Invalid:
    """No notice of this digest was what persons were told at the instant of the consent."""
    return Invalid(
        "invalid_consent",
        "It is the SHA-256 of a published notice of this dataset, in force when the consent was given.",
        field=f"{at}/notice_sha256",
        remedy="Publish the notice first, or name the version that the person was told.",
    )


@lru_cache(maxsize=256)
def _read(text: str) -> Mapping[str, Any]:
    document: Mapping[str, Any] = json.loads(text)
    return document
