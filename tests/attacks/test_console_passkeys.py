"""Attacks on passkeys, one-time codes and confirmations, by a passkey in software that answers whatever it likes."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any

import pytest

from gateway.errors import TooManyAttempts
from gateway.identity.base64url import encode
from gateway.identity.operators import codes
from gateway.identity.operators.attempts import Attempts
from gateway.identity.operators.ceremonies import LIFE_MS
from gateway.identity.operators.passkeys import LONGEST_ID
from gateway.identity.operators.roles import Role
from gateway.identity.security_log import by_code
from tests.access.world import ENGINES
from tests.console.visitor import Visitor
from tests.identity.operators.authenticator import PRESENT, VERIFIED, Authenticator


async def _refused(visitor: Visitor, code: str) -> None:
    """The last attempt is on record under this code, as an entry of the operator that it concerned."""
    assert code in await visitor.console.reasons()
    assert by_code(visitor.console.gateway.identity.log.attempts)[code] >= 1


async def test_an_honest_passkey_signs_in(visitor: Visitor) -> None:
    """What the refusals below are measured against."""
    await visitor.join("Ann")
    assert (await visitor.get()).status_code == 200


@pytest.mark.parametrize(
    "over",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:1"},
        {"origin": "http://127.0.0.1:8700"},
        {"challenge": encode(bytes(32))},
        {"type": "webauthn.create"},
        {"crossOrigin": True},
        {"topOrigin": "https://evil.example"},
        {"flags": PRESENT},
        {"flags": VERIFIED},
        {"flags": 0},
    ],
    ids=str,
)
async def test_an_answer_for_something_else_does_not_sign_in(visitor: Visitor, over: dict[str, Any]) -> None:
    """Another origin, challenge, ceremony or frame; a user who was not verified, or not there."""
    await visitor.enrol(await visitor.console.add("Ann"))
    assert (await visitor.sign_in(**over)).status_code == 401
    assert not visitor.is_signed_in
    await _refused(visitor, "PASSKEY_INVALID")


@pytest.mark.parametrize(
    "over",
    [{"origin": "https://evil.example"}, {"challenge": encode(bytes(32))}, {"type": "webauthn.get"}, {"flags": PRESENT},
     {"crossOrigin": True}],
    ids=str,
)  # fmt: skip
async def test_a_passkey_made_for_something_else_is_not_enrolled(visitor: Visitor, over: dict[str, Any]) -> None:
    assert (await visitor.enrol(await visitor.console.add("Ann"), **over)).status_code == 401
    await _refused(visitor, "PASSKEY_INVALID")
    assert (await visitor.sign_in()).status_code == 401


async def test_a_passkey_under_whose_key_signatures_are_anybodys_is_not_enrolled(visitor: Visitor) -> None:
    """Ed25519 has points of small order; it is not offered, and not taken."""
    visitor.passkey.cose = {1: 1, 3: -8, -1: 6, -2: bytes([1, *bytes(31)])}
    assert (await visitor.enrol(await visitor.console.add("Ann"))).status_code == 401
    await _refused(visitor, "PASSKEY_INVALID")


@pytest.mark.parametrize("quiet", ENGINES, indirect=True)
async def test_a_passkey_with_an_id_longer_than_the_standard_allows_is_not_enrolled(visitor: Visitor) -> None:
    """PostgreSQL could not even index it."""
    code = await visitor.console.add("Ann")
    for size in (LONGEST_ID + 1, 3000):
        visitor.passkey.id = secrets.token_bytes(size)
        assert (await visitor.enrol(code)).status_code == 401
        await _refused(visitor, "PASSKEY_INVALID")
    visitor.passkey.id = secrets.token_bytes(LONGEST_ID)
    assert (await visitor.enrol(code)).status_code == 200
    assert (await visitor.sign_in()).status_code == 303


async def test_a_passkey_of_another_site_is_refused(visitor: Visitor) -> None:
    await visitor.enrol(await visitor.console.add("Ann"))
    visitor.passkey.rp_id = "evil.example"
    assert (await visitor.sign_in()).status_code == 401
    await _refused(visitor, "PASSKEY_INVALID")


async def test_a_signature_by_another_key_is_refused(visitor: Visitor) -> None:
    await visitor.enrol(await visitor.console.add("Ann"))
    visitor.passkey.key = Authenticator("").key
    assert (await visitor.sign_in()).status_code == 401
    await _refused(visitor, "PASSKEY_INVALID")


async def test_a_user_handle_of_somebody_else_is_refused(visitor: Visitor) -> None:
    await visitor.enrol(await visitor.console.add("Ann"))
    for handle in (encode(b"0" * 32), ""):
        visitor.passkey.user = handle
        assert (await visitor.sign_in()).status_code == 401
    await _refused(visitor, "PASSKEY_INVALID")


@pytest.mark.parametrize("back", [1, 2])
async def test_a_counter_that_does_not_advance_is_refused(visitor: Visitor, back: int) -> None:
    """The key exists twice (WebAuthn section 6.1.1); whoever copied it, and the owner, are refused from then on."""
    await visitor.join("Ann")
    visitor.passkey.count -= back
    assert (await visitor.sign_in()).status_code == 401
    await _refused(visitor, "PASSKEY_COUNTER")
    visitor.passkey.count += back
    assert (await visitor.sign_in()).status_code == 303


async def test_an_answer_is_good_for_one_sign_in(visitor: Visitor, other: Visitor) -> None:
    """Replay, in the same browser and in another."""
    await visitor.enrol(await visitor.console.add("Ann"))
    options = await visitor.ask("/sign-in/options")
    ticket = visitor.http.cookies["ceremony"]
    answer = {"answer": visitor.passkey.sign(options)}
    assert (await visitor.post("/sign-in", answer)).status_code == 303
    assert (await visitor.post("/sign-in", answer)).status_code == 401
    other.http.cookies.set("ceremony", ticket)
    assert (await other.post("/sign-in", answer)).status_code == 401
    assert by_code(visitor.console.gateway.identity.log.attempts)["CEREMONY_UNKNOWN"] == 2


async def test_a_failed_answer_spends_the_challenge(visitor: Visitor) -> None:
    await visitor.enrol(await visitor.console.add("Ann"))
    options = await visitor.ask("/sign-in/options")
    assert (await visitor.post("/sign-in", {"answer": visitor.passkey.sign(options, flags=0)})).status_code == 401
    assert (await visitor.post("/sign-in", {"answer": visitor.passkey.sign(options)})).status_code == 401


async def test_an_answer_of_another_browser_is_refused(visitor: Visitor, other: Visitor) -> None:
    """Whoever has an answer, but not the ticket of the browser that asked, has nothing."""
    await visitor.enrol(await visitor.console.add("Ann"))
    options = await visitor.ask("/sign-in/options")
    await other.ask("/sign-in/options")
    assert (await other.post("/sign-in", {"answer": visitor.passkey.sign(options)})).status_code == 401
    assert not other.is_signed_in


async def test_a_challenge_expires(visitor: Visitor) -> None:
    await visitor.enrol(await visitor.console.add("Ann"))
    options = await visitor.ask("/sign-in/options")
    visitor.console.clock.ahead_ms += LIFE_MS
    assert (await visitor.post("/sign-in", {"answer": visitor.passkey.sign(options)})).status_code == 401
    assert by_code(visitor.console.gateway.identity.log.attempts)["CEREMONY_EXPIRED"] == 1


async def test_an_enrolment_challenge_does_not_sign_in(visitor: Visitor) -> None:
    await visitor.enrol(await visitor.console.add("Ann"))
    options = await visitor.ask("/enrol/options", {"code": await visitor.console.add("Bob")})
    assert (await visitor.post("/sign-in", {"answer": visitor.passkey.sign(options)})).status_code == 401
    assert by_code(visitor.console.gateway.identity.log.attempts)["CEREMONY_KIND"] == 1


async def test_an_unknown_passkey_is_a_strangers_matter(visitor: Visitor) -> None:
    visitor.passkey.user = encode(b"nobody")
    assert (await visitor.sign_in()).status_code == 401
    assert by_code(visitor.console.gateway.identity.log.attempts) == {"PASSKEY_UNKNOWN": 1}
    assert await visitor.console.acts() == []


async def test_the_same_refusal_is_entered_once_a_minute(visitor: Visitor) -> None:
    await visitor.enrol(await visitor.console.add("Ann"))
    for _ in range(4):
        await visitor.sign_in(flags=0)
    assert (await visitor.console.reasons()).count("PASSKEY_INVALID") <= 2
    assert by_code(visitor.console.gateway.identity.log.attempts)["PASSKEY_INVALID"] == 4


@pytest.mark.parametrize(
    "answer",
    ["", "{}", "[]", "null", "x" * 20_000, '{"id": 1}', "[" * 900, '{"id":"a","rawId":"a","type":"public-key"}',
     json.dumps({"id": "YQ", "rawId": "YQ", "type": "public-key", "response": {
         "clientDataJSON": "e30", "authenticatorData": "AA", "signature": "AA", "userHandle": "_w",
         "attestationObject": "AA"}}),
     json.dumps({"id": "é", "rawId": "é", "type": "public-key", "response": {
         "clientDataJSON": "e30", "authenticatorData": "AA", "signature": "AA"}})],
    ids=lambda answer: answer[:20],
)  # fmt: skip
async def test_malformed_answers_are_refused_and_break_nothing(visitor: Visitor, answer: str) -> None:
    await visitor.ask("/sign-in/options")
    assert (await visitor.post("/sign-in", {"answer": answer})).status_code == 401
    await visitor.ask("/enrol/options", {"code": await visitor.console.add("Ann")})
    assert (await visitor.post("/enrol", {"answer": answer})).status_code == 401


async def test_a_code_enrols_once(visitor: Visitor, other: Visitor) -> None:
    code = await visitor.console.add("Ann")
    assert (await visitor.enrol(code)).status_code == 200
    answer = await other.post("/enrol/options", {"code": code}, accept="application/json")
    assert (answer.status_code, answer.json()["code"]) == (401, "sign_in_refused")
    await _refused(visitor, "CODE_USED")


async def test_two_who_hold_a_code_cannot_both_enrol(visitor: Visitor, other: Visitor) -> None:
    code = await visitor.console.add("Ann")
    mine = await visitor.ask("/enrol/options", {"code": code})
    theirs = await other.ask("/enrol/options", {"code": code})
    assert (await visitor.post("/enrol", {"answer": visitor.passkey.make(mine)})).status_code == 200
    assert (await other.post("/enrol", {"answer": other.passkey.make(theirs)})).status_code == 401
    assert (await visitor.sign_in()).status_code == 303
    assert (await other.sign_in()).status_code == 401


async def test_a_code_expires(visitor: Visitor) -> None:
    """Also between the question and the answer."""
    code = await visitor.console.add("Ann")
    visitor.console.clock.ahead_ms += codes.LIFE_MS - 60_000
    options = await visitor.ask("/enrol/options", {"code": code})
    visitor.console.clock.ahead_ms += 60_000
    assert (await visitor.post("/enrol", {"answer": visitor.passkey.make(options)})).status_code == 401
    await _refused(visitor, "CODE_USED")
    assert (await visitor.post("/enrol/options", {"code": code})).status_code == 401
    await _refused(visitor, "CODE_EXPIRED")


async def test_a_code_bears_five_guesses(visitor: Visitor) -> None:
    code = await visitor.console.add("Ann")
    wrong = code[:9] + "".join("AB"[letter == "A"] if letter != "-" else "-" for letter in code[9:])
    for _ in range(codes.MOST_ATTEMPTS):
        assert (await visitor.post("/enrol/options", {"code": wrong})).status_code == 401
    assert (await visitor.post("/enrol/options", {"code": code})).status_code == 401
    await _refused(visitor, "CODE_WRONG")
    await _refused(visitor, "CODE_EXHAUSTED")


async def test_guesses_without_the_first_part_harm_no_code(visitor: Visitor) -> None:
    code = await visitor.console.add("Ann")
    for _ in range(codes.MOST_ATTEMPTS + 2):
        assert (await visitor.post("/enrol/options", {"code": "AAAA-AAAA-" + code[10:]})).status_code == 401
    assert (await visitor.enrol(code)).status_code == 200


async def test_a_newer_code_ends_the_older(visitor: Visitor) -> None:
    older = await visitor.console.add("Ann")
    newer = await visitor.console.gateway.operators.issue_code(visitor.console.operators["Ann"], by="host")
    assert (await visitor.post("/enrol/options", {"code": older})).status_code == 401
    assert (await visitor.enrol(newer)).status_code == 200


async def test_a_code_of_a_disabled_operator_is_worth_nothing(visitor: Visitor) -> None:
    code = await visitor.console.add("Ann")
    options = await visitor.ask("/enrol/options", {"code": code})
    await visitor.console.gateway.operators.disable(visitor.console.operators["Ann"], by="host")
    assert (await visitor.post("/enrol", {"answer": visitor.passkey.make(options)})).status_code == 401
    assert (await visitor.post("/enrol/options", {"code": code})).status_code == 401


async def test_no_code_stands_in_the_database(visitor: Visitor) -> None:
    code = (await visitor.console.add("Ann")).replace("-", "").encode()
    files = list(visitor.console.gateway.settings.data_dir.glob("gateway.db*"))
    assert any(code[:8] in file.read_bytes() for file in files), "its first part finds it"
    assert not any(code[8:] in file.read_bytes() for file in files)


async def test_one_address_is_stopped_and_no_other(visitor: Visitor) -> None:
    statuses = [(await visitor.post("/enrol/options", {"code": "x"})).status_code for _ in range(31)]
    assert set(statuses[:30]) == {401}
    assert statuses[30] == 429
    attempts = Attempts(visitor.console.clock, limit=2)
    for address in (
        *("192.0.2.1", "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"),
        *("::ffff:192.0.2.3", "::ffff:192.0.2.4", "::ffff:192.0.2.5"),  # IPv4, as a dual-stack socket names it
    ):
        attempts.count(address)
    for address in ("192.0.2.1", "2001:db8::3"):
        with pytest.raises(TooManyAttempts):
            attempts.count(address)
    visitor.console.clock.ahead_ms += 300_000
    attempts.count("192.0.2.1")


async def _two(visitor: Visitor, other: Visitor) -> tuple[str, dict[str, str]]:
    """An admin who is signed in, and an officer: the path below which the admin acts, and the form."""
    await visitor.join("Ann")
    await other.join("Bob", Role.OFFICER)
    return f"/operators/{visitor.console.operators['Bob']}", {"form_token": await visitor.form_token()}


async def test_a_dangerous_act_takes_a_confirmation(visitor: Visitor, other: Visitor) -> None:
    path, form = await _two(visitor, other)
    assert (await visitor.post(f"{path}/disable", form)).status_code == 401
    assert (await other.get()).status_code == 200
    assert (await visitor.confirm(f"{path}/disable")).status_code == 303
    assert (await other.get()).status_code == 303


async def test_a_confirmation_is_for_one_act(visitor: Visitor, other: Visitor) -> None:
    """The challenge covers the act's hash: what was confirmed for one act does nothing for another."""
    path, form = await _two(visitor, other)
    options = await visitor.ask(f"{path}/code/options", form)
    answer = visitor.passkey.sign(options)
    assert (await visitor.post(f"{path}/disable", {**form, "answer": answer})).status_code == 401
    await _refused(visitor, "STEP_UP_OTHER_ACT")
    options = await visitor.ask(f"{path}/role/options", {**form, "role": "secretariat"})
    changed = {**form, "role": "admin", "answer": visitor.passkey.sign(options)}
    assert (await visitor.post(f"{path}/role", changed)).status_code == 401
    assert "operator_role_changed" not in await visitor.console.acts()


