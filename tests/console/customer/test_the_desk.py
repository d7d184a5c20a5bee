"""The pages over the gateway itself: a customer is asked, gives, sees and withdraws; another one sees nothing."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO

import httpx
import pytest
import pytest_asyncio

from gateway.consents.asking import Visit
from gateway.consents.following import Following, Progress
from gateway.consents.receipts import verify_receipt
from gateway.identity.operators.site import Site
from tests.access.world import Deal
from tests.consents.asking.test_asking import child
from tests.consents.asking.world import World, opened
from tests.console.customer.visitor import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="module")

_ITEM = re.compile(r'name="item" value="(\w+)">\s*<input type="hidden" name="notice" value="(\w{64})"')
_WITHDRAW = re.compile(r'action="/my/withdraw">.*?name="item" value="(\w+)"')


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with opened(tmp_path_factory.mktemp("desk")) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deal(world: World) -> Deal:
    """The hotel may read what customers consent to."""
    fields = ["phone", "name"]
    agreed = await world.bank.agree(world.hotel, world.dataset, fields, purposes=["customer_referral"])
    return Deal(agreed, world.dataset)


@asynccontextmanager
async def _visitor(world: World, language: str = "en") -> AsyncIterator[Visitor]:
    origin = Site.of(world.gateway.settings.base_url).origin
    app = world.alliance.http._transport
    async with httpx.AsyncClient(transport=app, base_url=origin, headers={"accept-language": language}) as http:
        yield Visitor(http, origin)


async def _come(world: World, visitor: Visitor, phone: str) -> str:
    """Over the newest link, with the newest code; the page that the visit opens on."""
    link = world.box.link(phone)
    world.clock.pass_seconds(61)
    await visitor.get(f"/my/link/{link}")
    await visitor.press("/my/code", link=link)
    answer = await visitor.press("/my/confirm", code=world.box.code(phone))
    assert answer.status_code == 200, answer.text
    return answer.text


async def _find(world: World, visitor: Visitor, phone: str) -> None:
    """By the page's own entry."""
    world.clock.pass_seconds(61)
    await visitor.get("/my")
    await visitor.press("/my", contact=phone)
    await world.asking.finding.settle()


async def _answer(visitor: Visitor, answer: str, **ticked: str) -> str:
    """Answer the first question of the page."""
    found = _ITEM.search(visitor.page)
    assert found is not None
    return (await visitor.press("/my/question", item=found[1], notice=found[2], answer=answer, **ticked)).text


async def _read(world: World, deal: Deal) -> list[dict[str, object]]:
    token = await world.hotel.token(world.hotel.under(deal.agreement, deal.dataset, "customer_referral"))
    answer = await world.hotel.get(deal.path, token)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, object]] = answer.json()["records"]
    return found


async def test_a_customer_gives_on_the_page_and_withdraws_there_and_reads_follow(world: World, deal: Deal) -> None:
    phone, _ = await world.asked()
    row = {"customer_no": f"C{phone[-5:]}", "name": "李雷", "phone": phone, "id_number": ""}
    assert (await world.bank.upload(deal.dataset, [row])).status_code == 201
    assert await _read(world, deal) == []
    async with _visitor(world) as visitor:
        question = await _come(world, visitor, phone)
        assert "某某有限公司" in question
        assert "1 year, then deleted" in question
        overview = await _answer(visitor, "give")
        assert "Your yes is recorded" in overview
        (read,) = await _read(world, deal)
        assert "name" not in str(read), "the box of the optional name was left empty"
        history = (await visitor.get("/my/history")).text
        assert str(world.hotel.name) in history
        receipts = re.findall(r'href="/my/receipts/([\w.]+)"', history)
        assert len(receipts) == 1
        kept = (await visitor.get(f"/my/receipts/{receipts[0]}")).text
        keys = await world.gateway.signing.resource_jwks()
        assert verify_receipt(kept, keys)["kind"] == "given"
        await visitor.get("/my/overview")
        found = _WITHDRAW.search(visitor.page.replace("\n", ""))
        assert found is not None
        gone = (await visitor.press("/my/withdraw", item=found[1])).text
        assert "From now on nothing more is passed on" in gone
        assert "Who has to stop using it" in gone
        assert await _read(world, deal) == []
        copy = json.loads((await visitor.get("/my/record.json")).content)
        assert [one["state"] for one in copy["consents"]] == ["withdrawn"]
        assert len(copy["receipts"]) == 2
        receipts = re.findall(r'href="/my/receipts/([\w.]+)"', (await visitor.get("/my/history")).text)
        texts = [(await visitor.get(f"/my/receipts/{one}")).text for one in receipts]
        kinds = [verify_receipt(one, keys)["kind"] for one in texts]
        assert kinds == [one.split(".")[-1] for one in receipts] == ["given", "withdrawn"]
        assert (await visitor.get(f"/my/receipts/{receipts[0]}s")).status_code == 404
        assert [one["fields"] for one in copy["disclosures"]] == [["phone"]]
        assert [one["cause"] for one in copy["follow_ups"]] == ["withdrawn"]
        assert phone not in json.dumps(copy)
        assert "李雷" not in json.dumps(copy, ensure_ascii=False)
        assert (await visitor.get("/my/record.pdf")).content.startswith(b"%PDF-")


