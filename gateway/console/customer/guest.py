"""A customer's browser: what it sends, and which visit it is part of."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256

from gateway.consents.asking import Visit
from gateway.console.customer.desk import Desk, NotVisiting
from gateway.console.sent import Sent

COOKIE = "visit"


@dataclass(frozen=True, slots=True)
class Guest(Sent):
    """One request of one browser at the customer's pages."""

    desk: Desk

    @property
    def ticket(self) -> str:
        """What the visit's cookie carries; `NotVisiting` without one."""
        ticket = self.cookie(COOKIE)
        if not ticket:
            raise NotVisiting
        return ticket

    @property
    def form_token(self) -> str:
        """What every form of a visit carries: made of the cookie, which it does not tell."""
        return hmac.new(self.ticket.encode(), b"form", sha256).hexdigest()

    async def visit(self) -> Visit:
        """The open visit; else `NotVisiting`."""
        visit = await self.desk.visit(self.ticket)
        if visit is None:
            raise NotVisiting
        return visit

    async def form_of_visit(self) -> dict[str, str]:
        """A form of this visit's pages; from anywhere else `Refused`."""
        return await self.form_with(self.form_token)
