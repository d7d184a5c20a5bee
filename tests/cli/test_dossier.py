"""`gateway admin dossier` as the departments of an alliance use it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from stdnum.cn import uscc

from gateway.cli.dossier import dossier
from gateway.members.admission import Section
from gateway.settings import Settings
from tests.alliance import new_key, prepare, public
from tests.cli.conftest import Gateway

_BODY = "91310000MA1000001"
CODE = _BODY + uscc.calc_check_digit(_BODY)


class Departments:
    """The commands, by whoever runs them."""

    def __init__(self, gateway: Gateway, folder: Path) -> None:
        self._gateway = gateway
        self.folder = folder

    def said(self, by: str, *arguments: str) -> str:
        answer = self._gateway("admin", *arguments, SUDO_USER=by)
        assert answer.exit_code == 0, answer.output
        return answer.stdout.strip()

    def refused(self, by: str, code: str, *arguments: str) -> None:
        answer = self._gateway("admin", *arguments, SUDO_USER=by)
        assert answer.exit_code == 1, answer.output
        assert code in answer.stderr
        assert "Traceback" not in answer.output

    def file(self, name: str, content: str) -> str:
        path = self.folder / name
        path.write_text(content)
        return str(path)


@pytest.fixture
def departments(gateway: Gateway, settings: Settings, tmp_path: Path) -> Departments:
    asyncio.run(prepare(settings))
    return Departments(gateway, tmp_path)


def test_a_company_is_admitted_command_by_command(departments: Departments) -> None:
    said = departments.said
    alliance = said("ann", "alliance", "Test")
    member = said("ann", "member", alliance, "--name", "Bank", "--uscc", CODE, "--industry", "bank")
    scan = departments.file("scan.pdf", "a scan")
    key = departments.file("key.json", json.dumps(public(new_key())))
    departments.refused("ann", "NOT_ADMITTED", "client", member, key, "--name", "systems")
    licence = said("mia", "dossier", "add", member, "business_licence", scan, "--number", CODE)
    for kind in ("operating_state", "credit_record"):
        departments.refused("mia", "valid_to_missing", "dossier", "add", member, kind, scan, "--number", "1")
        said("mia", "dossier", "add", member, kind, scan, "--number", "1", "--valid-to", "2099-12-31")
    shown = json.loads(said("leo", "dossier", "show", member))
    assert [one["kind"] for one in shown["current"]] == ["business_licence", "operating_state", "credit_record"]
    out = departments.folder / "opened.pdf"
    said("leo", "dossier", "open", licence, "--out", str(out))
    assert out.read_text() == "a scan"
    looked_at = ("--dossier", shown["dossier"], "--passed", "--reasons", "In order.")
    departments.refused(
        "mia", "one_person_one_department", "dossier", "legal-review", member, *looked_at, "--no-litigation"
    )
    legal = said("leo", "dossier", "legal-review", member, *looked_at, "--no-litigation")
    assert said("liz", "dossier", "review-reasons", legal) == "In order."
    score = ("--profitability", "60", "--solvency", "70")
    departments.refused(
        "fay", "next_review_malformed", "dossier", "finance-review", member, *looked_at, *score,
        "--next-review", "2099-01-01",
    )  # fmt: skip
    said("fay", "dossier", "finance-review", member, *looked_at, *score, "--next-review", _soon())
    sections = departments.file("report.json", json.dumps({section.value: "Text." for section in Section}))
    report, sha256 = said("ben", "dossier", "report", member, sections).split()
    assert json.loads(said("max", "dossier", "read", report))["sections"]["risks"] == "Text."
    departments.refused("ben", "report_incomplete", "dossier", "submit", report)
    for person, department in (("mia", "market"), ("leo", "legal"), ("fay", "finance"), ("ben", "business")):
        said(person, "dossier", "sign", report, department, "--sha256", sha256)
    said("ben", "dossier", "submit", report)
    proposal = said("ben", "dossier", "admit", report, "--clearance", "3", "--country", "CN")
    departments.refused("leo", "TOOK_PART", "approve", proposal)
    assert said("max", "approve", proposal) == member
    assert said("ann", "client", member, key, "--name", "systems")
    assert said("ann", "dossier", "tasks", alliance) == ""
    departments.refused("ann", "not_found", "dossier", "tasks", "nobody")
    renewed = said("mia", "dossier", "add", member, "credit_record", scan, "--number", "2", "--valid-to", _soon())
    assert [one["id"] for one in json.loads(said("leo", "dossier", "show", member))["waiting"]] == [renewed]
    assert said("leo", "approve", said("mia", "dossier", "renew", renewed)) == renewed


@pytest.mark.parametrize("name", [str(command.name) for command in dossier.registered_commands])
def test_every_command_of_the_dossier_explains_itself(gateway: Gateway, name: str) -> None:
    answer = gateway("admin", "dossier", name, "--help")
    assert answer.exit_code == 0
    described = next(command.callback for command in dossier.registered_commands if command.name == name)
    assert described is not None
    assert str(described.__doc__).split(".")[0][:60] in answer.output


def _soon() -> str:
    """A day in two months."""
    return (datetime.now(UTC) + timedelta(days=60)).strftime("%Y-%m-%d")
