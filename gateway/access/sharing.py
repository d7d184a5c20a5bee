"""What agreements share beside pages: whole files, pushes, and the account of who gave and received what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from gateway.access.enforcement import EnforcementPoint
from gateway.access.files import Files
from gateway.access.messages import KeptMessages
from gateway.access.push_addresses import PushAddresses
from gateway.access.push_queue import PushQueue
from gateway.access.pushing import Post, Pushes
from gateway.access.reciprocity import Reciprocity
from gateway.clock import Clock
from gateway.database import Database
from gateway.identity import ResponseSigner
from gateway.ledger import Ledger
from gateway.ledger.receipts import ReceiptSigner


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """All of it reads through the one enforcement point."""

    files: Files
    reciprocity: Reciprocity
    addresses: PushAddresses
    pushes: Pushes

    @classmethod
    def of(
        cls,
        database: Database,
        ledger: Ledger,
        clock: Clock,
        *,
        enforcement: EnforcementPoint,
        receipts: ReceiptSigner,
        answers: ResponseSigner,
        messages: KeptMessages,
        post: Post,
        loopback: bool,
    ) -> Self:
        """Construct them. `post` sends to addresses; `loopback` lets one name this machine."""
        queue = PushQueue(database, clock)
        return cls(
            files=Files(enforcement, ledger, receipts, clock),
            reciprocity=Reciprocity(database),
            addresses=PushAddresses(database, ledger, loopback=loopback),
            pushes=Pushes(queue, enforcement, ledger, answers, messages, post, clock),
        )
