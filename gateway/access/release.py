"""What an access yields: opened records, with the entry that names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gateway.ledger import Recorded


class Release(NamedTuple):
    """Opened records as (id, JSON object), by id, with the entry that names them and its receipt.

    `accompanied` is what the answer says beside them: what the recipient owes, and which fields were omitted.
    `fields` are those that were permitted; a record lacks what its person has not consented to.
    """

    records: Sequence[tuple[bytes, bytes]]
    recorded: Recorded
    cursor: str | None
    accompanied: Mapping[str, Any]
    fields: tuple[str, ...]

    @property
    def receipt(self) -> str:
        """What the gateway signed for the entry, a compact JWS."""
        return self.recorded.signed
