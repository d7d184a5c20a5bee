"""Questions to persons as they are kept: open, put off, answered or lapsed, and when the next step is due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import BigInteger, Text, bindparam, insert, null, select, update

from gateway.confidentiality.intervals import written
from gateway.consents.asking import links
from gateway.consents.asking.links import LINK_MS, Link
from gateway.consents.asking.tables import consent_request
from gateway.consents.asking.visit import Kind
from gateway.consents.contacts import Channel, Holder, Role
from gateway.database import Query, Reading, Row, Transaction
from gateway.ledger import Change, Draft
from gateway.ledger import Kind as EntryKind
from gateway.members.tables import member

RETRY_MS: Final = 60 * 1000
"""After this a message that nobody took is sent again; each further pause is twice as long."""

REMIND_AFTER_MS: Final = 72 * 60 * 60 * 1000
"""So long after putting it off, a person is reminded; once."""

ANSWER_WITHIN_S: Final = 10 * 24 * 60 * 60
"""After this no item can be given any more: the link, the reminder's pause and its link end within."""

MOST_SENDINGS: Final = 6
AT_ONCE: Final = 100

_request = consent_request.c
_ID = _request.id == bindparam("the_id")
_NEW = Query(insert(consent_request))
_WITH_NAME = select(consent_request, member.c.name.label("member_name")).join(member, member.c.id == _request.owner_id)
_BY_ID = Query(_WITH_NAME.where(_request.id == bindparam("id")))
_DUE = Query(
    _WITH_NAME.where(_request.next_at <= bindparam("now", type_=BigInteger)).order_by(_request.next_at).limit(AT_ONCE)
)
_SENT = Query(
    update(consent_request)
    .values(sent_at=bindparam("at", type_=BigInteger), next_at=_request.ends_at, attempts=0)
    .where(_ID, _request.state == "open")
)
_ANEW = Query(
    update(consent_request)
    .values(
        state="open",
        attempts=_request.attempts + 1,
        reminded_at=bindparam("reminded", type_=BigInteger),
        next_at=bindparam("next", type_=BigInteger),
        ends_at=bindparam("ends", type_=BigInteger),
    )
    .where(_ID, _request.next_at == bindparam("was_due", type_=BigInteger))
)
_DEFER = Query(
    update(consent_request)
    .values(state="deferred", next_at=bindparam("next", type_=BigInteger))
    .where(_ID, _request.state == "open", _request.reminded_at.is_(None))
)
_END = Query(
    update(consent_request)
    .values(state=bindparam("as_state", type_=Text), next_at=null())
    .where(_ID, _request.state != "answered", _request.state != "lapsed")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question to one person, or to the guardian of one. The records that it asks about name its id."""

    id: str
    alliance: str
    person: Holder
    channel: Channel
    language: str
    term: bytes = field(repr=False)
    """The blind index term of the address that it goes to."""

    relation: str = ""
    """How a guardian is related, as the owner says."""

    @property
    def link(self) -> Link:
        """Where its links lead."""
        kind = Kind.GUARDIAN if self.person.role is Role.GUARDIAN else Kind.REQUEST
        return Link(kind, self.id, (self.person,), self.channel, self.language, self.term)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it stands. Instants in milliseconds."""

    question: Question
    member: str
    """The name of the member that asks."""
    state: str
    attempts: int
    sent_at: int | None
    reminded_at: int | None
    next_at: int | None
    ends_at: int

    @classmethod
    def of(cls, row: Row) -> Asked:
        """The question of a row of `consent_request` with its member's name."""
        question = Question(
            id=row["id"],
            alliance=row["alliance_id"],
            person=Holder(row["owner_id"], row["pseudonym"], Role(row["role"])),
            channel=Channel(row["channel"]),
            language=row["language"],
            term=bytes(row["term"]),
            relation=row["relation"],
        )
        kept = ("state", "attempts", "sent_at", "reminded_at", "next_at", "ends_at")
        return cls(question, row["member_name"], *(row[name] for name in kept))

    def described(self) -> dict[str, Any]:
        """As its owner sees it: how it went, and nothing of the person."""
        instants = {name: written(getattr(self, name)) for name in ("sent_at", "reminded_at", "ends_at")}
        return {"id": self.question.id, "state": self.state, "channel": self.question.channel.value, **instants}


async def put(change: Change, question: Question, actor: Mapping[str, str]) -> str:
    """Ask, on record; returns the token of the first link. It counts as unsent until `sent` says otherwise."""
    now, person = change.now_ms, question.person
    await change.tx.run(
        _NEW,
        id=question.id,
        alliance_id=question.alliance,
        owner_id=person.owner,
        pseudonym=person.pseudonym,
        role=person.role.value,
        channel=question.channel.value,
        language=question.language,
        term=question.term,
        relation=question.relation,
        state="open",
        attempts=1,
        sent_at=None,
        reminded_at=None,
        next_at=now + RETRY_MS,
        ends_at=now + LINK_MS,
        created_at=now,
    )
    change.enter(entry(question, "consent_requested", actor, asked=person.role.value, channel=question.channel.value))
    return await links.issue(change.tx, question.link, now)


async def find(reading: Reading, request_id: str) -> Asked | None:
    """A question by its id."""
    row = await reading.one(_BY_ID, id=request_id)
    return None if row is None else Asked.of(row)


async def due(reading: Reading, now_ms: int) -> Sequence[Asked]:
    """The questions whose next step has come due, the oldest first."""
    return [Asked.of(row) for row in await reading.all(_DUE, now=now_ms)]


async def sent(tx: Transaction, request_id: str, now_ms: int) -> None:
    """Somebody has taken the message; what comes next is its end."""
    await tx.run(_SENT, the_id=request_id, at=now_ms)


async def anew(tx: Transaction, asked: Asked, now_ms: int, *, reminding: bool) -> str | None:
    """A new link for what is still open, or to remind; None where another process was first."""
    pause = RETRY_MS << (0 if reminding else asked.attempts)
    claimed = await tx.run(
        _ANEW,
        the_id=asked.question.id,
        was_due=asked.next_at,
        reminded=now_ms if reminding else asked.reminded_at,
        next=now_ms + pause,
        ends=now_ms + LINK_MS,
    )
    return await links.issue(tx, asked.question.link, now_ms) if claimed else None


async def defer(tx: Transaction, request_id: str, now_ms: int) -> None:
    """The person puts it off: one reminder follows. Whoever was reminded already is left alone until it lapses."""
    await tx.run(_DEFER, the_id=request_id, next=now_ms + REMIND_AFTER_MS)


async def end(tx: Transaction, request_id: str, state: str, now_ms: int) -> bool:
    """It is answered, or has lapsed: its links open nothing any more. False where it was over before."""
    await links.spend(tx, request_id, now_ms)
    return await tx.run(_END, the_id=request_id, as_state=state) == 1


def entry(question: Question, act: str, actor: Mapping[str, str], **facts: Any) -> Draft:
    """What happened to a question, for its owner's log; without the person."""
    named = {"act": act, "actor": dict(actor), "request": question.id}
    return Draft(log=question.person.owner, kind=EntryKind.CONSENT, facts=named | facts)
