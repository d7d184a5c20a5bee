"""RFC 8414 and RFC 9728: complete, valid by somebody else's validator, and the same bytes from every process."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from fastapi import FastAPI

from gateway.identity import PROFILE, MemoryWindow, metadata
from gateway.identity.routes import endpoints, routes
from gateway.identity.token_keys import KEY_SET_CACHE_SECONDS
from tests.identity.world import ISSUER, RESOURCE, World, build_identity

SERVER = "/.well-known/oauth-authorization-server"
OIDC = "/.well-known/openid-configuration"
PROTECTED = ("/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/v1")
OURS = ["ES256", "PS256", "Ed25519", "EdDSA"]


def client_of(world: World, **other: Any) -> httpx.AsyncClient:
    """HTTP to a process over the world's database."""
    identity = build_identity(
        world.database, world.clock, world.token_key, world.terms, world.members, world.record, **other
    )
    app = FastAPI()
    app.include_router(endpoints(identity))
    app.include_router(routes(identity))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ISSUER)


async def test_the_server_says_what_it_does(world: World) -> None:
    document = (await client_of(world).get(SERVER)).json()
    methods = {
        f"{endpoint}_endpoint_{what}": values
        for endpoint in ("token", "revocation", "introspection")
        for what, values in (
            ("auth_methods_supported", ["private_key_jwt"]),
            ("auth_signing_alg_values_supported", OURS),
        )
    }
    assert document == methods | {
        "issuer": ISSUER,
        "token_endpoint": f"{ISSUER}/token",
        "revocation_endpoint": f"{ISSUER}/revoke",
        "introspection_endpoint": f"{ISSUER}/introspect",
        "jwks_uri": f"{ISSUER}/jwks",
        "registration_endpoint": f"{RESOURCE}/clients",
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "introspection_signing_alg_values_supported": ["Ed25519"],
        "dpop_signing_alg_values_supported": OURS,
        "authorization_details_types_supported": ["alliance_member", "alliance_agreement"],
        "protected_resources": [RESOURCE],
    }


async def test_authlib_finds_it_valid(world: World) -> None:
    document = (await client_of(world).get(SERVER)).json()
    validated = AuthorizationServerMetadata(document)
    checked = [key for key in AuthorizationServerMetadata.REGISTRY_KEYS if key != "response_types_supported"]
    assert len(checked) > 15
    for key in checked:
        getattr(validated, f"validate_{key}")()
    with pytest.raises(ValueError, match="response_types_supported"):
        validated.validate_response_types_supported()
    assert document["response_types_supported"] == [], "RFC 8414 requires the member; no response type exists here"


async def test_each_endpoint_that_is_named_is_there(world: World) -> None:
    client = client_of(world)
    document = (await client.get(SERVER)).json()
    for name in ("token", "revocation", "introspection"):
        url = document[f"{name}_endpoint"]
        refused = await client.post(url, data={"client_id": "nobody"})
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
        assert (refused.headers["cache-control"], refused.headers["pragma"]) == ("no-store", "no-cache")
        assert (await client.get(url)).status_code == 405
    assert (await client.get(document["jwks_uri"])).status_code == 200


@pytest.mark.parametrize("path", ["/token", "/revoke", "/introspect"])
async def test_who_tries_by_authorization_is_challenged_under_the_same_scheme(world: World, path: str) -> None:
    """RFC 6749 section 5.2. Everybody else gets no challenge: there is no scheme to try."""
    challenges = []
    for tried in ({"Authorization": "Basic YTpi"}, {"Authorization": "Bearer x"}, {"Authorization": '"'}, {}):
        answer = await client_of(world).post(path, data={"client_id": "nobody"}, headers=tried)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        challenges.append(answer.headers.get("www-authenticate"))
    assert challenges == ['Basic realm="clients"', 'Bearer realm="clients"', None, None]