async def test_what_changed_in_between_was_not_confirmed(visitor: Visitor, other: Visitor) -> None:
    path, form = await _two(visitor, other)
    wanted = {**form, "role": "admin"}
    answer = visitor.passkey.sign(await visitor.ask(f"{path}/role/options", wanted))
    bob = visitor.console.operators["Bob"]
    await visitor.console.gateway.operators.change_role(bob, Role.SECRETARIAT, by="host")
    assert (await visitor.post(f"{path}/role", {**wanted, "answer": answer})).status_code == 401
    await _refused(visitor, "STEP_UP_OTHER_ACT")


async def test_a_confirmation_is_spent(visitor: Visitor, other: Visitor) -> None:
    path, form = await _two(visitor, other)
    answer = {**form, "answer": visitor.passkey.sign(await visitor.ask(f"{path}/code/options", form))}
    assert (await visitor.post(f"{path}/code", answer)).status_code == 200
    assert (await visitor.post(f"{path}/code", answer)).status_code == 401


async def test_a_sign_in_is_no_confirmation_and_the_reverse(visitor: Visitor, other: Visitor) -> None:
    path, form = await _two(visitor, other)
    answer = visitor.passkey.sign(await visitor.ask("/sign-in/options"))
    assert (await visitor.post(f"{path}/disable", {**form, "answer": answer})).status_code == 401
    answer = visitor.passkey.sign(await visitor.ask(f"{path}/disable/options", form))
    assert (await visitor.post("/sign-in", {"answer": answer})).status_code == 401
    assert (await other.get()).status_code == 200


