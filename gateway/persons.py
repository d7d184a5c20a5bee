"""Everything about persons: what they agree to, who asks them, who is told when it ends, what they ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.access.disclosures import Disclosures
from gateway.access.enforcement import EnforcementPoint
from gateway.agreements import Agreements
from gateway.approvals.act import Act
from gateway.bundles import forgetting as bundles
from gateway.bundles import switches
from gateway.bundles.bundling import Bundling
from gateway.bundles.rule_sets import RuleSets
from gateway.catalog import Datasets
from gateway.clock import Clock
from gateway.consents import Consents
from gateway.consents.asking import Asking
from gateway.consents.following import Following
from gateway.consents.offline.offline import OfflineConsents
from gateway.consents.receipts import ConsentReceipts
from gateway.console.customer.counter import Counter
from gateway.database import Database
from gateway.ledger import Ledger
from gateway.overlap.overlapping import Overlapping
from gateway.referrals import forgetting as referrals
from gateway.referrals.letters import Letters
from gateway.referrals.referrals import Referrals
from gateway.rights.rights import Rights
from gateway.rights.states import RightKind
from gateway.senders import senders_of
from gateway.settings import Settings
from gateway.signing import Signing
from gateway.supplies import outward_post
from gateway.vault.keyring import KeyRing


@dataclass(frozen=True, slots=True, kw_only=True)
class Persons:
    """The parts that deal with persons."""

    consents: Consents
    disclosures: Disclosures
    following: Following
    asking: Asking
    offline: OfflineConsents
    rights: Rights
    counter: Counter
    referrals: Referrals
    overlapping: Overlapping
    bundling: Bundling

    def acts(self) -> Iterable[Act]:
        """What two operators decide on."""
        return (*self.offline.acts(), *self.bundling.rule_sets.acts())


@asynccontextmanager
async def persons_of(
    settings: Settings,
    database: Database,
    ledger: Ledger,
    keyring: KeyRing,
    clock: Clock,
    *,
    signing: Signing,
    datasets: Datasets,
    agreements: Agreements,
    enforcement: EnforcementPoint,
) -> AsyncIterator[Persons]:
    """Compose them; what is being sent when the block ends is sent again later."""
    core = (database, ledger, keyring, clock)
    post = outward_post(settings)
    disclosures = Disclosures(database)
    following = Following.of(
        database,
        ledger,
        clock,
        disclosed=disclosures,
        receipts=ConsentReceipts(signing.receipts, keyring),
        signer=signing.answers,
        post=post,
        loopback=settings.jwks_loopback,
    )
    consents = Consents.of(*core, signer=signing.receipts, followers=following)
    records = consents.records
    senders = senders_of(settings, post, signing.answers)
    asking = Asking.of(*core, records=records, senders=senders, base_url=settings.base_url)
    rights = Rights.of(
        *core,
        datasets=datasets,
        records=records,
        receipts=consents.receipts,
        following=following,
        disclosures=disclosures,
        switching=switches.turn,
        forgetting=[asking.forget, bundles.forget, referrals.forget],
    )
    letters = Letters(database, asking.contacts, senders)
    bundling = Bundling.of(*core, agreements=agreements, enforcement=enforcement, rule_sets=RuleSets(database, ledger))
    try:
        yield Persons(
            consents=consents,
            disclosures=disclosures,
            following=following,
            asking=asking,
            offline=OfflineConsents.of(
                *core, datasets=datasets, records=records, contacts=asking.contacts, inviting=asking.inviting
            ),
            rights=rights,
            counter=Counter.of(
                database,
                clock,
                asking=asking,
                consents=consents,
                following=following,
                disclosures=disclosures,
                bundles=bundling.persons,
                requests=rights,
                kinds=tuple(RightKind),
            ),
            referrals=Referrals.of(*core, agreements=agreements, enforcement=enforcement, telling=letters),
            overlapping=Overlapping.of(*core, agreements=agreements, enforcement=enforcement),
            bundling=bundling,
        )
    finally:
        await asking.close()
        await following.telling.close()
