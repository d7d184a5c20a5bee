"""Filing twice, in no agreement, and for what the terms do not cover."""

from __future__ import annotations

from tests.access.world import Deal, Shared
from tests.confiding import assessment, at, done, file, opt_in, opt_out


async def test_the_same_request_with_the_same_key_is_done_once(shared: Shared) -> None:
    deal = await shared.personal([1])
    memo = {"owner": shared.bank.id, "said": "s", "by": "b", "to": "t", "said_at": at(shared.bank.now)}
    for path, body in (
        ("/v1/persons", {"name": "Li Na"}),
        (f"/v1/agreements/{deal.agreement}/datasets/{deal.dataset}/assessments", assessment(shared.bank)),
        (f"/v1/agreements/{deal.agreement}/memos", memo | {"answer_within_days": 1}),
    ):
        token = await shared.bank.token()
        headers = {"Idempotency-Key": f"key of {path[-20:]}"}
        first = await shared.bank.call("POST", path, token, json=body, headers=headers)
        entered = len(await shared.entries(shared.bank.id))
        again = await shared.bank.call("POST", path, token, json=body, headers=headers)
        assert (first.status_code, again.content) == (201, first.content), first.text
        assert len(await shared.entries(shared.bank.id)) == entered
        other = await shared.bank.call("POST", path, token, json=body | {"x": 1}, headers=headers)
        assert other.status_code in (400, 409)


async def test_what_the_terms_do_not_cover_and_who_has_no_part_are_alike_not_found(shared: Shared) -> None:
    deal, other = await shared.market(), await shared.places()
    uncovered = Deal(deal.agreement, other)
    for member, where in ((shared.hotel, uncovered), (shared.stranger, deal), (shared.hotel, Deal("0" * 32, other))):
        seen = {
            (answer.status_code, answer.json()["detail"])
            for answer in (
                await opt_in(member, where.agreement, where.dataset),
                await opt_out(member, where.agreement, where.dataset),
                await file(member, f"/v1/agreements/{where.agreement}/datasets/{where.dataset}/roster", method="GET"),
            )
        }
        assert seen == {(404, "There is no such thing for you here.")}


async def test_nothing_is_given_under_an_agreement_that_was_terminated_and_leaving_it_still_works(
    shared: Shared,
) -> None:
    deal = await shared.market()
    done(await file(shared.hotel, f"/v1/agreements/{deal.agreement}/termination"))
    done(await opt_out(shared.hotel, deal.agreement, deal.dataset))
    back = await opt_in(shared.hotel, deal.agreement, deal.dataset)
    assert (back.status_code, back.json()["code"]) == (409, "agreement_terminated")


async def test_nothing_is_given_under_an_agreement_that_another_has_replaced(shared: Shared) -> None:
    """What was meant for the amendment would be taken, and help nobody."""
    old = await shared.personal([1])
    new = await shared.bank.agree(
        shared.hotel, old.dataset, ["name"], amends=old.agreement, purposes=["customer_referral"]
    )
    place = f"/v1/agreements/{old.agreement}/datasets/{old.dataset}"
    for answer in (
        await opt_in(shared.hotel, old.agreement, old.dataset),
        await file(shared.bank, f"{place}/assessments", assessment(shared.bank)),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "agreement_terminated"), answer.text
    done(await opt_out(shared.hotel, old.agreement, old.dataset))
    done(await opt_in(shared.hotel, new, old.dataset))


async def test_whatever_ends_beside_the_terms_narrows_the_owner_with_its_entry(shared: Shared) -> None:
    """No permit that was judged before can be appended after it; a second time nothing ends."""
    deal = await shared.personal([1])
    place = f"/v1/agreements/{deal.agreement}/datasets/{deal.dataset}"
    [assessed] = done(await file(shared.bank, f"{place}/assessments", method="GET"))["items"]
    stated = {"kind": "exempt", "number": "E-1", "until": at(shared.bank.now + 60)}
    filed = done(await file(shared.bank, f"{place}/transfers", stated))
    for path, act in (
        (f"{place}/participation", "opted_out"),
        (f"{place}/assessments/{assessed['id']}", "assessment_ended"),
        (f"{place}/transfers/{filed['id']}", "transfer_ended"),
    ):
        before = await shared.gateway.ledger.narrowing(shared.bank.id)
        for _ in range(2):
            done(await file(shared.bank, path, method="DELETE"))
        assert len([one for one in await shared.entries(shared.bank.id) if one.get("act") == act]) == 1
        assert await shared.gateway.ledger.narrowing(shared.bank.id) > before, act


async def test_a_token_without_the_action_files_nothing(shared: Shared) -> None:
    deal = await shared.market()
    token = await shared.hotel.token({"type": "alliance_member", "actions": ["audit"]})
    place = f"/v1/agreements/{deal.agreement}/datasets/{deal.dataset}"
    for method, path, body in (
        ("PUT", f"{place}/participation", None),
        ("DELETE", f"{place}/participation", None),
        ("PUT", f"{place}/roster/{'0' * 32}", {}),
        ("POST", "/v1/persons", {"name": "Li Na"}),
    ):
        answer = await shared.hotel.call(method, path, token, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "ACTION_NOT_GRANTED"), path
