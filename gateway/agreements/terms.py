"""What two members agree on, read from the exact bytes that they sign.

The text is canonical JSON (RFC 8785) with these members and no others:
`{"v":1,"alliance","agreement","owner","recipient","title","datasets":[{"dataset","fields","purposes","methods"}],
"frequency":{"reads","per_seconds"},"start","end","confidentiality_years","onward"}`, and, where the parties want it,
`"signed_messages":{"profile","actions"}`. Nothing has a default: what is not agreed is refused (clauses 2.3.1,
4.1.2), and a signature that is not agreed is not demanded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.agreements.fields import (
    FIELD_NAME,
    IDENTIFIER,
    PURPOSE,
    choice,
    instant,
    items,
    matching,
    members,
    sentence,
    whole,
)
from gateway.canonical import canonical, parse
from gateway.errors import Invalid, TooLarge
from gateway.identity import PROFILE

VERSION = 1
LONGEST_TEXT = 65_536
MOST_DATASETS = 100
MOST_FIELDS = 62
MOST_PURPOSES = 32
MOST_READS = 1_000_000_000
LONGEST_WINDOW_S = 366 * 24 * 60 * 60
LONGEST_CONFIDENTIALITY_YEARS = 100
METHODS = ("api",)
ONWARD = ("forbidden", "written_consent")
BASES = ("consent", "contract", "legal_obligation", "public_information", "non_personal")
SIGNED_ACTIONS = ("read", "query")
"""What a signature may be demanded for: every read, or those that filter."""
PROFILES = (PROFILE,)

PROPOSED = (
    "owner",
    "recipient",
    "title",
    "datasets",
    "frequency",
    "start",
    "end",
    "confidentiality_years",
    "onward",
)
OPTIONAL = ("signed_messages",)
_MEMBERS = ("v", "alliance", "agreement", *PROPOSED)


@dataclass(frozen=True, slots=True)
class Volume:
    """At most `records` records in each window of `per_seconds` seconds."""

    records: int
    per_seconds: int


@dataclass(frozen=True, slots=True)
class DatasetTerm:
    """One dataset's part: exactly these fields, for exactly these purposes, by exactly these methods."""

    dataset: str
    fields: tuple[str, ...]
    purposes: tuple[str, ...]
    methods: tuple[str, ...]
    volume: Volume | None = None
    lawful_basis: str | None = None
    retention_days: int | None = None


@dataclass(frozen=True, slots=True)
class Frequency:
    """At most `reads` reads in each window of `per_seconds` seconds."""

    reads: int
    per_seconds: int


