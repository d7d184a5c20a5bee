"""Attacks on operators' sessions and forms: fixation, theft, forged requests, framing, redirection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest
from fastapi import Request, Response

from gateway.console.answers import set_session, set_ticket
from gateway.console.sent import Sent
from gateway.identity.operators.roles import Role
from gateway.identity.operators.sessions import IDLE_MS, LONGEST_MS
from gateway.identity.operators.site import Site
from gateway.identity.proxy import TrustedProxy
from tests.console.visitor import Visitor
from tests.console.world import quiet_console
from tests.databases import database_on
from tests.services.postgresql import PostgreSQL
from tests.services.valkey import Valkey


async def test_a_session_planted_before_sign_in_is_not_the_session_after(visitor: Visitor) -> None:
    """Session fixation (ASVS 5.0, 7.2.4)."""
    visitor.http.cookies.set("session", "planted" * 6, domain="localhost.local")
    await visitor.join("Ann")
    first = visitor.http.cookies.get("session", domain="localhost.local")
    assert first != "planted" * 6
    visitor.http.cookies.clear()
    visitor.http.cookies.set("session", "planted" * 6)
    assert (await visitor.get()).headers["location"] == "/console/sign-in"


async def test_every_sign_in_makes_a_new_session_and_ends_the_browsers_former(visitor: Visitor, other: Visitor) -> None:
    await visitor.join("Ann")
    first = visitor.http.cookies["session"]
    await visitor.sign_in()
    assert visitor.http.cookies["session"] != first
    other.http.cookies.set("session", first)
    assert (await other.get()).status_code == 303
    assert (await visitor.get()).status_code == 200


async def test_a_stolen_cookie_is_worthless_after_sign_out(visitor: Visitor) -> None:
    await visitor.join("Ann")
    stolen = visitor.http.cookies["session"]
    await visitor.post("/sign-out", {"form_token": await visitor.form_token()})
    visitor.http.cookies.set("session", stolen, domain="localhost.local")
    assert (await visitor.get()).status_code == 303


async def test_signing_out_everywhere_ends_a_thiefs_session(visitor: Visitor, other: Visitor) -> None:
    await visitor.join("Ann")
    other.passkey = visitor.passkey
    await other.sign_in()
    assert (await other.get()).status_code == 200
    await visitor.post("/sign-out-everywhere", {"form_token": await visitor.form_token()})
    assert (await other.get()).status_code == 303
    ended = (await visitor.console.log())[-1]
    assert (ended["act"], ended["sessions"]) == ("operator_sessions_ended", 2)


@pytest.mark.parametrize(("step", "steps"), [(IDLE_MS, 1), (IDLE_MS - 60_000, LONGEST_MS // (IDLE_MS - 60_000) + 1)])
async def test_a_session_ends_by_itself(visitor: Visitor, step: int, steps: int) -> None:
    """After 15 idle minutes, and after 8 hours however busy."""
    await visitor.join("Ann")
    for _ in range(steps - 1):
        visitor.console.clock.ahead_ms += step
        assert (await visitor.get()).status_code == 200
    visitor.console.clock.ahead_ms += step
    assert (await visitor.get()).status_code == 303


async def test_a_busy_session_outlives_the_idle_time(visitor: Visitor) -> None:
    await visitor.join("Ann")
    for _ in range(3):
        visitor.console.clock.ahead_ms += IDLE_MS - 60_000
        assert (await visitor.get()).status_code == 200


async def test_nothing_in_the_database_is_a_cookie(visitor: Visitor) -> None:
    """Whoever reads the database cannot sign in with what stands there."""
    await visitor.join("Ann")
    cookie = visitor.http.cookies["session"]
    data = visitor.console.gateway.settings.data_dir
    assert any(file.stat().st_size for file in data.glob("gateway.db*"))
    assert not any(cookie.encode() in file.read_bytes() for file in data.glob("gateway.db*"))


async def test_a_page_of_another_site_uses_no_attempts_of_its_visitor_up(visitor: Visitor) -> None:
    """Any page can have a picture that is fetched from the callback; an office shares its address."""
    await visitor.join("Ann")
    for _ in range(31):
        await visitor.get(
            "/oidc/callback?state=x&code=y", **{"sec-fetch-site": "cross-site", "sec-fetch-dest": "image"}
        )
    assert (await visitor.sign_in()).status_code == 303


FORGED = [
    {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
    {"sec-fetch-site": "same-site", "origin": "http://localhost:1"},
    {"sec-fetch-site": "none"},
    {"sec-fetch-site": "", "origin": "https://evil.example"},
    {"sec-fetch-site": "", "origin": "null"},
    {"sec-fetch-site": "", "origin": ""},
    {"sec-fetch-site": "same-origin", "origin": "https://evil.example"},
]


@pytest.mark.parametrize("headers", FORGED)
@pytest.mark.parametrize("path", ["/sign-out", "/sign-in/options", "/sign-in", "/enrol/options", "/language"])
async def test_a_form_from_another_site_does_nothing(visitor: Visitor, path: str, headers: dict[str, str]) -> None:
    """CSRF, and login CSRF: nobody is signed in or out from elsewhere."""
    await visitor.join("Ann")
    token = await visitor.form_token()
    refused = await visitor.post(path, {"form_token": token}, **headers)
    assert refused.status_code == 403
    assert "CROSS_SITE" in refused.text
    assert (await visitor.get()).status_code == 200


@pytest.mark.parametrize("token", ["", "0" * 64, "é"])
async def test_a_form_without_the_sessions_token_does_nothing(visitor: Visitor, token: str) -> None:
    await visitor.join("Ann")
    refused = await visitor.post("/sign-out", {"form_token": token})
    assert (refused.status_code, "FORM_TOKEN" in refused.text) == (403, True)
    assert (await visitor.get()).status_code == 200


async def test_a_form_token_of_another_session_does_nothing(visitor: Visitor, other: Visitor) -> None:
    await visitor.join("Ann")
    await other.join("Mallory")
    refused = await visitor.post("/sign-out", {"form_token": await other.form_token()})
    assert refused.status_code == 403


async def test_no_page_can_be_framed_cached_or_made_to_load_something(visitor: Visitor) -> None:
    """Clickjacking, and script injection's usual ends."""
    await visitor.join("Ann")
    for path in ("", "/sign-in", "/enrol", "/operators", "/nothing", "/static/console.js"):
        headers = (await visitor.get(path)).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        if "static" not in path:
            assert headers["cache-control"] == "no-store"


