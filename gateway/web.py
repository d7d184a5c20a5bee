"""The web application over a composed gateway: routes, errors, caps, and what runs beside requests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from sqlalchemy import literal, select
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import problems
from gateway.access.file_routes import routes as file_routes
from gateway.access.log_routes import routes as log_routes
from gateway.access.push_routes import routes as push_routes
from gateway.access.reciprocity_routes import routes as reciprocity_routes
from gateway.access.routes import routes as read_routes
from gateway.agreements.document_routes import routes as document_routes
from gateway.agreements.routes import routes as agreement_routes
from gateway.app import Gateway
from gateway.background import beside
from gateway.bundles.routes import routes as bundle_routes
from gateway.cases.routes import routes as case_routes
from gateway.catalog.routes import routes as catalog_routes
from gateway.confidentiality.memo_routes import routes as memo_routes
from gateway.confidentiality.person_routes import routes as person_routes
from gateway.confidentiality.routes import routes as confidentiality_routes
from gateway.consents.asking.routes import routes as asking_routes
from gateway.consents.following.routes import routes as withdrawal_routes
from gateway.consents.notice_routes import routes as notice_routes
from gateway.consents.offline.routes import routes as offline_routes
from gateway.consents.routes import routes as consent_routes
from gateway.console.customer.routes import routes as customer_routes
from gateway.console.routes import routes as console_routes
from gateway.database import Query
from gateway.duties.routes import routes as duty_routes
from gateway.errors import GatewayError
from gateway.identity import Subject
from gateway.identity.operators.site import Site
from gateway.identity.proxy import peer_of
from gateway.identity.routes import JWK_SET, KEY_SET, malformed_request
from gateway.identity.routes import PATHS as OAUTH_PATHS
from gateway.identity.routes import endpoints as identity_endpoints
from gateway.identity.routes import routes as identity_routes
from gateway.limits import Limits, Timely, has_body, is_streamed
from gateway.members.attestations.routes import routes as attestation_routes
from gateway.members.registration_routes import routes as registration_routes
from gateway.members.routes import routes as member_routes
from gateway.overlap.routes import routes as overlap_routes
from gateway.parameters import require_declared
from gateway.referrals.routes import routes as referral_routes
from gateway.rights.routes import routes as rights_routes

_API_VERSION = "1"
_CACHED = "/v1/jwks"
_ALIVE = Query(select(literal(1)))


def web(gateway: Gateway) -> FastAPI:
    """The application. Its lifespan starts the integrator and sweeps what an interrupted upload left."""
    identity = gateway.identity

    async def authenticate(request: Request) -> Subject:
        """Token and proof hold, and the token still does when the body is there: whoever sends slowly gains no time.

        So whatever is asked next, is asked of what stands then. The body of an upload is not waited for; who may
        publish is asked again at its end. The seam compares the client's version in its own snapshot.
        """
        scope = request.scope
        subject = await identity.authenticate(
            scope["method"], scope["raw_path"].decode(), scope["headers"], peer_of(scope)
        )
        if has_body(scope) and not is_streamed(scope):
            await request.body()
            identity.require_unexpired(subject)
        return subject

    async def authenticate_active(request: Request) -> Subject:
        """As above; client, member and token stand, and every parameter is known. For all routes but the seam."""
        subject = await authenticate(request)
        await identity.require_active(subject)
        require_declared(request)
        return subject

    async def authenticate_withdrawing(request: Request) -> Subject:
        """As above, and the member may be suspended; for withdrawals of consent, and for what it owes."""
        subject = await authenticate(request)
        await identity.require_active(subject, withdrawing=True)
        require_declared(request)
        return subject

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await gateway.integrator.integrate_all()
        gateway.integrator.start()
        async with beside(gateway):
            yield

    reads = read_routes(gateway.enforcement, authenticate, identity.challenge_changed, gateway.message_signing)
    oauth = identity_endpoints(identity)
    app = Application(
        [reads, oauth],
        next_nonce=identity.next_nonce,
        title="Alliance Gateway",
        version=_API_VERSION,
        summary="The one door through which an alliance of companies shares data.",
        lifespan=lifespan,
        redirect_slashes=False,  # a redirect would repeat the Host that the caller named
        redoc_url=None,
        docs_url=None,
        openapi_url="/v1/openapi.json",
    )
    sharing = gateway.sharing
    for router in (
        reads,
        file_routes(sharing.files, authenticate, identity.challenge_changed, gateway.message_signing),
        oauth,
        identity_routes(identity),
        member_routes(authenticate_active, gateway.directory, gateway.signing_keys),
        attestation_routes(authenticate_active, gateway.attestations),
        registration_routes(authenticate_active, gateway.registration),
        agreement_routes(authenticate_active, gateway.agreements, gateway.life, gateway.negotiation),
        document_routes(authenticate_active, gateway.agreements, gateway.pdf),
        person_routes(authenticate_active, gateway.confidentiality),
        confidentiality_routes(authenticate_active, gateway.confidentiality),
        memo_routes(authenticate_active, gateway.confidentiality.memos),
        case_routes(authenticate_active, gateway.casework),
        catalog_routes(authenticate_active, gateway.datasets, gateway.uploads),
        duty_routes(authenticate_withdrawing, gateway.duties, gateway.clock),
        notice_routes(authenticate_active, gateway.consents.notices),
        consent_routes(authenticate_active, authenticate_withdrawing, gateway.consents),
        withdrawal_routes(authenticate_withdrawing, gateway.following),
        asking_routes(authenticate_active, gateway.asking.requesting),
        offline_routes(authenticate_active, authenticate_withdrawing, gateway.offline),
        rights_routes(authenticate_withdrawing, gateway.rights),
        push_routes(authenticate_active, sharing.addresses),
        referral_routes(authenticate_active, gateway.referrals, identity.challenge_changed, gateway.message_signing),
        overlap_routes(authenticate_active, gateway.overlapping.overlaps),
        bundle_routes(authenticate_active, gateway.bundling),
        reciprocity_routes(sharing.reciprocity, authenticate_active, gateway.clock),
        console_routes(gateway.operator_sign_in(), gateway.approvals, identity.proxy),
        customer_routes(gateway.counter, Site.of(gateway.settings.base_url), identity.proxy, gateway.clock),
        log_routes(gateway.tiles, authenticate_active, open_logs=gateway.settings.open_logs),
    ):
        app.include_router(router)

    @app.get("/v1/jwks", summary="The keys that verify receipts and signed answers", tags=["reads"])
    async def resource_keys() -> Response:
        """The public keys of the API itself (RFC 9728 `jwks_uri`); those with `exp` sign no more."""
        return JSONResponse(await gateway.signing.resource_jwks(), headers=KEY_SET, media_type=JWK_SET)

    @app.get("/healthz", include_in_schema=False)
    async def healthy() -> Response:
        """The process answers, so does its database, and every log extends what was signed before."""
        await gateway.database.one(_ALIVE)
        gateway.integrator.check()
        return Response("ok\n", media_type="text/plain")

    problems.install(app)
    return app


class Application(FastAPI):
    """FastAPI behind the gateway's own layers: errors, caps, nonce, and the lane of reads and tokens."""

    def __init__(self, lane: Sequence[APIRouter], *, next_nonce: Callable[[], str], **given: Any) -> None:
        super().__init__(**given)
        inner = FreshNonce(Lane(lane, super().__call__), next_nonce)
        self._layers = problems.Unexpected(Limits(Timely(inner), dict.fromkeys(OAUTH_PATHS, malformed_request)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the outermost layer first."""
        await self._layers(scope, receive, send)


class Lane:
    """ASGI: answers the routers' endpoints before FastAPI sees the request.

    They take the request and build their answer themselves, so FastAPI's own handling would only cost: more
    than a whole hello. The routers stay included behind it, for OpenAPI and for every other method.
    """

    def __init__(self, routers: Sequence[APIRouter], behind: ASGIApp) -> None:
        self._behind = behind
        self._routes = [
            Route(route.path, route.endpoint, methods=list(route.methods or ()))
            for router in routers
            for route in router.routes
            if isinstance(route, APIRoute)
        ]
        for route in self._routes:
            (route.methods or set()).discard("HEAD")  # a read without its answer would still be a release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, with the problem document of a deliberate error, or pass the request on."""
        for route in self._routes if scope["type"] == "http" else ():
            found = route.path_regex.match(scope["path"]) if scope["method"] in (route.methods or ()) else None
            if found is not None:
                scope.update(route=route, path_params=found.groupdict())
                try:
                    answer = await route.endpoint(Request(scope, receive))
                except GatewayError as error:
                    answer = problems.problem_of(error)
                await answer(scope, receive, send)
                return
        await self._behind(scope, receive, send)


class FreshNonce:
    """ASGI middleware: answers of the API carry the next `DPoP-Nonce`, so that no call needs a second try."""

    def __init__(self, app: ASGIApp, next_nonce: Callable[[], str]) -> None:
        self._app = app
        self._next_nonce = next_nonce

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the header to successful answers below /v1 that nobody caches; a challenge brings its own."""

        async def with_nonce(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] != HTTPStatus.UNAUTHORIZED:
                message["headers"].append((b"dpop-nonce", self._next_nonce().encode()))
            await send(message)

        of_api = scope["type"] == "http" and scope["path"].startswith("/v1/") and scope["path"] != _CACHED
        await self._app(scope, receive, with_nonce if of_api else send)