@dataclass(frozen=True, slots=True)
class SignedMessages:
    """For these actions the recipient signs each request by this profile of RFC 9421, and the gateway each answer."""

    profile: str
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms, with the text they were read from. In force from `starts_at` until just before `ends_at`."""

    text: bytes
    alliance: str
    agreement: str
    owner: str
    recipient: str
    title: str
    datasets: tuple[DatasetTerm, ...]
    frequency: Frequency | None
    starts_at: int
    ends_at: int
    confidentiality_years: int
    onward: str
    signed_messages: SignedMessages | None
    third_parties: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """The digest of the text, in hexadecimal."""
        return hashlib.sha256(self.text).hexdigest()

    @property
    def parties(self) -> tuple[str, str]:
        """The owner and the recipient."""
        return self.owner, self.recipient

    def term_for(self, dataset: str) -> DatasetTerm | None:
        """The part about one dataset, or None where it is not covered."""
        return next((term for term in self.datasets if term.dataset == dataset), None)


def parse_terms(text: bytes) -> Terms:
    """Read terms from their canonical text; `Invalid` names the field, `TooLarge` says how long they may be."""
    value = _parsed(text)
    members(value, _MEMBERS, "", optional=OPTIONAL)
    if whole(value["v"], "/v", 1, VERSION) != VERSION:
        raise Invalid("terms_version_unknown", "This version of terms is not known.", field="/v")
    alliance = matching(value["alliance"], "/alliance", IDENTIFIER)
    agreement = matching(value["agreement"], "/agreement", IDENTIFIER)
    owner = matching(value["owner"], "/owner", IDENTIFIER)
    recipient = matching(value["recipient"], "/recipient", IDENTIFIER)
    if owner == recipient:
        raise Invalid("terms_same_party", "Owner and recipient are the same member.", field="/recipient")
    starts_at, ends_at = instant(value["start"], "/start"), instant(value["end"], "/end")
    if ends_at <= starts_at:
        raise Invalid("terms_end_before_start", "The end is not after the start.", field="/end")
    terms = Terms(
        text=text,
        alliance=alliance,
        agreement=agreement,
        owner=owner,
        recipient=recipient,
        title=sentence(value["title"], "/title"),
        datasets=tuple(_dataset_terms(value["datasets"])),
        frequency=_frequency(value["frequency"]),
        starts_at=starts_at,
        ends_at=ends_at,
        confidentiality_years=whole(
            value["confidentiality_years"], "/confidentiality_years", 0, LONGEST_CONFIDENTIALITY_YEARS
        ),
        onward=choice(value["onward"], "/onward", ONWARD),
        signed_messages=_signed_messages(value["signed_messages"]) if "signed_messages" in value else None,
    )
    if canonical(value) != text:
        raise Invalid("not_canonical", "The text is not in canonical form.", remedy="Serialise it by RFC 8785.")
    return terms


def complete_proposal(text: bytes, *, alliance: str, agreement: str) -> Terms:
    """Terms from what a member proposes: JSON with the members of terms but `v`, `alliance` and `agreement`.

    Those three are the gateway's to fill, so that nobody chooses an agreement's id. The proposal need not be
    canonical; the returned `Terms.text` is, and is what the parties sign.
    """
    value = _parsed(text)
    members(value, PROPOSED, "", optional=OPTIONAL)
    return parse_terms(_canonical_text({**value, "v": VERSION, "alliance": alliance, "agreement": agreement}))


def _parsed(text: bytes) -> Any:
    if len(text) > LONGEST_TEXT:
        raise TooLarge("terms_too_large", f"Terms have at most {LONGEST_TEXT} bytes.", remedy="Split the agreement.")
    return parse(text)


def _canonical_text(value: dict[str, Any]) -> bytes:
    """Canonical bytes; nesting that no terms have is refused instead of overflowing the stack."""
    try:
        return canonical(value)
    except RecursionError:
        raise Invalid("invalid_json", "Nested too deeply.", remedy="Flatten the document.") from None


def _dataset_terms(value: Any) -> Iterator[DatasetTerm]:
    seen: set[str] = set()
    for index, item in enumerate(items(value, "/datasets", MOST_DATASETS)):
        at = f"/datasets/{index}"
        members(item, ("dataset", "fields", "purposes", "methods"), at, optional=("lawful_basis",))
        dataset = matching(item["dataset"], f"{at}/dataset", IDENTIFIER)
        if dataset in seen:
            raise Invalid("terms_repeated", "A dataset is named twice.", field=f"{at}/dataset")
        seen.add(dataset)
        yield DatasetTerm(
            dataset=dataset,
            fields=_distinct(item["fields"], f"{at}/fields", MOST_FIELDS, FIELD_NAME),
            purposes=_distinct(item["purposes"], f"{at}/purposes", MOST_PURPOSES, PURPOSE),
            methods=_choices(item["methods"], f"{at}/methods", METHODS),
            lawful_basis=choice(item["lawful_basis"], f"{at}/lawful_basis", BASES) if "lawful_basis" in item else None,
        )


def _choices(value: Any, at: str, words: Sequence[str]) -> tuple[str, ...]:
    return _unrepeated([choice(item, f"{at}/{i}", words) for i, item in enumerate(items(value, at, 8))], at)


def _distinct(value: Any, at: str, most: int, pattern: str) -> tuple[str, ...]:
    found = [matching(item, f"{at}/{index}", pattern) for index, item in enumerate(items(value, at, most))]
    return _unrepeated(found, at)


def _unrepeated(found: Sequence[str], at: str) -> tuple[str, ...]:
    if len(set(found)) != len(found):
        raise Invalid("terms_repeated", "An item is named twice.", field=at, remedy="Name each once.")
    return tuple(found)


def _signed_messages(value: Any) -> SignedMessages:
    at = "/signed_messages"
    members(value, ("profile", "actions"), at)
    return SignedMessages(
        profile=choice(value["profile"], f"{at}/profile", PROFILES),
        actions=_choices(value["actions"], f"{at}/actions", SIGNED_ACTIONS),
    )


def _frequency(value: Any) -> Frequency:
    members(value, ("reads", "per_seconds"), "/frequency")
    return Frequency(
        reads=whole(value["reads"], "/frequency/reads", 1, MOST_READS),
        per_seconds=whole(value["per_seconds"], "/frequency/per_seconds", 1, LONGEST_WINDOW_S),
    )
