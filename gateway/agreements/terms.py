"""What two members agree on, read from the exact bytes that they sign.

The text is canonical JSON (RFC 8785). These members must be there: `{"v":1,"alliance","agreement","owner",
"recipient","title","datasets":[...],"start","end","confidentiality_years","onward"}`. These may be: `"frequency"`,
`"signed_messages"`, `"third_parties"`, `"remedies"`, `"dispute"`, `"revenue_ratio"`, `"rights_and_duties"`,
`"liability"`, `"amends"` and `"template"`. Nothing has a default: what is not agreed is refused (clauses 2.3.1,
4.1.2), and a signature that is not agreed is not demanded. One dataset's part stands in `dataset_terms`, what holds
for the whole in `general_terms`, what cannot hold together in `contradictions`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from gateway.agreements import general_terms as general
from gateway.agreements.contradictions import refuse_contradictions
from gateway.agreements.dataset_terms import DatasetTerm, dataset_terms
from gateway.agreements.fields import (
    IDENTIFIER,
    TEMPLATE,
    choice,
    instant,
    kept_prose,
    kept_sentence,
    matching,
    members,
    whole,
)
from gateway.agreements.general_terms import Dispute, Frequency, Remedies, RevenueRatio, SignedMessages
from gateway.canonical import canonical, parse
from gateway.characters import all_shown_as_written
from gateway.errors import Invalid, TooLarge

VERSION = 1
LONGEST_TEXT = 65_536
LONGEST_CONFIDENTIALITY_YEARS = 100
ONWARD = ("forbidden", "written_consent")

PROPOSED = ("owner", "recipient", "title", "datasets", "start", "end", "confidentiality_years", "onward")
OPTIONAL = (
    "frequency",
    "signed_messages",
    "third_parties",
    "remedies",
    "dispute",
    "revenue_ratio",
    "rights_and_duties",
    "liability",
    "amends",
    "template",
)
_MEMBERS = ("v", "alliance", "agreement", *PROPOSED)


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms, with the text they were read from. In force from `starts_at` until just before `ends_at`.

    What is None or empty at the end was not agreed, and is off.
    """

    text: bytes
    alliance: str
    agreement: str
    owner: str
    recipient: str
    title: str
    datasets: tuple[DatasetTerm, ...]
    starts_at: int
    ends_at: int
    confidentiality_years: int
    onward: str
    frequency: Frequency | None = None
    signed_messages: SignedMessages | None = None
    third_parties: tuple[str, ...] = ()
    remedies: Remedies | None = None
    dispute: Dispute | None = None
    revenue_ratio: RevenueRatio | None = None
    rights_and_duties: str | None = None
    liability: str | None = None
    amends: str | None = None
    template: str | None = None

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
    if len(text) > LONGEST_TEXT:
        raise TooLarge("terms_too_large", f"Terms have at most {LONGEST_TEXT} bytes.", remedy="Split the agreement.")
    value = parse(text)
    members(value, _MEMBERS, "", optional=OPTIONAL)
    if whole(value["v"], "/v", 1, VERSION) != VERSION:
        raise Invalid("terms_version_unknown", "This version of terms is not known.", field="/v")
    starts_at, ends_at = instant(value["start"], "/start"), instant(value["end"], "/end")
    if ends_at <= starts_at:
        raise Invalid("terms_end_before_start", "The end is not after the start.", field="/end")
    terms = Terms(
        text=text,
        alliance=matching(value["alliance"], "/alliance", IDENTIFIER),
        agreement=matching(value["agreement"], "/agreement", IDENTIFIER),
        owner=matching(value["owner"], "/owner", IDENTIFIER),
        recipient=matching(value["recipient"], "/recipient", IDENTIFIER),
        title=kept_sentence(value["title"], "/title"),
        datasets=tuple(dataset_terms(value["datasets"])),
        starts_at=starts_at,
        ends_at=ends_at,
        confidentiality_years=whole(
            value["confidentiality_years"], "/confidentiality_years", 0, LONGEST_CONFIDENTIALITY_YEARS
        ),
        onward=choice(value["onward"], "/onward", ONWARD),
        **{name: read(value[name]) for name, read in _OPTIONAL_PARTS.items() if name in value},
    )
    refuse_contradictions(terms)
    if canonical(value) != text:
        raise Invalid("not_canonical", "The text is not in canonical form.", remedy="Serialise it by RFC 8785.")
    return terms


_OPTIONAL_PARTS: dict[str, Any] = {
    "frequency": general.frequency,
    "signed_messages": general.signed_messages,
    "third_parties": general.third_parties,
    "remedies": general.remedies,
    "dispute": general.dispute,
    "revenue_ratio": general.revenue_ratio,
    "rights_and_duties": lambda value: kept_prose(value, "/rights_and_duties"),
    "liability": lambda value: kept_prose(value, "/liability"),
    "amends": lambda value: matching(value, "/amends", IDENTIFIER),
    "template": lambda value: matching(value, "/template", TEMPLATE),
}


def complete_proposal(text: bytes, *, alliance: str, agreement: str) -> Terms:
    """Terms from what a member proposes: JSON with the members of terms but `v`, `alliance` and `agreement`.

    Those three are the gateway's to fill, so that nobody chooses an agreement's id. The proposal need not be
    canonical, and its escapes and blanks do not count; the returned `Terms.text` is, and is what the parties sign.
    Whatever they read in it is shown as it is written.
    """
    value = parse(text)
    members(value, PROPOSED, "", optional=OPTIONAL)
    completed = _canonical_text({**value, "v": VERSION, "alliance": alliance, "agreement": agreement})
    all_shown_as_written(value, "")
    return parse_terms(completed)


def _canonical_text(value: dict[str, Any]) -> bytes:
    """Canonical bytes; nesting that no terms have is refused instead of overflowing the stack."""
    try:
        return canonical(value)
    except RecursionError:
        raise Invalid("invalid_json", "Nested too deeply.", remedy="Flatten the document.") from None
