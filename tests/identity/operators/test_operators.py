"""Operators on both engines: every act is an entry, and what ends, ends at once."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import Conflicting, Invalid, NotFound, Refused
from gateway.identity import SecurityLog
from gateway.identity.operators.ceremonies import Ceremonies, Ceremony, CeremonyKind
from gateway.identity.operators.operator import Act, Operator
from gateway.identity.operators.refusals import NotSignedIn, SignInRefused
from gateway.identity.operators.roles import DECIDES, PERMISSIONS, Permission, Role
from gateway.identity.operators.site import Site
from tests.identity.operators.authenticator import Authenticator
from tests.identity.operators.conftest import ORIGIN, Staff


async def test_a_life_from_code_to_disablement_is_on_record(staff: Staff) -> None:
    operator, cookie, _ = await staff.signed_in("Ann")
    found = await staff.operators.sessions.find(cookie)
    assert found is not None
    assert found.operator == Operator(operator, staff.world.alliance, "Ann", Role.ADMIN)
    assert (found.method, found.amr) == ("passkey", ("pop", "user"))
    await staff.operators.directory.disable(operator, by="host")
    assert await staff.operators.sessions.find(cookie) is None
    await staff.operators.directory.disable(operator, by="host")
    assert await staff.acts() == [
        "operator_added", "operator_enrolled", "operator_signed_in", "operator_disabled", "operator_sessions_ended",
    ]  # fmt: skip


async def test_of_two_who_answer_one_challenge_at_once_one_signs_in(staff: Staff) -> None:
    _, _, passkey = await staff.signed_in("Ann")
    ticket, options = await staff.operators.passkeys.begin()
    answer = passkey.sign(options)
    tries = [staff.operators.passkeys.finish(ticket, answer) for _ in range(4)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, SignInRefused) for outcome in outcomes) == 3


async def test_a_challenge_is_redeemed_once_however_many_try(staff: Staff) -> None:
    ceremonies = Ceremonies(staff.world.database, staff.world.clock, SecurityLog())
    for _ in range(10):
        ticket, challenge = await ceremonies.begin(CeremonyKind.SIGN_IN)
        tries = [ceremonies.redeem(ticket, CeremonyKind.SIGN_IN) for _ in range(6)]
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
        assert [one.challenge for one in outcomes if isinstance(one, Ceremony)] == [challenge]
        assert sum(isinstance(outcome, SignInRefused) for outcome in outcomes) == 5


async def test_of_two_who_spend_one_code_at_once_one_is_enrolled(staff: Staff) -> None:
    _, code = await staff.operators.directory.enrol(staff.world.alliance, name="Ann", role=Role.ADMIN, by="host")
    begun = [await staff.operators.enrolment.begin(code) for _ in range(3)]
    tries = [
        staff.operators.enrolment.finish(
            ticket, Authenticator("https://gateway.example", "gateway.example").make(options), label=""
        )
        for ticket, options in begun
    ]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(outcome, Operator) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, SignInRefused) for outcome in outcomes) == 2


async def test_one_answer_of_a_passkey_counts_once_even_under_two_challenges(staff: Staff) -> None:
    """Two copies of a key answer at the same time: the second finds the counter moved."""
    _, _, passkey = await staff.signed_in("Ann")
    begun = [await staff.operators.passkeys.begin() for _ in range(2)]
    answers = []
    for _, options in begun:
        answers.append(passkey.sign(options))
        passkey.count -= 1
    tries = [
        staff.operators.passkeys.finish(ticket, answer) for (ticket, _), answer in zip(begun, answers, strict=True)
    ]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 1


async def test_a_provider_ends_only_what_had_begun(staff: Staff) -> None:
    operator, _, _ = await staff.signed_in("Ann")
    sessions, ledger = staff.operators.sessions, staff.world.ledger
    who = Operator(operator, staff.world.alliance, "Ann", Role.ADMIN)
    begun = {}
    for name in ("s1", "s2"):
        async with ledger.changing(staff.world.alliance) as change:
            begun[name] = await sessions.start(
                change, who, method="oidc", credential="ann", amr=(), auth_time=0, provider_session=name
            )
    now = staff.world.clock()
    await sessions.end_at_provider("ann", "s1", until_ms=now - 1)
    assert await sessions.find(begun["s1"]) is not None, "a logout of yesterday ends nothing of today"
    await sessions.end_at_provider("bob", "", until_ms=now)
    assert await sessions.find(begun["s1"]) is not None
    await sessions.end_at_provider("ann", "s1", until_ms=now)
    assert await sessions.find(begun["s1"]) is None
    assert await sessions.find(begun["s2"]) is not None
    await sessions.end_at_provider("ann", "", until_ms=now)
    assert await sessions.find(begun["s2"]) is None


async def test_a_logout_ends_what_its_subject_began_while_the_provider_named_no_session(staff: Staff) -> None:
    operator, _, _ = await staff.signed_in("Ann")
    sessions, now = staff.operators.sessions, staff.world.clock()
    who = Operator(operator, staff.world.alliance, "Ann", Role.ADMIN)
    async with staff.world.ledger.changing(staff.world.alliance) as change:
        begun = await sessions.start(change, who, method="oidc", credential="ann", amr=(), auth_time=0)
    await sessions.end_at_provider("bob", "s1", until_ms=now)
    await sessions.end_at_provider("", "s1", until_ms=now)
    assert await sessions.find(begun) is not None, "neither names her"
    await sessions.end_at_provider("ann", "s1", until_ms=now)
    assert await sessions.find(begun) is None


async def test_an_account_is_one_operators(staff: Staff) -> None:
    ann, _, _ = await staff.signed_in("Ann")
    bob, _, _ = await staff.signed_in("Bob")
    link = staff.operators.directory.link
    await link(ann, issuer="https://company.example", subject="a", by="host")
    with pytest.raises(Conflicting):
        await link(bob, issuer="https://company.example", subject="a", by="host")
    for subject in ("", "x" * 256, "é", "a\n"):
        with pytest.raises(Invalid):
            await link(bob, issuer="https://company.example", subject=subject, by="host")
    assert (await staff.acts()).count("operator_linked") == 1


@pytest.mark.parametrize("name", ["", "An\u00a0n", " Ann", "x" * 101, "A\nB"])
async def test_a_name_is_plain(staff: Staff, name: str) -> None:
    with pytest.raises(Invalid):
        await staff.operators.directory.enrol(staff.world.alliance, name=name, role=Role.ADMIN, by="host")


async def test_an_unknown_operator_is_not_found(staff: Staff) -> None:
    directory = staff.operators.directory
    for work in (
        directory.disable("0" * 32, by="host"),
        directory.issue_code("0" * 32, by="host"),
        directory.change_role("0" * 32, Role.ADMIN, by="host"),
    ):
        with pytest.raises(NotFound):
            await work


async def test_a_disabled_operator_stays_disabled(staff: Staff) -> None:
    ann, _, passkey = await staff.signed_in("Ann")
    await staff.operators.directory.disable(ann, by="host")
    with pytest.raises(Conflicting):
        await staff.operators.directory.issue_code(ann, by="host")
    with pytest.raises(SignInRefused):
        await staff.sign_in(passkey)


@pytest.mark.parametrize("how", ["disable", "change_role"])
async def test_of_two_admins_who_take_each_others_office_at_once_one_keeps_it(staff: Staff, how: str) -> None:
    directory, alliance = staff.operators.directory, staff.world.alliance
    ann, _ = await directory.enrol(alliance, name="Ann", role=Role.ADMIN, by="host")
    ben, _ = await directory.enrol(alliance, name="Ben", role=Role.ADMIN, by="host")

    async def ends(whom: str, by: str) -> None:
        if how == "disable":
            await directory.disable(whom, by=by)
        else:
            await directory.change_role(whom, Role.OFFICER, by=by)

    outcomes = await asyncio.gather(ends(ann, ben), ends(ben, ann), return_exceptions=True)
    assert [getattr(outcome, "code", "done") for outcome in sorted(outcomes, key=str)] == ["done", "office_lost"]
    left = [one for one in await directory.of_alliance(alliance) if one.active and one.role is Role.ADMIN]
    assert len(left) == 1
    lost = ann if left[0].id == ben else ben
    with pytest.raises(Conflicting, match="office_lost"):
        await directory.issue_code(left[0].id, by=lost)


async def test_a_passkey_that_is_being_added_is_not_once_an_enrolment_has_ended_its_session(staff: Staff) -> None:
    enrolment, site = staff.operators.enrolment, (ORIGIN, "gateway.example")
    ann, cookie, _ = await staff.signed_in("Ann")
    thief = await staff.operators.sessions.find(cookie)
    assert thief is not None
    ticket, asked = await enrolment.begin_another(thief)
    enrolling, options = await enrolment.begin(await staff.operators.directory.issue_code(ann, by="host"))
    await enrolment.finish(enrolling, Authenticator(*site).make(options), label="new")
    with pytest.raises(NotSignedIn):
        await enrolment.finish_another(thief, ticket, Authenticator(*site).make(asked), label="thief's")
    assert [one.label for one in await enrolment.passkeys_of(thief.operator)] == ["new"]


@pytest.mark.parametrize("how", ["disable", "change_role"])
async def test_a_code_that_nobody_used_ends_with_its_issuers_office(staff: Staff, how: str) -> None:
    directory, enrolment, alliance = staff.operators.directory, staff.operators.enrolment, staff.world.alliance
    ann, cookie, _ = await staff.signed_in("Ann")
    ben, _ = await directory.enrol(alliance, name="Ben", role=Role.ADMIN, by="host")
    code = await directory.issue_code(ann, by=ben)
    ticket, options = await enrolment.begin(code)
    if how == "disable":
        await directory.disable(ben, by="host")
    else:
        await directory.change_role(ben, Role.OFFICER, by="host")
    with pytest.raises(SignInRefused):
        await enrolment.finish(ticket, Authenticator(ORIGIN, "gateway.example").make(options), label="")
    with pytest.raises(SignInRefused):
        await enrolment.begin(code)
    assert await staff.operators.sessions.find(cookie) is not None, "nobody took Ann's place"


def test_every_role_is_told_what_it_may_do() -> None:
    assert set(PERMISSIONS) == set(Role)
    assert {one for allowed in PERMISSIONS.values() for one in allowed} == set(Permission)
    for role in Role:
        who = Operator("id", "alliance", "name", role)
        for permission in Permission:
            if permission in PERMISSIONS[role]:
                who.require(permission)
            else:
                with pytest.raises(Refused):
                    who.require(permission)


def test_only_admins_manage_operators_and_decide_on_clients() -> None:
    for permission in (Permission.MANAGE_OPERATORS, DECIDES["register_client"]):
        assert {role for role in Role if permission in PERMISSIONS[role]} == {Role.ADMIN}


def test_acts_that_differ_in_anything_have_different_hashes() -> None:
    acts = [
        Act("a", "approve", {"proposal": "1"}),
        Act("b", "approve", {"proposal": "1"}),
        Act("a", "decline", {"proposal": "1"}),
        Act("a", "approve", {"proposal": "2"}),
        Act("a", "approve", {}),
    ]
    assert len({act.digest for act in acts}) == len(acts)


@pytest.mark.parametrize(
    ("base", "origin", "rp_id"),
    [
        ("https://gateway.example", "https://gateway.example", "gateway.example"),
        ("https://gateway.example:443", "https://gateway.example", "gateway.example"),
        ("https://gateway.example:8443", "https://gateway.example:8443", "gateway.example"),
        ("http://127.0.0.1:8700", "http://localhost:8700", "localhost"),
        ("http://[::1]:8700", "http://localhost:8700", "localhost"),
        ("http://localhost:8700", "http://localhost:8700", "localhost"),
    ],
)
def test_a_site_has_a_domain(base: str, origin: str, rp_id: str) -> None:
    site = Site.of(base)
    assert (site.origin, site.rp_id, site.secure) == (origin, rp_id, origin.startswith("https"))
