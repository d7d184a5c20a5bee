"""A real SMTP server on loopback: it keeps what it is handed, encrypted or not, and turns away whom it is told to."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from tests.services.nginx import throwaway_certificate


@dataclass
class MailBox:
    """What arrived, and how."""

    port: int
    trust: ssl.SSLContext | None
    turned_away: set[str] = field(default_factory=set)
    received: list[EmailMessage] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    logins: list[bytes] = field(default_factory=list)

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: Any) -> str:  # noqa: N802
        if address in self.turned_away:
            return "550 No such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        parsed = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.received.append(parsed)
        self.encrypted.append(session.ssl is not None)
        return "250 OK"

    def texts(self, to: str) -> list[str]:
        """The texts that were sent to an address, in order."""
        return [one.get_content() for one in self.received if one["To"] == to]


@asynccontextmanager
async def mail_box(folder: Path | None = None, *, login: bool = False) -> AsyncIterator[MailBox]:
    """A server with STARTTLS by an authority of its own if there is a folder for it, else without TLS."""
    box, context = MailBox(0, None), None
    if folder is not None:
        certificate, key = throwaway_certificate(folder)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        box.trust = ssl.create_default_context(cafile=str(certificate))

    def authenticate(_: SMTP, __: Session, ___: Envelope, ____: str, data: Any) -> AuthResult:
        box.logins.append(data.password)
        return AuthResult(success=data.password == b"secret")

    def serve() -> SMTP:
        return SMTP(
            box,
            hostname="localhost",
            tls_context=context,
            require_starttls=context is not None,
            authenticator=authenticate,
            auth_required=login,
            enable_SMTPUTF8=True,
        )

    server = await asyncio.get_running_loop().create_server(serve, "127.0.0.1", 0)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        await server.wait_closed()
