"""L1 in use: one member's keys for wrapping, indexing and the sealed part of entries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import NoReturn, TypeVar

from gateway.characters import normalised
from gateway.errors import Invalid
from gateway.vault import detail
from gateway.vault.detail import ExtendedNonceCipher
from gateway.vault.encoding import length_prefixed
from gateway.vault.errors import KeysUnavailable, SealBroken
from gateway.vault.keyed_hash import KeyedHash
from gateway.vault.subject_key import SubjectKey, SubjectKeyWrap, WrappedSubjectKey

TERM_BYTES = 16
_MOST_DATASETS = 256
_Key = TypeVar("_Key")


class Use(StrEnum):
    """What a member key is for. A key serves one use only."""

    WRAP = "wrap"
    INDEX = "index"
    AUDIT = "audit"


class KeyState(StrEnum):
    """An active key seals and opens, a decrypt-only one opens, a disabled one does nothing."""

    ACTIVE = "active"
    DECRYPT_ONLY = "decrypt_only"
    DISABLED = "disabled"


Usable = Mapping[Use, Mapping[int, bytes]]
"""Use -> version -> key of every version that is active or decrypt-only."""


class MemberKeys:
    """One member's keys, held in cipher objects. Usable in a worker thread.

    Of subject keys it holds those of datasets without persons alone, each under the whole of its row: without
    the very row nothing is found, so deleting it is erasure here too.

    Every call first asks `still_valid`: when the time to live is over, it raises `KeysUnavailable`. So hold one for a
    batch, and unlock again for the next.
    """

    __slots__ = (
        "_active",
        "_audit",
        "_blind",
        "_of_datasets",
        "_pseudonyms",
        "_still_valid",
        "_term_root",
        "_terms",
        "_wraps",
        "member_id",
    )

    def __init__(
        self, member_id: str, keys: Usable, active: Mapping[Use, int], still_valid: Callable[[], bool]
    ) -> None:
        self.member_id = member_id
        self._active = dict(active)
        self._still_valid = still_valid
        self._wraps = {version: SubjectKeyWrap(member_id, version, key) for version, key in keys[Use.WRAP].items()}
        self._audit = {version: ExtendedNonceCipher(key) for version, key in keys[Use.AUDIT].items()}
        self._blind = {
            version: KeyedHash(KeyedHash(key, "sha256").digest(b"gw1 blind"), "sha256")
            for version, key in sorted(keys[Use.INDEX].items(), reverse=True)
        }
        index = keys[Use.INDEX].get(active.get(Use.INDEX, -1))
        root = KeyedHash(index, "sha256") if index else None
        self._pseudonyms = KeyedHash(root.digest(b"gw1 pseudonym"), "sha256") if root else None
        self._term_root = KeyedHash(root.digest(b"gw1 term"), "sha256") if root else None
        self._terms: dict[tuple[str, int], KeyedHash] = {}
        self._of_datasets: dict[WrappedSubjectKey, SubjectKey] = {}

    def pseudonym(self, subject: str) -> str:
        """64 hexadecimal characters that stand for a subject within this member, and nowhere else.

        The id is normalised first (NFKC, which makes full-width digits ASCII, then stripped). Empty is `Invalid`.
        """
        keyed = self._usable(self._pseudonyms)
        text = normalised(subject).strip()
        if not text:
            raise Invalid("invalid_subject", "The subject field is empty.", remedy="Name the subject in every row.")
        return keyed.digest(_utf8(text)).hex()

    def index_term(self, dataset_id: str, field_number: int, value: str) -> bytes:
        """The blind index term of a text value: 16 bytes, under a key of this dataset and field alone.

        Values that are equal after NFKC and case folding give one term. Equality and frequency show; no more does.
        """
        root = self._usable(self._term_root)
        keyed = self._terms.get((dataset_id, field_number))
        if keyed is None:
            place = length_prefixed(dataset_id.encode(), field_number.to_bytes(2, "big"))
            keyed = self._terms[dataset_id, field_number] = KeyedHash(root.digest(place), "sha256")
        return keyed.digest(b"text\0" + _utf8(_folded(value)))[:TERM_BYTES]

    def blind_terms(self, kind: str, value: str) -> list[tuple[int, bytes]]:
        """(version, HMAC-SHA-256) of an exact value under every version of the index key that is in use, newest first.

        Whoever keeps and looks up all of them finds what was kept under any version that both know.
        """
        message = length_prefixed(kind.encode(), _utf8(value))
        return [(version, self._usable(keyed).digest(message)) for version, keyed in self._blind.items()]

    def new_subject_key(self, key_id: str, scope: str) -> WrappedSubjectKey:
        """Draw a subject key and wrap it under the active version; the caller stores the row."""
        wrap = self._usable(self._wraps.get(self._active.get(Use.WRAP, -1)))
        return wrap.wrap_new(key_id, scope)

    def unwrap_subject_key(self, stored: WrappedSubjectKey) -> SubjectKey:
        """The subject key of a row just read, or `KeysUnavailable`. For one batch: never keep it."""
        wrap = self._usable(self._wraps.get(stored.version))
        known = self._of_datasets.get(stored)
        if known is not None:
            return known
        key = wrap.unwrap(stored.key_id, stored.scope, stored.wrapped)
        if not stored.of_a_person and len(self._of_datasets) < _MOST_DATASETS:
            self._of_datasets[stored] = key
        return key

    def seal_detail(self, plaintext: bytes, aad: bytes) -> dict[str, str]:
        """`{key_id, nonce, ciphertext}` under the active audit key, for the sealed part of an entry."""
        version = self._active.get(Use.AUDIT, -1)
        return detail.seal_detail(self._usable(self._audit.get(version)), f"audit-{version}", plaintext, aad)

    def open_detail(self, sealed: Mapping[str, str], aad: bytes) -> bytes:
        """What `seal_detail` sealed, or `SealBroken`."""
        use, _, version = str(sealed.get("key_id", "")).partition("-")
        if use != Use.AUDIT or not (version.isascii() and version.isdigit()):
            raise SealBroken("A sealed detail names no audit key.")
        return detail.open_detail(self._usable(self._audit.get(int(version))), sealed, aad)

    def _usable(self, key: _Key | None) -> _Key:
        if key is None or not self._still_valid():
            raise KeysUnavailable("A member key is disabled, missing or no longer held.")
        return key

    def __repr__(self) -> str:
        return f"MemberKeys({self.member_id}, keys not shown)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("Keys are never pickled.")


def _folded(value: str) -> str:
    if value.isascii():
        return value.lower()
    return normalised(normalised(value).casefold())


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Invalid("invalid_text", "A text holds a lone surrogate.", remedy="Send valid Unicode.") from None
