"""The console's router: every page and act below `/console`, and its two assets."""

from __future__ import annotations

from fastapi import APIRouter, Response
from starlette.routing import Route

from gateway.approvals import Approvals
from gateway.console import account_routes, operator_routes, proposal_routes, sign_in_routes
from gateway.console.answers import Handler, served
from gateway.console.browser import Browser
from gateway.console.pages import CONSOLE
from gateway.errors import NotFound
from gateway.identity.operators.operators import Operators
from gateway.identity.proxy import TrustedProxy

PREFIX = "/console"
_A_DAY = "public, max-age=86400"


def routes(operators: Operators, approvals: Approvals, proxy: TrustedProxy) -> APIRouter:
    """The pages for one gateway's operators. `proxy` may say where browsers are."""
    router = APIRouter()
    for method, path, handler in _handlers(operators, approvals):
        route = Route(PREFIX + path, served(handler, operators, proxy), methods=[method])
        (route.methods or set()).discard("HEAD")
        router.routes.append(route)
    return router


def _handlers(operators: Operators, approvals: Approvals) -> list[tuple[str, str, Handler]]:
    return [
        *sign_in_routes.handlers(operators),
        *account_routes.handlers(operators),
        *operator_routes.handlers(operators),
        *proposal_routes.handlers(operators, approvals),
        ("GET", "/static/{name}", _asset),
        ("GET", "/{anything:path}", _nothing),
    ]


async def _nothing(_: Browser) -> Response:
    raise NotFound


async def _asset(browser: Browser) -> Response:
    found = CONSOLE.assets.get(browser.part("name"))
    if found is None:
        raise NotFound
    content, kind = found
    return Response(content, media_type=kind, headers={"Cache-Control": _A_DAY})
