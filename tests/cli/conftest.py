from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.app import compose
from gateway.cli import app, host
from gateway.demo.admission import admit
from gateway.settings import Settings
from gateway.vault.providers import LocalKeyring
from tests.alliance import PASSPHRASE, settings_for
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
    for printer in (host.console, host.errors):
        monkeypatch.setattr(printer, "width", 200)  # they took their own when they were imported
    for name, value in environment_of(settings).items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, **environment: str) -> Result:
        return CliRunner().invoke(app, arguments, env=environment)

    return run


def admit_member(settings: Settings, member: str, code: str) -> None:
    """What the departments and management do, so that a company of this code is a member."""

    async def work() -> None:
        keyring = LocalKeyring.open(settings.keyring_path, PASSPHRASE)
        async with compose(settings, keyring, process="admission") as gateway:
            await admit(gateway, member, uscc=code)

    asyncio.run(work())


def permit_of(gateway: Gateway, log: str) -> str:
    """Two operators' permit to export a whole log."""
    proposal = gateway("admin", "export-log", log, SUDO_USER="alice").stdout.strip()
    approved = gateway("admin", "approve", proposal, SUDO_USER="bob")
    assert approved.exit_code == 0, approved.output
    return proposal
