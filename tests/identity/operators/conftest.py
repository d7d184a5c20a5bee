from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from gateway.database import Database
from gateway.identity import SecurityLog
from gateway.identity.operators.directory import OperatorDirectory
from gateway.identity.operators.operators import Operators
from gateway.identity.operators.roles import Role
from gateway.identity.operators.sessions import Sessions
from tests.agreements.world import World
from tests.identity.operators.authenticator import Authenticator

ORIGIN = "https://gateway.example"


@dataclass(slots=True)
class Staff:
    """Operators over one database, and the small alliance that they work for."""

    world: World
    operators: Operators

    async def signed_in(self, name: str, role: Role = Role.ADMIN) -> tuple[str, str, Authenticator]:
        """A new operator: the id, the cookie, and the passkey."""
        passkey = Authenticator(ORIGIN, "gateway.example")
        operator, code = await self.operators.directory.enrol(self.world.alliance, name=name, role=role, by="host")
        ticket, options = await self.operators.enrolment.begin(code)
        await self.operators.enrolment.finish(ticket, passkey.make(options), label="test")
        return operator, await self.sign_in(passkey), passkey

    async def sign_in(self, passkey: Authenticator) -> str:
        """The cookie of a new session."""
        ticket, options = await self.operators.passkeys.begin()
        return await self.operators.passkeys.finish(ticket, passkey.sign(options))

    async def acts(self) -> list[str]:
        """What operators did, as entries name it."""
        acts = [str(entry.get("act", "")) for entry in await self.world.entries()]
        return [act for act in acts if act.startswith("operator_")]


@pytest.fixture
async def staff(database: Database) -> AsyncIterator[Staff]:
    """Once on each engine."""
    world = await World(database).build()
    log = SecurityLog()
    directory = OperatorDirectory(database, world.ledger, Sessions(database, world.ledger, world.clock))
    core = (database, world.ledger, world.clock, log)
    yield Staff(world, Operators.of(*core, directory, base_url=ORIGIN, provider=None))
    await world.ledger.close()
