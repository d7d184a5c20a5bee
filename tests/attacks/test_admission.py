"""Ways into an alliance around its departments and its management, each of them shut."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, update

from gateway.database import Query
from gateway.errors import Conflicting, NotFound, Refused
from gateway.identity.operators.directory import OperatorDirectory
from gateway.identity.operators.roles import Role
from gateway.identity.operators.sessions import Sessions
from gateway.members.admission import Department, DocumentKind, NewDocument
from gateway.members.admission.tables import document, report, review, signoff
from gateway.members.members import admission
from tests.agreements.world import World
from tests.members.prospects import Prospect, sqlite_world, world

__all__ = ["sqlite_world", "world"]


@pytest.fixture
async def prospect(sqlite_world: World) -> Prospect:
    """A company that has shown nothing yet."""
    return await Prospect.named(sqlite_world, sqlite_world.alliance)


def _operators(world: World) -> OperatorDirectory:
    return OperatorDirectory(world.database, world.ledger, Sessions(world.database, world.ledger, world.clock))


async def test_one_person_is_not_two_departments(prospect: Prospect) -> None:
    await prospect.reviewed()
    with pytest.raises(Conflicting, match="one_person_one_department"):
        await prospect.written(by="finance")
    written = await prospect.written()
    for department, person in ((Department.LEGAL, "finance"), (Department.FINANCE, "business")):
        with pytest.raises(Conflicting, match="one_person_one_department"):
            await prospect.sign(written, department, by=person)
    await prospect.sign(written, Department.LEGAL, by="other counsel")
    with pytest.raises(Conflicting, match="one_person_one_department"):
        await prospect.sign(written, Department.FINANCE, by="other counsel")


async def test_a_document_that_is_replaced_after_the_review_leaves_the_review_behind(prospect: Prospect) -> None:
    await prospect.reviewed()
    seen = await prospect.digest()
    forged = NewDocument(kind=DocumentKind.BUSINESS_LICENCE, number=prospect.uscc, valid_to=None, content=b"forged")
    await prospect.file(forged)
    with pytest.raises(Conflicting, match="review_missing"):
        await prospect.written()
    with pytest.raises(Conflicting, match="dossier_changed"):
        await prospect.legal(dossier=seen)


async def test_a_document_that_is_replaced_after_the_report_stops_submission_and_approval(prospect: Prospect) -> None:
    await prospect.reviewed()
    early, late = await prospect.written(), await prospect.submitted()
    await prospect.sign(early)
    proposal = await prospect.proposed(late)
    await prospect.file(prospect.certificate(300))
    for stopped in (
        prospect.admissions.reports.submit(early, operator="business"),
        prospect.approve(proposal),
    ):
        with pytest.raises(Conflicting, match="review_missing"):
            await stopped
    await prospect.legal()
    await prospect.finance()
    with pytest.raises(Conflicting, match="report_outdated"):
        await prospect.approve(proposal)
    assert (await prospect.admissions.reports.find(late)).state == "submitted"


async def test_a_rejected_report_is_not_used_again(prospect: Prospect) -> None:
    await prospect.reviewed()
    submitted = await prospect.submitted()
    await prospect.approvals.decline(await prospect.proposed(submitted), operator="director")
    assert (await prospect.admissions.reports.find(submitted)).state == "rejected"
    with pytest.raises(Conflicting, match="report is rejected"):
        await prospect.proposed(submitted)
    with pytest.raises(Conflicting, match="report is rejected"):
        await prospect.sign(submitted, Department.LEGAL)
    await prospect.approve(await prospect.proposed(await prospect.submitted()))


async def test_a_declined_report_ends_the_other_proposal_with_it(prospect: Prospect) -> None:
    await prospect.reviewed()
    submitted = await prospect.submitted()
    generous = await prospect.proposed(submitted, clearance=4)
    await prospect.approvals.decline(await prospect.proposed(submitted), operator="director")
    with pytest.raises(Conflicting, match="report is rejected"):
        await prospect.approve(generous)


async def test_what_expires_between_proposal_and_approval_stops_it(sqlite_world: World, prospect: Prospect) -> None:
    await prospect.reviewed(days=2)
    proposal = await prospect.proposed(await prospect.submitted())
    sqlite_world.clock.forward(3 * 86_400)
    with pytest.raises(Refused, match="QUALIFICATION_EXPIRED"):
        await prospect.approve(proposal)
    assert await admission(sqlite_world.database, prospect.id) is None


async def test_the_proposer_does_not_approve(prospect: Prospect) -> None:
    await prospect.reviewed()
    proposal = await prospect.proposed(await prospect.submitted(), by="director")
    with pytest.raises(Refused, match="OWN_PROPOSAL"):
        await prospect.approve(proposal, by="director")


async def test_a_company_is_admitted_once(prospect: Prospect) -> None:
    await prospect.reviewed()
    first, second = await prospect.submitted(), await prospect.submitted()
    proposals = [await prospect.proposed(one) for one in (first, second)]
    await prospect.approve(proposals[0])
    with pytest.raises(Conflicting, match="not_a_prospect"):
        await prospect.approve(proposals[1])


async def test_suspending_a_prospect_is_no_way_in(sqlite_world: World, prospect: Prospect) -> None:
    with pytest.raises(Refused, match="NOT_ADMITTED"):
        await sqlite_world.members.suspend(prospect.id, case="c1", operator="root")
    arguments = await sqlite_world.members.readmission(prospect.id, case="c1")
    with pytest.raises(Conflicting, match="suspension_over"):
        await sqlite_world.by_two(sqlite_world.alliance, "readmit_member", **arguments)


async def test_a_suspended_member_renews_its_papers_and_stays_suspended(
    sqlite_world: World, prospect: Prospect
) -> None:
    await prospect.admitted()
    await sqlite_world.members.suspend(prospect.id, case="c1", operator="root")
    await prospect.renewed(prospect.certificate(100))
    found = await admission(sqlite_world.database, prospect.id)
    assert found is not None
    assert found.stopped(sqlite_world.clock.now_s) == "MEMBER_SUSPENDED"


async def test_a_document_is_not_renewed_by_whoever_filed_it(prospect: Prospect) -> None:
    await prospect.admitted()
    with pytest.raises(Refused, match="OWN_PROPOSAL"):
        await prospect.renewed(prospect.certificate(100), by="market")
    [filed] = await prospect.file(prospect.certificate(90))
    _, terms = await prospect.admissions.renewal.terms(filed)
    proposal = await prospect.approvals.propose(prospect.alliance, "renew_document", terms, operator="legal")
    with pytest.raises(Refused, match="TOOK_PART"):
        await prospect.approve(proposal, by="market")


async def test_a_waiting_document_changes_nothing(sqlite_world: World, prospect: Prospect) -> None:
    await prospect.admitted()
    before = await admission(sqlite_world.database, prospect.id), await prospect.digest()
    await prospect.file(prospect.certificate(1))
    assert (await admission(sqlite_world.database, prospect.id), await prospect.digest()) == before


async def test_a_shorter_qualification_narrows_every_owner_and_a_longer_one_nobody(
    sqlite_world: World, prospect: Prospect
) -> None:
    sqlite_world.bank = await sqlite_world.company(sqlite_world.alliance)
    await prospect.admitted()
    before = await sqlite_world.narrowing(sqlite_world.bank)
    await prospect.renewed(prospect.certificate(4000))
    assert await sqlite_world.narrowing(sqlite_world.bank) == before
    await prospect.renewed(prospect.certificate(40, number="C-2"))
    assert await sqlite_world.narrowing(sqlite_world.bank) == before + 1
    logs = [one["log"] for one in await sqlite_world.entries() if one.get("act") == "qualification_shortened"]
    assert f"alliance.test/{sqlite_world.bank.id}" in logs


async def test_another_alliances_operator_reaches_nothing(sqlite_world: World, prospect: Prospect) -> None:
    operators = _operators(sqlite_world)
    eve, _ = await operators.enrol(sqlite_world.other_alliance, name="Eve", role=Role.ADMIN, by="root")
    with pytest.raises(NotFound):
        await prospect.file(by=eve)
    [paper, *_] = await prospect.file()
    for reached in (prospect.legal(by=eve), prospect.admissions.dossier.open(paper, operator=eve)):
        with pytest.raises(NotFound):
            await reached
    assert [one for one in await sqlite_world.entries() if one.get("act") == "paper_opened"] == []


async def test_an_operator_acts_for_the_own_department_alone(sqlite_world: World, prospect: Prospect) -> None:
    operators = _operators(sqlite_world)
    ann, _ = await operators.enrol(sqlite_world.alliance, name="Ann", role=Role.MARKET, by="root")
    ben, _ = await operators.enrol(sqlite_world.alliance, name="Ben", role=Role.LEGAL, by="root")
    with pytest.raises(Refused, match="ROLE_LACKS_PERMISSION"):
        await prospect.file(by=ben)
    await prospect.file(by=ann)
    with pytest.raises(Refused, match="ROLE_LACKS_PERMISSION"):
        await prospect.finance(by=ben)
    await prospect.legal(by=ben)
    await operators.disable(ben, by="root")
    with pytest.raises(NotFound):
        await prospect.legal(by=ben)


async def test_a_changed_role_does_not_make_one_person_two(sqlite_world: World, prospect: Prospect) -> None:
    operators = _operators(sqlite_world)
    ann, _ = await operators.enrol(sqlite_world.alliance, name="Ann", role=Role.MARKET, by="root")
    await prospect.file(by=ann)
    await operators.change_role(ann, Role.LEGAL, by="root")
    with pytest.raises(Conflicting, match="one_person_one_department"):
        await prospect.legal(by=ann)


async def test_a_client_is_nobody_in_an_admission(prospect: Prospect) -> None:
    with pytest.raises(Exception, match="invalid_operator"):
        await prospect.file(by="client:1")


async def test_another_alliance_admits_nobody_here(sqlite_world: World, prospect: Prospect) -> None:
    await prospect.reviewed()
    _, terms = await prospect.admissions.approval.terms(await prospect.submitted(), clearance=4, country="CN")
    with pytest.raises(NotFound):
        await sqlite_world.proposed("admit_member", terms, alliance=sqlite_world.other_alliance)


async def test_what_was_shown_and_reviewed_cannot_be_rewritten(world: World) -> None:
    prospect = await Prospect.named(world, world.alliance)
    await prospect.reviewed()
    await prospect.submitted()
    rewriting = (
        update(document).values(valid_until=2**53),
        update(document).values(sha256="0" * 64),
        update(review).values(passed=1),
        update(report).values(sha256="0" * 64),
        update(signoff).values(person="nobody"),
        *(delete(table) for table in (signoff, report, review, document)),
    )
    for statement in rewriting:
        with pytest.raises(Exception, match="archived"):
            async with world.database.transaction() as tx:
                await tx.run(Query(statement))
