"""The end of secrecy (clause 8.3): an event with evidence that the owner signs, and never the calendar."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from sqlalchemy import insert, select

from gateway.agreements import touch_agreement
from gateway.agreements.signatures import named_key
from gateway.confidentiality.tables import release_event
from gateway.database import Query
from tests.access.world import PLACES, Deal, Shared, reasons, records
from tests.alliance import MARKET_SCHEMA
from tests.confiding import EVIDENCE, done, file, signed

_RELEASES = Query(select(release_event))
_FORGE = Query(insert(release_event))


async def secret(shared: Shared, **over: object) -> Deal:
    """A deal over a public code and a secret margin."""
    fields = MARKET_SCHEMA["properties"]
    fields = fields | {"margin": fields["margin"] | {"x-confidentiality": "financial"}}
    dataset = await shared.bank.declare(MARKET_SCHEMA | {"properties": fields})
    assert (await shared.bank.upload(dataset, PLACES)).json()["accepted"] == 3
    return Deal(await shared.bank.agree(shared.hotel, dataset, ["code", "margin"], **over), dataset)


async def test_a_released_field_is_no_secret_under_that_agreement_and_nothing_else_ends_secrecy(
    shared: Shared,
) -> None:
    deal, other = await secret(shared), await secret(shared)
    tokens = {one: await shared.token(one) for one in (deal, other)}
    path = f"/v1/agreements/{deal.agreement}"
    stated = {"fields": ["margin"], "ground": "public", "evidence_sha256": EVIDENCE}
    filed = done(await file(shared.hotel, f"{path}/datasets/{deal.dataset}/releases", stated))
    assert {frozenset(one) for one in records(await shared.hotel.get(deal.path, tokens[deal])).values()} == {
        frozenset({"code"})
    }
    confirm = f"{path}/releases/{filed['id']}/confirmation"
    text = json.loads(filed["statement"])
    by_hotel = await file(shared.hotel, confirm, {"jws": signed(shared.hotel, "release+jws", text)})
    assert (by_hotel.status_code, reasons(by_hotel.json())) == (403, [("OWNER_ONLY", "")])
    more = text | {"fields": ["code", "margin"]}
    another = await file(shared.bank, confirm, {"jws": signed(shared.bank, "release+jws", more)})
    assert (another.status_code, another.json()["code"]) == (400, "statement_of_another")
    done(await file(shared.bank, confirm, {"jws": signed(shared.bank, "release+jws", text)}))
    seen = {
        one: set(next(iter(records(await shared.hotel.get(one.path, tokens[one])).values()))) for one in (deal, other)
    }
    assert seen == {deal: {"code", "margin"}, other: {"code"}}
    late = await file(shared.bank, f"{path}/releases/{filed['id']}", method="DELETE")
    assert (late.status_code, late.json()["code"]) == (409, "release_confirmed")


async def test_a_row_that_repeats_a_release_for_another_agreement_releases_nothing_there(shared: Shared) -> None:
    deal, other = await secret(shared), await secret(shared)
    path = f"/v1/agreements/{deal.agreement}"
    stated = {"fields": ["margin"], "ground": "public", "evidence_sha256": EVIDENCE}
    filed = done(await file(shared.hotel, f"{path}/datasets/{deal.dataset}/releases", stated))
    jws = signed(shared.bank, "release+jws", json.loads(filed["statement"]))
    done(await file(shared.bank, f"{path}/releases/{filed['id']}/confirmation", {"jws": jws}))
    row = await shared.gateway.database.one(_RELEASES)
    assert row is not None
    forged = {column.name: row[column.name] for column in release_event.c}
    forged |= {"id": "0" * 32, "agreement_id": other.agreement, "dataset_id": other.dataset}
    async with shared.gateway.database.transaction() as tx:
        await tx.run(_FORGE, **forged)
    [one, *_] = records(await shared.hotel.get(other.path, await shared.token(other))).values()
    assert set(one) == {"code"}


async def test_a_row_that_the_recipient_signed_in_the_owners_place_releases_nothing(shared: Shared) -> None:
    deal = await secret(shared)
    stated = {"fields": ["margin"], "ground": "public", "evidence_sha256": EVIDENCE}
    path = f"/v1/agreements/{deal.agreement}/datasets/{deal.dataset}/releases"
    filed = done(await file(shared.hotel, path, stated))
    row = await shared.gateway.database.one(_RELEASES)
    assert row is not None
    forged = {column.name: row[column.name] for column in release_event.c}
    seen = []
    for number, member in enumerate((shared.hotel, shared.bank)):
        jws = signed(member, "release+jws", json.loads(filed["statement"]))
        by = {"jws": jws, "fingerprint": named_key(jws), "confirmed_at": shared.clock.ms}
        async with shared.gateway.ledger.changing() as change:
            await change.tx.run(_FORGE, **forged | by | {"id": f"{number:032x}"})
            await touch_agreement(change, deal.agreement)
        seen.append(set(next(iter(records(await shared.hotel.get(deal.path, await shared.token(deal))).values()))))
    assert seen == [{"code"}, {"code", "margin"}]


async def test_the_agreed_years_are_a_review_and_no_end_and_a_leap_day_has_one(shared: Shared) -> None:
    shared.clock.ms = int(datetime(2028, 2, 29, 12, tzinfo=UTC).timestamp()) * 1000
    deal = await secret(shared, confidentiality_years=3)
    path = f"/v1/agreements/{deal.agreement}/confidentiality"
    for member in (shared.bank, shared.hotel):
        duty = done(await file(member, path, method="GET"))
        assert (duty["review_on"], duty["ends_on"]) == ("2031-03-01T12:00:00Z", None)
    assert (await file(shared.stranger, path, method="GET")).status_code == 404


async def test_a_declined_release_is_over_and_fields_beyond_the_terms_have_none(shared: Shared) -> None:
    deal = await secret(shared)
    path = f"/v1/agreements/{deal.agreement}"
    stated = {"fields": ["margin"], "ground": "no_value", "evidence_sha256": EVIDENCE}
    filed = done(await file(shared.hotel, f"{path}/datasets/{deal.dataset}/releases", stated))
    done(await file(shared.bank, f"{path}/releases/{filed['id']}", method="DELETE"))
    jws = signed(shared.bank, "release+jws", json.loads(filed["statement"]))
    over = await file(shared.bank, f"{path}/releases/{filed['id']}/confirmation", {"jws": jws})
    assert (over.status_code, over.json()["code"]) == (409, "release_declined")
    beyond = await file(shared.hotel, f"{path}/datasets/{deal.dataset}/releases", stated | {"fields": ["price"]})
    assert (beyond.status_code, beyond.json()["field"]) == (400, "/fields/0")
