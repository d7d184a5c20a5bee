"""The address of a key set is the attacker's to choose: it leads to nothing private, and costs little."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.errors import Invalid
from gateway.identity.key_address import KeysUnfetched, checked_address
from gateway.identity.key_set_client import KeySetClient
from gateway.settings import Settings
from tests.identity.key_site import KeySite, Names, new_site

_SECONDS = 3
_BUSY_SECONDS = 20
_BYTES = 64 * 1024


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[KeySite]:
    async with new_site(tmp_path).open() as opened:
        yield opened


async def _code(client: KeySetClient, uri: str) -> str:
    with pytest.raises(KeysUnfetched) as unfetched:
        await client.look(uri)
    return unfetched.value.code


def _trusting(site: KeySite) -> KeySetClient:
    return KeySetClient(loopback=True, trust=site.trust)


async def test_a_key_set_is_fetched_as_it_was_published(site: KeySite) -> None:
    site.publish({"kty": "OKP", "n": 1}, {"kty": "EC"})
    assert await _trusting(site).look(site.uri) == [{"kty": "OKP", "n": 1}, {"kty": "EC"}]
    site.publish()
    assert await _trusting(site).look(site.uri) == []
    assert all(request.startswith("GET /keys HTTP/1.1\r\n") for request in site.requests)
    assert not any("cookie" in request.lower() or "authorization" in request.lower() for request in site.requests)


@pytest.mark.parametrize(
    "uri",
    [
        "http://keys.example/jwks",
        "ftp://keys.example/jwks",
        "file:///etc/passwd",
        "https://",
        "https:///jwks",
        "https://user@keys.example/jwks",
        "https://user:word@keys.example/jwks",
        "https://keys.example/jwks#fragment",
        "https://keys.example/jw ks",
        "https://keys.example/jwks\r\nHost: other",
        "https://keys.example\\@other.example/",
        "https://keys.example:99999/",
        "https://keys.example:port/",
        "https://[::1/",
        "https://例え.example/",
        "HTTPS://keys.example/",
        "https://keys.example/".ljust(513, "a"),
        "https://127.0.0.1/jwks",
        "https://[::1]/jwks",
        "https://10.1.2.3/",
        "https://172.16.0.1/",
        "https://192.168.1.1/",
        "https://100.64.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://0.0.0.0/",
        "https://255.255.255.255/",
        "https://224.0.0.1/",
        "https://[fe80::1]/",
        "https://[fc00::1]/",
        "https://[ff02::1]/",
        "https://[::]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[::127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[2001:0:53aa:64c:0:0:80ff:fffe]/",
        "https://[2001:db8::1]/",
        "https://[fec0::1]/",
        "https://[::ffff:0:7f00:1]/",
        "https://[4000::1]/",
        "https://192.0.0.192/opc/v2/instance/",
        "https://192.0.0.8/",
        "https://192.88.99.1/",
        "https://[::ffff:192.0.0.192]/",
        "https://[3fff::1]/",
        "https://168.63.129.16/metadata",
        None,
        7,
        "",
    ],
)
def test_an_address_that_is_not_public_https_is_not_accepted(uri: object) -> None:
    with pytest.raises(Invalid, match="invalid_jwks_uri") as refused:
        checked_address(uri)
    assert refused.value.field == "jwks_uri"


def test_an_address_has_at_most_512_characters() -> None:
    longest = "https://keys.example/".ljust(512, "a")
    assert checked_address(longest) == longest


@pytest.mark.parametrize(
    "uri",
    ["https://keys.example/jwks?v=1", "https://keys.example:8443/a%20b", "https://9.9.9.9/", "https://[2606:4700::1]/"],
)
def test_a_public_https_address_is(uri: str) -> None:
    assert checked_address(uri) == uri


@pytest.mark.parametrize("uri", ["https://127.0.0.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/"])
def test_where_loopback_is_allowed_it_is_in_every_way_of_writing_it_and_nothing_else_is(uri: str) -> None:
    assert checked_address(uri, loopback=True) == uri
    for other in ("https://10.0.0.1/", "https://[::ffff:10.0.0.1]/", "https://[fe80::1]/", "https://0.0.0.0/"):
        with pytest.raises(Invalid):
            checked_address(other, loopback=True)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "fe80::1", "fd00::1",
     "64:ff9b::7f00:1", "2002:7f00:1::", "0.0.0.0", "::", "fec0::1", "::ffff:0:a00:1",
     "192.0.0.192", "::ffff:192.0.0.192", "192.88.99.1", "168.63.129.16", "3fff::1"],
)  # fmt: skip
async def test_a_name_that_leads_to_a_private_address_is_not_connected_to(site: KeySite, address: str) -> None:
    names = Names([address])
    client = KeySetClient(trust=site.trust, resolver=lambda: names)
    assert await _code(client, f"https://keys.example:{site.port}/keys") == "KEYS_ADDRESS"
    assert (names.asked, site.connections) == (1, 0)


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f.1", "127.1"])
async def test_no_other_way_of_writing_this_machine_helps(site: KeySite, host: str) -> None:
    code = await _code(KeySetClient(trust=site.trust), f"https://{host}:{site.port}/keys")
    assert code in {"KEYS_ADDRESS", "KEYS_UNREACHABLE"}
    assert site.connections == 0


async def test_a_name_is_asked_once_so_that_rebinding_comes_too_late(site: KeySite) -> None:
    """An open address at the first question, another at every later one; no packet leaves this machine."""
    names = Names(["127.0.0.2"], ["127.0.0.1"])
    client = KeySetClient(loopback=True, trust=site.trust, resolver=lambda: names)
    assert await _code(client, site.uri) == "KEYS_UNREACHABLE"
    assert (names.asked, site.connections) == (1, 0)
    assert await client.look(site.uri) == [], "what it would have led to"


async def test_of_several_addresses_only_open_ones_are_used(site: KeySite) -> None:
    closed = Names(["10.0.0.1", "127.0.0.1", "169.254.169.254"])
    assert await _code(KeySetClient(trust=site.trust, resolver=lambda: closed), site.uri) == "KEYS_ADDRESS"
    assert site.connections == 0
    mixed = Names(["10.0.0.1", "127.0.0.1"])
    client = KeySetClient(loopback=True, trust=site.trust, resolver=lambda: mixed)
    assert await client.look(site.uri) == []


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_redirects_are_not_followed(site: KeySite, tmp_path: Path, status: str) -> None:
    (tmp_path / "other").mkdir()
    async with new_site(tmp_path / "other").open() as other:
        site.status, site.headers = status, {"Location": other.uri, "Content-Type": "application/json"}
        assert await _code(_trusting(site), site.uri) == "KEYS_REDIRECT"
        assert other.connections == 0


async def test_a_server_that_drips_is_left_after_three_seconds(site: KeySite) -> None:
    site.pause = 0.2
    began = time.monotonic()
    assert await _code(_trusting(site), site.uri) == "KEYS_TIMEOUT"
    assert time.monotonic() - began < _BUSY_SECONDS


async def test_a_server_that_says_nothing_is_left_after_three_seconds(site: KeySite) -> None:
    site.delay = 30
    began = time.monotonic()
    assert await _code(_trusting(site), site.uri) == "KEYS_TIMEOUT"
    assert time.monotonic() - began < _BUSY_SECONDS


async def test_a_huge_body_is_not_read(site: KeySite) -> None:
    site.body = b'{"keys": [], "padding": "' + b"x" * _BYTES + b'"}'
    assert await _code(_trusting(site), site.uri) == "KEYS_TOO_LARGE"
    site.body = b'{"keys": [], "padding": "' + b"x" * (_BYTES - 27) + b'"}'
    assert len(site.body) == _BYTES
    assert await _trusting(site).look(site.uri) == []


async def test_an_endless_body_is_not_read(site: KeySite) -> None:
    site.body, site.length = b"x" * 10_000_000, 2**40
    assert await _code(_trusting(site), site.uri) == "KEYS_TOO_LARGE"


async def test_a_compressed_body_is_not_unpacked(site: KeySite) -> None:
    site.headers["Content-Encoding"] = "gzip"
    site.body = gzip.compress(json.dumps({"keys": [], "padding": "x" * 10_000_000}).encode())
    assert len(site.body) < _BYTES
    assert await _code(_trusting(site), site.uri) == "KEYS_CONTENT"


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b'{"keys": {}}', b'{"keys": null}', b'{"keys": []', b'{"keys": [], "keys": []}', b"\xff",
     b"<html>", b'{"keys": [NaN]}', b"[" * 60_000, b'{"keys": [' + b"0," * 64 + b"0]}"],
)  # fmt: skip
async def test_what_is_no_key_set_is_not_taken_for_an_empty_one(site: KeySite, body: bytes) -> None:
    site.body = body
    assert await _code(_trusting(site), site.uri) == "KEYS_CONTENT"


@pytest.mark.parametrize("status", ["201 Created", "204 No Content", "404 Not Found", "500 Oops", "999 What"])
async def test_only_a_200_is_an_answer(site: KeySite, status: str) -> None:
    site.status = status
    assert await _code(_trusting(site), site.uri) in {"KEYS_CONTENT", "KEYS_UNREACHABLE"}


async def test_a_page_of_another_kind_is_no_key_set(site: KeySite) -> None:
    site.headers["Content-Type"] = "text/html"
    assert await _code(_trusting(site), site.uri) == "KEYS_CONTENT"


async def test_endless_headers_are_not_read(site: KeySite) -> None:
    site.headers["X-Long"] = "x" * 100_000
    assert await _code(_trusting(site), site.uri) == "KEYS_UNREACHABLE"


async def test_a_certificate_that_nobody_vouches_for_is_refused(site: KeySite) -> None:
    assert await _code(KeySetClient(loopback=True), site.uri) == "KEYS_UNREACHABLE"
    assert site.requests == []


async def test_a_certificate_for_another_name_is_refused(site: KeySite) -> None:
    names = Names(["127.0.0.1"])
    client = KeySetClient(loopback=True, trust=site.trust, resolver=lambda: names)
    assert await _code(client, f"https://other.example:{site.port}/keys") == "KEYS_UNREACHABLE"
    assert site.requests == []


async def test_a_server_that_is_away_is_unreachable(site: KeySite, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    gone = new_site(tmp_path / "gone")
    async with gone.open():
        pass
    assert await _code(_trusting(site), gone.uri) == "KEYS_UNREACHABLE"


async def test_the_proxy_of_the_environment_is_not_asked(site: KeySite, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert await _trusting(site).look(site.uri) == []


@pytest.mark.parametrize(
    ("issuer", "host", "tls"),
    [("https://gateway.example", "127.0.0.1", False), ("https://gateway.example", "0.0.0.0", True)],
)
def test_key_sets_of_this_machine_are_for_loopback_alone(issuer: str, host: str, tls: bool) -> None:
    with pytest.raises(Invalid, match="jwks_loopback_not_loopback"):
        Settings.from_environment({}, issuer=issuer, host=host, tls_terminated=tls, jwks_loopback=True)
    assert Settings.from_environment({}, jwks_loopback=True).jwks_loopback
