"""E-mail over SMTP (RFC 5321), encrypted on the way: nothing is said to a server that offers no TLS."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Final

import aiosmtplib

from gateway.senders.sender import NotSent, Outgoing

SMTP_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in, as whom. `tls`: starttls, implicit, or none, which is for this machine alone."""

    host: str
    port: int
    sender: str
    tls: str = "starttls"
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"MailServer({self.host}:{self.port})"


class SmtpSender:
    """One connection for each message, at most 10 seconds; the server's certificate is checked against its name.

    The authorities (the system's, or those of `trust`) are read here and never again: what a message holds up tells
    everybody else that one leaves.
    """

    def __init__(self, server: MailServer, trust: ssl.SSLContext | None = None) -> None:
        self._server = server
        self._trust = None if server.tls == "none" else trust or ssl.create_default_context()

    async def send(self, message: Outgoing) -> None:
        """Return once the server has accepted it for its recipient."""
        server = self._server
        try:
            await aiosmtplib.send(
                _composed(server.sender, message),
                hostname=server.host,
                port=server.port,
                use_tls=server.tls == "implicit",
                start_tls=server.tls == "starttls",
                username=server.user or None,
                password=server.password or None,
                tls_context=self._trust,
                timeout=SMTP_SECONDS,
            )
        except (aiosmtplib.SMTPException, OSError, ValueError):
            raise NotSent("MAIL_NOT_ACCEPTED") from None


def _composed(sender: str, message: Outgoing) -> EmailMessage:
    """One plain text, marked so that nothing answers it by itself (RFC 3834)."""
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = message.address
    mail["Subject"] = message.subject
    mail["Date"] = formatdate()
    mail["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    return mail
