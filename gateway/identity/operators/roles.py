"""Which role may do what: the whole of it, as one table. `Operator.require` is the one place that asks."""

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
    """What an operator may do. Deciding always takes another operator than the one who proposed."""

    SEE_OPERATORS = "see_operators"
    MANAGE_OPERATORS = "manage_operators"
    SEE_PROPOSALS = "see_proposals"
    PROPOSE_CLIENT = "propose_client"
    DECIDE_CLIENT = "decide_client"
    PROPOSE_AGREEMENT = "propose_agreement"
    DECIDE_AGREEMENT = "decide_agreement"
    PROPOSE_EXPORT = "propose_export"
    DECIDE_EXPORT = "decide_export"
    SEARCH_LOG = "search_log"


PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = MappingProxyType(
    {
        Role.ADMIN: frozenset(
            {
                Permission.SEE_OPERATORS,
                Permission.MANAGE_OPERATORS,
                Permission.SEE_PROPOSALS,
                Permission.PROPOSE_CLIENT,
                Permission.DECIDE_CLIENT,
                Permission.PROPOSE_AGREEMENT,
                Permission.DECIDE_AGREEMENT,
            }
        ),
        Role.OFFICER: frozenset(
            {
                Permission.SEE_OPERATORS,
                Permission.SEE_PROPOSALS,
                Permission.DECIDE_AGREEMENT,
                Permission.PROPOSE_EXPORT,
                Permission.DECIDE_EXPORT,
                Permission.SEARCH_LOG,
            }
        ),
        Role.SECRETARIAT: frozenset(
            {
                Permission.SEE_PROPOSALS,
                Permission.PROPOSE_CLIENT,
                Permission.PROPOSE_AGREEMENT,
            }
        ),
    }
)
