"""Where the hotel is told of withdrawals: a web server on loopback that takes only what the gateway has signed.

Standard Webhooks 1.0.0, scheme `v1a` (Ed25519), held against the keys that the gateway publishes. Its certificate is
of its own making, so the gateway of the demo is started with it as the one authority to trust.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import NameOID

from gateway.errors import Invalid

_TAKEN, _FORGED, _DOWN = 204, 401, 503
_TOLERANCE_S = 300
_PATIENCE_S, _POLL_S = 30, 0.05
_TIMEOUT_S = 10


class Inbox:
    """What was received and verified, oldest first; while it `is_down` it takes nothing."""

    def __init__(self, folder: Path, base_url: str) -> None:
        self.certificate, self._key = _made(folder)
        self.is_down = False
        self._jwks = f"{base_url}/v1/jwks"
        self._received: list[dict[str, Any]] = []
        self._port = 0

    @property
    def uri(self) -> str:
        """Where it is while it is open."""
        return f"https://localhost:{self._port}/withdrawals"

    @contextmanager
    def open(self) -> Iterator[None]:
        """Serve until the block ends."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self._key)
        with ThreadingHTTPServer(("127.0.0.1", 0), self._handler()) as server:
            self._port = server.server_port
            server.socket = context.wrap_socket(server.socket, server_side=True)
            threading.Thread(target=server.serve_forever, args=(_POLL_S,), name="inbox", daemon=True).start()
            try:
                yield
            finally:
                server.shutdown()

    def told_of(self, consent: str) -> dict[str, Any]:
        """The message that tells of the end of this consent, once it is there."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            for message in self._received:
                if message["data"].get("consent") == consent:
                    return message
            time.sleep(_POLL_S)
        raise Invalid("demo_failed", "The hotel was not told of a withdrawal.")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(inbox.take(dict(self.headers.items()), content))
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing: the story tells what was received."""

        return Handler

    def take(self, headers: dict[str, str], content: bytes) -> int:
        """The status of the answer to a message; what has no signature of the gateway, or an old one, is forged."""
        if self.is_down:
            return _DOWN
        said = {name.lower(): value for name, value in headers.items()}
        try:
            signed = f"{said['webhook-id']}.{said['webhook-timestamp']}.".encode() + content
            is_fresh = abs(time.time() - int(said["webhook-timestamp"])) <= _TOLERANCE_S
            version, _, signature = said["webhook-signature"].partition(",")
        except (KeyError, ValueError):
            return _FORGED
        if version != "v1a" or not is_fresh or not self._is_signed(signed, b64decode(signature)):
            return _FORGED
        self._received.append(json.loads(content))
        return _TAKEN

    def _is_signed(self, signed: bytes, signature: bytes) -> bool:
        for key in requests.get(self._jwks, timeout=_TIMEOUT_S).json()["keys"]:
            if key.get("crv") == "Ed25519":
                public = urlsafe_b64decode(key["x"] + "=" * (-len(key["x"]) % 4))
                with suppress(InvalidSignature):
                    Ed25519PublicKey.from_public_bytes(public).verify(signature, signed)
                    return True
        return False


def _made(folder: Path) -> tuple[Path, Path]:
    """A certificate for `localhost` that signs itself, for a day, and its key: two PEM files."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "inbox.certificate.pem", folder / "inbox.key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].touch(mode=0o600)
    plain = serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return files
