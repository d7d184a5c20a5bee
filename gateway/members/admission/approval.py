"""Management admits a company (clause 2.2.3): two people, neither of whom approves what they did themselves.

Everything is looked at again when it is approved: the documents, the reviews, the report and the qualification may be
others than when it was proposed. Whoever approves has had no other part in the admission.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import bindparam, update

from gateway.approvals import Act, Arguments, Mandate
from gateway.clock import Clock
from gateway.database import Database, Query, Reading
from gateway.errors import Conflicting, Invalid, NotFound, Reason, Refused
from gateway.ledger import Change
from gateway.members.admission.documents import missing, qualified_until
from gateway.members.admission.dossier import admission_entry, current_documents, member_row
from gateway.members.admission.people import took_part
from gateway.members.admission.reports import Report, find_report, move_report, require_bound
from gateway.members.arguments import only, said
from gateway.members.members import HIGHEST_CLEARANCE
from gateway.members.revision import touch_member
from gateway.members.tables import member

CLEARANCES = range(1, HIGHEST_CLEARANCE + 1)
"""The highest grade that a member may be shown."""
_COUNTRY = re.compile("[A-Z]{2}")
_ARGUMENTS = ("member", "report", "report_sha256", "clearance", "country")
_ADMIT = Query(
    update(member)
    .where(member.c.id == bindparam("the_id"), member.c.state == "prospect")
    .values(
        state="admitted",
        version=member.c.version + 1,
        qualified_until=bindparam("until"),
        clearance=bindparam("cleared"),
        country=bindparam("in_country"),
    )
)


class Approval:
    """The act `admit_member`. `grace_days`: how long an expired document still counts."""

    def __init__(self, database: Database, clock: Clock, *, grace_days: int) -> None:
        self._database = database
        self._clock = clock
        self._grace_days = grace_days

    def acts(self) -> list[Act]:
        """`admit_member`; declining it ends the report for good."""
        return [Act("admit_member", self._check, self._admit, declined=self._reject)]

    async def terms(self, report_id: str, *, clearance: int, country: str) -> tuple[str, dict[str, Any]]:
        """The alliance, and the arguments that name exactly this report."""
        found = await find_report(self._database, report_id)
        about = {"member": found.member, "report": found.id, "report_sha256": found.sha256}
        return found.alliance, {**about, "clearance": clearance, "country": country}

    async def _check(self, reading: Reading, of: str, arguments: Arguments) -> None:
        await self._require(reading, of, arguments, self._clock())

    async def _admit(self, change: Change, mandate: Mandate, arguments: Arguments) -> str:
        """A prospect becomes a member; returns its id."""
        found, until = await self._require(change.tx, mandate.alliance, arguments, change.now_ms)
        if mandate.approver in await took_part(change.tx, found.member):
            raise Refused(
                (Reason("TOOK_PART", "2.2.3"),), remedy="Somebody approves who has had no part in the admission."
            )
        facts = {"clearance": arguments["clearance"], "country": arguments["country"]}
        await change.tx.run(
            _ADMIT, the_id=found.member, until=until, cleared=facts["clearance"], in_country=facts["country"]
        )
        await touch_member(change, found.member)
        await move_report(change, found, "submitted", "approved")
        company = await member_row(change.tx, found.member)
        about = {"member": found.member, "name": company["name"], "uscc": company["uscc"], "report": found.id}
        bound = {"report_sha256": found.sha256, "dossier_sha256": found.dossier, "qualified_until": until, **facts}
        change.enter(admission_entry(mandate.alliance, "member_admitted", mandate.actor(), **about, **bound))
        return found.member

    async def _reject(self, change: Change, mandate: Mandate, arguments: Arguments) -> None:
        """The report that was declined is over, whatever is proposed next."""
        found = await find_report(change.tx, arguments["report"])
        if found.state != "submitted":
            return
        await move_report(change, found, "submitted", "rejected")
        facts = {"member": found.member, "report": found.id, "report_sha256": found.sha256}
        actor = {"operator": mandate.approver, "proposal": mandate.proposal}
        change.enter(admission_entry(mandate.alliance, "report_rejected", actor, **facts))

    async def _require(self, reading: Reading, of: str, arguments: Arguments, now_ms: int) -> tuple[Report, int]:
        """The report and the end of the qualification, if the company may be admitted now."""
        only(arguments, *_ARGUMENTS)
        if type(arguments.get("clearance")) is not int or arguments["clearance"] not in CLEARANCES:
            raise Invalid("clearance_malformed", "A clearance is 1 to 4.", field="clearance")
        if not _COUNTRY.fullmatch(said(arguments, "country")):
            raise Invalid("country_malformed", "A country has two capital letters (ISO 3166).", field="country")
        found = await find_report(reading, said(arguments, "report"))
        if found.alliance != of or found.member != said(arguments, "member"):
            raise NotFound
        if found.sha256 != said(arguments, "report_sha256"):
            raise Conflicting("report_differs", "The report is another one.", field="report_sha256")
        if (await member_row(reading, found.member))["state"] != "prospect":
            raise Conflicting("not_a_prospect", "The company is a member already.", field="member")
        if found.state != "submitted":
            raise Conflicting(
                "report_state", f"The report is {found.state}.", field="report", remedy="Submit a complete report."
            )
        await require_bound(reading, found)
        current = await current_documents(reading, found.member)
        if lacking := missing(current):
            raise Conflicting("document_missing", f"The dossier lacks: {', '.join(lacking)}.", field=lacking[0])
        until = qualified_until(current, self._grace_days)
        if until <= now_ms:
            raise Refused(
                (Reason("QUALIFICATION_EXPIRED", "2.1.1"),), remedy="File valid documents, then review again."
            )
        return found, until
