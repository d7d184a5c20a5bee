"""One request as it stands, and how it is found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, Text, bindparam, or_, select, update

from gateway.canonical import canonical, parse_canonical
from gateway.cases.case import told
from gateway.database import Query, Reading, Row, Transaction
from gateway.errors import Conflicting, NotFound
from gateway.ledger import Draft, Kind
from gateway.rights.profiles import Profile, profile_of
from gateway.rights.states import WAITING, RequestState, RightKind, Step, after
from gateway.rights.tables import rights_request
from gateway.vault.keyring import MemberKeys

MOST_WAITING_SHOWN: Final = 1000
_BY_ID = Query(select(rights_request).where(rights_request.c.id == bindparam("id")))
OF_OWNER: Final = Query(
    select(rights_request)
    .where(rights_request.c.owner_id == bindparam("owner"), rights_request.c.id > bindparam("after"))
    .order_by(rights_request.c.id)
    .limit(bindparam("most", type_=BigInteger))
)
OF_PERSON: Final = Query(
    select(rights_request)
    .where(rights_request.c.owner_id == bindparam("owner"), rights_request.c.pseudonym == bindparam("pseudonym"))
    .order_by(rights_request.c.received_at, rights_request.c.id)
)

WAITING_IN: Final = Query(
    select(rights_request)
    .where(
        rights_request.c.alliance_id == bindparam("alliance"),
        or_(*(rights_request.c.state == state.value for state in WAITING)),
    )
    .order_by(rights_request.c.due_at, rights_request.c.id)
    .limit(MOST_WAITING_SHOWN)
)
_DECIDE = Query(
    update(rights_request)
    .values(
        state=bindparam("new_state", type_=Text),
        answer=bindparam("said", type_=Text),
        outcome=bindparam("told", type_=Text),
        decided_at=bindparam("at", type_=BigInteger),
    )
    .where(rights_request.c.id == bindparam("the_id"), rights_request.c.state == bindparam("old_state"))
)


class Person(NamedTuple):
    """Somebody whose data an owner holds."""

    owner: str
    pseudonym: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One row of `rights_request`. Times in milliseconds."""

    id: str
    alliance: str
    owner: str
    pseudonym: str
    kind: RightKind
    profile: Profile
    behalf: str
    origin: str
    language: str
    sealed: str
    state: RequestState
    identity: str
    received_at: int
    due_at: int
    provisional: bool
    extended: bool
    answer: str
    outcome: str
    decided_at: int | None
    case: str | None

    @classmethod
    def of(cls, row: Row) -> Request:
        """The request that a row stands for."""
        same = ("id", "pseudonym", "behalf", "origin", "language", "sealed", "identity", "received_at", "due_at")
        last = ("answer", "outcome", "decided_at")
        return cls(
            **{name: row[name] for name in (*same, *last)},
            alliance=row["alliance_id"],
            owner=row["owner_id"],
            kind=RightKind(row["kind"]),
            profile=profile_of(row["profile"]),
            state=RequestState(row["state"]),
            provisional=bool(row["provisional"]),
            extended=bool(row["extended"]),
            case=row["case_id"],
        )

    @property
    def person(self) -> Person:
        """Whose data it is about."""
        return Person(self.owner, self.pseudonym)

    def opened(self, keys: MemberKeys) -> dict[str, Any]:
        """What was asked, and answered if it was, in words."""
        words: dict[str, Any] = {"text": _open(keys, self.sealed, _bound(self.id, "asked"))["text"]}
        if self.answer:
            words["answer"] = _open(keys, self.answer, _bound(self.id, "answered"))["text"]
        return words

    def describe(self) -> dict[str, Any]:
        """Without a word of anybody's, and without the person."""
        return {
            "id": self.id,
            "kind": self.kind.value,
            "state": self.state.value,
            "profile": self.profile.name,
            "law": self.profile.law[self.kind],
            "behalf": self.behalf,
            "origin": self.origin,
            "received_at": told(self.received_at),
            "due_at": told(self.due_at),
            "provisional": self.provisional,
            "extended": self.extended,
            "identified": bool(self.identity),
            "decided_at": told(self.decided_at),
            "outcome": json.loads(self.outcome) if self.outcome else None,
            "remedies": self.profile.remedies[self.language],
            "case": self.case,
        }


def seal_asked(keys: MemberKeys, request_id: str, text: str) -> str:
    """What was asked, sealed under the owner's key, to this request alone."""
    return canonical(keys.seal_detail(canonical({"text": text}), _bound(request_id, "asked"))).decode()


def seal_answer(keys: MemberKeys, request_id: str, text: str) -> str:
    """What was answered, as above."""
    return canonical(keys.seal_detail(canonical({"text": text}), _bound(request_id, "answered"))).decode()


async def existing(reading: Reading, request_id: str) -> Request:
    """A request as this reading sees it, or `NotFound`."""
    row = await reading.one(_BY_ID, id=request_id)
    if row is None:
        raise NotFound
    return Request.of(row)


async def decide(
    tx: Transaction, of: Request, step: Step, outcome: Mapping[str, Any], answer: str, now_ms: int
) -> None:
    """Take a step that decides, or `Conflicting` if the request has moved meanwhile."""
    names = {"old_state": of.state.value, "new_state": after(of.state, step).value}
    told = canonical(dict(outcome)).decode()
    require_moved(await tx.run(_DECIDE, the_id=of.id, said=answer, told=told, at=now_ms, **names))


def require_moved(changed: int) -> None:
    """`Conflicting` unless exactly the one request that was read has moved."""
    if changed != 1:
        raise Conflicting("wrong_state", "The request has moved meanwhile.", field="/state")


def entry(of: Request, act: str, actor: Mapping[str, Any], **facts: Any) -> Draft:
    """The entry of an act on a request, in the owner's log. It names no person."""
    about = {"act": act, "actor": dict(actor), "request": of.id, "right": of.kind.value}
    return Draft(log=of.owner, kind=Kind.CONSENT, facts=about | facts)


def _open(keys: MemberKeys, sealed: str, bound: bytes) -> dict[str, Any]:
    opened: dict[str, Any] = parse_canonical(keys.open_detail(json.loads(sealed), bound))
    return opened


def _bound(request_id: str, part: str) -> bytes:
    return canonical({"use": "rights", "request": request_id, "part": part})
