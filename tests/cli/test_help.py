from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from gateway.cli import app
from gateway.cli.admin import admin
from tests.cli.conftest import Gateway

_ADMIN = [str(command.name) for command in admin.registered_commands]


def test_help_lists_every_command(gateway: Gateway) -> None:
    answer = gateway("--help")
    assert answer.exit_code == 0
    for name in ("init", "migrate", "serve", "demo", "export", "verify", "message", "verify-message", "admin"):
        assert name in answer.output


def test_help_of_admin_lists_every_act(gateway: Gateway) -> None:
    answer = gateway("admin", "--help")
    assert answer.exit_code == 0
    assert {"alliance", "member", "client", "hold", "lift", "export-log", "end-agreement", "adopt", "logs"} <= set(
        _ADMIN
    )
    assert [name for name in _ADMIN if name not in answer.output] == []


@pytest.mark.parametrize("name", _ADMIN)
def test_every_act_explains_itself(gateway: Gateway, name: str) -> None:
    answer = gateway("admin", name, "--help")
    assert answer.exit_code == 0
    assert f"admin {name}" in answer.output
    described = next(command.callback for command in admin.registered_commands if command.name == name)
    assert described is not None
    assert str(described.__doc__).split(".")[0][:60] in answer.output


def _commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from _commands(f"{path} {name}", below)


def test_every_argument_and_option_says_what_it_is() -> None:
    given = [(path, one) for path, command in _commands("gateway", get_command(app)) for one in command.params]
    assert len(given) > 150
    assert [f"{path} {one.name}" for path, one in given if not one.help] == []


def test_an_act_without_its_arguments_is_a_usage_error(gateway: Gateway) -> None:
    assert gateway("admin", "alliance").exit_code == 2
