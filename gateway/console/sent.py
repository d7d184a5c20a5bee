"""What a browser sends: its cookies, forms and origin, read strictly."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import Final

from fastapi import Request

from gateway.console.words import LANGUAGES
from gateway.errors import Invalid, NotFound, Reason, Refused
from gateway.identity.forms import BODY_BYTES, parse_form
from gateway.identity.operators.site import Site
from gateway.identity.proxy import TrustedProxy, peer_of
from gateway.identity.refusals import TokenRefused

LANGUAGE_COOKIE: Final = "language"
_ACCEPTED: Final = re.compile(r"([A-Za-z*]{1,8})[A-Za-z0-9-]*(?:;q=([01](?:\.\d{1,3})?))?")
_LONGEST_COOKIE: Final = 128
_MOST_FIELDS: Final = 80
"""A question has at most 62 boxes for fields, and one for each way of being contacted."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One request of one browser to a site; `proxy` is whose word is taken about where it comes from."""

    request: Request
    proxy: TrustedProxy
    site: Site

    @property
    def language(self) -> str:
        """The language that was chosen here, else the one that the browser prefers, else English."""
        chosen = self.request.cookies.get(LANGUAGE_COOKIE, "")
        return chosen if chosen in LANGUAGES else preferred(self.request.headers.get("accept-language", ""))

    @property
    def address(self) -> str:
        """Where the browser is."""
        return self.proxy.address(self.request.scope["headers"], peer_of(self.request.scope))

    def cookie(self, name: str) -> str:
        """The cookie of this name, '' where there is none or one that we never gave."""
        value = self.request.cookies.get(cookie_name(name, self.site), "")
        return value if len(value) <= _LONGEST_COOKIE and value.isascii() else ""

    def part(self, name: str) -> str:
        """This part of the path; `NotFound` for one with U+0000, under which PostgreSQL would not even look."""
        found = str(self.request.path_params[name])
        if "\0" in found:
            raise NotFound
        return found

    async def form(self) -> dict[str, str]:
        """The form that was sent from a page of ours; from any other page `Refused` (CSRF, ASVS 5.0 3.5.1)."""
        self.refuse_other_sites()
        return await self.fields()

    async def form_with(self, form_token: str) -> dict[str, str]:
        """As above, with the token that only forms of this session or visit carry."""
        form = await self.form()
        if not hmac.compare_digest(form.pop("form_token", "").encode(), form_token.encode()):
            raise Refused((Reason("FORM_TOKEN"),))
        return form

    async def fields(self) -> dict[str, str]:
        """A form's fields, each once, from wherever it came."""
        body = bytearray()
        async for chunk in self.request.stream():
            body += chunk
            if len(body) > BODY_BYTES:
                raise Invalid("form_too_large", f"A form has at most {BODY_BYTES} bytes.", field="body")
        try:
            content_type = self.request.headers.get("content-type", "").encode("latin-1")
            return parse_form(content_type, bytes(body), most=_MOST_FIELDS)
        except TokenRefused:
            raise Invalid("form_malformed", "This is no form with each field once.", field="body") from None

    def refuse_other_sites(self) -> None:
        """Fetch Metadata where the browser sends it, else the Origin; with neither, refuse.

        A page that tells nobody where one came from sends the origin `null` even to its own site (Fetch, "append a
        request Origin header"); then Fetch Metadata alone says where the form was.
        """
        fetched_from = self.request.headers.get("sec-fetch-site")
        origin = self.request.headers.get("origin")
        same = fetched_from == "same-origin" if fetched_from is not None else origin == self.site.origin
        if not same or origin not in (None, "null", self.site.origin):
            raise Refused((Reason("CROSS_SITE"),))


def cookie_name(name: str, site: Site) -> str:
    """Over https with the prefix that keeps neighbours out (RFC 6265bis section 4.1.3.2)."""
    return f"__Host-{name}" if site.secure else name


def preferred(accept_language: str) -> str:
    """The language that a browser likes best of ours (RFC 9110 section 12.5.4); English where it says nothing."""
    best, weight = "en", 0.0
    for part in accept_language[:512].split(",")[:32]:
        found = _ACCEPTED.fullmatch(part.strip().replace(" ", ""))
        if found is None:
            continue
        tag, quality = found[1].lower(), float(found[2] or 1)
        if tag in LANGUAGES and quality > weight:
            best, weight = tag, quality
    return best
