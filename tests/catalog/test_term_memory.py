"""Index terms that an upload has computed before."""

from __future__ import annotations

import secrets

from gateway.catalog.dataset import Dataset
from gateway.catalog.sealing import TermMemory
from gateway.vault.keyring import MemberKeys
from gateway.vault.member_keys import Use
from tests.catalog.conftest import Shop


async def _declared(shop: Shop) -> Dataset:
    text = {"type": ["string", "null"], "x-class": "plane", "x-grade": 1, "x-filter": "equality", "maxLength": 20}
    return await shop.declare({"tail": text})


def _keys() -> MemberKeys:
    drawn = {use: {1: secrets.token_bytes(32)} for use in Use}
    return MemberKeys("m", drawn, dict.fromkeys(Use, 1), lambda: True)


async def test_a_term_is_remembered_under_its_keys_and_forgotten_under_others(shop: Shop) -> None:
    dataset = await _declared(shop)
    memory, keys, others = TermMemory(dataset), _keys(), _keys()
    term = memory.under(keys).term(3, b'"JFK"')
    assert term == keys.index_term(dataset.id, 3, "JFK") == memory.under(keys).term(3, b'"JFK"')
    assert memory.under(others).term(3, b'"JFK"') == others.index_term(dataset.id, 3, "JFK") != term


async def test_null_has_no_term_the_second_time_either(shop: Shop) -> None:
    memory = TermMemory(await _declared(shop)).under(_keys())
    assert (memory.term(3, b"null"), memory.term(3, b"null")) == (None, None)
