"""Client assertions: each rule has a message on either side of its limit."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from sqlalchemy import func, select

from gateway.database import Database, DatabaseUnavailable, Query
from gateway.identity import DatabaseWindow, add_key, retire_key
from gateway.identity.jws import PrivateKey
from gateway.identity.tables import spent_assertion
from tests.identity.world import ISSUER, World, build_second_client, sign_raw

NOW = 1_800_000_000
JTI = "0123456789abcdefghij"


@pytest.mark.parametrize(
    "claims",
    [
        {"iat": NOW + 10, "exp": NOW + 310},
        {"iat": NOW, "exp": NOW + 300},
        {"iat": ..., "exp": NOW + 300},
        {"iat": NOW - 250, "exp": NOW + 1},
        {"exp": NOW + 0.9},
        {"nbf": NOW + 8},
        {"nbf": NOW + 10},
        {"nbf": NOW - 1000},
        {"jti": JTI},
        {"jti": "a" * 256},
        {"iat": float(NOW)},
    ],
)
async def test_an_assertion_within_its_limits_is_accepted(world: World, claims: dict[str, Any]) -> None:
    assert (await world.ask(**claims)).body["token_type"] == "DPoP"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"iat": NOW + 11, "exp": NOW + 60}, "ASSERTION_ISSUED_AHEAD"),
        ({"iat": NOW, "exp": NOW + 301}, "ASSERTION_LIFETIME"),
        ({"iat": ..., "exp": NOW + 301}, "ASSERTION_LIFETIME"),
        ({"exp": NOW}, "ASSERTION_EXPIRED"),
        ({"exp": NOW - 300}, "ASSERTION_EXPIRED"),
        ({"exp": ...}, "ASSERTION_TIMES"),
        ({"exp": str(NOW + 60)}, "ASSERTION_TIMES"),
        ({"exp": True}, "ASSERTION_TIMES"),
        ({"exp": 1e300}, "ASSERTION_TIMES"),
        ({"iat": None}, "ASSERTION_TIMES"),
        ({"iat": "now"}, "ASSERTION_TIMES"),
        ({"nbf": NOW + 11}, "ASSERTION_NOT_YET"),
        ({"nbf": "soon"}, "ASSERTION_TIMES"),
        ({"jti": ...}, "ASSERTION_JTI"),
        ({"jti": JTI[1:]}, "ASSERTION_JTI"),
        ({"jti": "a" * 257}, "ASSERTION_JTI"),
        ({"jti": 1234567890123456}, "ASSERTION_JTI"),
        ({"aud": [ISSUER]}, "ASSERTION_AUDIENCE"),
        ({"aud": [ISSUER, "https://elsewhere.example"]}, "ASSERTION_AUDIENCE"),
        ({"aud": f"{ISSUER}/token"}, "ASSERTION_AUDIENCE"),
        ({"aud": f"{ISSUER}/"}, "ASSERTION_AUDIENCE"),
        ({"aud": ...}, "ASSERTION_AUDIENCE"),
        ({"sub": ...}, "ASSERTION_SUBJECT"),
        ({"sub": "another"}, "ASSERTION_SUBJECT"),
        ({"iss": "another"}, "CLIENT_UNKNOWN"),
        ({"iss": ...}, "ASSERTION_ISSUER"),
        ({"iss": 7}, "ASSERTION_ISSUER"),
    ],
)
async def test_an_assertion_past_a_limit_is_refused(world: World, claims: dict[str, Any], code: str) -> None:
    refused = await world.refusal(**claims)
    assert (refused.error, refused.code, refused.status) == ("invalid_client", code, 401)


@pytest.mark.parametrize(
    "typ", [..., "JWT", "jwt", "client-authentication+jwt", "application/client-authentication+jwt"]
)
async def test_the_types_of_an_assertion_are_accepted(world: World, typ: Any) -> None:
    await world.ask(typ=typ)


@pytest.mark.parametrize("typ", ["at+jwt", "dpop+jwt", "agreement+jws", "secevent+jwt", "", "JOSE", None, 7, ["JWT"]])
async def test_an_assertion_of_another_type_is_refused(world: World, typ: Any) -> None:
    assert (await world.refusal(typ=typ)).code == "ASSERTION_TYPE"


async def test_authlibs_hour_is_refused_with_a_documented_code(world: World) -> None:
    refused = await world.refusal(exp=NOW + 3600)
    assert refused.description.startswith("ASSERTION_LIFETIME")
    assert "300 seconds" in refused.description


async def test_only_a_proven_client_learns_why(world: World) -> None:
    stranger = OKPKey.generate_key("Ed25519")
    refused = await world.refusal(key=stranger, exp=NOW + 3600)
    assert (refused.code, refused.description) == ("ASSERTION_SIGNATURE", "The client is not authenticated.")


async def test_an_assertion_is_used_once(each_world: World) -> None:
    await each_world.ask(jti=JTI)
    assert (await each_world.refusal(jti=JTI)).code == "ASSERTION_REPLAYED"
    assert len(each_world.record.granted) == 1


async def test_an_assertion_is_used_once_across_processes(each_world: World) -> None:
    other = each_world.another_process()
    await each_world.ask(jti=JTI)
    assert (await each_world.refusal(identity=other, jti=JTI)).code == "ASSERTION_REPLAYED"


async def test_of_simultaneous_uses_one_wins(each_world: World) -> None:
    processes = [each_world.another_process() for _ in range(3)]
    answers = await asyncio.gather(
        *(each_world.ask(identity=one, jti=JTI) for one in processes * 2), return_exceptions=True
    )
    assert sum(not isinstance(answer, Exception) for answer in answers) == 1


async def test_a_jti_is_its_clients_own(world: World) -> None:
    await world.ask(jti=JTI)
    other = await build_second_client(world)
    await other.ask(jti=JTI)


async def test_spent_assertions_are_purged_but_not_early(world: World) -> None:
    window = DatabaseWindow(world.database, world.clock)
    assert await window.reserve("assertion", world.client, JTI, NOW + 60)
    world.clock.pass_seconds(59)
    assert await window.reserve("assertion", world.client, "b" * 16, NOW + 300)
    assert not await window.reserve("assertion", world.client, JTI, NOW + 60)
    world.clock.pass_seconds(3700)
    assert await window.reserve("assertion", world.client, "c" * 16, NOW + 4000)
    assert await _spent(world.database) == 2


async def test_without_its_store_nothing_is_accepted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(*_: object) -> bool:
        raise DatabaseUnavailable

    monkeypatch.setattr(DatabaseWindow, "use", lost)
    refused = await world.refusal()
    assert (refused.error, refused.status) == ("temporarily_unavailable", 503)
    assert world.record.granted == []


@pytest.mark.parametrize(
    "key", [ECKey.generate_key("P-256"), RSAKey.generate_key(2048), OKPKey.generate_key("Ed25519")], ids=type
)
async def test_each_registered_kind_of_key_signs(world: World, key: PrivateKey) -> None:
    await _register(world, key)
    await world.ask(key=key, header={})


async def test_keys_that_share_a_kid_are_tried_in_turn(world: World) -> None:
    keys: list[PrivateKey] = [ECKey.generate_key("P-256"), ECKey.generate_key("P-256"), RSAKey.generate_key(2048)]
    for key in keys:
        await _register(world, key, kid="same")
    for key in keys:
        await world.ask(key=key, header={"kid": "same"})


async def test_without_a_kid_all_keys_are_tried(world: World) -> None:
    second = OKPKey.generate_key("Ed25519")
    await _register(world, second)
    await world.ask(key=second, header={})
    await world.ask(header={})


@pytest.mark.parametrize("kid", ["unknown", "", 7, ["a"], {"a": 1}, True])
async def test_a_kid_that_is_not_the_clients_matches_no_key(world: World, kid: object) -> None:
    assert (await world.refusal(header={"kid": kid})).code == "ASSERTION_SIGNATURE"


async def test_a_retired_key_signs_no_more(world: World) -> None:
    second = OKPKey.generate_key("Ed25519")
    await _register(world, second)
    async with world.database.transaction() as tx:
        await retire_key(tx, client_id=world.client, thumbprint=world.kid)
    assert (await world.refusal()).code == "ASSERTION_SIGNATURE"
    await world.ask(key=second, header={})


async def test_another_clients_key_is_refused(world: World) -> None:
    other = await build_second_client(world)
    refused = await world.refusal(key=other.key, header={"kid": other.kid})
    assert refused.code == "ASSERTION_SIGNATURE"


@pytest.mark.parametrize("algorithm", ["RS256", "PS384", "RS512"])
async def test_an_rsa_key_is_pinned_to_ps256(world: World, algorithm: str) -> None:
    key = RSAKey.generate_key(2048)
    await _register(world, key, kid="rsa")
    refused = await world.refusal(form={"client_assertion": _foreign(world, key, algorithm, "rsa")})
    assert refused.code == "ASSERTION_SIGNATURE"


@pytest.mark.parametrize("algorithm", ["none", "HS256", "HS512", "nonsense"])
async def test_no_symmetric_or_empty_algorithm_is_known(world: World, algorithm: str) -> None:
    """The public key as HMAC secret, no signature at all, and a name nobody knows."""
    public = str(world.key.as_dict(private=False)["x"]).encode()
    secret = world.key if algorithm == "nonsense" else OctKey.import_key(public)
    refused = await world.refusal(form={"client_assertion": _foreign(world, secret, algorithm, world.kid)})
    assert refused.code in ("ASSERTION_SIGNATURE", "ASSERTION_MALFORMED")


async def test_eddsa_is_the_older_name_of_ed25519(world: World) -> None:
    await world.ask(form={"client_assertion": _foreign(world, world.key, "EdDSA", world.kid)})


def _foreign(world: World, key: Any, algorithm: str, kid: str) -> str:
    """An assertion under an algorithm that our own signer does not offer."""
    claims = {"iss": world.client, "sub": world.client, "aud": ISSUER, "iat": NOW, "exp": NOW + 60, "jti": JTI}
    return sign_raw(json.dumps({"alg": algorithm, "kid": kid}), json.dumps(claims), key)


async def _register(world: World, key: PrivateKey, kid: str | None = None) -> str:
    async with world.database.transaction() as tx:
        jwk = {**key.as_dict(private=False), **({"kid": kid} if kid else {})}
        return await add_key(tx, client_id=world.client, jwk=jwk, now_ms=world.clock())


async def _spent(database: Database) -> int:
    row = await database.one(Query(select(func.count().label("n")).select_from(spent_assertion)))
    assert row is not None
    count: int = row["n"]
    return count
