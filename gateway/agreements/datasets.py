"""What agreements and holds must know about datasets, which are kept above them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from gateway.database import Reading


class Datasets(Protocol):
    """Supplied by the catalogue."""

    async def fields_of(self, reading: Reading, *, owner: str, dataset: str) -> Collection[str] | None:
        """The names of a dataset's fields, or None where this member has no such dataset."""

    async def owner_of(self, reading: Reading, *, alliance: str, dataset: str) -> str | None:
        """The member that owns a dataset, or None where the alliance has no such dataset."""

    async def filters_of(self, reading: Reading, *, dataset: str) -> Collection[str]:
        """The names of the dataset's fields that rows can be chosen by (`x-filter`)."""
