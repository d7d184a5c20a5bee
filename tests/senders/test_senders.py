"""Messages leave encrypted, or not at all; what nobody took is said to be unsent, without saying to whom."""

from __future__ import annotations

import io
import json
import ssl
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.clock import system_clock
from gateway.errors import Conflicting, Invalid
from gateway.identity import ResponseSigner
from gateway.identity.outward import PostClient
from gateway.senders import NotSent, Outgoing, Senders, senders_of
from gateway.senders.local import ConsoleSender, FileSender
from gateway.senders.mail import MailServer, SmtpSender
from gateway.senders.sms import SmsSender
from gateway.settings import Settings
from gateway.vault.signing import SigningKey
from tests.clauses.test_4_1_push import Inbox
from tests.identity.key_site import new_site
from tests.senders.server import mail_box

MAIL = Outgoing("email", "li.na@example.com", "同意 Consent", "请打开 open: https://gateway.example/my/link/x\n")
SMS = Outgoing("sms", "+8613800138000", "", "您的验证码 123456")


SMTP = {"mail_sender": "smtp", "smtp_host": "mail.example", "smtp_from": "consent@bank.example"}
_COMPOSED = """
import sys
from gateway.clock import system_clock
from gateway.identity import ResponseSigner
from gateway.senders import senders_of
from gateway.settings import Settings
senders_of(Settings.from_environment({{}}, **{given}), None, ResponseSigner(system_clock))
print("aiosmtplib" in sys.modules)
"""


async def nobody(*_: object) -> None:
    raise AssertionError


def never(*_: object, **__: object) -> None:
    raise AssertionError


async def test_mail_arrives_whole_over_starttls_and_nothing_answers_it_by_itself(tmp_path: Path) -> None:
    async with mail_box(tmp_path) as box:
        sender = SmtpSender(MailServer("localhost", box.port, "consent@bank.example"), box.trust)
        await sender.send(MAIL)
        [mail], [encrypted] = box.received, box.encrypted
    assert encrypted
    assert (mail["To"], mail["From"], mail["Subject"]) == (MAIL.address, "consent@bank.example", MAIL.subject)
    assert mail.get_content().splitlines() == MAIL.text.splitlines()
    assert mail["Auto-Submitted"] == "auto-generated"


