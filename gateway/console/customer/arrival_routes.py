"""Before a visit is open: the number, the link, the code. A link that is only looked at decides nothing."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import Response

from gateway.consents.asking import LINK_PATH
from gateway.console.answers import redirect, set_language
from gateway.console.customer.answers import (
    FIRST,
    Handler,
    forget_visit,
    local_page,
    onward,
    page,
    refusal,
    said,
    set_visit,
)
from gateway.console.customer.desk import Came
from gateway.console.customer.guest import Guest
from gateway.console.words import LANGUAGES
from gateway.errors import Invalid, NotFound, TooManyAttempts
from gateway.identity.operators.attempts import Attempts


def handlers(attempts: Attempts) -> list[tuple[str, str, Handler]]:
    """Entry, link and code: method, path and handler. Each attempt counts for its address."""

    async def ask_for_link(guest: Guest) -> Response:
        form = await guest.form()
        attempts.count(guest.address)
        try:
            await guest.desk.ask_for_link(form.get("contact", "").strip(), guest.language)
        except Invalid:
            return page(guest, "entry.html", HTTPStatus.BAD_REQUEST, done=None, problem="refused_contact")
        return onward("sent")

    async def follow_link(guest: Guest) -> Response:
        form = await guest.form()
        attempts.count(guest.address)
        try:
            ticket = await guest.desk.open(form.get("link", ""), _came(guest))
        except NotFound as gone:
            return refusal(guest, gone, "refused_link")
        answer = await _code_sent(guest, ticket)
        set_visit(answer, ticket, guest.site)
        return answer

    async def send_again(guest: Guest) -> Response:
        await guest.form_of_visit()
        attempts.count(guest.address)
        return await _code_sent(guest, guest.ticket)

    async def confirm(guest: Guest) -> Response:
        form = await guest.form_of_visit()
        attempts.count(guest.address)
        try:
            await guest.desk.confirm(guest.ticket, "".join(form.get("code", "").split()))
        except TooManyAttempts:
            return page(guest, "code.html", HTTPStatus.TOO_MANY_REQUESTS, problem="code_over")
        except Invalid:
            return page(guest, "code.html", HTTPStatus.BAD_REQUEST, problem="code_wrong")
        return onward("question")

    return [
        ("GET", "", _entry),
        ("POST", "", ask_for_link),
        ("GET", "/sent", _sent),
        ("GET", LINK_PATH.removeprefix(FIRST) + "{token}", _landing),
        ("POST", "/code", follow_link),
        ("GET", "/code", _code),
        ("POST", "/code/again", send_again),
        ("POST", "/confirm", confirm),
        ("POST", "/leave", _leave),
        ("POST", "/language", _language),
    ]


async def _entry(guest: Guest) -> Response:
    return page(guest, "entry.html", done=said(guest, "left"), problem=None)


async def _sent(guest: Guest) -> Response:
    return page(guest, "sent.html")


async def _landing(guest: Guest) -> Response:
    token = guest.part("token")
    try:
        asker = await guest.desk.asker(token)
    except NotFound as gone:
        return _hidden(refusal(guest, gone, "refused_link"))
    return _hidden(page(guest, "landing.html", asker=asker, link=token))


async def _leave(guest: Guest) -> Response:
    await guest.form_of_visit()
    await guest.desk.leave(guest.ticket)
    answer = redirect(f"{FIRST}?done=left")
    forget_visit(answer, guest.site)
    return answer


async def _language(guest: Guest) -> Response:
    form = await guest.form()
    answer = redirect(local_page(form.get("back", "")))
    if form.get("language") in LANGUAGES:
        set_language(answer, form["language"], guest.site, FIRST)
    return answer


async def _code(guest: Guest) -> Response:
    guest.ticket  # noqa: B018 - refuses who has none
    return page(guest, "code.html", problem="code_wait" if said(guest, "wait") else None)


def _hidden(answer: Response) -> Response:
    """The page whose address is a secret is told to nobody, not even to ourselves."""
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


async def _code_sent(guest: Guest, ticket: str) -> Response:
    """To the page for the code, which says so if none was sent."""
    try:
        await guest.desk.send_code(ticket)
    except TooManyAttempts:
        return onward("code", "wait")
    return onward("code")


def _came(guest: Guest) -> Came:
    request = guest.request
    return Came(guest.address, request.headers.get("user-agent", ""), request.method, request.url.path)
