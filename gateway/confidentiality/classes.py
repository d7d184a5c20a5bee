"""What makes a field confidential (clause 8.1.1), and who knows it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Protocol

from gateway.database import Reading

CONFIDENTIAL: Final = ("business_secret", "technical_secret", "customer", "financial")
"""商业秘密, 技术秘密, 客户信息, 财务信息: what an undertaking can cover."""
PUBLIC: Final = "public"
"""Stated for what is no secret. Whatever is not stated is confidential."""


class ConfidentialClasses(Protocol):
    """Supplied by the catalogue."""

    async def classes_of(self, reading: Reading, *, dataset: str) -> Collection[str]:
        """The classes of a dataset's confidential fields; none for a dataset that there is not."""
