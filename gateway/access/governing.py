"""Step 3 of the cycle: what governs a request, read in one snapshot with its versions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, cast, exists, func, literal, or_, select
from sqlalchemy import Text as SQLText

from gateway.access.request import AccessRequest
from gateway.agreements import holds_case
from gateway.agreements.agreements import Slice
from gateway.agreements.dataset_terms import RowPredicate
from gateway.agreements.held import matching
from gateway.agreements.tables import agreement, agreement_third_party, hold
from gateway.catalog import Dataset
from gateway.catalog.tables import dataset
from gateway.clock import seconds
from gateway.confidentiality.classes import PUBLIC
from gateway.database import Database, Query, Reading, Row
from gateway.errors import NotFound
from gateway.identity.tables import client, is_revoked
from gateway.ledger.tables import head
from gateway.members.tables import member
from gateway.policy.tables import active_policy

Versions = str
"""Everything that a decision was judged by and that can move, in one text; equal texts mean nothing moved."""

_ADMITTED = "admitted"
_TOKEN_REVOKED = "|revoked"  # noqa: S105 - the end of the versions where the request's own token is revoked
_owner = member.alias("owner")
_asker = member.alias("asker")
_recipient = member.alias("recipient")


def _in_one_text(*columns: ColumnElement[Any]) -> ColumnElement[str]:
    """The columns with separators; null is told from every value. The narrowing number is not among them."""
    texts = [func.coalesce(cast(column, SQLText), literal("-", SQLText)) for column in columns]
    return reduce(lambda left, right: left + literal("|", SQLText) + right, texts)


def governing_row() -> Select[Any]:
    """One row of versions for (:agreement, :dataset, :member, :client), or none for a stranger to the agreement.

    Whom the terms name as a third party is none; the terms themselves, proved, decide what it may.
    They end in `_TOKEN_REVOKED` where :token is revoked, or whatever :signed_by signed.
    """
    held = (
        select(_in_one_text(func.min(hold.c.case_id), func.count(), func.max(hold.c.placed_at), func.sum(hold.c.until)))
        .where(
            matching(
                agreement.c.id,
                bindparam("dataset", type_=SQLText),
                _asker.c.id,
                agreement.c.recipient_id,
                agreement.c.owner_id,
            )
        )
        .correlate(agreement, _asker)
        .scalar_subquery()
    )
    return (
        select(
            _in_one_text(
                agreement.c.version,
                agreement.c.revision,
                agreement.c.owner_id,
                _owner.c.state,
                _owner.c.revision,
                _asker.c.state,
                _asker.c.revision,
                _recipient.c.state,
                _recipient.c.revision,
                client.c.state,
                client.c.version,
                dataset.c.no,
                dataset.c.version,
                active_policy.c.digest,
                held,
            )
            .concat(case((is_revoked(), literal(_TOKEN_REVOKED)), else_=literal("")))
            .label("versions"),
            agreement.c.version.label("agreement_version"),
            agreement.c.owner_id,
            _owner.c.state.label("owner_state"),
            _owner.c.qualified_until.label("owner_qualified_until"),
            _owner.c.country.label("owner_country"),
            _asker.c.state.label("member_state"),
            _asker.c.qualified_until,
            _recipient.c.state.label("recipient_state"),
            _recipient.c.qualified_until.label("recipient_qualified_until"),
            _asker.c.clearance,
            _asker.c.country,
            client.c.state.label("client_state"),
            client.c.version.label("client_version"),
            dataset.c.no.label("dataset_no"),
            dataset.c.version.label("dataset_version"),
            active_policy.c.digest.label("policy_digest"),
            head.c.narrowing,
            head.c.last_time,
        )
        .select_from(agreement)
        .join(_owner, _owner.c.id == agreement.c.owner_id)
        .join(_recipient, _recipient.c.id == agreement.c.recipient_id)
        .join(_asker, _asker.c.id == bindparam("member", type_=SQLText))
        .join(client, and_(client.c.id == bindparam("client", type_=SQLText), client.c.member_id == _asker.c.id))
        .join(head, head.c.log_id == agreement.c.owner_id)
        .outerjoin(active_policy, active_policy.c.alliance_id == agreement.c.alliance_id)
        .outerjoin(
            dataset,
            and_(dataset.c.id == bindparam("dataset", type_=SQLText), dataset.c.owner_id == agreement.c.owner_id),
        )
        .where(
            agreement.c.id == bindparam("agreement", type_=SQLText),
            _asker.c.alliance_id == agreement.c.alliance_id,
            or_(
                agreement.c.owner_id == _asker.c.id,
                agreement.c.recipient_id == _asker.c.id,
                exists()
                .where(
                    agreement_third_party.c.agreement_id == agreement.c.id,
                    agreement_third_party.c.member_id == _asker.c.id,
                )
                .correlate(agreement, _asker),
            ),
        )
    )


_GOVERNING = Query(governing_row())


def key_of(request: AccessRequest) -> dict[str, str]:
    """The names that a governing row is found by; the last two tell whether the request's own token is revoked."""
    subject = request.subject
    return {
        "agreement": request.agreement,
        "dataset": request.dataset,
        "member": subject.member,
        "client": subject.client,
        "token": subject.token,
        "signed_by": subject.signed_by,
    }