async def test_no_message_waits_for_the_authorities_to_be_read_or_holds_others_up_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They take long to read: whoever asks the gateway meanwhile would notice that a message leaves."""
    async with mail_box(tmp_path) as box:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        sender = SmtpSender(MailServer("localhost", box.port, "consent@bank.example"))
        monkeypatch.setattr(ssl.SSLContext, "load_default_certs", never)
        monkeypatch.setattr(ssl, "create_default_context", never)
        await sender.send(MAIL)
        await sender.send(MAIL)
        assert box.encrypted == [True, True]


@pytest.mark.parametrize("mail", [True, False])
def test_what_sends_mail_is_loaded_when_the_gateway_is_composed_and_only_where_it_sends_any(mail: bool) -> None:
    composed = _COMPOSED.format(given=SMTP if mail else {})
    told = subprocess.run([sys.executable, "-c", composed], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str(mail)


async def test_nothing_is_said_to_a_server_without_tls_unless_it_is_this_machine() -> None:
    async with mail_box() as box:
        server = MailServer("localhost", box.port, "consent@bank.example")
        with pytest.raises(NotSent) as refused:
            await SmtpSender(server).send(MAIL)
        assert box.received == []
        await SmtpSender(replace(server, tls="none")).send(MAIL)
        assert box.encrypted == [False]
    assert MAIL.address not in str(refused.value)


async def test_a_server_whose_certificate_nobody_vouches_for_gets_nothing(tmp_path: Path) -> None:
    async with mail_box(tmp_path) as box:
        with pytest.raises(NotSent):
            await SmtpSender(MailServer("localhost", box.port, "c@bank.example"), ssl.create_default_context()).send(
                MAIL
            )
        assert box.received == []


@pytest.mark.parametrize(("password", "arrives"), [("secret", True), ("guess", False)])
async def test_the_gateway_signs_in_where_the_server_asks_for_it(tmp_path: Path, password: str, arrives: bool) -> None:
    async with mail_box(tmp_path, login=True) as box:
        server = MailServer("localhost", box.port, "c@bank.example", user="gateway", password=password)
        if arrives:
            await SmtpSender(server, box.trust).send(MAIL)
        else:
            with pytest.raises(NotSent):
                await SmtpSender(server, box.trust).send(MAIL)
        assert (len(box.received), box.logins) == (int(arrives), [password.encode()])
    assert password not in repr(server)


async def test_a_recipient_that_the_server_refuses_or_a_server_that_is_gone_leaves_it_unsent(tmp_path: Path) -> None:
    async with mail_box(tmp_path) as box:
        box.turned_away.add(MAIL.address)
        sender = SmtpSender(MailServer("localhost", box.port, "consent@bank.example"), box.trust)
        with pytest.raises(NotSent):
            await sender.send(MAIL)
    with pytest.raises(NotSent):
        await sender.send(MAIL)


async def test_an_address_with_a_line_of_its_own_is_no_second_header(tmp_path: Path) -> None:
    async with mail_box(tmp_path) as box:
        sender = SmtpSender(MailServer("localhost", box.port, "consent@bank.example"), box.trust)
        for hostile in (replace(MAIL, subject="a\r\nBcc: x@example.com"), replace(MAIL, address="a@b.example\nBcc: c")):
            with pytest.raises(NotSent):
                await sender.send(hostile)
        assert box.received == []


async def test_an_sms_is_posted_signed_by_the_gateway_and_named_once(tmp_path: Path) -> None:
    site = new_site(tmp_path)
    inbox = Inbox(site.certificate, site.key)
    async with inbox.open():
        key = SigningKey("message", Ed25519PrivateKey.generate())
        signing = ResponseSigner(system_clock)
        signing.hold(key.jwk(), key.sign)
        uri = f"https://localhost:{inbox.port}/sms"
        sender = SmsSender(uri, PostClient(loopback=True, trust=inbox.trust).post, signing)
        await sender.send(SMS)
        await sender.send(SMS)
        (headers, content), (again, _) = inbox.received
        inbox.statuses = ["500 No"]
        with pytest.raises(NotSent) as refused:
            await sender.send(SMS)
    assert json.loads(content) == {"to": SMS.address, "text": SMS.text}
    assert '"@target-uri"' in headers["signature-input"]
    assert '"content-digest"' in headers["signature-input"]
    assert headers["idempotency-key"] != again["idempotency-key"]
    assert SMS.address not in str(refused.value)


async def test_an_sms_is_unsent_while_there_is_no_key_to_sign_with() -> None:
    with pytest.raises(NotSent):
        await SmsSender("https://sms.example/", nobody, ResponseSigner(system_clock)).send(SMS)


async def test_files_are_for_their_owner_alone_and_the_console_shows_all(tmp_path: Path) -> None:
    await FileSender(tmp_path).send(SMS)
    [path] = tmp_path.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text())["text"] == SMS.text
    with pytest.raises(NotSent):
        await FileSender(tmp_path / "absent").send(SMS)
    console = io.StringIO()
    await ConsoleSender(console).send(SMS)
    assert SMS.text in console.getvalue()


REMOTE = {"host": "10.0.0.1", "tls_terminated": True, "issuer": "https://gateway.example",
          "proxy_addresses": "10.0.0.7", "proxy_secret_file": Path("secret")}  # fmt: skip


def chosen(**given: object) -> Senders:
    settings = Settings.from_environment({}, **given)
    return senders_of(settings, nobody, ResponseSigner(system_clock))


def test_a_gateway_on_loopback_shows_messages_on_its_console_and_another_one_sends_none() -> None:
    for channel in ("sms", "email"):
        chosen().require(channel, "/channel")
        with pytest.raises(Conflicting, match="channel_not_served"):
            chosen(**REMOTE).require(channel, "/channel")
    chosen(**REMOTE, **SMTP).require("email", "/channel")
    chosen(**REMOTE, sms_sender="https", sms_url="https://sms.example/").require("sms", "/channel")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (REMOTE | {"sms_sender": "console"}, "GATEWAY_SMS_SENDER"),
        (REMOTE | {"mail_sender": "console"}, "GATEWAY_MAIL_SENDER"),
        ({"issuer": "https://gateway.example", "mail_sender": "console"}, "GATEWAY_MAIL_SENDER"),
        ({"sms_sender": "smtp"}, "GATEWAY_SMS_SENDER"),
        ({"mail_sender": "https"}, "GATEWAY_MAIL_SENDER"),
        ({"mail_sender": "file"}, "GATEWAY_MESSAGES_DIR"),
        ({"sms_sender": "https"}, "GATEWAY_SMS_URL"),
        ({"sms_sender": "https", "sms_url": "http://sms.example/"}, "GATEWAY_SMS_URL"),
        (SMTP | {"smtp_host": ""}, "GATEWAY_SMTP_HOST"),
        (SMTP | {"smtp_from": ""}, "GATEWAY_SMTP_FROM"),
        (SMTP | {"smtp_tls": "maybe"}, "GATEWAY_SMTP_TLS"),
        (SMTP | {"smtp_tls": "none"}, "GATEWAY_SMTP_TLS"),
        (SMTP | {"smtp_user": "gateway"}, "GATEWAY_SMTP_PASSWORD_FILE"),
    ],
)
def test_a_sender_that_would_be_insecure_or_half_set_stops_the_start(given: dict[str, object], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        chosen(**given)
    assert refused.value.field == field
