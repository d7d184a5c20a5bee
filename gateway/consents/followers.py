"""What the package above is told when a permission ends, so that whoever received anything hears of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from gateway.ledger import Change


class Ended(NamedTuple):
    """A permission that ended, or lost fields; `cause` is the state it ended in, or `amended`."""

    record_id: str
    owner: str
    dataset_no: int
    pseudonym: str
    recipient: str
    purpose: str
    cause: str


class Followers(Protocol):
    """Who sees to it that recipients hear of it."""

    async def ended(self, change: Change, ended: Sequence[Ended]) -> None:
        """Queue it in the same transaction."""
