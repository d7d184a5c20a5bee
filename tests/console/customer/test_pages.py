"""The customer's pages without a window: what they ask, how, in how many steps, and what they never do."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from gateway.consents.asking import Kind, Visit
from gateway.consents.contacts import Holder, Role
from gateway.console import customer
from gateway.console.customer import visit_routes
from gateway.console.customer.pdf import _sections
from gateway.console.customer.record_words import RECORD_WORDS
from gateway.console.customer.views import Answer, Line, Record, Wish
from gateway.console.customer.words import WORDS, say
from gateway.console.words import LANGUAGES
from gateway.errors import Unavailable
from tests.console.customer.desk import CODE, CONTACT, LINK, NOTICE, FakeDesk
from tests.console.customer.visitor import Visitor, visiting

_FOLDER = Path(customer.__file__).parent
_FAMILIES = (
    "answer_", "channel_", "done_", "how_", "item_disclosure", "item_contact", "origin_", "progress_", "receipt_",
    "state_", "nav_", "fact_", "period_", "after_", "ground_", "country_", "paused_", "kind_", "asked_", "switch_",
)  # fmt: skip


class Controls(HTMLParser):
    """The forms of a page, each with its controls as (name, value, checked)."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[list[tuple[str, str, bool]]] = []
        self.outside: list[str] = []
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "form":
            self.forms.append([])
            self._inside = True
        elif tag in ("input", "button", "select", "textarea"):
            if not self._inside or "form" in found:
                self.outside.append(str(found))
            else:
                self.forms[-1].append((found.get("name") or "", found.get("value") or "", "checked" in found))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False

    def of_items(self) -> list[list[tuple[str, str, bool]]]:
        """The forms that ask for a consent."""
        return [form for form in self.forms if any(name == "item" for name, _, _ in form)]


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
async def someone(desk: FakeDesk) -> AsyncIterator[Visitor]:
    async with visiting(desk) as made:
        yield made


async def test_a_known_and_an_unknown_contact_get_the_same_answer(someone: Visitor) -> None:
    known = await someone.press("/my", contact=CONTACT)
    unknown = await someone.press("/my", contact="13900139000")
    assert (known.status_code, known.text) == (unknown.status_code, unknown.text)


async def test_what_is_no_contact_is_said_in_plain_words(someone: Visitor, desk: FakeDesk) -> None:
    answer = await someone.press("/my", contact="nobody")
    assert answer.status_code == 400
    assert "no phone number or e-mail address" in answer.text
    assert "nobody" not in answer.text
    assert desk.asked == []


async def test_looking_at_a_link_decides_nothing_and_sends_nothing(someone: Visitor, desk: FakeDesk) -> None:
    for _ in range(3):
        answer = await someone.get(f"/my/link/{LINK}")
        assert "Tea Horse Bank" in answer.text
    assert (desk.waiting, desk.visits, desk.decisions) == ({}, {}, [])
    assert "set-cookie" not in answer.headers


async def test_the_link_leaves_the_address_bar_with_the_first_step(someone: Visitor) -> None:
    await someone.get(f"/my/link/{LINK}")
    answer = await someone.post("/my/code", {"link": LINK})
    assert (answer.status_code, answer.headers["location"]) == (303, "/my/code")
    assert LINK not in (await someone.get("/my/code")).text


@pytest.mark.parametrize("token", ["unknown", "a" * 400, "%00", "..%2f"])
async def test_a_link_that_is_none_is_refused_in_plain_words(someone: Visitor, token: str) -> None:
    answer = await someone.get(f"/my/link/{token}")
    assert answer.status_code == 404
    assert "Traceback" not in answer.text
    assert token not in answer.text or token == "unknown"


