"""A person confirms what was imported: by a link and a one-time code, as if it were asked for the first time."""

from __future__ import annotations

from typing import Any

from gateway.catalog.datasets import Datasets
from gateway.consents.asking.inviting import Inviting
from gateway.consents.asking.questions import Question
from gateway.consents.contacts import Address, Contacts, Holder, Role
from gateway.consents.offline.batch import BatchState
from gateway.consents.offline.batches import Batches
from gateway.consents.offline.requesting import request_of
from gateway.consents.records import Records
from gateway.consents.states import State
from gateway.database import Database
from gateway.errors import NotFound
from gateway.identity.subject import Subject
from gateway.ledger import Ledger
from gateway.vault.keyring import KeyRing


class Confirming:
    """Sends links to the persons of a batch, for its owner."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        keyring: KeyRing,
        batches: Batches,
        *,
        datasets: Datasets,
        records: Records,
        contacts: Contacts,
        inviting: Inviting,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._keyring = keyring
        self._batches = batches
        self._datasets = datasets
        self._records = records
        self._contacts = contacts
        self._inviting = inviting

    async def invite(self, subject: Subject, batch_id: str, person: str, address: Address) -> dict[str, Any]:
        """Ask one person of a batch, at an address that the owner states; needs `consent`.

        `NotFound` where the batch holds nothing of the person that waits; `Conflicting` where it was asked before.
        """
        subject.require("consent")
        self._inviting.require_channel(address)
        batch = await self._batches.owned(subject, batch_id)
        batch.require(BatchState.IMPORTED, BatchState.SAMPLED)
        dataset = await self._datasets.owned(subject, batch.dataset)
        pseudonym = (await self._keyring.unlock(dataset.owner)).pseudonym(dataset.subject_of(person))
        request_id = request_of(batch_id, pseudonym)
        waiting = [
            one for one in await self._records.of_request(self._database, request_id) if one.state is State.IMPORTED
        ]
        if not waiting:
            raise NotFound
        holder = Holder(dataset.owner, pseudonym, Role.OWN)
        reached = await self._contacts.prepare(holder, address)
        question = Question(
            id=request_id,
            alliance=dataset.alliance,
            person=holder,
            channel=address.channel,
            language=waiting[0].language,
            term=reached.terms[0][1],
        )
        async with self._ledger.changing(dataset.owner) as change:
            actor = {"member": subject.member, "client": subject.client}
            invitation = await self._inviting.ask(change, question, reached, actor=actor)
        await self._inviting.deliver(invitation)
        return {"request": request_id, "consents": [one.id for one in waiting]}
