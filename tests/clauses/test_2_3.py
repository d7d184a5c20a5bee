"""Agreements are drafted with machine-readable terms, signed by both, archived, and stop when they end."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import httpx

from gateway.agreements.templates import templates
from tests.access.world import Deal, Shared, reasons, records
from tests.alliance import instant
from tests.confiding import done, opt_in

TERM_MISSING = ("TERM_MISSING", "2.3.1")
NOT_IN_FORCE = ("AGREEMENT_NOT_IN_FORCE", "2.3.2")
FIELDS = ["code", "city", "price"]


async def revised(shared: Shared, agreement: str, text: bytes, **changes: Any) -> tuple[httpx.Response, bytes]:
    """The hotel's other text of a draft (a change to None drops the term), and what is then to be signed."""
    terms = json.loads(text) | changes
    proposal = {name: terms[name] for name in terms if name not in ("v", "alliance", "agreement")}
    proposal = {name: value for name, value in proposal.items() if value is not None}
    path = f"/v1/agreements/{agreement}/revisions?replaces={hashlib.sha256(text).hexdigest()}"
    answer = await shared.hotel.call("POST", path, await shared.hotel.token(), json=proposal)
    new = await shared.hotel.get(f"/v1/agreements/{agreement}/terms", await shared.hotel.token())
    return answer, new.content


async def signed_by_both(shared: Shared, agreement: str, text: bytes) -> None:
    await shared.bank.confirm(shared.hotel)
    await shared.hotel.confirm(shared.bank)
    for party in (shared.bank, shared.hotel):
        answer = await party.sign(agreement, text)
        assert answer.status_code == 200, answer.text


async def opted_in(shared: Shared, deal: Deal) -> None:
    """Both sides take part in the share, as clause 1.3.1 leaves it to them."""
    for party in (shared.bank, shared.hotel):
        done(await opt_in(party, deal.agreement, deal.dataset))


async def test_2_3_1_an_agreement_without_a_frequency_term_cannot_activate_the_information_feed(
    shared: Shared,
) -> None:
    dataset = await shared.places()
    agreement, text = await shared.bank.draft(shared.hotel, dataset, FIELDS)
    answer, text = await revised(shared, agreement, text, frequency=None)
    assert answer.status_code == 201, answer.text
    await signed_by_both(shared, agreement, text)
    deal = Deal(agreement, dataset)
    refused = await shared.hotel.get(deal.path, await shared.token(deal))
    assert refused.status_code == 403
    assert TERM_MISSING in reasons(refused.json())
    assert TERM_MISSING in reasons(await shared.last_access())


async def test_2_3_1_a_template_names_each_term_that_is_missing_and_this_clause(shared: Shared) -> None:
    agreement, text = await shared.bank.draft(shared.hotel, await shared.places(), FIELDS)
    for name, template in templates().items():
        refused, after = await revised(shared, agreement, text, template=name)
        assert (refused.status_code, refused.json()["code"]) == (400, "template_term_missing")
        assert "(clause 2.3.1)" in refused.json()["detail"]
        absent = [one for one in template.mandatory if one not in ("/frequency", "/datasets/*/lawful_basis")]
        assert all(one.replace("*", "0") in refused.json()["detail"] for one in absent)
        assert after == text


async def test_2_3_2_with_one_of_two_signatures_nothing_is_granted_and_after_the_second_it_works(
    shared: Shared,
) -> None:
    dataset = await shared.places()
    standing = Deal(await shared.bank.agree(shared.hotel, dataset, FIELDS), dataset)
    agreement, text = await shared.bank.draft(shared.hotel, dataset, FIELDS)
    deal = Deal(agreement, dataset)
    other = await shared.token(standing)
    for signed in ((), (shared.bank,)):
        for party in signed:
            assert (await party.sign(agreement, text)).status_code == 200
        refused = await shared.hotel.ask_token(shared.hotel.under(agreement, dataset))
        assert refused.status_code == 400, refused.text
        answer = await shared.hotel.get(deal.path, other, purpose="market_analysis")
        assert answer.status_code == 403
        assert NOT_IN_FORCE in reasons(answer.json())
    assert (await shared.hotel.sign(agreement, text)).status_code == 200
    await opted_in(shared, deal)
    answer = await shared.hotel.get(deal.path, await shared.token(deal))
    assert len(records(answer)) == 3


async def test_2_3_2_after_expiry_an_agreement_stops_within_one_decision(shared: Shared) -> None:
    ends = datetime.fromtimestamp(shared.clock() // 1000 + 60, UTC)
    deal = await shared.market(end=instant(ends))
    token = await shared.token(deal)
    shared.clock.pass_seconds(59)
    assert len(records(await shared.hotel.get(deal.path, token))) == 3
    shared.clock.pass_seconds(1)
    before = await shared.accesses()
    answer = await shared.hotel.get(deal.path, token)
    assert answer.status_code in (401, 403), answer.text
    assert [one["effect"] for one in (await shared.accesses())[len(before) :]] in ([], ["deny"])
    assert (await shared.hotel.ask_token(shared.hotel.under(deal.agreement, deal.dataset))).status_code == 400


async def test_2_3_2_a_signature_over_another_text_is_refused_by_name(shared: Shared) -> None:
    agreement, first = await shared.bank.draft(shared.hotel, await shared.places(), FIELDS)
    _, second = await revised(shared, agreement, first, title="Another text")
    await shared.hotel.confirm(shared.bank)
    for text, code in ((first, "signature_over_other_revision"), (second + b" ", "signature_over_other_text")):
        answer = await shared.bank.sign(agreement, text)
        assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert (await shared.bank.sign(agreement, second)).status_code == 200


async def test_2_3_2_every_text_and_signature_is_archived_with_its_digest(shared: Shared) -> None:
    agreement, first = await shared.bank.draft(shared.hotel, await shared.places(), FIELDS)
    _, second = await revised(shared, agreement, first, title="Another text")
    await signed_by_both(shared, agreement, second)
    archive = (await shared.bank.get(f"/v1/agreements/{agreement}/archive", await shared.bank.token())).json()
    digests = [hashlib.sha256(text).hexdigest() for text in (first, second)]
    assert [one["terms_sha256"] for one in archive["texts"]] == digests
    assert [one["author"] for one in archive["texts"]] == [shared.bank.id, shared.hotel.id]
    assert {one["member"] for one in archive["signatures"]} == {shared.bank.id, shared.hotel.id}
    assert archive["terms_sha256"] == digests[1]


async def test_2_3_2_an_amendment_takes_over_without_a_gap_or_an_overlap(shared: Shared) -> None:
    deal = await shared.market()
    narrower, text = await shared.bank.draft(shared.hotel, deal.dataset, ["code"], amends=deal.agreement)
    token = await shared.token(deal)
    assert (await shared.bank.sign(narrower, text)).status_code == 200
    assert len(records(await shared.hotel.get(deal.path, token))) == 3
    assert (await shared.hotel.sign(narrower, text)).status_code == 200
    answer = await shared.hotel.get(deal.path, token)
    assert answer.status_code == 403
    assert NOT_IN_FORCE in reasons(answer.json())
    replaced = (await shared.bank.get(f"/v1/agreements/{deal.agreement}", await shared.bank.token())).json()
    assert (replaced["state"], replaced["superseded_by"]) == ("superseded", narrower)
    after = Deal(narrower, deal.dataset)
    await opted_in(shared, after)
    found = records(await shared.hotel.get(after.path, await shared.token(after)))
    assert {tuple(one) for one in found.values()} == {("code",)}
