"""Good faith: what a member attests under its signature, corrects, or turns out to have lied about."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gateway.canonical import canonical
from gateway.errors import Conflicting, Refused
from gateway.identity.jws import sign_compact, thumbprint
from tests.access.world import Shared
from tests.alliance import MARKET_SCHEMA, Member, public


def signed(member: Member, /, *, key: Any = None, typ: str = "attestation+jws", **said: str) -> str:
    """A statement of a member, signed."""
    key = key or member.signing_key
    usual = {"alliance": member.alliance.id, "member": member.id, "about": "member", "statement": "No lawsuit pends."}
    return sign_compact(canonical({**usual, **said}), key, typ=typ, header={"kid": thumbprint(public(key))})


async def attest(member: Member, jws: str) -> httpx.Response:
    """Post a statement."""
    return await member.post("/v1/attestations", await member.token(), {"jws": jws})


async def listed(member: Member) -> list[dict[str, Any]]:
    """What a member sees."""
    answer = await member.get("/v1/attestations", await member.token())
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_1_3_3_a_false_attestation_opens_a_breach_with_the_original_signed_text(shared: Shared) -> None:
    jws = signed(shared.bank)
    made = (await attest(shared.bank, jws)).json()
    _, terms = await shared.gateway.attestations.marking(made["id"], grounds="The court's register says otherwise.")
    proposal = await shared.gateway.approvals.propose(
        shared.alliance.id, "mark_attestation_false", terms, operator="officer"
    )
    with pytest.raises(Refused, match="OWN_PROPOSAL"):
        await shared.gateway.approvals.approve(proposal, operator="officer")
    assert [one["state"] for one in await listed(shared.bank)] == ["standing"]
    breach = await shared.gateway.approvals.approve(proposal, operator="counsel")
    assert [one["state"] for one in await listed(shared.bank)] == ["false"]
    [opened] = [one for one in await shared.entries(shared.alliance.id) if one.get("act") == "case_opened"]
    assert (opened["case"], opened["clause"], opened["subject"]) == (breach, "9.1.3", made["id"])
    assert opened["respondent"] == shared.bank.id
    evidence = (await shared.bank.get(f"/v1/cases/{breach}", await shared.bank.token())).json()["evidence"]
    assert {one["name"]: one["content"] for one in evidence}["attestation"] == jws
    assert (await shared.hotel.get(f"/v1/cases/{breach}", await shared.hotel.token())).status_code == 404
    with pytest.raises(Conflicting, match="marked_false"):
        await shared.alliance.by_two("mark_attestation_false", **terms)


async def test_1_3_3_operators_mark_the_words_that_they_read_and_no_others(shared: Shared) -> None:
    read = (await attest(shared.bank, signed(shared.bank))).json()
    other = (await attest(shared.bank, signed(shared.bank, statement="One lawsuit pends."))).json()
    _, terms = await shared.gateway.attestations.marking(other["id"], grounds="The register says otherwise.")
    with pytest.raises(Conflicting, match="attestation_differs"):
        await shared.alliance.by_two("mark_attestation_false", **terms | {"sha256": read["sha256"]})
    assert [one["state"] for one in await listed(shared.bank)] == ["standing", "standing"]


async def test_1_3_3_a_correction_takes_the_place_and_the_history_stays(shared: Shared) -> None:
    first = (await attest(shared.bank, signed(shared.bank))).json()
    jws = signed(shared.bank, statement="One lawsuit pends.", corrects=first["id"])
    second = (await attest(shared.bank, jws)).json()
    found = {one["id"]: one for one in await listed(shared.hotel)}
    assert (found[first["id"]]["state"], found[second["id"]]["state"]) == ("corrected", "standing")
    assert found[second["id"]]["corrects"] == first["id"]
    again = await attest(shared.bank, signed(shared.bank, statement="None.", corrects=first["id"]))
    assert (again.status_code, again.json()["code"]) == (409, "attestation_not_standing")
    _, terms = await shared.gateway.attestations.marking(first["id"], grounds="It was a lie when it was said.")
    assert await shared.alliance.by_two("mark_attestation_false", **terms)


async def test_1_3_3_a_statement_about_data_is_its_owners_and_names_its_source(shared: Shared) -> None:
    dataset = await shared.bank.declare(MARKET_SCHEMA)
    said = {"about": dataset, "record": "r1", "statement": "Checked by hand.", "source": "The branch's own count."}
    assert (await attest(shared.bank, signed(shared.bank, **said))).status_code == 201
    assert (await attest(shared.hotel, signed(shared.hotel, **said))).status_code == 404
    assert await listed(shared.hotel) == []


@pytest.mark.parametrize("name", ["key", "typ", "member", "alliance", "extra", "record", "empty"])
async def test_1_3_3_what_is_not_ones_own_word_is_no_attestation(shared: Shared, name: str) -> None:
    bank, hotel = shared.bank, shared.hotel
    jws = {
        "key": lambda: signed(bank, key=hotel.signing_key),
        "typ": lambda: signed(bank, typ="agreement+jws"),
        "member": lambda: signed(bank, member=hotel.id),
        "alliance": lambda: signed(bank, alliance="0" * 32),
        "extra": lambda: signed(bank, mood="good"),
        "record": lambda: signed(bank, record="r1"),
        "empty": lambda: signed(bank, statement=" "),
    }[name]()
    answer = await attest(bank, jws)
    assert answer.status_code == 400, answer.text
    assert await listed(bank) == []


async def test_1_3_3_nothing_is_attested_twice_or_by_a_revoked_key(shared: Shared) -> None:
    jws = signed(shared.bank)
    assert (await attest(shared.bank, jws)).status_code == 201
    assert (await attest(shared.bank, jws)).json()["code"] == "attested_already"
    fingerprint = thumbprint(public(shared.bank.signing_key))
    await shared.gateway.signing_keys.revoke(fingerprint, operator="officer")
    refused = await attest(shared.bank, signed(shared.bank, statement="Another word."))
    assert refused.json()["code"] == "signing_key_unknown"


async def test_1_3_3_another_members_attestation_is_not_corrected(shared: Shared) -> None:
    first = (await attest(shared.bank, signed(shared.bank))).json()
    refused = await attest(shared.hotel, signed(shared.hotel, corrects=first["id"]))
    assert refused.status_code == 404
    assert [one["state"] for one in await listed(shared.bank)] == ["standing"]
