"""What a server does beside answering: sweeping, turning keys, settling what is due, telling and asking, pushing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import NamedTuple

from gateway import problems
from gateway.app import Gateway
from gateway.errors import GatewayError
from gateway.vault.own_keys import REREAD_S
from gateway.vault.rotation import RotatedKey

Step = Callable[[], Awaitable[object]]


class Work(NamedTuple):
    """What is done again and again. Every server does it; whatever can be done once only is claimed by one of them."""

    doing: str
    pause_s: int
    steps: tuple[Step, ...]


def works(gateway: Gateway) -> list[Work]:
    """All of it; nothing that is permitted or refused waits for any."""
    return [
        Work("sweeping", 60, (_Sweeping(gateway).sweep, gateway.identity.forget_expired)),
        Work("telling of strangers", 60, (gateway.identity.log.tell,)),
        Work("turning keys", REREAD_S, (gateway.signing.follow, *_rotations(gateway))),
        Work("settling duties", 60, (gateway.duties.settling.run,)),
        Work(
            "settling consents",
            5,
            (gateway.consents.overtaken.settle, gateway.offline.settling.run, gateway.rights.settling.run),
        ),
        Work("following withdrawals", 5, (gateway.following.telling.start, gateway.following.settling.run)),
        Work("asking for consents", 30, (gateway.asking.inviting.run,)),
        Work("running referrals", 5, (gateway.referrals.running.run,)),
        Work("forgetting referrals", 600, (gateway.referrals.running.forget,)),
        Work("counting common customers", 5, (gateway.overlapping.runs.run,)),
        Work("pushing", 2, (partial(_push, gateway),)),
    ]


@asynccontextmanager
async def beside(gateway: Gateway) -> AsyncIterator[None]:
    """Work in the background until the block ends; what fails is logged, and tried again at its next turn."""
    tasks = [asyncio.create_task(_for_ever(work), name=work.doing) for work in works(gateway)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _for_ever(work: Work) -> None:
    """Step after step; the failure of one stops no other. A cancellation ends it, whatever a step has made of it."""
    this = asyncio.current_task()
    assert this is not None
    while True:
        for step in work.steps:
            try:
                await step()
            except Exception as error:
                problems.log_unexpected(error, f"while {work.doing}")
            if this.cancelling():
                return
        await asyncio.sleep(work.pause_s)


def _rotations(gateway: Gateway) -> list[Step]:
    return [partial(gateway.key_rotation.turn, use) for use in RotatedKey]


async def _push(gateway: Gateway) -> None:
    """Send what was published to the addresses that recipients registered; what can't begin now begins later."""
    with suppress(GatewayError):
        await gateway.sharing.pushes.start()


class _Sweeping:
    """Deletes what uploads left, once the disclosure log has read it.

    Where no other process can serve the database, what a crash left is what nobody has touched since this one began.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._alone_since = 0 if gateway.settings.database_url else gateway.clock()

    async def sweep(self) -> None:
        """The index is brought up to date once it is known what goes: before, more could be read and replaced."""
        follow = self._gateway.disclosures.follow_all
        await self._gateway.uploads.sweep(alone_since=self._alone_since, prepare=follow)
