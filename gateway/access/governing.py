"""Step 3 of the cycle: what governs a request, read in one snapshot with its versions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, cast, func, literal, or_, select
from sqlalchemy import Text as SQLText

from gateway.access.request import AccessRequest
from gateway.agreements import holds_case
from gateway.agreements.dataset_terms import DatasetTerm, RowPredicate, Volume
from gateway.agreements.tables import agreement, hold
from gateway.catalog import Dataset
from gateway.catalog.tables import dataset
from gateway.database import Database, Query, Row
from gateway.errors import NotFound
from gateway.identity.tables import client, is_revoked
from gateway.ledger.tables import head
from gateway.members.tables import member
from gateway.policy.tables import active_policy

Versions = str
"""Everything that a decision was judged by and that can move, in one text; equal texts mean nothing moved."""

_TOKEN_REVOKED = "|revoked"  # noqa: S105 - the end of the versions where the request's own token is revoked
_owner = member.alias("owner")
_recipient = member.alias("recipient")


def _in_one_text(*columns: ColumnElement[Any]) -> ColumnElement[str]:
    """The columns with separators; null is told from every value. The narrowing number is not among them."""
    texts = [func.coalesce(cast(column, SQLText), literal("-", SQLText)) for column in columns]
    return reduce(lambda left, right: left + literal("|", SQLText) + right, texts)


def governing_row() -> Select[Any]:
    """One row of versions for (:agreement, :dataset, :member, :client), or none for a stranger to the agreement.

    They end in `_TOKEN_REVOKED` where :token is revoked.
    """
    held = (
        select(func.min(hold.c.case_id))
        .where(
            hold.c.state == "active",
            or_(
                and_(hold.c.subject_kind == "agreement", hold.c.subject_id == agreement.c.id),
                and_(hold.c.subject_kind == "dataset", hold.c.subject_id == bindparam("dataset", type_=SQLText)),
            ),
        )
        .correlate(agreement)
        .scalar_subquery()
    )
    return (
        select(
            _in_one_text(
                agreement.c.version,
                agreement.c.owner_id,
                _owner.c.state,
                _recipient.c.state,
                client.c.state,
                client.c.version,
                dataset.c.no,
                dataset.c.version,
                active_policy.c.digest,
                held,
            )
            .concat(case((is_revoked(bindparam("token", type_=SQLText)), literal(_TOKEN_REVOKED)), else_=literal("")))
            .label("versions"),
            agreement.c.version.label("agreement_version"),
            agreement.c.owner_id,
            _owner.c.state.label("owner_state"),
            _recipient.c.state.label("member_state"),
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
        .join(_recipient, _recipient.c.id == bindparam("member", type_=SQLText))
        .join(client, and_(client.c.id == bindparam("client", type_=SQLText), client.c.member_id == _recipient.c.id))
        .join(head, head.c.log_id == agreement.c.owner_id)
        .outerjoin(active_policy, active_policy.c.alliance_id == agreement.c.alliance_id)
        .outerjoin(
            dataset,
            and_(dataset.c.id == bindparam("dataset", type_=SQLText), dataset.c.owner_id == agreement.c.owner_id),
        )
        .where(
            agreement.c.id == bindparam("agreement", type_=SQLText),
            _recipient.c.alliance_id == agreement.c.alliance_id,
            or_(agreement.c.owner_id == _recipient.c.id, agreement.c.recipient_id == _recipient.c.id),
        )
    )


_GOVERNING = Query(governing_row())


def key_of(request: AccessRequest) -> dict[str, str]:
    """The names that a governing row is found by; the last tells whether the request's own token is revoked."""
    subject = request.subject
    return {
        "agreement": request.agreement,
        "dataset": request.dataset,
        "member": subject.member,
        "client": subject.client,
        "token": subject.token,
    }


