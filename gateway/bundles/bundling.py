"""Everything about bundles, constructed together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from gateway.access.enforcement import EnforcementPoint
from gateway.agreements import Agreements
from gateway.bundles.bundles import Bundles
from gateway.bundles.persons import BundlePersons
from gateway.bundles.rule_sets import RuleSets
from gateway.clock import Clock
from gateway.database import Database
from gateway.ledger import Ledger
from gateway.vault.keyring import KeyRing


@dataclass(frozen=True, slots=True)
class Bundling:
    """Rules, bundles, and what persons may ask about them."""

    rule_sets: RuleSets
    bundles: Bundles
    persons: BundlePersons

    @classmethod
    def of(
        cls,
        database: Database,
        ledger: Ledger,
        keyring: KeyRing,
        clock: Clock,
        *,
        agreements: Agreements,
        enforcement: EnforcementPoint,
        rule_sets: RuleSets,
    ) -> Self:
        """Persons and products are read through `enforcement` alone."""
        bundles = Bundles(
            database, ledger, keyring, clock, agreements=agreements, enforcement=enforcement, rule_sets=rule_sets
        )
        return cls(rule_sets, bundles, BundlePersons(database, ledger, keyring, bundles))
