"""Attacks on customers' visits: forged forms, stolen and planted cookies, scanners, framing, leaks, redirection."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator

import pytest

from gateway.errors import GatewayError, Unavailable
from tests.console.customer.desk import CODE, CONTACT, LINK, NOTICE, FakeDesk
from tests.console.customer.visitor import Visitor, visiting

_ORIGIN = "https://gateway.example"
_OWN = ("overview", "question", "history", "rights", "record.json", "record.pdf", "receipts/receipt-1")
_GIVE = {"item": "disclosure-1", "notice": NOTICE.sha256, "answer": "give"}
_ACTS = {
    "question": _GIVE, "withdraw": {"item": "old-1"}, "withdraw-all": {}, "leave": {},
    "ask": {"kind": "correction", "company": "air", "text": "x"},
}  # fmt: skip
_OTHER_SITES = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none"},
    {"sec-fetch-site": "", "origin": "https://evil.example"},
    {"sec-fetch-site": "", "origin": "null"},
    {"sec-fetch-site": "cross-site", "origin": "null"},
    {"sec-fetch-site": "", "origin": ""},
    {"sec-fetch-site": "same-origin", "origin": "https://evil.example"},
]


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
async def someone(desk: FakeDesk) -> AsyncIterator[Visitor]:
    async with visiting(desk, _ORIGIN) as made:
        yield made


def _form_token(page: str) -> str:
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', page)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("path", _OWN)
async def test_nothing_is_served_without_a_visit(someone: Visitor, path: str) -> None:
    answer = await someone.get(f"/my/{path}")
    assert answer.status_code == 401
    assert "visit is over, or has not begun" in answer.text


@pytest.mark.parametrize("path", _OWN)
async def test_nothing_is_served_before_the_code(someone: Visitor, path: str) -> None:
    """Whoever reads the message with the link, as a scanner does, has not the code."""
    await someone.get(f"/my/link/{LINK}")
    await someone.press("/my/code", link=LINK)
    assert (await someone.get(f"/my/{path}")).status_code == 401


@pytest.mark.parametrize("site", _OTHER_SITES, ids=str)
async def test_a_form_from_another_site_does_nothing(someone: Visitor, desk: FakeDesk, site: dict[str, str]) -> None:
    token = _form_token((await someone.come()).text)
    before = (list(desk.decisions), list(desk.holdings), list(desk.told), len(desk.visits))
    for act, fields in _ACTS.items():
        answer = await someone.post(f"/my/{act}", {"form_token": token, **fields}, **site)
        assert answer.status_code == 403, act
    assert (desk.decisions, desk.holdings, desk.told, len(desk.visits)) == before


@pytest.mark.parametrize("token", ["", "0" * 64, "not it", "é"])
async def test_a_form_without_this_visits_token_does_nothing(someone: Visitor, desk: FakeDesk, token: str) -> None:
    await someone.come()
    for act, fields in _ACTS.items():
        answer = await someone.post(f"/my/{act}", {"form_token": token, **fields})
        assert answer.status_code == 403, act
    assert (desk.decisions, desk.told, len(desk.visits)) == ([], [], 1)
    assert all(one.state == "given" for one in desk.holdings)


async def test_the_token_of_another_visit_does_nothing(desk: FakeDesk) -> None:
    async with visiting(desk, _ORIGIN) as mine, visiting(desk, _ORIGIN) as theirs:
        token = _form_token((await theirs.come()).text)
        await mine.come()
        assert (await mine.post("/my/withdraw-all", {"form_token": token})).status_code == 403


@pytest.mark.parametrize("site", _OTHER_SITES, ids=str)
async def test_another_site_sends_nobody_a_link_or_a_code(
    someone: Visitor, desk: FakeDesk, site: dict[str, str]
) -> None:
    for path, form in (("/my", {"contact": CONTACT}), ("/my/code", {"link": LINK}), ("/my/confirm", {"code": CODE})):
        assert (await someone.post(path, form, **site)).status_code in (401, 403)
    assert (desk.asked, desk.waiting, desk.visits) == ([], {}, {})


async def test_the_page_of_the_link_hides_where_it_was_and_its_form_still_counts_as_ours(someone: Visitor) -> None:
    """A page that tells nobody its address sends the origin `null`; Fetch Metadata says that the form is ours."""
    answer = await someone.get(f"/my/link/{LINK}")
    assert answer.headers["referrer-policy"] == "no-referrer"
    taken = await someone.post("/my/code", {"link": LINK}, origin="null")
    assert taken.status_code == 303


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_scanner_that_follows_every_address_decides_and_uses_up_nothing(
    someone: Visitor, desk: FakeDesk, method: str
) -> None:
    for path in (f"link/{LINK}", "code", "confirm", "question", "withdraw", "withdraw-all", "leave", "ask"):
        await someone.http.request(method, f"/my/{path}")
    assert (desk.waiting, desk.visits, desk.decisions, desk.told) == ({}, {}, [], [])
    assert (await someone.come()).status_code == 200


async def test_every_answer_is_fenced_in_and_kept_by_nobody(someone: Visitor) -> None:
    answers = [
        await someone.get(path) for path in ("/my", "/my/sent", f"/my/link/{LINK}", "/my/link/unknown", "/my/nothing")
    ]
    answers.append(await someone.come())
    answers += [await someone.get(f"/my/{path}") for path in _OWN]
    answers.append(await someone.post("/my/withdraw", {}))
    assert len(answers) == 14
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-robots-tag"] == "noindex, nofollow"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] in ("no-referrer", "same-origin")
        assert answer.headers["strict-transport-security"].startswith("max-age=")
        assert "<script" not in answer.text


async def test_the_visits_cookie_is_out_of_reach_of_scripts_neighbours_and_other_sites(someone: Visitor) -> None:
    answer = await someone.post("/my/code", {"link": LINK})
    (cookie,) = answer.headers.get_list("set-cookie")
    name, _, rest = cookie.partition("=")
    assert name == "__Host-visit"
    assert rest.partition("; ")[2].split("; ") == ["Path=/", "HttpOnly", "SameSite=Strict", "Secure"]


async def test_a_planted_cookie_opens_nothing(someone: Visitor, desk: FakeDesk) -> None:
    someone.http.cookies.set("__Host-visit", "planted" * 6)
    assert (await someone.get("/my/overview")).status_code == 401
    await someone.come()
    assert "planted" * 6 not in desk.visits


async def test_a_guesser_of_codes_is_slowed_down_by_where_they_are(someone: Visitor) -> None:
    await someone.get(f"/my/link/{LINK}")
    await someone.press("/my/code", link=LINK)
    answers = [await someone.press("/my/confirm", code=f"{guess:06}") for guess in range(40)]
    assert answers[0].status_code == 400
    assert 429 in {answer.status_code for answer in answers}
    assert 400 not in {answer.status_code for answer in answers[30:]}


async def test_a_consent_of_somebody_else_is_not_there(someone: Visitor, desk: FakeDesk) -> None:
    token = _form_token((await someone.come()).text)
    answer = await someone.post("/my/withdraw", {"form_token": token, "item": "somebody-elses"})
    assert answer.status_code == 404
    answer = await someone.post("/my/question", {"form_token": token, **_GIVE, "item": "somebody-elses"})
    assert answer.status_code == 404


async def test_an_answer_under_another_notice_than_the_one_shown_decides_nothing(
    someone: Visitor, desk: FakeDesk
) -> None:
    token = _form_token((await someone.come()).text)
    answer = await someone.post("/my/question", {"form_token": token, **_GIVE, "notice": "0" * 64})
    assert answer.status_code == 409
    assert "Something has changed meanwhile" in answer.text
    assert desk.decisions == []


@pytest.mark.parametrize("back", ["//evil.example", "https://evil.example/my", "/my/../console", "/myx", "/my\n"])
async def test_the_language_leads_nowhere_else(someone: Visitor, back: str) -> None:
    answer = await someone.post("/my/language", {"language": "zh", "back": back})
    assert answer.headers["location"] == "/my"


async def test_under_another_name_only_the_way_to_ours_is_served(someone: Visitor) -> None:
    answer = await someone.get(f"/my/link/{LINK}", host="evil.example")
    assert (answer.status_code, answer.headers["location"]) == (307, f"{_ORIGIN}/my/link/{LINK}")


async def test_neither_number_link_code_nor_words_are_echoed_or_logged(
    someone: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "一直有人打电话给我"
    seen = [await someone.press("/my", contact=CONTACT), await someone.press("/my", contact=f"{CONTACT}x")]
    seen += [await someone.come(), await someone.press("/my/ask", kind="complaint", company="air", text=secret)]
    for answer in seen:
        for told in (CONTACT, LINK, CODE, secret):
            assert told not in answer.text
            assert told not in str(answer.url)
    ours = [one.getMessage() for one in caplog.records if not one.name.startswith(("httpx", "httpcore"))]
    assert [line for line in ours if any(told in line for told in (CONTACT, LINK, CODE, secret))] == []


@pytest.mark.parametrize("said", ["given", "<script>", "nothing", "%0d%0a"])
async def test_an_address_makes_the_page_say_nothing_but_its_own_sentences(someone: Visitor, said: str) -> None:
    await someone.come()
    answer = await someone.get(f"/my/overview?done={said}")
    page = answer.text
    assert answer.status_code == 200
    assert ("Your yes is recorded" in page) == (said == "given")
    assert "<script>" not in page


async def test_names_that_look_like_markup_are_text(desk: FakeDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.console.customer import desk as made

    monkeypatch.setitem(made._TEXTS["en"], "hotel", "<img src=x onerror=alert(1)>")
    async with visiting(desk, _ORIGIN) as someone:
        pages = [(await someone.come()).text, (await someone.get("/my/overview")).text]
        for page in pages:
            assert "<img src=x" not in page
            assert "&lt;img src=x" in page
        assert (await someone.get("/my/record.pdf")).status_code == 200


async def test_when_nothing_can_answer_the_page_says_so_and_why_not(
    someone: Visitor, desk: FakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await someone.come()

    async def down(*_: object) -> None:
        error: GatewayError = Unavailable("ledger_busy", "The ledger cannot answer.")
        raise error

    monkeypatch.setattr(FakeDesk, "withdraw_all", down)
    answer = await someone.press("/my/withdraw-all")
    assert answer.status_code == 503
    assert "Nothing was lost" in answer.text
    assert "ledger_busy" in answer.text


async def test_an_answer_that_names_no_text_decides_nothing(someone: Visitor, desk: FakeDesk) -> None:
    token = _form_token((await someone.come()).text)
    blind = {name: value for name, value in _GIVE.items() if name != "notice"}
    for form in (blind, {**blind, "notice": ""}):
        assert (await someone.post("/my/question", {"form_token": token, **form})).status_code == 400
    assert desk.decisions == []


async def test_the_enter_key_gives_nothing_by_accident(someone: Visitor, desk: FakeDesk) -> None:
    """Enter in a box presses its form's first button (HTML, implicit submission), and that one has no answer."""
    page = (await someone.come()).text
    forms = re.findall(r'<form method="post" action="/my/question".*?</form>', page, re.DOTALL)
    assert len(forms) == 2
    assert [re.findall(r"<button[^>]*>", form)[0] for form in forms] == ["<button hidden>"] * 2
    unanswered = {name: value for name, value in _GIVE.items() if name != "answer"}
    answer = await someone.post("/my/question", {"form_token": _form_token(page), **unanswered})
    assert answer.status_code == 400
    assert "Nothing has been decided yet" in answer.text
    assert desk.decisions == []