async def test_the_notice_is_a_list_that_names_everything_the_law_asks_for(someone: Visitor) -> None:
    """Order 790 Art. 21: who receives, their contact, purpose, method, each field with its reason, until when, how."""
    page = (await someone.come()).text
    for said in (
        "Lantern Hotels", "+86 10 5555 0100", "A hotel offer that you asked for", "Stored for the offer",
        "Name", "Phone number", "So that the offer can be made", "90 days, then deleted", "On this page, at any time",
        "Somebody could guess your age.", NOTICE.sha256,
    ):  # fmt: skip
        assert said in page, said


async def test_no_control_of_one_consent_is_shared_with_another(someone: Visitor) -> None:
    page = Controls((await someone.come()).text)
    items = page.of_items()
    assert len(items) == 2
    assert page.outside == []
    for form in items:
        assert sum(name == "item" for name, _, _ in form) == 1
        assert [value for name, value, _ in form if name == "answer"] == list(Answer)
    assert len({value for form in items for name, value, _ in form if name == "item"}) == 2
    elsewhere = [name for form in page.forms if form not in items for name, _, _ in form]
    assert {"language", "back", "form_token", ""} >= set(elsewhere), "nothing else on the page decides anything"


async def test_nothing_is_ticked_before_and_optional_fields_and_channels_have_boxes_of_their_own(
    someone: Visitor,
) -> None:
    forms = Controls((await someone.come()).text).of_items()
    assert not any(checked for form in forms for _, _, checked in form)
    boxes = [{name for name, _, _ in form if ":" in name} for form in forms]
    assert boxes == [{"field:birthday", "field:budget"}, {"channel:sms", "channel:email"}]


async def test_yes_no_and_later_look_alike(someone: Visitor) -> None:
    page = (await someone.come()).text
    buttons = re.findall(r'<button name="answer" value="(\w+)"([^>]*)>', page)
    assert [value for value, _ in buttons] == ["give", "refuse", "later"] * 2
    assert len({rest.replace("item-2", "item-1") for _, rest in buttons}) == 1, "no class, no style sets one apart"


@pytest.mark.parametrize("answer", list(Answer))
async def test_one_answer_decides_one_item_and_takes_only_what_was_ticked(
    someone: Visitor, desk: FakeDesk, answer: Answer
) -> None:
    await someone.come()
    seen = await someone.press(
        "/my/question", item="disclosure-1", notice=NOTICE.sha256, answer=answer, field__budget="on"
    )
    (decision,) = desk.decisions
    assert (decision.item, decision.answer, set(decision.fields)) == ("disclosure-1", answer, {"budget"})
    left = Controls(seen.text).of_items()
    assert len(left) == (2 if answer is Answer.LATER else 1)


async def test_every_box_of_the_longest_notice_can_be_ticked() -> None:
    desk = FakeDesk(more=tuple(Line(f"field_{number}", "Field", "Because.") for number in range(60)))
    async with visiting(desk) as someone:
        await someone.come()
        names = [name for name, _, _ in Controls(someone.page).of_items()[0] if name.startswith("field:")]
        ticked = {name.replace(":", "__"): "on" for name in names}
        await someone.press("/my/question", item="disclosure-1", notice=NOTICE.sha256, answer="give", **ticked)
    assert len(desk.decisions[0].fields) == len(names) == 62


async def test_what_was_put_off_waits_and_keeps_nobody_from_going_on(someone: Visitor) -> None:
    await someone.come()
    await someone.press("/my/question", item="disclosure-1", notice=NOTICE.sha256, answer="later")
    page = (await someone.press("/my/question", item="contact-1", notice=NOTICE.sha256, answer="later")).text
    assert "<h1>Who has what</h1>" in page
    assert "Something waits for your decision" in page


async def test_everything_that_is_asked_is_refused_by_one_press_and_nothing_is_given_by_one(
    someone: Visitor, desk: FakeDesk
) -> None:
    """PIPL Art. 14: a yes is for one item, by itself."""
    seen = await someone.come()
    assert seen.text.count('value="give"') == len(desk.open_questions) == 2
    assert 'action="/my/refuse-all"' in seen.text
    page = (await someone.press("/my/refuse-all")).text
    assert "<h1>Who has what</h1>" in page
    assert "Your no is recorded" in page
    assert (desk.refused_at_once, desk.decisions) == (["disclosure-1", "contact-1"], [])


