"""Attacks on signed messages over HTTP: each is a good request but for one thing, and is stopped for that reason.

Every answer is the same 401; which check stopped it stands in the security log alone.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import product
from typing import Any

import httpx
import pytest
import pytest_asyncio
from joserfc.jwk import ECKey

from gateway.identity import Challenge
from gateway.identity.security_log import by_code
from gateway.web import web
from tests.access.api import raw
from tests.access.world import Deal, Shared, records, second_process, shared_on
from tests.signing import PROFILE, Message, Signature, check_answer, digest, is_signed, send_signed

BODY = json.dumps({"filters": {"code": "PEK"}}).encode()
OTHER_BODY = json.dumps({"filters": {"code": "SHA"}}).encode()
USUAL = ["@method", "@target-uri", "authorization", "dpop", "content-digest"]


pytestmark = pytest.mark.asyncio(loop_scope="module")
Stopped = Callable[[httpx.Response, str], Awaitable[None]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    async with shared_on(request, tmp_path_factory.mktemp("signed"), "sqlite") as alliance:
        yield alliance


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deal(shared: Shared) -> Deal:
    return await shared.market(signed_messages={"profile": PROFILE, "actions": ["read"]})


@pytest_asyncio.fixture(loop_scope="module")
async def stopped(shared: Shared) -> Stopped:
    """Checks that an answer is the one 401, unsigned; the security log knows why; the seam never heard of it."""
    before = len(await shared.accesses())
    log = shared.gateway.identity.log
    noted = log.attempts.copy()

    async def check(answer: httpx.Response, code: str) -> None:
        nonlocal noted
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_signature"), answer.text
        assert answer.json()["detail"] == "The credentials are missing or do not hold."
        assert 'error="invalid_signature"' in answer.headers["www-authenticate"]
        assert code not in answer.text
        assert not is_signed(answer)
        assert set(by_code(log.attempts - noted)) == {code}
        noted = log.attempts.copy()
        assert len(await shared.accesses()) == before

    return check


async def query(shared: Shared, deal: Deal, token: str = "", **how: Any) -> httpx.Response:
    """A filtered read by the hotel, with a signature that is good unless `how` says otherwise."""
    return await send_signed(shared.hotel, "POST", f"{deal.path}/query", token or await shared.token(deal), BODY, **how)


def put(name: str, value: str) -> Callable[[Message], None]:
    return lambda message: message.headers.__setitem__(name, value)


def drop(*names: str) -> Callable[[Message], None]:
    def change(message: Message) -> None:
        for name in names:
            del message.headers[name]

    return change


def body_swapped(message: Message) -> None:
    message.content = OTHER_BODY


def body_and_digest_swapped(message: Message) -> None:
    message.content = OTHER_BODY
    message.headers["content-digest"] = digest(OTHER_BODY)


def body_dropped(message: Message) -> None:
    message.content = b""


def moved_to_another_query(message: Message) -> None:
    message.url += "?limit=1"  # DPoP compares no query


def label_twice(message: Message) -> None:
    for name in ("signature-input", "signature"):
        message.headers[name] = f"{message.headers[name]}, {message.headers[name]}"


def input_of_another_label(message: Message) -> None:
    message.headers["signature-input"] = "sig2" + message.headers["signature-input"].removeprefix("sig1")


def parameter_twice(message: Message) -> None:
    message.headers["signature-input"] += ';keyid="another"'


def coverage_widened(message: Message) -> None:
    message.headers["signature-input"] = message.headers["signature-input"].replace('("', '("content-type" "', 1)


def signature_of_zeros(message: Message) -> None:
    message.headers["signature"] = "sig1=:" + "A" * 86 + "==:"


def signature_empty(message: Message) -> None:
    message.headers["signature"] = "sig1=::"


def signature_with_a_parameter(message: Message) -> None:
    message.headers["signature"] += ";alg=none"


def as_jws(message: Message) -> None:
    message.headers["signature"] = 'sig1="eyJhbGciOiJub25lIn0.."'


ON_THE_WAY: dict[str, tuple[Callable[[Message], None], str]] = {
    "body swapped": (body_swapped, "SIGNATURE_DIGEST"),
    "body and digest swapped": (body_and_digest_swapped, "SIGNATURE_MISMATCH"),
    "body dropped": (body_dropped, "SIGNATURE_DIGEST"),
    "digest dropped": (drop("content-digest"), "SIGNATURE_DIGEST"),
    "digest by md5": (put("content-digest", "md5=:rL0Y20zC+Fzt72VPzMSk2A==:"), "SIGNATURE_DIGEST"),
    "digest by sha-1": (put("content-digest", digest(BODY, "sha-1")), "SIGNATURE_DIGEST"),
    "digest with an unknown one beside it": (
        put("content-digest", f"{digest(BODY)}, unixsum=:AAA=:"),
        "SIGNATURE_DIGEST",
    ),
    "digest by another accepted algorithm": (put("content-digest", digest(BODY, "sha-512")), "SIGNATURE_MISMATCH"),
    "signature moved to another target": (moved_to_another_query, "SIGNATURE_MISMATCH"),
    "signature dropped": (drop("signature"), "SIGNATURE_FIELDS"),
    "signature input dropped": (drop("signature-input"), "SIGNATURE_FIELDS"),
    "duplicate label": (label_twice, "SIGNATURE_FIELDS"),
    "duplicate parameter": (parameter_twice, "SIGNATURE_FIELDS"),
    "labels that differ": (input_of_another_label, "SIGNATURE_COUNT"),
    "coverage widened": (coverage_widened, "SIGNATURE_MISMATCH"),
    "signature of zeros": (signature_of_zeros, "SIGNATURE_MISMATCH"),
    "signature empty": (signature_empty, "SIGNATURE_MISMATCH"),
    "signature with a parameter": (signature_with_a_parameter, "SIGNATURE_FIELDS"),
    "signature as a string": (as_jws, "SIGNATURE_FIELDS"),
}


@pytest.mark.parametrize("name", ON_THE_WAY)
async def test_a_message_changed_on_its_way_is_stopped(shared: Shared, deal: Deal, stopped: Stopped, name: str) -> None:
    change, code = ON_THE_WAY[name]
    await stopped(await query(shared, deal, after=change), code)


@pytest.mark.parametrize("name", ["@method", "@target-uri", "authorization", "dpop", "content-digest"])
async def test_a_component_dropped_is_stopped(shared: Shared, deal: Deal, stopped: Stopped, name: str) -> None:
    answer = await query(shared, deal, components=[one for one in USUAL if one != name])
    await stopped(answer, "SIGNATURE_COVERAGE")


async def test_a_header_swapped_is_stopped(shared: Shared, deal: Deal, stopped: Stopped) -> None:
    def change(message: Message) -> None:
        message.headers["content-type"] = "text/plain"

    await stopped(await query(shared, deal, components=[*USUAL, "content-type"], after=change), "SIGNATURE_MISMATCH")


async def test_another_good_proof_does_not_fit_the_signature(shared: Shared, deal: Deal, stopped: Stopped) -> None:
    token = await shared.token(deal)

    def change(message: Message) -> None:
        message.headers["dpop"] = shared.hotel.proof("POST", message.url, token)

    await stopped(await query(shared, deal, token, after=change), "SIGNATURE_MISMATCH")


async def test_another_good_token_does_not_fit_the_signature(shared: Shared, deal: Deal, stopped: Stopped) -> None:
    mine, other = await shared.token(deal), await shared.token(deal)

    def change(message: Message) -> None:
        message.headers["authorization"] = f"DPoP {other}"
        message.headers["dpop"] = shared.hotel.proof("POST", message.url, other)

    await stopped(await query(shared, deal, mine, after=change), "SIGNATURE_MISMATCH")


@pytest.mark.parametrize("tag", [None, "fapi-2-response", "FAPI-2-REQUEST", "web-bot-auth"])
async def test_a_wrong_tag_is_stopped(shared: Shared, deal: Deal, stopped: Stopped, tag: str | None) -> None:
    answer = await query(shared, deal, tag=tag)
    await stopped(answer, "SIGNATURE_PARAMETERS" if tag is None else "SIGNATURE_TAG")


@pytest.mark.parametrize("away", [-61, 11, -(10**6), 10**9])
async def test_created_too_old_or_in_the_future_is_stopped(
    shared: Shared, deal: Deal, stopped: Stopped, away: int
) -> None:
    await stopped(await query(shared, deal, created=shared.hotel.now + away), "SIGNATURE_TIME")


async def test_created_left_out_is_stopped(shared: Shared, deal: Deal, stopped: Stopped) -> None:
    await stopped(await query(shared, deal, without=["created"]), "SIGNATURE_PARAMETERS")


async def test_another_clients_key_is_stopped(shared: Shared, deal: Deal, stopped: Stopped) -> None:
    key = shared.bank.client_key
    await stopped(await query(shared, deal, key=key, keyid=key.thumbprint()), "SIGNATURE_KEY")
    await stopped(await query(shared, deal, key=key), "SIGNATURE_MISMATCH")


async def test_the_proofs_own_key_and_the_agreements_key_are_stopped(
    shared: Shared, deal: Deal, stopped: Stopped
) -> None:
    for key in (shared.hotel.proof_key, shared.hotel.signing_key):
        await stopped(await query(shared, deal, key=key, keyid=key.thumbprint()), "SIGNATURE_KEY")


async def test_a_retired_key_is_stopped(shared: Shared, deal: Deal) -> None:
    spare = ECKey.generate_key("P-256")
    clients, hotel = shared.gateway.clients, shared.hotel
    before = len(await shared.accesses())
    added = await shared.alliance.by_two("add_client_key", client=hotel.client, jwk=spare.as_dict(private=False))
    await check_answer(shared.alliance, await query(shared, deal, key=spare, keyid=added))
    await clients.retire_key(hotel.client, added, operator="test")
    noted = shared.gateway.identity.log.attempts.copy()
    answer = await query(shared, deal, key=spare, keyid=added)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_signature")
    assert by_code(shared.gateway.identity.log.attempts - noted) == {"SIGNATURE_KEY": 1}
    assert len(await shared.accesses()) == before + 1


@pytest.mark.parametrize("alg", ["rsa-pss-sha512", "ed25519", "hmac-sha256", "ES256", "none", "rsa-v1_5-sha256"])
async def test_algorithm_confusion_is_stopped(shared: Shared, deal: Deal, stopped: Stopped, alg: str) -> None:
    await stopped(await query(shared, deal, alg=alg, jose="ES256"), "SIGNATURE_MISMATCH")


@pytest.mark.parametrize("second", ["bad", "good", "foreign"])
async def test_two_signatures_are_stopped_whichever_is_bad(
    shared: Shared, deal: Deal, stopped: Stopped, second: str
) -> None:
    def beside(message: Message) -> None:
        hotel, key = shared.hotel, shared.bank.client_key if second == "foreign" else shared.hotel.client_key
        made = Signature(key=key, created=hotel.now, keyid=key.thumbprint(), label="sig2")
        stated, signature = made.write(message)
        if second == "bad":
            signature = "sig2=:" + "A" * 86 + "==:"
        message.headers["signature-input"] += f", {stated}"
        message.headers["signature"] += f", {signature}"

    await stopped(await query(shared, deal, after=beside), "SIGNATURE_COUNT")


async def test_both_fields_dropped_make_an_unsigned_request_which_the_agreement_refuses(
    shared: Shared, deal: Deal
) -> None:
    answer = await query(shared, deal, after=drop("signature", "signature-input", "content-digest"))
    assert (answer.status_code, answer.json()["code"]) == (403, "MESSAGE_SIGNATURE_REQUIRED")
    assert not is_signed(answer)


async def test_a_signed_request_is_accepted_once(shared: Shared, deal: Deal) -> None:
    """DPoP's `jti` stops the second; and where it would not, what is kept already is not accepted again."""
    sent: list[Message] = []
    token = await shared.token(deal)
    assert len(records(await query(shared, deal, token, after=sent.append))) == 1
    message = sent[-1]
    again = await shared.alliance.http.request(
        message.method, message.url, headers=message.headers, content=message.content
    )
    assert (again.status_code, again.json()["code"]) == (401, "invalid_dpop_proof")

    subject = await shared.subject(shared.hotel, token)
    async with second_process(shared) as elsewhere:
        for gateway in (shared.gateway, elsewhere):
            with pytest.raises(Challenge) as refused:
                await gateway.message_signing.verify(_Arrived(message), subject)
            assert refused.value.reason == "SIGNATURE_REPLAYED"


