"""What every new record must say, whoever begins it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.consents.proposing import MOST_USES, check_new
from gateway.consents.record import LONGEST_TERM_S
from gateway.errors import Invalid
from tests.catalog.conftest import Shop
from tests.consents.desk import opened_desk

_CONTACT = {"kind": "contact", "fields": frozenset[str]()}


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        (_CONTACT | {"channels": frozenset({"fax"})}, "channels"),
        (_CONTACT | {"channels": frozenset({"sms", "fax"})}, "channels"),
        ({"language": "fr"}, "language"),
        ({"expires_after_s": 0}, "expires_at"),
        ({"expires_after_s": LONGEST_TERM_S + 1}, "expires_at"),
        ({"max_uses": 0}, "max_uses"),
        ({"max_uses": MOST_USES + 1}, "max_uses"),
        ({"origin": "page", "given_at": 1}, "given_at"),
        ({"origin": "offline", "given_at": None}, "given_at"),
        ({"age_band": "under_14", "turns_14_at": 1}, "turns_14_at"),
        ({"age_band": "under_14", "turns_14_at": None}, "turns_14_at"),
        ({"age_band": "adult", "turns_14_at": 2**40}, "turns_14_at"),
    ],
)
async def test_a_record_that_breaks_a_rule_is_refused_by_the_member_that_breaks_it(
    shop: Shop, changed: dict[str, Any], field: str
) -> None:
    desk = await opened_desk(shop)
    with pytest.raises(Invalid, match="invalid_consent") as refused:
        check_new(await desk.new(**changed), desk.now, "/consents/3")
    assert refused.value.field == f"/consents/3/{field}"


@pytest.mark.parametrize(
    "changed",
    [
        {},
        _CONTACT | {"channels": frozenset({"sms", "phone"})},
        {"expires_after_s": LONGEST_TERM_S, "max_uses": MOST_USES, "language": "zh-CN"},
        {"max_uses": 1},
        {"age_band": "under_14", "turns_14_at": 2**40},
        {"age_band": "14_to_17"},
    ],
)
async def test_a_record_that_keeps_them_begins(shop: Shop, changed: dict[str, Any]) -> None:
    desk = await opened_desk(shop)
    check_new(await desk.new(**changed), desk.now)