async def test_where_one_thing_is_asked_its_own_no_is_enough() -> None:
    async with visiting(FakeDesk(open_questions=["disclosure-1"])) as someone:
        assert "/my/refuse-all" not in (await someone.come()).text


async def test_a_box_of_another_item_is_no_answer(someone: Visitor, desk: FakeDesk) -> None:
    await someone.come()
    answer = await someone.press(
        "/my/question", item="disclosure-1", notice=NOTICE.sha256, answer="give", channel__sms="on"
    )
    assert answer.status_code == 400
    assert desk.decisions == []


@pytest.mark.parametrize("said", ["", "yes", "GIVE"])
async def test_an_answer_that_no_button_gives_decides_nothing(someone: Visitor, desk: FakeDesk, said: str) -> None:
    await someone.come()
    answer = await someone.press("/my/question", item="disclosure-1", notice=NOTICE.sha256, answer=said)
    assert answer.status_code == 400
    assert desk.decisions == []


async def test_yes_to_being_contacted_without_a_way_asks_again(someone: Visitor, desk: FakeDesk) -> None:
    await someone.come()
    answer = await someone.press("/my/question", item="contact-1", notice=NOTICE.sha256, answer="give")
    assert answer.status_code == 400
    assert "Nothing has been decided yet" in answer.text
    await someone.press("/my/question", item="contact-1", notice=NOTICE.sha256, answer="give", channel__sms="on")
    assert [one.channels for one in desk.decisions] == [{"sms"}]


@pytest.mark.parametrize(
    ("form", "status"),
    [({"item": "disclosure-1", "answer": "give"}, 400), ({"item": "other", "notice": NOTICE.sha256}, 404)],
    ids=["no notice", "no item"],
)
async def test_an_answer_names_the_notice_that_was_read_and_an_item_that_is_asked(
    someone: Visitor, desk: FakeDesk, form: dict[str, str], status: int
) -> None:
    await someone.come()
    assert (await someone.press("/my/question", **form)).status_code == status
    assert desk.decisions == []


@pytest.mark.parametrize("path", ["/my/nothing", "/my/static/nothing.css"])
async def test_what_is_not_there_is_said_to_be_missing(someone: Visitor, path: str) -> None:
    answer = await someone.get(path)
    assert answer.status_code == 404
    assert say("en", "refused_missing") in answer.text


async def test_the_page_for_the_code_is_for_those_alone_who_opened_a_link(someone: Visitor) -> None:
    assert (await someone.get("/my/code")).status_code == 401


async def test_without_the_extra_there_is_no_paper(someone: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visit_routes, "find_spec", lambda _: None)
    await someone.come()
    assert "/my/record.pdf" not in (await someone.get("/my/rights")).text
    assert (await someone.get("/my/record.pdf")).status_code == 404


def test_what_stands_is_not_among_what_ended(desk: FakeDesk) -> None:
    stands, ends = desk.holdings
    ended = replace(ends, state="withdrawn")
    assert Record((stands, ended), (), (), (), 0).followed == (ended,)


async def test_withdrawing_one_or_all_takes_no_more_steps_than_giving() -> None:
    """PIPL Art. 15: as easy to withdraw as to give."""
    counted = {}
    ways = {
        "/my/question": {"item": "disclosure-1", "notice": NOTICE.sha256, "answer": "give"},
        "/my/withdraw": {"item": "old-1"},
        "/my/withdraw-all": {},
    }
    for last, fields in ways.items():
        desk = FakeDesk(open_questions=["disclosure-1"] if last == "/my/question" else [])
        async with visiting(desk) as someone:
            seen = await someone.come()
            assert f'action="{last}"' in seen.text, "the visit opens where the act is"
            assert (await someone.press(last, **fields)).status_code == 200
            counted[last] = len(someone.steps)
    assert counted["/my/withdraw"] <= counted["/my/question"]
    assert counted["/my/withdraw-all"] <= counted["/my/question"]


