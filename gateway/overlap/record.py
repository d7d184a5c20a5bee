"""An overlap as its row says it, and as its two members see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Self

from sqlalchemy import bindparam, select

from gateway.agreements.agreement import rfc3339
from gateway.database import Query, Reading, Row
from gateway.errors import Conflicting, NotFound, Reason, Refused
from gateway.ledger import Draft, Effect, Kind
from gateway.overlap.answering import Told
from gateway.overlap.counting import WorkerFailed
from gateway.overlap.sides import Side
from gateway.overlap.tables import overlap

_BY_ID: Final = Query(select(overlap).where(overlap.c.id == bindparam("id")))


@dataclass(frozen=True, slots=True)
class Overlap:
    """One question of two members: the proposer's, which the acceptor agreed to or not."""

    id: str
    alliance: str
    pair: str
    matched_by: str
    proposer: str
    proposer_client: str
    proposers: Side
    acceptor: str
    acceptor_client: str | None
    acceptors: Side
    state: str
    due_at: int
    attempts: int
    last_code: str | None
    told: Told | None
    said: Mapping[str, Any]

    @classmethod
    def of(cls, row: Row) -> Self:
        """The overlap of a row."""
        found = None if row["at_least"] is None else Told(row["at_least"], row["fewer_than"])
        return cls(
            id=row["id"],
            alliance=row["alliance_id"],
            pair=row["pair"],
            matched_by=row["matched_by"],
            proposer=row["proposer_id"],
            proposer_client=row["proposer_client_id"],
            proposers=Side(row["proposer_agreement_id"], row["proposer_dataset_id"], row["proposer_field"]),
            acceptor=row["acceptor_id"],
            acceptor_client=row["acceptor_client_id"],
            acceptors=Side(row["acceptor_agreement_id"], row["acceptor_dataset_id"], row["acceptor_field"]),
            state=row["state"],
            due_at=row["due_at"],
            attempts=row["attempts"],
            last_code=row["last_code"],
            told=found,
            said={name: row[name] for name in ("read", "method", "proposed_at", "answered_at", "repeats")},
        )

    @property
    def members(self) -> tuple[str, str]:
        """Both owners, in whose logs everything about it is entered."""
        return self.proposer, self.acceptor

    def entries(self, act: str, actor: Mapping[str, str], *reasons: Reason, **facts: Any) -> list[Draft]:
        """The same entry for both logs; with reasons it is a refusal."""
        named = {"act": act, "actor": dict(actor), "overlap": self.id, **facts}
        effect = Effect.DENY if reasons else None
        return [Draft(log=one, kind=Kind.QUERY, effect=effect, reasons=reasons, facts=named) for one in self.members]

    def describe(self) -> dict[str, Any]:
        """What its two members see of it while it runs; the answer stands apart."""
        return {
            "id": self.id,
            "state": self.state,
            "matched_by": self.matched_by,
            "proposer": {"member": self.proposer, **self.proposers.facts()},
            "acceptor": {"member": self.acceptor, **self.acceptors.facts()},
            "read": self.said["read"],
            "attempts": self.attempts,
            "last_code": self.last_code,
            "proposed_at": rfc3339(self.said["proposed_at"]),
            "answered_at": rfc3339(self.said["answered_at"]),
        }

    def count(self) -> dict[str, Any]:
        """The answer; while there is none, the error that says why."""
        if self.told is None:
            self._unanswered()
        return {
            "overlap": self.id,
            **self.told._asdict(),
            "method": self.said["method"],
            "answered_at": rfc3339(self.said["answered_at"]),
            "repeats": self.said["repeats"],
        }

    def _unanswered(self) -> NoReturn:
        if self.state == "refused":
            assert self.last_code is not None
            raise Refused((Reason(self.last_code),))
        if self.attempts:
            raise WorkerFailed
        raise Conflicting("overlap_unanswered", f"It is {self.state}; there is no answer.", field="overlap")


async def found(reading: Reading, overlap_id: str, member: str) -> Overlap:
    """The overlap, for one of its two members; for anyone else `NotFound`."""
    row = await reading.one(_BY_ID, id=overlap_id)
    if row is None or member not in (row["proposer_id"], row["acceptor_id"]):
        raise NotFound
    return Overlap.of(row)
