"""What it means to grant a request, kind by kind, in the change that answers it. The change narrows the owner."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from sqlalchemy import bindparam, delete, exists, select

from gateway.agreements.fields import matching, members
from gateway.catalog.tables import dataset, legal_hold, record, record_term, upload
from gateway.clock import seconds
from gateway.consents.past import ANY, keep_withdrawal_at, keep_withdrawal_everywhere
from gateway.consents.receipts import ConsentReceipts
from gateway.consents.records import Records
from gateway.consents.same_person import subjects_at
from gateway.consents.states import Event, State
from gateway.database import Query, Reading
from gateway.errors import Invalid
from gateway.ledger import Change
from gateway.rights.erasing import Erasing
from gateway.rights.neighbours import Following, Forgetting, Switching
from gateway.rights.receivers import receivers_of
from gateway.rights.request import Person, Request
from gateway.rights.states import ASKED_WHEN_GRANTED, TRANSFER_CHECKS, RightKind, Step
from gateway.rights.tasks import ask_recipients, end_tasks
from gateway.vault.tables import subject_key

_SHRED = Query(
    delete(subject_key).where(
        subject_key.c.member_id == bindparam("owner"), subject_key.c.scope == bindparam("pseudonym")
    )
)
_RECORDS = (
    select(record)
    .join(dataset, dataset.c.no == record.c.dataset_no)
    .where(dataset.c.owner_id == bindparam("owner"), record.c.pseudonym == bindparam("pseudonym"))
)
_FORGET_TERMS = Query(
    delete(record_term).where(
        record_term.c.upload_no.in_(_RECORDS.with_only_columns(record.c.upload_no)),
        record_term.c.record_id.in_(_RECORDS.with_only_columns(record.c.id)),
    )
)
_KEPT_FOR = Query(
    select(legal_hold.c.case_id)
    .join(dataset, dataset.c.id == legal_hold.c.dataset_id)
    .where(
        dataset.c.owner_id == bindparam("owner"),
        exists().where(record.c.dataset_no == dataset.c.no, record.c.pseudonym == bindparam("pseudonym")),
    )
    .order_by(legal_hold.c.case_id)
)
_UPLOAD = Query(
    select(upload.c.dataset_no)
    .join(dataset, dataset.c.no == upload.c.dataset_no)
    .where(
        upload.c.id == bindparam("id"),
        upload.c.state == "published",
        upload.c.published_at >= bindparam("since"),
        dataset.c.owner_id == bindparam("owner"),
        exists().where(
            record.c.dataset_no == upload.c.dataset_no,
            record.c.pseudonym == bindparam("pseudonym"),
            record.c.upload_no == upload.c.no,
        ),
    )
)
_ENDING: Final = (State.IMPORTED, State.GIVEN, State.STALE, State.ON_HOLD)


@dataclass(frozen=True, slots=True)
class Granted:
    """The step that an answer is, and its outcome: facts for the entry, the owner and the person."""

    step: Step
    outcome: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Granting:
    """Does what was asked. `forgetting` are those who keep something else of a person, `switching` its off switch."""

    records: Records
    receipts: ConsentReceipts
    following: Following
    forgetting: Sequence[Forgetting]
    switching: Switching

    async def grant(self, change: Change, of: Request, given: Mapping[str, Any], actor: Mapping[str, str]) -> Granted:
        """Grant a request; `given` are the members that its kind asks for beside `text`. `Invalid` names what lacks."""
        granted = await self._by_kind(change, of, given, actor)
        is_told = of.kind in ASKED_WHEN_GRANTED and granted.outcome.get("upheld", True)
        if is_told or granted.step is Step.RESTRICT:
            granted.outcome["recipients"] = await ask_recipients(change, of)
        return granted

    async def _by_kind(
        self, change: Change, of: Request, given: Mapping[str, Any], actor: Mapping[str, str]
    ) -> Granted:
        match of.kind:
            case RightKind.CORRECTION:
                members(given, ("upload",), "")
                return await self._correct(change, of, matching(given["upload"], "/upload", "[0-9a-f]{32}"))
            case RightKind.OBJECTION:
                members(given, ("upheld",), "")
                return await self._object(change, of, given["upheld"], actor)
            case RightKind.TRANSFER:
                members(given, ("checks",), "")
                return Granted(Step.ANSWER, {"checks": _checked(given["checks"])})
        members(given, (), "")
        match of.kind:
            case RightKind.DELETION:
                return await self.delete(change, of, actor)
            case RightKind.RESTRICTION:
                return Granted(Step.ANSWER, {"held": await self._hold(change, of, actor)})
        return Granted(Step.ANSWER, {})

    async def delete(self, change: Change, of: Request, actor: Mapping[str, str]) -> Granted:
        """Shred the person's keys at the owner with all that its data is found by, end its consents, and tell
        everybody who ever received; as every subject that is this person.

        While a case keeps a dataset that holds the person, nothing is deleted: everything is restricted instead
        (PIPL 47, clauses 3.3.4, 7.2.2). What recipients were asked for that is asked no more once it is deleted.
        """
        cases = await kept_for(change.tx, of.person)
        if cases:
            return Granted(Step.RESTRICT, {"kept_for": cases, "held": await self._hold(change, of, actor)})
        erasing = Erasing(self.following)
        records = Records(self.receipts, erasing)
        await self._bar(change, of)
        ended = await self._take(change, of, Event.REVOKE, _ENDING, actor, records)
        for subject in await subjects_at(change.tx, *of.person):
            await change.tx.run(_FORGET_TERMS, owner=of.owner, pseudonym=subject)
            await change.tx.run(_SHRED, owner=of.owner, pseudonym=subject)
            for one in self.forgetting:
                await one(change.tx, of.owner, subject)
            await erasing.follow(change, of.owner, subject)
        await end_tasks(change, of)
        recipients = len(await receivers_of(change.tx, of.person))
        return Granted(Step.ANSWER, {"shredded": True, "ended": ended, "recipients": recipients})

    async def _correct(self, change: Change, of: Request, upload_id: str) -> Granted:
        subjects = await subjects_at(change.tx, *of.person)
        about = {"id": upload_id, "owner": of.owner, "since": of.received_at}
        if not any([await change.tx.one(_UPLOAD, pseudonym=one, **about) for one in subjects]):
            raise Invalid(
                "upload_unknown",
                "It is an upload of yours with a record of this person, published after the request.",
                field="/upload",
                remedy="Upload the corrected record first.",
            )
        received = await receivers_of(change.tx, of.person)
        for subject in subjects:
            for no in sorted({no for one in received.values() for no in one.datasets}):
                await self.following.queue(change, of.owner, no, subject, cause="corrected")
        return Granted(Step.ANSWER, {"upload": upload_id, "recipients": len(received)})

    async def _object(self, change: Change, of: Request, upheld: Any, actor: Mapping[str, str]) -> Granted:
        if not isinstance(upheld, bool):
            raise Invalid("invalid_body", "It is true or false.", field="/upheld")
        if not upheld:
            return Granted(Step.ANSWER, {"upheld": False, "ended": 0})
        purposes = of.profile.objection_ends
        await self.switching(change, *of.person, off=True, actor=actor)
        await self._bar(change, of, purposes)
        ended = await self._take(change, of, Event.REVOKE, _ENDING, actor, purposes=purposes)
        return Granted(Step.ANSWER, {"upheld": True, "ended": ended})

    async def _bar(self, change: Change, of: Request, purposes: Collection[str] | None = None) -> None:
        """Keep that the person withdrew all that it ever gave, or all for these purposes: what was used up or ran out
        cannot be revoked, and what goes on by it ends too; nor does it stand again in another dataset.
        """
        subjects = await subjects_at(change.tx, *of.person)
        for subject, purpose in product(subjects, (ANY,) if purposes is None else purposes):
            await keep_withdrawal_everywhere(change, of.owner, subject, purpose)

    async def _hold(self, change: Change, of: Request, actor: Mapping[str, str]) -> int:
        """Hold what permits, and say how many; paper that waits for its sample would permit later, so it ends."""
        await self._take(change, of, Event.REVOKE, (State.IMPORTED,), actor)
        return await self._take(change, of, Event.HOLD, (State.GIVEN,), actor)

    async def _take(
        self,
        change: Change,
        of: Request,
        event: Event,
        states: Sequence[State],
        actor: Mapping[str, str],
        records: Records | None = None,
        *,
        purposes: Collection[str] | None = None,
    ) -> int:
        """The same step for every consent of the person at this owner that is in one of these states by the clock, or
        for those alone that are for one of these purposes.

        What it revokes was the person's wish: a consent given before does not stand again, whoever brings it later, as
        whichever of its subjects. Paper that only waits stands in nobody's way: it is itself that does not come again.
        """
        records = records or self.records
        now_s, subjects = seconds(change.now_ms), await subjects_at(change.tx, *of.person)
        found = [one for subject in subjects for one in await records.of_person(change.tx, of.owner, subject)]
        of_purpose = [one for one in found if purposes is None or one.purpose in purposes]
        taken = [one for one in of_purpose if one.effective(now_s) in states]
        for one in taken:
            if event is Event.REVOKE:
                at_s = now_s if one.given_at is None or one.state is not State.IMPORTED else one.given_at
                for subject in subjects:
                    await keep_withdrawal_at(change, one.dataset_no, subject, one.recipient, one.purpose, at_s)
            await records.act(change, one.id, event, actor=actor, details={"request": of.id})
        return len(taken)


async def kept_for(reading: Reading, person: Person) -> list[str]:
    """The cases that keep a dataset in which the owner holds records of a person."""
    cases: set[str] = set()
    for subject in await subjects_at(reading, *person):
        cases.update(row["case_id"] for row in await reading.all(_KEPT_FOR, owner=person.owner, pseudonym=subject))
    return sorted(cases)


def _checked(given: Any) -> dict[str, bool]:
    """The four checks of Order 790 Art. 25, each made and passed: otherwise a transfer is refused, with its reason."""
    members(given, TRANSFER_CHECKS, "/checks")
    for name in TRANSFER_CHECKS:
        if given[name] is not True:
            raise Invalid(
                "check_failed",
                "A transfer is granted only if each check was made and holds.",
                field=f"/checks/{name}",
                remedy="Refuse the request with the reason.",
            )
    return dict.fromkeys(TRANSFER_CHECKS, True)