async def test_the_pages_own_entry_shows_and_withdraws_everything_and_an_unknown_number_gets_the_same_answer(
    world: World, deal: Deal
) -> None:
    phone, _ = await world.asked()
    async with _visitor(world, "zh") as visitor:
        await _come(world, visitor, phone)
        await _answer(visitor, "give", field__name="on")
        (kept,) = json.loads((await visitor.get("/my/record.json")).content)["consents"]
        assert sorted(kept["fields"]) == ["name", "phone"]
    async with _visitor(world, "zh") as visitor, _visitor(world, "zh") as stranger:
        await _find(world, visitor, phone)
        before = len(world.box.messages)
        await _find(world, stranger, "+8613900139000")
        assert stranger.page == visitor.page
        assert len(world.box.messages) == before
        overview = await _come(world, visitor, phone)
        assert "您同意的事项" in overview
        found = _WITHDRAW.search(overview.replace("\n", ""))
        assert found is not None
        gone = (await visitor.press("/my/withdraw", item=found[1])).text
        assert "已撤回" in gone
        assert "没有企业接收过您的信息" in gone


async def test_being_contacted_is_given_by_the_ways_that_were_ticked_alone(world: World) -> None:
    phone, _ = await world.asked(world.contact("phone", "sms"))
    async with _visitor(world) as visitor:
        await _come(world, visitor, phone)
        assert "Nothing has been decided yet" in await _answer(visitor, "give")
        assert "Your yes is recorded" in await _answer(visitor, "give", channel__sms="on")
        (kept,) = json.loads((await visitor.get("/my/record.json")).content)["consents"]
        assert (kept["kind"], kept["channels"], kept["fields"]) == ("contact", ["sms"], [])


async def test_a_refusal_is_kept_and_nobody_may_ask_again_for_a_while(world: World) -> None:
    phone, _ = await world.asked()
    async with _visitor(world) as visitor:
        await _come(world, visitor, phone)
        page = await _answer(visitor, "refuse")
        assert "Your no is recorded" in page
        assert "You said no. Until then nobody may ask you the same again." in page
    assert (await world.ask(phone)).status_code == 409


async def test_a_no_to_everything_refuses_each_item_that_is_asked(world: World) -> None:
    phone, _ = await world.asked(world.item(), world.contact("sms"))
    async with _visitor(world) as visitor:
        await _come(world, visitor, phone)
        page = (await visitor.press("/my/refuse-all")).text
        assert "Your no is recorded" in page
        assert "Something waits for your decision" not in page
        copy = json.loads((await visitor.get("/my/record.json")).content)
    assert {one["kind"]: one["state"] for one in copy["consents"]} == {"disclosure": "refused", "contact": "refused"}


async def _requests(world: World, *kinds: str) -> dict[str, str]:
    """The bank's requests of these kinds, the newest of each."""
    page = await world.bank.get("/v1/rights?limit=100", await world.bank.token())
    assert page.status_code == 200, page.text
    oldest_first = sorted(page.json()["items"], key=lambda one: one["received_at"])
    return {one["kind"]: one["id"] for one in oldest_first if one["kind"] in kinds}


async def _grant(world: World, request: str) -> None:
    """The bank grants a request."""
    answer = await world.bank.post(f"/v1/rights/{request}/answer", await world.bank.token(), {"text": "见附件。"})
    assert answer.status_code == 200, answer.text


