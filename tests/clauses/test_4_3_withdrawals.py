"""Clause 4.3.2: what a person ends, ends with everybody who received it; each is followed until it has complied."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.access.disclosures import Disclosures
from gateway.clock import seconds
from gateway.consents.receipts import verify_receipt
from gateway.errors import Conflicting, Invalid
from tests.alliance import instant
from tests.confiding import done, grant
from tests.following.world import DAY_S, Followed, followed_on

pytestmark = pytest.mark.asyncio(loop_scope="module")
DELETED = {"how": "deleted", "proof": {"sha256": "ab" * 32}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def followed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Followed]:
    async with followed_on(request, tmp_path_factory.mktemp("withdrawals"), "sqlite") as world:
        yield world


async def test_4_3_2_who_received_is_asked_to_delete_and_who_did_not_hears_nothing(followed: Followed) -> None:
    bank, hotel, stranger = followed.shared.bank, followed.shared.hotel, followed.shared.stranger
    deal = await followed.received(1)
    await bank.consent(deal.dataset, hotel, "C00002")  # never read
    await bank.consent(deal.dataset, stranger, "C00001")  # has no agreement
    for number in (1, 2):
        assert (await bank.withdraw(deal.dataset, f"C{number:05}")).status_code == 200
    [one] = await followed.progress(deal, 1)
    assert (one.recipient, one.cause, one.state, one.onward) == (hotel.id, "withdrawn", "queued", ())
    assert await followed.progress(deal, 2) == []
    assert await followed.owed(stranger) == []
    assert await followed.read(deal) == {}


async def test_4_3_2_who_received_under_a_former_consent_is_asked_too(followed: Followed) -> None:
    bank, hotel = followed.shared.bank, followed.shared.hotel
    deal = await followed.received(3)
    followed.shared.clock.pass_seconds(120)
    await bank.consent(deal.dataset, hotel, "C00003")
    assert await followed.progress(deal, 3) == []  # it was replaced, not ended
    consent = await followed.withdraw(deal, 3)
    assert [(one.consent, one.recipient) for one in await followed.progress(deal, 3)] == [(consent, hotel.id)]


async def test_4_3_2_fields_that_a_person_takes_out_are_followed_too(followed: Followed) -> None:
    bank, hotel = followed.shared.bank, followed.shared.hotel
    deal = await followed.received(11)
    followed.shared.clock.pass_seconds(120)
    await bank.consent(deal.dataset, hotel, "C00011", fields=["name"])
    assert [(one.recipient, one.cause) for one in await followed.progress(deal, 11)] == [(hotel.id, "amended")]


async def test_4_3_2_what_expired_is_followed_like_what_was_withdrawn(followed: Followed) -> None:
    bank, hotel, clock = followed.shared.bank, followed.shared.hotel, followed.shared.clock
    deal = await followed.shared.personal([4])
    ends = instant(datetime.fromtimestamp(clock() // 1000 + DAY_S, UTC))
    await bank.consent(deal.dataset, hotel, "C00004", expires_at=ends)
    assert len(await followed.read(deal)) == 1
    clock.pass_seconds(DAY_S)
    assert await followed.read(deal) == {}
    await followed.shared.gateway.consents.overtaken.settle()
    assert [(one.cause, one.state) for one in await followed.progress(deal, 4)] == [("expired", "queued")]


@pytest.mark.parametrize(("number", "cause", "how"), [(5, "corrected", "corrected"), (6, "erased", "anonymised")])
async def test_4_3_2_a_correction_and_an_erasure_go_to_everybody_who_received(
    followed: Followed, number: int, cause: str, how: str
) -> None:
    gateway, bank, hotel = followed.shared.gateway, followed.shared.bank, followed.shared.hotel
    deal = await followed.received(number)
    pseudonym = await followed.pseudonym(deal, number)
    [told] = await gateway.disclosures.of_person(bank.id, pseudonym)
    person = (bank.id, told.dataset_no, pseudonym)
    async with gateway.ledger.changing(bank.id) as change:
        assert await gateway.following.queue(change, *person, cause, recipients=[bank.id]) == []
        [follow_up] = await gateway.following.queue(change, *person, cause)
        with pytest.raises(Invalid, match="unknown_cause"):
            await gateway.following.queue(change, *person, "forgotten")
    body = {"how": how, "proof": {"text": "Job 12."}}
    assert (await followed.answer(hotel, follow_up, "compliance", body)).status_code == 200
    assert [(one.cause, one.how) for one in await followed.progress(deal, number)] == [(cause, how)]


async def test_4_3_2_the_end_and_what_follows_from_it_are_one_change(followed: Followed) -> None:
    gateway, bank = followed.shared.gateway, followed.shared.bank
    deal = await followed.received(7)
    pseudonym = await followed.pseudonym(deal, 7)
    [told] = await gateway.disclosures.of_person(bank.id, pseudonym)
    size = len(await followed.shared.entries(bank.id))

    async def undone() -> None:
        async with gateway.ledger.changing(bank.id) as change:
            assert await gateway.following.queue(change, bank.id, told.dataset_no, pseudonym, "erased")
            raise Conflicting("undone", "Whatever the reason.")

    with pytest.raises(Conflicting, match="undone"):
        await undone()
    assert await followed.progress(deal, 7) == []
    assert len(await followed.shared.entries(bank.id)) == size


async def test_4_3_2_a_third_party_that_the_owner_let_it_pass_on_to_is_followed_too(followed: Followed) -> None:
    bank, hotel, stranger = followed.shared.bank, followed.shared.hotel, followed.shared.stranger
    deal = await followed.received(8, onward="written_consent", third_parties=[stranger.id])
    done(await grant(bank, deal.agreement, stranger.id, "customer_referral"))
    await followed.withdraw(deal, 8)
    [direct] = await followed.progress(deal, 8)
    assert (direct.recipient, [one.recipient for one in direct.onward]) == (hotel.id, [stranger.id])
    [owed] = await followed.owed(stranger)
    assert (owed["named_in"], owed["agreement"], len(owed["records"])) == (direct.id, deal.agreement, 1)


async def test_4_3_2_a_second_receipt_says_that_everybody_complied_and_how(followed: Followed, tmp_path: Path) -> None:
    gateway, hotel = followed.shared.gateway, followed.shared.hotel
    deal = await followed.received(9)
    consent = await followed.withdraw(deal, 9)
    [one] = await followed.progress(deal, 9)
    named = {"onward": [{"name": "Laundry Ltd"}]}
    done(await followed.answer(hotel, one.id, "acknowledgement", named))
    done(await followed.answer(hotel, one.id, "compliance", DELETED))

    async def kinds() -> list[str]:
        return [kept.kind for kept in await gateway.consents.receipts.of(gateway.database, consent)]

    assert "complied" not in await kinds()
    [[laundry]] = [one.onward for one in await followed.progress(deal, 9)]
    done(await followed.answer(hotel, laundry.id, "compliance", {"how": "never_received"}))
    assert set(await kinds()) >= {"withdrawn", "complied"}
    receipts = await gateway.consents.receipts.of(gateway.database, consent)
    [jws] = [kept.jws for kept in receipts if kept.kind == "complied"]
    keys = (await followed.shared.alliance.http.get("/v1/jwks")).json()
    payload = verify_receipt(jws, keys)
    assert payload["iat"] == seconds(followed.shared.clock())
    assert {(one["recipient"], one.get("holder"), one["how"]) for one in payload["propagation"]} == {
        (hotel.id, None, "deleted"),
        (hotel.id, "Laundry Ltd", "never_received"),
    }
    assert "Person 9" not in json.dumps(payload)


async def test_4_3_2_a_person_sees_every_disclosure_before_it_ended(followed: Followed) -> None:
    hotel = followed.shared.hotel
    deal = await followed.received(10)
    consent = await followed.withdraw(deal, 10)
    await followed.read(deal)
    log = Disclosures(followed.shared.gateway.database)
    told = await log.of_person(followed.shared.bank.id, await followed.pseudonym(deal, 10))
    assert [(one.recipient, one.purpose, one.consent, one.fields) for one in told] == [
        (hotel.id, "customer_referral", consent, ("name", "phone"))
    ]
