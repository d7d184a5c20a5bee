"""Everything about offline consents, constructed together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from gateway.approvals import Act
from gateway.catalog.datasets import Datasets
from gateway.clock import Clock
from gateway.consents.asking.inviting import Inviting
from gateway.consents.contacts import Contacts
from gateway.consents.offline.batches import Batches
from gateway.consents.offline.confirming import Confirming
from gateway.consents.offline.sampling import Sampling
from gateway.consents.offline.settling import Settling
from gateway.consents.records import Records
from gateway.database import Database
from gateway.ledger import Ledger
from gateway.vault.keyring import KeyRing


@dataclass(frozen=True, slots=True)
class OfflineConsents:
    """What imports batches, has them confirmed or sampled, and brings their records to what was decided."""

    batches: Batches
    confirming: Confirming
    sampling: Sampling
    settling: Settling

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
        contacts: Contacts,
        inviting: Inviting,
    ) -> Self:
        """Over the datasets and records of every owner; `inviting` sends links to persons."""
        batches = Batches(database, datasets, keyring, ledger, clock)
        return cls(
            batches,
            Confirming(
                ledger,
                keyring,
                batches,
                datasets=datasets,
                records=records,
                contacts=contacts,
                inviting=inviting,
            ),
            Sampling(database, ledger),
            Settling(database, ledger, records, clock),
        )

    def acts(self) -> list[Act]:
        """What two operators do about a batch."""
        return self.sampling.acts()
