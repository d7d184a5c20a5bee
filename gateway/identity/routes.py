"""The OAuth endpoints. They answer RFC 6749 errors, never problem documents."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from urllib.parse import urlsplit

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from gateway.canonical import canonical
from gateway.errors import TooSlow
from gateway.identity import metadata
from gateway.identity.endpoint import PATH as TOKEN_PATH
from gateway.identity.forms import BODY_BYTES
from gateway.identity.identity import Identity
from gateway.identity.introspection import PATH as INTROSPECTION_PATH
from gateway.identity.proxy import peer_of
from gateway.identity.refusals import TokenRefused
from gateway.identity.revocation import PATH as REVOCATION_PATH
from gateway.identity.token_keys import KEY_SET_CACHE_SECONDS

Endpoint = Callable[[Request], Awaitable[Response]]

PATHS = (TOKEN_PATH, REVOCATION_PATH, INTROSPECTION_PATH)

JWK_SET = "application/jwk-set+json"
_JSON = "application/json"
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_AN_HOUR = {"Cache-Control": "public, max-age=3600"}
KEY_SET = {"Cache-Control": f"public, max-age={KEY_SET_CACHE_SECONDS}"}
_VARIES = {"Vary": "Accept"}
_SCHEME = re.compile(r"[A-Za-z0-9-]{1,32}")


def routes(identity: Identity) -> APIRouter:
    """Metadata and key set of one `Identity`, at the paths that its URLs ask for."""
    router = APIRouter(tags=["OAuth"])
    server, resource = canonical(identity.server_metadata()), canonical(identity.resource_metadata())

    async def server_metadata() -> Response:
        """RFC 8414 metadata: the same bytes from every process."""
        return Response(server, headers=_AN_HOUR, media_type=_JSON)

    async def resource_metadata() -> Response:
        """RFC 9728 metadata: the same bytes from every process."""
        return Response(resource, headers=_AN_HOUR, media_type=_JSON)

    async def jwks() -> Response:
        """The public keys that verify access tokens and signed introspection (RFC 7517)."""
        return Response(canonical(await identity.jwks()), headers=KEY_SET, media_type=JWK_SET)

    for path in ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"):
        router.add_api_route(path, server_metadata, methods=["GET"], name=path, include_in_schema=False)
    for path in {metadata.RESOURCE_METADATA_PATH, urlsplit(metadata.resource_metadata_url(identity.resource)).path}:
        router.add_api_route(path, resource_metadata, methods=["GET"], name=path, include_in_schema=False)
    router.add_api_route(metadata.JWKS_PATH, jwks, methods=["GET"], include_in_schema=False)
    return router


def endpoints(identity: Identity) -> APIRouter:
    """The OAuth endpoints; each takes the request as it is, and builds its answer itself."""
    router = APIRouter(tags=["OAuth"])

    async def token(request: Request) -> Response:
        """`client_credentials` by private_key_jwt or certificate; asks are `authorization_details` (RFC 9396)."""
        answer = await identity.token_endpoint.answer(*await _received(request))
        headers = {**_NO_STORE, "DPoP-Nonce": answer.nonce}
        return Response(orjson.dumps(answer.body), headers=headers, media_type=_JSON)

    async def revoke(request: Request) -> Response:
        """RFC 7009: ends a token of the caller's own, at once."""
        await identity.revocation_endpoint.answer(*await _received(request))
        return Response(headers=_NO_STORE)

    async def introspect(request: Request) -> Response:
        """RFC 7662; signed (RFC 9701) where `Accept` asks for it."""
        answer = await identity.introspection_endpoint.answer(*await _received(request))
        return Response(answer.body, headers={**_NO_STORE, **_VARIES}, media_type=answer.media_type)

    for path, endpoint in ((TOKEN_PATH, token), (REVOCATION_PATH, revoke), (INTROSPECTION_PATH, introspect)):
        router.add_api_route(path, _refusing(endpoint), methods=["POST"], name=path, include_in_schema=False)
    return router


def malformed_request() -> Response:
    """What is told of a request to `PATHS` that broke a cap before it reached them: as of every malformed one."""
    return _refusal(TokenRefused("invalid_request", "FORM_TOO_LARGE"))


def _refusing(endpoint: Endpoint) -> Endpoint:
    """The endpoint, answering its refusals as RFC 6749 section 5.2 words them.

    Who tried to authenticate by `Authorization`, which nobody can here, is challenged under that very scheme.
    """

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except TokenRefused as refused:
            answer = _refusal(refused)
            scheme = request.headers.get("authorization", "").partition(" ")[0]
            if answer.status_code == HTTPStatus.UNAUTHORIZED and _SCHEME.fullmatch(scheme):
                answer.headers["WWW-Authenticate"] = f'{scheme} realm="clients"'
            return answer

    return answer


async def _received(request: Request) -> tuple[Sequence[tuple[bytes, bytes]], bytes, str]:
    """Headers, capped body, and the connection's other end."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_BYTES:
                raise TokenRefused("invalid_request", "FORM_TOO_LARGE")
    except TooSlow:
        raise TokenRefused("invalid_request", "FORM_TOO_SLOW") from None
    return request.scope["headers"], bytes(body), peer_of(request.scope)


def _refusal(refused: TokenRefused) -> JSONResponse:
    headers = dict(_NO_STORE)
    if refused.nonce:
        headers["DPoP-Nonce"] = refused.nonce
    if refused.retry_after:
        headers["Retry-After"] = str(refused.retry_after)
    body = {"error": refused.error, "error_description": refused.description}
    return JSONResponse(body, status_code=refused.status, headers=headers)
