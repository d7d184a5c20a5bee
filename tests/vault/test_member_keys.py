from __future__ import annotations

import asyncio
import copy
import pickle

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import Invalid
from gateway.identifiers import random_id
from gateway.vault.encoding import length_prefixed
from gateway.vault.errors import KeysUnavailable, SealBroken
from gateway.vault.keyring import KeyRing
from gateway.vault.subject_key import SubjectKeyWrap

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PARTS = st.lists(st.binary(max_size=6), max_size=5)


@given(PARTS, PARTS)
@FEW
def test_the_encoding_is_injective(one: list[bytes], other: list[bytes]) -> None:
    assert (length_prefixed(*one) == length_prefixed(*other)) == (one == other)


@given(PARTS)
@FEW
def test_the_encoding_can_be_read_back(parts: list[bytes]) -> None:
    encoded, read = length_prefixed(*parts), []
    while encoded:
        length = int.from_bytes(encoded[:4], "big")
        read.append(encoded[4 : 4 + length])
        encoded = encoded[4 + length :]
    assert read == parts


async def test_one_subject_has_one_pseudonym_within_a_member_and_another_elsewhere(keyring: KeyRing) -> None:
    bank, hotel = await keyring.unlock("bank"), await keyring.unlock("hotel")
    assert bank.pseudonym("C-1001") == bank.pseudonym("C-1001")
    assert bank.pseudonym("C-1001") != bank.pseudonym("C-1002")
    assert bank.pseudonym("C-1001") != hotel.pseudonym("C-1001")
    assert len(bytes.fromhex(bank.pseudonym("C-1001"))) == 32


@pytest.mark.parametrize("written", ["Ｃ－１００１", " C-1001\u3000", "\tC-1001\n", "C-１００１"])
async def test_full_width_digits_and_surrounding_space_do_not_split_a_subject(keyring: KeyRing, written: str) -> None:
    bank = await keyring.unlock("bank")
    assert bank.pseudonym(written) == bank.pseudonym("C-1001")


@pytest.mark.parametrize("empty", ["", " ", "\u3000\t"])
async def test_an_empty_subject_is_refused(keyring: KeyRing, empty: str) -> None:
    with pytest.raises(Invalid, match="invalid_subject"):
        (await keyring.unlock("bank")).pseudonym(empty)


async def test_a_lone_surrogate_is_refused_without_being_quoted(keyring: KeyRing) -> None:
    bank = await keyring.unlock("bank")
    for call in (bank.pseudonym, lambda text: bank.index_term("d", 1, text)):
        with pytest.raises(Invalid) as refusal:
            call("ab\ud800")
        assert "ab" not in str(refusal.value)
        assert refusal.value.__cause__ is None
        assert refusal.value.__suppress_context__


async def test_index_terms_are_equal_for_equal_text_of_one_field_and_for_nothing_else(keyring: KeyRing) -> None:
    bank, hotel = await keyring.unlock("bank"), await keyring.unlock("hotel")
    term = bank.index_term("flights", 3, "JFK")
    assert len(term) == 16
    assert term == bank.index_term("flights", 3, "jfk") == bank.index_term("flights", 3, "ＪＦＫ")
    others = [
        bank.index_term("flights", 4, "JFK"),
        bank.index_term("planes", 3, "JFK"),
        bank.index_term("flights", 3, "LGA"),
        hotel.index_term("flights", 3, "JFK"),
    ]
    assert len({term, *others}) == 5


@given(st.text(st.characters(codec="utf-8"), max_size=20))
@FEW
async def test_folding_text_again_gives_the_same_term(keyring: KeyRing, text: str) -> None:
    bank = await keyring.unlock("bank")
    term = bank.index_term("d", 1, text)
    assert term == bank.index_term("d", 1, text.casefold())
    assert bank.index_term("d", 1, "Straße") == bank.index_term("d", 1, "STRASSE")


async def test_a_subject_key_opens_only_under_its_own_id_scope_version_and_member(keyring: KeyRing) -> None:
    bank, hotel = await keyring.unlock("bank"), await keyring.unlock("hotel")
    stored = bank.new_subject_key(random_id(), "dataset:one")
    message = b"m" * 64
    assert bank.unwrap_subject_key(stored).derive(message) == bank.unwrap_subject_key(stored).derive(message)
    other = bank.new_subject_key(random_id(), "dataset:one")
    moved = [
        (bank, stored._replace(scope="dataset:two")),
        (bank, stored._replace(key_id=other.key_id)),
        (bank, stored._replace(version=2)),
        (bank, stored._replace(wrapped=other.wrapped)),
        (bank, stored._replace(wrapped=stored.wrapped[:16] + b"\0\0\0\2" + stored.wrapped[20:])),
        (hotel, stored),
    ]
    for keys, row in moved:
        with pytest.raises(KeysUnavailable):
            keys.unwrap_subject_key(row)


