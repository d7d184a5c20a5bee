"""A person at a real Chromium with a virtual authenticator: enrols, signs in, confirms, signs out."""

from __future__ import annotations

from playwright.async_api import Browser, Route

from gateway.identity.operators.roles import Role
from tests.console.world import Console
from tests.services.chromium import Person, person


async def test_a_code_enrols_a_passkey_that_signs_in(served: Console, someone: Person) -> None:
    await served.newcomer(someone, "李雷")
    assert "李雷" in await someone.page.inner_text("h1")
    assert await served.acts() == ["operator_added", "operator_enrolled", "operator_signed_in"]
    (made,) = await someone.credentials()
    assert made["isResidentCredential"]
    assert made["rpId"] == "localhost"
    signed_in = (await served.log())[-1]
    assert signed_in["actor"] == {"operator": served.operators["李雷"]}
    assert signed_in["method"] == "passkey"


async def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(served: Console, someone: Person) -> None:
    await served.newcomer(someone, "Ann")
    cookies = {cookie["name"]: cookie for cookie in await someone.context.cookies()}
    session = cookies["session"]
    assert (session["httpOnly"], session["sameSite"], session["path"], session["expires"]) == (True, "Strict", "/", -1)
    assert "ceremony" not in cookies
    assert await someone.page.evaluate("document.cookie") == ""


async def test_an_authenticator_that_does_not_verify_its_user_is_refused(served: Console, someone: Person) -> None:
    code = await served.add("Ann")
    await someone.unplug()
    await someone.plug_in(hasUserVerification=False, isUserVerified=False)
    await served.enrol(someone, code)
    await someone.page.wait_for_selector("#alert")
    await someone.page.wait_for_selector("button.main:enabled")
    assert await someone.page.inner_text("#alert")
    assert await served.acts() == ["operator_added"]


async def test_signing_out_ends_the_session_on_the_server(served: Console, someone: Person) -> None:
    await served.newcomer(someone, "Ann")
    kept = await someone.context.cookies()
    await someone.page.click("form[action='/console/sign-out'] button")
    await someone.page.wait_for_url("**/console/sign-in")
    await someone.context.add_cookies([cookie for cookie in kept if cookie["name"] == "session"])  # type: ignore[misc]
    await someone.page.goto(f"{served.origin}/console")
    assert someone.page.url.endswith("/console/sign-in")
    assert (await served.acts())[-1] == "operator_signed_out"


async def test_a_second_passkey_is_added_after_confirming_and_the_first_is_removed(
    served: Console, someone: Person
) -> None:
    await served.newcomer(someone, "Ann")
    page = someone.page
    await page.fill("form[action='/console/passkeys'] input[name=label]", "security key")
    first = someone.authenticator

    async def reach_for_another(route: Route) -> None:
        """The laptop has confirmed; before a new passkey is asked for, a key is plugged in and the laptop put away."""
        put_away = {"authenticatorId": someone.authenticator, "enabled": False}
        await someone.session.send("WebAuthn.setAutomaticPresenceSimulation", put_away)
        await someone.plug_in(transport="usb")
        await route.continue_()

    await page.route("**/console/passkeys/new", reach_for_another)
    async with page.expect_navigation(url=f"{served.origin}/console"):
        await page.click("form[action='/console/passkeys'] button")
    labels = await page.locator("section[aria-labelledby=passkeys] tbody th").all_inner_texts()
    assert labels == ["laptop", "security key"]
    assert someone.authenticator != first
    assert len(await someone.credentials()) == 1
    async with page.expect_navigation(url=f"{served.origin}/console"):
        await page.click("button[aria-label='Remove the passkey laptop']")
    labels = await page.locator("section[aria-labelledby=passkeys] tbody th").all_inner_texts()
    assert labels == ["security key"]
    assert (await served.acts())[3:] == [
        "operator_stepped_up",
        "operator_passkey_added",
        "operator_stepped_up",
        "operator_passkey_revoked",
    ]


async def test_an_admin_gives_a_code_to_somebody_who_lost_the_passkey(served: Console, browser: Browser) -> None:
    ann, bob = await person(browser), await person(browser)
    await served.newcomer(ann, "Ann")
    await served.newcomer(bob, "Bob", Role.OFFICER)
    await bob.unplug()
    await bob.plug_in()
    await ann.page.click("nav a[href='/console/operators']")
    await ann.page.click("button[aria-label='Issue a code for Bob']")
    code = await ann.page.inner_text(".shown")
    await served.enrol(bob, code, "new laptop")
    await bob.page.wait_for_selector(".done")
    await bob.page.goto(f"{served.origin}/console")
    assert bob.page.url.endswith("/console/sign-in"), "the session of the lost passkey has ended"
    await served.sign_in(bob)
    labels = await bob.page.locator("section[aria-labelledby=passkeys] tbody th").all_inner_texts()
    assert labels == ["new laptop"]


async def test_disabling_an_operator_ends_the_sessions_at_once(served: Console, browser: Browser) -> None:
    ann, bob = await person(browser), await person(browser)
    await served.newcomer(ann, "Ann")
    await served.newcomer(bob, "Bob", Role.OFFICER)
    await ann.page.goto(f"{served.origin}/console/operators")
    async with ann.page.expect_navigation(url=f"{served.origin}/console/operators"):
        await ann.page.click("button[aria-label='Disable Bob']")
    await bob.page.goto(f"{served.origin}/console")
    assert bob.page.url.endswith("/console/sign-in")
    await bob.page.click("form[action='/console/sign-in'] button")
    await bob.page.wait_for_selector("text=That did not work")
    assert "OPERATOR_DISABLED" in await served.reasons()


async def test_pages_speak_the_browsers_language_and_the_chosen_one(served: Console, browser: Browser) -> None:
    reader = await person(browser, locale="zh-CN")
    await reader.page.goto(f"{served.origin}/console/sign-in")
    assert await reader.page.inner_text("h1") == "登录"
    assert await reader.page.get_attribute("html", "lang") == "zh-Hans"
    await reader.page.click("button[name=language]")
    assert reader.page.url.endswith("/console/sign-in")
    assert await reader.page.inner_text("h1") == "Sign in"


async def test_nothing_is_loaded_from_elsewhere_and_no_rule_is_broken(served: Console, someone: Person) -> None:
    asked: list[str] = []
    said: list[str] = []
    someone.page.on("request", lambda request: asked.append(request.url))
    someone.page.on("console", lambda message: said.append(message.text))
    await served.newcomer(someone, "Ann")
    await someone.page.goto(f"{served.origin}/console/operators")
    assert len(asked) > 8
    assert [url for url in asked if not url.startswith(served.origin + "/console")] == []
    assert said == []


async def test_no_page_scrolls_sideways_on_a_phone(served: Console, someone: Person) -> None:
    await served.newcomer(someone, "Ann")
    await someone.page.set_viewport_size({"width": 390, "height": 844})
    for page in ("", "/operators", "/proposals"):
        await someone.page.goto(f"{served.origin}/console{page}")
        assert await someone.page.evaluate("document.documentElement.scrollWidth") == 390, page
