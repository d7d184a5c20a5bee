"""A real Chromium, driven by Playwright, with a virtual authenticator (WebAuthn section 11)."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from playwright.async_api import Browser, BrowserContext, CDPSession, Page, async_playwright

from tests.services.process import ComponentMissing, version_of

_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def binary() -> str:
    """The browser's program; raises `ComponentMissing`."""
    for program in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(program):
            return path
    raise ComponentMissing("chromium is not installed (Debian: apt-get install chromium).")


def version() -> str:
    """As `Chromium 145.0.1`; raises `ComponentMissing`."""
    return " ".join(version_of(binary(), "--version").split()[:2])


@dataclass(slots=True)
class Person:
    """Somebody at a browser of their own, with a passkey in it that they unlock."""

    page: Page
    context: BrowserContext
    session: CDPSession
    authenticator: str = ""

    async def plug_in(self, **options: Any) -> None:
        """A platform authenticator that verifies its user; `options` replace its properties."""
        usual = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        added = await self.session.send("WebAuthn.addVirtualAuthenticator", {"options": usual | options})
        self.authenticator = added["authenticatorId"]

    async def unplug(self) -> None:
        """The device is lost."""
        await self.session.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": self.authenticator})

    async def credentials(self) -> list[dict[str, Any]]:
        """What the authenticator holds, private keys included."""
        found = await self.session.send("WebAuthn.getCredentials", {"authenticatorId": self.authenticator})
        return list(found["credentials"])


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A running browser; each person gets a context of their own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=binary(), args=_FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


async def person(browser: Browser, *, locale: str = "en-GB") -> Person:
    """A new person with a verifying platform authenticator."""
    context = await browser.new_context(locale=locale)
    context.set_default_timeout(20_000)
    page = await context.new_page()
    session = await context.new_cdp_session(page)
    await session.send("WebAuthn.enable")
    someone = Person(page, context, session)
    await someone.plug_in()
    return someone
