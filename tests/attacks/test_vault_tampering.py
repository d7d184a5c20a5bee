"""Whoever can write the database can destroy records; they cannot make one pass for another."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from gateway.vault.errors import KeysUnavailable, SealBroken
from gateway.vault.sealed import SealedRecord
from tests.vault.conftest import LAYOUT, House, clock, house, key_database, keyring, parse, provider  # noqa: F401


def split(record: SealedRecord) -> dict[bytes, bytes]:
    """Class number -> the whole class part."""
    parsed = parse(record.sealed)
    return {number: record.sealed[start - 6 : end] for number, (start, end) in parsed.parts.items()}


def joined(record: SealedRecord, parts: dict[bytes, bytes]) -> SealedRecord:
    return record._replace(sealed=record.sealed[:48] + b"".join(parts[number] for number in sorted(parts)))


def flipped(text: bytes, bit: int) -> bytes:
    altered = bytearray(text)
    altered[bit // 8] ^= 1 << bit % 8
    return bytes(altered)


async def test_every_bit_of_header_class_numbers_lengths_and_commitments_counts(house: House) -> None:  # noqa: F811
    record = await house.sealed()
    parsed = parse(record.sealed)
    places = list(range(48 * 8))
    for start, _ in parsed.parts.values():
        places += range((start - 6) * 8, (start + 32) * 8)
    assert len(places) == 384 + 3 * 38 * 8
    outcomes = await house.outcomes([record._replace(sealed=flipped(record.sealed, bit)) for bit in places])
    assert [place for place, outcome in zip(places, outcomes, strict=True) if not isinstance(outcome, SealBroken)] == []


async def test_every_byte_of_every_ciphertext_counts(house: House) -> None:  # noqa: F811
    record = await house.sealed()
    altered = [record._replace(sealed=flipped(record.sealed, at * 8 + at % 8)) for at in range(len(record.sealed))]
    outcomes = await house.outcomes(altered)
    assert [at for at, outcome in enumerate(outcomes) if not isinstance(outcome, SealBroken)] == []


OTHER_PLACES = {
    "alliance": {"alliance": "other"},
    "dataset": {"dataset": "other"},
    "schema": {"schema": "customers-2"},
    "purpose": {"purpose": "referrals"},
}


@pytest.mark.parametrize("part", OTHER_PLACES)
async def test_a_record_read_under_another_part_of_its_place_is_refused(house: House, part: str) -> None:  # noqa: F811
    """With a pseudonym, so that the subject key itself would be found."""
    record = await house.sealed(pseudonym="p1")
    other = replace(LAYOUT, **OTHER_PLACES[part])  # type: ignore[arg-type]
    with pytest.raises(SealBroken):
        await house.open([record], layout=other)
    assert await house.open([record])


async def test_a_record_of_another_owner_is_refused(house: House) -> None:  # noqa: F811
    """Both by the owner's keys, and by the context where the subject key is that owner's own."""
    record = await house.sealed(pseudonym="p1")
    hotel = replace(LAYOUT, owner="hotel")
    with pytest.raises(KeysUnavailable):
        await house.open([record], layout=hotel)
    misplaced = await house.sealed(layout=hotel, pseudonym="p1")
    theirs = record._replace(sealed=misplaced.sealed, id=misplaced.id)
    with pytest.raises(SealBroken):
        await house.open([theirs])


async def test_a_record_put_in_the_place_of_another_is_refused(house: House) -> None:  # noqa: F811
    one, two = await house.sealed(pseudonym="p1"), await house.sealed(pseudonym="p1")
    newer = await house.sealed(pseudonym="p1", record_id=one.id, version=2)
    another_subject = await house.sealed(pseudonym="p2")
    for moved in (
        one._replace(id=two.id),
        one._replace(sealed=two.sealed),
        newer._replace(sealed=one.sealed),
        one._replace(version=2),
        one._replace(sealed=another_subject.sealed),
    ):
        with pytest.raises(SealBroken):
            await house.open([moved])
    for mixed in (
        one._replace(pseudonym="p2"),
        one._replace(pseudonym=""),
        one._replace(wrapped=another_subject.wrapped),
        one._replace(subject_key_id=another_subject.subject_key_id),
        one._replace(key_version=2),
    ):
        with pytest.raises(KeysUnavailable):
            await house.open([mixed])
    foreign_key = one._replace(
        subject_key_id=another_subject.subject_key_id, wrapped=another_subject.wrapped, pseudonym="p2"
    )
    with pytest.raises(SealBroken, match="names another subject key"):
        await house.open([foreign_key])


def test_the_pseudonym_is_bound_even_under_one_subject_key() -> None:
    """The key's own scope already refuses it; the context does so by itself."""
    assert LAYOUT.context_hash(b"r" * 16, 1, "p1", b"\0\1") != LAYOUT.context_hash(b"r" * 16, 1, "p2", b"\0\1")


async def test_no_class_can_be_dropped_whatever_is_opened(house: House) -> None:  # noqa: F811
    record = await house.sealed()
    parts = split(record)
    assert len(parts) == 3
    tried = 0
    for size in (0, 1, 2):
        for kept in itertools.combinations(parts, size):
            for opened in LAYOUT.classes:
                with pytest.raises(SealBroken):
                    await house.open([joined(record, {n: parts[n] for n in kept})], classes=[opened], fields=[])
                tried += 1
    assert tried == 21


