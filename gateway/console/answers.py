"""What browsers get: pages, redirects within the console, and the headers that fence every one of them in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from gateway import problems
from gateway.console.browser import Browser
from gateway.console.pages import CONSOLE
from gateway.console.sent import LANGUAGE_COOKIE, cookie_name
from gateway.errors import GatewayError, NotAuthenticated, NotFound, Refused, TooManyAttempts, Unavailable
from gateway.identity.operators.operators import Operators
from gateway.identity.operators.refusals import NotSignedIn
from gateway.identity.operators.site import Site
from gateway.identity.proxy import TrustedProxy

_A_YEAR_S: Final = 31_536_000
_CEREMONY_S: Final = 300
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), geolocation=(), "
        "microphone=()"
    ),
}
_NO_STORE: Final = {"Cache-Control": "no-store"}

Handler = Callable[[Browser], Awaitable[Response]]


def served(handler: Handler, operators: Operators, proxy: TrustedProxy) -> Callable[[Request], Awaitable[Response]]:
    """A handler as an endpoint: on our host only, fenced in, and with errors as pages."""

    async def endpoint(request: Request) -> Response:
        browser = Browser(request, proxy, operators.site, operators)
        try:
            answer = _elsewhere(browser) or await handler(browser)
        except GatewayError as error:
            answer = refusal(browser, error)
        fence(answer, operators.site)
        return answer

    return endpoint


def fence(answer: Response, site: Site) -> None:
    """Add the headers that every answer of the console has."""
    for name, value in {**_HEADERS, **_NO_STORE}.items():
        answer.headers.setdefault(name, value)
    if site.secure:
        answer.headers["Strict-Transport-Security"] = f"max-age={_A_YEAR_S}; includeSubDomains"


def page(browser: Browser, template: str, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> Response:
    """A page in the browser's language; `here` is its path, for the language switch to come back to."""
    here = browser.request.url.path if browser.request.method == "GET" else "/console"
    values.setdefault("signed_in", None)
    return HTMLResponse(CONSOLE.render(template, language=browser.language, here=here, **values), status)


def redirect(path: str) -> Response:
    """To a page of the console."""
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)


def onward(browser: Browser, url: str, *, reason: str) -> Response:
    """A page that goes on by itself. A redirect would drag our strictest cookies' rules, or our form's, along."""
    return page(browser, "onward.html", url=url, reason=reason)


def document(body: Mapping[str, Any]) -> Response:
    """JSON, for our own script."""
    return JSONResponse(dict(body))


def refusal(browser: Browser, error: GatewayError) -> Response:
    """An error as a page, or as a problem document for a script; who is not signed in is sent to where one does."""
    if "application/json" in browser.request.headers.get("accept", ""):
        return problems.problem_of(error)
    if isinstance(error, NotSignedIn) and browser.request.method == "GET":
        answer = redirect("/console/sign-in")
    else:
        answer = page(browser, "refused.html", problems.status_of(error), error=error, sentence=_sentence(error))
    if isinstance(error, NotSignedIn):
        forget(answer, "session", browser.site)
    return answer


def set_session(answer: Response, value: str, site: Site) -> None:
    """The session's cookie: never read by scripts, never sent from other sites, gone with the browser."""
    set_cookie(answer, "session", value, site, same_site="Strict")


def set_ticket(answer: Response, ticket: str, site: Site, *, returns: bool = False) -> None:
    """The ticket of a ceremony; `returns`: it must come along when the provider sends the browser back."""
    set_cookie(answer, "ceremony", ticket, site, same_site="Lax" if returns else "Strict", max_age=_CEREMONY_S)


def forget(answer: Response, name: str, site: Site) -> None:
    """Take a cookie back."""
    set_cookie(answer, name, "", site, same_site="Strict", max_age=0)


def set_language(answer: Response, language: str, site: Site, path: str = "/console") -> None:
    """Remember the language of the pages below a path."""
    secure = "; Secure" if site.secure else ""
    answer.headers.append(
        "Set-Cookie",
        f"{LANGUAGE_COOKIE}={language}; Path={path}; HttpOnly; SameSite=Lax; Max-Age={_A_YEAR_S}{secure}",
    )


def set_cookie(
    answer: Response, name: str, value: str, site: Site, *, same_site: str, max_age: int | None = None
) -> None:
    """A cookie out of reach of scripts, gone with the browser where it has no `max_age`."""
    parts = [f"{cookie_name(name, site)}={value}", "Path=/", "HttpOnly", f"SameSite={same_site}"]
    if max_age is not None:
        parts.append(f"Max-Age={max_age}")
    if site.secure:
        parts.append("Secure")
    answer.headers.append("Set-Cookie", "; ".join(parts))


_SENTENCES: Final[tuple[tuple[type[GatewayError], str], ...]] = (
    (NotAuthenticated, "refused_sign_in"),
    (Refused, "refused_permission"),
    (TooManyAttempts, "refused_attempts"),
    (Unavailable, "refused_unavailable"),
    (NotFound, "refused_missing"),
)


def _sentence(error: GatewayError) -> str:
    return next((key for kind, key in _SENTENCES if isinstance(error, kind)), "refused_other")


def _elsewhere(browser: Browser) -> Response | None:
    """Under any other name (a loopback address, or a domain that somebody pointed here) nothing is served."""
    if browser.request.headers.get("host", "") == browser.site.host:
        return None
    return RedirectResponse(f"{browser.site.origin}/console", HTTPStatus.TEMPORARY_REDIRECT)
