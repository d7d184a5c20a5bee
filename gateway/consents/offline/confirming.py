"""A person confirms what was imported: by a link and a one-time code, as if it were asked for the first time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from gateway.catalog.datasets import Datasets
from gateway.clock import seconds
from gateway.consents.asking import questions
from gateway.consents.asking.deciding import ASKED
from gateway.consents.asking.inviting import Inviting
from gateway.consents.asking.questions import Question
from gateway.consents.contacts import Address, Contacts, Holder, Role
from gateway.consents.notice_text import ItemKey
from gateway.consents.offline.batch import BatchState, existing
from gateway.consents.offline.batches import Batches
from gateway.consents.offline.requesting import request_of
from gateway.consents.past import past_of
from gateway.consents.record import Record
from gateway.consents.records import Records
from gateway.consents.states import Event, State
from gateway.errors import Conflicting, NotFound
from gateway.identity.subject import Subject
from gateway.ledger import Change, Ledger
from gateway.vault.keyring import KeyRing


class Confirming:
    """Sends links to the persons of a batch, for its owner."""

    def __init__(
        self,
        ledger: Ledger,
        keyring: KeyRing,
        batches: Batches,
        *,
        datasets: Datasets,
        records: Records,
        contacts: Contacts,
        inviting: Inviting,
    ) -> None:
        self._ledger = ledger
        self._keyring = keyring
        self._batches = batches
        self._datasets = datasets
        self._records = records
        self._contacts = contacts
        self._inviting = inviting

    async def invite(self, subject: Subject, batch_id: str, person: str, address: Address) -> dict[str, Any]:
        """Ask one person of a batch, at an address that the owner states; needs `consent`.

        `NotFound` where the batch holds nothing of the person that waits; `Conflicting` where it is being asked the
        same already, was asked by this batch, or has decided all of it since. What it has decided since is invalidated
        where the rest is asked.
        """
        subject.require("consent")
        self._inviting.require_channel(address)
        batch = await self._batches.owned(subject, batch_id)
        dataset = await self._datasets.owned(subject, batch.dataset)
        pseudonym = (await self._keyring.unlock(dataset.owner)).pseudonym(dataset.subject_of(person))
        holder = Holder(dataset.owner, pseudonym, Role.OWN)
        reached = await self._contacts.prepare(holder, address)
        actor = {"member": subject.member, "client": subject.client}
        async with self._ledger.changing(dataset.owner, narrows={dataset.owner}) as change:
            (await existing(change.tx, batch_id)).require(BatchState.IMPORTED, BatchState.SAMPLED)
            request_id = request_of(batch_id, pseudonym)
            waiting = await self._waiting(change, holder, request_id, actor)
            question = Question(
                id=request_id,
                alliance=dataset.alliance,
                person=holder,
                channel=address.channel,
                language=waiting[0].language,
                term=reached.term,
            )
            invitation = await self._inviting.ask(change, question, reached, actor=actor)
        await self._inviting.deliver(invitation)
        return {"request": request_id, "consents": [one.id for one in waiting]}

    async def _waiting(
        self, change: Change, holder: Holder, request_id: str, actor: Mapping[str, str]
    ) -> Sequence[Record]:
        """What a request may ask the person, at least one item."""
        now_s = seconds(change.now_ms)
        waiting = [
            one
            for one in await self._records.of_request(change.tx, request_id)
            if one.effective(now_s) is State.IMPORTED
        ]
        if not waiting:
            raise NotFound
        await self._require_not_asked(change, holder, {one.key for one in waiting})
        if await questions.find(change.tx, request_id) is not None:
            raise Conflicting(
                "asked_already",
                "The batch has asked the person, and its link has lapsed.",
                field="/subject",
                remedy="Leave it to the sample: a batch asks a person once.",
            )
        overruled = {one.id: obstacle for one in waiting if (obstacle := await _obstacle(change, one)) is not None}
        if len(overruled) == len(waiting):
            raise overruled[waiting[0].id]
        for record_id, obstacle in overruled.items():
            await self._records.act(
                change, record_id, Event.INVALIDATE, actor=actor, details={"because": obstacle.code}
            )
        return [one for one in waiting if one.id not in overruled]

    async def _require_not_asked(self, change: Change, holder: Holder, keys: Collection[ItemKey]) -> None:
        """`Conflicting` where a request waits for the person's answer to one of these items."""
        for one in await self._records.of_person(change.tx, holder.owner, holder.pseudonym):
            if one.key not in keys or one.effective(seconds(change.now_ms)) not in ASKED:
                continue
            asked = await questions.find(change.tx, one.request_id or "")
            if asked is not None and asked.state in ("open", "deferred"):
                raise Conflicting(
                    "asked_already",
                    "The person is being asked this.",
                    field="/subject",
                    remedy="Wait for the answer, or until it lapses.",
                )


async def _obstacle(change: Change, record: Record) -> Conflicting | None:
    """What the person has decided since, if it may not be asked about this paper any more; a hold is raised."""
    past = await past_of(change.tx, record.owner, record.dataset_no, record.pseudonym, record.key)
    now_s = seconds(change.now_ms)
    try:
        past.require_askable(now_s)
        past.require_free(now_s if record.given_at is None else record.given_at)
    except Conflicting as obstacle:
        if obstacle.code == "on_hold":
            raise
        return obstacle
    return None
