"""Customers are referred within the law: offered without saying who, disclosed by their own consent alone."""

from __future__ import annotations

from tests.access.world import Shared, reasons
from tests.confiding import done
from tests.referrals.world import act, referring, see, state


async def test_4_3_1_a_referral_with_consent_for_one_recipient_cannot_be_read_by_another(shared: Shared) -> None:
    bank = await referring(shared, shared.bank, range(1, 3))
    made = await bank.offer(1)
    done(await act(shared.hotel, made, "accept"))
    for path in (f"/v1/referrals/{made}", f"/v1/referrals/{'0' * 32}"):
        answer = await shared.stranger.get(path, await shared.stranger.token())
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    asked = await shared.stranger.post(f"/v1/referrals/{made}/disclosure", await shared.stranger.token(), {})
    assert asked.status_code == 404
    assert "Person" in (await bank.ask_disclosure(made)).text


async def test_4_3_1_without_a_valid_consent_a_referral_is_refused_and_no_personal_information_leaves(
    shared: Shared,
) -> None:
    bank = await referring(shared, shared.bank, range(1, 3))
    pending = await bank.refer(1, consented=False)
    assert (await see(shared.hotel, pending)).status_code == 404
    made = await bank.offer(2)
    done(await act(shared.hotel, made, "accept"))
    await bank.withdraw(2)
    refused = await bank.ask_disclosure(made)
    assert (refused.status_code, reasons(refused.json())) == (403, [("CONSENT_REQUIRED", "4.3.1")])
    assert "Person" not in refused.text
    entry = (await shared.entries(shared.bank.id))[-1]
    assert (entry["act"], entry["effect"], reasons(entry)) == (
        "referral_refused",
        "deny",
        [("CONSENT_REQUIRED", "4.3.1")],
    )
    assert [one for one in await shared.accesses() if one["effect"] == "permit"] == []


async def test_4_3_1_the_recipient_sees_no_person_before_it_has_accepted(shared: Shared) -> None:
    bank = await referring(shared, shared.bank, range(1, 3))
    made = await bank.offer(1)
    offer = await see(shared.hotel, made)
    assert not any(clue in offer.text for clue in ("C00001", "Person 1", "1380000"))
    assert (await bank.ask_disclosure(made)).json()["code"] == "wrong_state"
    done(await act(shared.hotel, made, "accept"))
    told = done(await bank.ask_disclosure(made))
    assert told["referral"]["state"] == "disclosed"
    assert await state(shared.bank, made) == "disclosed"


async def test_4_3_2_a_referral_discloses_the_consented_and_agreed_fields_and_no_other(shared: Shared) -> None:
    bank = await referring(shared, shared.bank, range(1, 3))
    await bank.consent(1, fields=["name", "id_number"])
    made = await bank.draft(1)
    done(await act(shared.bank, made, "submit"))
    await shared.gateway.referrals.running.run()
    done(await act(shared.hotel, made, "accept"))
    assert done(await bank.ask_disclosure(made))["record"]["fields"] == {"name": "Person 1"}


async def test_4_3_2_every_act_on_a_referral_is_an_entry_with_both_sides(shared: Shared) -> None:
    bank = await referring(shared, shared.bank, range(1, 3))
    made = await bank.disclosed(1)
    logs = {
        log: [one["act"] for one in await shared.entries(log) if one.get("referral") == made]
        for log in (shared.bank.id, shared.hotel.id)
    }
    assert logs == {
        shared.bank.id: [
            "referral_drafted",
            "referral_submitted",
            "referral_registered",
            "referral_accepted",
            "referral_disclosed",
        ],
        shared.hotel.id: ["referral_offered", "referral_accepted", "referral_disclosed"],
    }