@dataclass(frozen=True, slots=True)
class Governing:
    """What governs one client's use of one dataset under one agreement, as of `versions`."""

    versions: Versions
    owner: str
    policy_digest: str | None
    """The policy in force, None before the first activation."""
    holds: Sequence[Mapping[str, Any]]
    """The holds that were not lifted, as the policy's input has them."""
    last_time: int
    terms: Mapping[str, Any]
    """The `agreement` object of the policy's input, sliced to the dataset."""
    dataset: Dataset | None
    """None where the agreement's owner has none of that id."""
    beside: Mapping[str, Any]
    """What stands beside the terms: `circumstances` and `onward_consents` of the policy's input."""
    released: Collection[str]
    """The fields that the owner has released from secrecy under the agreement (clause 8.3)."""
    person: str
    asker: Mapping[str, Any]
    """The asking member's `qualified_until`, `clearance` and `country`, as the policy's input has them.

    Whoever asks under an agreement is qualified no longer than its recipient, for whom a third party asks.
    """
    owner_facts: Mapping[str, Any]
    """The owner's `owner_qualified_until` and `country`, as the policy's input has them."""
    member_state: str
    """The asking member's; where it is admitted, the recipient's, so that a third party stops with the recipient."""
    owner_state: str
    client_state: str
    client_version: int
    rows: Sequence[RowPredicate] = ()
    """Which rows of the dataset are agreed on; none: all of them."""

    @property
    def token_revoked(self) -> bool:
        """Whether the token that it was read for is revoked. For another token it refuses once, and is read anew."""
        return self.versions.endswith(_TOKEN_REVOKED)

    def case(self, request: AccessRequest, now_s: int) -> dict[str, Any]:
        """The policy's input document for a request at an instant (epoch seconds).

        A dataset that the agreement does not cover is left out, and holds on it: they would tell that it exists. Of its
        fields only those asked for are named: no rule speaks about another, and a short case is decided sooner.
        """
        covered = self.dataset if self.terms["granted_fields"] else None
        known = covered.class_of_field if covered else {}
        grades = covered.grade_of_field if covered else {}
        wanted = request.fields or tuple(name for name in self.terms["granted_fields"] if name in known)
        asked = dict.fromkeys([*wanted, *request.filters])  # a match tells the value: a filter is a wish to read
        revoked = self.client_version != request.subject.client_version or self.token_revoked
        return {
            "subject": {
                "member": request.subject.member,
                "member_state": self.member_state,
                "client_state": "revoked" if revoked else self.client_state,
                "person": self.person,
                **self.asker,
                "grants": [
                    {
                        "agreement": grant.agreement,
                        "datasets": list(grant.datasets),
                        "purposes": list(grant.purposes),
                        "actions": list(grant.actions),
                    }
                    for grant in request.subject.agreements
                    if grant.agreement == request.agreement
                ],
                "client": request.subject.client,
            },
            "action": {
                "name": request.action,
                "method": request.method,
                "fields": list(asked),
                "filters": list(request.filters),
                "includes": list(request.includes),
                "signature": request.signature,
            },
            "resource": {
                "dataset": request.dataset,
                "owner": self.owner,
                "owner_state": self.owner_state,
                "kind": covered.kind if covered else "market",
                **self.owner_facts,
                "fields": {name: known[name] for name in asked if name in known},
                "grades": {name: grade for name, grade in grades.items() if name in asked},
                "confidential": {name: kind for name, kind in self._confidential(covered).items() if name in asked},
            },
            "context": {"now": now_s, "purpose": request.purpose},
            "agreement": dict(self.terms),
            **self.beside,
            "holds": [dict(hold) for hold in self.holds if self.terms["granted_fields"]],
        }

    def _confidential(self, covered: Dataset | None) -> dict[str, str]:
        kinds = covered.confidentiality_of_field if covered else {}
        return {name: PUBLIC if name in self.released else kind for name, kind in kinds.items()}


