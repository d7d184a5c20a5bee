"""What customers get: pages, redirects within `/my`, files, and the headers that fence every one of them in."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from gateway import problems
from gateway.business_days import time_zone
from gateway.clock import MILLISECONDS
from gateway.consents.asking import Visit
from gateway.console.answers import fence, redirect, set_cookie
from gateway.console.customer.desk import Desk, NotVisiting
from gateway.console.customer.guest import COOKIE, Guest
from gateway.console.customer.words import month, say
from gateway.console.pages import Pages
from gateway.errors import Conflicting, GatewayError, NotFound, Refused, TooManyAttempts, Unavailable
from gateway.identity.operators.site import Site
from gateway.identity.proxy import TrustedProxy

FIRST: Final = "/my"
_PAGE: Final = re.compile(r"/my(?:/[A-Za-z0-9_-]{1,128}){0,2}")
_ZONE: Final = "Asia/Shanghai"
_SHARED: Final = ("console.css", "icon.svg")
_HERE: Final = Path(__file__).parent
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Robots-Tag": "noindex, nofollow",
}

Handler = Callable[[Guest], Awaitable[Response]]


def served(handler: Handler, desk: Desk, site: Site, proxy: TrustedProxy) -> Callable[[Request], Awaitable[Response]]:
    """A handler as an endpoint: on our host only, fenced in, and with errors as pages."""

    async def endpoint(request: Request) -> Response:
        guest = Guest(request, proxy, site, desk)
        try:
            answer = _elsewhere(guest) or await handler(guest)
        except GatewayError as error:
            answer = refusal(guest, error, _sentence(error))
        for name, value in _HEADERS.items():
            answer.headers[name] = value
        fence(answer, site)
        return answer

    return endpoint


def page(
    guest: Guest, template: str, status: HTTPStatus = HTTPStatus.OK, *, visit: Visit | None = None, **values: Any
) -> Response:
    """A page in the guest's language; with a `visit`, its forms and the way to its other pages are there."""
    token = guest.form_token if guest.cookie(COOKIE) else ""
    here = local_page(guest.request.url.path) if guest.request.method == "GET" else FIRST
    language = guest.language
    shown = {"visit": visit, "token": token, "here": here, "when": partial(when, language), **values}
    return HTMLResponse(PAGES.render(template, language=language, **shown), status)


def local_page(path: str) -> str:
    """The page of ours that a path names; anything else is the first page, so nobody is sent elsewhere."""
    return path if _PAGE.fullmatch(path) else FIRST


def refusal(guest: Guest, error: GatewayError, sentence: str, visit: Visit | None = None) -> Response:
    """An error as a page in plain words; in a `visit`, with the way to its other pages."""
    answer = page(guest, "refused.html", problems.status_of(error), visit=visit, code=error.code, sentence=sentence)
    if isinstance(error, NotVisiting):
        forget_visit(answer, guest.site)
    return answer


def onward(name: str, done: str = "") -> Response:
    """To a page of ours; `done` is which of its sentences to say."""
    return redirect(f"{FIRST}/{name}" + (f"?done={done}" if done else ""))


def said(guest: Guest, *known: str) -> str | None:
    """Which of the sentences that this page knows it is to say."""
    done = guest.request.query_params.get("done")
    return done if done in known else None


def download(content: bytes, name: str, media_type: str) -> Response:
    """A file to keep."""
    return Response(content, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def set_visit(answer: Response, ticket: str, site: Site) -> None:
    """The visit's cookie. A link in a message needs none, so it never has to come along from another site."""
    set_cookie(answer, COOKIE, ticket, site, same_site="Strict")


def forget_visit(answer: Response, site: Site) -> None:
    """Take the visit's cookie back."""
    set_cookie(answer, COOKIE, "", site, same_site="Strict", max_age=0)


def when(language: str, milliseconds: int) -> str:
    """An instant as customers read it, to the minute."""
    at = datetime.fromtimestamp(milliseconds / MILLISECONDS, time_zone(_ZONE))
    named = {"year": str(at.year), "month": month(language, at.month), "day": str(at.day), "time": f"{at:%H:%M}"}
    return say(language, "when", **named)


def iso(milliseconds: int) -> str:
    """An instant as machines read it."""
    return datetime.fromtimestamp(milliseconds / MILLISECONDS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


PAGES: Final = Pages(_HERE, say, {"iso": iso}, [_HERE.parent / "static" / name for name in _SHARED])
"""The pages of customers, with what they share of the console's looks."""

_SENTENCES: Final[tuple[tuple[type[GatewayError], str], ...]] = (
    (NotVisiting, "refused_visit"),
    (Refused, "refused_form"),
    (TooManyAttempts, "refused_attempts"),
    (Unavailable, "refused_unavailable"),
    (NotFound, "refused_missing"),
    (Conflicting, "refused_changed"),
)


def _sentence(error: GatewayError) -> str:
    return next((key for kind, key in _SENTENCES if isinstance(error, kind)), "refused_other")


def _elsewhere(guest: Guest) -> Response | None:
    """Under any other name (a loopback address, or a domain that somebody pointed here) nothing is served."""
    if guest.request.headers.get("host", "") == guest.site.host:
        return None
    return RedirectResponse(guest.site.origin + guest.request.url.path, HTTPStatus.TEMPORARY_REDIRECT)
