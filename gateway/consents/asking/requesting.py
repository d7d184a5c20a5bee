"""Asking for consents as the dataset's owner: who, about what, by which channel; never deciding for anybody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.agreements.fields import items, members
from gateway.catalog.dataset import Dataset
from gateway.catalog.datasets import Datasets
from gateway.clock import Clock, seconds
from gateway.confidentiality.filing import Filing
from gateway.consents.asking import questions
from gateway.consents.asking.deciding import ASKED
from gateway.consents.asking.inviting import Invitation, Inviting
from gateway.consents.asking.questions import Question
from gateway.consents.asking.wish import Wish, WishedItem
from gateway.consents.contacts import Address, Channel, Contacts, Holder, Reached, Role, phone_is_doubtful
from gateway.consents.minors import needs_guardian
from gateway.consents.notice import Notice
from gateway.consents.notice_text import ItemKey
from gateway.consents.notices import KnownNotices
from gateway.consents.record import NewRecord
from gateway.consents.records import Records
from gateway.consents.statement import subject_of
from gateway.consents.states import Event
from gateway.database import Database, Reading
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identifiers import random_id
from gateway.identity.subject import Subject
from gateway.ledger import Change, Draft, Kind, Ledger
from gateway.vault.keyring import KeyRing

MOST_CONTACTS: Final = 100


class Requesting:
    """What owners do: ask, look how it goes, and state how their persons are reached."""

    def __init__(
        self, database: Database, ledger: Ledger, keyring: KeyRing, clock: Clock, *, records: Records,
        contacts: Contacts, inviting: Inviting,
    ) -> None:  # fmt: skip
        self._database = database
        self._ledger = ledger
        self._keyring = keyring
        self._clock = clock
        self._datasets = Datasets(database, ledger)
        self._records = records
        self._contacts = contacts
        self._inviting = inviting

    async def ask(self, filing: Filing, dataset_id: str, said: Mapping[str, Any]) -> bytes:
        """Make the items and send one link to them; needs `consent`. The answer names both, and never the person.

        A message that nobody takes at once is tried again: `sent_at` of `show` says when it left.
        """
        filing.subject.require("consent")
        dataset = await self._personal(filing.subject, dataset_id)
        wish = Wish.read(said)
        if wish.relation and not needs_guardian(wish.age_band, dataset):
            raise _no_child()
        self._inviting.require_channel(wish.address)
        holder = await self._holder(dataset, wish.subject, Role.GUARDIAN if wish.relation else Role.OWN)
        reached = await self._contacts.prepare(holder, wish.address)
        made: list[Invitation] = []

        async def work(change: Change) -> Any:
            question = Question(
                id=random_id(),
                alliance=dataset.alliance,
                person=holder,
                channel=wish.address.channel,
                language=wish.language,
                term=reached.term,
                relation=wish.relation,
            )
            actor = {"member": filing.subject.member, "client": filing.subject.client}
            made.append(await self._inviting.ask(change, question, reached, actor=actor))
            notices, now_s = KnownNotices(change.tx, dataset), seconds(change.now_ms)
            records = []
            open_already = await self._asked(change.tx, holder, now_s)
            for index, item in enumerate(wish.items):
                key = ItemKey(item.recipient, item.purpose, item.kind)
                if key in open_already:
                    raise _asked_already(f"/items/{index}")
                open_already.add(key)
                notice = await notices.applicable(
                    key, item.names, sha256=wish.notice_sha256, given_at=now_s, at=f"/items/{index}"
                )
                new = _new(dataset, question, wish, item, notice, now_s)
                records.append(await self._propose(change, new, question, actor))
            return {"id": question.id, "records": records, "warnings": _warnings(wish.address)}

        answer = await filing.once(self._database, self._ledger, work, dataset.owner)
        for invitation in made:
            await self._inviting.deliver(invitation)
        return answer

    async def show(self, subject: Subject, request_id: str) -> dict[str, Any]:
        """How a request goes, for the member that asked; `NotFound` for everybody else."""
        asked = await questions.find(self._database, request_id)
        if asked is None or asked.question.person.owner != subject.member:
            raise NotFound
        now_s = seconds(self._clock())
        records = await self._records.of_request(self._database, request_id)
        return asked.described() | {"records": [{"id": one.id, "state": one.effective(now_s)} for one in records]}

    async def state(self, subject: Subject, dataset_id: str, said: Mapping[str, Any]) -> dict[str, Any]:
        """State how persons are reached, up to 100 at once; needs `consent`. All are checked before one is kept."""
        subject.require("consent")
        dataset = await self._personal(subject, dataset_id)
        members(said, ("contacts",), "")
        told: list[Reached] = []
        warnings: list[dict[str, Any]] = []
        for index, one in enumerate(items(said["contacts"], "/contacts", MOST_CONTACTS)):
            at = f"/contacts/{index}"
            members(one, ("subject", "channel", "address"), at)
            holder = await self._holder(dataset, subject_of(one, at), Role.OWN, f"{at}/subject")
            address = Address.read(one["channel"], one["address"], at)
            told.append(await self._contacts.prepare(holder, address))
            warnings += [{"contact": index, "code": code} for code in _warnings(address)]
        async with self._ledger.changing(dataset.owner) as change:
            for index, reached in enumerate(told):
                await self._inviting.keep(change, reached, f"/contacts/{index}")
            facts = {"act": "contacts_stated", "actor": {"member": subject.member, "client": subject.client}}
            facts |= {"dataset": dataset.id, "count": len(told)}  # type: ignore[dict-item]
            change.enter(Draft(log=dataset.owner, kind=Kind.CONSENT, facts=facts))
        return {"kept": len(told), "warnings": warnings}

    async def _asked(self, reading: Reading, holder: Holder, now_s: int) -> set[ItemKey]:
        """What the person is being asked already."""
        known = await self._records.of_person(reading, holder.owner, holder.pseudonym)
        return {one.key for one in known if one.effective(now_s) in ASKED}

    async def _propose(self, change: Change, new: NewRecord, question: Question, actor: Mapping[str, str]) -> str:
        record_id = await self._records.propose(change, new, actor=actor)
        if question.person.role is Role.GUARDIAN:
            await self._records.act(change, record_id, Event.NEED_GUARDIAN, actor=actor)
        return record_id

    async def _holder(self, dataset: Dataset, subject: str, role: Role, at: str = "/subject") -> Holder:
        named = dataset.subject_of(subject, at)
        return Holder(dataset.owner, (await self._keyring.unlock(dataset.owner)).pseudonym(named), role)

    async def _personal(self, subject: Subject, dataset_id: str) -> Dataset:
        dataset = await self._datasets.owned(subject, dataset_id)
        if dataset.kind != "personal":
            raise Conflicting("not_personal", "Only personal datasets have consents.", field="dataset")
        return dataset


def _new(dataset: Dataset, question: Question, wish: Wish, item: WishedItem, notice: Notice, now_s: int) -> NewRecord:
    return NewRecord(
        dataset=dataset,
        pseudonym=question.person.pseudonym,
        recipient=item.recipient,
        purpose=item.purpose,
        notice=notice,
        kind=item.kind,
        fields=item.fields | item.optional,
        optional=item.optional,
        channels=item.channels,
        language=wish.language,
        expires_after_s=item.expires_after_s,
        max_uses=item.max_uses,
        age_band=wish.age_band,
        turns_14_at=wish.turns_14_at,
        collection={"channel": question.channel.value},
        request_id=question.id,
        answer_by=now_s + questions.ANSWER_WITHIN_S,
    )


def _no_child() -> Invalid:
    return Invalid(
        "no_guardian_needed",
        "A guardian gives for a child under 14 alone (PIPL Art. 31).",
        field="/guardian",
        remedy="Ask the person itself.",
    )


def _asked_already(at: str) -> Conflicting:
    return Conflicting(
        "asked_already", "The person is being asked this.", field=at, remedy="Wait for the answer, or until it lapses."
    )


def _warnings(address: Address) -> list[str]:
    """What is odd about an address, and no reason to refuse it."""
    return ["phone_doubtful"] if address.channel is Channel.SMS and phone_is_doubtful(address.text) else []