async def test_no_class_can_be_added_doubled_or_moved(house: House) -> None:  # noqa: F811
    without, whole = await house.sealed({"name": b"1"}), await house.sealed()
    parts, spare = split(whole), split(whole)[b"\0\7"]
    added = joined(without, {**split(without), b"\0\7": spare})
    renumbered = joined(whole, {**parts, b"\0\7": b"\0\x08" + spare[2:]})
    exchanged = joined(whole, {**parts, b"\0\1": b"\0\1" + parts[b"\0\2"][2:], b"\0\2": b"\0\2" + parts[b"\0\1"][2:]})
    doubled = whole._replace(sealed=whole.sealed + spare)
    disordered = whole._replace(sealed=whole.sealed[:48] + parts[b"\0\2"] + parts[b"\0\1"] + parts[b"\0\7"])
    for altered in (added, renumbered, exchanged, doubled, disordered):
        with pytest.raises(SealBroken):
            await house.open([altered])
    assert await house.open([whole, without])


async def test_a_class_of_another_record_of_the_same_subject_is_refused(house: House) -> None:  # noqa: F811
    one, two = await house.sealed(pseudonym="p1"), await house.sealed(pseudonym="p1")
    mixed = joined(one, {**split(one), b"\0\1": split(two)[b"\0\1"]})
    with pytest.raises(SealBroken):
        await house.open([mixed])


def _times(x: int, y: int) -> int:
    """Multiplication in GCM's field (NIST SP 800-38D section 6.3)."""
    product = 0
    for bit in range(127, -1, -1):
        if y >> bit & 1:
            product ^= x
        x = x >> 1 ^ (0xE1 << 120 if x & 1 else 0)
    return product


def _inverse(x: int) -> int:
    result, power = 1 << 127, x
    for _ in range(127):
        power = _times(power, power)
        result = _times(result, power)
    return result


def _parts(key: bytes, nonce: bytes) -> tuple[int, int]:
    """The hash key, and the mask of the tag."""
    blocks = Cipher(AES(key), ECB()).encryptor().update(bytes(16) + nonce + b"\0\0\0\1")
    return int.from_bytes(blocks[:16], "big"), int.from_bytes(blocks[16:], "big")


def two_key_ciphertext(one: bytes, other: bytes, nonce: bytes, aad: bytes, start: bytes) -> bytes:
    """A ciphertext (and tag) of 16 bytes more than `start` that AES-GCM opens under both keys.

    Its last block solves the one linear equation that says that both tags are equal.
    """
    blocks = [aad[at : at + 16].ljust(16, b"\0") for at in range(0, len(aad), 16)]
    blocks += [start[at : at + 16] for at in range(0, len(start), 16)]
    lengths = (len(aad) * 8 << 64) | (len(start) + 16) * 8
    (h1, m1), (h2, m2) = _parts(one, nonce), _parts(other, nonce)

    def constant(h: int, mask: int) -> int:
        total = 0
        for block in blocks:
            total = _times(total ^ int.from_bytes(block, "big"), h)
        return _times(_times(total, h) ^ lengths, h) ^ mask

    free = _times(constant(h1, m1) ^ constant(h2, m2), _inverse(_times(h1, h1) ^ _times(h2, h2)))
    tag = constant(h1, m1) ^ _times(_times(free, h1), h1)
    return start + free.to_bytes(16, "big") + tag.to_bytes(16, "big")


async def test_a_ciphertext_that_opens_under_two_keys_is_refused(house: House) -> None:  # noqa: F811
    """AES-GCM commits to no key: one ciphertext could tell two stories. The stored commitment ends that."""
    record, number = await house.sealed({"phone": b'"1"'}, pseudonym="p1"), b"\0\1"
    parsed, header = parse(record.sealed), record.sealed[:48]
    context = LAYOUT.context_hash(record.id, record.version, "p1", number)
    message = b"gw1\x01" + parsed.salt + number + context
    aad = header + number + b"\1"
    honest = (await house.subject_key("p1")).derive(message)
    foreign = (await house.subject_key("p2")).derive(message)
    wellformed = b"\0\1" + b"\0\3" + (56).to_bytes(4, "big") + b'"' + b"1" * 39
    start = AESGCM(honest[:32]).encrypt(bytes(12), wellformed, None)[:48]
    forged = two_key_ciphertext(honest[:32], foreign[:32], bytes(12), aad, start)
    stories = {AESGCM(key[:32]).decrypt(bytes(12), forged, aad) for key in (honest, foreign)}
    assert len(stories) == 2
    assert any(story.startswith(wellformed) for story in stories)
    with pytest.raises(InvalidTag):
        AESGCM(bytes(32)).decrypt(bytes(12), forged, aad)

    part = number + (32 + len(forged)).to_bytes(4, "big")
    refused = record._replace(sealed=header + part + foreign[32:] + forged)
    with pytest.raises(SealBroken, match="does not verify"):
        await house.open([refused])
