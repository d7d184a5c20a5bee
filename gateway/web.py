"""The web application over a composed gateway: routes, errors, caps, and what runs beside requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.routing import APIRoute
from sqlalchemy import literal, select
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import problems
from gateway.access.log_routes import routes as log_routes
from gateway.access.routes import routes as read_routes
from gateway.agreements.routes import routes as agreement_routes
from gateway.app import Gateway
from gateway.catalog.routes import routes as catalog_routes
from gateway.consents.routes import routes as consent_routes
from gateway.database import Query
from gateway.identity import Subject
from gateway.identity.proxy import peer_of
from gateway.identity.routes import routes as identity_routes
from gateway.limits import Limits
from gateway.members.registration_routes import routes as registration_routes
from gateway.members.routes import routes as member_routes

_API_VERSION = "1"
_SWEEP_PAUSE_S = 60
_ALIVE = Query(select(literal(1)))


def web(gateway: Gateway) -> FastAPI:
    """The application. Its lifespan starts the integrator and sweeps what an interrupted upload left."""
    identity = gateway.identity

    async def authenticate(request: Request) -> Subject:
        """Token and proof hold. The seam compares the client's version in its own snapshot."""
        scope = request.scope
        return await identity.authenticate(
            scope["method"], scope["raw_path"].decode(), scope["headers"], peer_of(scope)
        )

    async def authenticate_active(request: Request) -> Subject:
        """As above, and the client stands unchanged; for every route that is not the seam."""
        subject = await authenticate(request)
        await identity.require_active(subject)
        return subject

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await gateway.integrator.integrate_all()
        gateway.integrator.start()
        alone = not gateway.settings.database_url
        sweeping = asyncio.create_task(_sweep_for_ever(gateway, starting=alone), name="sweep")
        yield
        sweeping.cancel()
        await asyncio.wait([sweeping])

    app = FastAPI(
        title="Alliance Gateway",
        version=_API_VERSION,
        summary="The one door through which an alliance of companies shares data.",
        lifespan=lifespan,
        redirect_slashes=False,  # a redirect would repeat the Host that the caller named
        redoc_url=None,
        docs_url=None,
        openapi_url="/v1/openapi.json",
    )
    reads = read_routes(gateway.enforcement, authenticate, identity.challenge_changed)
    app.router.routes[:0] = fast_lane(reads)
    app.include_router(reads)
    app.include_router(identity_routes(identity))
    app.include_router(member_routes(authenticate_active, gateway.directory, gateway.signing_keys))
    app.include_router(registration_routes(authenticate_active, gateway.registration))
    app.include_router(agreement_routes(authenticate_active, gateway.agreements, gateway.life))
    app.include_router(catalog_routes(authenticate_active, gateway.datasets, gateway.uploads))
    app.include_router(consent_routes(authenticate_active, gateway.consents))
    app.include_router(log_routes(gateway.tiles, authenticate_active, open_logs=gateway.settings.open_logs))

    @app.get("/v1/jwks", summary="The key that signs receipts", tags=["reads"])
    async def resource_keys() -> dict[str, list[dict[str, str]]]:
        """The public keys of the API itself (RFC 9728 `jwks_uri`): what verifies an access receipt."""
        return {"keys": [dict(gateway.receipt_jwk)]}

    @app.get("/healthz", include_in_schema=False)
    async def healthy() -> Response:
        """The process answers, so does its database, and every log extends what was signed before."""
        await gateway.database.one(_ALIVE)
        gateway.integrator.check()
        return Response("ok\n", media_type="text/plain")

    problems.install(app)
    app.add_middleware(FreshNonce, next_nonce=identity.next_nonce)
    app.add_middleware(Limits)
    app.add_middleware(problems.Unexpected)
    return app


def fast_lane(router: APIRouter) -> list[BaseRoute]:
    """The router's endpoints as plain routes, to be matched before every other.

    They take the request and build their answer themselves, so FastAPI's own handling would only cost: half
    of a hello. The router stays included behind them, for OpenAPI.
    """
    lane = [
        Route(route.path, route.endpoint, methods=list(route.methods or ()))
        for route in router.routes
        if isinstance(route, APIRoute)
    ]
    for route in lane:
        (route.methods or set()).discard("HEAD")  # a read without its answer would still be a release
    return [*lane]


class FreshNonce:
    """ASGI middleware: answers of the API carry the next `DPoP-Nonce`, so that no call needs a second try."""

    def __init__(self, app: ASGIApp, next_nonce: Callable[[], str]) -> None:
        self._app = app
        self._next_nonce = next_nonce

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the header to successful answers below /v1; a challenge brings its own."""

        async def with_nonce(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] != HTTPStatus.UNAUTHORIZED:
                message["headers"].append((b"dpop-nonce", self._next_nonce().encode()))
            await send(message)

        of_api = scope["type"] == "http" and scope["path"].startswith("/v1/")
        await self._app(scope, receive, with_nonce if of_api else send)


async def _sweep_for_ever(gateway: Gateway, *, starting: bool) -> None:
    """Delete what failed, abandoned and superseded uploads left; what can't be done now is done later."""
    while True:
        try:
            await gateway.uploads.sweep(starting=starting)
            starting = False
        except Exception as error:
            problems.log_unexpected(error, "while sweeping")
        await asyncio.sleep(_SWEEP_PAUSE_S)