async def test_requests_are_listed_with_their_state_date_and_answer_and_a_granted_one_is_taken_along(
    world: World,
) -> None:
    phone, _ = await world.asked()
    async with _visitor(world) as visitor:
        await _find(world, visitor, phone)
        await _come(world, visitor, phone)
        await visitor.get("/my/rights")
        for kind in ("correction", "complaint", "copy"):
            page = (await visitor.press("/my/ask", kind=kind, company=world.bank.id, text="My name is wrong.")).text
        for said in ("Correct my data", "Complaint", "Get a copy"):
            assert f"<strong>{said}</strong>: {world.bank.name}" in page
        assert page.count('<span class="tag">in work</span>') == 3
        assert page.count("To be answered by") == 3
        copy = (await _requests(world, "copy"))["copy"]
        await _grant(world, copy)
        page = (await visitor.get("/my/rights")).text
        assert "见附件。" in page
        assert page.count('action="/my/export"') == 1
        file = await visitor.press("/my/export", request=copy)
        packed = zipfile.ZipFile(BytesIO(file.content))
        assert {one["kind"] for one in json.loads(packed.read("data.json"))["requests"]} == {
            "correction",
            "complaint",
            "copy",
        }
        await visitor.get("/my/rights")
        refused = await visitor.press("/my/export", request=(await _requests(world, "complaint"))["complaint"])
        assert refused.status_code == 409
    theirs, _ = await world.asked()
    async with _visitor(world) as other:
        await _find(world, other, theirs)
        await _come(world, other, theirs)
        await other.get("/my/rights")
        assert (await other.press("/my/export", request=copy)).status_code == 404


async def test_a_person_ends_a_restriction_on_its_page_and_reads_follow_again(world: World, deal: Deal) -> None:
    phone, _ = await world.asked()
    row = {"customer_no": f"C{phone[-5:]}", "name": "钱七", "phone": phone, "id_number": ""}
    assert (await world.bank.upload(deal.dataset, [row])).status_code == 201
    await world.give(phone)
    async with _visitor(world) as visitor:
        await _find(world, visitor, phone)
        await _come(world, visitor, phone)
        await visitor.get("/my/rights")
        await visitor.press("/my/ask", kind="restriction", company=world.bank.id, text="Not for now.")
        request = (await _requests(world, "restriction"))["restriction"]
        await _grant(world, request)
        assert await _read(world, deal) == []
        assert "Paused at your request or for a case" in (await visitor.get("/my/overview")).text
        page = (await visitor.get("/my/rights")).text
        assert "End this pause" in page
        assert "they count again, unless another request pauses them" in page
        page = (await visitor.press("/my/retract", request=request)).text
        assert '<span class="tag">taken back</span>' in page
        assert '/my/retract"' not in page
        assert len(await _read(world, deal)) == 1
        assert (await visitor.press("/my/retract", request=request)).status_code == 409
        await visitor.get("/my/overview")
        await visitor.press("/my/withdraw-all")
    theirs, _ = await world.asked()
    async with _visitor(world) as other:
        await _find(world, other, theirs)
        await _come(world, other, theirs)
        await other.get("/my/rights")
        assert (await other.press("/my/retract", request=request)).status_code == 404


async def test_over_the_link_of_one_question_no_request_is_listed_made_or_taken_along(world: World) -> None:
    phone, _ = await world.asked()
    async with _visitor(world) as visitor:
        await _find(world, visitor, phone)
        await _come(world, visitor, phone)
        await visitor.get("/my/rights")
        await visitor.press("/my/ask", kind="copy", company=world.bank.id, text="What do you have?")
    copy = (await _requests(world, "copy"))["copy"]
    await _grant(world, copy)
    await world.ask(phone, world.contact("sms"))
    async with _visitor(world) as visitor:
        await _come(world, visitor, phone)
        page = (await visitor.get("/my/rights")).text
        assert "This link was sent for one question" in page
        assert not [one for one in ("见附件。", "Get a copy", "/my/ask", "/my/export", "/my/retract") if one in page]
        assert json.loads((await visitor.get("/my/record.json")).content)["requests"] == []
        asked = await visitor.press("/my/ask", kind="deletion", company=world.bank.id, text="Delete it.")
        assert asked.status_code == 400
        for path in ("/my/export", "/my/retract"):
            await visitor.get("/my/rights")
            assert (await visitor.press(path, request=copy)).status_code == 404


async def test_another_customers_consents_and_receipts_are_not_there(world: World) -> None:
    mine, _ = await world.asked()
    theirs, _ = await world.asked()
    async with _visitor(world) as other:
        await _come(world, other, theirs)
        await _answer(other, "give")
        await other.get("/my/history")
        receipt = re.search(r'href="(/my/receipts/[\w.]+)"', other.page)
        await other.get("/my/overview")
        item = _WITHDRAW.search(other.page.replace("\n", ""))
        assert receipt is not None
        assert item is not None
    async with _visitor(world) as visitor:
        await _come(world, visitor, mine)
        assert (await visitor.get(receipt[1])).status_code == 404
        await visitor.get("/my/overview")
        assert (await visitor.press("/my/withdraw", item=item[1])).status_code == 404


