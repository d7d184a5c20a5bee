from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import Invalid
from gateway.vault.errors import SealBroken
from gateway.vault.sealed import Granted, Layout, SealedRecord, bucket
from gateway.vault.subject_key import SubjectKey

from .conftest import LAYOUT, VALUES, House, parse

GOLDEN = json.loads((Path(__file__).parent / "golden/format-2.json").read_text())
KEY = SubjectKey("ab" * 16, 3, b"k" * 32)
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=200),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


def sealed(values: dict[str, bytes] | None = None, layout: Layout = LAYOUT) -> bytes:
    return layout.sealer(KEY).seal(b"r" * 16, 1, "p", VALUES if values is None else values)


@given(st.dictionaries(st.sampled_from(sorted(LAYOUT.fields)), JSON_VALUES, min_size=1), st.text("0123456789abcdef"))
@FEW
async def test_what_is_sealed_opens_to_the_same_values(house: House, values: dict[str, object], who: str) -> None:
    texts = {name: json.dumps(value).encode() for name, value in values.items()}
    record = await house.sealed(texts, pseudonym=who)
    assert json.loads((await house.open([record]))[0]) == values


def test_the_header_is_48_bytes_and_each_class_has_54_of_its_own() -> None:
    text = sealed()
    assert text[:4] == b"GW\x02\x01"
    assert (parse(text).key_version, parse(text).key_id) == (3, "ab" * 16)
    plaintexts = sum(len(plaintext) for _, plaintext in LAYOUT.encode(VALUES))
    assert len(text) == 48 + 3 * (2 + 4 + 32 + 16) + plaintexts


@pytest.mark.parametrize(
    ("length", "padded"),
    [(1, 16), (16, 16), (17, 32), (33, 64), (64, 64), (65, 128), (128, 128), (129, 256), (256, 256), (257, 384)],
)
def test_lengths_are_hidden_in_buckets(length: int, padded: int) -> None:
    assert bucket(length) == padded


def test_values_of_one_bucket_are_sealed_to_one_length() -> None:
    assert len({len(sealed({"name": b'"' + b"x" * n + b'"'})) for n in range(11, 23)}) == 1


def test_records_that_all_have_other_fields_fill_no_memory() -> None:
    """Each combination of optional fields has a plan of its own, and there are more of those than memory."""
    layout = replace(LAYOUT, fields={f"f{number}": (number, "contact") for number in range(12)})
    granted = Granted({number: layout.labels[f"f{number}"] for number in range(12)})
    for present in range(1, 2**12):
        values = {f"f{number}": b"%d" % number for number in range(12) if present >> number & 1}
        [(_, plaintext)] = layout.encode(values)
        assert json.loads(b"{%b}" % granted.fields_of(plaintext)) == {name: int(text) for name, text in values.items()}
    assert len(granted._plans) <= 1024


def test_a_class_without_a_value_is_not_there() -> None:
    assert parse(sealed({"phone": b"1"})).present == b"\0\1"
    assert parse(sealed()).present == b"\0\1\0\2\0\7"


def test_sealing_twice_repeats_no_salt_no_commitment_and_no_ciphertext() -> None:
    seen: set[bytes] = set()
    for _ in range(200):
        text = sealed()
        parsed = parse(text)
        pieces = [parsed.salt]
        for start, end in parsed.parts.values():
            pieces += [text[start : start + 32], text[start + 32 : end]]
        assert len(pieces) == 7
        assert not seen & set(pieces)
        seen |= set(pieces)


def test_the_classes_of_one_record_have_different_keys() -> None:
    layout = replace(LAYOUT, fields={"a": (1, "contact"), "b": (2, "profile")})
    parsed = parse(sealed({"a": b"1", "b": b"1"}, layout))
    assert len({KEY.derive(b"gw1\x01" + parsed.salt + number + bytes(32)) for number in parsed.parts}) == 2


@pytest.mark.parametrize("values", [{}, {"unknown": b"1"}, {**VALUES, "unknown": b"1"}])
def test_a_record_without_values_or_with_a_field_outside_its_layout_is_refused(values: dict[str, bytes]) -> None:
    with pytest.raises(Invalid) as refusal:
        sealed(values)
    assert "UNIQUE" not in str(refusal.value)


@pytest.mark.parametrize("record_id", [b"", b"r" * 15, b"r" * 17])
def test_a_record_id_that_is_not_16_bytes_is_refused(record_id: bytes) -> None:
    with pytest.raises(Invalid):
        LAYOUT.sealer(KEY).seal(record_id, 1, "", VALUES)


@pytest.mark.parametrize(
    "change",
    [
        {"classes": {"contact": 1, "profile": 1, "identity": 7}},
        {"classes": {"contact": 1, "profile": 2, "identity": 65_536}},
        {"classes": {"contact": -1, "profile": 2, "identity": 7}},
        {"classes": {"contact": 1}},
        {"fields": {"a": (1, "contact"), "b": (1, "profile")}},
        {"fields": {"a": (65_536, "contact")}},
        {"fields": {f"f{n}": (n, "contact") for n in range(1024)}},
    ],
)
def test_a_layout_that_could_mean_two_things_is_refused(change: dict[str, dict[str, object]]) -> None:
    with pytest.raises(Invalid):
        replace(LAYOUT, **change)  # type: ignore[arg-type]


CONTEXT = st.tuples(
    st.text(max_size=3), st.text(max_size=3), st.text(max_size=3), st.binary(min_size=16, max_size=16),
    st.integers(0, 2**64 - 1), st.text(max_size=3), st.text(max_size=3), st.sets(st.integers(0, 9), max_size=3),
    st.text(max_size=3),
)  # fmt: skip


