"""Where a referral may begin: persons of the referrer's own dataset, as an agreement in force lets them be referred."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.catalog.subject_keys import subject_keys
from gateway.referrals import drafting
from gateway.vault.keyring import SubjectKey
from tests.access.world import Shared
from tests.alliance import MARKET_SCHEMA, PERSONAL_SCHEMA
from tests.confiding import done
from tests.referrals.world import Referring, granted, post, referring

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_nobody_drafts_under_an_agreement_that_lets_it_receive(bank: Referring) -> None:
    own = await bank.hotel.declare(PERSONAL_SCHEMA)
    refused = await post(bank.hotel, "/v1/referrals", bank.body(1, dataset=own))
    assert refused.status_code == 404


async def test_nobody_is_referred_out_of_a_dataset_or_for_a_purpose_that_is_not_agreed_on(bank: Referring) -> None:
    another = await bank.referrer.declare(PERSONAL_SCHEMA)
    for changed in ({"dataset": another}, {"purpose": "joint_marketing"}):
        refused = await bank.ask_draft(1, **changed)
        assert (refused.status_code, refused.json()["code"]) == (400, "referral_not_agreed"), changed
        assert refused.json()["field"] == "/dataset"


async def test_nobody_is_referred_out_of_a_dataset_without_persons(shared: Shared, bank: Referring) -> None:
    prices = await shared.bank.declare(MARKET_SCHEMA)
    agreed = await shared.bank.agree(shared.hotel, prices, ["city"], purposes=["customer_referral"])
    refused = await bank.ask_draft(1, agreement=agreed, dataset=prices)
    assert (refused.status_code, refused.json()["code"]) == (400, "referral_not_agreed")


async def test_nobody_is_referred_under_an_agreement_that_has_ended(shared: Shared) -> None:
    ended = await referring(shared, shared.bank)
    done(await post(ended.referrer, f"/v1/agreements/{ended.deal.agreement}/termination", {}))
    refused = await ended.ask_draft(1)
    assert (refused.status_code, refused.json()["code"]) == (409, "agreement_not_in_force")


async def test_a_person_that_is_deleted_while_it_is_referred_is_not_referred(
    bank: Referring, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deleted_meanwhile(*of: Any) -> dict[str, SubjectKey]:
        found = await subject_keys(*of)
        await granted(bank, 3, "deletion")
        return found

    monkeypatch.setattr(drafting, "subject_keys", deleted_meanwhile)
    refused = await bank.ask_draft(3)
    assert (refused.status_code, refused.json()["code"]) == (409, "person_deleted")
