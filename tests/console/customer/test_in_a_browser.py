"""A customer at a real Chromium: without script, on a small phone, by keyboard alone, and as axe-core sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page

from gateway.console.customer.views import Wish
from gateway.web import web
from tests.consents.asking.world import opened
from tests.console.customer.desk import CODE, CONTACT, LINK, FakeDesk
from tests.console.customer.visitor import on_a_port
from tests.listening import listening
from tests.services import axe, free_port
from tests.services.chromium import binary, chromium
from tests.services.or_skip import or_skip

pytestmark = pytest.mark.asyncio(loop_scope="module")

_SMALL = {"width": 360, "height": 740}
_SMALLEST = 320
"""WCAG 2.2, 1.4.10: nothing scrolls sideways at this width."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    or_skip(binary)
    or_skip(axe.source)
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served() -> AsyncIterator[tuple[FakeDesk, str]]:
    desk = FakeDesk()
    async with on_a_port(desk, free_port()) as origin:
        yield desk, origin


@pytest.fixture
def desk(served: tuple[FakeDesk, str]) -> FakeDesk:
    """The desk as it was at the beginning, for each test anew."""
    fresh = FakeDesk()
    for name in FakeDesk.__dataclass_fields__:
        setattr(served[0], name, getattr(fresh, name))
    return served[0]


@pytest.fixture
def origin(served: tuple[FakeDesk, str]) -> str:
    return served[1]


async def _page(browser: Browser, **how: Any) -> tuple[BrowserContext, Page]:
    context = await browser.new_context(**{"viewport": _SMALL, "locale": "zh-CN", **how})
    context.set_default_timeout(20_000)
    return context, await context.new_page()


async def _come(page: Page, origin: str) -> None:
    await page.goto(f"{origin}/my/link/{LINK}")
    await page.click("form[action='/my/code'] button")
    await page.fill("#code", CODE)
    await page.click("form[action='/my/confirm'] button")


async def _fits(page: Page) -> None:
    for width in (_SMALL["width"], _SMALLEST):
        await page.set_viewport_size({"width": width, "height": _SMALL["height"]})
        wide = await page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{page.url} is {wide} wide at {width}"


async def test_a_customer_decides_withdraws_and_complains_without_script_on_a_small_phone(
    browser: Browser, desk: FakeDesk, origin: str
) -> None:
    context, page = await _page(browser, java_script_enabled=False, has_touch=True, is_mobile=True)
    await page.goto(f"{origin}/my")
    await _fits(page)
    await page.fill("#contact", CONTACT)
    await page.click("form[action='/my'] button")
    assert await page.inner_text("h1") == "请查看短信或邮箱"
    await _fits(page)
    await page.goto(f"{origin}/my/link/{LINK}")
    assert "茶马银行" in await page.inner_text("main")
    await _fits(page)
    await page.click("form[action='/my/code'] button")
    assert page.url == f"{origin}/my/code"
    await page.fill("#code", "000000")
    await page.click("form[action='/my/confirm'] button")
    assert "验证码有误" in await page.inner_text("[role=alert]")
    await _fits(page)
    await page.fill("#code", CODE)
    await page.click("form[action='/my/confirm'] button")
    await _fits(page)
    assert await page.locator("input:checked").count() == 0
    await page.click("label:has-text('预算')")
    await page.click("#item-1-form button[value=give]")
    await page.click("#item-1-form button[value=refuse]")
    assert page.url == f"{origin}/my/overview?done=refused"
    assert [(one.answer, one.fields, one.channels) for one in desk.decisions] == [
        ("give", {"budget"}, frozenset()),
        ("refuse", frozenset(), frozenset()),
    ]
    await _fits(page)
    await page.click("button[aria-label='撤回同意：仙鹤航空，您所咨询的酒店优惠']")
    assert "已超过期限" in await page.inner_text("main")
    await _fits(page)
    await page.click("nav a[href='/my/history']")
    await _fits(page)
    async with page.expect_download() as receipt:
        await page.click("a[href='/my/receipts/receipt-1']")
    assert (await receipt.value).suggested_filename == "receipt.jws"
    await page.click("nav a[href='/my/rights']")
    await _fits(page)
    async with page.expect_download() as paper:
        await page.click("a[href='/my/record.pdf']")
    assert (await paper.value).suggested_filename == "my-consents.pdf"
    await page.fill("#complain-text", "一直有人打电话")
    await page.select_option("#complain-company", label="仙鹤航空")
    await page.click("#complain-form button")
    assert "K7-0001" in await page.inner_text("[role=status]")
    await page.click("form[action='/my/leave'] button")
    assert await page.inner_text("[role=status]") == "您已退出，他人无法继续使用此页面。"
    assert desk.told == [Wish("complaint", "air", "一直有人打电话")]
    await context.close()


async def test_a_customer_switches_suggestions_off_without_script_on_a_small_phone(
    browser: Browser, desk: FakeDesk, origin: str
) -> None:
    context, page = await _page(browser, java_script_enabled=False, has_touch=True, is_mobile=True)
    await _come(page, origin)
    await page.click("nav a[href='/my/suggestions']")
    await _fits(page)
    await page.click("button[aria-label='关闭个性化推荐：茶马银行']")
    assert "已关闭" in await page.inner_text("[role=status]")
    assert desk.switched["bank"]
    await _fits(page)
    await context.close()


