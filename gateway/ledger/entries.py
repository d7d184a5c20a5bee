"""What can be entered, and what comes back.

A `Draft` is an entry to be; the ledger adds origin, time, node chain and index. `Recorded` exists only
once the entry is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from gateway.errors import Reason
from gateway.ledger.warrant import OpeningGroup, Warrant

if TYPE_CHECKING:
    from gateway.database import Transaction


class Effect(StrEnum):
    """What was decided."""

    PERMIT = "permit"
    DENY = "deny"
    INDETERMINATE = "indeterminate"


class Kind(StrEnum):
    """What happened."""

    ACCESS = "access"
    ADMIN = "admin"
    KEY = "key"
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - the kind of an entry
    AGREEMENT = "agreement"
    CATALOG = "catalog"
    CONSENT = "consent"
    HOLD = "hold"
    QUERY = "query"
    DELIVERY = "delivery"
    CASE = "case"
    REFERRAL = "referral"


class Opening(NamedTuple):
    """Everything that a permit lets the vault open, in order."""

    dataset: str
    groups: tuple[OpeningGroup, ...]


class Quota(NamedTuple):
    """A count that the ledger's transaction checks and advances; `window_start` in epoch seconds.

    A key belongs to one log: the lock on that log's head is what makes the count exact. `reason` is what the
    refusal says where `amount` more would exceed `limit`.
    """

    key: str
    window_start: int
    limit: int
    amount: int
    reason: Reason


class Receipt(NamedTuple):
    """What the gateway vouches for: this entry stands in that log.

    `origin` names the log; `issued_at` is the entry's own time, in epoch seconds.
    """

    event_id: str
    origin: str
    leaf_hash: bytes
    issued_at: int


class Once(Protocol):
    """Something that may be used a single time, and is used up by the transaction that appends the entry."""

    async def use(self, tx: Transaction) -> bool:
        """Use it up; False where it was used before. A lock it waits for belongs to the entry's log alone."""


class Marks(Protocol):
    """What an entry leaves on the rows that it names, in the transaction that appends it."""

    async def stand(self, tx: Transaction) -> bool:
        """Whether the rows still permit; False where another entry has used one up since the judgement."""

    async def write(self, tx: Transaction, now_ms: int) -> None:
        """Leave the marks, at the entry's own instant; every lock it waits for belongs to the entry's log alone."""


class Draft(NamedTuple):
    """An entry to be.

    `log` is a log's id; `facts` become members of the body (canonical JSON subset, reserved names refused).
    A permit to open (`opening`) may carry the `narrowing` number and the `valid_until_ms` that it was judged
    by, and `quotas`, all of which are counted or none. Where one is spent, the refusal (`overdrawn`, same log) is
    entered instead, with the reason of every quota that is.
    With `once` the entry is appended only if that had not been used; both become durable together.
    With `marks` a permit is appended only if they stand; they are left together with it, and with no refusal.
    `sealed` stands in the body as given. Without `event_id` the ledger draws a UUIDv7.
    `signing` is given the entry's receipt while the disk takes the entry; what it signs comes with `Recorded`.
    """

    log: str
    kind: Kind
    facts: Mapping[str, Any]
    effect: Effect | None = None
    reasons: tuple[Reason, ...] = ()
    opening: Opening | None = None
    narrowing: int | None = None
    quotas: tuple[Quota, ...] = ()
    overdrawn: Draft | None = None
    once: Once | None = None
    marks: Marks | None = None
    sealed: Mapping[str, Any] | None = None
    valid_until_ms: int | None = None
    event_id: str = ""
    signing: Callable[[Receipt], str] | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A durable entry. `warrant` is there for permits with an opening, and for nothing else.

    `signed` is what the draft's `signing` made of its receipt, '' without one. It may be a token: `repr` leaves it out.
    """

    event_id: str
    log: str
    origin: str
    index: int
    leaf_hash: bytes
    time_ms: int
    effect: Effect | None
    reasons: tuple[Reason, ...]
    warrant: Warrant | None
    signed: str = field(default="", repr=False)
