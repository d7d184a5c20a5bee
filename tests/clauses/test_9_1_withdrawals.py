"""Clause 9.1.2: who goes on holding what a person has ended is a breach, once, whatever its address does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.following.world import DAY_S, followed_on


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_9_1_2_a_recipient_deaf_for_two_days_is_overdue_once_and_denied_all_along(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str
) -> None:
    async with followed_on(request, tmp_path, engine) as followed:
        bank, hotel, gateway = followed.shared.bank, followed.shared.hotel, followed.shared.gateway
        deal = await followed.received(1)
        followed.inbox.deaf = True
        token = await followed.shared.referral_token(deal)
        consent = await followed.withdraw(deal, 1)
        seen = []
        for _ in range(8):
            assert (await hotel.get(deal.path, token)).status_code in {200, 401}
            assert await followed.read(deal) == {}
            await followed.tell()
            await followed.settle()
            seen += [one.state for one in await followed.progress(deal, 1)]
            followed.shared.clock.pass_seconds(6 * 3600)
        assert followed.shared.clock() % (DAY_S * 1000) == 2 * 3600 * 1000
        assert [state for number, state in enumerate(seen) if number == 0 or state != seen[number - 1]] == [
            "failed",
            "overdue",
        ]
        opened = await followed.entries("case_opened")
        assert [(one["clause"], one["respondent"], one["consent"]) for one in opened] == [("9.1.2", hotel.id, consent)]
        cases = (await bank.get("/v1/cases", await bank.token())).json()["items"]
        assert [(one["clause"], one["state"], one["kind"]) for one in cases] == [("9.1.2", "candidate", "breach")]
        [progress] = await followed.progress(deal, 1)
        assert progress.case == cases[0]["id"]

        done = {"how": "deleted", "proof": {"text": "Job 4711."}}
        assert (await followed.answer(hotel, progress.id, "compliance", done)).status_code == 200
        followed.shared.clock.pass_seconds(9 * DAY_S)
        await followed.settle()
        [progress] = await followed.progress(deal, 1)
        assert (progress.state, progress.case) == ("complied", cases[0]["id"])  # late is still complied, and a case
        assert len(await followed.entries("case_opened")) == 1
        assert gateway.clock() == followed.shared.clock()