async def test_names_are_text_and_never_markup(visitor: Visitor) -> None:
    await visitor.join("<img src=x onerror=alert(1)>\"'")
    page = (await visitor.get()).text
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


@pytest.mark.parametrize(
    ("peer", "secret", "address"),
    [
        ("127.0.0.1", b"s" * 32, "192.0.2.9"),
        ("127.0.0.1", b"guess", "127.0.0.1"),
        ("192.0.2.1", b"s" * 32, "192.0.2.1"),
    ],
)
def test_only_our_own_proxy_says_where_a_browser_is(peer: str, secret: bytes, address: str) -> None:
    """Else whoever reaches the port past the proxy counts as a new address with every attempt."""
    headers = [(b"x-forwarded-for", b"192.0.2.9"), (b"gateway-proxy", secret)]
    request = Request({"type": "http", "headers": headers, "client": (peer, 1)})
    proxy = TrustedProxy([ip_network("127.0.0.1")], b"s" * 32)
    assert Sent(request, proxy, Site.of("https://gateway.example")).address == address


async def test_attempts_past_the_proxy_count_for_where_they_come_from(tmp_path: Path) -> None:
    secret = tmp_path / "proxy"
    secret.touch(0o600)
    secret.write_text("s" * 32)
    over = {"issuer": "https://gateway.example", "tls_terminated": True, "proxy_addresses": "192.0.2.1"}
    async with quiet_console(tmp_path, proxy_secret_file=secret, **over) as (console, app):
        console.origin = "https://gateway.example"
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("192.0.2.7", 1))
        async with httpx.AsyncClient(transport=transport, base_url=console.origin) as http:
            visitor = Visitor(console, http)
            answers = [
                await visitor.post("/sign-in/options", None, **{"x-forwarded-for": f"198.51.100.{number}"})
                for number in range(31)
            ]
    assert [answer.status_code for answer in answers] == [200] * 30 + [429]


@pytest.mark.parametrize(
    "back",
    ["https://evil.example", "//evil.example", "/console/../evil", "/console\\evil", "javascript:alert(1)",
     "/console/a/b/c/d", "/consoles", "/console?x=//evil.example", "/console/\r\nSet-Cookie: a=b"],
)  # fmt: skip
async def test_no_redirect_leads_elsewhere(visitor: Visitor, back: str) -> None:
    """Open redirect."""
    answer = await visitor.post("/language", {"language": "zh", "back": back})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")


async def test_the_console_answers_under_its_own_name_alone(visitor: Visitor) -> None:
    """DNS rebinding: a name that somebody pointed at us gets the address of the real console and nothing else."""
    await visitor.join("Ann")
    for host in ("evil.example", f"127.0.0.1:{visitor.console.gateway.settings.port}", ""):
        answer = await visitor.get(host=host)
        assert (answer.status_code, answer.text) == (307, "")
        assert answer.headers["location"] == f"{visitor.console.origin}/console"
    posted = await visitor.post("/sign-in/options", host="evil.example")
    assert posted.status_code == 307


async def test_operators_of_another_alliance_do_not_exist(visitor: Visitor, other: Visitor) -> None:
    await visitor.join("Ann")
    elsewhere = await visitor.console.gateway.members.create_alliance("Another", operator="host")
    await other.join("Eve", Role.ADMIN, elsewhere)
    victim = visitor.console.operators["Ann"]
    assert "Ann" not in (await other.get("/operators")).text
    token = await other.form_token()
    for path in (f"/operators/{victim}/code", f"/operators/{victim}/disable", f"/operators/{victim}/role"):
        answers = [
            await other.post(f"{where}{end}", {"form_token": token, "role": "officer"}, accept="application/json")
            for where in (path, path.replace(victim, "0" * 32))
            for end in ("", "/options")
        ]
        assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, "not_found")}


