"""The signed-in page: what waits for a decision, one's own passkeys and sessions, signing out."""

from __future__ import annotations

from fastapi import Response

from gateway.console.answers import Handler, document, forget, page, redirect, set_language, set_ticket
from gateway.console.browser import Browser, local_page
from gateway.console.confirmed import Confirmed
from gateway.console.words import LANGUAGES
from gateway.errors import Conflicting
from gateway.identity.operators.operator import Act, SignedIn
from gateway.identity.operators.operators import Operators
from gateway.identity.operators.roles import Permission


def handlers(operators: Operators) -> list[tuple[str, str, Handler]]:
    """The first page, `/passkeys`, `/sign-out`, `/language`: method, path and handler."""
    enrolment, sessions = operators.enrolment, operators.sessions

    async def home(browser: Browser) -> Response:
        signed_in = await browser.signed_in()
        return page(
            browser,
            "home.html",
            signed_in=signed_in,
            passkeys=await enrolment.passkeys_of(signed_in.operator),
            sessions=await sessions.of(signed_in.operator),
            permissions=[one for one in Permission if signed_in.operator.may(one)],
        )

    async def sign_out(browser: Browser) -> Response:
        signed_in, _ = await browser.acting()
        await sessions.end(signed_in)
        return _gone(browser)

    async def sign_out_everywhere(browser: Browser) -> Response:
        signed_in, _ = await browser.acting()
        await sessions.end_everywhere(signed_in.operator, by=signed_in.operator.id)
        return _gone(browser)

    async def choose_language(browser: Browser) -> Response:
        form = await browser.form()
        answer = redirect(local_page(form))
        if form.get("language") in LANGUAGES:
            set_language(answer, form["language"], browser.site)
        return answer

    async def addition(_: Browser, signed_in: SignedIn, __: dict[str, str]) -> Act:
        if signed_in.method != "passkey":
            raise Conflicting("passkeys_at_provider", "You sign in at your company, without a passkey.")
        return Act(signed_in.operator.alliance, "add_passkey", {"operator": signed_in.operator.id})

    async def ask_for_another(browser: Browser, signed_in: SignedIn, _: Act, __: dict[str, str]) -> Response:
        ticket, options = await enrolment.begin_another(signed_in)
        answer = document(options)
        set_ticket(answer, ticket, browser.site)
        return answer

    async def add_passkey(browser: Browser) -> Response:
        signed_in, form = await browser.acting()
        await enrolment.finish_another(
            signed_in, browser.cookie("ceremony"), form.get("answer", ""), label=form.get("label", "")
        )
        return redirect("/console")

    async def revocation(browser: Browser, signed_in: SignedIn, _: dict[str, str]) -> Act:
        credential = browser.part("credential")
        await enrolment.require_another(signed_in.operator, credential)
        return Act(signed_in.operator.alliance, "revoke_passkey", {"credential": credential})

    async def revoke_passkey(_: Browser, signed_in: SignedIn, act: Act, __: dict[str, str]) -> Response:
        await enrolment.revoke(signed_in, str(act.arguments["credential"]))
        return redirect("/console")

    adding = Confirmed(operators, addition, ask_for_another, _home)
    revoking = Confirmed(operators, revocation, revoke_passkey, _home)
    return [
        ("GET", "", home),
        ("POST", "/sign-out", sign_out),
        ("POST", "/sign-out-everywhere", sign_out_everywhere),
        ("POST", "/language", choose_language),
        ("POST", "/passkeys", add_passkey),
        *adding.handlers("/passkeys/new"),
        *revoking.handlers("/passkeys/{credential}/revoke"),
    ]


def _home(_: Browser) -> str:
    return "/console"


def _gone(browser: Browser) -> Response:
    answer = redirect("/console/sign-in")
    forget(answer, "session", browser.site)
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'
    return answer
