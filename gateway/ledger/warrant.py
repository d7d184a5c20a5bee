"""The single-use capability that a committed permit yields.

Only the ledger mints one, after the commit. It opens exactly the records that its entry names, in their
order, within seconds, once. Python cannot forbid forging; the token, the import contract and the tests
make a bypass visible, while keys and database roles stop attackers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple, NoReturn, final

from gateway.ledger.errors import WarrantExpired, WarrantRejected

LIFETIME_S = 5.0
"""Seconds from commit within which a warrant must be redeemed; `valid_until` may shorten it."""

_MINT = object()
_REDEEMING = threading.Lock()


class OpeningGroup(NamedTuple):
    """Records (`id@version`) that open alike: these classes, of them these fields; the withheld are dropped inside."""

    classes: tuple[str, ...]
    fields: tuple[str, ...]
    withheld: tuple[str, ...]
    records: tuple[str, ...]


@final
class Warrant:
    """Proof that an entry is committed. It opens what that entry names, once."""

    __slots__ = ("_dataset", "_deadline", "_groups", "_spent", "event_id", "index", "leaf_hash", "log")

    def __init__(
        self,
        *,
        event_id: str,
        log: str,
        index: int,
        leaf_hash: bytes,
        dataset: str,
        groups: tuple[OpeningGroup, ...],
        deadline: float,
        minted_by: object,
    ) -> None:
        if minted_by is not _MINT:
            raise WarrantRejected("only the ledger mints warrants")
        self.event_id = event_id
        self.log = log
        self.index = index
        self.leaf_hash = leaf_hash
        self._dataset = dataset
        self._groups = groups
        self._deadline = deadline
        self._spent = False

    def redeem(self, dataset: str, records: Sequence[str]) -> tuple[OpeningGroup, ...]:
        """The logged groups, if these are exactly the logged records of the logged dataset, in the logged order.

        Any attempt spends the warrant, so that nobody can try until it fits.

        Raises:
            WarrantExpired: Too late.
            WarrantRejected: Spent, another dataset, or other records.
        """
        with _REDEEMING:
            spent, self._spent = self._spent, True
        if spent:
            raise WarrantRejected("already redeemed")
        if time.monotonic() >= self._deadline:
            raise WarrantExpired
        if dataset != self._dataset:
            raise WarrantRejected("not the dataset that was logged")
        if tuple(records) != tuple(chain.from_iterable([group.records for group in self._groups])):
            raise WarrantRejected("not the records that were logged, in their order")
        return self._groups

    def __reduce_ex__(self, _: Any) -> NoReturn:
        raise TypeError("a warrant cannot be copied or stored")
