"""Which sender serves which channel, as the settings say; each is checked when the gateway is composed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.errors import Conflicting
from gateway.identity import ResponseSigner
from gateway.senders.local import ConsoleSender, FileSender
from gateway.senders.sender import Outgoing, Sender
from gateway.senders.sms import Post, SmsSender
from gateway.settings import Settings
from gateway.vault.files import read_secret

_LONGEST_PASSWORD: Final = 1024


class Senders:
    """The senders by channel."""

    def __init__(self, by_channel: Mapping[str, Sender]) -> None:
        self._by_channel = by_channel

    def require(self, channel: str, at: str) -> None:
        """`Conflicting` under the JSON pointer `at` where this gateway sends nothing by the channel."""
        if channel not in self._by_channel:
            raise Conflicting(
                "channel_not_served",
                "This gateway sends no messages by this channel.",
                field=at,
                remedy="Use another one, or have the operator set a sender for it.",
            )

    async def send(self, message: Outgoing) -> None:
        """Through the channel's sender: see `Sender.send`."""
        self.require(message.channel, "/channel")
        await self._by_channel[message.channel].send(message)


def senders_of(settings: Settings, post: Post, signer: ResponseSigner) -> Senders:
    """What the settings name. A channel without a sender is served on the console of a gateway on loopback alone."""
    chosen: dict[str, Sender] = {}
    for channel, kind in (("sms", settings.sms_by), ("email", settings.mail_by)):
        if kind == "file":
            assert settings.messages_dir is not None
            chosen[channel] = FileSender(settings.messages_dir)
        elif kind == "console":
            chosen[channel] = ConsoleSender()
        elif kind == "https":
            chosen[channel] = SmsSender(settings.sms_url, post, signer)
        elif kind == "smtp":
            chosen[channel] = _mail_sender(settings)
    return Senders(chosen)


def _mail_sender(settings: Settings) -> Sender:
    from gateway.senders.mail import MailServer, SmtpSender  # noqa: PLC0415 - long to load, and many send no mail

    password = ""
    if settings.smtp_password_file is not None:
        password = read_secret(settings.smtp_password_file, limit=_LONGEST_PASSWORD).decode().strip()
    server = MailServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        sender=settings.smtp_from,
        tls=settings.smtp_tls,
        user=settings.smtp_user,
        password=password,
    )
    return SmtpSender(server)
