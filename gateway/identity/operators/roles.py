"""Which role may do what: the whole of it, as two tables. `Operator.require` is the one place that asks."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Role(StrEnum):
    """What an operator is for the alliance."""

    ADMIN = "admin"
    OFFICER = "officer"
    SECRETARIAT = "secretariat"


class Permission(StrEnum):
    """What an operator may do. Deciding always takes another person than the one who proposed."""

    SEE_OPERATORS = "see_operators"
    MANAGE_OPERATORS = "manage_operators"
    SEE_PROPOSALS = "see_proposals"
    DECIDE_CLIENT = "decide_client"
    DECIDE_KEY = "decide_key"


PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = MappingProxyType(
    {
        Role.ADMIN: frozenset(
            {
                Permission.SEE_OPERATORS,
                Permission.MANAGE_OPERATORS,
                Permission.SEE_PROPOSALS,
                Permission.DECIDE_CLIENT,
                Permission.DECIDE_KEY,
            }
        ),
        Role.OFFICER: frozenset(
            {
                Permission.SEE_OPERATORS,
                Permission.SEE_PROPOSALS,
                Permission.DECIDE_KEY,
            }
        ),
        Role.SECRETARIAT: frozenset(
            {
                Permission.SEE_PROPOSALS,
            }
        ),
    }
)

DECIDES: Final[Mapping[str, Permission]] = MappingProxyType(
    {
        "register_client": Permission.DECIDE_CLIENT,
        "add_client_key": Permission.DECIDE_CLIENT,
        "change_client_keys": Permission.DECIDE_CLIENT,
        "change_client_method": Permission.DECIDE_CLIENT,
        "add_signing_key": Permission.DECIDE_KEY,
    }
)
"""What deciding on a proposed act takes. An act that is not named here is decided on the host alone."""
