"""Sign-in at a real OpenID provider (npm `oidc-provider`), in a real Chromium."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from gateway.identity.operators.roles import Role
from gateway.identity.security_log import by_code
from tests.console.world import Console, console
from tests.services import free_port
from tests.services.chromium import Person
from tests.services.company import CLIENT_ID, CompanyProvider
from tests.services.or_skip import or_skip

OIDC = {"oidc_client_id": CLIENT_ID, "oidc_acr": "phr", "oidc_amr": "hwk"}


@dataclass(slots=True)
class Company:
    """A console and the provider that its operators sign in at."""

    console: Console
    provider: CompanyProvider

    async def employ(self, name: str, sub: str, role: Role = Role.ADMIN) -> None:
        """An operator with a linked account."""
        await self.console.add(name, role)
        await self.console.gateway.operators.link(
            self.console.operators[name], issuer=self.provider.issuer, subject=sub, by="host"
        )

    async def sign_in(self, person: Person) -> None:
        """Press the button and be taken along."""
        await person.page.goto(f"{self.console.origin}/console/sign-in")
        await person.page.click("form[action='/console/oidc/sign-in'] button")


@pytest.fixture
async def company(tmp_path: Path) -> AsyncIterator[Company]:
    """The gateway signs with its own key (private_key_jwt); the provider signs with ES256."""
    port = free_port()
    provider = or_skip(CompanyProvider)
    settings = {"oidc_issuer": provider.issuer, "oidc_algorithm": "ES256", **OIDC}
    async with console(tmp_path, port=port, **settings) as running:
        assert running.gateway.provider is not None
        assert running.gateway.provider.key is not None
        key = running.gateway.provider.key
        provider.register(
            redirect_uris=[f"{running.origin}/console/oidc/callback"],
            token_endpoint_auth_method="private_key_jwt",
            token_endpoint_auth_signing_alg="EdDSA",
            id_token_signed_response_alg="ES256",
            backchannel_logout_uri=f"{running.origin}/console/oidc/logout",
            jwks={"keys": [{**key.public().jwk, "kid": key.kid, "use": "sig", "alg": "EdDSA"}]},
        )
        await asyncio.to_thread(provider.__enter__)
        try:
            yield Company(running, provider)
        finally:
            await asyncio.to_thread(provider.__exit__, None, None, None)


async def test_a_linked_account_signs_in(company: Company, someone: Person) -> None:
    await company.employ("Ann", "ann@company")
    company.provider.authenticate("ann@company")
    await company.sign_in(someone)
    await someone.page.wait_for_selector("h1:has-text('Ann')")
    entry = (await company.console.log())[-1]
    assert (entry["act"], entry["method"], entry["account"]) == ("operator_signed_in", "oidc", "ann@company")
    assert entry["issuer"] == company.provider.issuer
    cookies = {cookie["name"]: cookie for cookie in await someone.context.cookies(company.console.origin)}
    assert cookies["session"]["sameSite"] == "Strict"
    assert "ceremony" not in cookies


async def _refused(company: Company, person: Person) -> None:
    await person.page.wait_for_selector("text=Sign-in did not work")
    assert "session" not in {cookie["name"] for cookie in await person.context.cookies() if cookie["value"]}


async def test_nobody_is_provisioned_by_signing_in(company: Company, someone: Person) -> None:
    company.provider.authenticate("stranger@company")
    await company.sign_in(someone)
    await _refused(company, someone)
    assert await company.console.acts() == []
    assert by_code(company.console.gateway.identity.log.attempts)["SUBJECT_UNLINKED"] == 1


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"acr": "pwd"}, "PROVIDER_ACR"),
        ({"amr": ["pwd"]}, "PROVIDER_AMR"),
        ({"amr": []}, "PROVIDER_AMR"),
    ],
)
async def test_a_weak_authentication_is_refused_and_on_record(
    company: Company, someone: Person, how: dict[str, object], code: str
) -> None:
    await company.employ("Ann", "ann")
    company.provider.authenticate("ann", **how)  # type: ignore[arg-type]
    await company.sign_in(someone)
    await _refused(company, someone)
    assert (await company.console.reasons()) == [code]


async def test_a_disabled_operator_is_refused_with_an_account_that_still_works(
    company: Company, someone: Person
) -> None:
    await company.employ("Ann", "ann")
    await company.console.gateway.operators.disable(company.console.operators["Ann"], by="host")
    company.provider.authenticate("ann")
    await company.sign_in(someone)
    await _refused(company, someone)
    assert (await company.console.reasons()) == ["OPERATOR_DISABLED"]


async def test_a_dangerous_act_takes_a_fresh_authentication_for_this_act(company: Company, someone: Person) -> None:
    console, page = company.console, someone.page
    await company.employ("Ann", "ann")
    await console.add("Bob", Role.SECRETARIAT)
    company.provider.authenticate("ann")
    await company.sign_in(someone)
    await page.wait_for_selector("h1:has-text('Ann')")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{console.origin}/console/operators")
    await page.select_option("select[aria-label='Role of Bob']", "officer")
    await page.click("tr:has-text('Bob') >> text=Change role")
    await page.wait_for_url(f"{console.origin}/console/operators")
    sent = [url for url in asked if "/auth?" in url]
    assert len(sent) == 1
    assert "max_age=0" in sent[0]
    assert "prompt=login" in sent[0]
    assert (await console.acts())[-1] == "operator_stepped_up", "confirmed, and nothing done yet"
    await page.select_option("select[aria-label='Role of Bob']", "admin")
    await page.click("tr:has-text('Bob') >> text=Change role")
    await page.wait_for_url(f"{console.origin}/console/operators")
    assert len([url for url in asked if "/auth?" in url]) == 2, "another act asks again"
    assert "operator_role_changed" not in await console.acts()
    await page.select_option("select[aria-label='Role of Bob']", "officer")
    async with page.expect_navigation(url=f"{console.origin}/console/operators"):
        await page.click("tr:has-text('Bob') >> text=Change role")
    changed = (await console.log())[-1]
    assert (changed["act"], changed["role"]) == ("operator_role_changed", "officer")
    await page.select_option("select[aria-label='Role of Bob']", "secretariat")
    await page.click("tr:has-text('Bob') >> text=Change role")
    await page.wait_for_url(f"{console.origin}/console/operators")
    assert len([url for url in asked if "/auth?" in url]) == 3, "a confirmation is spent with its act"


async def test_another_account_cannot_confirm(company: Company, someone: Person) -> None:
    console, page = company.console, someone.page
    await company.employ("Ann", "ann")
    await company.employ("Bob", "bob", Role.OFFICER)
    company.provider.authenticate("ann")
    await company.sign_in(someone)
    await page.wait_for_selector("h1:has-text('Ann')")
    company.provider.authenticate("bob")
    await page.goto(f"{console.origin}/console/operators")
    await page.click("button[aria-label='Disable Bob']")
    await page.wait_for_selector("text=Sign-in did not work")
    assert "operator_disabled" not in await console.acts()


async def test_an_old_authentication_confirms_nothing(company: Company, someone: Person) -> None:
    console, page = company.console, someone.page
    await company.employ("Ann", "ann")
    await console.add("Bob", Role.OFFICER)
    company.provider.authenticate("ann")
    await company.sign_in(someone)
    await page.wait_for_selector("h1:has-text('Ann')")
    company.provider.authenticate("ann", ts=int(console.clock() / 1000) - 120)
    await page.goto(f"{console.origin}/console/operators")
    await page.click("button[aria-label='Disable Bob']")
    await page.wait_for_selector("text=Sign-in did not work")
    assert "PROVIDER_NOT_FRESH" in await console.reasons()


async def test_signing_out_at_the_company_signs_out_here(company: Company, someone: Person) -> None:
    console, page = company.console, someone.page
    await company.employ("Ann", "ann")
    company.provider.authenticate("ann")
    await company.sign_in(someone)
    await page.wait_for_selector("h1:has-text('Ann')")
    console.clock.ahead_ms += 2000
    await page.goto(f"{company.provider.issuer}/session/end")
    async with page.expect_navigation():
        await page.click("button[value=yes]")
    await page.goto(f"{console.origin}/console")
    assert page.url.endswith("/console/sign-in")
    ended = (await console.log())[-1]
    assert (ended["act"], ended["by_provider"]) == ("operator_signed_out", True)


async def _callback(company: Company, http: httpx.AsyncClient) -> str:
    """Begin in this browser, authenticate, and stop before the console is called back."""
    console = company.console
    answer = await http.post(
        f"{console.origin}/console/oidc/sign-in",
        headers={"origin": console.origin, "content-type": "application/x-www-form-urlencoded"},
    )
    found = re.search(r'<a class="button main" href="([^"]+)"', answer.text)
    assert found is not None, answer.text
    url = html.unescape(found[1])
    while not url.startswith(f"{console.origin}/console/oidc/callback"):
        answer = await http.get(url)
        assert answer.is_redirect, answer.text
        url = str(answer.next_request.url) if answer.next_request else ""
    return url


async def test_a_callback_is_good_for_the_browser_that_began_and_for_once(company: Company) -> None:
    """Login CSRF: somebody else's code and state are no use in this browser (CVE-2025-68158, CVE-2026-41425)."""
    await company.employ("Mallory", "mallory")
    company.provider.authenticate("mallory")
    async with httpx.AsyncClient() as mallory, httpx.AsyncClient() as ann:
        url = await _callback(company, mallory)
        assert (await ann.get(url)).status_code == 401
        assert "session" not in ann.cookies
        assert (await mallory.get(url)).status_code == 200
        assert mallory.cookies["session"]
        assert (await mallory.get(url)).status_code == 401


