"""Listing a person again: who struck it may, but gives no more than the employer did, and nothing to one who left."""

from __future__ import annotations

from tests.access.world import Shared
from tests.confiding import confided, done, enlist, file, lasting, strike


async def test_whoever_lists_anothers_person_again_gives_no_more_time_than_the_employer_did(shared: Shared) -> None:
    deal = await shared.market()
    person = await confided(shared.hotel, deal.agreement, deal.dataset, shared.bank.id)
    sooner, ends, later = (lasting(shared.hotel, ends=seconds)["until"] for seconds in (50, 100, 101))
    done(await enlist(shared.hotel, deal.agreement, deal.dataset, person, until=ends))
    done(await strike(shared.bank, deal.agreement, deal.dataset, person))
    refused = await enlist(shared.bank, deal.agreement, deal.dataset, person, until=later)
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (400, "interval_beyond", "/until")
    for until, listed in (({}, ends), ({"until": ends}, ends), ({"until": sooner}, sooner)):
        done(await strike(shared.bank, deal.agreement, deal.dataset, person))
        assert done(await enlist(shared.bank, deal.agreement, deal.dataset, person, **until))["until"] == listed
    assert done(await enlist(shared.hotel, deal.agreement, deal.dataset, person))["until"] is None


async def test_a_person_whose_time_is_over_is_not_listed_again_by_another(shared: Shared) -> None:
    deal = await shared.market()
    person = await confided(shared.hotel, deal.agreement, deal.dataset, shared.bank.id)
    done(await enlist(shared.hotel, deal.agreement, deal.dataset, person, until=lasting(shared.hotel, ends=9)["until"]))
    done(await strike(shared.bank, deal.agreement, deal.dataset, person))
    shared.clock.pass_seconds(9)
    refused = await enlist(shared.bank, deal.agreement, deal.dataset, person)
    assert (refused.status_code, refused.json()["code"]) == (400, "interval_over")


async def test_a_person_who_has_left_is_listed_again_by_nobody(shared: Shared) -> None:
    deal = await shared.market()
    for striking in (shared.hotel, shared.bank):
        person = await confided(shared.hotel, deal.agreement, deal.dataset, shared.alliance.id)
        done(await strike(striking, deal.agreement, deal.dataset, person))
        done(await file(shared.hotel, f"/v1/persons/{person}", method="DELETE"))
        refused = await enlist(striking, deal.agreement, deal.dataset, person)
        assert (refused.status_code, refused.json()["code"]) == (409, "person_left")
