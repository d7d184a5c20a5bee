"""Opening: the only place where sealed fields become readable, and only against a warrant."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hmac import compare_digest
from itertools import groupby, islice
from operator import itemgetter

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import Invalid
from gateway.ledger import OpeningGroup, Warrant, WarrantRejected
from gateway.vault.errors import SealBroken
from gateway.vault.keyring import KeyRing
from gateway.vault.member_keys import MemberKeys
from gateway.vault.sealed import (
    CLASS_OF_FIELDS,
    COMMITMENT_BYTES,
    KEY_ID,
    LABEL,
    NONCE,
    SALT,
    Granted,
    Layout,
    SealedRecord,
    parts_of,
    refs,
)
from gateway.vault.subject_key import DATASET_SCOPE, SubjectKey, WrappedSubjectKey

_AT_ONCE = 128
_MOST_REMEMBERED = 1024


class Vault:
    """Opens what a warrant names: each record's own classes, once, without the fields that were not granted."""

    def __init__(self, keyring: KeyRing) -> None:
        self._keyring = keyring
        self._openings: dict[tuple[str, tuple[str, ...], tuple[str, ...]], _Opening] = {}

    async def open(self, layout: Layout, records: Sequence[SealedRecord], warrant: Warrant) -> list[bytes]:
        """One JSON object per record, in order, holding exactly the warrant's fields that the record has.

        The warrant is redeemed first and is spent whatever follows. Raises `WarrantRejected` (none of the ledger's,
        spent, late, or for other records), `KeysUnavailable`, `SealBroken`; then nothing at all is returned.
        """
        if type(warrant) is not Warrant:
            raise WarrantRejected("only the ledger mints warrants")
        groups = warrant.redeem(layout.dataset, refs(records))
        subject_keys = _SubjectKeys(await self._keyring.unlock(layout.owner), layout)
        opened: list[bytes] = []
        left = iter(records)
        for group in groups:
            open_one = self._opening(layout, group).open
            of_group = islice(left, len(group.records))
            while batch := list(islice(of_group, _AT_ONCE)):
                for row, alike in groupby(batch, key=_key_row):
                    key = subject_keys.of(row)
                    opened += [open_one(record, key) for record in alike]
                if len(batch) == _AT_ONCE:
                    await asyncio.sleep(0)
        return opened

    def _opening(self, layout: Layout, group: OpeningGroup) -> _Opening:
        """How the group opens; groups of one layout, classes and fields open alike."""
        key = (layout.dataset, group.classes, group.fields)
        known = self._openings.get(key)
        if known is None or known.layout is not layout:
            if len(self._openings) >= _MOST_REMEMBERED:
                self._openings.clear()
            known = self._openings[key] = _Opening(layout, group)
        return known


_KeyRow = tuple[str, str, bytes, int]
"""What of a record finds its subject key: pseudonym, key id, wrapped key, version of the wrapping key."""

_key_row = itemgetter(2, 4, 5, 6)


class _SubjectKeys:
    """The subject keys of one call: each unwrapped once from the row that came with its record, then dropped."""

    __slots__ = ("_dataset", "_keys", "_unwrapped")

    def __init__(self, keys: MemberKeys, layout: Layout) -> None:
        self._keys = keys
        self._dataset = DATASET_SCOPE + layout.dataset
        self._unwrapped: dict[_KeyRow, SubjectKey] = {}

    def of(self, row: _KeyRow) -> SubjectKey:
        key = self._unwrapped.get(row)
        if key is None:
            pseudonym, key_id, wrapped, version = row
            stored = WrappedSubjectKey(key_id, pseudonym or self._dataset, version, wrapped)
            key = self._unwrapped[row] = self._keys.unwrap_subject_key(stored)
        return key


class _Opening:
    """What one group of a warrant opens: these classes, and of them these fields."""

    __slots__ = ("_classes", "_granted", "_numbers", "layout")

    def __init__(self, layout: Layout, group: OpeningGroup) -> None:
        if not set(group.classes) <= layout.classes.keys() or not set(group.fields) <= layout.fields.keys():
            raise Invalid("invalid_opening", "The warrant names a class or a field that the layout does not have.")
        if not {layout.fields[name][1] for name in group.fields} <= set(group.classes):
            raise Invalid("invalid_opening", "The warrant names a field outside its classes.")
        self.layout = layout
        self._classes = tuple(number.to_bytes(2, "big") for number in sorted(layout.classes[c] for c in group.classes))
        self._granted = Granted({layout.fields[name][0]: layout.labels[name] for name in group.fields})
        self._numbers: dict[bytes, tuple[bytes, ...]] = {}

    def open(self, record: SealedRecord, key: SubjectKey) -> bytes:
        """The record's granted fields as one JSON object, or `SealBroken`.

        Each class's commitment is compared before its ciphertext is touched. When a record has none of the classes,
        one commitment of those it has is compared all the same, so that a class cannot be taken away unnoticed.
        """
        record_id, version, pseudonym, sealed, _, _, _ = record
        header, present, parts = parts_of(sealed)
        if header[KEY_ID] != key.identity:
            raise SealBroken("A sealed record names another subject key than its row.")
        context = self.layout.context_hash(record_id, version, pseudonym, present)
        salted = LABEL + header[SALT]
        numbers = self._numbers.get(present) or self._granted_of(present)
        texts = []
        for number in numbers or (present[:2],):
            start, end = parts[number]
            at = start + COMMITMENT_BYTES
            material = key.derive(salted + number + context)
            if not compare_digest(material[32:], sealed[start:at]):
                raise SealBroken
            if numbers:
                try:
                    plaintext = AESGCM(material[:32]).decrypt(NONCE, sealed[at:end], header + number + CLASS_OF_FIELDS)
                except InvalidTag:
                    raise SealBroken from None
                texts.append(self._granted.fields_of(plaintext))
        return b"{%b}" % (texts[0] if len(texts) == 1 else b",".join(filter(None, texts)))

    def _granted_of(self, present: bytes) -> tuple[bytes, ...]:
        """Of the classes that a record has, those to open; most records have the same."""
        numbers = tuple(number for number in self._classes if number in _pairs(present))
        if len(self._numbers) < _MOST_REMEMBERED:
            self._numbers[present] = numbers
        return numbers


def _pairs(present: bytes) -> set[bytes]:
    return {present[at : at + 2] for at in range(0, len(present), 2)}
