"""Everything that follows the end of a consent to those who received, constructed together."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Self

from gateway.clock import Clock
from gateway.consents.followers import Ended
from gateway.consents.following.addresses import WithdrawalAddresses
from gateway.consents.following.answering import Answering
from gateway.consents.following.messages import Messages
from gateway.consents.following.queueing import Outbox
from gateway.consents.following.sending import Post, Telling
from gateway.consents.following.settling import FollowUpRun
from gateway.consents.following.states import Deadlines
from gateway.consents.following.supervising import Supervising
from gateway.consents.following.termination import Termination
from gateway.consents.following.views import Disclosed, Progress, Views, progress_of
from gateway.consents.receipts import ConsentReceipts
from gateway.database import Database, Reading
from gateway.identity import ResponseSigner
from gateway.ledger import Change, Ledger


@dataclass(frozen=True, slots=True)
class Following:
    """What queues, tells, takes answers, and settles. `Records` hands it what ended."""

    addresses: WithdrawalAddresses
    answering: Answering
    supervising: Supervising
    telling: Telling
    settling: FollowUpRun
    outbox: Outbox
    clock: Clock

    @classmethod
    def of(
        cls,
        database: Database,
        ledger: Ledger,
        clock: Clock,
        *,
        disclosed: Disclosed,
        receipts: ConsentReceipts,
        signer: ResponseSigner,
        post: Post,
        loopback: bool,
        deadlines: Deadlines | None = None,
    ) -> Self:
        """`post` sends to addresses; `loopback` lets one name this machine; `deadlines`: tighter than the rules'."""
        deadlines = deadlines or Deadlines()
        outbox = Outbox(deadlines)
        views = Views(database, disclosed, clock)
        return cls(
            addresses=WithdrawalAddresses(database, ledger, loopback=loopback),
            answering=Answering(database, ledger, outbox, views, Termination(receipts)),
            supervising=Supervising(database, ledger, views),
            telling=Telling(Messages(database, clock), views.message, ledger, signer, post, clock),
            settling=FollowUpRun(database, ledger, clock, deadlines),
            outbox=outbox,
            clock=clock,
        )

    async def ended(self, change: Change, ended: Sequence[Ended]) -> None:
        """Permissions ended, or lost fields: each is followed to its recipient, if that ever received."""
        for one in ended:
            await self.outbox.ended(change, one)

    async def queue(
        self,
        change: Change,
        owner: str,
        dataset_no: int,
        pseudonym: str,
        cause: str,
        recipients: Collection[str] | None = None,
    ) -> list[str]:
        """What is held of a person was corrected or erased: every recipient that ever received is to follow.

        `recipients` leaves out all others. Returns the ids of the follow-ups.
        """
        return await self.outbox.of_person(change, owner, dataset_no, pseudonym, cause, recipients)

    async def of_person(self, reading: Reading, owner: str, pseudonym: str) -> Sequence[Progress]:
        """How far each recipient has come, at this instant, with those that each named."""
        return await progress_of(reading, owner, pseudonym, self.clock())
