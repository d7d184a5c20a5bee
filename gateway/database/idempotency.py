"""`Idempotency-Key`: the same request twice is done once (draft-ietf-httpapi-idempotency-key-header).

The answer is stored in the transaction that did the work (the last one where it took several), so a client that
lost it gets it again.
Two equal requests at once: the second one's insert is refused (`AlreadyExists`) and it may ask again.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text, bindparam, delete, insert, select

from gateway.database.interface import Reading, Transaction
from gateway.database.statements import Query, metadata
from gateway.errors import Conflicting, Invalid

LONGEST_KEY = 128
KEPT_MS = 24 * 60 * 60 * 1000

idempotent_answer = Table(
    "idempotent_answer",
    metadata,
    Column("client_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
)

_ANSWER = Query(
    select(idempotent_answer.c.fingerprint, idempotent_answer.c.answer).where(
        idempotent_answer.c.client_id == bindparam("client_id"), idempotent_answer.c.key == bindparam("key")
    )
)
_REMEMBER = Query(insert(idempotent_answer))
_FORGET = Query(delete(idempotent_answer).where(idempotent_answer.c.created_at < bindparam("before")))


def fingerprint(*parts: str | bytes) -> str:
    """What makes two requests the same: a digest over the route and the body, length-prefixed."""
    digest = hashlib.sha256()
    for part in parts:
        piece = part.encode() if isinstance(part, str) else part
        digest.update(len(piece).to_bytes(8, "big") + piece)
    return digest.hexdigest()


async def recall(reading: Reading, *, client_id: str, key: str | None, fingerprint: str) -> bytes | None:
    """The stored answer of an equal earlier request, or None; `Conflicting` if the key was used otherwise."""
    if key is None:
        return None
    if not (0 < len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        raise Invalid(
            "invalid_idempotency_key",
            f"The key is not 1 to {LONGEST_KEY} printable ASCII characters.",
            field="Idempotency-Key",
            remedy="Send a UUID.",
        )
    row = await reading.one(_ANSWER, client_id=client_id, key=key)
    if row is None:
        return None
    if row["fingerprint"] != fingerprint:
        raise Conflicting(
            "idempotency_key_reused",
            "This key was used for another request.",
            field="Idempotency-Key",
            remedy="Use a new key for a new request.",
        )
    return bytes(row["answer"])


async def remember(
    tx: Transaction, *, client_id: str, key: str | None, fingerprint: str, answer: bytes, now_ms: int
) -> None:
    """Store the answer beside the work it reports; answers older than a day are dropped."""
    if key is None:
        return
    await tx.run(_FORGET, before=now_ms - KEPT_MS)
    await tx.run(_REMEMBER, client_id=client_id, key=key, fingerprint=fingerprint, answer=answer, created_at=now_ms)
