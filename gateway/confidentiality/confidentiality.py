"""Everything about confidentiality that is constructed, for the web application, the command line and the tests."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.agreements import Agreements
from gateway.approvals import Act
from gateway.clock import Clock
from gateway.confidentiality.assessments import Assessments
from gateway.confidentiality.filing import Places
from gateway.confidentiality.memos import Memos
from gateway.confidentiality.ndas import NDAs
from gateway.confidentiality.onward import OnwardGrants
from gateway.confidentiality.participation import Participations
from gateway.confidentiality.persons import Persons
from gateway.confidentiality.releases import Releases
from gateway.confidentiality.roster import Rosters
from gateway.confidentiality.transfers import Transfers
from gateway.database import Database
from gateway.ledger import Ledger
from gateway.members import Members
from gateway.vault.keyring import KeyRing


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidentiality:
    """What members file beside an agreement's terms."""

    persons: Persons
    ndas: NDAs
    rosters: Rosters
    participations: Participations
    onward: OnwardGrants
    releases: Releases
    assessments: Assessments
    transfers: Transfers
    memos: Memos

    @classmethod
    def of(
        cls,
        database: Database,
        ledger: Ledger,
        keyring: KeyRing,
        clock: Clock,
        *,
        members: Members,
        agreements: Agreements,
    ) -> Confidentiality:
        """All of it over one database."""
        places = Places(agreements)
        return cls(
            persons=Persons(database, ledger, keyring, members),
            ndas=NDAs(database, ledger, members),
            rosters=Rosters(database, ledger, places),
            participations=Participations(database, ledger, places),
            onward=OnwardGrants(database, ledger, places),
            releases=Releases(database, ledger, places),
            assessments=Assessments(database, ledger, places),
            transfers=Transfers(database, ledger, places),
            memos=Memos(database, ledger, keyring, places, clock),
        )

    def acts(self) -> list[Act]:
        """What needs two operators."""
        return self.transfers.acts()
