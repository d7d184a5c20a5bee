from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from gateway.errors import Conflicting, GatewayError, Invalid, NotFound, Refused
from gateway.ledger import Ledger
from gateway.members import Members, UsccInvalid, checked_uscc
from gateway.members.directory import Directory
from gateway.members.members import admission
from tests.agreements.world import World, new_key, public, uscc

RIGHT = "91110000600037341L"


async def _stopped(world: World) -> str:
    """Why the bank gets no access now, '' if it does."""
    found = await admission(world.database, world.bank.id)
    assert found is not None
    assert found.alliance == world.alliance
    return found.stopped(world.clock.now_s)


def test_a_right_code_is_accepted_in_its_plain_form() -> None:
    assert checked_uscc("9111 0000-600037341l") == RIGHT


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (RIGHT[:-1] + "M", "check digit"),
        ("91110000600037342L", "check digit"),
        (RIGHT[:-1], "18 characters"),
        ("", "18 characters"),
        ("A" + RIGHT[1:], "digits"),
        (RIGHT[:9] + "I" + RIGHT[10:], "letters except"),
    ],
)
def test_a_wrong_code_is_refused_and_told_what_is_wrong(code: str, said: str) -> None:
    with pytest.raises(UsccInvalid, match=said) as refused:
        checked_uscc(code)
    assert refused.value.field == "uscc"


@given(st.text(max_size=30) | st.from_regex("[0-9A-Z]{18}", fullmatch=True))
@settings(max_examples=200, deadline=None)
def test_no_text_makes_the_check_fail_otherwise(code: str) -> None:
    with contextlib.suppress(UsccInvalid):
        assert len(checked_uscc(code)) == 18


@given(st.integers(0, 10**9 - 1), st.integers(0, 17), st.integers(1, 30))
@settings(max_examples=200, deadline=None)
def test_one_changed_character_is_noticed(number: int, place: int, step: int) -> None:
    alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    right = uscc(number)
    changed = alphabet[(alphabet.index(right[place]) + step) % 31]
    with pytest.raises(UsccInvalid):
        checked_uscc(right[:place] + changed + right[place + 1 :])


async def test_founding_and_admitting_are_one_entry_each_and_open_the_logs(world: World) -> None:
    before = len(await world.entries())
    alliance = await world.members.create_alliance("New", operator="root")
    member = await world.members.create_member(alliance, name="A", uscc=RIGHT, industry="air", operator="ops")
    entries = [one for one in await world.entries() if one["log"] == f"alliance.test/{alliance}"]
    assert len(await world.entries()) - before == 2
    assert [(one["kind"], one["act"], one["actor"]) for one in entries] == [
        ("admin", "alliance_founded", {"operator": "root"}),
        ("admin", "prospect_named", {"operator": "ops"}),
    ]
    assert (entries[1]["member"], entries[1]["uscc"]) == (member, RIGHT)
    assert await world.ledger.narrowing(member) == 0
    assert await admission(world.database, member) is None


async def test_a_company_is_a_member_of_one_alliance_once(world: World) -> None:
    await world.members.create_member(world.alliance, name="A", uscc=RIGHT, industry="air", operator="root")
    before = await world.entries()
    with pytest.raises(Conflicting, match="uscc_taken"):
        await world.members.create_member(world.alliance, name="B", uscc=RIGHT, industry="air", operator="root")
    assert await world.entries() == before
    await world.members.create_member(world.other_alliance, name="A", uscc=RIGHT, industry="air", operator="root")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        *((one, "name_malformed") for one in ("", " A", "A\n", "A" * 201, "A\u00a0B", "A\u3000B")),
        ("a\x00b", "not_shown_as_written"),
    ],
)
async def test_a_name_that_cannot_be_shown_is_refused(sqlite_world: World, name: str, code: str) -> None:
    members = sqlite_world.members
    with pytest.raises(Invalid, match=code):
        await members.create_alliance(name, operator="root")
    for given_ in ({"name": name, "industry": "air"}, {"name": "A", "industry": name}):
        with pytest.raises(Invalid, match=code):
            await members.create_member(sqlite_world.alliance, uscc=RIGHT, operator="root", **given_)


async def test_a_member_whose_keys_cannot_be_made_is_not_admitted(sqlite_world: World) -> None:
    class Broken:
        async def create_member_keys(self, tx: object, member_id: str, now_ms: int) -> None:
            raise NotFound

        async def create_log_key(self, tx: object, log: str, now_ms: int) -> None:
            return

    ledger: Ledger = sqlite_world.ledger
    members = Members(sqlite_world.database, ledger, Broken())
    before = await sqlite_world.entries()
    with pytest.raises(NotFound):
        await members.create_member(sqlite_world.alliance, name="A", uscc=RIGHT, industry="air", operator="root")
    assert await sqlite_world.entries() == before
    await sqlite_world.members.create_member(
        sqlite_world.alliance, name="A", uscc=RIGHT, industry="air", operator="root"
    )


