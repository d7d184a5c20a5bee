"""Who is asked once a consent ended: whoever received, and whoever it may have been passed on to."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import Invalid
from tests.access.world import Deal, records
from tests.confiding import done, grant, lasting
from tests.following.world import DAY_S, Followed

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def passed_on(followed: Followed, number: int) -> Deal:
    """A deal under which the hotel has read a person, and may pass them on to the stranger."""
    bank, hotel, stranger = followed.shared.bank, followed.shared.hotel, followed.shared.stranger
    deal = await followed.shared.personal([number], onward="written_consent", third_parties=[stranger.id])
    done(await grant(bank, deal.agreement, stranger.id, "customer_referral", **lasting(bank, ends=3 * DAY_S)))
    await bank.consent(deal.dataset, hotel, f"C{number:05}")
    assert len(await followed.read(deal)) == 1
    return deal


async def renewed(followed: Followed, deal: Deal) -> str:
    """A newer agreement over the same data, without any third party."""
    followed.shared.clock.pass_seconds(60)
    agreed = {"purposes": ["customer_referral"]}
    return await followed.shared.bank.agree(followed.shared.hotel, deal.dataset, ["name"], **agreed)


async def asked(followed: Followed, deal: Deal, number: int) -> dict[str, str]:
    """Who is asked once the person withdraws, and under which agreement."""
    rows = await followed.of_consent(await followed.withdraw(deal, number))
    return {row["recipient"]: row["agreement"] for row in rows}


async def both_read(followed: Followed, number: int) -> tuple[Deal, Deal]:
    """Deals of the hotel and of the stranger, who have both read a person; the hotel may pass it on to the stranger."""
    bank, stranger = followed.shared.bank, followed.shared.stranger
    deal = await passed_on(followed, number)
    followed.shared.clock.pass_seconds(60)
    agreement = await bank.agree(stranger, deal.dataset, ["name"], purposes=["customer_referral"])
    own = Deal(agreement, deal.dataset)
    await bank.consent(own.dataset, stranger, f"C{number:05}", fields=["name"])
    token = await stranger.token(stranger.under(own.agreement, own.dataset, "customer_referral"))
    assert len(records(await stranger.get(own.path, token))) == 1
    return deal, own


async def queued(followed: Followed, deal: Deal, number: int, **said: Any) -> list[str]:
    """What is held of the person changed; the ids of the follow-ups."""
    gateway, bank = followed.shared.gateway, followed.shared.bank
    pseudonym = await followed.pseudonym(deal, number)
    [no] = {one.dataset_no for one in await gateway.disclosures.of_person(bank.id, pseudonym)}
    async with gateway.ledger.changing(bank.id) as change:
        return await gateway.following.queue(change, bank.id, no, pseudonym, **said)


async def corrected(followed: Followed, deal: Deal, number: int, **said: Any) -> list[dict[str, Any]]:
    """The follow-ups of a correction, as the bank sees them."""
    ids = await queued(followed, deal, number, cause="corrected", **said)
    return [one for one in await followed.owed(followed.shared.bank, role="owner", limit="100") if one["id"] in ids]


async def test_a_renewed_agreement_loses_nobody_to_whom_the_former_one_let_it_pass_on(followed: Followed) -> None:
    shared = followed.shared
    deal = await passed_on(followed, 41)
    await renewed(followed, deal)
    assert await asked(followed, deal, 41) == dict.fromkeys((shared.hotel.id, shared.stranger.id), deal.agreement)


async def test_each_is_asked_under_the_agreement_by_which_it_may_have_received(followed: Followed) -> None:
    shared = followed.shared
    deal = await passed_on(followed, 42)
    newer = Deal(await renewed(followed, deal), deal.dataset)
    await shared.bank.withdraw(deal.dataset, "C00042")
    shared.clock.pass_seconds(120)
    await shared.bank.consent(deal.dataset, shared.hotel, "C00042", fields=["name"])
    assert len(await followed.read(newer)) == 1
    assert await asked(followed, deal, 42) == {shared.hotel.id: newer.agreement, shared.stranger.id: deal.agreement}


async def test_what_was_read_under_an_agreement_that_ended_is_followed_under_it(followed: Followed) -> None:
    shared = followed.shared
    deal = await passed_on(followed, 43)
    ended = await shared.bank.post(f"/v1/agreements/{deal.agreement}/termination", await shared.bank.token())
    assert ended.status_code < 300, ended.text
    await renewed(followed, deal)
    assert await asked(followed, deal, 43) == dict.fromkeys((shared.hotel.id, shared.stranger.id), deal.agreement)


async def test_a_grant_for_another_purpose_or_over_other_data_has_nobody_asked(followed: Followed) -> None:
    bank, hotel, stranger = followed.shared.bank, followed.shared.hotel, followed.shared.stranger
    parties = {"onward": "written_consent", "third_parties": [stranger.id]}
    deal = await followed.shared.personal([45], purposes=["customer_referral", "service_delivery"], **parties)
    elsewhere = await followed.shared.personal([46], **parties)
    done(await grant(bank, deal.agreement, stranger.id, "service_delivery"))
    done(await grant(bank, elsewhere.agreement, stranger.id, "customer_referral"))
    await bank.consent(deal.dataset, hotel, "C00045")
    assert len(await followed.read(deal)) == 1
    assert await asked(followed, deal, 45) == {hotel.id: deal.agreement}


async def test_an_agreement_for_another_purpose_is_not_the_one_under_which_anybody_is_asked(followed: Followed) -> None:
    shared = followed.shared
    deal = await shared.personal([47])
    shared.clock.pass_seconds(60)
    await shared.bank.agree(shared.hotel, deal.dataset, ["name"], purposes=["service_delivery"])
    await shared.bank.consent(deal.dataset, shared.hotel, "C00047")
    assert len(await followed.read(deal)) == 1
    assert await asked(followed, deal, 47) == {shared.hotel.id: deal.agreement}


async def test_who_received_and_may_have_been_passed_it_too_is_asked_once(followed: Followed) -> None:
    shared = followed.shared
    deal, own = await both_read(followed, 48)
    rows = await corrected(followed, deal, 48)
    assert {row["recipient"]: (row["agreement"], row["named_in"]) for row in rows} == {
        shared.hotel.id: (deal.agreement, None),
        shared.stranger.id: (own.agreement, None),
    }
    assert len(rows) == 2


async def test_who_is_left_out_of_a_correction_is_not_asked(followed: Followed) -> None:
    deal, own = await both_read(followed, 49)
    [row] = await corrected(followed, deal, 49, recipients=[followed.shared.stranger.id])
    assert (row["recipient"], row["agreement"]) == (followed.shared.stranger.id, own.agreement)
    assert await corrected(followed, deal, 49, recipients=[]) == []


async def test_what_is_followed_for_no_known_cause_is_refused_and_asks_nobody(followed: Followed) -> None:
    deal, _ = await both_read(followed, 50)
    with pytest.raises(Invalid, match="unknown_cause"):
        await queued(followed, deal, 50, cause="forgotten")
    assert await followed.progress(deal, 50) == []


async def test_who_received_by_a_consent_that_was_used_up_is_asked_once_however_often_the_person_withdraws(
    followed: Followed,
) -> None:
    shared = followed.shared
    bank, hotel = shared.bank, shared.hotel
    deal = await shared.personal([44])
    [consent] = await bank.consent(deal.dataset, hotel, "C00044", max_uses=1)
    assert len(await followed.read(deal)) == 1
    assert len(await followed.read(deal)) == 0
    assert await followed.progress(deal, 44) == []
    for _ in range(2):
        assert (await bank.withdraw(deal.dataset, "C00044")).json()["withdrawn"] == []
        done(await bank.post(f"/v1/consents/{consent}/withdrawal", await bank.token(), {}))
        pair = {"subject": "C00044", "duplicate": "C00045"}
        merged = await bank.post(f"/v1/datasets/{deal.dataset}/merges", await bank.token(), pair)
        assert merged.json()["withdrawn"] == []
        [one] = await followed.of_consent(consent)
        assert (one["recipient"], one["cause"]) == (hotel.id, "withdrawn")
