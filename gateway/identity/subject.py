"""Who asks, once the credentials hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.errors import Reason, Refused

MEMBER_ACTIONS: Final = frozenset(("draft", "sign", "upload", "consent", "withdraw", "audit"))
"""What a member may do for itself (`authorization_details` type `alliance_member`)."""


@dataclass(frozen=True, slots=True)
class AgreementGrant:
    """Type `alliance_agreement`: every dataset named here for every purpose and action named here."""

    agreement: str
    datasets: tuple[str, ...]
    purposes: tuple[str, ...]
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MemberGrant:
    """Type `alliance_member`: what the client may do for its own member."""

    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """The client behind one request and what its token grants.

    `agreements` may name one agreement several times: a detail is split where its datasets have different
    purposes. `actions` are those of `MemberGrant`. `token` is the base64url SHA-256 of the token's `jti`, `jkt`
    the thumbprint of the DPoP key, `expires_at` in epoch seconds. `client_version` is the version of the client's
    row when the token was issued: any later change of client or keys refuses the token.
    """

    alliance: str
    member: str
    client: str
    agreements: tuple[AgreementGrant, ...]
    actions: frozenset[str]
    token: str
    jkt: str
    expires_at: int
    client_version: int

    def require(self, action: str) -> None:
        """Raise `Refused` unless the token grants this action of `alliance_member`."""
        if action not in self.actions:
            raise Refused((Reason("ACTION_NOT_GRANTED", ""),))