async def test_endpoints_answer_over_http(world: World) -> None:
    client, token = client_of(world), await world.token()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    told = await client.post("/introspect", content=world.form({"token": token}), headers=headers)
    assert (told.status_code, told.headers["content-type"], told.json()["active"]) == (200, "application/json", True)
    assert (told.headers["cache-control"], told.headers["vary"]) == ("no-store", "Accept")
    signed = await client.post(
        "/introspect",
        content=world.form({"token": token}),
        headers={**headers, "accept": "application/token-introspection+jwt"},
    )
    assert signed.headers["content-type"] == "application/token-introspection+jwt"
    assert signed.text.count(".") == 2
    revoked = await client.post("/revoke", content=world.form({"token": token}), headers=headers)
    assert (revoked.status_code, revoked.content, revoked.headers["cache-control"]) == (200, b"", "no-store")
    told = await client.post("/introspect", content=world.form({"token": token}), headers=headers)
    assert told.json() == {"active": False}
    hinted = world.form({"token": "x", "token_type_hint": "refresh_token"})
    refused = await client.post("/revoke", content=hinted, headers=headers)
    assert (refused.status_code, refused.json()["error"]) == (400, "unsupported_token_type")


async def test_with_certificates_every_endpoint_has_its_alias(world: World) -> None:
    identity = world.identity
    mtls = "https://mtls.gateway.example"
    document = metadata.server(identity.issuer, identity.resource, mtls)
    names = {name for name in document if name.endswith("_endpoint")}
    assert document["mtls_endpoint_aliases"] == {
        name: document[name].replace(identity.issuer, mtls) for name in sorted(names)
    }
    methods = ["private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"]
    for name in names - {"registration_endpoint"}:  # which takes tokens
        assert set(document[f"{name}_auth_methods_supported"]) == set(methods)


async def test_the_resource_says_where_its_tokens_come_from(world: World) -> None:
    client = client_of(world)
    for path in PROTECTED:
        document = (await client.get(path)).json()
        assert document == {
            "resource": RESOURCE,
            "resource_name": "Alliance Gateway",
            "jwks_uri": f"{RESOURCE}/jwks",
            "authorization_servers": [ISSUER],
            "bearer_methods_supported": ["header"],
            "authorization_details_types_supported": ["alliance_member", "alliance_agreement"],
            "dpop_signing_alg_values_supported": OURS,
            "dpop_bound_access_tokens_required": True,
            "tls_client_certificate_bound_access_tokens": False,
            "resource_signing_alg_values_supported": ["Ed25519"],
            "http_message_signature_profiles_supported": [PROFILE],
        }


async def test_a_challenge_leads_to_the_metadata_and_on_to_the_server(world: World) -> None:
    challenge = (await world.challenge("nonsense")).headers()[0][1]
    url = challenge.partition('resource_metadata="')[2].rstrip('"')
    client = client_of(world)
    document = (await client.get(url)).json()
    [issuer] = document["authorization_servers"]
    assert (await client.get(issuer + SERVER)).json()["issuer"] == issuer == ISSUER


async def test_documents_are_the_same_bytes_and_headers_from_every_process_at_every_time(world: World) -> None:
    first = client_of(world)
    answers = {path: await first.get(path) for path in (SERVER, OIDC, *PROTECTED, "/jwks")}
    assert answers[SERVER].content == answers[OIDC].content
    assert {answers[path].headers["cache-control"] for path in (SERVER, OIDC, *PROTECTED)} == {"public, max-age=3600"}
    assert answers["/jwks"].headers["cache-control"] == f"public, max-age={KEY_SET_CACHE_SECONDS}"
    assert answers["/jwks"].headers["content-type"] == "application/jwk-set+json"
    world.clock.pass_seconds(100_000)
    second = client_of(world, proofs=MemoryWindow(world.clock))
    for path, answer in answers.items():
        again = await second.get(path)
        assert (again.content, again.headers) == (answer.content, answer.headers)
        assert set(again.headers) == {"cache-control", "content-type", "content-length"}
