"""Before a visit is open: the number, the link, the code. A link that is only looked at decides nothing."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from fastapi import Response

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
from gateway.console.customer.guest import Guest
from gateway.console.words import LANGUAGES
from gateway.errors import GatewayError, Invalid, NotFound, TooManyAttempts
from gateway.identity.operators.attempts import Attempts

LINK_PATH: Final = "/l/"


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

    async def send_code(guest: Guest) -> Response:
        form = await guest.form()
        attempts.count(guest.address)
        try:
            ticket = await guest.desk.send_code(form.get("link", ""), guest.language)
        except NotFound as gone:
            return refusal(guest, gone, "refused_link")
        answer = onward("code")
        set_visit(answer, ticket, guest.site)
        return answer

    async def send_again(guest: Guest) -> Response:
        await guest.form_of_visit()
        attempts.count(guest.address)
        try:
            await guest.desk.send_again(guest.ticket)
        except TooManyAttempts as error:
            return _code_again(guest, error, "code_many")
        return onward("code")

    async def confirm(guest: Guest) -> Response:
        form = await guest.form_of_visit()
        attempts.count(guest.address)
        try:
            ticket = await guest.desk.confirm(guest.ticket, "".join(form.get("code", "").split()))
        except TooManyAttempts as error:
            return _code_again(guest, error, "code_many")
        except Invalid as error:
            return _code_again(guest, error, "code_wrong")
        answer = onward("question")
        set_visit(answer, ticket, guest.site)
        return answer

    return [
        ("GET", "", _entry),
        ("POST", "", ask_for_link),
        ("GET", "/sent", _sent),
        ("GET", LINK_PATH + "{token}", _landing),
        ("POST", "/code", send_code),
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
    token = str(guest.request.path_params["token"])
    try:
        asker = await guest.desk.asker(token, guest.language)
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
    return page(guest, "code.html", problem=None)


def _hidden(answer: Response) -> Response:
    """The page whose address is a secret is told to nobody, not even to ourselves."""
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


def _code_again(guest: Guest, error: GatewayError, word: str) -> Response:
    status = HTTPStatus.TOO_MANY_REQUESTS if isinstance(error, TooManyAttempts) else HTTPStatus.BAD_REQUEST
    return page(guest, "code.html", status, problem=word)
