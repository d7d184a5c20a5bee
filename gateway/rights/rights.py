"""Everything about requests of persons, constructed together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from gateway.catalog.datasets import Datasets
from gateway.clock import Clock
from gateway.consents.receipts import ConsentReceipts
from gateway.consents.records import Records
from gateway.database import Database, Reading
from gateway.ledger import Ledger
from gateway.rights.answering import Answering
from gateway.rights.exporting import Exporting
from gateway.rights.granting import Granting
from gateway.rights.neighbours import Disclosures, Following, Forgetting, Switching
from gateway.rights.request import Person
from gateway.rights.requests import Requests
from gateway.rights.retracting import Retracting
from gateway.rights.run import RightsRun
from gateway.rights.states import kind_of
from gateway.rights.tasks import Tasks
from gateway.vault.keyring import KeyRing


@dataclass(frozen=True, slots=True)
class Rights:
    """What opens requests, answers them, takes them back, passes them on, exports, and looks at clocks."""

    requests: Requests
    answering: Answering
    retracting: Retracting
    tasks: Tasks
    exporting: Exporting
    settling: RightsRun

    @classmethod
    def of(
        cls,
        database: Database,
        ledger: Ledger,
        keyring: KeyRing,
        clock: Clock,
        *,
        datasets: Datasets,
        records: Records,
        receipts: ConsentReceipts,
        following: Following,
        disclosures: Disclosures,
        switching: Switching,
        forgetting: Sequence[Forgetting] = (),
    ) -> Self:
        """`forgetting`: how everybody else who keeps something of a person deletes it with the key. `switching`: how
        the person's suggestions are switched off.
        """
        requests = Requests(database, ledger, keyring, datasets, following)
        tasks = Tasks(database, ledger, keyring, disclosures)
        granting = Granting(records, receipts, following, forgetting, switching)
        return cls(
            requests,
            Answering(ledger, keyring, requests, granting),
            Retracting(database, ledger, clock, requests, records),
            tasks,
            Exporting(
                database,
                ledger,
                requests,
                tasks,
                records=records,
                receipts=receipts,
                following=following,
                disclosures=disclosures,
            ),
            RightsRun(database, ledger, granting, clock),
        )

    async def open(
        self,
        person: Person,
        kind: str,
        text: str,
        *,
        visit: str,
        language: str = "zh-CN",
        behalf: str = "self",
        profile: str = "cn",
    ) -> str:
        """Open a request from the person's page (see `Requests.open`); returns its id."""
        return await self.requests.open(
            person, kind_of(kind), text, visit=visit, language=language, behalf=behalf, profile=profile
        )

    async def retract(self, person: Person, request_id: str, *, visit: str, behalf: str = "self") -> None:
        """The person asks no more, or ends a restriction: what it held stands again (see `Retracting.retract`)."""
        await self.retracting.retract(person, request_id, visit=visit, behalf=behalf)

    async def export(self, person: Person, request_id: str, *, visit: str) -> bytes:
        """What an answered request gives the person to take along, over a link of its own that is fetched at once."""
        link = await self.exporting.link_for(person, request_id, visit=visit)
        return await self.exporting.fetch(link["token"])

    async def of_person(self, reading: Reading, person: Person, *, behalf: str = "self") -> list[dict[str, Any]]:
        """A person's requests at one owner, for its page: with what was answered, and whether whoever is there on this
        behalf can take each back.
        """
        return [
            one | {"can_be_retracted": await self.retracting.can_be_retracted(reading, one["id"], behalf)}
            for one in await self.requests.of_person(reading, person)
        ]
