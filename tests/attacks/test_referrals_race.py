"""Two members race for one person, on two processes: exactly one is first, whoever looks and however often."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.app import Gateway
from gateway.confidentiality.filing import Filing
from gateway.identity.subject import Subject
from gateway.referrals.referral import Referral, existing
from gateway.referrals.states import State
from tests.access.world import ENGINES, Shared, second_process, shared_on
from tests.referrals.world import Referring, referring

_ROUNDS = 4


async def _submit(gateway: Gateway, subject: Subject, referral: str) -> None:
    await gateway.referrals.acts.act(Filing(subject, None, referral), referral, {"act": "submit"})


async def _whose(one: Referring) -> Subject:
    return await one.shared.subject(one.referrer, await one.referrer.token())


@pytest.mark.parametrize("engine", ENGINES)
async def test_of_two_racing_referrers_exactly_one_is_first(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str
) -> None:
    async with shared_on(request, tmp_path, engine) as shared, second_process(shared) as second:
        both = [await referring(shared, member, range(1, _ROUNDS + 1)) for member in (shared.bank, shared.stranger)]
        pairs = []
        for number in range(1, _ROUNDS + 1):
            for one in both:
                await one.consent(number)
            contact = {"phone": f"139{number:08}"}
            pairs.append([await one.draft(number, contact=contact) for one in both])
        subjects = [await _whose(one) for one in both]
        gateways = (shared.gateway, second)
        await asyncio.gather(
            *(
                _submit(gateways[(number + side) % 2], subjects[side], pair[side])
                for number, pair in enumerate(pairs)
                for side in (0, 1)
            )
        )
        await asyncio.gather(*(gateway.referrals.running.run() for gateway in (*gateways, *gateways)))
        await shared.gateway.referrals.running.run()
        found = [[await _stored(shared, one) for one in pair] for pair in pairs]
        numbers = sorted(one.row["sequence"] for pair in found for one in pair)
        assert numbers == list(range(1, 2 * _ROUNDS + 1)), "no number is given twice, and none is left out"
        for pair in found:
            first, later = sorted(pair, key=lambda one: int(one.row["sequence"]))
            assert (first.stored, later.stored) == (State.OFFERED, State.DUPLICATE)


async def _stored(shared: Shared, referral: str) -> Referral:
    return await existing(shared.gateway.database, referral, shared.clock())
