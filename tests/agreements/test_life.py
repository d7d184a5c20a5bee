from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from gateway.agreements import agreement_case
from gateway.canonical import canonical
from gateway.errors import Conflicting, GatewayError, Invalid, NotFound, Refused
from gateway.identity.jws import sign_compact
from tests.agreements.world import FLIGHTS, World, new_key, public


async def test_an_agreement_is_drafted_signed_by_both_and_terminated(world: World) -> None:
    agreement = await world.drafted()
    assert not await world.in_force(agreement)
    await world.sign(world.bank, agreement)
    assert not await world.in_force(agreement)
    await world.sign(world.airline, agreement)
    assert await world.in_force(agreement)
    ended = await world.life.terminate(world.bank.subject, agreement)
    assert ended.state == "terminated"
    assert not await world.in_force(agreement)


async def test_the_owner_may_sign_first_too(world: World) -> None:
    agreement = await world.drafted(by=world.bank)
    await world.sign(world.airline, agreement)
    await world.sign(world.bank, agreement)
    assert await world.in_force(agreement)


async def test_an_agreement_is_in_force_from_its_start_until_just_before_its_end(sqlite_world: World) -> None:
    world = sqlite_world
    agreement = await world.signed(start="2026-01-01T00:01:00Z", end="2026-01-01T00:02:00Z")
    begun = world.clock.now_s + 60
    standing = {at: await world.agreements.in_force(agreement, at) is not None for at in range(begun - 1, begun + 61)}
    assert [at for at, stands in standing.items() if stands] == list(range(begun, begun + 60))


async def test_a_draft_can_be_withdrawn_and_is_never_signed_again(sqlite_world: World) -> None:
    world = sqlite_world
    agreement = await world.drafted()
    jws = await world.jws(world.bank, agreement)
    await world.life.terminate(world.airline.subject, agreement)
    with pytest.raises(Conflicting, match="agreement_terminated"):
        await world.life.sign(world.bank.subject, agreement, jws)


async def test_what_is_signed_is_the_canonical_text_that_the_gateway_completed(sqlite_world: World) -> None:
    world = sqlite_world
    answer = json.loads(await world.life.draft(world.airline.subject, world.proposal()))
    terms = json.loads(answer["terms"])
    assert answer["terms"].encode() == canonical(terms)
    assert (terms["v"], terms["alliance"], terms["agreement"]) == (1, world.alliance, answer["id"])
    assert {name: terms[name] for name in json.loads(world.proposal())} == json.loads(world.proposal())


async def test_signing_twice_is_signing_once(world: World) -> None:
    agreement = await world.drafted()
    first = await world.jws(world.bank, agreement)
    once = await world.life.sign(world.bank.subject, agreement, first)
    entries = await world.entries()
    assert await world.life.sign(world.bank.subject, agreement, first) == once
    again = await world.jws(world.bank, agreement)
    assert again != first
    assert await world.life.sign(world.bank.subject, agreement, again) == once
    assert await world.entries() == entries


async def test_two_signatures_at_once_bring_the_agreement_into_force(world: World) -> None:
    """Whichever comes second finds the other one under the lock, whatever it saw before."""
    agreement = await world.drafted()
    signers = (world.airline, world.bank)
    signatures = [await world.jws(one, agreement) for one in signers]
    await asyncio.gather(
        *(world.life.sign(one.subject, agreement, jws) for one, jws in zip(signers, signatures, strict=True))
    )
    signed = await world.agreements.visible(world.bank.id, agreement)
    assert (signed.state, {one.member for one in signed.signatures}) == ("signed", {one.id for one in signers})
    assert [one["state"] for one in await world.entries() if one["act"] == "agreement_signed"] == ["draft", "signed"]
    assert await world.in_force(agreement)


async def test_terminating_twice_is_terminating_once(world: World) -> None:
    agreement = await world.signed()
    once = await world.life.terminate(world.airline.subject, agreement)
    before = await world.entries(), await world.narrowing(world.airline)
    assert await world.life.terminate(world.bank.subject, agreement) == once
    assert (await world.entries(), await world.narrowing(world.airline)) == before