def context(parts: tuple[str, str, str, bytes, int, str, str, set[int], str]) -> bytes:
    alliance, owner, dataset, record_id, version, pseudonym, schema, present, purpose = parts
    layout = Layout(alliance, owner, dataset, schema, {}, {}, purpose)
    numbers = b"".join(number.to_bytes(2, "big") for number in sorted(present))
    return layout.context_hash(record_id, version, pseudonym, numbers)


@given(CONTEXT, CONTEXT, st.integers(0, 8))
@settings(max_examples=150, deadline=None)
def test_contexts_are_equal_only_if_every_part_is(one: tuple, other: tuple, at: int) -> None:  # type: ignore[type-arg]
    assert (context(one) == context(other)) == (one == other)
    mixed = (*one[:at], other[at], *one[at + 1 :])
    assert (context(one) == context(mixed)) == (one == mixed)


@given(st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_arbitrary_bytes_are_refused_by_the_parsers_in_one_way(noise: bytes) -> None:
    for text in (noise, b"GW\x02\x01" + noise):
        with pytest.raises(SealBroken):
            parse(text)


@pytest.mark.parametrize(
    "plaintext",
    [
        b"\0\2" + b"\0\1\0\1" + b"x\ny",
        b"\0\2" + b"\0\2\0\1" + b"x\ny",
        b"\0\2" + b"\0\1\0\2" + b"x",
        b"\0\2" + b"\0\1\0\2" + b"x\n",
        b"\0\2" + b"\0\1\0\2" + b"x\ny\nz",
        b"\0\1" + b"\0\1" + b"x" + b"\0\0\0\0\0\0\1",
        b"\0\1" + b"\0\1" + b"x" + bytes(23),
        b"\0\1" + b"\0\1",
        b"\0\x09" + b"\0\1" + b"x" + bytes(7),
        b"\0\0" + b"x",
        b"\0",
        b"",
    ],
)
def test_a_class_plaintext_that_is_not_canonical_is_refused(plaintext: bytes) -> None:
    with pytest.raises(SealBroken):
        Granted({1: b"a", 2: b"b"}).fields_of(plaintext.ljust(16, b"\0") if plaintext else b"")


def test_a_truncated_record_is_refused_at_every_length() -> None:
    text = sealed({"phone": b"1"})
    for length in range(len(text)):
        with pytest.raises(SealBroken):
            parse(text[:length])


@pytest.mark.parametrize("value", [b"", b"[\n1]", b'"\0"', b"1\n2"])
def test_a_value_that_is_no_json_text_on_one_line_is_not_sealed(value: bytes) -> None:
    with pytest.raises(Invalid):
        sealed({"name": b"1", "city": value})


def test_a_record_of_another_format_is_refused_by_name() -> None:
    with pytest.raises(SealBroken, match="format"):
        parse(b"GW\x01" + sealed()[3:])


async def test_the_golden_record_of_format_2_still_opens(house: House) -> None:
    """Kept for ever: a gateway that cannot read this file cannot read what was sealed in 2026."""
    layout = Layout(**{**GOLDEN["layout"], "fields": {n: tuple(f) for n, f in GOLDEN["layout"]["fields"].items()}})
    bank = await house.keyring.unlock("bank")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.urandom", lambda size: bytes.fromhex(GOLDEN["subject_key"])[:size])
        row = bank.new_subject_key(GOLDEN["key_id"], GOLDEN["pseudonym"])
    record = SealedRecord(
        bytes.fromhex(GOLDEN["record_id"]),
        GOLDEN["version"],
        GOLDEN["pseudonym"],
        bytes.fromhex(GOLDEN["sealed"]),
        row.key_id,
        row.wrapped,
        row.version,
    )
    assert json.loads((await house.open([record], layout=layout))[0]) == GOLDEN["values"]


def test_format_2_can_be_opened_from_its_description_alone() -> None:
    """An independent reading of the page that describes the format, with `hmac` and `AESGCM` only."""
    import hashlib
    import hmac

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    def prefixed(*parts: bytes) -> bytes:
        return b"".join(len(part).to_bytes(4, "big") + part for part in parts)

    text, layout = bytes.fromhex(GOLDEN["sealed"]), GOLDEN["layout"]
    header, rest, parts = text[:48], text[48:], []
    found: dict[str, object] = {}
    while rest:
        length = int.from_bytes(rest[2:6], "big")
        parts.append((rest[:2], rest[6:38], rest[38 : 6 + length]))
        rest = rest[6 + length :]
    context = hashlib.sha256(
        prefixed(
            b"\2",
            layout["alliance"].encode(),
            layout["owner"].encode(),
            layout["dataset"].encode(),
            bytes.fromhex(GOLDEN["record_id"]),
            GOLDEN["version"].to_bytes(8, "big"),
            GOLDEN["pseudonym"].encode(),
            layout["schema"].encode(),
            b"".join(number for number, _, _ in parts),
            layout["purpose"].encode(),
        )
    ).digest()
    names = {number: name for name, (number, _) in layout["fields"].items()}
    for number, commitment, ciphertext in parts:
        message = b"gw1\x01" + header[24:] + number + context
        material = hmac.digest(bytes.fromhex(GOLDEN["subject_key"]), message, "sha512")
        assert material[32:] == commitment
        aad = header + number + b"\1"
        plain = AESGCM(material[:32]).decrypt(bytes(12), ciphertext, aad)
        count = int.from_bytes(plain[:2], "big")
        numbers = [int.from_bytes(plain[at : at + 2], "big") for at in range(2, 2 + 2 * count, 2)]
        texts = plain[2 + 2 * count :].rstrip(b"\0").split(b"\n")
        found |= {names[field]: json.loads(text) for field, text in zip(numbers, texts, strict=True)}
    assert found == GOLDEN["values"]
    assert len(parts) == 3
