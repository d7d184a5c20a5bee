"""A customer is referred, asked and let go: both companies over HTTP, the customer at a real Chromium (clause 4.3)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, ViewportSize

from gateway.cases.steps import CaseKind
from gateway.consents.receipts import verify_receipt
from gateway.console.customer.words import say
from gateway.web import web
from tests.access.world import Shared, person, reasons, records
from tests.confiding import done
from tests.consents.asking.world import Box
from tests.following.world import Followed, followed_on
from tests.listening import listening
from tests.referrals.world import HOUR_S, Referring, act, referring, see, state
from tests.services import free_port
from tests.services.chromium import binary, chromium
from tests.services.or_skip import or_skip

pytestmark = pytest.mark.asyncio(loop_scope="module")

_SMALL = ViewportSize(width=360, height=740)
_DELETED = {"how": "deleted", "proof": {"sha256": "ab" * 32}}
_NOBODYS = "0" * 32


@dataclass
class Journey:
    """A bank that refers to a hotel, which is told at an inbox; customers get their messages in a box."""

    followed: Followed
    referring: Referring
    box: Box
    browser: Browser

    @property
    def shared(self) -> Shared:
        return self.followed.shared

    @property
    def origin(self) -> str:
        return self.shared.gateway.settings.base_url.replace("127.0.0.1", "localhost")

    async def ask(self, number: int) -> None:
        """The bank asks a person: the phone, and the name if the person likes."""
        bank, hotel, dataset = self.referring.referrer, self.shared.hotel, self.referring.deal.dataset
        items = [{"recipient": hotel.id, "purpose": "customer_referral", "fields": ["phone"], "optional": ["name"]}]
        asked = {
            "subject": f"C{number:05}",
            "notice_sha256": await bank.notice(dataset, hotel),
            "language": "zh-CN",
            "channel": "sms",
            "address": person(number)["phone"],
            "items": items,
        }
        done(await bank.post(f"/v1/datasets/{dataset}/consent-requests", await bank.token(), asked))

    @asynccontextmanager
    async def phone(self) -> AsyncIterator[Page]:
        """A small one, whose browser runs no script."""
        context = await self.browser.new_context(
            viewport=_SMALL, locale="zh-CN", java_script_enabled=False, is_mobile=True, has_touch=True
        )
        context.set_default_timeout(20_000)
        try:
            yield await context.new_page()
        finally:
            await context.close()

    async def come(self, page: Page, number: int) -> None:
        """Over the newest link, with the newest code."""
        address = f"+86{person(number)['phone']}"
        self.shared.clock.pass_seconds(61)
        await page.goto(f"{self.origin}/my/link/{self.box.link(address)}")
        await page.click("form[action='/my/code'] button")
        await page.fill("#code", self.box.code(address))
        await page.click("form[action='/my/confirm'] button")

    async def consent_of(self, page: Page, number: int) -> None:
        """The person is asked, comes, and gives what is necessary."""
        await self.ask(number)
        await self.come(page, number)
        assert await page.locator("input:checked").count() == 0
        await page.click("button[value=give]")
        assert page.url == f"{self.origin}/my/overview?done=given"

    async def found(self) -> dict[str, dict[str, str]]:
        """Whom the hotel reads under the agreement."""
        deal = self.referring.deal
        return records(await self.shared.hotel.get(deal.path, await self.shared.referral_token(deal)))

    async def breaches(self) -> list[str]:
        """The respondents of every breach candidate."""
        cases = await self.shared.gateway.casework.cases.of_alliance(self.shared.alliance.id, limit=100)
        return [one.respondent for one in cases if one.kind is CaseKind.BREACH]

    async def refused(self, referral: str) -> bool:
        """Whether the hotel is refused the person for want of consent, and finds nobody."""
        answer = await self.referring.ask_disclosure(referral)
        no_consent = (answer.status_code, reasons(answer.json())) == (403, [("CONSENT_REQUIRED", "4.3.1")])
        return no_consent and await self.found() == {}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def journey(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Journey]:
    or_skip(binary)
    port, box = free_port(), Box()
    async with (
        followed_on(request, tmp_path_factory.mktemp("journey"), "sqlite", port=port) as followed,
        listening(web(followed.shared.gateway), port),
        chromium() as browser,
    ):
        followed.shared.gateway.asking._senders._by_channel = {"sms": box}
        yield Journey(followed, await referring(followed.shared, followed.shared.bank, range(1, 4)), box, browser)


async def test_a_customer_is_referred_by_consent_and_let_go_with_a_receipt(journey: Journey, tmp_path: Path) -> None:
    shared, bank, hotel = journey.shared, journey.referring, journey.shared.hotel
    referral = await bank.refer(1, consented=False)
    assert await state(shared.bank, referral) == "consent_pending"
    assert (await bank.ask_disclosure(referral)).status_code == 404
    assert await journey.found() == {}

    async with journey.phone() as page:
        await journey.consent_of(page, 1)
        await shared.gateway.referrals.running.run()
        assert person(1)["phone"] not in (await see(hotel, referral)).text
        done(await act(hotel, referral, "accept"))
        assert done(await bank.ask_disclosure(referral))["record"]["fields"] == {"phone": person(1)["phone"]}
        there, nowhere = [(await see(shared.stranger, one)).json() for one in (referral, _NOBODYS)]
        assert there | {"instance": ""} == nowhere | {"instance": ""}

        await page.click("article button")
        assert page.url == f"{journey.origin}/my/overview?done=withdrawn"
        assert await journey.refused(referral)
        await journey.followed.tell()
        assert [one["type"] for one in journey.followed.inbox.said()] == ["consent.withdrawn"]
        [owed] = await journey.followed.owed(hotel)
        done(await journey.followed.answer(hotel, owed["id"], "acknowledgement"))
        done(await journey.followed.answer(hotel, owed["id"], "compliance", _DELETED))

        await page.goto(f"{journey.origin}/my/overview")
        assert say("zh", "progress_complied") in await page.inner_text("main")
        await page.click("nav a[href='/my/history']")
        assert hotel.name in await page.inner_text("section[aria-labelledby=disclosures]")
        async with page.expect_download() as receipt:
            await page.click(f"li:has-text('{say('zh', 'receipt_complied')}') a")
        await (await receipt.value).save_as(tmp_path / "receipt.jws")
    keys = (await shared.alliance.http.get("/v1/jwks")).json()
    payload = verify_receipt((tmp_path / "receipt.jws").read_text(), keys)
    assert [(one["recipient"], one["how"]) for one in payload["propagation"]] == [(hotel.id, "deleted")]


async def test_a_recipient_that_is_deaf_for_two_days_is_overdue_for_the_customer_and_one_breach_candidate(
    journey: Journey,
) -> None:
    shared, bank, hotel = journey.shared, journey.referring, journey.shared.hotel
    referral = await bank.refer(2, consented=False)
    async with journey.phone() as page:
        await journey.consent_of(page, 2)
        await shared.gateway.referrals.running.run()
        done(await act(hotel, referral, "accept"))
        done(await bank.ask_disclosure(referral))
        journey.followed.inbox.deaf = True
        await page.click("article button")
        before = await journey.breaches()
        for _ in range(8):
            assert await journey.refused(referral)
            await journey.followed.tell()
            await journey.followed.settle()
            shared.clock.pass_seconds(6 * HOUR_S)
        for _ in range(2):
            await journey.followed.settle()
            assert await journey.breaches() == [*before, hotel.id]
        assert await journey.refused(referral)

        await page.goto(f"{journey.origin}/my")
        await page.fill("#contact", person(2)["phone"])
        await page.click("form[action='/my'] button")
        await shared.gateway.asking.finding.settle()
        await journey.come(page, 2)
        assert say("zh", "progress_overdue") in await page.inner_text("li.alert")
        await page.click("form[action='/my/language'] button[value=en]")
        assert say("en", "progress_overdue") in await page.inner_text("li.alert")
