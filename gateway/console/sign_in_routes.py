"""Before anybody is signed in: sign-in, enrolment, the provider. Every attempt is counted for its address."""

from __future__ import annotations

from typing import Final

from fastapi import Response

from gateway.console.answers import (
    Handler,
    document,
    forget,
    onward,
    page,
    redirect,
    set_session,
    set_ticket,
)
from gateway.console.browser import Browser
from gateway.errors import Invalid, NotFound
from gateway.identity.operators.company import CompanySignIn
from gateway.identity.operators.operators import Operators
from gateway.identity.operators.refusals import SignInRefused

_RETURNED: Final = ("state", "code", "iss", "error")


def handlers(operators: Operators) -> list[tuple[str, str, Handler]]:
    """`/sign-in`, `/enrol` and `/oidc`: method, path and handler."""
    passkeys, enrolment = operators.passkeys, operators.enrolment

    async def sign_in_page(browser: Browser) -> Response:
        return page(browser, "sign_in.html", company=operators.company is not None, enrolled=False)

    async def sign_in_options(browser: Browser) -> Response:
        await browser.form()
        operators.attempts.count(browser.address)
        ticket, options = await passkeys.begin()
        answer = document(options)
        set_ticket(answer, ticket, browser.site)
        return answer

    async def sign_in(browser: Browser) -> Response:
        form = await browser.form()
        operators.attempts.count(browser.address)
        former = browser.cookie("session")
        cookie = await passkeys.finish(browser.cookie("ceremony"), form.get("answer", ""), former=former)
        return _signed_in(browser, redirect("/console"), cookie)

    async def enrol_page(browser: Browser) -> Response:
        return page(browser, "enrol.html")

    async def enrol_options(browser: Browser) -> Response:
        form = await browser.form()
        operators.attempts.count(browser.address)
        ticket, options = await enrolment.begin(form.get("code", ""))
        answer = document(options)
        set_ticket(answer, ticket, browser.site)
        return answer

    async def enrol(browser: Browser) -> Response:
        form = await browser.form()
        operators.attempts.count(browser.address)
        await enrolment.finish(browser.cookie("ceremony"), form.get("answer", ""), label=form.get("label", ""))
        answer = page(browser, "sign_in.html", company=operators.company is not None, enrolled=True)
        forget(answer, "ceremony", browser.site)
        return answer

    return [
        ("GET", "/sign-in", sign_in_page),
        ("POST", "/sign-in/options", sign_in_options),
        ("POST", "/sign-in", sign_in),
        ("GET", "/enrol", enrol_page),
        ("POST", "/enrol/options", enrol_options),
        ("POST", "/enrol", enrol),
        *_at_the_company(operators),
    ]


def _at_the_company(operators: Operators) -> list[tuple[str, str, Handler]]:
    """What is between the browser, the company's provider and us."""

    async def company_sign_in(browser: Browser) -> Response:
        await browser.form()
        operators.attempts.count(browser.address)
        ticket, url = await _company(operators).begin(former=browser.cookie("session"))
        answer = onward(browser, url, reason="onward_company")
        set_ticket(answer, ticket, browser.site, returns=True)
        return answer

    async def company_callback(browser: Browser) -> Response:
        """Other sites may lead here. Without the ticket, which none of them has, it is nobody's attempt."""
        ticket = browser.cookie("ceremony")
        if not ticket:
            raise await operators.refusals.refuse("CEREMONY_UNKNOWN")
        operators.attempts.count(browser.address)
        query = browser.request.query_params
        returned = {name: query[name] for name in _RETURNED if len(query.getlist(name)) == 1}
        cookie, back = await _company(operators).finish(ticket, returned)
        answer = onward(browser, back or "/console", reason="onward_console")
        if cookie is None:
            forget(answer, "ceremony", browser.site)
            return answer
        return _signed_in(browser, answer, cookie)

    async def company_logout(browser: Browser) -> Response:
        """Called by the provider and not by a browser: the token in the form is what authenticates it.

        One that does not hold is a bad request (OpenID Connect Back-Channel Logout 1.0, section 2.8).
        """
        try:
            await _company(operators).logged_out((await browser.fields()).get("logout_token", ""))
        except SignInRefused:
            raise Invalid("logout_token_refused", "The logout token does not hold.", field="logout_token") from None
        return document({})

    async def company_keys(_: Browser) -> Response:
        return document(_company(operators).provider.jwks())

    return [
        ("POST", "/oidc/sign-in", company_sign_in),
        ("GET", "/oidc/callback", company_callback),
        ("POST", "/oidc/logout", company_logout),
        ("GET", "/oidc/jwks", company_keys),
    ]


def _signed_in(browser: Browser, answer: Response, cookie: str) -> Response:
    """The ticket goes, and whatever session the browser had before is not this one."""
    forget(answer, "ceremony", browser.site)
    set_session(answer, cookie, browser.site)
    return answer


def _company(operators: Operators) -> CompanySignIn:
    if operators.company is None:
        raise NotFound
    return operators.company
