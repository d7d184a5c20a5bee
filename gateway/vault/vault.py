"""Opening: the only place where sealed fields become readable, and only against a warrant."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Sequence

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
    LABEL,
    NONCE,
    Granted,
    Layout,
    SealedRecord,
    parse,
)
from gateway.vault.subject_key import SubjectKey, WrappedSubjectKey

_AT_ONCE = 128


class Vault:
    """Opens what a warrant names: each record's own classes, once, without the fields that were not granted."""

    def __init__(self, keyring: KeyRing) -> None:
        self._keyring = keyring

    async def open(self, layout: Layout, records: Sequence[SealedRecord], warrant: Warrant) -> list[bytes]:
        """One JSON object per record, in order, holding exactly the warrant's fields that the record has.

        The warrant is redeemed first and is spent whatever follows. Raises `WarrantRejected` (none of the ledger's,
        spent, late, or for other records), `KeysUnavailable`, `SealBroken`; then nothing at all is returned.
        """
        if type(warrant) is not Warrant:
            raise WarrantRejected("only the ledger mints warrants")
        refs = [record.ref for record in records]
        groups = warrant.redeem(layout.dataset, refs)
        openings = {ref: one for group in groups for one in [_Opening(layout, group)] for ref in group.records}
        keys = await self._keyring.unlock(layout.owner)
        subjects = _SubjectKeys(keys, layout)
        opened: list[bytes] = []
        for start in range(0, len(records), _AT_ONCE):
            if start:
                await asyncio.sleep(0)
            batch = zip(refs[start : start + _AT_ONCE], records[start : start + _AT_ONCE], strict=True)
            opened += [openings[ref].open(record, subjects.of(record)) for ref, record in batch]
        return opened


class _SubjectKeys:
    """The subject keys of one call: each unwrapped once from the row that came with its record, then dropped."""

    __slots__ = ("_dataset", "_keys", "_unwrapped")

    def __init__(self, keys: MemberKeys, layout: Layout) -> None:
        self._keys = keys
        self._dataset = f"dataset:{layout.dataset}"
        self._unwrapped: dict[tuple[str, str, int, bytes], SubjectKey] = {}

    def of(self, record: SealedRecord) -> SubjectKey:
        scope = record.pseudonym or self._dataset
        stored = (record.subject_key_id, scope, record.key_version, record.wrapped)
        key = self._unwrapped.get(stored)
        if key is None:
            key = self._unwrapped[stored] = self._keys.unwrap_subject_key(WrappedSubjectKey(*stored))
        return key


class _Opening:
    """What one group of a warrant opens: these classes, and of them these fields."""

    __slots__ = ("_classes", "_granted", "_layout")

    def __init__(self, layout: Layout, group: OpeningGroup) -> None:
        if not set(group.classes) <= layout.classes.keys() or not set(group.fields) <= layout.fields.keys():
            raise Invalid("invalid_opening", "The warrant names a class or a field that the layout does not have.")
        if not {layout.fields[name][1] for name in group.fields} <= set(group.classes):
            raise Invalid("invalid_opening", "The warrant names a field outside its classes.")
        self._layout = layout
        self._classes = tuple(number.to_bytes(2, "big") for number in sorted(layout.classes[c] for c in group.classes))
        self._granted = Granted({layout.fields[name][0]: layout.labels[name] for name in group.fields})

    def open(self, record: SealedRecord, key: SubjectKey) -> bytes:
        """The record's granted fields as one JSON object, or `SealBroken`.

        Each class's commitment is compared before its ciphertext is touched. When a record has none of the classes,
        one commitment of those it has is compared all the same, so that a class cannot be taken away unnoticed.
        """
        sealed = record.sealed
        parsed = parse(sealed)
        if parsed.key_id != record.subject_key_id:
            raise SealBroken("A sealed record names another subject key than its row.")
        context = self._layout.context_hash(record.id, record.version, record.pseudonym, parsed.present)
        bound = hashlib.sha256(parsed.header).digest()
        granted = [number for number in self._classes if number in parsed.parts]
        fields: list[bytes] = []
        for number in granted or [parsed.present[:2]]:
            start, end = parsed.parts[number]
            material = key.derive(LABEL + parsed.salt + number + context)
            if not hmac.compare_digest(material[32:], sealed[start : start + COMMITMENT_BYTES]):
                raise SealBroken
            if granted:
                ciphertext = sealed[start + COMMITMENT_BYTES : end]
                plaintext = _decrypted(material[:32], ciphertext, bound + number + CLASS_OF_FIELDS)
                self._granted.fields_of(plaintext, fields)
        return b"{" + b",".join(fields) + b"}"


def _decrypted(key: bytes, ciphertext: bytes, aad: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(NONCE, ciphertext, aad)
    except InvalidTag:
        raise SealBroken from None
