"""A gateway with its console on a loopback port, and people who open it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from gateway.app import Gateway
from gateway.clock import system_clock
from gateway.identity.operators.roles import Role
from gateway.ledger.stored import entries, state
from gateway.web import web
from tests.alliance import composed, settings_for
from tests.listening import listening
from tests.services import free_port
from tests.services.chromium import Person


@dataclass(slots=True)
class MovingClock:
    """The machine's clock, put ahead by `ahead_ms`."""

    ahead_ms: int = 0

    def __call__(self) -> int:
        return system_clock() + self.ahead_ms


@dataclass(slots=True)
class Console:
    """A running console. `alliance` is where operators are added."""

    gateway: Gateway
    clock: MovingClock
    origin: str
    alliance: str = ""
    operators: dict[str, str] = field(default_factory=dict)

    async def add(self, name: str, role: Role = Role.ADMIN, alliance: str = "") -> str:
        """A new operator's one-time code."""
        operator, code = await self.gateway.operators.enrol(alliance or self.alliance, name=name, role=role, by="host")
        self.operators[name] = operator
        return code

    async def log(self, alliance: str = "") -> list[dict[str, Any]]:
        """The entries of the operator's log, oldest first."""
        log = alliance or self.alliance
        rows = await entries(self.gateway.database, log, 0, (await state(self.gateway.database, log)).size)
        return [json.loads(bytes(row["body"])) for row in rows]

    async def acts(self) -> list[str]:
        """The acts of the log that are about operators and proposals."""
        acts = [entry.get("act", "") for entry in await self.log()]
        return [act for act in acts if act.startswith(("operator_", "proposal_"))]

    async def reasons(self) -> list[str]:
        """The codes of refused attempts in the log."""
        return [reason["code"] for entry in await self.log() for reason in entry.get("reasons", [])]

    async def enrol(self, person: Person, code: str, label: str = "laptop") -> None:
        """Enrol a passkey with a code."""
        page = person.page
        await page.goto(f"{self.origin}/console/enrol")
        await page.fill("#code", code)
        await page.fill("#label", label)
        await page.click("form[action='/console/enrol'] button")

    async def sign_in(self, person: Person) -> None:
        """Sign in with the passkey and wait for the first page."""
        await person.page.goto(f"{self.origin}/console/sign-in")
        await person.page.click("form[action='/console/sign-in'] button")
        await person.page.wait_for_url(f"{self.origin}/console")

    async def newcomer(self, person: Person, name: str, role: Role = Role.ADMIN) -> None:
        """Add an operator, enrol and sign in."""
        await self.enrol(person, await self.add(name, role))
        await person.page.wait_for_selector(".done")
        await self.sign_in(person)


@asynccontextmanager
async def quiet_console(folder: Path, **over: Any) -> AsyncIterator[tuple[Console, FastAPI]]:
    """A gateway with one alliance and its application, on no port."""
    settings, clock = settings_for(folder, **over), MovingClock()
    async with composed(settings, clock) as gateway:
        made = Console(gateway, clock, f"http://localhost:{settings.port}")
        made.alliance = await gateway.members.create_alliance("Test alliance", operator="host")
        yield made, web(gateway)


@asynccontextmanager
async def console(folder: Path, **over: Any) -> AsyncIterator[Console]:
    """A gateway with one alliance, served on a loopback port."""
    settings, clock = settings_for(folder, **{"port": free_port(), **over}), MovingClock()
    async with composed(settings, clock) as gateway, listening(web(gateway), settings.port):
        made = Console(gateway, clock, f"http://localhost:{settings.port}")
        made.alliance = await gateway.members.create_alliance("Test alliance", operator="host")
        yield made
