"""Four eyes in the console: seen, confirmed, decided by somebody else, and by nobody whose role does not decide."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Any
from urllib.parse import urlencode

import pytest
from stdnum.cn import uscc

from gateway.console.words import LANGUAGES, say
from gateway.demo.admission import admit
from gateway.identity.operators.operator import Operator
from gateway.identity.operators.roles import DECIDES, PERMISSIONS, Role
from gateway.identity.operators.sign_in import PasskeySignIn
from gateway.members.client_acts import registration
from gateway.members.key_source import KeySource
from tests.alliance import new_key, public
from tests.console.visitor import Visitor


async def _member(visitor: Visitor) -> str:
    console, body = visitor.console, "91310000MA1000001"
    code = body + uscc.calc_check_digit(body)
    member = await console.gateway.members.create_member(
        console.alliance, name="Bank", uscc=code, industry="bank", operator="host"
    )
    await admit(console.gateway, member, uscc=code)
    return member


async def _proposed(visitor: Visitor, by: str) -> str:
    """A proposal to register a client of a new member."""
    console, member = visitor.console, await _member(visitor)
    keys = KeySource.of({"jwks": {"keys": [public(new_key())]}}, loopback=False)
    return await console.gateway.approvals.propose(
        console.alliance, "register_client", registration(member, "production", "Loyalty", keys), operator=by
    )


async def test_a_proposal_is_looked_at_confirmed_and_done(visitor: Visitor) -> None:
    await visitor.join("Ann")
    proposal = await _proposed(visitor, "host")
    assert f'href="/console/proposals/{proposal}"' in (await visitor.get("/proposals")).text
    shown = (await visitor.get(f"/proposals/{proposal}")).text
    assert "Register a client" in shown
    assert "Loyalty" in shown
    done = await visitor.confirm(f"/proposals/{proposal}/approve")
    assert done.status_code == 200
    found = await visitor.console.gateway.approvals.find(proposal)
    assert (found.state, found.decided_by) == ("approved", visitor.console.operators["Ann"])
    assert found.made is not None
    assert found.made in done.text
    assert (await visitor.console.acts())[-2:] == ["operator_stepped_up", "proposal_approved"]
    assert proposal not in (await visitor.get("/proposals")).text


async def test_a_proposal_is_declined(visitor: Visitor) -> None:
    await visitor.join("Ann")
    proposal = await _proposed(visitor, "host")
    assert (await visitor.confirm(f"/proposals/{proposal}/decline")).status_code == 200
    assert (await visitor.console.gateway.approvals.find(proposal)).state == "declined"


async def test_whoever_proposed_cannot_approve(visitor: Visitor) -> None:
    await visitor.join("Ann")
    proposal = await _proposed(visitor, visitor.console.operators["Ann"])
    assert "/approve" not in (await visitor.get(f"/proposals/{proposal}")).text
    for verb in ("approve", "decline"):
        assert (await visitor.confirm(f"/proposals/{proposal}/{verb}")).status_code == 403
    assert (await visitor.console.gateway.approvals.find(proposal)).state == "pending"
    assert "OWN_PROPOSAL" in await visitor.console.reasons()
    token = await visitor.form_token()
    assert (await visitor.post(f"/proposals/{proposal}/withdraw", {"form_token": token})).status_code == 303
    assert (await visitor.console.gateway.approvals.find(proposal)).state == "withdrawn"


async def test_a_confirmation_to_decline_does_not_approve(visitor: Visitor) -> None:
    await visitor.join("Ann")
    path = f"/proposals/{await _proposed(visitor, 'host')}"
    form = {"form_token": await visitor.form_token()}
    answer = visitor.passkey.sign(await visitor.ask(f"{path}/decline/options", form))
    assert (await visitor.post(f"{path}/approve", {**form, "answer": answer})).status_code == 401
    assert "STEP_UP_OTHER_ACT" in await visitor.console.reasons()


@pytest.mark.parametrize("role", [Role.OFFICER, Role.SECRETARIAT])
async def test_a_role_that_does_not_decide_sees_and_cannot_approve(visitor: Visitor, role: Role) -> None:
    await visitor.join("Bob", role)
    proposal = await _proposed(visitor, "host")
    assert "Your role does not decide" in (await visitor.get(f"/proposals/{proposal}")).text
    form = {"form_token": await visitor.form_token()}
    for end in ("", "/options"):
        assert (await visitor.post(f"/proposals/{proposal}/approve{end}", form)).status_code == 403
    assert "ROLE_LACKS_PERMISSION" in await visitor.console.reasons()


def _slowly(visitor: Visitor, form: dict[str, str], meanwhile: Awaitable[None]) -> dict[str, Any]:
    """A form as a page sends it, of which the end comes only after `meanwhile`."""
    content = urlencode(form).encode()

    async def pieces() -> AsyncIterator[bytes]:
        yield content[:1]
        await meanwhile
        yield content[1:]

    usual = {"sec-fetch-site": "same-origin", "origin": visitor.console.origin}
    return {"content": pieces(), "headers": {**usual, "content-type": "application/x-www-form-urlencoded"}}


@pytest.mark.parametrize("lost", ["role", "session", "account"])
async def test_whoever_sends_the_form_slowly_decides_nothing_after_losing_the_office(
    visitor: Visitor, lost: str
) -> None:
    await visitor.join("Ann")
    gateway, ann = visitor.console.gateway, visitor.console.operators["Ann"]
    proposal = await _proposed(visitor, "host")
    form = {"form_token": await visitor.form_token()}
    path = f"/proposals/{proposal}/approve"
    answer = visitor.passkey.sign(await visitor.ask(f"{path}/options", form))

    async def lose() -> None:
        if lost == "role":
            await gateway.operators.change_role(ann, Role.SECRETARIAT, by="host")
        elif lost == "account":
            await gateway.operators.disable(ann, by="host")
        else:
            signed_in = gateway.operator_sign_in()
            who = await signed_in.directory.of_mine(ann, Operator(ann, visitor.console.alliance, "Ann", Role.ADMIN))
            await signed_in.sessions.end_everywhere(who, by=ann)

    sent = _slowly(visitor, {**form, "answer": answer}, lose())
    refused = await visitor.http.post(f"/console{path}", **sent)
    assert refused.status_code == (403 if lost == "role" else 401)
    assert (await gateway.approvals.find(proposal)).state == "pending"


@pytest.mark.parametrize("verb", ["approve", "decline"])
@pytest.mark.parametrize("lost", ["role", "account"])
async def test_an_office_that_is_lost_before_the_log_is_locked_decides_nothing(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch, verb: str, lost: str
) -> None:
    """Two entries at once: whichever comes first in the log is what holds."""
    await visitor.join("Ann")
    gateway, ann = visitor.console.gateway, visitor.console.operators["Ann"]
    proposal = await _proposed(visitor, "host")
    confirm = PasskeySignIn.confirm

    async def confirmed(*given: Any) -> None:
        await confirm(*given)
        if lost == "role":
            await gateway.operators.change_role(ann, Role.SECRETARIAT, by="host")
        else:
            await gateway.operators.disable(ann, by="host")

    monkeypatch.setattr(PasskeySignIn, "confirm", confirmed)
    refused = await visitor.confirm(f"/proposals/{proposal}/{verb}")
    assert (refused.status_code, "office_lost" in refused.text) == (409, True)
    assert (await gateway.approvals.find(proposal)).state == "pending"


async def test_an_admin_does_not_gain_a_second_pair_of_eyes_by_a_code(visitor: Visitor, other: Visitor) -> None:
    """Ann issues a code in Bob's name, enrols with it herself, and would approve what she proposed."""
    await visitor.join("Ann")
    await other.join("Bob")
    ann, bob = visitor.console.operators["Ann"], visitor.console.operators["Bob"]
    proposal = await _proposed(visitor, ann)
    page = (await visitor.confirm(f"/operators/{bob}/code")).text
    code = page.partition('class="code shown">')[2].partition("<")[0]
    assert (await other.enrol(code)).status_code == 401, "a passkey is enrolled once"
    other.passkey = type(other.passkey)(visitor.console.origin)
    code = (await visitor.confirm(f"/operators/{bob}/code")).text.partition('class="code shown">')[2].partition("<")[0]
    assert (await other.enrol(code)).status_code == 200
    assert (await other.sign_in()).status_code == 303
    refused = await other.post(f"/proposals/{proposal}/approve", {"form_token": await other.form_token()})
    assert (refused.status_code, "VOUCHED_BY_PROPOSER" in refused.text) == (403, True)
    assert "VOUCHED_BY_PROPOSER" in await visitor.console.reasons()


