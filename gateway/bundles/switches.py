"""The off switch: a person's word that no bundle is made from its data, whatever it consented to.

Turning it off narrows: no permit that was judged before it is appended after it. It is one switch for every subject
that is the person.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import BigInteger, Text, bindparam, insert, select, update

from gateway.bundles.tables import bundle_switch
from gateway.consents.same_person import subjects_at
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
    """Whether the person has switched bundles off, as any subject that it is."""
    return any([await _is_off(reading, owner, one) for one in await subjects_at(reading, owner, pseudonym)])


async def turn(change: Change, owner: str, pseudonym: str, *, off: bool, actor: Mapping[str, str]) -> None:
    """Switch off, or on again, as every subject that is the person; entered in the owner's log, which the change must
    narrow. Twice changes nothing.
    """
    for one in await subjects_at(change.tx, owner, pseudonym):
        if await _is_off(change.tx, owner, one) is not off:
            await _turn(change, owner, one, "off" if off else "on", actor)


async def _is_off(reading: Reading, owner: str, subject: str) -> bool:
    row = await reading.one(_STATE, owner=owner, person=subject)
    return row is not None and row["state"] == "off"


async def _turn(change: Change, owner: str, subject: str, state: str, actor: Mapping[str, str]) -> None:
    if not await change.tx.run(_TURN, owner=owner, person=subject, its_state=state, at=change.now_ms):
        await change.tx.run(_ADD, owner_id=owner, pseudonym=subject, state=state, changed_at=change.now_ms)
    facts = {"act": f"bundles_switched_{state}", "actor": dict(actor), "subject": subject}
    change.enter(Draft(log=owner, kind=Kind.CONSENT, facts=facts))
