"""The router of everything below `/my`, and its assets."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Response
from starlette.routing import Route

from gateway.clock import Clock
from gateway.console.customer import arrival_routes, visit_routes
from gateway.console.customer.answers import FIRST, PAGES, Handler, served
from gateway.console.customer.desk import Desk
from gateway.console.customer.guest import Guest
from gateway.errors import NotFound
from gateway.identity.operators.attempts import Attempts
from gateway.identity.operators.site import Site
from gateway.identity.proxy import TrustedProxy

_A_DAY: Final = "public, max-age=86400"


def routes(desk: Desk, site: Site, proxy: TrustedProxy, clock: Clock) -> APIRouter:
    """The customer's pages at this site. `proxy` may say where browsers are."""
    router = APIRouter()
    for method, path, handler in _handlers(Attempts(clock)):
        route = Route(FIRST + path, served(handler, desk, site, proxy), methods=[method])
        (route.methods or set()).discard("HEAD")
        router.routes.append(route)
    return router


def _handlers(attempts: Attempts) -> list[tuple[str, str, Handler]]:
    return [
        *arrival_routes.handlers(attempts),
        *visit_routes.handlers(),
        ("GET", "/static/{name}", _asset),
        ("GET", "/{anything:path}", _nothing),
    ]


async def _nothing(_: Guest) -> Response:
    raise NotFound


async def _asset(guest: Guest) -> Response:
    found = PAGES.assets.get(guest.part("name"))
    if found is None:
        raise NotFound
    content, kind = found
    return Response(content, media_type=kind, headers={"Cache-Control": _A_DAY})
