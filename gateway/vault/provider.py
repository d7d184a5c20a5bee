"""L0: where the key-encryption key lives."""

from __future__ import annotations

from typing import Protocol


class KekProvider(Protocol):
    """Wraps and unwraps member keys with a key that never leaves the provider.

    Every implementation: `unwrap` with other associated data, altered bytes or a disabled key raises
    `KeysUnavailable`, never another error; nothing is cached here.
    """

    @property
    def key_id(self) -> str:
        """Names the key-encryption key in use; it is bound into every wrap."""

    def wrap(self, plaintext: bytes, aad: bytes) -> bytes: ...

    def unwrap(self, wrapped: bytes, aad: bytes) -> bytes: ...
