from __future__ import annotations

import http.client
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.services import free_port, nginx
from tests.services.nginx import Nginx
from tests.services.or_skip import or_skip


class _Echo(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        said = "\n".join(f"{name}: {value}" for name, value in self.headers.items()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *said: object) -> None:
        """Say nothing."""


@pytest.fixture
def upstream() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def proxy(upstream: int) -> Iterator[Nginx]:
    server = or_skip(Nginx, [free_port(), upstream])  # the first one is dow)
    with server:
        yield server


def _get(proxy: Nginx, context: ssl.SSLContext, headers: dict[str, str], port: int | None = None) -> tuple[int, str]:
    connection = http.client.HTTPSConnection("127.0.0.1", port or proxy.port, context=context, timeout=5)
    try:
        connection.request("GET", "/", headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_the_proxy_passes_to_a_gateway_that_lives(proxy: Nginx) -> None:
    status, said = _get(proxy, proxy.trust(), {})
    assert status == 200
    assert "X-Forwarded-Proto: https" in said
    assert f"Host: 127.0.0.1:{proxy.port}" in said


def test_nobody_outside_speaks_for_the_proxy(proxy: Nginx) -> None:
    names = ("Client-Cert", "Client_Cert", "Client-Cert-Verify", "Client-Cert-Chain", "Gateway-Proxy", "Forwarded")
    forged = {**dict.fromkeys(names, ":forged:"), "X-Forwarded-For": "203.0.113.9"}
    for port in (proxy.port, proxy.mtls_port):
        _, said = _get(proxy, proxy.trust(), forged, port)
        assert "forged" not in said
        assert "203.0.113.9" not in said
        assert f"Gateway-Proxy: {proxy.secret}" in said


def test_old_tls_is_refused(proxy: Nginx) -> None:
    old = proxy.trust()
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSVersion"):
        old.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSVersion"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        _get(proxy, old, {})


def _accepts(proxy: Nginx, suite: str) -> bool:
    """Whether the proxy speaks TLS 1.2 with a client that offers this suite alone."""
    client = proxy.trust()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(f"{suite}:@SECLEVEL=0")
    try:
        return _get(proxy, client, {})[0] == HTTPStatus.OK
    except ssl.SSLError:
        return False


def test_tls_1_2_is_spoken_with_the_recommended_suites_alone(proxy: Nginx) -> None:
    """RFC 9325 section 4.2, as the happy flow of FAPI's conformance suite asks; the certificate's key is an EC key."""
    offered = ssl.create_default_context()
    offered.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    suites = [suite["name"] for suite in offered.get_ciphers() if suite["protocol"] != "TLSv1.3"]
    assert {suite for suite in suites if _accepts(proxy, suite)} == {
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
    }


def test_the_certificate_is_trusted_by_who_was_given_it_and_nobody_else(proxy: Nginx) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        _get(proxy, ssl.create_default_context(), {})


def test_the_certificate_is_asked_for_at_one_listener_and_its_chain_is_judged(upstream: int, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir()
    authority, authority_key = nginx.throwaway_certificate(ours)
    server = or_skip(Nginx, [upstream], authorities=authority)
    with server:
        trusted, stranger = server.trust(), server.trust()
        trusted.load_cert_chain(authority, authority_key)
        stranger.load_cert_chain(*nginx.throwaway_certificate(theirs))
        said = {port: _get(server, trusted, {}, port)[1] for port in (server.port, server.mtls_port)}
        assert "Client-Cert: :MII" in said[server.mtls_port]
        assert "Client-Cert-Verify: SUCCESS" in said[server.mtls_port]
        assert "Client-Cert:" not in said[server.port]
        assert "Client-Cert-Verify: NONE" in said[server.port]
        assert "Client-Cert-Verify: FAILED" in _get(server, stranger, {}, server.mtls_port)[1]
        assert "Client-Cert-Verify: NONE" in _get(server, server.trust(), {}, server.mtls_port)[1]


def test_nginx_accepts_the_configuration_of_the_containers(tmp_path: Path) -> None:
    program = or_skip(nginx.binary)
    certificate, key = nginx.throwaway_certificate(tmp_path)
    text = (nginx.PROXY.parent / "nginx.conf").read_text()
    places = {
        "/tmp/": f"{tmp_path}/",
        "gateway-1:": "127.0.0.1:",
        "gateway-2:": "127.0.0.1:",
        "/run/secrets/tls_certificate": str(certificate),
        "/run/secrets/tls_key": str(key),
        "/run/secrets/client_authorities": str(certificate),
        "/run/secrets/proxy_secret.conf": str(tmp_path / "proxy_secret.conf"),
        "/etc/nginx/proxy.conf": str(nginx.PROXY),
        "/etc/nginx/client-cert.conf": str(nginx.CLIENT_CERT),
        "/dev/stderr": "stderr",
    }
    for there, here in places.items():
        assert there in text
        text = text.replace(there, here)
    (tmp_path / "proxy_secret.conf").write_text('map $server_port $gateway_proxy { default "secret"; }')
    (tmp_path / "nginx.conf").write_text(text)
    said = subprocess.run(
        [program, "-t", "-c", tmp_path / "nginx.conf", "-p", tmp_path, "-e", "stderr"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