class _Arrived:
    """A request as the routes have it, past its proof."""

    def __init__(self, message: Message) -> None:
        self.method = message.method
        self._content = message.content
        path = "/" + message.url.partition("://")[2].partition("/")[2]
        headers = [(name.encode(), value.encode()) for name, value in message.headers.items()]
        self.scope = {"headers": headers, "raw_path": path.encode(), "query_string": b""}

    async def body(self) -> bytes:
        return self._content


HOSTILE = [
    b"",
    b"sig1",
    b"sig1=",
    b"sig1=()",
    b"sig1=(",
    b'sig1=("@method")',
    b"sig1=:AA==:",
    b"sig1=1, sig2=2",
    b"\xff\xfe",
    b"sig1=(" + b'"a" ' * 2000 + b")",
    b'*=();created=1;keyid="x";tag="fapi-2-request"',
    b'sig1=("@method" ("a"));created=1',
    b"sig1=?1",
    b'sig1=("@target-uri");created=-999999999999999;keyid="x";tag="fapi-2-request"',
    b'sig1=("@target-uri");created=999999999999999;keyid="x";tag="fapi-2-request"',
]


async def test_hostile_fields_are_a_401_and_never_a_500(shared: Shared, deal: Deal) -> None:
    token, app = await shared.token(deal), web(shared.gateway)
    await shared.hotel.get(deal.path, token)
    for stated, signature in product(HOSTILE, [b"sig1=:AA==:", b"", b"sig1", b"\xff", b"sig1=();x", b"sig1=:AA"]):
        proof = shared.hotel.proof("GET", shared.alliance.base + deal.path, token)
        headers = [(b"authorization", f"DPoP {token}".encode()), (b"dpop", proof.encode())]
        signed = [(b"signature-input", stated), (b"signature", signature)]
        answer = await raw(app, "GET", deal.path.encode(), [*headers, *signed])
        assert (answer.status, answer.problem()["code"]) == (401, "invalid_signature"), (stated, signature)
