"""What the vault refuses. No message ever holds a value, a key or a passphrase."""

from __future__ import annotations

from gateway.errors import Unavailable


class KeysUnavailable(Unavailable):
    """A key is missing, disabled, destroyed or its provider cannot answer: nothing is opened or sealed."""

    def __init__(self, detail: str = "The key cannot be used now.") -> None:
        super().__init__("keys_unavailable", detail)


class SealBroken(Unavailable):
    """A sealed record is not what was sealed under this context: nothing of it is opened."""

    def __init__(self, detail: str = "A sealed record does not verify.") -> None:
        super().__init__("seal_broken", detail, remedy="Tell the operator: the stored record was altered or damaged.")
