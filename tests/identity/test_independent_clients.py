"""Clients that we did not write, over HTTP, against a real server on loopback."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import requests
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc7523.assertion import private_key_jwt_sign
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from requests_oauth2client import DPoPToken, OAuth2Client, PrivateKeyJwt

from gateway.identity import Challenge, Identity, Subject
from gateway.identity.proxy import peer_of
from gateway.identity.routes import endpoints, routes
from tests.identity.world import JWT_BEARER, MEMBER_DETAILS, World, build_identity
from tests.listening import listening
from tests.services import free_port

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def application(identity: Identity) -> FastAPI:
    """The OAuth endpoints and one protected resource."""
    app = FastAPI()
    app.include_router(routes(identity))
    app.include_router(endpoints(identity))

    async def authenticate(request: Request) -> Subject:
        subject = await identity.authenticate(
            request.method, request.scope["raw_path"].decode(), request.scope["headers"], peer_of(request.scope)
        )
        await identity.require_active(subject)
        return subject

    async def challenged(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Challenge)
        return JSONResponse({"code": error.code}, 401, dict(error.headers()))

    @app.get("/v1/things/{name}")
    async def thing(name: str, subject: Subject = Depends(authenticate)) -> dict[str, Any]:  # noqa: B008
        return {"name": name, "member": subject.member, "actions": sorted(subject.actions)}

    app.add_exception_handler(Challenge, challenged)
    return app


class Served:
    """A world on a port: its clock is the machine's."""

    def __init__(self, world: World, identity: Identity, origin: str) -> None:
        self.world, self.identity, self.origin = world, identity, origin


@pytest.fixture
async def served(world: World) -> AsyncIterator[Served]:
    world.clock.ms = time.time_ns() // 1_000_000
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    identity = build_identity(
        world.database, world.clock, world.token_key, world.terms, world.members, world.record,
        issuer=origin, resource=f"{origin}/v1",
    )  # fmt: skip
    async with listening(application(identity), port):
        yield Served(world, identity, origin)


async def test_requests_oauth2client_gets_a_token_and_reads(served: Served) -> None:
    """DPoP with nonce retries at both servers, `authorization_details`, a protected resource."""
    world, origin = served.world, served.origin
    key = {**world.key.as_dict(private=True), "kid": world.kid}

    def use() -> tuple[dict[str, Any], Any]:
        client = OAuth2Client(
            token_endpoint=f"{origin}/token",
            auth=PrivateKeyJwt(world.client, key, alg="EdDSA", aud=origin),
            dpop_bound_access_tokens=True,
            testing=True,
        )
        token = client.client_credentials(authorization_details=json.dumps(MEMBER_DETAILS))
        assert isinstance(token, DPoPToken)
        answer = requests.get(f"{origin}/v1/things/a%20b?limit=1", auth=token, timeout=5)
        assert answer.status_code == 200, answer.text
        return answer.json(), token

    thing, token = await asyncio.to_thread(use)
    assert thing == {"name": "a b", "member": "bank", "actions": ["draft", "sign"]}
    assert token.authorization_details == [{"type": "alliance_member", "actions": ["draft", "sign"]}]
    assert 295 <= token.expires_in <= 300


class ShortPrivateKeyJWT(PrivateKeyJWT):  # type: ignore[misc]
    """Authlib's method with assertions of a minute instead of an hour."""

    lifetime = 60

    def sign(self, auth: Any, token_endpoint: str) -> str:
        text: str = private_key_jwt_sign(
            auth.client_secret, client_id=auth.client_id, token_endpoint=token_endpoint, alg=self.alg,
            expires_in=self.lifetime,
        )  # fmt: skip
        return text


@pytest.mark.parametrize(("lifetime", "status"), [(60, 200), (3600, 401)])
async def test_authlibs_assertion_is_accepted_when_it_is_short(served: Served, lifetime: int, status: int) -> None:
    world, origin = served.world, served.origin
    method = ShortPrivateKeyJWT(origin, alg="Ed25519")
    method.lifetime = lifetime
    auth = ClientAuth(world.client, world.key, method)
    _, _, body = auth.prepare(
        "POST", f"{origin}/token", {}, f"grant_type=client_credentials&authorization_details={_DETAILS}"
    )
    proof = world.proof("POST", f"{origin}/token", nonce=served.identity.token_endpoint.next_nonce())
    headers = {"DPoP": proof, "Content-Type": "application/x-www-form-urlencoded"}
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{origin}/token", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    if status == 401:
        assert answer.json()["error_description"].startswith("ASSERTION_LIFETIME")


_DETAILS = "%5B%7B%22type%22%3A%22alliance_member%22%2C%22actions%22%3A%5B%22draft%22%5D%7D%5D"


async def test_metadata_is_served_where_its_rfcs_say(served: Served) -> None:
    """Authlib's validator reads it too; there is no authorization endpoint, so no response type, which it takes for
    a missing member."""
    origin = served.origin
    async with httpx.AsyncClient(base_url=origin) as client:
        found = {path: await client.get(path) for path in (
            "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/jwks",
            "/.well-known/oauth-protected-resource/v1", "/.well-known/oauth-protected-resource",
        )}  # fmt: skip
    assert {answer.status_code for answer in found.values()} == {200}
    server = found["/.well-known/oauth-authorization-server"].json()
    assert found["/.well-known/openid-configuration"].json() == server
    assert server["issuer"] == origin
    assert server["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert server["grant_types_supported"] == ["client_credentials"]
    assert not {"none", "RS256", "HS256"} & set(server["token_endpoint_auth_signing_alg_values_supported"])
    secure = {
        name: value.replace("http:", "https:") if isinstance(value, str) else value for name, value in server.items()
    }
    assert server["response_types_supported"] == []
    AuthorizationServerMetadata({**secure, "response_types_supported": ["none"]}).validate()
    resource = found["/.well-known/oauth-protected-resource/v1"].json()
    assert (resource["resource"], resource["authorization_servers"]) == (f"{origin}/v1", [origin])
    assert resource["dpop_bound_access_tokens_required"] is True
    (key,) = found["/jwks"].json()["keys"]
    assert key == {
        **served.world.token_key.public().jwk,
        "kid": served.world.token_key.kid,
        "use": "sig",
        "alg": "Ed25519",
    }


async def test_oauth_errors_have_one_shape_and_are_never_cached(served: Served) -> None:
    origin = served.origin
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    async with httpx.AsyncClient(base_url=origin) as client:
        answers = [
            await client.post("/token"),
            await client.post("/token", json={}),
            await client.post("/token", content=b"a=1&a=1", headers=form),
            await client.post("/token", content=b"a=" + b"x" * 40_000, headers=form),
            await client.post("/token", content=f"client_assertion_type={JWT_BEARER}&client_assertion=x", headers=form),
        ]
    assert [answer.status_code for answer in answers] == [400, 400, 400, 400, 401]
    for answer in answers:
        assert set(answer.json()) == {"error", "error_description"}
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] == "application/json"


async def test_a_401_of_the_resource_is_a_dpop_challenge(served: Served) -> None:
    async with httpx.AsyncClient(base_url=served.origin) as client:
        answer = await client.get("/v1/things/a")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("DPoP algs=")
    assert answer.headers["dpop-nonce"]
