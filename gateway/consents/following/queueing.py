"""The outbox: a follow-up for every recipient that ever received, in the transaction of the ending itself.

With each goes the message that tells its recipient, which leaves later. One entry of the owner's log names them all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, insert, select

from gateway.canonical import canonical
from gateway.consents.followers import Ended
from gateway.consents.following.receivers import Receiver, dataset_id, of_person, under_consent
from gateway.consents.following.states import WAYS, Deadlines, State
from gateway.consents.following.tables import follow_up, withdrawal_message
from gateway.database import Query, Row, Transaction
from gateway.errors import Conflicting, Invalid
from gateway.identifiers import random_id
from gateway.ledger import Change, Draft, Kind
from gateway.members.tables import member

MOST_NAMED: Final = 20
_ADD = Query(insert(follow_up))
_ADD_MESSAGE = Query(insert(withdrawal_message))
_HOLDS_ALREADY = Query(
    select(follow_up.c.id).where(
        follow_up.c.event_id == bindparam("event"),
        follow_up.c.recipient_id == bindparam("recipient"),
        follow_up.c.holder == bindparam("holder"),
    )
)
_FOLLOWED = Query(
    select(follow_up.c.id)
    .where(follow_up.c.consent_id == bindparam("consent"), follow_up.c.cause == bindparam("cause"))
    .limit(1)
)
_ALLIANCE = Query(select(member.c.alliance_id).where(member.c.id == bindparam("id")))
_ALIKE: Final = (
    "alliance_id", "owner_id", "dataset_no", "pseudonym", "consent_id", "purpose", "agreement_id", "cause",
)  # fmt: skip
_UNANSWERED: Final = (
    "acknowledged_at", "complied_at", "verified_at", "how", "legal", "proof_sha256", "proof_text", "overdue_at",
    "case_id",
)  # fmt: skip


class Holder(NamedTuple):
    """Who holds data: a member, or a company outside, for which a member answers."""

    recipient: str
    name: str = ""


class Outbox:
    """Queues what is to be followed. Everything it writes belongs to the change that it is handed."""

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines

    async def ended(self, change: Change, one: Ended) -> None:
        """A consent ended: follow it to its recipient, if that ever received. What was used up or replaced is not.

        What was used up can be withdrawn all the same, as often as anybody likes: the same end is followed once.
        """
        if one.cause in WAYS and not await self._is_followed(change.tx, one):
            found = await under_consent(change.tx, one)
            receivers = [] if found is None else [found]
            await self._queue(change, one.owner, one.dataset_no, one.pseudonym, one.cause, receivers)

    async def of_person(
        self,
        change: Change,
        owner: str,
        dataset_no: int,
        pseudonym: str,
        cause: str,
        recipients: Collection[str] | None = None,
    ) -> list[str]:
        """What is held of a person changed: follow it to every recipient, or to those of `recipients` that received."""
        if cause not in WAYS:
            raise Invalid("unknown_cause", f"One of {', '.join(WAYS)}.", field="cause")
        found = await of_person(change.tx, owner, dataset_no, pseudonym, recipients)
        return await self._queue(change, owner, dataset_no, pseudonym, cause, found)

    async def onward(self, change: Change, of: Row, holders: Sequence[Holder]) -> list[str]:
        """Follow it to those that a recipient named, and that are not followed already.

        `Conflicting` once it was complied with: everybody whom it had passed the data on to was named by then.
        """
        new = [one for one in holders if await self._is_new(change.tx, of["event_id"], one)]
        if new and of["complied_at"] is not None:
            raise Conflicting("wrong_state", "It is answered already.", field="/onward")
        rows = [_passed_on(of, one) for one in new]
        for row in rows:
            await self._add(change, row, of["event_id"])
        return [row["id"] for row in rows]

    async def _queue(
        self,
        change: Change,
        owner: str,
        dataset_no: int,
        pseudonym: str,
        cause: str,
        receivers: Sequence[Receiver],
    ) -> list[str]:
        if not receivers:
            return []
        alliance = await change.tx.one(_ALLIANCE, id=owner)
        assert alliance is not None
        common = {
            "alliance_id": alliance["alliance_id"],
            "owner_id": owner,
            "dataset_no": dataset_no,
            "pseudonym": pseudonym,
            "cause": cause,
        }
        rows = _all_of(common, receivers)
        facts = {"act": "withdrawal_queued", "actor": {"gateway": "following"}, "cause": cause, **_told(rows)}
        facts["dataset"] = await dataset_id(change.tx, dataset_no)
        event = change.enter(Draft(log=owner, kind=Kind.CONSENT, facts=facts))
        for row in rows:
            await self._add(change, row, event)
        return [row["id"] for row in rows]

    async def _is_followed(self, tx: Transaction, one: Ended) -> bool:
        """Whether it was queued before. Fields are lost as often as they are taken out."""
        if one.cause == "amended":
            return False
        return await tx.one(_FOLLOWED, consent=one.record_id, cause=one.cause) is not None

    async def _is_new(self, tx: Transaction, event: str, holder: Holder) -> bool:
        return await tx.one(_HOLDS_ALREADY, event=event, recipient=holder.recipient, holder=holder.name) is None

    async def _add(self, change: Change, row: Mapping[str, Any], event: str) -> None:
        acknowledge_by, comply_by = self._deadlines.of(change.now_ms)
        await change.tx.run(
            _ADD,
            **row,
            **dict.fromkeys(_UNANSWERED),
            event_id=event,
            state=State.QUEUED.value,
            queued_at=change.now_ms,
            acknowledge_by=acknowledge_by,
            comply_by=comply_by,
            reminded=0,
        )
        await add_message(change, row["id"], row["owner_id"], row["recipient_id"], content=None)


def _all_of(common: Mapping[str, Any], receivers: Sequence[Receiver]) -> list[dict[str, Any]]:
    """A row for each, and behind it one for each third party that an agreement lets it pass on to."""
    rows: list[dict[str, Any]] = []
    known = {one.recipient for one in receivers}
    for one in receivers:
        by = {"recipient_id": one.recipient, "consent_id": one.consent, "purpose": one.purpose}
        row = {**common, **by, "id": random_id(), "agreement_id": one.agreement, "holder": "", "named_in": None}
        new = [third for third in one.onward if third.recipient not in known]
        rows += [row, *[_passed_on(row, Holder(third.recipient)) | {"agreement_id": third.agreement} for third in new]]
        known.update(third.recipient for third in new)
    return rows


def _passed_on(of: Row | Mapping[str, Any], holder: Holder) -> dict[str, Any]:
    own = {"id": random_id(), "recipient_id": holder.recipient, "holder": holder.name, "named_in": of["id"]}
    return {name: of[name] for name in _ALIKE} | own


def _told(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the entry says of the follow-ups: how many, to whom, and the digest of their ids."""
    ids = sorted(row["id"] for row in rows)
    recipients = sorted({row["recipient_id"] for row in rows})[:MOST_NAMED]
    return {
        "count": len(ids),
        "recipients": recipients,
        "follow_ups": ids[:MOST_NAMED],
        "follow_ups_sha256": hashlib.sha256(canonical(ids)).hexdigest(),
    }


async def add_message(change: Change, message: str, log: str, recipient: str, *, content: str | None) -> None:
    """A message that is due now. Without `content` it is about the follow-up of its id, and written as it leaves."""
    await change.tx.run(
        _ADD_MESSAGE,
        id=message,
        log_id=log,
        recipient_id=recipient,
        content=content,
        state="due",
        created_at=change.now_ms,
        due_at=change.now_ms,
        attempts=0,
        last_code=None,
    )
