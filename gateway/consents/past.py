"""What an item of a person has come to before: what stands, and what forbids that it is given now.

The newest explicit decision counts, and at equal time a withdrawal wins. After a refusal nobody asks again for 180
days, whoever collects the answer. Whatever a person decided as any of its subjects, it decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, Text, and_, bindparam, insert, or_, select

from gateway.catalog.tables import dataset
from gateway.clock import seconds
from gateway.consents.notice_text import CONTACT, ItemKey
from gateway.consents.record import Record, chosen, in_states
from gateway.consents.same_person import subjects_of
from gateway.consents.states import STANDING, State
from gateway.consents.tables import consent_record, withdrawal
from gateway.database import Query, Reading
from gateway.errors import Conflicting
from gateway.identifiers import random_id
from gateway.ledger import Change

COOL_DOWN_S = 180 * 24 * 3600
"""For so long after a refusal the person is not asked for the same purpose and recipient."""
ANY = ""
"""In a withdrawal, every recipient or every purpose."""
EVERYWHERE = "*"
"""In a withdrawal, as its recipient: every one, in every dataset of its owner, those that are declared later too."""
SPENT = frozenset({State.EXPIRED, State.CONSUMED, State.REVOKED})
"""The states of what was good and is over: stated once more, it is no new decision."""

_OF_ITEM = Query(
    chosen(
        consent_record.c.owner_id == bindparam("owner"),
        consent_record.c.pseudonym == bindparam("pseudonym"),
        consent_record.c.recipient_id == bindparam("recipient"),
        consent_record.c.purpose == bindparam("purpose"),
        consent_record.c.kind == bindparam("kind", type_=Text),
        in_states([*STANDING, *SPENT, State.REFUSED, State.WITHDRAWN]),
    )
)
_PERSONAL = Query(
    select(dataset.c.no)
    .where(dataset.c.owner_id == bindparam("owner"), dataset.c.kind == "personal")
    .order_by(dataset.c.no)
)
REACHING = and_(
    withdrawal.c.dataset_no.in_(select(dataset.c.no).where(dataset.c.owner_id == bindparam("owner"))),
    or_(
        withdrawal.c.dataset_no == bindparam("dataset_no", type_=BigInteger),
        withdrawal.c.recipient_id == EVERYWHERE,
    ),
)
"""The condition that a withdrawal counts in the dataset :dataset_no of :owner."""
_WITHDRAWN = Query(
    select(withdrawal.c.withdrawn_at)
    .where(
        REACHING,
        withdrawal.c.pseudonym == bindparam("pseudonym"),
        or_(
            withdrawal.c.recipient_id == ANY,
            withdrawal.c.recipient_id == EVERYWHERE,
            withdrawal.c.recipient_id == bindparam("recipient"),
        ),
        or_(withdrawal.c.purpose == ANY, withdrawal.c.purpose == bindparam("purpose")),
    )
    .order_by(withdrawal.c.withdrawn_at.desc())
    .limit(1)
)
_NEW_WITHDRAWAL = Query(insert(withdrawal))
_WHY = {
    "withdrawn": "The person withdrew it at that instant or later.",
    "cooling_down": "The person refused it less than 180 days before.",
    "on_hold": "The item is on hold; it stands again when the hold is lifted.",
    "newer_consent": "A newer consent stands.",
    "spent": "What was given at that instant, or later, has expired, was used up or revoked.",
}


class Past(NamedTuple):
    """An item of one person, as of a transaction. Instants in epoch seconds."""

    standing: tuple[Record, ...]
    """Given and not ended, by this subject in the dataset at hand."""
    withdrawn_at: int | None
    refused_at: int | None
    spent_given_at: int | None
    """When the newest was given of what this subject gave in the dataset at hand and is `SPENT`."""
    is_held: bool = False
    """Whether it is on hold for another subject of the person."""

    def obstacle(self, given_at: int) -> str | None:
        """Why what is given at an instant does not stand; None where nothing is in the way."""
        if self.refused_at is not None and given_at < self.refused_at + COOL_DOWN_S:
            return "cooling_down"
        if self.is_held or any(record.state is State.ON_HOLD for record in self.standing):
            return "on_hold"
        if self.withdrawn_at is not None and self.withdrawn_at >= given_at:
            return "withdrawn"
        if any((record.given_at or 0) > given_at for record in self.standing):
            return "newer_consent"
        if self.spent_given_at is not None and self.spent_given_at >= given_at:
            return "spent"
        return None

    def overtaken(self, now_s: int) -> Sequence[Record]:
        """What stands by what is recorded, and not by the clock."""
        return [one for one in self.standing if one.overtaking(now_s) is not None]

    def require_askable(self, now_s: int) -> None:
        """`Conflicting` while the person is not to be asked: what was withdrawn may be asked for again."""
        if self.obstacle(now_s) in ("cooling_down", "on_hold"):
            self.require_free(now_s)

    def require_free(self, given_at: int) -> None:
        """`Conflicting` where something is in the way; a refusal says until when."""
        code = self.obstacle(given_at)
        if code is None:
            return
        until = None if self.refused_at is None else self.refused_at + COOL_DOWN_S
        remedy = f"Ask again after {until} (epoch seconds)." if code == "cooling_down" else None
        raise Conflicting(code, _WHY[code], field="/purpose", remedy=remedy)


async def past_of(reading: Reading, owner: str, dataset_no: int, pseudonym: str, key: ItemKey) -> Past:
    """Read it in the caller's transaction."""
    found: list[Record] = []
    withdrawn: list[int] = []
    for subject in await subjects_of(reading, dataset_no, pseudonym):
        about = {"pseudonym": subject, "recipient": key.recipient, "purpose": key.purpose}
        barrier = await reading.one(_WITHDRAWN, owner=owner, dataset_no=dataset_no, **about)
        withdrawn += [] if barrier is None else [int(barrier["withdrawn_at"])]
        found += [Record.of(row) for row in await reading.all(_OF_ITEM, owner=owner, kind=key.kind, **about)]
    if key.kind == CONTACT:
        withdrawn += [seconds(one.changed_at) for one in found if one.state is State.WITHDRAWN]
    refused = [seconds(one.changed_at) for one in found if one.state is State.REFUSED]
    own = [one for one in found if (one.dataset_no, one.pseudonym) == (dataset_no, pseudonym)]
    return Past(
        standing=tuple(one for one in own if one.state in STANDING),
        withdrawn_at=max(withdrawn, default=None),
        refused_at=max(refused, default=None),
        spent_given_at=max((one.given_at or 0 for one in own if one.state in SPENT), default=None),
        is_held=any(one.state is State.ON_HOLD and one.dataset_no == dataset_no for one in found),
    )


