"""An operator's browser: what it sends, and who is signed in there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.console.sent import Sent
from gateway.identity.operators.operator import SignedIn
from gateway.identity.operators.operators import Operators
from gateway.identity.operators.refusals import NotSignedIn

_PAGE: Final = re.compile(r"/console(?:/[A-Za-z0-9_-]{1,64}){0,3}")


@dataclass(frozen=True, slots=True)
class Browser(Sent):
    """One request of one browser at the console."""

    operators: Operators

    async def signed_in(self) -> SignedIn:
        """Who is signed in; else `NotSignedIn`."""
        cookie = self.cookie("session")
        found = await self.operators.sessions.find(cookie) if cookie else None
        if found is None:
            raise NotSignedIn
        return found

    async def form_of(self, signed_in: SignedIn) -> dict[str, str]:
        """The form that was sent from a page of this session; from any other page `Refused`."""
        return await self.form_with(signed_in.form_token)


def local_page(fields: Mapping[str, str], name: str = "back") -> str:
    """The page of ours that a field names; anything else is the first page, so nobody is sent elsewhere."""
    page = fields.get(name, "")
    return page if _PAGE.fullmatch(page) else "/console"
