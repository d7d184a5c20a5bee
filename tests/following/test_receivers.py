"""Who is asked once a consent ended: whoever received, and whoever it may have been passed on to."""

from __future__ import annotations

import pytest

from tests.access.world import Deal
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


async def test_who_received_by_a_consent_that_was_used_up_is_asked_when_the_person_withdraws(
    followed: Followed,
) -> None:
    shared = followed.shared
    deal = await shared.personal([44])
    await shared.bank.consent(deal.dataset, shared.hotel, "C00044", max_uses=1)
    assert len(await followed.read(deal)) == 1
    assert len(await followed.read(deal)) == 0
    assert await followed.progress(deal, 44) == []
    for _ in range(2):
        assert (await shared.bank.withdraw(deal.dataset, "C00044")).json()["withdrawn"] == []
        [one] = await followed.progress(deal, 44)
        assert (one.recipient, one.cause) == (shared.hotel.id, "withdrawn")