async def test_a_sign_in_at_the_company_ends_the_browsers_former_session(company: Company) -> None:
    """ASVS 5.0, 7.2.4."""
    await company.employ("Ann", "ann")
    company.provider.authenticate("ann")
    home = f"{company.console.origin}/console"
    async with httpx.AsyncClient() as ann, httpx.AsyncClient() as thief:
        await ann.get(await _callback(company, ann))
        thief.cookies.set("session", ann.cookies["session"])
        assert (await thief.get(home)).status_code == 200
        await ann.get(await _callback(company, ann))
        assert (await thief.get(home)).headers["location"] == "/console/sign-in"
        assert (await ann.get(home)).status_code == 200


@pytest.mark.parametrize(("ago", "status"), [(3500, 200), (3700, 401)])
async def test_a_sign_in_takes_an_authentication_of_the_last_hour(company: Company, ago: int, status: int) -> None:
    """Also where the provider does not keep to the `max_age` that it was asked for."""
    await company.employ("Ann", "ann")
    company.provider.authenticate("ann", ts=company.console.clock() // 1000 - ago)
    async with httpx.AsyncClient() as ann:
        assert (await ann.get(await _callback(company, ann))).status_code == status
        assert ("session" in ann.cookies) is (status == 200)
    assert ("PROVIDER_NOT_FRESH" in await company.console.reasons()) is (status == 401)


@pytest.mark.parametrize("form", [{"token": "a.b.c"}, {"logout_token": ""}, {"logout_token": "a.b.c"}])
async def test_what_is_no_logout_token_is_a_bad_request(company: Company, form: dict[str, str]) -> None:
    """OpenID Connect Back-Channel Logout 1.0, section 2.8."""
    async with httpx.AsyncClient(headers={"accept": "application/json"}) as provider:
        answer = await provider.post(f"{company.console.origin}/console/oidc/logout", data=form)
    assert (answer.status_code, answer.headers["cache-control"]) == (400, "no-store")
    assert answer.json()["field"] == "logout_token"


async def test_a_stolen_state_is_refused_in_another_flow(company: Company) -> None:
    await company.employ("Mallory", "mallory")
    company.provider.authenticate("mallory")
    async with httpx.AsyncClient() as mallory, httpx.AsyncClient() as ann:
        stolen = await _callback(company, mallory)
        await _callback(company, ann)
        assert (await ann.get(stolen)).status_code == 401
        assert "session" not in ann.cookies
    assert by_code(company.console.gateway.identity.log.attempts)["PROVIDER_STATE"] == 1


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("iss", "https://evil.example", "PROVIDER_ISSUER"),
        ("iss", None, "PROVIDER_ISSUER"),
        ("code", "guessed", "PROVIDER_CODE"),
        ("code", None, "PROVIDER_REFUSED"),
        ("state", None, "PROVIDER_STATE"),
        ("error", "access_denied", "PROVIDER_REFUSED"),
    ],
)
async def test_a_changed_callback_is_refused(company: Company, name: str, value: str | None, code: str) -> None:
    """Mix-up (RFC 9207), guessed codes, refusals of the provider."""
    await company.employ("Ann", "ann")
    company.provider.authenticate("ann")
    async with httpx.AsyncClient() as ann:
        url = httpx.URL(await _callback(company, ann))
        changed = url.copy_remove_param(name) if value is None else url.copy_set_param(name, value)
        assert (await ann.get(changed)).status_code == 401
        assert "session" not in ann.cookies
    assert by_code(company.console.gateway.identity.log.attempts) == {code: 1}


