"""`gateway explain` says of a permit, a refusal and a stranger's request who asked, why, and what would change it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gateway.agreements import HoldSubject
from gateway.ledger.merkle import leaf_hash
from gateway.ledger.stored import entries, state
from gateway.settings import Settings
from tests.access.world import PLACES, Deal, MovableClock, Shared, records
from tests.alliance import MARKET_SCHEMA, Alliance, founded
from tests.cli.conftest import Gateway, permit_of
from tests.policy.conftest import POLICIES


async def _accesses(alliance: Alliance, log: str) -> list[str]:
    database = alliance.gateway.database
    rows = await entries(database, log, 0, (await state(database, log)).size)
    return [f"{log}:{row['idx']}" for row in rows if json.loads(bytes(row["body"]))["kind"] == "access"]


async def _history(folder: Path) -> dict[str, str]:
    """A permit, a refusal of two reasons, and a stranger's request; each entry's name."""
    async with founded(folder) as alliance:
        bank, hotel, stranger = (alliance.members[name] for name in ("bank", "hotel", "stranger"))
        dataset = await bank.declare(MARKET_SCHEMA)
        await bank.upload(dataset, PLACES)
        deal = Deal(await bank.agree(hotel, dataset, ["code"]), dataset)
        token = await hotel.token(hotel.under(deal.agreement, deal.dataset))
        assert (await hotel.get(deal.path, token)).status_code == 200
        await alliance.gateway.holds.place(alliance.id, HoldSubject.DATASET, dataset, case="case-7", operator="test")
        assert (await hotel.get(deal.path, token)).status_code == 423
        refused = await stranger.get(deal.path, await stranger.token(), purpose="market_analysis")
        assert refused.status_code == 404
        permit, denied = await _accesses(alliance, bank.id)
        return {"permit": permit, "deny": denied, "strangers": json.dumps(await _accesses(alliance, alliance.id))}


@pytest.fixture
def history(tmp_path: Path, settings: object) -> dict[str, str]:
    return asyncio.run(_history(tmp_path))


def _told(gateway: Gateway, name: str) -> Any:
    said = gateway("explain", name, "--json")
    assert said.exit_code == 0, said.output
    return json.loads(said.stdout)


def test_an_access_is_explained_on_one_screen(gateway: Gateway, history: dict[str, str], tmp_path: Path) -> None:
    permit = _told(gateway, history["permit"])
    assert (permit["replayed"], permit["agrees"]) == ("permit", True)
    assert permit["ends_at"] > permit["entry"]["judged_at"]
    assert permit["ends_by"]
    ending = {change["code"]: change["fact"] for change in permit["changes"]}
    assert ending["MEMBER_SUSPENDED"] in {"subject.member_state", "resource.owner_state"}
    assert ending["AGREEMENT_NOT_IN_FORCE"].startswith(("agreement.", "subject.", "context."))

    refusal = _told(gateway, history["deny"])
    assert (refusal["replayed"], refusal["agrees"]) == ("deny", True)
    [reason] = refusal["reasons"]
    assert (reason["code"], reason["clause"]) == ("DISPUTED_ITEM", "7.2.3")
    assert reason["title"].keys() == {"zh-CN", "en"}
    assert reason["rule"]
    assert (permit["by_consent"], refusal["by_consent"]) == (False, False)
    [change] = refusal["changes"]
    assert change["code"] == "DISPUTED_ITEM"
    assert change["fact"].startswith("holds")

    picture = tmp_path / "explained.svg"
    screen = gateway("explain", history["deny"], "--picture", str(picture))
    assert screen.exit_code == 0, screen.output
    for word in ("deny", "DISPUTED_ITEM", "7.2.3", "case-7", "as then"):
        assert word in screen.output, word
    assert picture.read_text().startswith("<svg")

    assert _told(gateway, refusal["entry"]["event_id"])["index"] == refusal["index"]
    for name in json.loads(history["strangers"]):
        stranger = _told(gateway, name)
        assert (stranger["case"], stranger["agrees"], stranger["changes"]) == (None, None, [])

    looked = gateway("explain", f"{permit['log']}:{10**6}")
    assert (looked.exit_code, "not_found" in looked.output) == (1, True)


async def _overdrawn(folder: Path) -> str:
    """The refusal of one read more than was agreed, and of one record more; its name."""
    async with founded(folder) as alliance:
        bank, hotel = alliance.members["bank"], alliance.members["hotel"]
        dataset = await bank.declare(MARKET_SCHEMA)
        await bank.upload(dataset, PLACES)
        often, much = {"reads": 1, "per_seconds": 3600}, {"volume": {"records": 3, "per_seconds": 86_400}}
        deal = Deal(await bank.agree(hotel, dataset, ["code"], frequency=often, term=much), dataset)
        token = await hotel.token(hotel.under(deal.agreement, deal.dataset))
        assert [(await hotel.get(deal.path, token)).status_code for _ in range(2)] == [200, 403]
        return (await _accesses(alliance, bank.id))[-1]


def test_a_refusal_by_the_ledgers_counts_is_met_by_the_next_window(
    gateway: Gateway, settings: object, tmp_path: Path
) -> None:
    refused = asyncio.run(_overdrawn(tmp_path))
    told = _told(gateway, refused)
    judged_at = told["entry"]["judged_at"]
    window = {"FREQUENCY_EXCEEDED": 3600, "VOLUME_EXCEEDED": 86_400}
    assert told["changes"] == [
        {"code": code, "fact": "context.now", "was": judged_at, "would_be": judged_at - judged_at % length + length}
        for code, length in window.items()
    ]
    assert all(reason["rule"] for reason in told["reasons"])
    assert (told["ends_at"], told["agrees"]) == (told["changes"][0]["would_be"], True)
    screen = gateway("explain", refused).output
    assert "as then; the ledger had counted too much, and refused" in screen
    assert "alone would end it" not in screen


async def _of_a_person(folder: Path) -> str:
    """A permit that opens the record of somebody who consents; its name."""
    clock = MovableClock()
    async with founded(folder, clock) as alliance:
        shared = Shared(alliance, clock)
        deal = await shared.personal([1])
        await shared.bank.consent(deal.dataset, shared.hotel, "C00001")
        token = await shared.referral_token(deal)
        assert len(records(await shared.hotel.get(deal.path, token, purpose="customer_referral"))) == 1
        return (await _accesses(alliance, shared.bank.id))[-1]


def test_a_permit_for_persons_holds_of_each_no_longer_than_the_consent(
    gateway: Gateway, settings: object, tmp_path: Path
) -> None:
    permit = asyncio.run(_of_a_person(tmp_path))
    assert "; of each person no longer than the consent" in gateway("explain", permit).output
    assert _told(gateway, permit)["by_consent"] is True


def test_other_rules_say_what_they_would_have_decided(
    gateway: Gateway, history: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = tmp_path / "stricter"
    shutil.copytree(POLICIES, rules)
    rule = rules / "gateway" / "access" / "confidentiality.rego"
    without_a_person = 'requirement.NOT_NEED_TO_KNOW.met if subject.person == "none"\n'
    assert without_a_person in rule.read_text()
    rule.write_text(rule.read_text().replace(without_a_person, ""))
    monkeypatch.setenv("GATEWAY_POLICIES_DIR", str(rules))
    permit = _told(gateway, history["permit"])
    assert (permit["replayed"], permit["agrees"], permit["changes"]) == ("", None, [])
    assert (permit["otherwise"], permit["otherwise_reasons"]) == ("deny", ["NOT_NEED_TO_KNOW"])
    assert "NOT_NEED_TO_KNOW" in gateway("explain", history["permit"]).output


@pytest.mark.parametrize(
    "done",
    [
        "DELETE FROM decided_case",
        """UPDATE decided_case SET document = CAST(replace(document, 'market', 'other') AS BLOB)""",
    ],
)
def test_facts_that_nobody_judged_are_not_explained(
    gateway: Gateway, history: dict[str, str], settings: Settings, done: str
) -> None:
    """By whoever can write to the database: the entry names the case by its hash."""
    with contextlib.closing(sqlite3.connect(settings.sqlite_path)) as database, database:
        assert database.execute(done).rowcount > 0
    told = gateway("explain", history["deny"], "--json")
    assert (told.exit_code, "case_not_kept" in told.output) == (1, True), told.output


@pytest.mark.parametrize(
    ("done", "code"),
    [
        ("UPDATE leaf SET body = CAST(replace(body, 'DISPUTED_ITEM', 'DISPUTED_ITEN') AS BLOB)", "entry_altered"),
        ("UPDATE leaf SET body = CAST('no JSON' AS BLOB)", "entry_altered"),
        ("UPDATE leaf SET body = CAST('no JSON' AS BLOB), hash = leaf_hash('no JSON')", "ledger_rolled_back"),
        ("UPDATE leaf SET event_id = reversed(event_id) WHERE event_id IN (:denied, :permit)", "entry_altered"),
    ],
)
def test_an_entry_that_nobody_signed_is_not_explained(
    gateway: Gateway, history: dict[str, str], settings: Settings, done: str, code: str
) -> None:
    """By whoever can write to the database, the hashes and names beside the bodies included."""
    permit, denied = (_told(gateway, history[name])["entry"]["event_id"] for name in ("permit", "deny"))
    with contextlib.closing(sqlite3.connect(settings.sqlite_path)) as database, database:
        database.create_function("leaf_hash", 1, lambda body: leaf_hash(body.encode()))
        database.create_function("reversed", 1, lambda name: name[::-1])
        assert database.execute(done, {"permit": permit, "denied": denied}).rowcount > 0
        asked = denied[::-1] if ":denied" in done else denied
    told = gateway("explain", asked, "--json")
    assert (told.exit_code, code in told.output) == (1, True), told.output


def test_who_looked_is_on_record_in_the_same_log(gateway: Gateway, history: dict[str, str], tmp_path: Path) -> None:
    log = _told(gateway, history["deny"])["log"]
    exported = tmp_path / "log.zip"
    assert gateway("export", log, "--out", str(exported), "--permit", permit_of(gateway, log)).exit_code == 0
    assert b'"act":"entry_explained"' in exported.read_bytes()
