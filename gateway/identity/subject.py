"""Who asks, once the credentials hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.errors import Reason, Refused

MEMBER_ACTIONS: Final = frozenset(
    (
        *("draft", "sign", "upload", "consent", "withdraw", "audit", "register", "rotate"),
        *("participate", "confide", "refer"),
    )
)
"""What a member may do for itself (`authorization_details` type `alliance_member`)."""

SUSPENDED_ACTIONS: Final = frozenset(("withdraw",))
"""What is left of them to a suspended member: a dispute between companies never stands in a person's way."""

NOBODY: Final = "none"
"""The person of a grant that names none."""


@dataclass(frozen=True, slots=True)
class AgreementGrant:
    """Type `alliance_agreement`: every dataset named here for every purpose and action named here.

    `person` is who of the member's people asks, as the member names it; `none` for a system on its own.
    """

    agreement: str
    datasets: tuple[str, ...]
    purposes: tuple[str, ...]
    actions: tuple[str, ...]
    person: str = NOBODY


@dataclass(frozen=True, slots=True)
class MemberGrant:
    """Type `alliance_member`: what the client may do for its own member."""

    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """The client behind one request and what its token grants.

    `agreements` may name one agreement several times: a detail is split where its datasets have different
    purposes. `actions` are those of `MemberGrant`. `token` is the base64url SHA-256 of the token's `jti`.
    The token is bound to exactly one of two: `jkt` is the thumbprint of a DPoP key, `certificate` the `x5t#S256` of
    a client certificate, and the other one is ''. `expires_at` is in epoch seconds. `client_version` is the version
    of the client's row when the token was issued: any later change of client or keys refuses the token. `signed_by` is
    the `kid` of the gateway's own key that signed the token, '' for a subject that comes without one.
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
    certificate: str = ""
    signed_by: str = ""

    @property
    def confirmation(self) -> dict[str, str]:
        """What the token is bound to, as `cnf` and the entries say it: `jkt` (RFC 9449) or `x5t#S256` (RFC 8705)."""
        return {"jkt": self.jkt} if self.jkt else {"x5t#S256": self.certificate}

    @property
    def token_type(self) -> str:
        """The scheme that the token is presented under (RFC 9449 section 5, RFC 8705 section 3)."""
        return "DPoP" if self.jkt else "Bearer"

    def actor(self) -> dict[str, str]:
        """Who asks, as entries say it; what the token is bound to included."""
        return {"member": self.member, "client": self.client, "token": self.token, **self.confirmation}

    def person_under(self, agreement: str) -> str:
        """Who of the member's people asks under an agreement; `none` where the token names nobody."""
        return next((grant.person for grant in self.agreements if grant.agreement == agreement), NOBODY)

    def require(self, action: str) -> None:
        """Raise `Refused` unless the token grants this action of `alliance_member`."""
        if action not in self.actions:
            raise Refused((Reason("ACTION_NOT_GRANTED", ""),))
