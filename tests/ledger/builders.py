"""Plain functions that make what the ledger's tests need."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from gateway.clock import seconds, system_clock
from gateway.database import Database, Query
from gateway.errors import Reason
from gateway.ledger import Draft, Effect, Kind, Ledger, Opening, OpeningGroup, Receipt, Recorded
from gateway.ledger.integrator import Integrator
from gateway.ledger.note import NamedSigner, VerifierKey
from gateway.ledger.tables import chain, head, leaf

OPERATOR = "operator"
OWNER = "owner"
LEAVES = Query(select(leaf).order_by(leaf.c.log_id, leaf.c.idx))
HEADS = Query(select(head))
CHAINS = Query(select(chain))


def opening(*records: str, dataset: str = "dataset") -> Opening:
    return Opening(dataset, (OpeningGroup(("basic",), ("name", "city"), ("phone",), records),))


def permit(number: int = 0, *, log: str = OWNER, narrowing: int = 0, records: tuple[str, ...] | None = None) -> Draft:
    return Draft(
        log=log,
        kind=Kind.ACCESS,
        effect=Effect.PERMIT,
        narrowing=narrowing,
        facts={"number": number},
        opening=opening(*(records or (f"{number:032x}@1",))),
    )


def denial(number: int = 0, *, log: str = OWNER) -> Draft:
    reasons = (Reason("FREQUENCY_EXCEEDED", "4.2"),)
    return Draft(log=log, kind=Kind.ACCESS, effect=Effect.DENY, reasons=reasons, facts={"number": number})


def act(name: str, *, log: str = OPERATOR) -> Draft:
    return Draft(log=log, kind=Kind.ADMIN, facts={"act": name})


def new_ledger(database: Database, *, node: str = "node", clock: object = system_clock, capacity: int = 4096) -> Ledger:
    assert callable(clock)
    return Ledger(database, clock, origin="alliance.example", node=node, capacity=capacity)


async def opened(database: Database, *logs: str) -> Ledger:
    """A ledger whose logs (operator and owner unless named) are open and empty."""
    ledger = new_ledger(database)
    async with ledger.changing() as change:
        for log in logs or (OPERATOR, OWNER):
            await change.open_log(log)
    return ledger


async def filled(database: Database, size: int) -> tuple[Ledger, list[Recorded]]:
    """A ledger whose owner's log holds this many entries."""
    ledger = await opened(database)
    return ledger, [await ledger.record(permit(number)) for number in range(size)]


class Keys:
    """One Ed25519 key per log, from a fixed seed."""

    async def __call__(self, log: str) -> NamedSigner:
        private = Ed25519PrivateKey.from_private_bytes(log.encode().ljust(32, b"-")[:32])
        return NamedSigner(f"alliance.example/{log}", private.public_key().public_bytes_raw(), private.sign)

    async def verifier(self, log: str) -> VerifierKey:
        signer = await self(log)
        return VerifierKey(signer.name, signer.public_key)


def new_integrator(database: Database, heads: Path) -> Integrator:
    return Integrator(database, system_clock, Keys(), heads)


def receipt_of(recorded: Recorded) -> Receipt:
    """What the gateway would vouch for of an entry."""
    return Receipt(recorded.event_id, recorded.origin, recorded.leaf_hash, seconds(recorded.time_ms))
