"""`gateway admin` as two people use it: one proposes, the other approves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from stdnum.cn import uscc
from typer.testing import Result

from gateway.settings import Settings
from tests.alliance import new_key, public
from tests.cli.conftest import Gateway, admit_member


class Hosts:
    """The commands, by whoever runs them."""

    def __init__(self, gateway: Gateway, settings: Settings, folder: Path) -> None:
        self._gateway = gateway
        self._folder = folder
        gateway("init")
        self.alliance = self.said("alice", "alliance", "Test")
        body = "91310000MA1000001"
        code = body + uscc.calc_check_digit(body)
        self.member = self.said(
            "alice", "member", self.alliance, "--name", "Bank", "--uscc", code, "--industry", "bank"
        )
        admit_member(settings, self.member, code)

    def run(self, by: str, *arguments: str) -> Result:
        return self._gateway("admin", *arguments, SUDO_USER=by)

    def said(self, by: str, *arguments: str) -> str:
        answer = self.run(by, *arguments)
        assert answer.exit_code == 0, answer.output
        return answer.stdout.strip()

    def refused(self, by: str, code: str, *arguments: str) -> None:
        answer = self.run(by, *arguments)
        assert (answer.exit_code, answer.stderr.strip().splitlines()[0].split()[-1]) == (1, code), answer.output
        assert "Traceback" not in answer.output

    def file(self, document: Any) -> str:
        path = self._folder / f"{len(list(self._folder.iterdir()))}.json"
        path.write_text(json.dumps(document))
        return str(path)


@pytest.fixture
def hosts(gateway: Gateway, settings: Settings, tmp_path: Path) -> Hosts:
    (tmp_path / "files").mkdir()
    return Hosts(gateway, settings, tmp_path / "files")


def test_a_client_is_registered_by_two_operators_and_ended_by_one(hosts: Hosts) -> None:
    key = new_key()
    proposal = hosts.said("alice", "client", hosts.member, hosts.file(public(key)), "--name", "systems")
    shown = json.loads(hosts.said("bob", "pending", hosts.alliance))
    assert (shown["proposal"], shown["act"], shown["proposed_by"]) == (proposal, "register_client", "alice")
    assert shown["arguments"]["jwks"]["keys"][0]["kid"] == key.thumbprint()
    hosts.refused("alice", "OWN_PROPOSAL", "approve", proposal)
    assert "Another operator decides" in hosts.run("alice", "approve", proposal).stderr
    client = hosts.said("bob", "approve", proposal)
    assert client == shown["arguments"]["client"]
    hosts.refused("bob", "proposal_decided", "approve", proposal)
    assert hosts.said("bob", "pending", hosts.alliance) == ""
    more = hosts.said("bob", "client-key", client, hosts.file(public(new_key())))
    thumbprint = hosts.said("alice", "approve", more)
    hosts.said("carol", "retire-client-key", client, thumbprint)
    moved = hosts.said("bob", "client-keys", client, "--jwks-uri", "https://keys.example/bank")
    assert hosts.said("alice", "approve", moved) == ""
    hosts.said("carol", "revoke-client", client)
    hosts.refused("bob", "client_revoked", "client-key", client, hosts.file(public(new_key())))


def test_a_key_set_file_registers_all_its_keys(hosts: Hosts) -> None:
    keys = {"keys": [public(new_key()), public(new_key())]}
    hosts.said("alice", "client", hosts.member, hosts.file(keys), "--name", "systems")
    assert len(json.loads(hosts.said("bob", "pending", hosts.alliance))["arguments"]["jwks"]["keys"]) == 2


def test_a_signing_key_takes_two_operators(hosts: Hosts) -> None:
    key = new_key()
    proposal = hosts.said("alice", "signing-key", hosts.member, hosts.file(public(key)))
    hosts.refused("alice", "OWN_PROPOSAL", "approve", proposal)
    assert hosts.said("bob", "approve", proposal) == key.thumbprint()


def test_a_proposal_is_declined_by_another_and_withdrawn_by_its_proposer(hosts: Hosts) -> None:
    first, second = (
        hosts.said("alice", "client", hosts.member, hosts.file(public(new_key())), "--name", "systems")
        for _ in range(2)
    )
    hosts.refused("alice", "OWN_PROPOSAL", "decline", first)
    hosts.said("bob", "decline", first)
    hosts.refused("bob", "not_found", "withdraw", second)
    hosts.said("alice", "withdraw", second)
    for proposal in (first, second):
        hosts.refused("carol", "proposal_decided", "approve", proposal)


def test_what_cannot_be_done_is_not_proposed(hosts: Hosts) -> None:
    name = ("--name", "systems")
    hosts.refused("alice", "invalid_jwks", "client", hosts.member, *name)
    both = (hosts.file(public(new_key())), "--jwks-uri", "https://keys.example/")
    hosts.refused("alice", "invalid_jwks", "client", hosts.member, *both, *name)
    private = hosts.file(dict(new_key().as_dict(private=True)))
    hosts.refused("alice", "key_refused", "client", hosts.member, private, *name)
    hosts.refused("alice", "key_refused", "signing-key", hosts.member, private)
    hosts.refused("alice", "invalid_jwks_uri", "client", hosts.member, "--jwks-uri", "https://10.0.0.1/", *name)
    good = hosts.file(public(new_key()))
    hosts.refused("alice", "environment_differs", "client", hosts.member, good, *name, "--environment", "test")
    hosts.refused("alice", "not_found", "client", "f" * 32, good, *name)
    hosts.refused("alice", "not_found", "client-key", "f" * 32, good)
    hosts.refused("alice", "not_found", "approve", "f" * 32)
    hosts.refused("alice", "invalid_environment", "alliance", "Other", "--environment", "staging")
    assert hosts.said("bob", "pending", hosts.alliance) == ""


def test_an_export_takes_a_permit_and_says_so(hosts: Hosts, gateway: Gateway, tmp_path: Path) -> None:
    bundle = tmp_path / "files" / "log.zip"
    export = ("export", hosts.alliance, "--out", str(bundle))
    for permit in ((), ("--permit", "f" * 32)):
        answer = gateway(*export, *permit, SUDO_USER="carol")
        assert (answer.exit_code, "NO_EXPORT_PERMIT" in answer.stderr) == (1, True), answer.output
        assert "gateway admin export-log" in answer.stderr, "the remedy"
    proposal = hosts.said("alice", "export-log", hosts.alliance, "--last", "0")
    shown = json.loads(hosts.said("bob", "pending", hosts.alliance))
    assert (shown["proposal"], shown["act"]) == (proposal, "export_log")
    assert shown["arguments"] == {"log": hosts.alliance, "first": 0, "last": 0}
    hosts.refused("alice", "OWN_PROPOSAL", "approve", proposal)
    hosts.said("bob", "approve", proposal)
    other = gateway(*export, "--permit", proposal)
    assert (other.exit_code, "ANOTHER_EXPORT_PERMITTED" in other.stderr) == (1, True), other.output
    assert not bundle.exists()
    done = gateway(*export, "--last", "0", "--permit", proposal)
    assert (done.exit_code, "1 entries" in done.stdout, bundle.exists()) == (0, True, True), done.output


def test_a_members_log_and_its_readmission_take_two_operators(hosts: Hosts) -> None:
    proposal = hosts.said("alice", "export-log", hosts.member)
    assert len(hosts.said("bob", "approve", proposal)) == 36, "the permit's entry"
    hosts.said("alice", "suspend", hosts.member, "--case", "c-1")
    proposal = hosts.said("alice", "readmit", hosts.member, "--case", "c-1")
    hosts.refused("alice", "OWN_PROPOSAL", "approve", proposal)
    assert hosts.said("bob", "approve", proposal) == ""
    hosts.refused("alice", "suspension_over", "readmit", hosts.member, "--case", "c-1")
    hosts.refused("alice", "not_found", "export-log", "f" * 32)


def test_a_resource_server_is_named_by_two_operators(hosts: Hosts) -> None:
    key = hosts.file(public(new_key()))
    client = hosts.said("bob", "approve", hosts.said("alice", "client", hosts.member, key, "--name", "edge"))
    proposal = hosts.said("alice", "resource-server", client)
    hosts.refused("alice", "OWN_PROPOSAL", "approve", proposal)
    assert hosts.said("bob", "approve", proposal) == ""
    hosts.refused("alice", "already_exists", "resource-server", client)
    hosts.said("carol", "revoke-client", client)
    hosts.refused("alice", "client_revoked", "resource-server", client)


def test_a_key_of_the_gateway_is_rotated_by_two_and_a_compromised_one_ended_by_one(hosts: Hosts) -> None:
    proposal = hosts.said("alice", "rotate-key", "token")
    hosts.refused("alice", "OWN_PROPOSAL", "approve", proposal)
    new = hosts.said("carol", "rotate-key", "receipt", "--compromised")
    kid = hosts.said("bob", "approve", proposal)
    assert new != kid
    hosts.refused("alice", "rotation_under_way", "rotate-key", "token")
    elsewhere = hosts.said("alice", "alliance", "Another")
    hosts.refused("alice", "several_alliances", "rotate-key", "message")
    proposal = hosts.said("alice", "rotate-key", "message", "--alliance", elsewhere)
    assert json.loads(hosts.said("bob", "pending", elsewhere))["arguments"] == {"use": "message"}
    hosts.said("bob", "decline", proposal)


def test_the_key_that_finds_contacts_is_renewed_by_two(hosts: Hosts) -> None:
    proposal = hosts.said("alice", "renew-contact-key")
    hosts.refused("alice", "OWN_PROPOSAL", "approve", proposal)
    assert hosts.said("bob", "approve", proposal) == "2"


def test_an_agreement_or_a_hold_that_is_not_there_is_not_found(hosts: Hosts) -> None:
    hosts.refused("alice", "not_found", "end-agreement", "none", "--case", "c-1")
    hosts.refused("alice", "not_found", "lift", "none")
