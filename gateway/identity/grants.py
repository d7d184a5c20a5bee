"""`authorization_details` (RFC 9396): what is asked, what an agreement offers, and the intersection of both."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, Protocol

from gateway import canonical
from gateway.errors import Invalid
from gateway.identity.claims import text
from gateway.identity.subject import MEMBER_ACTIONS, NOBODY, SUSPENDED_ACTIONS, AgreementGrant, MemberGrant

MEMBER_TYPE: Final = "alliance_member"
AGREEMENT_TYPE: Final = "alliance_agreement"
TYPES: Final = (MEMBER_TYPE, AGREEMENT_TYPE)
_DETAILS: Final = 16
_VALUES: Final = 64
_VALUE: Final = range(1, 129)
_PERSON: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}")
_LISTS: Final = {MEMBER_TYPE: ("actions",), AGREEMENT_TYPE: ("datasets", "purposes", "actions")}
_FIELDS: Final = {
    MEMBER_TYPE: frozenset(("type", "actions")),
    AGREEMENT_TYPE: frozenset(("type", "agreement", "datasets", "purposes", "actions", "person")),
}


class DetailsInvalid(Invalid):
    """The `authorization_details` have an unknown type or field, or a value of a wrong shape."""

    def __init__(self, detail: str) -> None:
        super().__init__("invalid_authorization_details", detail, field="authorization_details")


@dataclass(frozen=True, slots=True)
class Offer:
    """What an agreement in force lets its recipient ask for now.

    `datasets` maps each dataset to its purposes; `ends_at` is the epoch second at which the agreement ends.
    """

    datasets: Mapping[str, Collection[str]]
    actions: Collection[str]
    ends_at: int


class AgreementTerms(Protocol):
    """What the agreements package tells identity; the app supplies it."""

    async def offer(self, member: str, agreement: str, now_s: int) -> Offer | None:
        """The offer to this member; None unless the agreement is in force and entitles the member to read."""


@dataclass(frozen=True, slots=True)
class Grants:
    """What a token grants; `ends_at` is the earliest end of its agreements and of its member's papers, or None."""

    agreements: tuple[AgreementGrant, ...]
    actions: frozenset[str]
    ends_at: int | None = None

    @classmethod
    def of(cls, details: object) -> Grants:
        """Read `authorization_details` that were granted or asked for; wrong shapes are `DetailsInvalid`."""
        if not isinstance(details, list):
            raise DetailsInvalid("authorization_details is an array.")
        read = [_detail(detail) for detail in details]
        actions = {action for one in read if isinstance(one, MemberGrant) for action in one.actions}
        agreements = tuple(one for one in read if isinstance(one, AgreementGrant))
        if len({one.agreement for one in agreements}) != len({(one.agreement, one.person) for one in agreements}):
            raise DetailsInvalid("The details about one agreement name one person.")
        return cls(agreements, frozenset(actions))

    def ending(self, at_s: int) -> Grants:
        """The same, ending at this epoch second at the latest."""
        return replace(self, ends_at=at_s if self.ends_at is None else min(self.ends_at, at_s))

    def details(self) -> list[dict[str, Any]]:
        """As `authorization_details`."""
        members = [{"type": MEMBER_TYPE, "actions": sorted(self.actions)}] if self.actions else []
        return [
            *members,
            *(
                {
                    "type": AGREEMENT_TYPE,
                    "agreement": one.agreement,
                    "datasets": list(one.datasets),
                    "purposes": list(one.purposes),
                    "actions": list(one.actions),
                    **({} if one.person == NOBODY else {"person": one.person}),
                }
                for one in self.agreements
            ),
        ]


@lru_cache(maxsize=256)
def requested(parameter: str) -> Grants:
    """Parse the request parameter strictly (unique JSON members, known types and fields); most ask as before."""
    try:
        details = canonical.parse(parameter.encode())
        if isinstance(details, list) and len(details) > _DETAILS:
            raise DetailsInvalid(f"authorization_details has at most {_DETAILS} details.")
        return Grants.of(details)
    except UnicodeEncodeError:
        raise DetailsInvalid("authorization_details is not UTF-8.") from None
    except DetailsInvalid:
        raise
    except Invalid:
        raise DetailsInvalid("authorization_details is not acceptable JSON.") from None


async def granted(asked: Grants, *, member: str, terms: AgreementTerms, now_s: int, suspended: bool = False) -> Grants:
    """The intersection of what is asked with what the member may do and its agreements offer; it may be empty.

    Of what a suspended member asks, `SUSPENDED_ACTIONS` are left.
    """
    if suspended:
        return Grants((), asked.actions & SUSPENDED_ACTIONS)
    narrowed: list[AgreementGrant] = []
    ends: list[int] = []
    for detail in asked.agreements:
        offer = await terms.offer(member, detail.agreement, now_s)
        if offer is not None and offer.ends_at > now_s and (split := _narrow(detail, offer)):
            narrowed += split
            ends.append(offer.ends_at)
    return Grants(tuple(dict.fromkeys(narrowed)), asked.actions & MEMBER_ACTIONS, min(ends, default=None))


def _narrow(asked: AgreementGrant, offer: Offer) -> list[AgreementGrant]:
    """One grant per set of purposes, so that no dataset gains a purpose that only its neighbour has."""
    actions = tuple(action for action in asked.actions if action in offer.actions)
    alike: dict[tuple[str, ...], list[str]] = {}
    for dataset in asked.datasets:
        offered = offer.datasets.get(dataset, ())
        purposes = tuple(purpose for purpose in asked.purposes if purpose in offered)
        if purposes and actions:
            alike.setdefault(purposes, []).append(dataset)
    return [
        AgreementGrant(asked.agreement, tuple(names), purposes, actions, asked.person)
        for purposes, names in alike.items()
    ]


def _detail(detail: object) -> AgreementGrant | MemberGrant:
    kind = detail.get("type") if isinstance(detail, dict) else None
    if not isinstance(detail, dict) or not isinstance(kind, str) or kind not in _FIELDS:
        raise DetailsInvalid("A detail has an unknown type.")
    if not detail.keys() <= _FIELDS[kind]:
        raise DetailsInvalid("A detail has an unknown field.")
    lists = [_values(detail.get(name, [])) for name in _LISTS[kind]]
    if kind == MEMBER_TYPE:
        return MemberGrant(*lists)
    agreement = text(detail.get("agreement"), _VALUE)
    if agreement is None:
        raise DetailsInvalid("A detail names no agreement.")
    datasets, purposes, actions = lists
    return AgreementGrant(agreement, datasets, purposes, actions, _person(detail.get("person", NOBODY)))


def _person(value: object) -> str:
    if not isinstance(value, str) or not _PERSON.fullmatch(value):
        raise DetailsInvalid("A detail's person is an id of letters, digits, `_`, `.`, `:` and `-`.")
    return value


def _values(values: object) -> tuple[str, ...]:
    if not isinstance(values, list) or len(values) > _VALUES:
        raise DetailsInvalid(f"A detail's lists hold at most {_VALUES} strings.")
    read = tuple(one for value in values if (one := text(value, _VALUE)) is not None)
    if len(read) != len(values) or len(set(read)) != len(read):
        raise DetailsInvalid("A detail's lists hold distinct printable ASCII strings.")
    return read
