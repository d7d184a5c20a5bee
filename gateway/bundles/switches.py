"""The off switch: a person's word that no bundle is made from its data, whatever it consented to.

Turning it off narrows: no permit that was judged before it is appended after it.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import BigInteger, Text, bindparam, insert, select, update

from gateway.bundles.tables import bundle_switch
from gateway.database import Query, Reading
from gateway.ledger import Change, Draft, Kind

_STATE = Query(
    select(bundle_switch.c.state).where(
        bundle_switch.c.owner_id == bindparam("owner"), bundle_switch.c.pseudonym == bindparam("person")
    )
)
_ADD = Query(insert(bundle_switch))
_TURN = Query(
    update(bundle_switch)
    .where(bundle_switch.c.owner_id == bindparam("owner"), bundle_switch.c.pseudonym == bindparam("person"))
    .values(state=bindparam("its_state", type_=Text), changed_at=bindparam("at", type_=BigInteger))
)


async def is_off(reading: Reading, owner: str, pseudonym: str) -> bool:
    """Whether the person has switched bundles off."""
    row = await reading.one(_STATE, owner=owner, person=pseudonym)
    return row is not None and row["state"] == "off"


async def turn(change: Change, owner: str, pseudonym: str, *, off: bool, actor: Mapping[str, str]) -> None:
    """Switch off, or on again; entered in the owner's log, which the change must narrow. Twice changes nothing."""
    state = "off" if off else "on"
    row = await change.tx.one(_STATE, owner=owner, person=pseudonym)
    if (row["state"] if row is not None else "on") == state:
        return
    if row is None:
        await change.tx.run(_ADD, owner_id=owner, pseudonym=pseudonym, state=state, changed_at=change.now_ms)
    else:
        await change.tx.run(_TURN, owner=owner, person=pseudonym, its_state=state, at=change.now_ms)
    facts = {"act": f"bundles_switched_{state}", "actor": dict(actor), "subject": pseudonym}
    change.enter(Draft(log=owner, kind=Kind.CONSENT, facts=facts))