async def test_the_gateway_itself_takes_a_customer_from_the_link_to_withdrawn(browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    async with opened(tmp_path, port=port) as world, listening(web(world.gateway), port):
        phone, _ = await world.asked()
        world.clock.pass_seconds(61)
        context, page = await _page(browser, java_script_enabled=False, has_touch=True, is_mobile=True)
        await page.goto(f"{world.gateway.settings.base_url}/my/link/{world.box.link(phone)}")
        await page.click("form[action='/my/code'] button")
        assert world.box.link(phone) not in page.url
        await page.fill("#code", world.box.code(phone))
        await page.click("form[action='/my/confirm'] button")
        assert await page.locator("input:checked").count() == 0
        await _fits(page)
        await page.click("button[value=give]")
        await page.click("article button")
        assert "已撤回" in await page.inner_text("[role=status]")
        assert [entry["act"] for entry in await world.entries()][-2:] == ["consent_give", "consent_withdraw"]
        await _fits(page)
        await context.close()


async def _tab_to(page: Page, selector: str) -> None:
    """Press Tab until it has the focus, which must be to be seen."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        focused: bool = await page.evaluate("s => document.activeElement.matches(s)", selector)
        outline: str = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none"
        if focused:
            return
    raise AssertionError(f"{selector} is out of the keyboard's reach")


async def test_everything_that_matters_is_within_the_keyboards_reach(
    browser: Browser, desk: FakeDesk, origin: str
) -> None:
    context, page = await _page(browser, locale="en-GB")
    await page.goto(f"{origin}/my/link/{LINK}")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "skip"
    await _tab_to(page, "form[action='/my/code'] button")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/my/code")
    await _tab_to(page, "#code")
    await page.keyboard.type(CODE)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/my/question")
    await _tab_to(page, "#item-1-field-2")
    await page.keyboard.press("Space")
    await page.keyboard.press("Enter")
    await page.get_by_text("Nothing has been decided yet.").wait_for()
    assert desk.decisions == [], "Enter in a box is no answer"
    assert await page.locator("#item-1-form button").first.is_hidden()
    await _tab_to(page, "#item-1-field-2")
    await page.keyboard.press("Space")
    await _tab_to(page, "#item-1-form button[value=give]")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/my/question?done=given")
    await _tab_to(page, "button[value=later]")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/my/overview?done=later")
    await _tab_to(page, "form[action='/my/withdraw-all'] button")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/my/overview?done=withdrawn")
    assert [one.answer for one in desk.decisions] == ["give", "later"]
    assert {one.state for one in desk.holdings} == {"withdrawn"}
    await context.close()


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
async def test_axe_finds_no_violation_on_any_page(browser: Browser, desk: FakeDesk, origin: str, locale: str) -> None:
    context, page = await _page(browser, locale=locale, color_scheme="light")
    seen = {}

    async def look(name: str) -> None:
        seen[name] = await axe.violations(page)
        if locale == "en-GB":
            await page.emulate_media(color_scheme="dark")
            seen[name] += await axe.violations(page, "color-contrast")
            await page.emulate_media(color_scheme="light")

    for name, path in (("entry", ""), ("sent", "/sent"), ("landing", f"/link/{LINK}"), ("refused", "/link/unknown")):
        await page.goto(f"{origin}/my{path}")
        await look(name)
    await page.goto(f"{origin}/my")
    await page.fill("#contact", "x")
    await page.click("form[action='/my'] button")
    await look("no contact")
    await page.goto(f"{origin}/my/link/{LINK}")
    await page.click("form[action='/my/code'] button")
    await look("code")
    await page.click("form[action='/my/code/again'] button")
    await look("code too soon")
    await page.fill("#code", CODE)
    await page.click("form[action='/my/confirm'] button")
    await look("question")
    await page.click("#item-2-form button[value=give]")
    await look("question without a channel")
    await page.goto(f"{origin}/my/overview")
    await page.click("article button >> nth=0")
    await look("overview")
    for name in ("history", "suggestions", "rights"):
        await page.goto(f"{origin}/my/{name}")
        await look(name)
    await page.fill("#ask-text", "x")
    await page.click("#ask-form button")
    await look("asked")
    await page.click("form[action='/my/leave'] button")
    await look("left")
    assert len(seen) == 15
    assert {name: found for name, found in seen.items() if found} == {}
    await context.close()


async def test_axe_sees_what_is_wrong(browser: Browser, desk: FakeDesk, origin: str) -> None:
    context, page = await _page(browser)
    await page.goto(f"{origin}/my")
    await page.evaluate("document.querySelector('label').remove()")
    assert any(one.startswith("label") for one in await axe.violations(page))
    await context.close()


async def test_nothing_is_loaded_from_elsewhere_and_no_rule_is_broken(
    browser: Browser, desk: FakeDesk, origin: str
) -> None:
    context, page = await _page(browser)
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    await _come(page, origin)
    for name in ("overview", "history", "suggestions", "rights"):
        await page.goto(f"{origin}/my/{name}")
    assert len(asked) > 8
    assert [url for url in asked if not url.startswith(f"{origin}/my")] == []
    assert said == []
    assert await page.locator("script").count() == 0
    (visit,) = [one for one in await context.cookies() if one["name"] == "visit"]
    assert (visit["httpOnly"], visit["sameSite"], visit["path"], visit["expires"]) == (True, "Strict", "/", -1)
    await context.close()


async def test_the_link_is_told_to_no_other_page(browser: Browser, desk: FakeDesk, origin: str) -> None:
    context, page = await _page(browser)
    told: list[str] = []
    page.on("request", lambda request: told.append(request.headers.get("referer", "")))
    await _come(page, origin)
    assert len(told) > 3
    assert [one for one in told if LINK in one] == []
    await context.close()
