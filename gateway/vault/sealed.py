"""Format version 2 of a sealed record: what is stored in place of a member's data.

    header 48   magic "GW" 2, format 1 (2), suite 1 (1), member-key version 4, subject-key id 16, salt 24
    class part  class number 2, length 4 of what follows, commitment 32, ciphertext, tag 16

Parts stand in ascending order of class number. A class's plaintext is a count (2 bytes) and the numbers of its
fields (2 bytes each, ascending), then their values as JSON texts with a line feed between; zeros fill it up to its
bucket. JSON as it is kept here holds neither line feeds nor zeros, so both can be told from values. Per class,
HMAC-SHA512(subject key, "gw1", suite, salt, class number, SHA-256(context)) gives the AES-256-GCM key, used for
this one message, and the commitment that is compared before anything is decrypted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from itertools import compress, pairwise
from operator import itemgetter
from struct import Struct, error
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import Invalid
from gateway.vault.encoding import length_prefixed
from gateway.vault.errors import SealBroken
from gateway.vault.subject_key import ID_BYTES, SubjectKey, key_id_bytes

MAGIC, FORMAT, SUITE = b"GW", 2, 1
HEADER_BYTES, SALT_BYTES, COMMITMENT_BYTES, TAG_BYTES = 48, 24, 32, 16
LABEL = b"gw1" + bytes((SUITE,))
NONCE = bytes(12)
CLASS_OF_FIELDS = b"\x01"
_HEADER = Struct(">2sBBI16s24s")
KEY_ID, SALT = slice(8, 24), slice(24, HEADER_BYTES)
_KNOWN = MAGIC + bytes((FORMAT, SUITE))
_PART = Struct(">2sI")
_PART_HEAD = _PART.size
_LEAST_PART = COMMITMENT_BYTES + TAG_BYTES
_RECORD = Struct(">I16sIQI")
_ZERO = 0
"""The byte that fills a plaintext up. Looked for as a number: `b"\\0" in text` costs ten times as much."""
_MOST_FIELDS = 1023
_LARGEST = 65_535
_MOST_PLANS = 1024
_SMALL_BUCKETS, _STEP = (16, 32, 64), 128


def _head(numbers: Sequence[int]) -> bytes:
    """How a class's plaintext begins: the count, then the number of each field."""
    return b"".join([number.to_bytes(2) for number in (len(numbers), *numbers)])