async def test_another_operators_passkey_confirms_nothing(visitor: Visitor, other: Visitor) -> None:
    path, form = await _two(visitor, other)
    answer = other.passkey.sign(await visitor.ask(f"{path}/disable/options", form))
    assert (await visitor.post(f"{path}/disable", {**form, "answer": answer})).status_code == 401
    await _refused(visitor, "STEP_UP_OTHER_OPERATOR")


async def test_a_confirmation_belongs_to_its_session(visitor: Visitor, other: Visitor) -> None:
    """A thief with a session of the same operator cannot use what the owner confirmed elsewhere."""
    path, form = await _two(visitor, other)
    answer = visitor.passkey.sign(await visitor.ask(f"{path}/disable/options", form))
    ticket = visitor.http.cookies["ceremony"]
    other.passkey = visitor.passkey
    assert (await other.sign_in()).status_code == 303
    token = await other.form_token()
    other.http.cookies.clear()
    assert (await other.sign_in()).status_code == 303
    token = await other.form_token()
    other.http.cookies.set("ceremony", ticket, domain="localhost.local")
    assert (await other.post(f"{path}/disable", {"form_token": token, "answer": answer})).status_code == 401
    await _refused(visitor, "CEREMONY_OF_ANOTHER")


async def test_a_revoked_passkey_signs_in_no_more(visitor: Visitor) -> None:
    await visitor.join("Ann")
    lost = visitor.passkey
    visitor.passkey = Authenticator(visitor.console.origin)
    operators = visitor.console.gateway.operators
    await visitor.enrol(await operators.issue_code(visitor.console.operators["Ann"], by="host"))
    assert (await visitor.get()).status_code == 303, "the old session has ended too"
    assert (await visitor.sign_in()).status_code == 303
    visitor.passkey = lost
    assert (await visitor.sign_in()).status_code == 401
    await _refused(visitor, "PASSKEY_REVOKED")


