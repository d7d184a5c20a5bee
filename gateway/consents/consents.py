"""The package, composed: what persons are told, what they decided, and what they are given as proof."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.catalog.datasets import Datasets
from gateway.clock import Clock
from gateway.consents.followers import Followers
from gateway.consents.merging import Merging
from gateway.consents.notices import Notices
from gateway.consents.overtaken import Overtaken
from gateway.consents.receipts import ConsentReceipts
from gateway.consents.recording import Recording
from gateway.consents.records import Records
from gateway.consents.showing import Showing
from gateway.consents.withdrawing import Withdrawing
from gateway.database import Database
from gateway.ledger import Ledger
from gateway.ledger.receipts import ReceiptSigner
from gateway.vault.keyring import KeyRing


@dataclass(frozen=True, slots=True)
class Consents:
    """Does the person agree? To datasets of kind personal, by recipient and purpose."""

    notices: Notices
    records: Records
    receipts: ConsentReceipts
    recording: Recording
    withdrawing: Withdrawing
    merging: Merging
    showing: Showing
    overtaken: Overtaken

    @classmethod
    def of(
        cls,
        database: Database,
        ledger: Ledger,
        keyring: KeyRing,
        clock: Clock,
        *,
        signer: ReceiptSigner,
        followers: Followers | None = None,
    ) -> Consents:
        """Compose it; `signer` signs receipts, `followers` hear of every permission that ends."""
        datasets, receipts = Datasets(database, ledger), ConsentReceipts(signer, keyring)
        records = Records(receipts, followers)
        return cls(
            notices=Notices(database, ledger),
            records=records,
            receipts=receipts,
            recording=Recording(database, ledger, keyring, clock, datasets, records),
            withdrawing=Withdrawing(database, ledger, keyring, datasets, records),
            merging=Merging(ledger, keyring, datasets, records),
            showing=Showing(database, clock, records, receipts),
            overtaken=Overtaken(database, ledger, clock, records),
        )
