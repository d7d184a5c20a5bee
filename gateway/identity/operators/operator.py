"""An operator, the act that one is about to do, and the browser that one is signed in with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any

from gateway.canonical import canonical
from gateway.errors import Reason, Refused
from gateway.identity.operators.roles import PERMISSIONS, Permission, Role


@dataclass(frozen=True, slots=True)
class Operator:
    """A person who works for one alliance, as the database has it now."""

    id: str
    alliance: str
    name: str
    role: Role

    def may(self, permission: str) -> bool:
        """Whether the operator's role has the permission."""
        return permission in PERMISSIONS[self.role]

    def require(self, permission: Permission) -> None:
        """Raise `Refused` unless the operator's role has the permission."""
        if not self.may(permission):
            raise Refused((Reason("ROLE_LACKS_PERMISSION"),))


@dataclass(frozen=True)
class Act:
    """Something dangerous that an operator is about to do; `arguments` are everything that it depends on."""

    alliance: str
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the act in canonical JSON, hexadecimal: what a step-up covers."""
        return sha256(
            canonical({"alliance": self.alliance, "act": self.name, "arguments": dict(self.arguments)})
        ).hexdigest()


@dataclass(frozen=True, slots=True)
class SignedIn:
    """An operator in a browser. `session` is the SHA-256 of the cookie, `method` how the operator signed in.

    Times are milliseconds since the epoch.
    """

    operator: Operator
    session: str
    form_token: str = field(repr=False)
    method: str
    credential: str
    amr: tuple[str, ...]
    auth_time: int
    started_at: int