@lru_cache(maxsize=4096)
def bucket(length: int) -> int:
    """The padded length: 16, 32, 64, 128, then whole steps of 128 bytes."""
    for size in _SMALL_BUCKETS:
        if length <= size:
            return size
    return -(-length // _STEP) * _STEP


def _getter(names: Sequence[str]) -> Callable[[Mapping[str, bytes]], Sequence[bytes]]:
    """Takes these from a mapping, as a tuple however many they are; a name that is absent is a `KeyError`."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: tuple([values[name] for name in names])


class ClassPlan:
    """One class's fields in ascending order of number, ready to be found in a row."""

    __slots__ = ("_all", "_head_of_all", "_names", "_numbers", "number")

    def __init__(self, number: bytes, numbers: list[int], names: list[str]) -> None:
        self.number = number
        self._numbers = numbers
        self._names = names
        self._all = _getter(names)
        self._head_of_all = _head(numbers)

    def found_in(self, values: Mapping[str, bytes]) -> tuple[bytes, Sequence[bytes]]:
        """Head and values of the class's fields that the row has; most rows have all of them."""
        try:
            return self._head_of_all, self._all(values)
        except KeyError:
            pass
        found = [(no, values[name]) for no, name in zip(self._numbers, self._names, strict=True) if name in values]
        return _head([no for no, _ in found]), [value for _, value in found]


@dataclass(frozen=True, slots=True)
class Layout:
    """How one dataset's records are sealed: its place, its classes and their fields.

    `classes`: class name -> number; `fields`: field name -> (field number, class name). Numbers are 0..65535 and
    keep their meaning within a schema for ever. Building one prepares what each record needs: keep it.
    """

    alliance: str
    owner: str
    dataset: str
    schema: str
    classes: Mapping[str, int]
    fields: Mapping[str, tuple[int, str]]
    purpose: str = "records"
    plan: tuple[ClassPlan, ...] = field(init=False, repr=False, compare=False)
    labels: Mapping[str, bytes] = field(init=False, repr=False, compare=False)
    _before: bytes = field(init=False, repr=False, compare=False)
    _after: dict[bytes, bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        numbers = [number for number, _ in self.fields.values()]
        for what, used in (("classes", list(self.classes.values())), ("fields", numbers)):
            if len(set(used)) != len(used) or not all(0 <= number <= _LARGEST for number in used):
                raise Invalid("invalid_layout", "Numbers are 0..65535, each used once.", field=what)
        if not {name for _, name in self.fields.values()} <= set(self.classes) or len(self.fields) > _MOST_FIELDS:
            raise Invalid("invalid_layout", "A field names no class of the layout, or there are too many.")
        place = (self.alliance.encode(), self.owner.encode(), self.dataset.encode())
        object.__setattr__(self, "plan", tuple(self._class_plan(*item) for item in self._classes_by_number()))
        object.__setattr__(self, "labels", {name: json.dumps(name).encode() + b":" for name in self.fields})
        object.__setattr__(self, "_before", length_prefixed(bytes((FORMAT,)), *place))
        object.__setattr__(self, "_after", {})

    def _classes_by_number(self) -> list[tuple[str, int]]:
        return sorted(self.classes.items(), key=lambda item: item[1])

    def _class_plan(self, name: str, number: int) -> ClassPlan:
        members = sorted((no, field_name) for field_name, (no, of) in self.fields.items() if of == name)
        return ClassPlan(number.to_bytes(2, "big"), [no for no, _ in members], [member for _, member in members])

    def context_hash(self, record_id: bytes, version: int, pseudonym: str, present: bytes) -> bytes:
        """SHA-256 of the whole context, each part length-prefixed.

        Format, alliance, owner, dataset, record id (16 bytes), version, pseudonym, schema, the sorted numbers of
        the classes present (`present`: 2 bytes each), purpose.
        """
        after = self._after.get(present)
        if after is None:
            after = length_prefixed(self.schema.encode(), present, self.purpose.encode())
            if len(self._after) < _LARGEST:
                self._after[present] = after
        if len(record_id) != ID_BYTES:
            raise Invalid("invalid_record_id", "A record id is 16 bytes.", field="record_id")
        who = pseudonym.encode()
        middle = _RECORD.pack(16, record_id, 8, version, len(who))
        return sha256(self._before + middle + who + after).digest()

    def encode(self, values: Mapping[str, bytes]) -> list[tuple[bytes, bytes]]:
        """(class number as 2 bytes, padded plaintext) of every class that has a value, in ascending order."""
        classes: list[tuple[bytes, bytes]] = []
        left = len(values)
        for of_class in self.plan:
            head, texts = of_class.found_in(values)
            if count := len(texts):
                left -= count
                joined = b"\n".join(texts)
                if joined.count(b"\n") != count - 1 or _ZERO in joined or b"" in texts:
                    raise Invalid("invalid_record", "A value is no JSON text on one line.")
                text = head + joined
                classes.append((of_class.number, text.ljust(bucket(len(text)), b"\0")))
        if left or not classes:
            raise Invalid("invalid_record", "A record has no value, or one that is absent or not in its layout.")
        return classes

    def sealer(self, subject_key: SubjectKey) -> Sealer:
        """Seals many records under one subject key."""
        return Sealer(self, subject_key)


class SealedRecord(NamedTuple):
    """One stored record with its subject key's row, both just read in one snapshot."""

    id: bytes
    version: int
    pseudonym: str
    sealed: bytes
    subject_key_id: str
    wrapped: bytes
    key_version: int


def refs(records: Iterable[SealedRecord]) -> list[str]:
    """`id@version` of each, as entries name records."""
    return ["%s@%d" % (record[0].hex(), record[1]) for record in records]  # noqa: UP031 - a fifth faster


class Sealer:
    """Seals records of one layout under one subject key, for one batch."""

    __slots__ = ("_head", "_key", "_layout")

    def __init__(self, layout: Layout, subject_key: SubjectKey) -> None:
        self._layout = layout
        self._key = subject_key
        self._head = _HEADER.pack(MAGIC, FORMAT, SUITE, subject_key.version, key_id_bytes(subject_key.id), b"")[:24]

    def seal(self, record_id: bytes, version: int, pseudonym: str, values: Mapping[str, bytes]) -> bytes:
        """Seal one record: one ciphertext per class that has a value, with a new salt, hence new keys, at every call.

        `record_id`: 16 random bytes; `version`: 0..2**64-1, never used twice for one record; `pseudonym`: '' without a
        subject; `values`: field name -> the value as one JSON text on one line, absent fields absent. `Invalid` when a
        field is not in the layout or there is no value.
        """
        layout, derive = self._layout, self._key.derive
        classes = layout.encode(values)
        salt = os.urandom(SALT_BYTES)
        header, salted = self._head + salt, LABEL + salt
        context = layout.context_hash(record_id, version, pseudonym, b"".join([number for number, _ in classes]))
        parts = [header]
        for number, plaintext in classes:
            material = derive(salted + number + context)
            ciphertext = AESGCM(material[:32]).encrypt(NONCE, plaintext, header + number + CLASS_OF_FIELDS)
            parts += (_PART.pack(number, COMMITMENT_BYTES + len(ciphertext)), material[32:], ciphertext)
        return b"".join(parts)

    def __repr__(self) -> str:
        return f"Sealer({self._layout.dataset}, key not shown)"


def parts_of(sealed: bytes) -> tuple[bytes, bytes, dict[bytes, tuple[int, int]]]:
    """A sealed record taken apart: its header, the numbers of its classes, and where each is; nothing is verified yet.

    The numbers are 2 bytes each in ascending order; each leads to where its commitment starts and its ciphertext
    ends. `SealBroken`: unknown format or suite, lengths or order that do not fit.
    """
    if not sealed.startswith(_KNOWN):
        raise SealBroken("A sealed record is of a format that this gateway does not know.")
    parts: dict[bytes, tuple[int, int]] = {}
    at, end, last = HEADER_BYTES, len(sealed), b""
    try:
        while at != end:
            number, length = _PART.unpack_from(sealed, at)
            start = at + _PART_HEAD
            at = start + length
            if number <= last or at > end or length <= _LEAST_PART:
                raise SealBroken
            parts[number] = (start, at)
            last = number
    except error:
        raise SealBroken from None
    if not parts:
        raise SealBroken
    return sealed[:HEADER_BYTES], b"".join(parts), parts


class Granted:
    """Which fields of opened classes are handed out, with the labels that go before their values."""

    __slots__ = ("_labels", "_plans")

    def __init__(self, labels: Mapping[int, bytes]) -> None:
        self._labels = labels
        self._plans: dict[bytes, _Plan] = {}

    def fields_of(self, plaintext: bytes) -> bytes:
        """Label and value of each granted field, with commas between; `SealBroken` unless canonical."""
        start = 2 + 2 * int.from_bytes(plaintext[:2])
        text, count, granted = self._plans.get(plaintext[:start]) or self._plan(plaintext[:start], start)
        joined = plaintext[start:].rstrip(b"\0")
        values = joined.split(b"\n")
        if len(values) != count or b"" in values or _ZERO in joined or bucket(start + len(joined)) != len(plaintext):
            raise SealBroken
        return text % tuple(values if granted is None else compress(values, granted))

    def _plan(self, head: bytes, length: int) -> _Plan:
        """How a class whose plaintext begins like this is written; most records of a dataset have the same."""
        numbers = [int.from_bytes(head[at : at + 2]) for at in range(2, len(head), 2)]
        if len(head) != length or not numbers or any(before >= after for before, after in pairwise(numbers)):
            raise SealBroken
        granted = [number in self._labels for number in numbers]
        labels = [self._labels[number].replace(b"%", b"%%") for number in compress(numbers, granted)]
        text = b",".join([label + b"%b" for label in labels])
        plan = text, len(numbers), None if all(granted) else granted
        if len(self._plans) < _MOST_PLANS:
            self._plans[head] = plan
        return plan


_Plan = tuple[bytes, int, list[bool] | None]
"""The granted fields' labels with a place for each value; how many fields; which of them (None: all)."""
