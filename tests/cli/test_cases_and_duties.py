"""What the secretariat types, from a report to a decision."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.settings import Settings
from tests.cli.conftest import Gateway
from tests.cli.test_proposals import Hosts


@pytest.fixture
def hosts(gateway: Gateway, settings: Settings, tmp_path: Path) -> Hosts:
    """An alliance with one member."""
    (tmp_path / "files").mkdir()
    return Hosts(gateway, settings, tmp_path / "files")


def test_an_investigation_is_opened_by_one_decided_by_two_and_counted(hosts: Hosts, tmp_path: Path) -> None:
    proof = tmp_path / "invoice.txt"
    proof.write_text("an invoice that nobody sent")
    case = hosts.said(
        "alice", "case", "investigate", hosts.member, "--claim", "False invoices.", "--evidence", str(proof)
    )
    shown = json.loads(hosts.said("alice", "case", "show", case))
    assert (shown["state"], shown["evidence"][0]["name"]) == ("investigating", "invoice.txt")
    assert json.loads(hosts.said("alice", "case", "list", hosts.alliance))["id"] == case
    hosts.refused("alice", "takes_two", "case", "confirm", case, "--why", "Seen.")
    proposal = hosts.said("alice", "case", "decide", case, "confirm", "--resolution", "r-1", "--why", "As was voted.")
    hosts.refused("alice", "OWN_PROPOSAL", "approve", proposal)
    hosts.said("bob", "approve", proposal)
    assert hosts.said("bob", "case", "count", hosts.member, "--since", "2020-01-01") == "1"


def test_a_time_boxed_hold_is_placed_and_extended(hosts: Hosts) -> None:
    memo = ("hold", hosts.alliance, "memo", "m-1", "--case", "c-1", "--owner", hosts.member)
    hosts.refused("alice", "until_not_later", *memo, "--until", "2020-01-01")
    hold = hosts.said("alice", *memo, "--until", "2090-01-01")
    proposal = hosts.said("alice", "extend", hold, "--until", "2091-01-01T00:00:00Z", "--resolution", "r-2")
    hosts.said("bob", "approve", proposal)
    hosts.refused("alice", "hold_without_case", "hold", hosts.alliance, "memo", "m-2", "--case", "")


def test_duties_are_run_and_shown(hosts: Hosts, gateway: Gateway, tmp_path: Path) -> None:
    ran = gateway("duties", "run")
    assert (ran.exit_code, "0 breach candidates" in ran.output) == (0, True), ran.output
    assert "not_found" in gateway("duties", "show", "nobody").output
    shown = gateway("duties", "show", hosts.member)
    assert (shown.exit_code, "due_at" in shown.output) == (0, True), shown.output
    calendar = tmp_path / "duties.ics"
    assert gateway("duties", "show", hosts.member, "--ics", str(calendar)).exit_code == 0
    assert calendar.read_bytes().startswith(b"BEGIN:VCALENDAR")


def test_a_folder_that_is_no_case_is_told_apart(gateway: Gateway, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert gateway("verify-case", str(empty), "--vkey", "k").exit_code == 2
    (empty / "manifest.json").write_text("{}")
    assert gateway("verify-case", str(empty), "--vkey", "k").exit_code == 1


def test_referrals_are_run_and_listed(hosts: Hosts, gateway: Gateway) -> None:
    ran = gateway("referrals", "run")
    assert (ran.exit_code, "0 registered, 0 matched" in ran.output) == (0, True), ran.output
    shown = gateway("referrals", "list", hosts.member)
    assert (shown.exit_code, "due_at" in shown.output) == (0, True), shown.output
