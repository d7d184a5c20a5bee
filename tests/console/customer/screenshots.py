"""Pictures of the customer's pages for the guide, in both languages: `python -m tests.console.customer.screenshots`.

Everybody in them is made up.
"""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.async_api import Browser, ViewportSize

from tests.console.customer.desk import CODE, LINK, FakeDesk
from tests.console.customer.visitor import on_a_port
from tests.services import free_port
from tests.services.chromium import chromium

_INTO: Final = Path(__file__).resolve().parents[3] / "docs"
_LOCALES: Final = {"en": "en-GB", "zh": "zh-CN"}
_PHONE: Final = ViewportSize(width=390, height=844)


async def _take(browser: Browser, language: str) -> None:
    desk = FakeDesk(open_questions=["disclosure-1"])
    async with on_a_port(desk, free_port()) as origin:
        context = await browser.new_context(viewport=_PHONE, locale=_LOCALES[language], color_scheme="light")
        page = await context.new_page()
        await page.goto(f"{origin}/my/link/{LINK}")
        await page.click("form[action='/my/code'] button")
        await page.fill("#code", CODE)
        await page.click("form[action='/my/confirm'] button")
        _keep(await page.screenshot(full_page=True), f"customer-question-{language}.png")
        await page.goto(f"{origin}/my/overview")
        await page.click("article button >> nth=0")
        _keep(await page.screenshot(full_page=True), f"customer-overview-{language}.png")
        await context.close()


def _keep(picture: bytes, name: str) -> None:
    """With as many colours as such a page needs, which is a third of the size."""
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(64).save(_INTO / name, optimize=True)


async def _main() -> None:
    async with chromium() as browser:
        for language in _LOCALES:
            await _take(browser, language)


if __name__ == "__main__":
    asyncio.run(_main())