class OneIsDeaf(FakeDesk):
    """Somebody is known to two companies, and at one of them nothing can be entered now."""

    companies = 2

    async def visit(self, ticket: str) -> Visit | None:
        found = await super().visit(ticket)
        others = [Holder(f"company {number}", "pseudonym", Role.OWN) for number in range(1, self.companies)]
        return found and replace(found, persons=(*found.persons, *others))

    async def withdraw_all(self, visit: Visit) -> None:
        self._end("old-1")
        raise Unavailable("ledger_rolled_back", "The log ran back.")

    async def refuse_all(self, visit: Visit) -> None:
        self.open_questions.pop()
        raise Unavailable("ledger_rolled_back", "The log ran back.")


@pytest.mark.parametrize(
    ("path", "left"), [("/my/withdraw-all", "old-2"), ("/my/refuse-all", "waits for your decision")]
)
async def test_where_not_everything_could_be_done_the_page_says_so_and_leads_to_what_is_left(
    path: str, left: str
) -> None:
    async with visiting(OneIsDeaf()) as someone:
        await someone.come()
        page = await someone.press(path)
        assert (page.status_code, say("en", "refused_partly") in page.text) == (503, True)
        assert 'href="/my/overview"' in page.text
        assert left in (await someone.get("/my/overview")).text


@pytest.mark.parametrize("path", ["/my/withdraw-all", "/my/refuse-all"])
async def test_where_the_only_company_cannot_be_served_nothing_is_said_to_be_done(path: str) -> None:
    desk = OneIsDeaf()
    desk.companies = 1
    async with visiting(desk) as someone:
        await someone.come()
        page = await someone.press(path)
        assert (page.status_code, say("en", "refused_unavailable") in page.text) == (503, True)
        assert say("en", "refused_partly") not in page.text


async def test_withdrawn_is_shown_with_everybody_who_has_to_stop_and_who_is_late(someone: Visitor) -> None:
    await someone.come()
    await someone.get("/my/overview")
    page = (await someone.press("/my/withdraw", item="old-1")).text
    assert "From now on nothing more is passed on" in page
    assert "is late. The alliance has been told" in page
    assert "Your data was deleted." in page
    assert "It got your data from Crane Airlines, and is told, too." in page


async def test_what_happened_names_fields_and_recipients(someone: Visitor) -> None:
    await someone.come()
    page = (await someone.get("/my/history")).text
    for said in ("Crane Airlines", "Name", "0199-event", "/my/receipts/receipt-1"):
        assert said in page
    receipt = await someone.get("/my/receipts/receipt-1")
    assert (receipt.text, receipt.headers["content-type"]) == ("e30.e30.c2ln", "application/jose")
    assert (await someone.get("/my/receipts/other")).status_code == 404


@pytest.mark.parametrize(
    ("language", "why", "made_from", "generic"),
    [
        ("en", "You like to rest", "Made from: Budget", "made from nothing about you"),
        ("zh", "您喜欢休养", "依据的信息：预算", "未使用您的信息"),
    ],
)
async def test_suggestions_are_shown_with_who_made_them_why_and_from_what(
    language: str, why: str, made_from: str, generic: str
) -> None:
    async with visiting(FakeDesk(), language=language) as someone:
        await someone.come()
        page = (await someone.get("/my/suggestions")).text
        for said in (why, made_from, generic, "Spa 温泉"):
            assert said in page, said


async def test_suggestions_are_switched_off_and_on_for_one_company_in_one_step(
    someone: Visitor, desk: FakeDesk
) -> None:
    await someone.come()
    await someone.get("/my/suggestions")
    assert "Switched off." in (await someone.press("/my/suggestions", company="bank", to="off")).text
    assert desk.switched == {"bank": True, "air": True}
    assert "Switched on." in (await someone.press("/my/suggestions", company="air", to="on")).text
    assert desk.switched == {"bank": True, "air": False}


