"""What the customer's pages show: every text already in the reader's language, every instant in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.consents.states import STANDING


class Answer(StrEnum):
    """What a customer says to one question."""

    GIVE = "give"
    REFUSE = "refuse"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Party:
    """A company by its name, and how its personal-information officer is reached."""

    name: str
    contact: str


@dataclass(frozen=True, slots=True)
class Line:
    """A field of the customer's data: what it is, and why it is needed. `impact` is said of a sensitive one."""

    name: str
    title: str
    reason: str
    impact: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """Which text was shown: a published notice by name, version and digest."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Item:
    """One question: may `provider` pass these fields to `recipient` for this purpose (PIPL Arts. 17 and 23)?

    Of kind `contact` it asks for no field, only by which channels the recipient may reach the customer. `facts` are the
    lines of the notice (Order 790 Art. 21): the word that names each, and what is said.
    """

    id: str
    kind: str
    provider: str
    recipient: str
    facts: tuple[tuple[str, str], ...]
    required: tuple[Line, ...]
    optional: tuple[Line, ...]
    channels: tuple[str, ...]
    notice: Notice
    put_off: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """A customer's answer to one item, under the notice that was on the page. Nothing is chosen but what is named."""

    item: str
    answer: Answer
    notice_sha256: str
    fields: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a recipient that ever received has come with stopping; `via` is who passed it on, where somebody did."""

    recipient: str
    cause: str
    state: str
    queued_at: int
    due_at: int | None
    acknowledged_at: int | None
    complied_at: int | None
    how: str
    via: str


@dataclass(frozen=True, slots=True)
class Holding:
    """A consent as it stands now: who, why, what, since and until when, from which source."""

    id: str
    kind: str
    state: str
    provider: str
    recipient: str
    purpose: str
    fields: tuple[str, ...]
    channels: tuple[str, ...]
    origin: str
    given_at: int | None
    expires_at: int | None
    changed_at: int
    quiet_until: int | None = None
    progress: tuple[Progress, ...] = ()


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What left, when, to whom: fields by name, never their values."""

    at: int
    recipient: str
    purpose: str
    fields: tuple[str, ...]
    event_id: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """A signed receipt that the customer may keep."""

    id: str
    kind: str
    recipient: str
    at: int


@dataclass(frozen=True, slots=True)
class Company:
    """A company that holds the customer's data, to which requests go."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Product:
    """Something that was on a list, with the words of why it stood where it stood."""

    name: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A list that a member put together for the customer, and which fields of theirs had a part in it."""

    at: int
    member: str
    is_personal: bool
    products: tuple[Product, ...]
    fields: tuple[str, ...]


Suggestions = tuple[Suggestion, ...]


@dataclass(frozen=True, slots=True)
class Switch:
    """Whether no suggestions are made from the data that a company holds, which goes by its id and its name here."""

    company: str
    name: str
    is_off: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """What the customer asked a company for, by when it has to answer, and what it answered: a file, if exported.

    It can be taken back while it waits or is in force; what is answered and `can_be_retracted` is in force.
    """

    id: str
    kind: str
    company: str
    state: str
    received_at: int
    due_at: int
    answer: str
    is_exported: bool = False
    can_be_retracted: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """What a customer asks a company for."""

    kind: str
    company: str
    text: str


@dataclass(frozen=True, slots=True)
class Record:
    """Everything about a customer's consents. `waiting` is how many questions are open.

    Without `kinds` nothing can be asked for here.
    """

    holdings: tuple[Holding, ...]
    disclosures: tuple[Disclosure, ...]
    receipts: tuple[Receipt, ...]
    officers: tuple[Party, ...]
    waiting: int
    companies: tuple[Company, ...] = ()
    shared: tuple[str, ...] = ()
    """The companies at which several persons share the number or address: nobody knows who of them would ask."""
    kinds: tuple[str, ...] = ()
    asked: tuple[Asked, ...] = ()
    suggestions: Suggestions = ()
    switches: tuple[Switch, ...] = ()

    @property
    def given(self) -> tuple[Holding, ...]:
        """What stands and can be withdrawn, also while a dispute or a changed notice pauses it."""
        return tuple(one for one in self.holdings if one.state in STANDING)

    @property
    def followed(self) -> tuple[Holding, ...]:
        """What ended, newest first, with those who must stop."""
        ended = [one for one in self.holdings if one.state not in STANDING and one.given_at is not None]
        return tuple(sorted(ended, key=lambda one: -one.changed_at))

    @property
    def quiet(self) -> tuple[Holding, ...]:
        """Where nobody may ask again for some time."""
        return tuple(one for one in self.holdings if one.quiet_until is not None)


CopyOfRecord = Mapping[str, object]
"""The customer's whole record for a machine, receipts included."""