async def test_each_step_leaves_one_entry_in_the_owners_log(world: World) -> None:
    before = len(await world.entries())
    agreement = await world.drafted(by=world.bank)
    await world.sign(world.airline, agreement)
    await world.sign(world.bank, agreement)
    await world.life.terminate(world.bank.subject, agreement)
    entries = [one for one in await world.entries() if one.get("agreement") == agreement]
    assert len(await world.entries()) - before == len(entries) == 4
    assert {one["log"] for one in entries} == {f"alliance.test/{world.airline.id}"}
    assert [(one["act"], one["version"]) for one in entries] == [
        ("agreement_drafted", 1),
        ("agreement_signed", 2),
        ("agreement_signed", 3),
        ("agreement_terminated", 4),
    ]
    assert {one["kind"] for one in entries} == {"agreement"}
    assert [one["actor"]["member"] for one in entries] == [
        world.bank.id, world.airline.id, world.bank.id, world.bank.id,
    ]  # fmt: skip
    assert [one.get("fingerprint") for one in entries[1:3]] == [world.airline.fingerprint, world.bank.fingerprint]
    found = await world.agreements.load(agreement)
    assert found is not None
    assert {one["terms_sha256"] for one in entries} == {found.sha256}


async def test_only_termination_narrows_the_owner(world: World) -> None:
    agreement = await world.signed()
    assert await world.narrowing(world.airline) == 0
    await world.life.terminate(world.bank.subject, agreement)
    assert await world.narrowing(world.airline) == 1


async def test_an_equal_request_with_the_same_key_gets_the_same_draft(world: World) -> None:
    async def draft(key: str | None) -> bytes:
        return await world.life.draft(world.airline.subject, world.proposal(), idempotency_key=key)

    first = await draft("one")
    before = await world.entries()
    assert await draft("one") == first
    assert await world.entries() == before
    assert await draft("two") != first
    assert await draft(None) != await draft(None)
    with pytest.raises(Conflicting, match="idempotency_key_reused"):
        await world.life.draft(world.airline.subject, world.proposal(title="Other"), idempotency_key="one")


async def test_equal_requests_at_once_with_the_same_key_get_the_same_draft(world: World) -> None:
    drafting = (world.life.draft(world.airline.subject, world.proposal(), idempotency_key="one") for _ in range(3))
    first, *others = await asyncio.gather(*drafting)
    assert others == [first, first]
    assert sum(entry.get("act") == "agreement_drafted" for entry in await world.entries()) == 1


async def test_a_draft_that_breaks_a_rule_is_refused_by_name(sqlite_world: World) -> None:
    world = sqlite_world
    part = json.loads(world.proposal())["datasets"][0]
    refusals = {
        "drafter_no_party": world.proposal(owner=world.hotel.id),
        "dataset_unknown": world.proposal(datasets=[{**part, "dataset": "payments"}]),
        "field_unknown": world.proposal(datasets=[{**part, "fields": ["year", "tailnum"]}]),
    }
    before = await world.entries()
    for code, proposal in refusals.items():
        with pytest.raises(Invalid, match=code):
            await world.life.draft(world.airline.subject, proposal)
    for party in (world.stranger.id, world.alliance, "nobody"):
        with pytest.raises(Invalid, match="party_unknown"):
            await world.life.draft(world.airline.subject, world.proposal(recipient=party))
    for name in ("v", "alliance", "agreement"):
        with pytest.raises(Invalid, match="terms_member_unknown"):
            await world.life.draft(world.airline.subject, world.proposal(**{name: 1}))
    assert await world.entries() == before


async def test_a_dataset_of_the_recipient_is_not_the_owners_to_share(sqlite_world: World) -> None:
    world = sqlite_world
    world.own(world.bank, "accounts")
    part = {**json.loads(world.proposal())["datasets"][0], "dataset": "accounts"}
    with pytest.raises(Invalid, match="dataset_unknown"):
        await world.life.draft(world.airline.subject, world.proposal(datasets=[part]))


async def test_without_the_granted_action_nothing_is_drafted_signed_or_terminated(sqlite_world: World) -> None:
    world = sqlite_world
    agreement = await world.drafted()
    jws = await world.jws(world.bank, agreement)
    before = await world.entries()
    for attempt in (
        lambda: world.life.draft(world.airline.acting("sign"), world.proposal()),
        lambda: world.life.sign(world.bank.acting("draft"), agreement, jws),
        lambda: world.life.terminate(world.bank.acting("draft"), agreement),
    ):
        with pytest.raises(Refused, match="ACTION_NOT_GRANTED"):
            await attempt()
    assert await world.entries() == before


