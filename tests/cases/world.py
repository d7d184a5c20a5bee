"""The small alliance of `tests/agreements`, with cases."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import insert

from gateway.agreements import HoldSubject, holds_case
from gateway.approvals import Approvals
from gateway.cases.case import CaseView
from gateway.cases.cases import Cases
from gateway.cases.deciding import Deciding
from gateway.cases.disputable import Disputable
from gateway.cases.disputes import Disputes
from gateway.cases.incidents import Incidents
from gateway.cases.opening import Exhibit
from gateway.confidentiality.tables import oral_memo
from gateway.database import Query, Reading
from tests.agreements.world import FLIGHTS, Company, World

_MEMO = Query(insert(oral_memo))
DISPUTE = {"forum": "arbitration", "body": "CIETAC", "negotiation_days": 5}
REMEDIES = {"cure_days": 10}
PROOF = [Exhibit("photo of the screen", "ab" * 32)]


class CaseWorld(World):
    """`referrals` are those that there are: id, who sees it, agreement."""

    def restart(self) -> None:
        super().restart()
        self.cases = Cases(self.database, self.clock)
        self.referrals: set[tuple[str, str, str]] = set()
        disputable = Disputable(self.database, self._sees_referral)
        self.disputes = Disputes(self.database, self.ledger, self.agreements, disputable)
        self.incidents = Incidents(self.database, self.ledger, self.agreements, hold_hours=72)
        self.decisions = Deciding(self.database, self.ledger)
        acts = [*self.approvals._acts.values(), *self.decisions.acts()]
        self.approvals = Approvals(self.database, self.ledger, self.clock, acts)

    async def _sees_referral(self, _: Reading, referral_id: str, member: str, agreement: str) -> bool:
        return (referral_id, member, agreement) in self.referrals

    async def agreed(self, **changes: Any) -> str:
        """An agreement of the airline and the bank, with a forum and days to cure."""
        return await self.signed(**{"dispute": DISPUTE, "remedies": REMEDIES, **changes})

    async def dispute(self, agreement: str, by: Company | None = None, dataset: str = FLIGHTS, **over: Any) -> str:
        """A dispute about a dataset under an agreement, by the bank if nobody else."""
        subject = (by or self.bank).acting("sign")
        given = {"claim": "The carrier codes are wrong.", **over}
        return await self.disputes.open(subject, agreement, HoldSubject.TERM, dataset, **given)

    async def leak(self, agreement: str, by: Company | None = None, respondent: str = "", **over: Any) -> str:
        """A leak that the airline reports."""
        given = {"claim": "Our flights are for sale elsewhere.", "evidence": PROOF, **over}
        return await self.incidents.report_leak((by or self.airline).acting("sign"), agreement, respondent, **given)

    async def decide(self, case: str, step: str) -> str:
        """Two operators take a step."""
        alliance, arguments = await self.decisions.deciding(case, step, resolution="r-1", why="As the committee says.")
        return await self.by_two(alliance, "decide_case", **arguments)

    async def seen(self, case: str, by: Company | None = None) -> CaseView:
        """The case as a party sees it, by default the bank."""
        return await self.cases.visible((by or self.bank).id, case)

    async def holding(self, agreement: str, dataset: str = FLIGHTS, by: Company | None = None) -> list[str]:
        """The cases that hold a read by the bank now, as the policy compares them."""
        found = await holds_case(
            self.database,
            agreement_id=agreement,
            dataset_id=dataset,
            recipient_id=(by or self.bank).id,
            owner_id=self.airline.id,
        )
        return [one["case"] for one in found if one["from"] <= self.clock.now_s < one["until"]]

    async def memo(self, agreement: str) -> str:
        """A memo that the airline recorded under an agreement with the bank; returns its id."""
        memo_id = secrets.token_hex(16)
        parts = {"owner_id": self.airline.id, "listener_id": self.bank.id, "recorder_id": self.airline.id}
        times = dict.fromkeys(("said_at", "answer_by", "recorded_at"), self.clock())
        async with self.database.transaction() as tx:
            row = {"id": memo_id, "agreement_id": agreement, "sealed": "{}", "answer": None, "answered_at": None}
            await tx.run(_MEMO, **row, **parts, **times)
        return memo_id

    async def acts_on(self, company: Company) -> list[str]:
        """The acts of a company's log, in order."""
        entries = await self.entries()
        return [one["act"] for one in entries if one["log"] == f"alliance.test/{company.id}" and "act" in one]