def test_the_member_is_bound_even_under_one_wrapping_key() -> None:
    stored = SubjectKeyWrap("bank", 1, b"k" * 32).wrap_new("ab" * 16, "p1")
    assert SubjectKeyWrap("bank", 1, b"k" * 32).unwrap("ab" * 16, "p1", stored.wrapped)
    with pytest.raises(KeysUnavailable):
        SubjectKeyWrap("hotel", 1, b"k" * 32).unwrap("ab" * 16, "p1", stored.wrapped)


async def test_every_altered_bit_of_a_wrapped_subject_key_is_refused(keyring: KeyRing) -> None:
    bank = await keyring.unlock("bank")
    stored = bank.new_subject_key(random_id(), "dataset:one")
    assert len(stored.wrapped) == 96
    for bit in range(len(stored.wrapped) * 8):
        altered = bytearray(stored.wrapped)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(KeysUnavailable):
            bank.unwrap_subject_key(stored._replace(wrapped=bytes(altered)))
    for length in range(len(stored.wrapped)):
        with pytest.raises(KeysUnavailable):
            bank.unwrap_subject_key(stored._replace(wrapped=stored.wrapped[:length]))


async def test_subject_keys_are_random_even_for_one_id_and_scope(keyring: KeyRing) -> None:
    bank, key_id = await keyring.unlock("bank"), random_id()
    derived = {
        bank.unwrap_subject_key(bank.new_subject_key(key_id, "dataset:one")).derive(b"m" * 64) for _ in range(50)
    }
    assert len(derived) == 50


@pytest.mark.parametrize("key_id", ["", "ab", "AB" * 16, "zz" * 16, "ab" * 17, "a b" * 11])
async def test_a_key_id_that_is_no_id_is_refused(keyring: KeyRing, key_id: str) -> None:
    with pytest.raises(Invalid):
        (await keyring.unlock("bank")).new_subject_key(key_id, "dataset:one")


async def test_a_subject_key_without_scope_is_refused(keyring: KeyRing) -> None:
    with pytest.raises(Invalid):
        (await keyring.unlock("bank")).new_subject_key(random_id(), "")


async def test_a_sealed_detail_opens_with_its_own_context_alone(keyring: KeyRing) -> None:
    bank, hotel = await keyring.unlock("bank"), await keyring.unlock("hotel")
    sealed = bank.seal_detail(b'{"origin":"JFK"}', b"entry 1")
    assert sealed.keys() == {"key_id", "nonce", "ciphertext"}
    assert bank.open_detail(sealed, b"entry 1") == b'{"origin":"JFK"}'
    again = bank.seal_detail(b'{"origin":"JFK"}', b"entry 1")
    wrong = [
        (hotel, sealed, b"entry 1"),
        (bank, sealed, b"entry 2"),
        (bank, {**sealed, "nonce": again["nonce"]}, b"entry 1"),
        (bank, {**sealed, "nonce": ""}, b"entry 1"),
        (bank, {**sealed, "ciphertext": again["ciphertext"]}, b"entry 1"),
        (bank, {**sealed, "ciphertext": "%"}, b"entry 1"),
        (bank, {**sealed, "key_id": "wrap-1"}, b"entry 1"),
        (bank, {**sealed, "key_id": "audit-x"}, b"entry 1"),
        (bank, {}, b"entry 1"),
    ]
    for keys, altered, aad in wrong:
        with pytest.raises(SealBroken):
            keys.open_detail(altered, aad)
    with pytest.raises(KeysUnavailable):
        bank.open_detail({**sealed, "key_id": "audit-2"}, b"entry 1")


async def test_details_that_several_threads_seal_under_one_key_open_again(keyring: KeyRing) -> None:
    bank = await keyring.unlock("bank")

    def open_what_is_sealed(thread: int) -> set[bytes]:
        aad = b"entry %d" % thread
        return {bank.open_detail(bank.seal_detail(aad, aad), aad) for _ in range(200)}

    opened = await asyncio.gather(*(asyncio.to_thread(open_what_is_sealed, thread) for thread in range(4)))
    assert opened == [{b"entry %d" % thread} for thread in range(4)]


async def test_keys_are_neither_printed_nor_pickled_nor_copied(keyring: KeyRing) -> None:
    bank = await keyring.unlock("bank")
    subject = bank.unwrap_subject_key(bank.new_subject_key(random_id(), "dataset:one"))
    for key in (bank, subject):
        assert "not shown" in repr(key)
        for leak in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError):
                leak(key)
    assert "not shown" in repr(keyring)
