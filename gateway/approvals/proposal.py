"""A proposal: an act with its arguments, as one person put it and as others see it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from gateway.approvals.act import Arguments
from gateway.approvals.tables import CLIENT
from gateway.canonical import parse_canonical
from gateway.characters import has_odd_blanks, shown_as_written
from gateway.errors import Conflicting, GatewayError, Invalid

_LONGEST_OPERATOR = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One row. `digest` is the SHA-256 of the arguments' canonical text, in hexadecimal; times in milliseconds.

    `state` is `pending`, `approved`, `declined` or `withdrawn`. A pending one is over from `expires_at` on.
    `made` is what an approved act made: an id, or ''.
    """

    id: str
    alliance: str
    act: str
    text: bytes
    digest: str
    proposed_by: str
    proposed_at: int
    expires_at: int
    state: str
    decided_by: str | None
    decided_at: int | None
    made: str | None

    @classmethod
    def of(cls, row: Any) -> Proposal:
        """Read a row. `Conflicting` if the arguments are not those that the digest names."""
        text = row["arguments"].encode()
        if sha256(text).hexdigest() != row["arguments_sha256"]:
            raise Conflicting("proposal_altered", "The arguments are not those that were proposed.", field="proposal")
        return cls(
            id=row["id"],
            alliance=row["alliance_id"],
            act=row["act"],
            text=text,
            digest=row["arguments_sha256"],
            proposed_by=row["proposed_by"],
            proposed_at=row["proposed_at"],
            expires_at=row["expires_at"],
            state=row["state"],
            decided_by=row["decided_by"],
            decided_at=row["decided_at"],
            made=row["made"],
        )

    @property
    def arguments(self) -> Arguments:
        """The arguments as they were proposed."""
        found: Arguments = parse_canonical(self.text)
        return found

    def require_pending(self, now_ms: int) -> None:
        """Raise `Conflicting` once it is decided or expired."""
        if self.state != "pending":
            raise Conflicting("proposal_decided", f"The proposal is {self.state} already.", field="proposal")
        if now_ms >= self.expires_at:
            raise Conflicting(
                "proposal_expired", "The proposal has expired.", field="proposal", remedy="Propose it again."
            )

    def facts(self, act: str, operator: str) -> dict[str, Any]:
        """The entry for one step of a proposal's life."""
        return {
            "act": act,
            "actor": {"operator": operator},
            "proposal": self.id,
            "proposed_act": self.act,
            "proposer": self.proposed_by,
            "arguments_sha256": self.digest,
        }


def client_proposer(client_id: str) -> str:
    """How a member's client is named as a proposer: no operator has such a name, and none of them may approve."""
    return CLIENT + client_id


def proposing_client(proposer: str) -> str:
    """The id of the client that proposed, '' where an operator did."""
    return proposer.removeprefix(CLIENT) if proposer.startswith(CLIENT) else ""


def checked_operator(operator: str) -> str:
    """1 to 200 characters, shown as they are written, without blanks at the ends: equal people have equal names."""
    shown_as_written(operator, "operator")
    if not 0 < len(operator) <= _LONGEST_OPERATOR or has_odd_blanks(operator) or operator != operator.strip():
        raise _no_operator("An operator's name has 1 to 200 characters, and no blanks but spaces between them.")
    return operator


def checked_approver(operator: str) -> str:
    """As `checked_operator`, and not a client: what a company's system asks for, people decide."""
    if checked_operator(operator).startswith(CLIENT):
        raise _no_operator("A client decides nothing.")
    return operator


def _no_operator(detail: str) -> GatewayError:
    return Invalid("invalid_operator", detail, field="operator")
