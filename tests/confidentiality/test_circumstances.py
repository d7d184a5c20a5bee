"""What the policy is told beside the terms: intervals to the second, and nothing that was not signed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from sqlite3 import IntegrityError
from typing import Any

import pytest
from sqlalchemy import BigInteger, Connection, Text, bindparam, text, update

from gateway.canonical import canonical
from gateway.catalog.ownership import Ownership
from gateway.confidentiality import Circumstances
from gateway.confidentiality.intervals import OPEN
from gateway.confidentiality.tables import nda, onward_grant
from gateway.database import Query
from gateway.database.creation import change_schema, sqlite_url
from gateway.identity.jws import sign_compact, thumbprint
from gateway.members.tables import member_signing_key
from tests.access.world import ENGINES, Deal, Shared, shared_on
from tests.alliance import new_key, public
from tests.confiding import (
    confided,
    done,
    enlist,
    file,
    grant,
    lasting,
    opt_out,
    person_of,
    record_nda,
    strike,
    undertake,
    undertaking,
)

_EXTEND = Query(update(nda).where(nda.c.id == bindparam("the_id")).values(until_at=bindparam("to", type_=BigInteger)))
_FILE = Query(update(nda).where(nda.c.id == bindparam("the_id")).values(filed_at=bindparam("to", type_=BigInteger)))
_REWRITE = Query(update(nda).where(nda.c.id == bindparam("the_id")).values(jws=bindparam("to", type_=Text)))
_FORGE = Query(
    update(nda)
    .where(nda.c.id == bindparam("the_id"))
    .values(jws=bindparam("to", type_=Text), text_sha256=bindparam("named", type_=Text))
)
_REPLACE = Query(
    update(member_signing_key)
    .where(member_signing_key.c.fingerprint == bindparam("key"))
    .values(jwk=bindparam("to", type_=Text))
)
_GIVE = Query(
    update(onward_grant)
    .where(onward_grant.c.id == bindparam("the_id"))
    .values(recipient_id=bindparam("to", type_=Text))
)


async def told(shared: Shared, deal: Deal, person: str = "none", member: str = "") -> dict[str, Any]:
    """What the policy is told about the hotel, or another, by a process that remembers nothing."""
    asker = {"member": member or shared.hotel.id, "person": person}
    circumstances = Circumstances(Ownership())
    found = await circumstances.of(shared.gateway.database, agreement=deal.agreement, dataset=deal.dataset, **asker)
    again = await circumstances.of(shared.gateway.database, agreement=deal.agreement, dataset=deal.dataset, **asker)
    assert again == found
    return {**found["circumstances"], "onward_consents": found["onward_consents"]}


@pytest.mark.parametrize("engine", ENGINES)
async def test_every_interval_is_told_to_the_second(
    request: pytest.FixtureRequest, tmp_path: Path, engine: str
) -> None:
    async with shared_on(request, tmp_path, engine) as shared:
        deal = await shared.personal([1], onward="written_consent", third_parties=[shared.stranger.id])
        bank, hotel, now = shared.bank, shared.hotel, shared.bank.now
        began = {"from": now, "until": OPEN}
        year = {"from": now - 60, "until": now + 365 * 24 * 3600}
        assert await told(shared, deal) == {
            "owner_participation": began,
            "recipient_participation": began,
            "assessment": year,
            "onward_consents": [],
        }
        shared.clock.pass_seconds(10)
        person = await person_of(hotel)
        done(await undertake(hotel, bank.id, **lasting(hotel, begins=-5, ends=50)))
        done(await record_nda(hotel, person, **lasting(hotel, begins=-6, ends=60)))
        done(await enlist(hotel, deal.agreement, deal.dataset, person, until=lasting(hotel, ends=70)["until"]))
        done(await grant(bank, deal.agreement, shared.stranger.id, "customer_referral", **lasting(bank, ends=80)))
        found = await told(shared, deal, person)
        assert found["organisation_nda"] == {"from": hotel.now - 5, "until": hotel.now + 50}
        assert found["person_nda"] == {"from": hotel.now - 6, "until": hotel.now + 60}
        assert found["roster"] == {"from": hotel.now, "until": hotel.now + 70}
        assert found["onward_consents"] == []
        third = await told(shared, deal, member=shared.stranger.id)
        granted = {"purpose": "customer_referral", "from": bank.now - 60, "until": bank.now + 80}
        assert third["onward_consents"] == [granted]
        assert "organisation_nda" not in third
        done(await undertake(hotel, shared.alliance.id, **lasting(hotel, begins=-1, ends=90)))
        assert (await told(shared, deal))["organisation_nda"]["until"] == hotel.now + 90
        done(await opt_out(bank, deal.agreement, deal.dataset))
        left = await told(shared, deal)
        assert "owner_participation" not in left
        assert left["recipient_participation"] == began


async def test_another_members_person_and_an_agreement_that_is_not_there_are_nothing(shared: Shared) -> None:
    deal = await shared.market()
    person = await confided(shared.hotel, deal.agreement, deal.dataset, shared.bank.id)
    assert (await told(shared, deal, person))["roster"]
    foreign = await told(shared, deal, person, member=shared.stranger.id)
    assert foreign.keys().isdisjoint({"roster", "person_nda"})
    nowhere = await told(shared, Deal("0" * 32, deal.dataset), person)
    assert nowhere == {"onward_consents": []}
    elsewhere = await told(shared, Deal(deal.agreement, "0" * 32), person)
    assert elsewhere.keys().isdisjoint({"owner_participation", "recipient_participation", "roster"})


async def test_an_undertaking_counts_for_a_dataset_only_if_it_covers_all_of_its_classes(shared: Shared) -> None:
    fields = {
        "code": {"type": "string", "x-class": "place", "x-grade": 1, "x-confidentiality": "public"},
        "margin": {"type": "integer", "x-class": "secret", "x-grade": 2, "x-confidentiality": "financial"},
        "plan": {"type": "string", "x-class": "secret", "x-grade": 2},
    }
    dataset = await shared.bank.declare({"type": "object", "x-kind": "market", "properties": fields})
    deal = Deal(await shared.bank.agree(shared.hotel, dataset, ["code", "margin"]), dataset)
    done(await undertake(shared.hotel, shared.bank.id, classes=["financial"]))
    assert "organisation_nda" not in await told(shared, deal)
    done(await undertake(shared.hotel, shared.bank.id, classes=["financial", "business_secret"]))
    assert "organisation_nda" in await told(shared, deal)


async def test_what_was_signed_can_be_neither_rewritten_nor_removed(shared: Shared) -> None:
    deal = await shared.market()
    await confided(shared.hotel, deal.agreement, deal.dataset, shared.bank.id)
    filed = done(await undertake(shared.hotel, shared.alliance.id))
    for query, to in ((_EXTEND, 2**50), (_REWRITE, "a.b.c")):
        with pytest.raises(IntegrityError):
            async with shared.gateway.database.transaction() as tx:
                await tx.run(query, the_id=filed["id"], to=to)


async def test_what_is_not_as_it_was_signed_counts_for_nothing_even_without_the_guards(shared: Shared) -> None:
    another = await shared.alliance.join("another")
    deal = await shared.market(onward="written_consent", third_parties=[shared.stranger.id, another.id])
    other = done(await undertake(shared.stranger, shared.alliance.id))
    filed = done(await undertake(shared.hotel, shared.alliance.id))
    given = done(await grant(shared.bank, deal.agreement, shared.stranger.id, "market_analysis"))
    await without_guards(shared)
    assert "organisation_nda" in await told(shared, deal)
    async with shared.gateway.database.transaction() as tx:
        await tx.run(_EXTEND, the_id=filed["id"], to=2**50)
    assert (await told(shared, deal))["organisation_nda"]["until"] < 2**40
    async with shared.gateway.database.transaction() as tx:
        await tx.run(_REWRITE, the_id=filed["id"], to=other["jws"])
        await tx.run(_GIVE, the_id=given["id"], to=another.id)
    assert "organisation_nda" not in await told(shared, deal)
    for member in (shared.stranger, another):
        assert (await told(shared, deal, member=member.id))["onward_consents"] == []


async def test_an_nda_that_another_key_signed_in_the_members_name_counts_for_nothing(shared: Shared) -> None:
    deal, hotel = await shared.market(), shared.hotel
    filed = done(await undertake(hotel, shared.alliance.id, **lasting(hotel, ends=100)))
    body = canonical(undertaking(hotel, shared.alliance.id))
    kid = thumbprint(public(hotel.signing_key))
    named = hashlib.sha256(body).hexdigest()
    await without_guards(shared)
    for key, counts in ((new_key(), False), (hotel.signing_key, True)):
        jws = sign_compact(body, key, typ="nda+jws", header={"kid": kid})
        async with shared.gateway.database.transaction() as tx:
            await tx.run(_FORGE, the_id=filed["id"], to=jws, named=named)
        assert ("organisation_nda" in await told(shared, deal)) is counts


async def test_an_nda_counts_for_nothing_by_a_key_that_was_put_in_the_place_of_the_members(shared: Shared) -> None:
    deal, hotel, forger = await shared.market(), shared.hotel, new_key()
    filed = done(await undertake(hotel, shared.alliance.id))
    body = canonical(undertaking(hotel, shared.alliance.id))
    kid = thumbprint(public(hotel.signing_key))
    jws = sign_compact(body, forger, typ="nda+jws", header={"kid": kid})
    await without_guards(shared)
    async with shared.gateway.database.transaction() as tx:
        await tx.run(_FORGE, the_id=filed["id"], to=jws, named=hashlib.sha256(body).hexdigest())
        await tx.run(_REPLACE, key=kid, to=canonical(public(forger)).decode())
    assert "organisation_nda" not in await told(shared, deal)


async def test_an_nda_that_is_filed_after_its_key_was_revoked_counts_for_nothing(shared: Shared) -> None:
    deal, hotel = await shared.market(), shared.hotel
    filed = done(await undertake(hotel, shared.alliance.id, **lasting(hotel, ends=100)))
    await shared.gateway.signing_keys.revoke(thumbprint(public(hotel.signing_key)), operator="test")
    revoked_at = shared.clock.ms
    await without_guards(shared)
    for filed_at, counts in ((revoked_at, True), (revoked_at + 1, False)):
        async with shared.gateway.database.transaction() as tx:
            await tx.run(_FILE, the_id=filed["id"], to=filed_at)
        assert ("organisation_nda" in await told(shared, deal)) is counts


async def test_a_person_whom_the_owner_struck_is_listed_again_by_the_owner_alone(shared: Shared) -> None:
    deal = await shared.market()
    person = await confided(shared.hotel, deal.agreement, deal.dataset, shared.bank.id)
    path = f"/v1/agreements/{deal.agreement}/datasets/{deal.dataset}/roster/{person}"
    done(await file(shared.bank, path, method="DELETE"))
    refused = await enlist(shared.hotel, deal.agreement, deal.dataset, person)
    assert (refused.status_code, refused.json()["code"]) == (403, "STRUCK_BY_ANOTHER")
    assert (await file(shared.stranger, path, {}, "PUT")).status_code == 404
    own = await enlist(shared.bank, deal.agreement, deal.dataset, await person_of(shared.bank))
    assert (own.status_code, own.json()["code"]) == (403, "RECIPIENT_ONLY")
    assert "roster" not in await told(shared, deal, person)
    done(await file(shared.bank, path, {}, "PUT"))
    assert "roster" in await told(shared, deal, person)
    foreign = await enlist(shared.hotel, deal.agreement, deal.dataset, await person_of(shared.stranger))
    assert foreign.status_code == 404


async def test_the_owners_no_counts_also_where_the_employer_had_struck_the_person_before(shared: Shared) -> None:
    deal = await shared.market()
    person = await confided(shared.hotel, deal.agreement, deal.dataset, shared.bank.id)
    for member in (shared.hotel, shared.bank, shared.hotel):
        struck = done(await strike(member, deal.agreement, deal.dataset, person))
    assert struck["struck_by"] == shared.bank.id
    refused = await enlist(shared.hotel, deal.agreement, deal.dataset, person)
    assert (refused.status_code, refused.json()["code"]) == (403, "STRUCK_BY_ANOTHER")
    done(await enlist(shared.bank, deal.agreement, deal.dataset, person))
    assert "roster" in await told(shared, deal, person)


async def without_guards(shared: Shared) -> None:
    """Drop the triggers, as whoever owns the database could."""
    names = [f"{table}_keeps_its_text" for table in ("nda", "onward_grant")]

    def drop(connection: Connection) -> None:
        for name in names:
            connection.execute(text(f"DROP TRIGGER {name}"))

    await change_schema(sqlite_url(shared.gateway.settings.sqlite_path), drop)
