"""Who stands for which department in a company's admission: one person for one, for good (clauses 2.1.2, 2.2.2).

An operator of the directory acts in the departments of the role alone. Whoever acts on the gateway's host is an account
of the host, whose role nobody knows here; that one person is not two holds for both.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from sqlalchemy import bindparam, literal_column, select, union

from gateway.approvals.proposal import checked_approver
from gateway.database import Query, Reading
from gateway.errors import Conflicting, NotFound
from gateway.identity.operators import directory
from gateway.identity.operators.operator import Operator
from gateway.identity.operators.roles import Permission
from gateway.members.admission.tables import document, report, review, signoff


class Department(StrEnum):
    """A department of the alliance that takes part in an assessment."""

    MARKET = "market"
    BUSINESS = "business"
    LEGAL = "legal"
    FINANCE = "finance"


_PERMISSION: Final = {
    Department.MARKET: Permission.ACT_FOR_MARKET,
    Department.BUSINESS: Permission.ACT_FOR_BUSINESS,
    Department.LEGAL: Permission.ACT_FOR_LEGAL,
    Department.FINANCE: Permission.ACT_FOR_FINANCE,
}
_PARTS = Query(
    union(
        select(document.c.uploaded_by.label("person"), literal_column("'market'").label("department")).where(
            document.c.member_id == bindparam("member")
        ),
        select(review.c.reviewer, review.c.kind).where(review.c.member_id == bindparam("member")),
        select(report.c.author, literal_column("'business'")).where(report.c.member_id == bindparam("member")),
        select(signoff.c.person, signoff.c.department)
        .join(report, report.c.id == signoff.c.report_id)
        .where(report.c.member_id == bindparam("member")),
    )
)


async def took_part(reading: Reading, member_id: str) -> dict[str, str]:
    """Everybody who has done something in a company's admission, with the department."""
    return {row["person"]: row["department"] for row in await reading.all(_PARTS, member=member_id)}


async def operator_of(reading: Reading, *, alliance: str, person: str) -> Operator | None:
    """The alliance's operator of this id, None for an account of the host; `NotFound` for any other operator."""
    if await directory.known(reading, checked_approver(person)) is None:
        return None
    acting = await directory.active(reading, person)
    if acting is None or acting.alliance != alliance:
        raise NotFound
    return acting


async def require_department(
    reading: Reading, *, alliance: str, member: str, person: str, department: Department
) -> None:
    """Raise unless the person may act for the department in this company's admission.

    `NotFound` for another alliance's operator or a disabled one, `Refused` where the role is another department's,
    `Conflicting` for a person who has acted for another department already.
    """
    acting = await operator_of(reading, alliance=alliance, person=person)
    if acting is not None:
        acting.require(_PERMISSION[department])
    if (await took_part(reading, member)).get(person, department) != department:
        raise Conflicting(
            "one_person_one_department",
            "This person has acted for another department in this admission.",
            field="operator",
            remedy=f"Ask somebody else of {department.value}.",
        )