@dataclass(frozen=True, slots=True)
class Governing:
    """What governs one client's use of one dataset under one agreement, as of `versions`."""

    versions: Versions
    owner: str
    policy_digest: str | None
    """The policy in force, None before the first activation."""
    holds: Sequence[Mapping[str, str]]
    """The active holds, as the policy's input has them."""
    last_time: int
    terms: Mapping[str, Any]
    """The `agreement` object of the policy's input, sliced to the dataset."""
    dataset: Dataset | None
    """None where the agreement's owner has none of that id."""
    member_state: str
    owner_state: str
    client_state: str
    client_version: int
    rows: Sequence[RowPredicate] = ()
    """Which rows of the dataset are agreed on; none: all of them."""
    volume: Volume | None = None
    """How many records of it are agreed on in a window; None: any number."""

    @property
    def token_revoked(self) -> bool:
        """Whether the token that it was read for is revoked. For another token it refuses once, and is read anew."""
        return self.versions.endswith(_TOKEN_REVOKED)

    def case(self, request: AccessRequest, now_s: int) -> dict[str, Any]:
        """The policy's input document for a request at an instant (epoch seconds).

        A hold on a dataset that the agreement does not cover is left out: it would tell that the dataset exists.
        """
        known = self.dataset.class_of_field if self.dataset else {}
        wanted = request.fields or tuple(name for name in self.terms["granted_fields"] if name in known)
        asked = dict.fromkeys([*wanted, *request.filters])  # a match tells the value: a filter is a wish to read
        revoked = self.client_version != request.subject.client_version or self.token_revoked
        return {
            "subject": {
                "member": request.subject.member,
                "client": request.subject.client,
                "member_state": self.member_state,
                "client_state": "revoked" if revoked else self.client_state,
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
            },
            "action": {
                "name": request.action,
                "method": request.method,
                "fields": list(asked),
                "includes": list(request.includes),
                "signature": request.signature,
            },
            "resource": {
                "dataset": request.dataset,
                "owner": self.owner,
                "owner_state": self.owner_state,
                "kind": self.dataset.kind if self.dataset else "market",
                "fields": dict(known),
            },
            "context": {"now": now_s, "purpose": request.purpose},
            "agreement": dict(self.terms),
            "holds": [dict(hold) for hold in self.holds if self.terms["granted_fields"]],
        }


class Terms(Protocol):
    """Where the agreement's slice comes from: parsed from signed bytes, signatures verified."""

    async def case(self, agreement: str, version: int, dataset: str) -> Mapping[str, Any]:
        """The `agreement` object of the policy's input; of a draft too."""

    async def term(self, agreement: str, dataset: str) -> DatasetTerm | None:
        """What the same terms say of one dataset; None where they do not cover it."""


class Datasets(Protocol):
    """Where parsed datasets come from."""

    async def at(self, dataset_no: int, version: int) -> Dataset:
        """The dataset as of a version."""


class GoverningFacts:
    """Reads `Governing`; remembers it under versions that the selecting statement compares again."""

    def __init__(self, database: Database, terms: Terms, datasets: Datasets, *, remembered: int = 4096) -> None:
        self._database = database
        self._terms = terms
        self._datasets = datasets
        self._remembered: OrderedDict[tuple[str, ...], Governing] = OrderedDict()
        self._most = remembered

    async def read(self, request: AccessRequest, *, fresh: bool) -> Governing:
        """What governs the request; `NotFound` for a stranger to the agreement. `fresh` reads the database."""
        names = key_of(request)
        key = tuple(names.values())[:-1]
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
        term = await self._terms.term(request.agreement, request.dataset)
        return Governing(
            versions=row["versions"],
            owner=row["owner_id"],
            policy_digest=row["policy_digest"],
            holds=await holds_case(self._database, agreement_id=request.agreement, dataset_id=request.dataset),
            last_time=row["last_time"],
            terms=await self._terms.case(request.agreement, row["agreement_version"], request.dataset),
            dataset=await self._datasets.at(row["dataset_no"], row["dataset_version"]) if known else None,
            member_state=row["member_state"],
            owner_state=row["owner_state"],
            client_state=row["client_state"],
            client_version=row["client_version"],
            rows=term.rows if term is not None else (),
            volume=term.volume if term is not None else None,
        )