async def test_whoever_was_vouched_for_vouches_for_nobody(visitor: Visitor, other: Visitor) -> None:
    """Else Ann would go from Bob to Carol, whose passkey Bob would have vouched for, and not Ann."""
    await visitor.join("Ann")
    await visitor.console.add("Bob")
    await visitor.console.add("Carol")
    bob, carol = visitor.console.operators["Bob"], visitor.console.operators["Carol"]
    code = (await visitor.confirm(f"/operators/{bob}/code")).text.partition('class="code shown">')[2].partition("<")[0]
    assert (await other.enrol(code)).status_code == 200
    assert (await other.sign_in()).status_code == 303
    refused = await other.post(f"/operators/{carol}/code", {"form_token": await other.form_token()})
    assert (refused.status_code, "VOUCHED_ISSUER" in refused.text) == (403, True)


async def test_proposals_of_another_alliance_do_not_exist(visitor: Visitor, other: Visitor) -> None:
    await visitor.join("Ann")
    proposal = await _proposed(visitor, "host")
    elsewhere = await visitor.console.gateway.members.create_alliance("Another", operator="host")
    await other.join("Eve", Role.ADMIN, elsewhere)
    assert proposal not in (await other.get("/proposals")).text
    form = {"form_token": await other.form_token()}
    for path in (f"/proposals/{proposal}", f"/proposals/{'0' * 32}"):
        assert (await other.get(path)).status_code == 404
        for end in ("approve", "decline", "withdraw", "approve/options"):
            assert (await other.post(f"{path}/{end}", form)).status_code == 404


