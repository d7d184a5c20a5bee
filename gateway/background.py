"""What a server does beside answering: sweeping, turning keys, settling what is due, telling and asking, pushing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

from gateway import problems
from gateway.app import Gateway
from gateway.errors import GatewayError
from gateway.vault.own_keys import REREAD_S
from gateway.vault.rotation import RotatedKey

_SWEEP_PAUSE_S = 60
_DUTIES_PAUSE_S = 60
_CONSENTS_PAUSE_S = 5
_ASKING_PAUSE_S = 30
_PUSH_PAUSE_S = 2
_REFERRALS_PAUSE_S = 5


@asynccontextmanager
async def beside(gateway: Gateway) -> AsyncIterator[None]:
    """Work in the background until the block ends; what fails is logged, and tried again at its next turn."""
    alone = not gateway.settings.database_url
    tasks = [
        asyncio.create_task(_sweep_for_ever(gateway, starting=alone), name="sweep"),
        asyncio.create_task(_turn_keys_for_ever(gateway), name="keys"),
        asyncio.create_task(_settle_duties_for_ever(gateway), name="duties"),
        asyncio.create_task(_settle_consents_for_ever(gateway), name="consents"),
        asyncio.create_task(_ask_for_ever(gateway), name="asking"),
        asyncio.create_task(_push_for_ever(gateway), name="push"),
        asyncio.create_task(_run_referrals_for_ever(gateway), name="referrals"),
        asyncio.create_task(_follow_withdrawals_for_ever(gateway), name="withdrawals"),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _sweep_for_ever(gateway: Gateway, *, starting: bool) -> None:
    """Delete what uploads left, once the disclosure log has read it, and what tokens no longer need; or later."""
    while True:
        try:
            await gateway.disclosures.follow_all()
            await gateway.uploads.sweep(starting=starting)
            starting = False
            await gateway.identity.forget_expired()
        except Exception as error:
            problems.log_unexpected(error, "while sweeping")
        await asyncio.sleep(_SWEEP_PAUSE_S)


async def _settle_duties_for_ever(gateway: Gateway) -> None:
    """Settle what has come due; every server does, and each date is settled once."""
    while True:
        try:
            await gateway.duties.settling.run()
        except Exception as error:
            problems.log_unexpected(error, "while settling duties")
        await asyncio.sleep(_DUTIES_PAUSE_S)


async def _settle_consents_for_ever(gateway: Gateway) -> None:
    """Record what the clock has ended; nothing that is permitted waits for it."""
    while True:
        try:
            await gateway.consents.overtaken.settle()
        except Exception as error:
            problems.log_unexpected(error, "while settling consents")
        await asyncio.sleep(_CONSENTS_PAUSE_S)


async def _ask_for_ever(gateway: Gateway) -> None:
    """Send what nobody took, remind whoever put it off, and let lapse what nobody answered."""
    while True:
        try:
            await gateway.asking.inviting.run()
        except Exception as error:
            problems.log_unexpected(error, "while asking for consents")
        await asyncio.sleep(_ASKING_PAUSE_S)


async def _push_for_ever(gateway: Gateway) -> None:
    """Send what was published to the addresses that recipients registered; what can't begin now begins later."""
    while True:
        try:
            with suppress(GatewayError):
                await gateway.sharing.pushes.start()
        except Exception as error:
            problems.log_unexpected(error, "while pushing")
        await asyncio.sleep(_PUSH_PAUSE_S)


async def _run_referrals_for_ever(gateway: Gateway) -> None:
    """Register, match and return referrals; every server does, and each step is taken once."""
    while True:
        try:
            await gateway.referrals.running.run()
        except Exception as error:
            problems.log_unexpected(error, "while running referrals")
        await asyncio.sleep(_REFERRALS_PAUSE_S)


async def _follow_withdrawals_for_ever(gateway: Gateway) -> None:
    """Tell recipients what has ended, and settle what they have not complied with; each failure is for itself."""
    works: list[Callable[[], Awaitable[object]]] = [gateway.following.telling.start, gateway.following.settling.run]
    while True:
        for work in works:
            try:
                await work()
            except Exception as error:
                problems.log_unexpected(error, "while following withdrawals")
        await asyncio.sleep(_CONSENTS_PAUSE_S)


async def _turn_keys_for_ever(gateway: Gateway) -> None:
    """Follow the gateway's own keys, and take the steps of a rotation that are due; each failure is for itself."""
    works: list[Callable[[], Awaitable[None]]] = [
        gateway.signing.follow,
        *(partial(gateway.key_rotation.turn, use) for use in RotatedKey),
    ]
    while True:
        for work in works:
            try:
                await work()
            except Exception as error:
                problems.log_unexpected(error, "while turning the gateway's own keys")
        await asyncio.sleep(REREAD_S)
