"""Dangerous acts: shown what they are, confirmed by a fresh passkey (or at the provider), done once.

The act is built here from what stands now, never from what the browser says it is, both when the challenge is made
and when the answer comes. If anything of it changed in between, the confirmation is for another act and is refused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import Response

from gateway.console.answers import Handler, document, onward, set_ticket
from gateway.console.browser import Browser
from gateway.errors import Refused
from gateway.identity.operators.operator import Act, SignedIn
from gateway.identity.operators.operators import Operators

BuildAct = Callable[[Browser, SignedIn, dict[str, str]], Awaitable[Act]]
"""Checks that the operator may, and says what the act is now."""

Do = Callable[[Browser, SignedIn, Act, dict[str, str]], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A dangerous act of the console: `options` asks for the confirmation, `perform` checks it and does the act."""

    operators: Operators
    build: BuildAct
    do: Do
    back: Callable[[Browser], str]

    async def options(self, browser: Browser) -> Response:
        """What the passkey is to answer."""
        signed_in, form = await browser.acting()
        act = await self._act(browser, signed_in, form)
        ticket, options = await self.operators.passkeys.begin_step_up(signed_in, act)
        answer = document(options)
        set_ticket(answer, ticket, browser.site)
        return answer

    async def perform(self, browser: Browser) -> Response:
        """Do the act, if it was confirmed; else send the browser to the provider to confirm it."""
        signed_in, form = await browser.acting()
        act = await self._act(browser, signed_in, form)
        if await self.operators.is_confirmed(signed_in, act, browser.cookie("ceremony"), form.pop("answer", "")):
            return await self.do(browser, signed_in, act, form)
        assert self.operators.company is not None
        ticket, url = await self.operators.company.begin_step_up(signed_in, act, back=self.back(browser))
        answer = onward(browser, url, reason="onward_confirm")
        set_ticket(answer, ticket, browser.site, returns=True)
        return answer

    async def _act(self, browser: Browser, signed_in: SignedIn, form: dict[str, str]) -> Act:
        """What is about to be done; a refusal is put on record first."""
        try:
            return await self.build(browser, signed_in, form)
        except Refused as refused:
            await self.operators.refusals.enter(refused.reasons[0].code, signed_in.operator)
            raise

    def handlers(self, path: str) -> list[tuple[str, str, Handler]]:
        """Both routes."""
        return [("POST", f"{path}/options", self.options), ("POST", path, self.perform)]
