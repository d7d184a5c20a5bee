"""The messages that persons get, in both languages. They name the member, carry no offer and nothing about anybody."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from gateway.consents.contacts import Address
from gateway.senders import Outgoing

LANGUAGES: Final = ("zh-CN", "en")


class Message(StrEnum):
    """What is said."""

    REQUEST = "request"
    GUARDIAN = "guardian"
    REMINDER = "reminder"
    SELF_SERVICE = "self_service"
    CODE = "code"


_WORDS: Final = MappingProxyType(
    {
        ("zh-CN", Message.REQUEST): (
            "请您决定是否同意",
            "【{member}】请您决定是否同意其向他人提供您的信息。未经您明确同意，不会提供。72小时内有效：{link}",
        ),
        ("zh-CN", Message.GUARDIAN): (
            "请您作为监护人决定是否同意",
            "【{member}】请您作为监护人决定是否同意其向他人提供孩子的信息。72小时内有效：{link}",
        ),
        ("zh-CN", Message.REMINDER): (
            "您尚未决定是否同意",
            "【{member}】提醒您（仅此一次）：您尚未决定是否同意其向他人提供您的信息。72小时内有效：{link}",
        ),
        ("zh-CN", Message.SELF_SERVICE): (
            "您的授权",
            "有人请求查看与此联系方式有关的授权。如非本人操作，请忽略。72小时内有效：{link}",
        ),
        ("zh-CN", Message.CODE): (
            "验证码",
            "验证码{code}，10分钟内有效。请勿告诉任何人，包括企业的工作人员。",
        ),
        ("en", Message.REQUEST): (
            "Your consent is asked for",
            (
                "{member} asks whether you consent to its sharing information about you. Without your yes it does not. "
                "Valid for 72 hours: {link}"
            ),
        ),
        ("en", Message.GUARDIAN): (
            "Your consent as a guardian is asked for",
            (
                "{member} asks whether you, as a guardian, consent to its sharing information about your child. "
                "Valid for 72 hours: {link}"
            ),
        ),
        ("en", Message.REMINDER): (
            "You have not decided yet",
            (
                "{member} reminds you, once: you have not decided whether it may share information about you. "
                "Valid for 72 hours: {link}"
            ),
        ),
        ("en", Message.SELF_SERVICE): (
            "Your consents",
            (
                "Somebody asked to see the consents that belong to this number or address. If it was not you, ignore "
                "this. Valid for 72 hours: {link}"
            ),
        ),
        ("en", Message.CODE): (
            "Your code",
            "Your code is {code}, valid for 10 minutes. Tell it to nobody, not even to staff.",
        ),
    }
)


def message(what: Message, language: str, to: Address, *, member: str = "", link: str = "", code: str = "") -> Outgoing:
    """One message, ready to be sent."""
    subject, text = _WORDS[language, what]
    return Outgoing(to.channel.value, to.text, subject, text.format(member=member, link=link, code=code))
