"""During a visit: decide, see, withdraw, and take a copy along. Nothing here is served before the code held."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from importlib.util import find_spec
from typing import Final

import orjson
from fastapi import Response

from gateway.consents.asking import Kind, Visit
from gateway.console.customer.answers import Handler, download, onward, page, refusal, said
from gateway.console.customer.guest import Guest
from gateway.console.customer.views import Answer, Decision, Item, Record, Wish
from gateway.errors import GatewayError, Invalid, NotFound

COMPLAINT: Final = "complaint"
LONGEST_TEXT: Final = 2_000
_DONE: Final = {Answer.GIVE: "given", Answer.REFUSE: "refused", Answer.LATER: "later"}
_SWITCHED: Final = {"off": "switched_off", "on": "switched_on"}
_RETRACTED: Final = "retracted"
_NOT_CHOSEN: Final = "choose_channel"
_NOT_ANSWERED: Final = "choose_answer"


def handlers() -> list[tuple[str, str, Handler]]:
    """The pages of an open visit: method, path and handler."""
    return [
        ("GET", "/question", _question),
        ("POST", "/question", _decide),
        ("POST", "/refuse-all", _refuse_all),
        ("GET", "/overview", _overview),
        ("POST", "/withdraw", _withdraw),
        ("POST", "/withdraw-all", _withdraw_all),
        ("GET", "/history", _history),
        ("GET", "/receipts/{receipt}", _receipt),
        ("GET", "/suggestions", _suggestions),
        ("POST", "/suggestions", _switch),
        ("GET", "/rights", _rights),
        ("POST", "/ask", _ask),
        ("POST", "/retract", _retract),
        ("POST", "/export", _export),
        ("GET", "/record.json", _copy),
        ("GET", "/record.pdf", _pdf),
    ]


async def _question(guest: Guest) -> Response:
    visit = await guest.visit()
    items = await guest.desk.questions(visit, guest.language)
    if not items:
        return onward("overview", said(guest, *_DONE.values()) or "")
    return _asked(guest, visit, items)


async def _decide(guest: Guest) -> Response:
    form = await guest.form_of_visit()
    visit = await guest.visit()
    items = await guest.desk.questions(visit, guest.language)
    item = next((one for one in items if one.id == form.get("item")), None)
    if item is None:
        raise NotFound
    if "answer" not in form:  # Enter in a box presses the form's first button, which says nothing
        return _asked(guest, visit, items, problem={"item": item.id, "word": _NOT_ANSWERED})
    decision = _decision(item, form)
    if decision.answer is Answer.GIVE and item.channels and not decision.channels:
        return _asked(guest, visit, items, problem={"item": item.id, "word": _NOT_CHOSEN})
    await guest.desk.decide(visit, decision, guest.language)
    left = [one for one in items if one.id != item.id and not one.put_off]
    return onward("question" if left else "overview", _DONE[decision.answer])


async def _refuse_all(guest: Guest) -> Response:
    await guest.form_of_visit()
    return await _at_every_company(guest, guest.desk.refuse_all, _DONE[Answer.REFUSE])


def _decision(item: Item, form: Mapping[str, str]) -> Decision:
    """What the form of this one item says; a box that the item does not have is no answer to it."""
    fields = {f"field:{one.name}": one.name for one in item.optional}
    channels = {f"channel:{one}": one for one in item.channels}
    ticked = form.keys() - {"item", "notice", "answer"}
    boxes = fields.keys() | channels.keys()
    if form.get("answer") not in tuple(Answer) or "notice" not in form or not ticked <= boxes:
        raise Invalid("invalid_decision", "This is no answer to the question.", field="answer")
    return Decision(
        item=item.id,
        answer=Answer(form["answer"]),
        notice_sha256=form["notice"],
        fields=frozenset(fields[one] for one in ticked & fields.keys()),
        channels=frozenset(channels[one] for one in ticked & channels.keys()),
    )


def _asked(guest: Guest, visit: Visit, items: tuple[Item, ...], problem: Mapping[str, str] | None = None) -> Response:
    status = HTTPStatus.BAD_REQUEST if problem else HTTPStatus.OK
    shown = {"items": items, "answers": tuple(Answer), "problem": problem, "guardian": visit.kind is Kind.GUARDIAN}
    return page(guest, "question.html", status, visit=visit, done=said(guest, *_DONE.values()), **shown)


async def _overview(guest: Guest) -> Response:
    visit = await guest.visit()
    record = await guest.desk.record(visit, guest.language)
    done = said(guest, *_DONE.values(), "withdrawn")
    return page(guest, "overview.html", visit=visit, record=record, done=done, guardian=visit.kind is Kind.GUARDIAN)


async def _withdraw(guest: Guest) -> Response:
    form = await guest.form_of_visit()
    await guest.desk.withdraw(await guest.visit(), form.get("item", ""))
    return onward("overview", "withdrawn")


async def _withdraw_all(guest: Guest) -> Response:
    await guest.form_of_visit()
    return await _at_every_company(guest, guest.desk.withdraw_all, "withdrawn")


async def _at_every_company(guest: Guest, act: Callable[[Visit], Awaitable[None]], done: str) -> Response:
    """To the overview; where one company of several cannot be served, the page says that not everything was done."""
    visit = await guest.visit()
    try:
        await act(visit)
    except GatewayError as error:
        if len(visit.owners) == 1:
            raise
        return refusal(guest, error, "refused_partly", visit)
    return onward("overview", done)


async def _history(guest: Guest) -> Response:
    visit = await guest.visit()
    return page(guest, "history.html", visit=visit, record=await guest.desk.record(visit, guest.language))


async def _receipt(guest: Guest) -> Response:
    visit = await guest.visit()
    text = await guest.desk.receipt(visit, guest.part("receipt"))
    return download(text.encode(), "receipt.jws", "application/jose")


async def _suggestions(guest: Guest) -> Response:
    visit = await guest.visit()
    record = await guest.desk.record(visit, guest.language)
    done = said(guest, *_SWITCHED.values())
    return page(guest, "suggestions.html", visit=visit, record=record, done=done)


async def _switch(guest: Guest) -> Response:
    form = await guest.form_of_visit()
    to = form.get("to", "")
    if to not in _SWITCHED:
        raise Invalid("invalid_switch", "A switch is on or off.", field="to")
    await guest.desk.switch(await guest.visit(), form.get("company", ""), off=to == "off")
    return onward("suggestions", _SWITCHED[to])


async def _rights(guest: Guest) -> Response:
    visit = await guest.visit()
    return _rights_page(guest, visit, await guest.desk.record(visit, guest.language))


async def _ask(guest: Guest) -> Response:
    form = await guest.form_of_visit()
    visit = await guest.visit()
    number = await guest.desk.ask(visit, _wish(form, await guest.desk.record(visit, guest.language)))
    return _rights_page(guest, visit, await guest.desk.record(visit, guest.language), number)


def _rights_page(guest: Guest, visit: Visit, record: Record, number: str = "") -> Response:
    shown = {
        "complaint": COMPLAINT,
        "number": number,
        "done": said(guest, _RETRACTED),
        "pdf": _pdf_is_installed(),
        "longest": LONGEST_TEXT,
    }
    return page(guest, "rights.html", HTTPStatus.OK, visit=visit, record=record, **shown)


def _wish(form: Mapping[str, str], record: Record) -> Wish:
    """What the form asks for; `Invalid` for a kind, a company or a text that the page does not have."""
    text = form.get("text", "").replace("\r\n", "\n").strip()
    if not 0 < len(text) <= LONGEST_TEXT:
        raise Invalid("invalid_text", f"A text has 1 to {LONGEST_TEXT} characters.", field="text")
    kind, company = form.get("kind", ""), form.get("company", "")
    if kind not in record.kinds or company not in [one.id for one in record.companies]:
        raise Invalid("invalid_wish", "This cannot be asked for here.", field="kind")
    return Wish(kind, company, text)


async def _retract(guest: Guest) -> Response:
    form = await guest.form_of_visit()
    await guest.desk.retract(await guest.visit(), form.get("request", ""))
    return onward("rights", _RETRACTED)


async def _export(guest: Guest) -> Response:
    form = await guest.form_of_visit()
    content = await guest.desk.export(await guest.visit(), form.get("request", ""))
    return download(content, "my-data.zip", "application/zip")


async def _copy(guest: Guest) -> Response:
    copy = await guest.desk.copy(await guest.visit())
    return download(orjson.dumps(copy, option=orjson.OPT_INDENT_2), "my-consents.json", "application/json")


async def _pdf(guest: Guest) -> Response:
    if not _pdf_is_installed():
        raise NotFound
    from gateway.console.customer.pdf import rendered  # noqa: PLC0415 - the extra

    record = await guest.desk.record(await guest.visit(), guest.language)
    content = await asyncio.to_thread(rendered, record, guest.language)
    return download(content, "my-consents.pdf", "application/pdf")


def _pdf_is_installed() -> bool:
    return find_spec("reportlab") is not None