async def personal_datasets(reading: Reading, owner: str) -> list[int]:
    """The numbers of an owner's datasets about persons."""
    return [row["no"] for row in await reading.all(_PERSONAL, owner=owner)]


async def keep_withdrawal_everywhere(change: Change, owner: str, pseudonym: str, purpose: str = ANY) -> None:
    """Keep that a person withdrew now all that it gave by an owner, or all for a purpose, in whichever dataset it is
    brought: one that is declared later is no way around it.
    """
    numbers = await personal_datasets(change.tx, owner)
    for no in numbers:
        await keep_withdrawal(change, no, pseudonym, ANY, purpose)
    for no in numbers[:1]:
        await keep_withdrawal(change, no, pseudonym, EVERYWHERE, purpose)


async def keep_withdrawal(change: Change, dataset_no: int, pseudonym: str, recipient: str, purpose: str) -> None:
    """Keep that a person withdrew now, for one recipient or purpose or for `ANY`."""
    await keep_withdrawal_at(change, dataset_no, pseudonym, recipient, purpose, seconds(change.now_ms))


async def keep_withdrawal_at(
    change: Change, dataset_no: int, pseudonym: str, recipient: str, purpose: str, at_s: int
) -> None:
    """Keep that a person withdrew at an instant."""
    await change.tx.run(
        _NEW_WITHDRAWAL,
        id=random_id(),
        dataset_no=dataset_no,
        pseudonym=pseudonym,
        recipient_id=recipient,
        purpose=purpose,
        withdrawn_at=at_s,
        recorded_at=change.now_ms,
    )
