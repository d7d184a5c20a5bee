"""Providers of the key-encryption key, one file each."""

from gateway.vault.providers.local import Cost, LocalKeyring

__all__ = ["Cost", "LocalKeyring"]
