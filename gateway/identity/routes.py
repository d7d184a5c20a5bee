"""The OAuth endpoints. They answer RFC 6749 errors, never problem documents."""

from __future__ import annotations

from urllib.parse import urlsplit

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from gateway.identity import metadata
from gateway.identity.endpoint import PATH as TOKEN_PATH
from gateway.identity.forms import BODY_BYTES
from gateway.identity.identity import Identity
from gateway.identity.proxy import peer_of
from gateway.identity.refusals import TokenRefused

_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_AN_HOUR = {"Cache-Control": "public, max-age=3600"}
_FIVE_MINUTES = {"Cache-Control": "public, max-age=300"}


def routes(identity: Identity) -> APIRouter:
    """Metadata and key set of one `Identity`, at the paths that its URLs ask for."""
    router = APIRouter(tags=["OAuth"])
    server, resource = identity.server_metadata(), identity.resource_metadata()

    async def server_metadata() -> JSONResponse:
        """RFC 8414 metadata."""
        return JSONResponse(server, headers=_AN_HOUR)

    async def resource_metadata() -> JSONResponse:
        """RFC 9728 metadata."""
        return JSONResponse(resource, headers=_AN_HOUR)

    async def jwks() -> JSONResponse:
        """The public keys that verify access tokens (RFC 7517)."""
        return JSONResponse(identity.jwks(), headers=_FIVE_MINUTES, media_type="application/jwk-set+json")

    for path in ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"):
        router.add_api_route(path, server_metadata, methods=["GET"], name=path, include_in_schema=False)
    for path in {metadata.RESOURCE_METADATA_PATH, urlsplit(metadata.resource_metadata_url(identity.resource)).path}:
        router.add_api_route(path, resource_metadata, methods=["GET"], name=path, include_in_schema=False)
    router.add_api_route(metadata.JWKS_PATH, jwks, methods=["GET"], include_in_schema=False)
    return router


def token_route(identity: Identity) -> APIRouter:
    """The token endpoint alone; it takes the request as it is, and builds its answer itself."""
    router = APIRouter(tags=["OAuth"])

    async def token(request: Request) -> Response:
        """`client_credentials` by private_key_jwt or certificate; asks are `authorization_details` (RFC 9396)."""
        try:
            body = await _capped_body(request)
            answer = await identity.token_endpoint.answer(request.scope["headers"], body, peer_of(request.scope))
        except TokenRefused as refused:
            return _refusal(refused)
        headers = {**_NO_STORE, "DPoP-Nonce": answer.nonce}
        return Response(orjson.dumps(answer.body), headers=headers, media_type="application/json")

    router.add_api_route(TOKEN_PATH, token, methods=["POST"], include_in_schema=False)
    return router


async def _capped_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES:
            raise TokenRefused("invalid_request", "FORM_TOO_LARGE")
    return bytes(body)


def _refusal(refused: TokenRefused) -> JSONResponse:
    headers = dict(_NO_STORE)
    if refused.nonce:
        headers["DPoP-Nonce"] = refused.nonce
    if refused.retry_after:
        headers["Retry-After"] = str(refused.retry_after)
    body = {"error": refused.error, "error_description": refused.description}
    return JSONResponse(body, status_code=refused.status, headers=headers)
