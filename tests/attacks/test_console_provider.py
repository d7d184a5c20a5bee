"""Attacks on what the company's provider says of itself: mix-up, downgrade, redirection, floods of bytes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.clock import system_clock
from gateway.identity.operators.provider import CodeRejected, Provider, ProviderSettings, ProviderUnavailable
from tests.identity.key_site import KeySite, new_site

_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[KeySite]:
    async with new_site(tmp_path).open() as running:
        yield running


def issuer(site: KeySite) -> str:
    return f"https://localhost:{site.port}"


def provider(site: KeySite) -> Provider:
    """A gateway's view of the provider at this site."""
    settings = ProviderSettings(
        issuer=issuer(site),
        client_id="gateway",
        algorithm="ES256",
        redirect_uri="https://gateway.example/console/oidc/callback",
        ca_file=site.certificate,
    )
    return Provider(settings, system_clock)


def publish(site: KeySite, **over: Any) -> None:
    """Metadata as an honest provider's, but for what is said otherwise; None takes a member out."""
    usual = {"issuer": issuer(site), **{name: f"{issuer(site)}/{name}" for name in _ENDPOINTS}}
    site.headers["Content-Type"] = "application/json"
    site.body = json.dumps({name: value for name, value in (usual | over).items() if value is not None}).encode()


async def test_an_honest_provider_is_understood(site: KeySite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past any proxy that the environment names."""
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    publish(site)
    assert (await provider(site).metadata())["token_endpoint"] == f"{issuer(site)}/token_endpoint"


@pytest.mark.parametrize("said", [None, "", "https://localhost", "https://evil.example", ["https://localhost"]])
async def test_metadata_of_another_issuer_are_nobodys(site: KeySite, said: object) -> None:
    """Mix-up (OIDC Discovery section 4.3, CVE-2026-104056)."""
    publish(site, issuer=said)
    with pytest.raises(ProviderUnavailable):
        await provider(site).metadata()


@pytest.mark.parametrize("name", _ENDPOINTS)
@pytest.mark.parametrize(
    "url",
    [None, 7, "", "/token", "http://localhost/token", "https://localhost@evil.example/token", "https:///token",
     "https://localhost/token#x", "file:///etc/passwd"],
)  # fmt: skip
async def test_an_endpoint_that_is_no_plain_https_address_is_not_spoken_to(
    site: KeySite, name: str, url: object
) -> None:
    publish(site, **{name: url})
    with pytest.raises(ProviderUnavailable):
        await provider(site).metadata()


@pytest.mark.parametrize("status", ["302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
async def test_a_provider_that_sends_us_elsewhere_is_not_followed(site: KeySite, status: str) -> None:
    publish(site)
    site.status, site.headers["Location"] = status, f"{issuer(site)}/elsewhere"
    with pytest.raises(ProviderUnavailable):
        await provider(site).metadata()
    assert len(site.requests) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"<html>"])
async def test_what_is_no_metadata_is_told_as_unavailable(site: KeySite, body: bytes) -> None:
    site.body = body
    with pytest.raises(ProviderUnavailable):
        await provider(site).metadata()


async def test_a_longer_answer_than_any_provider_has_is_not_read(site: KeySite) -> None:
    publish(site)
    site.body += b" " * 300_000
    with pytest.raises(ProviderUnavailable):
        await provider(site).metadata()


@pytest.mark.parametrize("headers", [True, False])
async def test_a_provider_that_drips_is_left_and_holds_up_nothing_else(
    site: KeySite, monkeypatch: pytest.MonkeyPatch, *, headers: bool
) -> None:
    """Slowly enough for hours, and each byte soon enough for a timeout of the socket."""
    patience = "gateway.identity.operators.provider._ANSWER_S"
    monkeypatch.setattr(patience, 2)
    publish(site)
    site.pause = 0.1 if headers else 0.004
    if headers:
        site.headers["X-Long"] = "x" * 300
    else:
        site.body += b" " * 20_000
    began = time.monotonic()
    asked = [asyncio.create_task(provider(site).metadata()) for _ in range(12)]
    await asyncio.sleep(0.1)
    assert await asyncio.to_thread(lambda: "done") == "done"
    assert not any(one.done() for one in asked), "other threads wait for the provider's"
    for one in asked:
        with pytest.raises(ProviderUnavailable):
            await one
    assert time.monotonic() - began < 20, "an answer of a minute and more"
    monkeypatch.setattr(patience, 20)
    site.pause = 0.0
    await site.at_rest()
    assert (await provider(site).metadata())["issuer"] == issuer(site)


@pytest.mark.parametrize("keys", [None, {}, "x", [1], [None]])
async def test_what_is_no_key_set_of_the_provider_is_told_as_unavailable(site: KeySite, keys: object) -> None:
    publish(site, keys=keys)
    with pytest.raises(ProviderUnavailable):
        await provider(site).keys()


@pytest.mark.parametrize(
    "tokens",
    [b"[]", b"null", b"1", b'"error"', b"{}", b'{"error": {}}', b'{"access_token": "a"}', b'{"id_token": "i"}',
     b'{"access_token": 1, "id_token": "i"}', b'{"access_token": "a", "id_token": ["i"]}',
     b'{"access_token": "a", "id_token": "i", "expires_in": "x"}',
     b'{"access_token": "a", "id_token": "i", "expires_in": 1e400}'],
)  # fmt: skip
async def test_what_is_no_answer_to_a_code_signs_nobody_in(site: KeySite, tokens: bytes) -> None:
    publish(site)
    company = provider(site)
    await company.metadata()
    site.body = tokens
    with pytest.raises((CodeRejected, ProviderUnavailable)):
        await company.redeem("code", "v" * 43)
