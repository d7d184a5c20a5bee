"""A real nginx that ends TLS in front of the gateways, with the proxy settings that production uses."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.services.process import ComponentMissing, Service, free_port, listens, version_of

PROXY = Path(__file__).resolve().parents[2] / "deploy" / "nginx" / "proxy.conf"
CLIENT_CERT = PROXY.with_name("client-cert.conf")


def binary() -> str:
    """The server's program, also where Debian hides it from ordinary users; raises `ComponentMissing`."""
    path = shutil.which("nginx", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))
    if path is None:
        raise ComponentMissing("nginx is not installed (Debian: apt-get install nginx-light).")
    return path


def version() -> str:
    """As `nginx 1.22.1`; raises `ComponentMissing`."""
    said = re.search(r"nginx/([\d.]+)", version_of(binary(), "-v"))
    return f"nginx {said.group(1) if said else 'of unknown version'}"


def throwaway_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for loopback, valid for a day, and its key: (certificate, key) as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.touch(mode=0o600)
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


class Nginx(Service):
    """TLS on loopback in front of `upstreams`, loopback ports of gateways. Trust it by `trust`.

    At `mtls_url` it asks for client certificates, as the shipped configuration does, and verifies their chains
    against `authorities`, a PEM file (default: its own certificate, which issued none). `secret` is what the
    gateways know it by.
    """

    name = "nginx"

    def __init__(
        self,
        upstreams: Sequence[int],
        *,
        port: int | None = None,
        mtls_port: int | None = None,
        authorities: Path | None = None,
        secret: str = "",
    ) -> None:
        super().__init__()
        self._program = binary()
        self._upstreams = upstreams
        self.port = port or self.port
        self.mtls_port = mtls_port or free_port()
        self.secret = secret or secrets.token_hex(32)
        self.certificate = self.directory / "certificate.pem"
        self._authorities = authorities or self.certificate

    @property
    def url(self) -> str:
        """`https://127.0.0.1:port`."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def mtls_url(self) -> str:
        """`https://127.0.0.1:port` of the listener that asks for certificates."""
        return f"https://127.0.0.1:{self.mtls_port}"

    def trust(self) -> ssl.SSLContext:
        """A client's TLS context that trusts this proxy and nobody else."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def prepare(self) -> None:
        throwaway_certificate(self.directory)
        servers = "".join(f"server 127.0.0.1:{port} max_fails=1 fail_timeout=1s;" for port in self._upstreams)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        folders = "".join(f"{kind}_temp_path {self.directory}/{kind};" for kind in kinds)
        clients = f"ssl_verify_client optional_no_ca;ssl_trusted_certificate {self._authorities};ssl_verify_depth 4;"
        own = f"ssl_certificate {self.certificate};ssl_certificate_key {self.directory}/key.pem;include {PROXY};"
        run_by = "user root;" if os.geteuid() == 0 else ""
        (self.directory / "nginx.conf").write_text(
            f"{run_by}\nworker_processes 1;\npid {self.directory}/nginx.pid;\nerror_log stderr warn;\n"
            "events {worker_connections 512;}\n"
            f"http {{\naccess_log off;\n{folders}\nupstream gateway {{{servers} keepalive 16;}}\n"
            f'map $server_port $gateway_proxy {{default "{self.secret}";}}\ninclude {CLIENT_CERT};\n'
            f"server {{listen 127.0.0.1:{self.port} ssl http2;{own}}}\n"
            f"server {{listen 127.0.0.1:{self.mtls_port} ssl http2;{clients}{own}}}\n}}\n"
        )
        (self.directory / "nginx.conf").chmod(0o600)

    def command(self) -> Sequence[str]:
        return [
            *(self._program, "-p", str(self.directory), "-c", str(self.directory / "nginx.conf")),
            *("-e", "stderr", "-g", "daemon off;"),
        ]

    def ready(self) -> bool:
        return listens(self.port) and listens(self.mtls_port)
