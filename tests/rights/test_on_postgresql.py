"""What the database could answer otherwise: a deletion that is kept for a case, and an export."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.access.world import shared_on
from tests.rights.world import Counter


async def test_requests_go_the_same_way_on_postgresql(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    async with shared_on(request, tmp_path, "postgresql") as shared:
        counter = await Counter.of(shared)
        await counter.received(1)
        told = await counter.granted(1, "access")
        link = await counter.rights.exporting.link(await counter.subject(), told["id"])
        assert (await counter.rights.exporting.fetch(link["token"])).startswith(b"PK")
        case = await counter.dispute()
        assert (await counter.granted(1, "deletion"))["state"] == "restricted"
        await counter.decide(case)
        await counter.rights.settling.run()
        assert await counter.states(1) == ["revoked"]
        await counter.received(3)
        await counter.merged(3, 4)
        refused = await counter.asked(4, "access")
        await counter.post(f"/{refused}/refusal", {"reasons": ["excessive"], "text": "No."})
        correction = await counter.asked(4, "correction")
        given = {"text": "Corrected.", "upload": await counter.uploaded()}
        await counter.rights.answering.grant(await counter.subject(), correction, given)
        assert (await counter.granted(4, "deletion"))["outcome"] == {"shredded": True, "ended": 1, "recipients": 1}
        assert sorted(cause for _, cause in await counter.followed(3)) == ["corrected", "erased"]
        await counter.asked(2, "access")
        shared.clock.pass_seconds(60 * 24 * 3600)
        assert await counter.rights.settling.run() == 2
