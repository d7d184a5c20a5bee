"""Partners are screened: their documents, their legality, their finances."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.demo.admission import day, papers
from gateway.errors import Conflicting, Invalid
from gateway.ledger.stored import entries, state
from gateway.members import UsccInvalid
from gateway.members.admission import DocumentKind, NewDocument, TaskKind
from gateway.members.members import admission
from tests.agreements.world import START_S, World
from tests.alliance import MARKET_SCHEMA, Alliance, founded
from tests.members.prospects import Prospect, sqlite_world, world

__all__ = ["sqlite_world", "world"]

NOON_MS = int(datetime(2026, 3, 10, 4, tzinfo=UTC).timestamp()) * 1000
"""Noon in Shanghai."""
HOUR_MS = 3_600_000


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_ms = NOON_MS

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
async def alliance(tmp_path: Path) -> AsyncIterator[Alliance]:
    async with founded(tmp_path, Hand()) as found:
        yield found


async def test_2_1_1_a_uscc_with_a_wrong_check_digit_is_refused(sqlite_world: World) -> None:
    prospect = await Prospect.named(sqlite_world, sqlite_world.alliance)
    wrong = prospect.uscc[:-1] + ("0" if prospect.uscc[-1] != "0" else "1")
    with pytest.raises(UsccInvalid, match="check digit"):
        await sqlite_world.members.create_member(
            sqlite_world.alliance, name="B", uscc=wrong, industry="bank", operator="secretary"
        )
    licence = NewDocument(kind=DocumentKind.BUSINESS_LICENCE, number=wrong, valid_to=None, content=b"x")
    with pytest.raises(UsccInvalid, match="check digit"):
        await prospect.file(licence)
    assert (await prospect.admissions.dossier.current(prospect.id))[0] == []


async def test_2_1_1_a_certificate_expiring_tonight_blocks_tomorrows_token(alliance: Alliance) -> None:
    clock, bank = alliance.gateway.clock, alliance.members["bank"]
    assert isinstance(clock, Hand)
    prospect = _of(alliance, bank.id, 0)
    live = await bank.token()
    await prospect.renewed(prospect.certificate(0))
    assert (await bank.get("/v1/datasets", live)).status_code == 401
    assert (await bank.ask_token()).status_code == 200
    clock.now_ms = NOON_MS + 12 * HOUR_MS - 1000  # 23:59:59 in Shanghai
    last = await bank.ask_token()
    assert last.status_code == 200
    assert last.json()["expires_in"] == 1
    clock.now_ms += 1000
    refused = await bank.ask_token({"type": "alliance_member", "actions": ["upload", "draft", "sign"]})
    assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")
    database, log = alliance.gateway.database, alliance.id
    *_, last_entry = await entries(database, log, 0, (await state(database, log)).size)
    assert json.loads(last_entry["body"])["code"] == "QUALIFICATION_EXPIRED"
    withdrawing = await bank.ask_token({"type": "alliance_member", "actions": ["withdraw", "upload"]})
    assert withdrawing.json()["authorization_details"] == [{"type": "alliance_member", "actions": ["withdraw"]}]


async def test_2_1_1_an_expired_document_counts_for_the_configured_grace_and_no_longer(tmp_path: Path) -> None:
    async with founded(tmp_path, Hand(), qualification_grace_days=2) as alliance:
        clock, bank = alliance.gateway.clock, alliance.members["bank"]
        assert isinstance(clock, Hand)
        prospect = _of(alliance, bank.id, 0)
        await prospect.renewed(prospect.certificate(0))
        clock.now_ms = NOON_MS + 60 * HOUR_MS - 1000  # 23:59:59 in Shanghai, two days after the last one
        assert (await bank.ask_token()).json()["expires_in"] == 1
        clock.now_ms += 1000
        refused = await bank.ask_token({"type": "alliance_member", "actions": ["upload"]})
        assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")


async def test_2_1_1_an_expired_owners_data_is_refused_from_the_same_second_on(alliance: Alliance) -> None:
    clock, bank, hotel = alliance.gateway.clock, alliance.members["bank"], alliance.members["hotel"]
    assert isinstance(clock, Hand)
    dataset = await bank.declare(MARKET_SCHEMA)
    await bank.upload(dataset, [{"code": "PEK", "city": "Beijing", "price": 3, "margin": 1}])
    agreement = await bank.agree(hotel, dataset, ["code"])
    path = f"/v1/agreements/{agreement}/datasets/{dataset}/records"
    prospect = _of(alliance, bank.id, 0)
    await prospect.renewed(prospect.certificate(0))
    clock.now_ms = NOON_MS + 12 * HOUR_MS - 1000
    token = await hotel.token(hotel.under(agreement, dataset))
    assert (await hotel.get(path, token, purpose="market_analysis")).status_code == 200
    clock.now_ms += 1000
    refused = await hotel.get(path, token, purpose="market_analysis")
    assert (refused.status_code, refused.json()["code"]) == (403, "QUALIFICATION_EXPIRED")


async def test_2_1_1_a_document_ends_in_its_own_time_zone(world: World) -> None:
    prospect = await Prospect.named(world, world.alliance)
    await prospect.file(prospect.certificate(0), prospect.certificate(0, time_zone="America/Los_Angeles", number="C-2"))
    china, california = sorted(one.valid_until for one in (await prospect.admissions.dossier.current(prospect.id))[0])
    assert china == (START_S + 16 * 3600) * 1000
    assert california - china == 16 * HOUR_MS


async def test_2_1_1_two_people_reopen_an_expired_member_by_a_renewed_document(world: World) -> None:
    prospect = await Prospect.named(world, world.alliance)
    await prospect.admitted(days=1)
    world.clock.forward(2 * 86_400)
    found = await admission(world.database, prospect.id)
    assert found is not None
    assert found.stopped(world.clock.now_s) == "QUALIFICATION_EXPIRED"
    until = day(world.clock(), 400)
    for kind in (DocumentKind.OPERATING_STATE, DocumentKind.CREDIT_RECORD):
        await prospect.renewed(NewDocument(kind=kind, number="2", valid_to=until, content=b"renewed"))
    found = await admission(world.database, prospect.id)
    assert found is not None
    assert found.stopped(world.clock.now_s) == ""
    [*_, last] = [one for one in await world.entries() if one.get("act") == "document_renewed"]
    assert (last["member"], last["actor"]["approver"]) == (prospect.id, "legal")
    assert last["qualified_until"] == found.qualified_until * 1000


@pytest.mark.parametrize(
    ("over", "code"),
    [
        ({"valid_to": "2026-02-29"}, "date_malformed"),
        ({"valid_to": "20270101"}, "date_malformed"),
        ({"valid_to": None}, "valid_to_missing"),
        ({"valid_to": "2025-12-30"}, "document_expired"),
        ({"time_zone": "Asia/Nowhere"}, "time_zone_unknown"),
        ({"time_zone": "../etc/passwd"}, "time_zone_unknown"),
        ({"number": " "}, "number_malformed"),
        ({"content": b""}, "document_empty"),
        ({"kind": DocumentKind.ORGANISATION_CODE}, "organisation_code_of_another"),
    ],
)
async def test_2_1_1_a_document_that_breaks_a_rule_is_refused_by_name(
    sqlite_world: World, over: dict[str, str], code: str
) -> None:
    prospect = await Prospect.named(sqlite_world, sqlite_world.alliance)
    with pytest.raises(Invalid) as refused:
        await prospect.file(prospect.certificate(30, **over))  # type: ignore[arg-type]
    assert refused.value.code == code


async def test_2_1_1_the_last_day_of_the_calendar_is_no_end(sqlite_world: World) -> None:
    """Registers write 9999-12-31 for a licence without one (长期)."""
    prospect = await Prospect.named(sqlite_world, sqlite_world.alliance)
    kind, number = DocumentKind.BUSINESS_LICENCE, prospect.uscc
    ends = []
    for valid_to in ("9999-12-31", None):
        await prospect.file(NewDocument(kind=kind, number=number, valid_to=valid_to, content=b"x"))
        [licence], _ = await sqlite_world.admissions.dossier.current(prospect.id)
        ends.append(licence.valid_until)
    assert ends[0] == ends[1]


@pytest.mark.parametrize("lacking", [DocumentKind.BUSINESS_LICENCE, DocumentKind.CREDIT_RECORD])
async def test_2_1_1_a_dossier_that_lacks_a_document_is_not_reviewed(
    sqlite_world: World, lacking: DocumentKind
) -> None:
    prospect = await Prospect.named(sqlite_world, sqlite_world.alliance)
    shown = papers(prospect.uscc, sqlite_world.clock(), days=30)
    await prospect.file(*(one for one in shown if one.kind is not lacking))
    for review in (prospect.legal, prospect.finance):
        with pytest.raises(Conflicting, match="document_missing") as refused:
            await review()
        assert refused.value.field == lacking


async def test_2_1_1_a_licence_of_another_company_is_refused(sqlite_world: World) -> None:
    prospect = await Prospect.named(sqlite_world, sqlite_world.alliance)
    other = (await Prospect.named(sqlite_world, sqlite_world.other_alliance, 901)).uscc
    with pytest.raises(Invalid, match="licence_of_another"):
        await prospect.file(NewDocument(kind=DocumentKind.BUSINESS_LICENCE, number=other, valid_to=None, content=b"x"))


async def test_2_1_1_legacy_papers_are_taken_and_end_nothing(sqlite_world: World) -> None:
    prospect = await Prospect.named(sqlite_world, sqlite_world.alliance)
    code = prospect.uscc[8:17]
    legacy = (
        NewDocument(kind=DocumentKind.ORGANISATION_CODE, number=f"{code[:8]}-{code[8]}", valid_to=None, content=b"o"),
        NewDocument(
            kind=DocumentKind.TAX_REGISTRATION, number="T", valid_to=day(sqlite_world.clock(), 1), content=b"t"
        ),
    )
    await prospect.file(*legacy)
    await prospect.admitted()
    sqlite_world.clock.forward(3 * 86_400)
    found = await admission(sqlite_world.database, prospect.id)
    assert found is not None
    assert found.stopped(sqlite_world.clock.now_s) == ""


async def test_2_1_1_a_file_is_sealed_and_opened_on_the_record_alone(world: World) -> None:
    prospect = await Prospect.named(world, world.alliance)
    content = b"the licence as it was scanned"
    licence = NewDocument(kind=DocumentKind.BUSINESS_LICENCE, number=prospect.uscc, valid_to=None, content=content)
    [filed] = await prospect.file(licence)
    assert await prospect.admissions.dossier.open(filed, operator="legal") == content
    [entry] = [one for one in await world.entries() if one.get("act") == "paper_opened"]
    assert (entry["paper"], entry["actor"]) == (filed, {"operator": "legal"})


async def test_2_1_2_who_uploaded_cannot_review(world: World) -> None:
    prospect = await Prospect.named(world, world.alliance)
    await prospect.file(by="ann")
    for review in (prospect.legal, prospect.finance):
        with pytest.raises(Conflicting, match="one_person_one_department"):
            await review(by="ann")
    await prospect.legal(by="ben")


async def test_2_1_2_who_uploaded_cannot_approve(sqlite_world: World) -> None:
    prospect = await Prospect.named(sqlite_world, sqlite_world.alliance)
    await prospect.reviewed()
    proposal = await prospect.proposed(await prospect.submitted())
    for person in ("market", "legal", "finance", "business"):
        with pytest.raises(Exception, match="TOOK_PART"):
            await prospect.approve(proposal, by=person)
    assert await admission(sqlite_world.database, prospect.id) is None


async def test_2_1_2_a_company_that_legal_did_not_pass_stays_a_prospect(sqlite_world: World) -> None:
    prospect = await Prospect.named(sqlite_world, sqlite_world.alliance)
    await prospect.file()
    await prospect.finance()
    with pytest.raises(Conflicting, match="legal review is missing"):
        await prospect.written()
    await prospect.legal(passed=False)
    with pytest.raises(Conflicting, match="legal review was not passed"):
        await prospect.written()
    with pytest.raises(Conflicting, match="review_stands"):
        await prospect.legal(by="other counsel")


async def test_2_1_3_an_overdue_finance_review_raises_a_task(world: World) -> None:
    prospect = await Prospect.named(world, world.alliance)
    await prospect.admitted()
    assert await prospect.admissions.tasks.of(world.alliance) == []
    world.clock.forward(190 * 86_400)
    tasks = [one for one in await prospect.admissions.tasks.of(world.alliance) if one.member == prospect.id]
    assert [one.kind for one in tasks] == [TaskKind.FINANCE_REVIEW]
    assert await prospect.admissions.tasks.of(world.other_alliance) != tasks
    await prospect.finance()
    assert [one for one in await prospect.admissions.tasks.of(world.alliance) if one.member == prospect.id] == []


@pytest.mark.parametrize(
    ("scores", "field"),
    [
        ({"profitability": 101}, "profitability"),
        ({"solvency": -1}, "solvency"),
        ({"next_review": "2025-01-01"}, "next_review"),
        ({"next_review": "2028-01-01"}, "next_review"),
    ],
)
async def test_2_1_3_a_score_sheet_has_both_figures_and_the_day_of_the_next_review(
    sqlite_world: World, scores: dict[str, int | str], field: str
) -> None:
    prospect = await Prospect.named(sqlite_world, sqlite_world.alliance)
    await prospect.file()
    with pytest.raises(Invalid) as refused:
        await prospect.finance(**scores)  # type: ignore[arg-type]
    assert refused.value.field == field


def _of(alliance: Alliance, member: str, number: int) -> Prospect:
    gateway = alliance.gateway
    return Prospect(gateway.members, gateway.admissions, gateway.approvals, gateway.clock, alliance.id, number, member)