async def test_the_last_passkey_stays(visitor: Visitor) -> None:
    await visitor.join("Ann")
    path = f"/passkeys/{encode(visitor.passkey.id)}/revoke"
    refused = await visitor.post(f"{path}/options", {"form_token": await visitor.form_token()})
    assert refused.status_code == 409


async def test_of_two_passkeys_that_are_revoked_at_once_one_stays(visitor: Visitor, other: Visitor) -> None:
    """Each of two browsers was told that there is another one."""
    await visitor.join("Ann")
    form = {"form_token": await visitor.form_token()}
    options = (await visitor.confirm("/passkeys/new")).json()
    assert (await visitor.post("/passkeys", {**form, "answer": other.passkey.make(options)})).status_code == 303
    assert (await other.sign_in()).status_code == 303
    revoked = await asyncio.gather(
        *(one.confirm(f"/passkeys/{encode(one.passkey.id)}/revoke") for one in (visitor, other))
    )
    assert sorted(answer.status_code for answer in revoked) == [303, 409]
    assert sorted([(await one.sign_in()).status_code for one in (visitor, other)]) == [303, 401]


async def test_a_stolen_session_adds_no_passkey(visitor: Visitor) -> None:
    await visitor.join("Ann")
    form = {"form_token": await visitor.form_token()}
    assert (await visitor.post("/passkeys/new", form)).status_code == 401
    thief = Authenticator(visitor.console.origin)
    options = await visitor.ask("/passkeys/new/options", form)
    made = {"user": {"id": visitor.passkey.user}, "challenge": options["challenge"]}
    assert (await visitor.post("/passkeys", {**form, "answer": thief.make(made)})).status_code == 401


async def test_a_passkey_is_one_operators(visitor: Visitor, other: Visitor) -> None:
    await visitor.join("Ann")
    other.passkey.id = visitor.passkey.id
    assert (await other.enrol(await other.console.add("Eve"))).status_code == 401
    assert (await visitor.sign_in()).status_code == 303
