"""The answer to a disclosure: signed where it was asked for so, and refused on record where nobody is behind it."""

from __future__ import annotations

from itertools import count

import pytest

from tests.access.world import Shared, person, reasons
from tests.confiding import done
from tests.referrals.world import Referring, act, entries_of, referring, state
from tests.signing import check_answer, is_signed, send_signed

pytestmark = pytest.mark.asyncio(loop_scope="module")
_numbers = count(1)


async def accepted(of: Referring, number: int) -> str:
    """A referral that the hotel has accepted."""
    referral = await of.offer(number)
    done(await act(of.hotel, referral, "accept"))
    return referral


async def test_a_signed_request_for_a_disclosure_is_answered_with_a_signature(shared: Shared, bank: Referring) -> None:
    number = next(_numbers)
    path = f"/v1/referrals/{await accepted(bank, number)}/disclosure"
    signed = await send_signed(bank.hotel, "POST", path, await bank.reading(), b"{}")
    assert done(signed)["record"]["fields"]["name"] == f"Person {number}"
    covered = await check_answer(shared.alliance, signed)
    assert covered['"@target-uri";req'] == f"{shared.alliance.base}{path}"
    assert not is_signed(await bank.hotel.post(path, await bank.reading(), {}))


async def test_whoever_says_more_than_nothing_is_disclosed_nobody(shared: Shared, bank: Referring) -> None:
    referral = await accepted(bank, next(_numbers))
    before = len(await shared.accesses())
    refused = await bank.hotel.post(f"/v1/referrals/{referral}/disclosure", await bank.reading(), {"fields": ["name"]})
    assert (refused.status_code, refused.json()["code"]) == (400, "unknown_field")
    assert (await state(bank.hotel, referral), len(await shared.accesses())) == ("accepted", before)


async def test_a_refusal_of_a_signed_request_for_a_disclosure_is_signed(shared: Shared, bank: Referring) -> None:
    """Else whoever sits between could refuse in the gateway's name, and the recipient would call it the referrer."""
    referral = await bank.offer(next(_numbers))
    for content, status in ((b'{"fields":["name"]}', 400), (b"{}", 409)):
        path, token = f"/v1/referrals/{referral}/disclosure", await bank.reading()
        refused = await send_signed(bank.hotel, "POST", path, token, content)
        assert (refused.status_code, refused.json()["status"]) == (status, status), refused.text
        covered = await check_answer(shared.alliance, refused)
        assert covered['"@status"'] == str(status)
        delivery = (await shared.entries(shared.alliance.id))[-1]
        assert (delivery["kind"], delivery["status"]) == ("delivery", status)
        assert not is_signed(await bank.hotel.post(path, token, {"fields": ["name"]}))


async def test_a_person_whose_row_is_published_no_more_is_refused_on_record(shared: Shared) -> None:
    bank = await referring(shared, shared.bank, [1, 2])
    referral = await accepted(bank, 1)
    done(await bank.referrer.upload(bank.deal.dataset, [person(2)], mode="replace"))
    refused = await bank.ask_disclosure(referral)
    told = refused.json()
    assert (refused.status_code, reasons(told)) == (403, [("CONSENT_REQUIRED", "4.3.1")])
    entry = (await entries_of(shared, bank.referrer.id, referral))[-1]
    assert (entry["act"], entry["effect"], entry["event_id"]) == (
        "referral_refused",
        "deny",
        refused.json()["event_id"],
    )
    assert await state(bank.hotel, referral) == "accepted"
