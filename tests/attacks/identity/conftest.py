"""The fixture world of identity, for attacks on it."""

from tests.identity.conftest import identity_database, world

__all__ = ["identity_database", "world"]
