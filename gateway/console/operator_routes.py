"""The operators of one's own alliance: seen by those whose role allows it, ended and helped by admins."""

from __future__ import annotations

from fastapi import Response

from gateway.console.answers import Handler, page, redirect
from gateway.console.browser import Browser
from gateway.console.confirmed import Confirmed
from gateway.errors import Conflicting, Invalid, Reason, Refused
from gateway.identity.operators.operator import Act, Operator, SignedIn
from gateway.identity.operators.operators import Operators
from gateway.identity.operators.roles import Permission, Role

_PAGE = "/console/operators"


def handlers(operators: Operators) -> list[tuple[str, str, Handler]]:
    """`/operators` and what is done there: method, path and handler."""
    directory = operators.directory

    async def list_page(browser: Browser) -> Response:
        signed_in = await browser.signed_in()
        signed_in.operator.require(Permission.SEE_OPERATORS)
        return page(
            browser,
            "operators.html",
            signed_in=signed_in,
            operators=await directory.of_alliance(signed_in.operator.alliance),
            manages=signed_in.operator.may(Permission.MANAGE_OPERATORS),
            roles=list(Role),
        )

    async def subject(browser: Browser, signed_in: SignedIn) -> Operator:
        """Whom it is about: another operator of the same alliance, for somebody who may manage them."""
        signed_in.operator.require(Permission.MANAGE_OPERATORS)
        found = await directory.of_mine(browser.part("operator"), signed_in.operator)
        if found.id == signed_in.operator.id:
            raise Conflicting("own_account", "This takes another admin.", remedy="Ask a second admin.")
        return found

    async def code_act(browser: Browser, signed_in: SignedIn, _: dict[str, str]) -> Act:
        who = await subject(browser, signed_in)
        if await operators.enrolment.vouched_by(signed_in):
            raise Refused((Reason("VOUCHED_ISSUER"),))
        return Act(who.alliance, "issue_code", {"operator": who.id})

    async def issue_code(browser: Browser, signed_in: SignedIn, act: Act, _: dict[str, str]) -> Response:
        who = await subject(browser, signed_in)
        code = await directory.issue_code(str(act.arguments["operator"]), by=signed_in.operator.id)
        return page(browser, "code.html", signed_in=signed_in, name=who.name, code=code)

    async def disable_act(browser: Browser, signed_in: SignedIn, _: dict[str, str]) -> Act:
        who = await subject(browser, signed_in)
        return Act(who.alliance, "disable_operator", {"operator": who.id})

    async def disable(_: Browser, signed_in: SignedIn, act: Act, __: dict[str, str]) -> Response:
        await directory.disable(str(act.arguments["operator"]), by=signed_in.operator.id)
        return redirect(_PAGE)

    async def role_act(browser: Browser, signed_in: SignedIn, form: dict[str, str]) -> Act:
        who = await subject(browser, signed_in)
        if form.get("role") not in [role.value for role in Role]:
            raise Invalid("role_unknown", "There is no such role.", field="role")
        return Act(who.alliance, "change_role", {"operator": who.id, "role": form["role"], "former": who.role.value})

    async def change_role(_: Browser, signed_in: SignedIn, act: Act, __: dict[str, str]) -> Response:
        role = Role(str(act.arguments["role"]))
        await directory.change_role(str(act.arguments["operator"]), role, by=signed_in.operator.id)
        return redirect(_PAGE)

    return [
        ("GET", "/operators", list_page),
        *Confirmed(operators, code_act, issue_code, _list).handlers("/operators/{operator}/code"),
        *Confirmed(operators, disable_act, disable, _list).handlers("/operators/{operator}/disable"),
        *Confirmed(operators, role_act, change_role, _list).handlers("/operators/{operator}/role"),
    ]


def _list(_: Browser) -> str:
    return _PAGE