async def test_nobody_joins_an_alliance_that_does_not_exist(sqlite_world: World) -> None:
    with pytest.raises(NotFound):
        await sqlite_world.members.create_member("none", name="A", uscc=RIGHT, industry="air", operator="root")


async def test_suspension_narrows_and_is_entered_in_every_log_of_the_alliance(world: World) -> None:
    await world.members.suspend(world.bank.id, case="c1", operator="root")
    assert await _stopped(world) == "MEMBER_SUSPENDED"
    for company in (world.airline, world.bank, world.hotel):
        assert await world.narrowing(company) == 1
    assert await world.narrowing(world.stranger) == 0
    logs = [one["log"] for one in await world.entries() if one.get("act") == "member_suspended"]
    members = (world.alliance, world.airline.id, world.bank.id, world.hotel.id)
    assert sorted(logs) == sorted(f"alliance.test/{one}" for one in members)


async def test_suspending_twice_is_doing_it_once(world: World) -> None:
    await world.members.suspend(world.bank.id, case="c1", operator="root")
    before = await world.entries(), await world.narrowing(world.airline)
    await world.members.suspend(world.bank.id, case="c1", operator="root")
    assert (await world.entries(), await world.narrowing(world.airline)) == before


async def test_a_suspension_is_ended_by_two_operators_and_once(world: World) -> None:
    await world.members.suspend(world.bank.id, case="c1", operator="root")
    before = len(await world.entries()), await world.narrowing(world.airline)
    await world.readmit(world.bank)
    assert await _stopped(world) == ""
    assert await world.narrowing(world.airline) == before[1]
    with pytest.raises(Conflicting, match="suspension_over"):
        await world.readmit(world.bank)
    new = (await world.entries())[before[0] :]
    assert len(new) == 3
    [entry] = [one for one in await world.entries() if one.get("act") == "member_readmitted"]
    assert (entry["member"], entry["case"], entry["actor"]["approver"]) == (world.bank.id, "c1", "second")


async def test_a_readmission_ends_no_later_suspension(world: World) -> None:
    await world.members.suspend(world.bank.id, case="c1", operator="root")
    terms = await world.members.readmission(world.bank.id, case="c1")
    stale = await world.proposed("readmit_member", terms)
    await world.readmit(world.bank)
    await world.members.suspend(world.bank.id, case="c2", operator="root")
    with pytest.raises(Conflicting, match="suspension_over"):
        await world.approvals.approve(stale, operator="second")
    assert await _stopped(world) == "MEMBER_SUSPENDED"


async def test_a_member_of_another_alliance_is_not_readmitted(sqlite_world: World) -> None:
    world = sqlite_world
    await world.members.suspend(world.stranger.id, case="c1", operator="root")
    terms = await world.members.readmission(world.stranger.id, case="c1")
    with pytest.raises(NotFound):
        await world.proposed("readmit_member", terms)
    with pytest.raises(Invalid, match="name_malformed"):
        await world.proposed("readmit_member", {**terms, "case": ""}, world.other_alliance)
    with pytest.raises(Invalid, match="unknown_argument"):
        await world.proposed("readmit_member", {**terms, "more": 1}, world.other_alliance)


async def test_who_is_unknown_can_be_neither_suspended_nor_readmitted(sqlite_world: World) -> None:
    with pytest.raises(NotFound):
        await sqlite_world.members.suspend("nobody", case="c1", operator="root")
    with pytest.raises(NotFound):
        await sqlite_world.members.readmission("nobody", case="c1")
    assert await admission(sqlite_world.database, "nobody") is None


async def test_a_signing_key_is_registered_under_its_thumbprint_by_two_operators(world: World) -> None:
    before = len(await world.entries())
    key = ECKey.generate_key("P-256", private=True)
    fingerprint = await world.add_signing_key(world.bank.id, {**public(key), "kid": "any"})
    assert fingerprint == key.thumbprint()
    entries = await world.entries()
    assert len(entries) == before + 3
    facts = next(one for one in entries if one.get("fingerprint") == fingerprint)
    assert (facts["act"], facts["member"], facts["kind"]) == ("signing_key_added", world.bank.id, "admin")
    assert (facts["actor"]["operator"], facts["actor"]["approver"]) == ("root", "second")