async def test_a_callback_with_a_parameter_twice_is_refused(company: Company) -> None:
    await company.employ("Ann", "ann")
    company.provider.authenticate("ann")
    async with httpx.AsyncClient() as ann:
        url = await _callback(company, ann)
        assert (await ann.get(f"{url}&state=x")).status_code == 401


async def test_our_public_key_is_published_for_the_provider(company: Company, someone: Person) -> None:
    answer = await someone.page.goto(f"{company.console.origin}/console/oidc/jwks")
    assert answer is not None
    (key,) = (await answer.json())["keys"]
    assert key["kty"] == "OKP"
    assert "d" not in key


async def test_a_secret_from_a_file_works_too(tmp_path: Path, someone: Person) -> None:
    secret = tmp_path / "secret"
    secret.touch(0o600)
    secret.write_text("a secret of the provider's making, long enough\n")
    provider = or_skip(CompanyProvider)
    settings = {"oidc_issuer": provider.issuer, "oidc_secret_file": secret, **OIDC}
    async with console(tmp_path, **settings) as running:
        provider.register(
            redirect_uris=[f"{running.origin}/console/oidc/callback"],
            client_secret=secret.read_text().strip(),
            token_endpoint_auth_method="client_secret_basic",
            id_token_signed_response_alg="RS256",
        )
        await asyncio.to_thread(provider.__enter__)
        try:
            company = Company(running, provider)
            await company.employ("Ann", "ann")
            provider.authenticate("ann")
            await company.sign_in(someone)
            await someone.page.wait_for_selector("h1:has-text('Ann')")
        finally:
            await asyncio.to_thread(provider.__exit__, None, None, None)


async def test_a_provider_that_is_down_is_told_and_stops_nobody_else(company: Company, someone: Person) -> None:
    company.provider.kill()
    await company.sign_in(someone)
    await someone.page.wait_for_selector("text=cannot answer now")
    await company.console.newcomer(someone, "Ann")