@pytest.mark.parametrize(("company", "to", "status"), [("bank", "", 400), ("nobody", "off", 404)])
async def test_a_switch_that_the_page_does_not_have_is_none(
    someone: Visitor, desk: FakeDesk, company: str, to: str, status: int
) -> None:
    await someone.come()
    await someone.get("/my/suggestions")
    assert (await someone.press("/my/suggestions", company=company, to=to)).status_code == status
    assert desk.switched == {"bank": False, "air": True}


async def test_a_copy_is_a_file_for_machines_and_one_for_people(someone: Visitor) -> None:
    await someone.come()
    copy = await someone.get("/my/record.json")
    assert copy.headers["content-disposition"] == 'attachment; filename="my-consents.json"'
    assert json.loads(copy.content) == {"receipts": ["e30.e30.c2ln"]}
    paper = await someone.get("/my/record.pdf")
    assert paper.content.startswith(b"%PDF-")
    assert paper.headers["content-type"] == "application/pdf"


@pytest.mark.parametrize("kind", ["correction", "complaint"])
async def test_a_request_and_a_complaint_get_a_number_and_no_echo(someone: Visitor, desk: FakeDesk, kind: str) -> None:
    await someone.come()
    await someone.get("/my/rights")
    answer = await someone.press("/my/ask", kind=kind, company="air", text="我的电话\r\n写错了")
    assert "K7-0001" in answer.text
    assert "写错了" not in answer.text
    assert desk.told == [Wish(kind, "air", "我的电话\n写错了")]
    assert "To be answered by 6 October 2026" in answer.text


@pytest.mark.parametrize(
    "over", [{"text": "x" * 2001}, {"text": " "}, {"kind": "revenge"}, {"company": "nobody"}, {"company": ""}], ids=str
)
async def test_a_request_that_the_page_does_not_have_is_none(
    someone: Visitor, desk: FakeDesk, over: dict[str, str]
) -> None:
    await someone.come()
    await someone.get("/my/rights")
    answer = await someone.press("/my/ask", **{"kind": "correction", "company": "air", "text": "x", **over})
    assert answer.status_code == 400
    assert desk.told == []


async def test_the_answer_to_a_request_for_a_copy_is_a_file(someone: Visitor) -> None:
    await someone.come()
    page = (await someone.get("/my/rights")).text
    assert page.count('action="/my/export"') == 1
    answer = await someone.press("/my/export", request="answered")
    assert (answer.content, answer.headers["content-type"]) == (b"PK", "application/zip")
    await someone.get("/my/rights")
    assert (await someone.press("/my/export", request="other")).status_code == 404


async def test_rights_name_the_officers_and_the_authority(someone: Visitor) -> None:
    await someone.come()
    page = (await someone.get("/my/rights")).text
    assert "privacy@bank.example" in page
    assert "Cyberspace Administration of China" in page


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "you cannot open this page for that company afterwards"), ("zh", "此后您无法再为该企业打开本页")],
)
async def test_whoever_can_ask_for_a_deletion_reads_that_it_ends_the_way_to_this_page(language: str, said: str) -> None:
    async with visiting(FakeDesk(kind=Kind.SELF_SERVICE), language=language) as someone:
        await someone.come()
        assert said in (await someone.get("/my/rights")).text


@pytest.mark.parametrize(
    ("language", "button", "tag"),
    [("en", "Take the request back", "taken back"), ("zh", "撤回请求", "已撤回请求")],
)
async def test_a_request_is_taken_back_with_a_button_of_its_own(language: str, button: str, tag: str) -> None:
    async with visiting(FakeDesk(kind=Kind.SELF_SERVICE), language=language) as someone:
        await someone.come()
        await someone.get("/my/rights")
        page = (await someone.press("/my/ask", kind="deletion", company="air", text="x")).text
        assert f">{button}</button>" in page
        assert page.count('action="/my/retract"') == 1
        assert (await someone.post("/my/retract", {"request": "0"})).status_code == 403
        page = (await someone.press("/my/retract", request="0")).text
        assert f'<span class="tag">{tag}</span>' in page
        assert 'action="/my/retract"' not in page
        assert 'class="done"' in page
        assert (await someone.press("/my/retract", request="other")).status_code == 404