@pytest.mark.parametrize(
    "jwk",
    [
        OKPKey.generate_key("Ed25519", private=True).as_dict(private=True),
        ECKey.generate_key("P-256", private=True).as_dict(private=True),
        OctKey.generate_key(256).as_dict(),
        ECKey.generate_key("P-384", private=False).as_dict(private=False),
        OKPKey.generate_key("X25519", private=False).as_dict(private=False),
        RSAKey.generate_key(2048, private=False).as_dict(private=False),
        {"kty": "OKP", "crv": "Ed25519"},
        {},
    ],
    ids=["private-ed25519", "private-p256", "symmetric", "p384", "x25519", "rsa", "no-x", "empty"],
)
async def test_other_keys_are_refused_and_leave_no_entry(sqlite_world: World, jwk: dict[str, object]) -> None:
    before = await sqlite_world.entries()
    with pytest.raises(GatewayError) as refused:
        await sqlite_world.add_signing_key(sqlite_world.bank.id, jwk)
    assert refused.value.code in {"key_refused", "signing_key_kind"}
    assert await sqlite_world.entries() == before


async def test_a_clients_key_is_no_signing_key(world: World) -> None:
    before = await world.entries()
    for company in (world.bank, world.airline):
        with pytest.raises(Invalid, match="signing_key_is_client_key"):
            await world.add_signing_key(world.bank.id, public(company.client_key))
    assert await world.entries() == before


async def test_a_key_signs_for_one_member_for_ever(world: World) -> None:
    await world.keys.revoke(world.airline.fingerprint, operator="root")
    for member in (world.airline, world.bank, world.stranger):
        with pytest.raises(Conflicting, match="signing_key_taken"):
            await world.add_signing_key(member.id, public(world.airline.key))


async def test_revoking_twice_is_revoking_once(world: World) -> None:
    await world.keys.revoke(world.bank.fingerprint, operator="root")
    before = await world.entries()
    await world.keys.revoke(world.bank.fingerprint, operator="root")
    assert await world.entries() == before
    with pytest.raises(NotFound):
        await world.keys.revoke("none", operator="root")


async def test_a_key_is_confirmed_once_by_another_member_of_the_alliance(world: World) -> None:
    fingerprint = await world.add_signing_key(world.bank.id, public(new_key()))
    before = len(await world.entries())
    await world.keys.confirm(world.airline.subject, fingerprint)
    await world.keys.confirm(world.airline.subject, fingerprint)
    entries = await world.entries()
    assert len(entries) == before + 1
    (entry,) = (one for one in entries if one.get("fingerprint") == fingerprint and "confirmed" in one["act"])
    assert entry["actor"] == {"member": world.airline.id, "client": world.airline.client}
    assert entry["log"] == f"alliance.test/{world.alliance}"


async def test_a_confirmation_that_means_nothing_is_refused(world: World) -> None:
    revoked = await world.add_signing_key(world.bank.id, public(new_key()))
    await world.keys.revoke(revoked, operator="root")
    before = await world.entries()
    with pytest.raises(Conflicting, match="signing_key_own"):
        await world.keys.confirm(world.bank.subject, world.bank.fingerprint)
    with pytest.raises(Conflicting, match="signing_key_revoked"):
        await world.keys.confirm(world.airline.subject, revoked)
    for fingerprint in (world.stranger.fingerprint, "unknown"):
        with pytest.raises(NotFound):
            await world.keys.confirm(world.airline.subject, fingerprint)
    with pytest.raises(Refused, match="ACTION_NOT_GRANTED"):
        await world.keys.confirm(world.airline.acting("draft"), world.bank.fingerprint)
    assert await world.entries() == before


async def test_the_directory_lists_the_own_alliance_page_by_page(world: World) -> None:
    directory = Directory(world.database)
    first = await directory.page(world.alliance, world.airline.id, after="", limit=2)
    rest = await directory.page(world.alliance, world.airline.id, after=first[-1]["id"], limit=2)
    found = {one["id"]: one for one in (*first, *rest)}
    assert sorted(found) == sorted(one.id for one in (world.airline, world.bank, world.hotel))
    (key,) = found[world.bank.id]["signing_keys"]
    assert (key["fingerprint"], key["state"], key["confirmed"]) == (world.bank.fingerprint, "active", True)
    assert key["jwk"] == {name: public(world.bank.key)[name] for name in ("crv", "kty", "x", "y")}
    assert found[world.airline.id]["signing_keys"][0]["confirmed"] is False