class Terms(Protocol):
    """Where the agreement's slice comes from: parsed from signed bytes, signatures verified."""

    async def slice(self, agreement: str, dataset: str) -> Slice:
        """The `agreement` object of the policy's input, of a draft too, and the rows that are agreed on."""


class Circumstances(Protocol):
    """Where what stands beside the terms comes from."""

    async def of(self, reading: Reading, *, agreement: str, dataset: str, member: str, person: str) -> dict[str, Any]:
        """The `circumstances` and `onward_consents` of the policy's input."""

    async def released(self, reading: Reading, *, agreement: str, dataset: str, owner: str) -> Collection[str]:
        """The fields that are no secret under the agreement any more, because the owner said so."""


class Datasets(Protocol):
    """Where parsed datasets come from."""

    async def at(self, dataset_no: int, version: int) -> Dataset:
        """The dataset as of a version."""


class GoverningFacts:
    """Reads `Governing`; remembers it under versions that the selecting statement compares again."""

    def __init__(
        self,
        database: Database,
        terms: Terms,
        datasets: Datasets,
        circumstances: Circumstances,
        *,
        remembered: int = 4096,
    ) -> None:
        self._database = database
        self._terms = terms
        self._datasets = datasets
        self._circumstances = circumstances
        self._remembered: OrderedDict[tuple[str, ...], Governing] = OrderedDict()
        self._most = remembered

    async def read(self, request: AccessRequest, *, fresh: bool) -> Governing:
        """What governs the request; `NotFound` for a stranger to the agreement. `fresh` reads the database."""
        names = key_of(request)
        key = (*tuple(names.values())[:-2], request.person)
        if not fresh and (known := self._remembered.get(key)) is not None:
            return known
        row = await self._database.one(_GOVERNING, **names)
        if row is None:
            self._remembered.pop(key, None)
            raise NotFound
        governing = await self._load(request, row)
        self._remembered[key] = governing
        self._remembered.move_to_end(key)
        if len(self._remembered) > self._most:
            self._remembered.popitem(last=False)
        return governing

    async def _load(self, request: AccessRequest, row: Row) -> Governing:
        known = row["dataset_no"] is not None
        terms = await self._terms.slice(request.agreement, request.dataset)
        dataset = await self._datasets.at(row["dataset_no"], row["dataset_version"]) if known else None
        return Governing(
            versions=row["versions"],
            owner=row["owner_id"],
            policy_digest=row["policy_digest"],
            holds=await holds_case(
                self._database,
                agreement_id=request.agreement,
                dataset_id=request.dataset,
                recipient_id=request.subject.member,
                owner_id=row["owner_id"],
            ),
            last_time=row["last_time"],
            terms=terms.case,
            dataset=dataset,
            beside=await self._circumstances.of(
                self._database,
                agreement=request.agreement,
                dataset=request.dataset,
                member=request.subject.member,
                person=request.person,
            ),
            released=await self._released(request, row["owner_id"]) if dataset and dataset.has_secrets else (),
            person=request.person,
            asker={
                "qualified_until": seconds(min(row["qualified_until"], row["recipient_qualified_until"])),
                "clearance": row["clearance"],
                "country": row["country"],
            },
            owner_facts={
                "owner_qualified_until": seconds(row["owner_qualified_until"]),
                "country": row["owner_country"],
            },
            member_state=row["member_state"] if row["member_state"] != _ADMITTED else row["recipient_state"],
            owner_state=row["owner_state"],
            client_state=row["client_state"],
            client_version=row["client_version"],
            rows=terms.rows,
        )

    async def _released(self, request: AccessRequest, owner: str) -> Collection[str]:
        return await self._circumstances.released(
            self._database, agreement=request.agreement, dataset=request.dataset, owner=owner
        )
