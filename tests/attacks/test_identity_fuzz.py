"""Whatever a stranger sends: a refusal in our own words, and nothing secret in words, logs or reprs."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from gateway.database import metadata
from gateway.database.sqlite import SQLiteDatabase
from gateway.identity import Challenge, TokenRefused
from gateway.identity.jws import json_object, take_apart
from gateway.identity.tables import client, client_key, spent_assertion
from gateway.members.tables import alliance, member
from tests.identity.world import ISSUER, World, build_world, sign_raw


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Identity on SQLite."""
    path = tmp_path / "identity.db"
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    metadata.create_all(engine, tables=[alliance, member, client, client_key, spent_assertion])
    database = SQLiteDatabase(path)
    yield await build_world(database)
    await database.close()


_VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["ES256", "a" * 16]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
_HEADER = st.dictionaries(
    st.sampled_from(("alg", "typ", "kid", "jwk", "crit", "b64", "jku", "x5c")), _VALUE, max_size=4
)
_NAMES = ("iss", "sub", "aud", "iat", "exp", "nbf", "jti", "htm", "htu", "ath", "nonce", "cnf")
_CLAIMS = st.dictionaries(st.sampled_from(_NAMES), _VALUE, max_size=4)
_FUZZ = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _sealed(header: dict[str, Any], claims: dict[str, Any], key: Any) -> str:
    return sign_raw(json.dumps(header), json.dumps(claims), key)


def _decoded(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    parts = take_apart(text, limit=20_000)
    return parts.header, json_object(parts.payload)


@given(header=_HEADER, claims=_CLAIMS)
@_FUZZ
def test_any_signed_nonsense_gets_no_token(world: World, header: dict[str, Any], claims: dict[str, Any]) -> None:
    """Good messages with members overwritten by anything; as assertion and as proof."""

    async def play() -> None:
        good_header, good_claims = _decoded(world.assertion())
        assertion = _sealed({**good_header, **header, "alg": "Ed25519"}, {**good_claims, **claims}, world.key)
        proof_header, proof_claims = _decoded(world.proof("POST", f"{ISSUER}/token", nonce=world.token_nonce()))
        proof = _sealed({**proof_header, **header}, {**proof_claims, **claims}, world.dpop)
        for request in ({"form": {"client_assertion": assertion}}, {"proof": proof}):
            try:
                await world.ask(**request)
            except TokenRefused as refused:
                assert refused.__cause__ is None  # noqa: PT017

    asyncio.run(play())


@given(header=_HEADER, claims=_CLAIMS)
@_FUZZ
def test_any_signed_nonsense_opens_no_resource(world: World, header: dict[str, Any], claims: dict[str, Any]) -> None:
    """Also a token that our own key signed over nonsense raises nothing but a challenge."""

    async def play() -> None:
        token = _sealed(
            {"alg": "Ed25519", "typ": "at+jwt", "kid": world.token_key.kid, **header}, claims, world.token_key.private
        )
        try:
            await world.call(token)
        except Challenge:
            return
        raise AssertionError("accepted")

    asyncio.run(play())


@given(st.lists(st.tuples(st.sampled_from([b"authorization", b"dpop", b"host"]), st.binary(max_size=80)), max_size=4))
@_FUZZ
def test_any_headers_are_a_challenge(world: World, headers: list[tuple[bytes, bytes]]) -> None:
    async def play() -> None:
        for url in ("/v1/things", "https://[x", ""):
            with pytest.raises(Challenge):
                await world.identity.authenticate("GET", url, headers)
        with pytest.raises(TokenRefused):
            await world.identity.token_endpoint.answer(headers, b"\xff")

    asyncio.run(play())


@pytest.mark.parametrize("size", [4_000, 9_000, 70_000, 1_000_000])
async def test_a_huge_header_is_a_challenge(world: World, size: int) -> None:
    token = await world.token()
    for headers in (
        [(b"authorization", b"DPoP " + b"a" * size), (b"dpop", b"a.b.c")],
        [(b"authorization", b"DPoP " + b"e30." * (size // 4)), (b"dpop", b"a.b.c")],
        [(b"authorization", f"DPoP {token}".encode()), (b"dpop", b"e30" * size)],
        [(b"authorization", f"DPoP {token}".encode()), (b"dpop", b"." * size)],
        [(b"authorization", f"DPoP {token}".encode()), (b"dpop", b"eyJh" * size + b".e30.e30")],
    ):
        with pytest.raises(Challenge):
            await world.identity.authenticate("GET", "/v1/things", headers)


async def test_no_secret_is_in_an_exception_or_a_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = await world.token()
    assertion = world.assertion(aud="https://elsewhere.example")
    proof = world.proof("GET", "https://gateway.example/v1/other", nonce=world.identity.next_nonce(), token=token)
    told: list[str] = []
    for attempt in (
        world.call(token, proof=proof),
        world.call(token[:-4] + "AAAA"),
        world.ask(form={"client_assertion": assertion}),
        world.ask(form={"client_assertion": assertion[:-4] + "AAAA"}),
        world.ask(proof=proof),
    ):
        with pytest.raises((Challenge, TokenRefused)) as error:
            await attempt
        told += ["".join(traceback.format_exception(error.value)), repr(error.value), str(vars(error.value))]
    told += [caplog.text, repr(world.identity.log.attempts), repr(world.record.refused), repr(world.record.granted)]
    pieces = [piece for text in (token, assertion, proof) for piece in text.split(".") if len(piece) > 30]
    for text in told:
        assert not any(piece[:30] in text for piece in pieces)
