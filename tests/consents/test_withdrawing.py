"""Who withdraws or sees a consent: the owner of the data it is about, and nobody learns of another's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.consents.states import Event
from gateway.errors import Conflicting, NotFound
from tests.catalog.conftest import BANK, HOTEL, Shop, subject_of
from tests.consents.desk import opened_desk, statement


@pytest.mark.parametrize("ended", [False, True])
async def test_a_consent_of_another_owner_looks_like_one_that_never_was(shop: Shop, *, ended: bool) -> None:
    desk = await opened_desk(shop)
    [told] = await desk.record(statement(desk.now - 5))
    if ended:
        await desk.act(told["id"], Event.REVOKE)
    before = await desk.show(told["id"])
    for somebody, consent_id in ((subject_of(HOTEL), told["id"]), (shop.owner, "0" * 32)):
        for act in (desk.consents.withdrawing.one, desk.consents.showing.one, desk.consents.showing.receipts):
            with pytest.raises(NotFound):
                await act(somebody, consent_id)
    assert await desk.show(told["id"]) == before


async def test_a_recipients_copy_is_for_the_recipient_of_that_alliance(shop: Shop) -> None:
    desk = await opened_desk(shop)
    [told] = await desk.record(statement(desk.now - 5))
    assert len(await desk.consents.showing.receipts(subject_of(BANK), told["id"])) == 1
    elsewhere = replace(subject_of(BANK), alliance="b" * 32)
    with pytest.raises(NotFound):
        await desk.consents.showing.receipts(elsewhere, told["id"])


async def test_nothing_is_withdrawn_from_a_dataset_without_persons(shop: Shop) -> None:
    prices = await shop.declare({"price": {"type": "integer", "x-class": "terms", "x-grade": 1}}, name="prices")
    desk = await opened_desk(shop)
    with pytest.raises(Conflicting, match="not_personal"):
        await desk.consents.withdrawing.matching(shop.owner, prices.id, person="C1")


async def test_what_is_withdrawn_for_one_purpose_stands_for_another(shop: Shop) -> None:
    desk = await opened_desk(shop)
    document = desk.document()
    for item in document["items"][:2]:
        document["items"].append(item | {"purpose": "joint_marketing"})
    await desk.publish(document, ago=0)
    shop.clock.now += 1_000
    purposes = ("customer_referral", "joint_marketing")
    referral, marketing = await desk.record(*(statement(desk.now, purpose=one) for one in purposes))
    assert await desk.withdraw(purpose="joint_marketing") == [marketing["id"]]
    assert await desk.state(referral["id"]) == "given"
