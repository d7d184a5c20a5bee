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

    async def acting(self) -> tuple[SignedIn, dict[str, str]]:
        """Who is signed in once the form has come, and the form, sent from a page of this session; else `Refused`.

        A form comes as slowly as its sender likes: a session or a role that ends meanwhile counts no more.
        """
        form = await self.form_with((await self.signed_in()).form_token)
        return await self.signed_in(), form


def local_page(fields: Mapping[str, str]) -> str:
    """The page of ours that the field `back` names; anything else is the first, so nobody is sent elsewhere."""
    page = fields.get("back", "")
    return page if _PAGE.fullmatch(page) else "/console"
