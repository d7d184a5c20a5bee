"""Operators on the host: added, given codes, ended, each act an entry."""

from __future__ import annotations

import re

from tests.cli.conftest import Gateway

_CODE = re.compile(r"code ((?:[A-Z2-9]{4}-){7}[A-Z2-9]{4}), for one hour, at http://localhost:8700/console/enrol")


def test_an_operator_is_added_listed_and_ended(gateway: Gateway) -> None:
    gateway("init")
    alliance = gateway("admin", "alliance", "Test").stdout.strip()
    added = gateway("admin", "operator", alliance, "--name", "李雷", "--role", "officer")
    assert added.exit_code == 0, added.output
    operator, line = added.stdout.strip().splitlines()
    first = _CODE.fullmatch(line)
    again = _CODE.search(gateway("admin", "operator-code", operator).stdout)
    assert first is not None
    assert again is not None
    assert first[1] != again[1]
    assert gateway("admin", "operator-role", operator, "admin").exit_code == 0
    assert gateway("admin", "operators", alliance).stdout.strip() == f"{operator} admin active 李雷"
    assert gateway("admin", "disable-operator", operator).exit_code == 0
    assert gateway("admin", "operators", alliance).stdout.strip() == f"{operator} admin disabled 李雷"


def test_an_account_is_linked_where_a_provider_is_configured(gateway: Gateway) -> None:
    gateway("init")
    alliance = gateway("admin", "alliance", "Test").stdout.strip()
    operator = gateway("admin", "operator", alliance, "--name", "Ann", "--role", "admin").stdout.split()[0]
    refused = gateway("admin", "link-operator", operator, "ann")
    assert (refused.exit_code, "no_provider" in refused.stderr) == (1, True)
    provider = {
        "GATEWAY_OIDC_ISSUER": "https://company.example",
        "GATEWAY_OIDC_CLIENT_ID": "gateway",
        "GATEWAY_OIDC_ACR": "phr",
    }
    assert gateway("admin", "link-operator", operator, "ann", **provider).exit_code == 0


def test_a_role_that_there_is_not_is_refused(gateway: Gateway) -> None:
    gateway("init")
    alliance = gateway("admin", "alliance", "Test").stdout.strip()
    assert gateway("admin", "operator", alliance, "--name", "Ann", "--role", "root").exit_code == 2