async def test_suspended_members_neither_draft_nor_sign_but_may_terminate(world: World) -> None:
    agreement = await world.drafted()
    await world.sign(world.airline, agreement)
    jws = await world.jws(world.bank, agreement)
    await world.members.suspend(world.bank.id, case="c1", operator="root")
    with pytest.raises(Refused, match="MEMBER_SUSPENDED"):
        await world.life.sign(world.bank.subject, agreement, jws)
    with pytest.raises(Refused, match="MEMBER_SUSPENDED"):
        await world.life.draft(world.bank.subject, world.proposal())
    with pytest.raises(Invalid, match="party_unknown"):
        await world.life.draft(world.airline.subject, world.proposal())
    assert (await world.life.terminate(world.bank.subject, agreement)).state == "terminated"


async def test_an_offer_is_made_to_the_recipient_while_in_force_and_to_nobody_else(world: World) -> None:
    agreement = await world.drafted()
    now = world.clock.now_s

    async def offered(member: str, at: int = now) -> bool:
        return await world.agreements.offer(member, agreement, at) is not None

    assert not await offered(world.bank.id)
    await world.sign(world.airline, agreement)
    assert not await offered(world.bank.id)
    await world.sign(world.bank, agreement)
    offer = await world.agreements.offer(world.bank.id, agreement, now)
    assert offer is not None
    assert offer.datasets == {FLIGHTS: ("market_analysis",)}
    assert tuple(offer.actions) == ("read",)
    assert not await offered(world.bank.id, offer.ends_at)
    assert await offered(world.bank.id, offer.ends_at - 1)
    assert not await offered(world.airline.id)
    assert not await offered(world.hotel.id)
    for suspended in (world.airline, world.bank):
        await world.members.suspend(suspended.id, case="c1", operator="root")
        assert not await offered(world.bank.id)
        await world.readmit(suspended)
        assert await offered(world.bank.id)
    await world.life.terminate(world.airline.subject, agreement)
    assert not await offered(world.bank.id)


async def test_the_case_for_the_policy_is_sliced_to_one_dataset_and_true_of_drafts_too(sqlite_world: World) -> None:
    world = sqlite_world
    agreement = await world.drafted()
    case = (await world.agreements.slice(agreement, FLIGHTS)).case
    assert case == {
        "id": agreement,
        "version": 1,
        "state": "draft",
        "owner": world.airline.id,
        "recipient": world.bank.id,
        "starts_at": 1_767_225_600,
        "ends_at": 1_798_761_600,
        "granted_fields": ["carrier", "year"],
        "purposes": ["market_analysis"],
        "methods": ["api"],
        "frequency": {"reads": 100, "per_seconds": 60},
        "confidentiality_years": 3,
        "onward": "forbidden",
        "signed_messages": {"profile": "none", "actions": []},
        "volume": {"records": 2**53 - 1, "per_seconds": 1},
        "lawful_basis": "none",
        "retention_days": 0,
        "third_parties": [],
    }
    found = await world.agreements.load(agreement)
    assert found is not None
    uncovered = agreement_case(found, "payments")
    assert (uncovered["granted_fields"], uncovered["purposes"], uncovered["methods"]) == ([], [], [])
    await world.sign(world.airline, agreement)
    assert (await world.agreements.slice(agreement, FLIGHTS)).case["state"] == "draft"
    await world.sign(world.bank, agreement)
    assert (await world.agreements.slice(agreement, FLIGHTS)).case["state"] == "signed"
    await world.life.terminate(world.bank.subject, agreement)
    assert (await world.agreements.slice(agreement, FLIGHTS)).case["state"] == "terminated"
    with pytest.raises(NotFound):
        await world.agreements.slice("none", FLIGHTS)


async def test_the_years_of_secrecy_count_from_the_second_signature(sqlite_world: World) -> None:
    agreement = await sqlite_world.signed()
    found = await sqlite_world.agreements.load(agreement)
    assert found is not None
    assert found.confidential_until == 1_861_920_000  # 2029-01-01T00:00:00Z


async def test_members_list_their_own_agreements_page_by_page(world: World) -> None:
    own = sorted([await world.drafted() for _ in range(5)])
    other = await world.drafted(recipient=world.hotel.id)
    first = await world.agreements.of_member(world.bank.id, after="", limit=3)
    rest = await world.agreements.of_member(world.bank.id, after=first[-1].id, limit=3)
    assert [one.id for one in (*first, *rest)] == own
    assert [one.id for one in await world.agreements.of_member(world.hotel.id, after="", limit=9)] == [other]
    assert len(await world.agreements.of_member(world.airline.id, after="", limit=9)) == 6


