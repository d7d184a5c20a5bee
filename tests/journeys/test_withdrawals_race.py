"""No permit follows a withdrawal while two processes read and withdraw at once; `bench/withdrawals.py` is larger."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.databases import database_on
from tests.journeys.withdrawing import Race
from tests.served import served
from tests.services.postgresql import PostgreSQL

PERSONS = 40
READS = 240


async def test_no_permit_follows_a_withdrawal_and_everybody_who_received_is_followed(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    server: PostgreSQL = request.getfixturevalue("postgresql")
    valkey = request.getfixturevalue("valkey").url
    with database_on(server) as url:
        async with served(tmp_path, processes=2, database_url=url, valkey_url=valkey) as site:
            race = await Race.prepared(site, PERSONS)
            await race.run(READS)
            found = await race.found()
            assert found.wrong == dict.fromkeys(found.wrong, 0)
            assert (found.withdrawals, found.nodes) == (PERSONS, 2)
            assert set(found.statuses) <= {200, 404, 503}
            assert found.statuses[200] > READS / 4
            owed = await race.hotel.get("/v1/withdrawals", await race.hotel.token(), limit="100")
            assert {one["consent"] for one in owed.json()["items"]} == set(race.consent_of.values())
            assert {record for one in owed.json()["items"] for record in one["records"]} == set(race.record_of.values())
