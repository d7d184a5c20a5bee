"""Four eyes: what others have proposed in one's alliance, looked at whole, and approved or declined."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Response

from gateway.approvals import Approvals, Arguments, Proposal
from gateway.console.answers import Handler, page, redirect
from gateway.console.browser import Browser
from gateway.console.confirmed import Confirmed, Do
from gateway.console.words import WORDS
from gateway.errors import NotFound, Reason, Refused
from gateway.identity.operators.directory import require_office
from gateway.identity.operators.operator import Act, Operator, SignedIn
from gateway.identity.operators.operators import Operators
from gateway.identity.operators.roles import DECIDES, Permission

_PAGE = "/console/proposals"


def handlers(operators: Operators, approvals: Approvals) -> list[tuple[str, str, Handler]]:
    """`/proposals`: method, path and handler."""

    async def visible(browser: Browser, signed_in: SignedIn) -> Proposal:
        """The proposal of the path, if it is one of the operator's alliance."""
        signed_in.operator.require(Permission.SEE_PROPOSALS)
        found = await approvals.find(browser.part("proposal"))
        if found.alliance != signed_in.operator.alliance:
            raise NotFound
        return found

    async def names(who: Operator) -> Mapping[str, str]:
        return {one.id: one.name for one in await operators.directory.of_alliance(who.alliance)}

    async def list_page(browser: Browser) -> Response:
        signed_in = await browser.signed_in()
        signed_in.operator.require(Permission.SEE_PROPOSALS)
        pending = await approvals.pending(signed_in.operator.alliance)
        shown = [_shown(one, await names(signed_in.operator)) for one in pending]
        return page(browser, "proposals.html", signed_in=signed_in, proposals=shown)

    async def proposal_page(browser: Browser) -> Response:
        signed_in = await browser.signed_in()
        found = await visible(browser, signed_in)
        return page(
            browser,
            "proposal.html",
            signed_in=signed_in,
            proposal=_shown(found, await names(signed_in.operator)),
            arguments=_named(found.arguments),
            to_the_newest=found.act == "export_log" and "last" not in found.arguments,
            own=found.proposed_by == signed_in.operator.id,
            decides=_may_decide(signed_in.operator, found),
        )

    def deciding(verb: str) -> Confirmed:
        async def decision(browser: Browser, signed_in: SignedIn, _: dict[str, str]) -> Act:
            found = await visible(browser, signed_in)
            if not _may_decide(signed_in.operator, found):
                raise Refused((Reason("ROLE_LACKS_PERMISSION"),))
            if await operators.enrolment.vouched_by(signed_in) == found.proposed_by:
                raise Refused((Reason("VOUCHED_BY_PROPOSER"),))
            about = {"proposal": found.id, "act": found.act, "arguments_sha256": found.digest}
            return Act(found.alliance, f"{verb}_proposal", about)

        return Confirmed(operators, decision, performing[verb], _back)

    async def approve(browser: Browser, signed_in: SignedIn, act: Act, _: dict[str, str]) -> Response:
        made = await approvals.approve(str(act.arguments["proposal"]), **_decider(signed_in.operator, act))
        return page(browser, "decided.html", signed_in=signed_in, outcome="approved", made=made)

    async def decline(browser: Browser, signed_in: SignedIn, act: Act, _: dict[str, str]) -> Response:
        await approvals.decline(str(act.arguments["proposal"]), **_decider(signed_in.operator, act))
        return page(browser, "decided.html", signed_in=signed_in, outcome="declined", made="")

    async def withdraw(browser: Browser) -> Response:
        signed_in, _ = await browser.acting()
        found = await visible(browser, signed_in)
        await approvals.withdraw(found.id, operator=signed_in.operator.id)
        return redirect(_PAGE)

    performing: dict[str, Do] = {"approve": approve, "decline": decline}
    return [
        ("GET", "/proposals", list_page),
        ("GET", "/proposals/{proposal}", proposal_page),
        *deciding("approve").handlers("/proposals/{proposal}/approve"),
        *deciding("decline").handlers("/proposals/{proposal}/decline"),
        ("POST", "/proposals/{proposal}/withdraw", withdraw),
    ]


def _may_decide(who: Operator, found: Proposal) -> bool:
    permission = DECIDES.get(found.act)
    return permission is not None and who.may(permission)


def _decider(who: Operator, act: Act) -> dict[str, Any]:
    """Who decides on the proposal of an act, and whether that operator still may when the decision is entered."""
    permission = DECIDES[str(act.arguments["act"])]
    return {"operator": who.id, "still": lambda reading: require_office(reading, who.id, permission)}


def _shown(found: Proposal, names: Mapping[str, str]) -> dict[str, Any]:
    word = f"act_{found.act}"
    return {
        "id": found.id,
        "act": found.act,
        "word": word if word in WORDS else "",
        "digest": found.digest,
        "proposed_by": names.get(found.proposed_by, found.proposed_by),
        "proposed_at": found.proposed_at,
        "expires_at": found.expires_at,
        "state": found.state,
    }


def _named(arguments: Arguments) -> list[tuple[str, str, Any]]:
    """Each argument's name, the key of its text ('' where it has none), and its value."""
    words = [(name, f"argument_{name}") for name in arguments]
    return [(name, word if word in WORDS else "", arguments[name]) for name, word in words]


def _back(browser: Browser) -> str:
    return f"{_PAGE}/{browser.part('proposal')}"