Attempt = Callable[[World, str], Awaitable[object]]


@pytest.mark.parametrize(
    "attempt",
    [
        lambda world, agreement: world.agreements.visible(world.hotel.id, agreement),
        lambda world, agreement: world.agreements.visible(world.stranger.id, agreement),
        lambda world, agreement: world.life.sign(world.hotel.subject, agreement, "a.b.c"),
        lambda world, agreement: world.life.sign(world.stranger.subject, agreement, "a.b.c"),
        lambda world, agreement: world.life.terminate(world.hotel.subject, agreement),
        lambda world, agreement: world.life.terminate(world.stranger.subject, agreement),
        lambda world, agreement: world.agreements.visible(world.bank.id, "0" * 32),
    ],
)
async def test_who_is_no_party_is_answered_as_if_there_were_nothing(sqlite_world: World, attempt: Attempt) -> None:
    agreement = await sqlite_world.signed()
    with pytest.raises(NotFound) as refused:
        await attempt(sqlite_world, agreement)
    assert vars(refused.value) == vars(NotFound())


async def test_a_signature_is_refused_by_name_and_changes_nothing(world: World) -> None:
    agreement = await world.drafted()
    found = await world.agreements.load(agreement)
    assert found is not None
    unregistered, unconfirmed = new_key(), new_key()
    await world.add_signing_key(world.bank.id, public(unconfirmed))
    revoked = new_key()
    fingerprint = await world.add_signing_key(world.bank.id, public(revoked))
    await world.keys.confirm(world.airline.subject, fingerprint)
    await world.keys.revoke(fingerprint, operator="root")
    own = world.bank.key

    def compact(key: object, *, payload: bytes = found.text, typ: str = "agreement+jws", **header: str) -> str:
        kid = {"kid": key.thumbprint()}  # type: ignore[attr-defined]
        return sign_compact(payload, key, typ=typ, header={**kid, **header})  # type: ignore[arg-type]

    refused = {
        "signature_over_other_text": compact(own, payload=found.text + b" "),
        "signature_names_no_key": sign_compact(found.text, own, typ="agreement+jws"),
        "jws_type": compact(own, typ="JWT"),
        "jws_malformed": "not a jws",
        "jws_signature": compact(unregistered, kid=world.bank.fingerprint),
        "signing_key_unknown": compact(unregistered),
        "signing_key_unconfirmed": compact(unconfirmed),
        "signing_key_revoked": compact(revoked),
    }
    before = await world.entries(), await world.agreements.load(agreement)
    for code, jws in refused.items():
        with pytest.raises(GatewayError) as error:
            await world.life.sign(world.bank.subject, agreement, jws)
        assert error.value.code == code
    for foreign in (world.airline.key, world.hotel.key, world.stranger.key, world.bank.client_key):
        with pytest.raises(Invalid, match="signing_key_unknown"):
            await world.life.sign(world.bank.subject, agreement, compact(foreign))
    assert (await world.entries(), await world.agreements.load(agreement)) == before


async def test_a_signing_key_that_became_a_clients_key_signs_no_more(sqlite_world: World) -> None:
    from gateway.identity.clients import add_key

    world = sqlite_world
    agreement = await world.drafted()
    async with world.database.transaction() as tx:
        await add_key(tx, client_id=world.bank.client, jwk=public(world.bank.key), now_ms=world.clock())
    with pytest.raises(Invalid, match="signing_key_is_client_key"):
        await world.sign(world.bank, agreement)


async def test_the_own_confirmation_of_a_third_member_does_not_count(sqlite_world: World) -> None:
    world = sqlite_world
    agreement = await world.drafted()
    world.bank.key = new_key()
    fingerprint = await world.add_signing_key(world.bank.id, public(world.bank.key))
    await world.keys.confirm(world.hotel.subject, fingerprint)
    with pytest.raises(Invalid, match="signing_key_unconfirmed"):
        await world.sign(world.bank, agreement)


async def test_revoking_a_key_leaves_its_earlier_signatures_standing(world: World) -> None:
    agreement = await world.signed()
    world.clock.forward(60)
    await world.keys.revoke(world.bank.fingerprint, operator="root")
    world.restart()
    assert await world.in_force(agreement)
