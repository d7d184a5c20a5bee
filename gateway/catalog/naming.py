"""Names of fields and columns that say that they are about a person, in English and Chinese."""

from __future__ import annotations

import re
from typing import Final

from gateway.catalog.schema import Field

_IDENTITY: Final = re.compile(
    r"(?:^|_)(?:id_?card|identity_(?:card|no|number)|resident_id|passport(?:_no|_number)?|"
    r"(?:customer|client|guest|passenger|cardholder|patient)_(?:name|phone|mobile|email|e_mail|tel|telephone|address|id_number))(?:_|$)"
)
_IDENTITY_WORDS: Final = ("身份证", "护照", "客户姓名", "客户电话", "客户手机", "旅客姓名", "会员姓名", "持卡人")
_CONTACT: Final = re.compile(
    r"(?:^|_)(?:phone|mobile|cell|cellphone|tel|telephone|email|e_mail|mail|wechat|contact|id_number)(?:_|$)"
)
_CONTACT_WORDS: Final = ("手机", "电话", "邮箱", "电子邮件", "微信", "联系人", "联系方式")


def names_an_identity(one: Field) -> bool:
    """Whether the field is declared as a person's: nothing of the kind belongs into market or product data."""
    texts = _texts(one)
    return bool(_IDENTITY.search(_words(one.name))) or any(word in text for text in texts for word in _IDENTITY_WORDS)


def names_a_contact(one: Field) -> bool:
    """Whether the name says how somebody is reached: a company's hotline may, a person's number may not stand there."""
    words = [_words(one.name), _words(one.column)]
    return any(_CONTACT.search(word) for word in words) or any(
        word in text for text in _texts(one) for word in _CONTACT_WORDS
    )


def _texts(one: Field) -> list[str]:
    return [one.column, str(one.keywords.get("title", ""))]


def _words(name: str) -> str:
    """The words of a name, joined by `_`: `Customer-Phone` and `customerPhone` as `customer_phone`."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