@pytest.mark.parametrize("role", [Role.OFFICER, Role.SECRETARIAT])
async def test_a_role_cannot_do_what_it_does_not_have(visitor: Visitor, other: Visitor, role: Role) -> None:
    await visitor.join("Ann")
    await other.join("Bob", role)
    victim = visitor.console.operators["Ann"]
    refused = await other.post(f"/operators/{victim}/disable", {"form_token": await other.form_token()})
    assert (refused.status_code, "ROLE_LACKS_PERMISSION" in refused.text) == (403, True)
    assert (await visitor.get()).status_code == 200
    assert "ROLE_LACKS_PERMISSION" in await visitor.console.reasons()


async def test_nobody_disables_or_promotes_themselves(visitor: Visitor) -> None:
    await visitor.join("Ann", Role.ADMIN)
    me = visitor.console.operators["Ann"]
    for end in ("code", "disable", "role"):
        token = await visitor.form_token()
        refused = await visitor.post(f"/operators/{me}/{end}", {"form_token": token, "role": "officer"})
        assert refused.status_code == 409


@pytest.mark.parametrize(("ending", "status"), [("role", 403), ("session", 401)])
async def test_a_form_that_comes_slowly_is_of_whom_its_sender_is_at_its_end(
    visitor: Visitor, ending: str, status: int
) -> None:
    await visitor.join("Ann")
    await visitor.console.add("Ben")
    operators, ann, ben = visitor.console.gateway.operators, *map(visitor.console.operators.__getitem__, ("Ann", "Ben"))
    form = f"form_token={await visitor.form_token()}".encode()

    async def slowly() -> AsyncIterator[bytes]:
        yield form[:20]
        if ending == "role":
            await operators.change_role(ann, Role.OFFICER, by="host")
        else:
            await operators.disable(ann, by="host")
        yield form[20:]

    headers = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
    answer = await visitor.http.post(f"/console/operators/{ben}/disable/options", content=slowly(), headers=headers)
    assert answer.status_code == status


async def test_a_lost_role_is_lost_at_the_next_request(visitor: Visitor) -> None:
    await visitor.join("Ann")
    assert (await visitor.get("/operators")).status_code == 200
    await visitor.console.gateway.operators.change_role(visitor.console.operators["Ann"], Role.SECRETARIAT, by="host")
    assert (await visitor.get("/operators")).status_code == 403


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"a=1&a=2", "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
        (b"a=%zz", "application/x-www-form-urlencoded"),
        (b"a=%ff", "application/x-www-form-urlencoded"),
        (b"code=%00", "application/x-www-form-urlencoded"),
        (b"a=" + b"x" * 40_000, "application/x-www-form-urlencoded"),
        (b"\xff\xfe", "multipart/form-data; boundary=x"),
    ],
)
async def test_malformed_forms_are_bad_requests(visitor: Visitor, content: bytes, kind: str) -> None:
    headers = {"content-type": kind, "sec-fetch-site": "same-origin"}
    for path in ("/sign-in/options", "/sign-in", "/enrol/options", "/enrol", "/language"):
        answer = await visitor.http.post(f"/console{path}", content=content, headers=headers)
        assert answer.status_code == 400, path


_NOWHERE = ("/proposals/%00", "/static/%00", "/%00")
_NOBODY = ("/operators/%00/code", "/operators/%00/disable/options", "/proposals/%00/withdraw", "/passkeys/%00/revoke")


async def test_a_path_that_names_nothing_is_not_found_in_any_database(
    tmp_path: Path, postgresql: PostgreSQL, valkey: Valkey
) -> None:
    """PostgreSQL takes no U+0000, not even to look for it."""
    with database_on(postgresql) as url:
        async with (
            quiet_console(tmp_path, database_url=url, valkey_url=valkey.url) as (console, app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=console.origin) as http,
        ):
            visitor = Visitor(console, http)
            assert (await visitor.post("/enrol/options", {"code": "\0"})).status_code == 400
            await visitor.join("ann")
            form = {"form_token": await visitor.form_token()}
            answers = [*[await visitor.get(path) for path in _NOWHERE],
                       *[await visitor.post(path, form) for path in _NOBODY]]  # fmt: skip
            assert {answer.status_code for answer in answers} == {404}


async def test_a_cookie_of_any_kind_is_no_error(visitor: Visitor) -> None:
    for value in ("x" * 5000, "%00", '"quoted"', "a=b", "\xe9"):
        answer = await visitor.http.get(
            "/console", headers={b"cookie": f"session={value}; ceremony={value}".encode("latin-1")}
        )
        assert answer.status_code == 303


def test_the_hosts_cookie_prefix_is_used_over_https() -> None:
    response = Response()
    site = Site.of("https://gateway.example")
    set_session(response, "value", site)
    set_ticket(response, "value", site, returns=True)
    session, ticket = response.headers.getlist("set-cookie")
    assert session == "__Host-session=value; Path=/; HttpOnly; SameSite=Strict; Secure"
    assert ticket == "__Host-ceremony=value; Path=/; HttpOnly; SameSite=Lax; Max-Age=300; Secure"
