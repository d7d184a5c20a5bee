"""An agreement that replaces another at its second signature: the old one ends in the instant in which it begins.

No gap: the new one must have begun by then. No overlap: only an agreement in force is replaced, and only once, so of
two amendments of one agreement the second to be signed is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import bindparam, update

from gateway.agreements.holds import carry_over
from gateway.agreements.proof import AGREEMENT_ROW, prove
from gateway.agreements.tables import agreement
from gateway.agreements.terms import Terms
from gateway.clock import seconds
from gateway.database import Query, Reading
from gateway.errors import Conflicting, Invalid
from gateway.ledger import Change, Draft, Kind

_SUPERSEDE = Query(
    update(agreement)
    .where(agreement.c.id == bindparam("the_id"), agreement.c.state == "signed")
    .values(
        version=agreement.c.version + 1, state="terminated", ended_at=bindparam("at"), superseded_by=bindparam("by")
    )
)


async def check_amends(reading: Reading, terms: Terms) -> None:
    """Return unless the terms would replace an agreement that is not signed, or not one of the same parties."""
    if terms.amends is None:
        return
    row = await reading.one(AGREEMENT_ROW, id=terms.amends)
    if row is None or (row["owner_id"], row["recipient_id"]) != terms.parties:
        raise Invalid(
            "amended_unknown", "You have no such agreement with this owner and this recipient.", field="/amends"
        )
    if row["state"] != "signed":
        raise _not_in_force()


async def supersede(change: Change, terms: Terms, actor: Mapping[str, str]) -> Terms | None:
    """End the agreement that these terms replace, with its entry; returns what it said. `change` narrows its owner.

    `Conflicting` where that would leave a gap or let two versions overlap; nothing is signed then.
    """
    assert terms.amends is not None
    now_s = seconds(change.now_ms)
    await check_amends(change.tx, terms)
    if terms.starts_at > now_s:
        raise Conflicting(
            "amendment_leaves_gap",
            "The agreement that this one replaces would end before this one begins.",
            field="/start",
            remedy="Sign when it begins, or let it begin earlier.",
        )
    if terms.ends_at <= now_s:
        raise Conflicting(
            "amendment_over",
            "This agreement has ended by its terms: nothing would stand in the place of the one that it replaces.",
            field="/end",
            remedy="Draft it with a later end.",
        )
    row = await change.tx.one(AGREEMENT_ROW, id=terms.amends)
    assert row is not None
    replaced = await prove(change.tx, row)
    if not replaced.in_force_at(now_s):
        raise _not_in_force()
    if not await change.tx.run(_SUPERSEDE, the_id=terms.amends, at=change.now_ms, by=terms.agreement):
        raise _not_in_force()
    facts = {"agreement": terms.amends, "version": row["version"] + 1, "terms_sha256": row["terms_sha256"]}
    facts = {"act": "agreement_superseded", "actor": dict(actor), **facts, "superseded_by": terms.agreement}
    change.enter(Draft(log=terms.owner, kind=Kind.AGREEMENT, facts=facts))
    await carry_over(change, terms.amends, terms.agreement, actor)
    return replaced.terms


def _not_in_force() -> Conflicting:
    return Conflicting(
        "amended_not_in_force",
        "The agreement to be replaced is not in force: two versions would overlap, or neither would hold.",
        field="/amends",
        remedy="Replace the version that is in force, or agree anew.",
    )
