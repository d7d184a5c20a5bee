"""Every text that was ever proposed for an agreement, in order, with its author; none is rewritten or removed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select

from gateway.agreements.agreement import rfc3339
from gateway.agreements.redlines import Difference, redline
from gateway.agreements.tables import agreement_text, agreement_third_party
from gateway.agreements.terms import Terms
from gateway.database import Query, Reading
from gateway.errors import Conflicting
from gateway.ledger import Change

MOST_REVISIONS = 100
"""Of one agreement: each is kept for good, and either party may propose."""

_ADD = Query(insert(agreement_text))
_ADD_THIRD_PARTY = Query(insert(agreement_third_party))
_FORGET_THIRD_PARTIES = Query(
    delete(agreement_third_party).where(agreement_third_party.c.agreement_id == bindparam("agreement"))
)
_COUNT = Query(
    select(func.count().label("texts"))
    .select_from(agreement_text)
    .where(agreement_text.c.agreement_id == bindparam("agreement"))
)
_SAME = Query(
    select(agreement_text.c.number)
    .where(
        agreement_text.c.agreement_id == bindparam("agreement"), agreement_text.c.terms_sha256 == bindparam("sha256")
    )
    .limit(1)
)
_OF = Query(
    select(agreement_text)
    .where(agreement_text.c.agreement_id == bindparam("agreement"))
    .order_by(agreement_text.c.number)
)


@dataclass(frozen=True, slots=True)
class Revision:
    """One proposed text: its number from 1, its author (None: not on record) and what it changed in the one before."""

    number: int
    author: str | None
    text: bytes
    proposed_at: int
    differences: tuple[Difference, ...]

    @property
    def sha256(self) -> str:
        """The digest of the text, in hexadecimal: what a signature under this revision binds."""
        return hashlib.sha256(self.text).hexdigest()

    def describe(self) -> dict[str, Any]:
        """What the parties see of it: the redline for machines (`changes`) and for people (`redline`)."""
        return {
            "revision": self.number,
            "author": self.author,
            "proposed_at": rfc3339(self.proposed_at),
            "terms": self.text.decode(),
            "terms_sha256": self.sha256,
            "changes": [one.describe() for one in self.differences],
            "redline": [one.line() for one in self.differences],
        }


async def keep_text(change: Change, terms: Terms, *, author: str, number: int) -> None:
    """Keep the text of a revision for good, and let those be found whom it names as third parties."""
    await change.tx.run(_FORGET_THIRD_PARTIES, agreement=terms.agreement)
    for third_party in terms.third_parties:
        await change.tx.run(_ADD_THIRD_PARTY, agreement_id=terms.agreement, member_id=third_party)
    await change.tx.run(
        _ADD,
        agreement_id=terms.agreement,
        number=number,
        terms=terms.text,
        terms_sha256=terms.sha256,
        author_id=author,
        proposed_at=change.now_ms,
    )


async def next_number(reading: Reading, agreement_id: str) -> int:
    """The number of the revision to come; `Conflicting` where the agreement has all that one may have."""
    row = await reading.one(_COUNT, agreement=agreement_id)
    assert row is not None
    if row["texts"] >= MOST_REVISIONS:
        raise Conflicting(
            "too_many_revisions",
            f"{MOST_REVISIONS} texts of this draft are on record.",
            remedy="Sign it, or withdraw it and draft anew.",
        )
    return int(row["texts"]) + 1


async def was_proposed(reading: Reading, agreement_id: str, text: bytes) -> bool:
    """Whether these bytes are, or once were, the agreement's text."""
    return await reading.one(_SAME, agreement=agreement_id, sha256=hashlib.sha256(text).hexdigest()) is not None


async def revisions_of(reading: Reading, agreement_id: str) -> Sequence[Revision]:
    """Every revision in order; `Conflicting` where a kept text is not what its digest says."""
    found: list[Revision] = []
    for row in await reading.all(_OF, agreement=agreement_id):
        text = bytes(row["terms"])
        if hashlib.sha256(text).hexdigest() != row["terms_sha256"]:
            raise Conflicting("revision_changed", "A kept text is not what was proposed.", remedy="Restore it.")
        differences = tuple(redline(found[-1].text, text)) if found else ()
        found.append(Revision(row["number"], row["author_id"], text, row["proposed_at"], differences))
    return found
