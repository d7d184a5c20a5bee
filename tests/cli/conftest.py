from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app
from gateway.settings import Settings
from tests.alliance import settings_for
from tests.served import environment_of

Gateway = Callable[..., Result]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A folder with a passphrase and no data yet."""
    return settings_for(tmp_path)


@pytest.fixture
def gateway(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    """`gateway ARGUMENTS` in this process, on `settings`; keywords are more of its environment."""
    monkeypatch.setenv("COLUMNS", "200")
    for name, value in environment_of(settings).items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, **environment: str) -> Result:
        return CliRunner().invoke(app, arguments, env=environment)

    return run


def permit_of(gateway: Gateway, log: str) -> str:
    """Two operators' permit to export a whole log."""
    proposal = gateway("admin", "export-log", log, SUDO_USER="alice").stdout.strip()
    approved = gateway("admin", "approve", proposal, SUDO_USER="bob")
    assert approved.exit_code == 0, approved.output
    return proposal
