"""A report by the departments, and management's approval."""

from __future__ import annotations

import pytest

from gateway.errors import Conflicting, Invalid, Refused
from gateway.members.admission import Department
from gateway.members.client_acts import registration
from gateway.members.directory import Directory
from gateway.members.key_source import KeySource
from gateway.members.members import admission
from tests.agreements.world import World, new_key, public
from tests.members.prospects import SECTIONS, Prospect, sqlite_world, world

__all__ = ["sqlite_world", "world"]


async def test_2_2_2_a_report_without_a_risk_section_cannot_be_submitted(world: World) -> None:
    prospect = await Prospect.named(world, world.alliance)
    await prospect.reviewed()
    report = await prospect.written(**{name: text for name, text in SECTIONS.items() if name != "risks"})
    await prospect.sign(report)
    with pytest.raises(Invalid, match="lacks sections: risks") as refused:
        await prospect.admissions.reports.submit(report, operator="business")
    assert (refused.value.code, refused.value.field) == ("report_incomplete", "risks")
    with pytest.raises(Conflicting, match="report_state"):
        await prospect.proposed(report)


@pytest.mark.parametrize("absent", list(Department))
async def test_2_2_2_a_report_that_a_department_did_not_sign_off_cannot_be_submitted(
    sqlite_world: World, absent: Department
) -> None:
    prospect = await Prospect.named(sqlite_world, sqlite_world.alliance)
    await prospect.reviewed()
    report = await prospect.written()
    await prospect.sign(report, *(one for one in Department if one is not absent))
    with pytest.raises(Invalid, match=f"lacks sign-offs: {absent.value}") as refused:
        await prospect.admissions.reports.submit(report, operator="business")
    assert refused.value.field == absent.value


async def test_2_2_2_a_department_signs_off_the_report_that_it_read_and_no_other(sqlite_world: World) -> None:
    prospect = await Prospect.named(sqlite_world, sqlite_world.alliance)
    await prospect.reviewed()
    reports = prospect.admissions.reports
    read, other = await reports.find(await prospect.written()), await reports.find(await prospect.written())
    assert read.sha256 != other.sha256
    with pytest.raises(Conflicting, match="report_differs"):
        await reports.sign_off(other.id, Department.LEGAL, sha256=read.sha256, operator="legal")
    with pytest.raises(Invalid, match="sign-offs: market, business, legal, finance"):
        await reports.submit(other.id, operator="business")


async def test_2_2_2_every_missing_part_is_named_at_once(sqlite_world: World) -> None:
    prospect = await Prospect.named(sqlite_world, sqlite_world.alliance)
    await prospect.reviewed()
    report = await prospect.written(profile="A bank.")
    with pytest.raises(
        Invalid, match="sections: strengths, risks, advice; sign-offs: market, business, legal, finance"
    ):
        await prospect.admissions.reports.submit(report, operator="business")


@pytest.mark.parametrize("sections", [{"gossip": "x"}, {"risks": "  "}, {"risks": "x" * 20_001}])
async def test_2_2_2_a_section_that_is_none_is_refused(sqlite_world: World, sections: dict[str, str]) -> None:
    prospect = await Prospect.named(sqlite_world, sqlite_world.alliance)
    await prospect.reviewed()
    with pytest.raises(Invalid, match="section"):
        await prospect.written(**sections)


async def test_2_2_2_the_report_reads_as_it_was_written(sqlite_world: World) -> None:
    prospect = await Prospect.named(sqlite_world, sqlite_world.alliance)
    await prospect.reviewed()
    report = await prospect.written()
    assert await prospect.admissions.reports.read(report, operator="director") == SECTIONS
    assert [one["paper"] for one in await sqlite_world.entries() if one.get("act") == "paper_opened"] == [report]


async def test_2_2_3_a_client_of_an_unapproved_partner_cannot_be_created(world: World) -> None:
    prospect = await Prospect.named(world, world.alliance)
    await prospect.reviewed()
    await prospect.proposed(await prospect.submitted())
    keys = KeySource.of({"jwks": {"keys": [public(new_key())]}}, loopback=False)
    acts = {
        "register_client": registration(prospect.id, "production", "Early", keys),
        "add_signing_key": {"member": prospect.id, "jwk": public(new_key())},
    }
    for act, arguments in acts.items():
        with pytest.raises(Refused) as refused:
            await world.proposed(act, arguments)
        assert [(one.code, one.clause) for one in refused.value.reasons] == [("NOT_ADMITTED", "2.2.3")]


async def test_2_2_3_a_client_proposed_for_a_member_needs_one_when_it_is_approved(sqlite_world: World) -> None:
    prospect = await Prospect.named(sqlite_world, sqlite_world.alliance)
    await prospect.admitted()
    keys = KeySource.of({"jwks": {"keys": [public(new_key())]}}, loopback=False)
    client = await sqlite_world.by_two(
        prospect.alliance, "register_client", **registration(prospect.id, "production", "Now", keys)
    )
    assert client


async def test_2_2_3_management_admits_with_clearance_and_country(world: World) -> None:
    prospect = await Prospect.named(world, world.alliance)
    await prospect.reviewed()
    proposal = await prospect.proposed(await prospect.submitted(), clearance=2, country="SG")
    assert await admission(world.database, prospect.id) is None
    assert await prospect.approve(proposal) == prospect.id
    assert await admission(world.database, prospect.id) is not None
    [entry] = [
        one for one in await world.entries() if one.get("act") == "member_admitted" and one["member"] == prospect.id
    ]
    assert (entry["clearance"], entry["country"]) == (2, "SG")
    assert entry["actor"] == {"operator": "secretary", "approver": "director", "proposal": proposal}


@pytest.mark.parametrize(
    ("terms", "field"),
    [({"clearance": 0}, "clearance"), ({"clearance": 5}, "clearance"), ({"country": "CHN"}, "country")],
)
async def test_2_2_3_an_approval_states_a_clearance_and_a_country(
    sqlite_world: World, terms: dict[str, int], field: str
) -> None:
    prospect = await Prospect.named(sqlite_world, sqlite_world.alliance)
    await prospect.reviewed()
    report = await prospect.submitted()
    with pytest.raises(Invalid) as refused:
        await prospect.proposed(report, **terms)  # type: ignore[arg-type]
    assert refused.value.field == field


async def test_2_2_3_members_do_not_see_who_is_only_a_prospect(sqlite_world: World) -> None:
    prospect = await Prospect.named(sqlite_world, sqlite_world.alliance)
    sqlite_world.bank = await sqlite_world.company(sqlite_world.alliance)
    page = await Directory(sqlite_world.database).page(sqlite_world.alliance, sqlite_world.bank.id, after="", limit=100)
    assert prospect.id not in [one["id"] for one in page]
    assert prospect.id not in await sqlite_world.members.of_alliance(sqlite_world.alliance)
