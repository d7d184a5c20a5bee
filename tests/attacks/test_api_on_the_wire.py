"""Bytes that no HTTP library would send, to a real server."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator

import pytest

from tests.access.served import Served

HOST = b"Host: 127.0.0.1\r\n"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    server = Served()
    asyncio.run(server.found())
    with server:
        yield server


def sent(server: Served, request: bytes) -> tuple[int, bytes]:
    """The status and body of what comes back; 0 if the server only hangs up."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: connection.recv(65_536), b""))
        except ConnectionError:
            return 0, b""
    if not answer:
        return 0, b""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body


def get(target: bytes, *headers: bytes) -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"".join(one + b"\r\n" for one in headers) + b"\r\n"


REQUESTS = {
    "a path of bytes": get(b"/v1/members\xff\xfe"),
    "a path in UTF-8": get("/v1/成员".encode()),
    "a broken escape": get(b"/v1/agreements/%zz/terms"),
    "an escaped byte": get(b"/v1/agreements/%ff/terms"),
    "an escaped slash": get(b"/v1/agreements%2fx"),
    "a query of bytes": get(b"/v1/members?\xff=\xff"),
    "a header of bytes": get(b"/v1/members", b"Authorization: DPoP \xff\xfe", b"DPoP: \x80"),
    "a credential too long": get(b"/v1/members", b"Authorization: DPoP " + b"x" * 40_000),
    "many headers": get(b"/v1/members", *(b"X-%d: y" % n for n in range(2000))),
    "a target too long": get(b"/v1/members?x=" + b"y" * 9000),
    "an absolute target": get(b"http://127.0.0.1/v1/members"),
    "another host's target": get(b"http://example.org:99999999/v1/members"),
    "no target": get(b"*"),
    "two lengths": get(b"/v1/datasets", b"Content-Length: 1", b"Content-Length: 2"),
    "a negative length": get(b"/v1/datasets", b"Content-Length: -1"),
    "a length and chunks": get(b"/v1/datasets", b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "broken chunks": get(b"/v1/datasets", b"Transfer-Encoding: chunked") + b"zz\r\n",
    "an unknown method": get(b"/v1/members").replace(b"GET", b"BREW"),
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
    "half a request": b"POST /v1/datasets HTTP/1.1\r\n" + HOST + b"Content-Length: 100\r\n\r\n{",
    "half a form": b"POST /token HTTP/1.1\r\n"
    + HOST
    + b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ngrant_type=",
}


@pytest.mark.parametrize("kind", REQUESTS)
def test_no_bytes_make_the_server_fail(served: Served, kind: str) -> None:
    status, body = sent(served, REQUESTS[kind])
    assert status == 0 or 400 <= status < 500, (status, body)
    if body.startswith(b"{"):
        assert json.loads(body)["status"] == status
    assert sent(served, get(b"/healthz", b"Connection: close")) == (200, b"ok\n")


def test_the_server_logs_no_failure_and_no_value_that_it_was_sent(served: Served) -> None:
    secret = b"13912345678"
    for target in (b"/v1/consents/" + secret, b"/v1/members?limit=" + secret, b"/v1/" + secret + b"\xff"):
        sent(served, get(target, b"Authorization: DPoP " + secret, b"Connection: close"))
    logged = served.log_tail()
    assert "Traceback" not in logged
    assert secret.decode() not in logged


OAUTH = pytest.mark.parametrize("path", [b"/token", b"/revoke", b"/introspect"])


@OAUTH
@pytest.mark.parametrize("target", [b"", b"?x=" + b"y" * 9000])
@pytest.mark.parametrize(
    "header",
    [b"Content-Length: 0", b"Content-Length: 5000000", b"Content-Encoding: gzip", b"DPoP: " + b"x" * 40_000],
)
def test_an_oauth_endpoint_tells_of_a_malformed_request_whatever_keeps_it_from_being_read(
    served: Served, path: bytes, target: bytes, header: bytes
) -> None:
    request = b"POST " + path + target + b" HTTP/1.1\r\n" + HOST + header + b"\r\nConnection: close\r\n\r\n"
    status, body = sent(served, request)
    malformed = {"error": "invalid_request", "error_description": "The request is malformed."}
    assert (status, json.loads(body)) == (400, malformed)


@OAUTH
def test_whoever_leaves_in_the_middle_of_a_request_fills_no_log(served: Served, path: bytes) -> None:
    half = b"POST " + path + b" HTTP/1.1\r\n" + HOST + b"Content-Length: 100\r\n\r\ngrant_type="
    before = _of_requests(served)
    assert sent(served, half) == (0, b"")
    assert sent(served, get(b"/healthz", b"Connection: close")) == (200, b"ok\n")
    assert _of_requests(served) == before


def _of_requests(served: Served) -> list[str]:
    """What is in the log but for the one line a minute about strangers."""
    return [line for line in served.log_tail().splitlines() if "attempts refused: " not in line]