_DECIDED_BY = {
    Role.ADMIN: set(DECIDES),
    Role.OFFICER: {
        "add_signing_key",
        "end_agreement",
        "lift_hold",
        "extend_hold",
        "decide_case",
        "export_log",
        "renew_document",
        "mark_attestation_false",
        "accept_transfer",
        "approve_bundle_rules",
        "sample_offline_batch",
        "accept_offline_batch",
        "invalidate_offline_batch",
    },
    Role.SECRETARIAT: {"decide_case"},
    Role.MARKET: set[str](),
    Role.LEGAL: {"renew_document", "mark_attestation_false"},
    Role.FINANCE: set[str](),
    Role.BUSINESS: set[str](),
    Role.MANAGEMENT: {"admit_member"},
}


def test_each_role_decides_what_it_should() -> None:
    assert {role: {act for act in DECIDES if DECIDES[act] in PERMISSIONS[role]} for role in Role} == _DECIDED_BY


async def test_an_officer_permits_an_export_with_a_fresh_confirmation(visitor: Visitor) -> None:
    console = visitor.console
    await visitor.join("Bob", Role.OFFICER)
    approvals = console.gateway.approvals
    proposal = await approvals.propose(
        console.alliance, "export_log", {"log": console.alliance, "first": 0}, operator="host"
    )
    path = f"/proposals/{proposal}"
    english = (await visitor.get(path, **{"accept-language": "en"})).text
    chinese = (await visitor.get(path, **{"accept-language": "zh-CN"})).text
    for shown, texts in (
        (english, ("Export a log", "From entry", "the newest that is signed when it is exported")),
        (chinese, ("导出日志", "起始条目", "导出时已签名的最新条目")),
    ):
        assert [text for text in (*texts, console.alliance) if text not in shown] == []
    unconfirmed = await visitor.post(f"{path}/approve", {"form_token": await visitor.form_token()})
    assert (unconfirmed.status_code, (await approvals.find(proposal)).state) == (401, "pending")
    done = await visitor.confirm(f"{path}/approve")
    assert done.status_code == 200
    [permit] = [one for one in await console.log() if one.get("act") == "export_permitted"]
    assert (permit["actor"]["approver"], permit["actor"]["operator"]) == (console.operators["Bob"], "host")
    assert permit["event_id"] in done.text


async def test_every_argument_of_an_act_is_named_in_both_languages(visitor: Visitor) -> None:
    console, member = visitor.console, await _member(visitor)
    await visitor.join("Ann")
    await console.gateway.members.suspend(member, case="c-1", operator="host")
    for act, arguments in (
        ("rotate_key", {"use": "token"}),
        ("readmit_member", await console.gateway.members.readmission(member, case="c-1")),
        ("export_log", {"log": member, "first": 0}),
    ):
        proposal = await console.gateway.approvals.propose(console.alliance, act, arguments, operator="host")
        for language in LANGUAGES:
            shown = (await visitor.get(f"/proposals/{proposal}", **{"accept-language": language})).text
            for name in arguments:
                assert f"<dt>{say(language, f'argument_{name}')}</dt>" in shown
        assert (await visitor.confirm(f"/proposals/{proposal}/approve")).status_code == 200, act


async def test_an_officer_rotates_no_key_and_readmits_nobody(visitor: Visitor) -> None:
    console, member = visitor.console, await _member(visitor)
    await visitor.join("Bob", Role.OFFICER)
    await console.gateway.members.suspend(member, case="c-1", operator="host")
    readmission = await console.gateway.members.readmission(member, case="c-1")
    for act, arguments in (("rotate_key", {"use": "token"}), ("readmit_member", readmission)):
        proposal = await console.gateway.approvals.propose(console.alliance, act, arguments, operator="host")
        assert "Your role does not decide" in (await visitor.get(f"/proposals/{proposal}")).text
        form = {"form_token": await visitor.form_token()}
        for end in ("", "/options"):
            assert (await visitor.post(f"/proposals/{proposal}/approve{end}", form)).status_code == 403
        assert (await console.gateway.approvals.find(proposal)).state == "pending"