async def test_codes_are_few_and_wrong_ones_are_counted_by_the_gateway(world: World) -> None:
    phone, _ = await world.asked()
    async with _visitor(world) as visitor:
        link = world.box.link(phone)
        world.clock.pass_seconds(61)
        await visitor.get(f"/my/link/{link}")
        await visitor.press("/my/code", link=link)
        again = await visitor.press("/my/code/again")
        assert "No new code was sent" in again.text
        right = world.box.code(phone)
        wrong = f"{(int(right) + 1) % 1_000_000:06}"
        answers = [await visitor.press("/my/confirm", code=wrong) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [400] * 5 + [429]
        assert (await visitor.press("/my/confirm", code=right)).status_code == 429
        assert (await visitor.get("/my/overview")).status_code == 401


async def test_a_link_and_a_cookie_that_the_gateway_never_gave_open_nothing(world: World) -> None:
    async with _visitor(world) as visitor:
        assert (await visitor.get(f"/my/link/{'A' * 43}")).status_code == 404
        visitor.http.cookies.set("visit", "A" * 43)
        for path in ("/my/code/again", "/my/confirm"):
            await visitor.get("/my/code")
            assert (await visitor.press(path, code="000000")).status_code == 401


async def test_leaving_ends_the_visit(world: World) -> None:
    phone, _ = await world.asked()
    async with _visitor(world) as visitor:
        await _come(world, visitor, phone)
        cookie = visitor.http.cookies.get("visit")
        await visitor.press("/my/leave")
        visitor.http.cookies.set("visit", str(cookie))
        assert (await visitor.get("/my/overview")).status_code == 401


async def test_a_receipt_names_the_language_in_which_the_notice_was_read(world: World) -> None:
    phone, _ = await world.asked(language="zh-CN")
    async with _visitor(world, "en") as visitor:
        await _come(world, visitor, phone)
        await _answer(visitor, "give")
        await visitor.get("/my/history")
        receipt = re.search(r'href="(/my/receipts/[\w.]+)"', visitor.page)
        assert receipt is not None
        kept = verify_receipt((await visitor.get(receipt[1])).text, await world.gateway.signing.resource_jwks())
    assert kept["processing"]["notice"]["language"] == "en"


async def test_the_copy_over_a_requests_link_has_what_that_request_asked_and_nothing_else(
    world: World, deal: Deal
) -> None:
    phone, _ = await world.asked()
    row = {"customer_no": f"C{phone[-5:]}", "name": "韩梅梅", "phone": phone, "id_number": ""}
    assert (await world.bank.upload(deal.dataset, [row])).status_code == 201
    await world.asking.withdraw_all(await _read_after(world, deal, phone))
    await world.ask(phone, world.contact("sms"))
    async with _visitor(world) as visitor:
        await _come(world, visitor, phone)
        copy = json.loads((await visitor.get("/my/record.json")).content)
        assert [one["kind"] for one in copy["consents"]] == ["contact"]
        assert (copy["disclosures"], copy["follow_ups"]) == ([], [])
    async with _visitor(world) as visitor:
        await _find(world, visitor, phone)
        await _come(world, visitor, phone)
        copy = json.loads((await visitor.get("/my/record.json")).content)
        assert [one["cause"] for one in copy["follow_ups"]] == ["withdrawn"]


async def _read_after(world: World, deal: Deal, phone: str) -> Visit:
    visit = await world.give(phone)
    assert len(await _read(world, deal)) == 1
    return visit


async def test_the_copy_tells_whom_a_recipient_passed_the_data_on_to(
    world: World, deal: Deal, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone, made = await world.asked()
    [consent] = made["records"]
    third = Progress(
        "b", consent, world.hotel.id, "A third", "withdrawn", "queued", 1, 2, None, None, None, None, None, ()
    )
    first = third._replace(id="a", holder="", onward=(third,))

    async def of_person(*_: object) -> list[Progress]:
        return [first]

    monkeypatch.setattr(Following, "of_person", of_person)
    async with _visitor(world) as visitor:
        await _come(world, visitor, phone)
        answer = await visitor.get("/my/record.json")
        assert answer.status_code == 200, answer.text
        [told] = json.loads(answer.content)["follow_ups"]
        assert [one["holder"] for one in told["onward"]] == ["A third"]


async def test_where_several_persons_share_a_number_nobody_asks_in_the_others_name(world: World) -> None:
    phone, _ = await world.asked()
    await world.ask(phone, subject=f"other {phone[-5:]}")
    async with _visitor(world) as visitor:
        await _find(world, visitor, phone)
        await _come(world, visitor, phone)
        page = (await visitor.get("/my/rights")).text
        assert "Several persons share your number" in page
        assert f"<strong>{world.bank.name}</strong>" in (await visitor.get("/my/suggestions")).text
        assert (await visitor.get("/my/record.pdf")).status_code == 200
        await visitor.get("/my/rights")
        assert 'action="/my/ask"' not in page
        answer = await visitor.press("/my/ask", kind="deletion", company=world.bank.id, text="Delete it.")
        assert answer.status_code == 400


async def test_what_a_company_answered_is_not_read_over_a_number_that_turns_out_to_be_shared(world: World) -> None:
    phone, _ = await world.asked()
    async with _visitor(world) as visitor:
        await _find(world, visitor, phone)
        await _come(world, visitor, phone)
        await visitor.get("/my/rights")
        await visitor.press("/my/ask", kind="access", company=world.bank.id, text="What do you have?")
        await _grant(world, (await _requests(world, "access"))["access"])
        page = (await visitor.get("/my/rights")).text
        assert ("见附件。" in page, 'action="/my/export"' in page) == (True, True)
        assert (await world.ask(phone, subject=f"other {phone[-5:]}")).status_code == 201
        await _find(world, visitor, phone)
        await _come(world, visitor, phone)
        page = (await visitor.get("/my/rights")).text
        assert "Several persons share your number" in page
        assert ("见附件。" in page, 'action="/my/export"' in page) == (False, False)


async def test_a_person_that_is_two_subjects_with_one_number_asks_as_anybody(world: World) -> None:
    phone, _ = await world.asked()
    await world.ask(phone, subject=f"other {phone[-5:]}")
    merged = {"subject": f"C{phone[-5:]}", "duplicate": f"other {phone[-5:]}"}
    answer = await world.bank.post(f"/v1/datasets/{world.dataset}/merges", await world.bank.token(), merged)
    assert answer.status_code == 200, answer.text
    async with _visitor(world) as visitor:
        await _find(world, visitor, phone)
        await _come(world, visitor, phone)
        assert "Several persons share your number" not in (await visitor.get("/my/rights")).text
        page = (await visitor.press("/my/ask", kind="copy", company=world.bank.id, text="All of it.")).text
        assert "<strong>Get a copy</strong>" in page
        copy = (await _requests(world, "copy"))["copy"]
        await _grant(world, copy)
        await visitor.get("/my/rights")
        file = zipfile.ZipFile(BytesIO((await visitor.press("/my/export", request=copy)).content))
        assert len(json.loads(file.read("data.json"))["consents"]) == 2
        separations = f"/v1/datasets/{world.dataset}/separations"
        assert (await world.bank.post(separations, await world.bank.token(), merged)).status_code == 204
        assert "Several persons share your number" in (await visitor.get("/my/rights")).text
        assert (await visitor.press("/my/export", request=copy)).status_code == 404


async def test_a_guardian_asks_as_a_guardian_also_by_the_pages_own_entry(world: World) -> None:
    guardian = world.phone()
    assert (await child(world, guardian)).status_code == 201
    token = await world.bank.token()
    before = (await world.bank.get("/v1/rights", token)).json()["items"]
    async with _visitor(world) as visitor:
        await _find(world, visitor, guardian)
        await _come(world, visitor, guardian)
        await visitor.get("/my/rights")
        asked = await visitor.press("/my/ask", kind="access", company=world.bank.id, text="What do you have?")
        assert asked.status_code == 200, asked.text
    listed = (await world.bank.get("/v1/rights", token)).json()["items"]
    assert [one["behalf"] for one in listed if one not in before] == ["guardian"]


async def test_who_must_stop_is_shown_at_the_consent_that_was_theirs(world: World, deal: Deal) -> None:
    phone, _ = await world.asked()
    row = {"customer_no": f"C{phone[-5:]}", "name": "赵六", "phone": phone, "id_number": ""}
    assert (await world.bank.upload(deal.dataset, [row])).status_code == 201
    await world.asking.withdraw_all(await _read_after(world, deal, phone))
    await world.ask(phone, world.contact("sms"))
    await world.found(phone)
    record = await world.gateway.counter.record(await world.confirmed(phone), "en")
    assert {one.kind: len(one.progress) for one in record.holdings} == {"disclosure": 1, "contact": 0}
