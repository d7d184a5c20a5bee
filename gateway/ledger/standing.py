"""Whether an entry still is what the log's key signed, before anybody relies on it here."""

from __future__ import annotations

from gateway.database import Reading
from gateway.errors import Conflicting, NotFound
from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.merkle import ProofRejected, leaf_hash, verify_inclusion
from gateway.ledger.note import NoteRejected, VerifierKey
from gateway.ledger.proofs import inclusion
from gateway.ledger.stored import NOT_SIGNED_YET, StoredHashes, state


class EntryAltered(Conflicting):
    """An entry in the database, or a hash beside it, is not what was signed."""

    def __init__(self) -> None:
        super().__init__(
            "entry_altered",
            "The entry in the database, or what proves it, is not what the log's key signed.",
            remedy="Look for it in a backup, and verify an export of the log (`gateway verify`).",
        )


async def require_standing(reading: Reading, key: VerifierKey, log: str, index: int, body: bytes) -> None:
    """Return only if `body` is entry `index` of the newest tree of the log that `key` signed.

    Raises:
        EntryAltered: It is not, or the checkpoint's signature or its size does not hold.
        NotFound: The newest checkpoint does not reach so far yet, or there is none.
        UnknownLog, LedgerRolledBack: There is no such log; hashes are missing.
    """
    signed = await state(reading, log)
    if index >= signed.signed_size:
        raise NotFound(NOT_SIGNED_YET)
    try:
        tree = Checkpoint.verify(signed.note, key)
        if tree.size != signed.signed_size:
            raise EntryAltered
        hashes = await inclusion(StoredHashes(reading, log), index, tree.size)
        verify_inclusion(index, tree.size, leaf_hash(body), tree.root, hashes)
    except (NoteRejected, ProofRejected):
        raise EntryAltered from None