async def test_a_guardian_is_told_whom_they_answer_for() -> None:
    async with visiting(FakeDesk(kind=Kind.GUARDIAN)) as someone:
        assert "parent or guardian of a child under 14" in (await someone.come()).text


async def test_leaving_ends_the_visit_on_the_server(someone: Visitor, desk: FakeDesk) -> None:
    await someone.come()
    kept = someone.http.cookies.get("visit")
    await someone.press("/my/leave")
    assert desk.visits == {}
    someone.http.cookies.set("visit", str(kept))
    assert (await someone.get("/my/overview")).status_code == 401


async def test_dates_are_read_as_each_language_writes_them() -> None:
    for language, written in (
        ("en", "21 September 2026, 22:13 (Beijing time)"),
        ("zh", "2026年9月21日 22:13（北京时间）"),
    ):
        async with visiting(FakeDesk(), language=language) as someone:
            await someone.come()
            page = (await someone.get("/my/overview")).text
            assert written in page
            assert f'lang="{"zh-Hans" if language == "zh" else "en"}"' in page


async def test_the_chosen_language_stays_and_leads_back(someone: Visitor) -> None:
    await someone.come()
    await someone.get("/my/history")
    page = (await someone.press("/my/language", language="zh", back="/my/history")).text
    assert "信息使用记录" in page
    elsewhere = await someone.post("/my/language", {"language": "en", "back": "//evil.example/my"})
    assert elsewhere.headers["location"] == "/my"


def _used() -> set[str]:
    texts = [path.read_text() for path in (*_FOLDER.glob("*.py"), *(_FOLDER / "templates").glob("*.html"))]
    found = (re.findall(r"""\bt\(["'](\w+)["'][,)]|"((?:refused|code|choose)_\w+)\"""", text) for text in texts)
    return {word for text in found for groups in text for word in groups} - {""}


def test_both_languages_say_everything_with_the_same_places() -> None:
    for key, (english, chinese) in WORDS.items():
        assert english.strip(), key
        assert re.search(r"[\u4e00-\u9fff]", chinese), key
        if key != "when":
            assert sorted(re.findall(r"{\w+}", english)) == sorted(re.findall(r"{\w+}", chinese)), key
    assert len(LANGUAGES) == 2
    assert RECORD_WORDS.keys() <= WORDS.keys()


def test_every_text_that_is_used_exists_and_every_one_that_exists_is_used() -> None:
    used = _used()
    assert len(used) > 60
    assert used - WORDS.keys() == set()
    said = {"ask_label", "ask_send", "complain_label", "complain_send", "when", "title"}
    assert {key for key in WORDS if not key.startswith(_FAMILIES)} - used - said == set()


def test_an_unknown_text_is_an_error() -> None:
    with pytest.raises(KeyError):
        say("en", "nothing")


def test_the_code_of_the_tests_is_none_that_a_page_shows() -> None:
    assert all(CODE not in text for texts in WORDS.values() for text in texts)


@pytest.mark.parametrize(
    ("language", "line"), [("en", "Ways: Text message, E-mail"), ("zh", "联系方式：短信、电子邮件")]
)
async def test_on_paper_a_permission_to_be_contacted_names_its_ways(desk: FakeDesk, language: str, line: str) -> None:
    contact = replace(desk.holdings[0], kind="contact", fields=(), channels=("sms", "email"))
    record = Record((contact,), (), (), (), 0)
    (_, given), *_ = _sections(record, language)
    assert line in given
    assert not [one for one in given if one.endswith((": ", "："))]
