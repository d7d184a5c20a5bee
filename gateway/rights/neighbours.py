"""What requests need of other parts. `app` supplies them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from gateway.consents.followers import Ended
from gateway.database import Reading, Transaction
from gateway.ledger import Change


class Followed(Protocol):
    """How far a recipient is with what it has to do about a person's data."""

    @property
    def consent(self) -> str:
        """Under which consent it received."""

    @property
    def recipient(self) -> str:
        """The member."""

    @property
    def cause(self) -> str:
        """Why: withdrawn, erased, corrected and so on."""

    @property
    def state(self) -> str:
        """How far it is."""


def followed(one: Followed) -> dict[str, str]:
    """How far a recipient is, as the owner and the person are told."""
    return {"recipient": one.recipient, "cause": one.cause, "state": one.state}


class Following(Protocol):
    """Follows corrections and erasures to everybody who ever received."""

    async def ended(self, change: Change, ended: Sequence[Ended]) -> None:
        """Consents ended: queue each, once, in this change for its recipient, if that ever received."""

    async def queue(
        self,
        change: Change,
        owner: str,
        dataset_no: int,
        pseudonym: str,
        *,
        cause: str,
        recipients: Collection[str] | None = None,
    ) -> object:
        """Queue it in this change, for every recipient that ever received."""

    async def of_person(self, reading: Reading, owner: str, pseudonym: str) -> Sequence[Followed]:
        """What is being followed for one person."""


class Disclosed(Protocol):
    """One disclosure, without a value."""

    @property
    def consent(self) -> str:
        """The consent that permitted it."""

    @property
    def at(self) -> int:
        """When, in milliseconds."""

    @property
    def event_id(self) -> str:
        """The entry that it was."""

    @property
    def recipient(self) -> str:
        """To which member."""

    @property
    def purpose(self) -> str:
        """What for."""

    @property
    def fields(self) -> Sequence[str]:
        """Which fields."""


class Disclosures(Protocol):
    """The disclosure log."""

    async def of_person(self, owner: str, pseudonym: str) -> Sequence[Disclosed]:
        """Every disclosure of one person's data, oldest first."""

    async def records_of(self, owner: str, dataset_no: int, pseudonym: str, recipient: str) -> Sequence[str]:
        """The ids of a person's records that a recipient received."""


class Switching(Protocol):
    """The person's off switch of suggestions made from its data."""

    async def __call__(
        self, change: Change, owner: str, pseudonym: str, *, off: bool, actor: Mapping[str, str]
    ) -> object:
        """Turn it, as every subject that is the person, in this change, which narrows the owner."""


class Forgetting(Protocol):
    """How whoever keeps something else of a person under its pseudonym, such as how to reach it, deletes that."""

    async def __call__(self, tx: Transaction, owner: str, pseudonym: str) -> object:
        """Delete it in this transaction."""
