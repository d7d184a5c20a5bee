"""What stands beside the terms is ended by whoever answers for it; nobody else's word ends it, or brings it back."""

from __future__ import annotations

import pytest

from gateway.errors import Conflicting
from tests.access.world import Shared, reasons
from tests.confiding import EVIDENCE, at, confided, done, enlist, file, grant, opt_in, opt_out, person_of, strike


async def test_what_the_owner_answers_for_is_ended_by_the_owner_alone(shared: Shared) -> None:
    terms = {"onward": "written_consent", "third_parties": [shared.stranger.id]}
    deal = await shared.personal([1], **terms)
    under = f"/v1/agreements/{deal.agreement}"
    place = f"{under}/datasets/{deal.dataset}"
    [assessed] = done(await file(shared.bank, f"{place}/assessments", method="GET"))["items"]
    stated = {"kind": "exempt", "number": "E-1", "until": at(shared.bank.now + 60)}
    mechanism = done(await file(shared.bank, f"{place}/transfers", stated))
    given = done(await grant(shared.bank, deal.agreement, shared.stranger.id, "customer_referral"))
    public = {"fields": ["name"], "ground": "public", "evidence_sha256": EVIDENCE}
    released = done(await file(shared.hotel, f"{place}/releases", public))
    for path in (
        f"{place}/assessments/{assessed['id']}",
        f"{place}/transfers/{mechanism['id']}",
        f"{under}/onward-grants/{given['id']}",
        f"{under}/releases/{released['id']}",
    ):
        for member in (shared.hotel, shared.stranger):
            refused = await file(member, path, method="DELETE")
            assert (refused.status_code, reasons(refused.json())) == (403, [("OWNER_ONLY", "")]), path
        done(await file(shared.bank, path, method="DELETE"))


async def test_a_third_party_takes_no_part_releases_nothing_and_strikes_its_own_persons_alone(shared: Shared) -> None:
    third = shared.stranger
    deal = await shared.market(onward="written_consent", third_parties=[third.id])
    public = {"fields": ["code"], "ground": "public", "evidence_sha256": EVIDENCE}
    for refused in (
        await opt_in(third, deal.agreement, deal.dataset),
        await opt_out(third, deal.agreement, deal.dataset),
        await file(third, f"/v1/agreements/{deal.agreement}/datasets/{deal.dataset}/releases", public),
    ):
        assert (refused.status_code, reasons(refused.json())) == (403, [("PARTY_ONLY", "")])
    foreign = await confided(shared.hotel, deal.agreement, deal.dataset, shared.bank.id)
    assert (await strike(third, deal.agreement, deal.dataset, foreign)).status_code == 404
    own = await person_of(third)
    done(await enlist(third, deal.agreement, deal.dataset, own))
    assert done(await strike(third, deal.agreement, deal.dataset, own))["struck_by"] == third.id


async def test_a_mechanism_that_its_owner_ended_or_that_is_over_is_not_accepted_any_more(shared: Shared) -> None:
    deal = await shared.personal([1])
    transfers = f"/v1/agreements/{deal.agreement}/datasets/{deal.dataset}/transfers"
    stated = {"kind": "exempt", "number": "E-1", "until": at(shared.bank.now + 60)}
    ended, over = [done(await file(shared.bank, transfers, stated))["id"] for _ in range(2)]
    acceptance = shared.gateway.confidentiality.transfers.acceptance
    asked = {one: (await acceptance(one))[1] for one in (ended, over)}
    done(await file(shared.bank, f"{transfers}/{ended}", method="DELETE"))
    with pytest.raises(Conflicting, match="transfer_settled"):
        await shared.alliance.by_two("accept_transfer", **asked[ended])
    shared.clock.pass_seconds(60)
    with pytest.raises(Conflicting, match="interval_over"):
        await shared.alliance.by_two("accept_transfer", **asked[over])
