"""The end of an agreement: either party ends it alone, and two operators end it for the alliance, by a case."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import bindparam, update

from gateway.agreements.fields import IDENTIFIER
from gateway.agreements.proof import AGREEMENT_ROW
from gateway.agreements.tables import agreement
from gateway.approvals import Act, Arguments, Mandate
from gateway.database import Database, Query, Reading, Row
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.ledger import Change, Draft, Kind
from gateway.members.arguments import only, said

_TERMINATE = Query(
    update(agreement)
    .where(agreement.c.id == bindparam("the_id"), agreement.c.state != "terminated")
    .values(version=agreement.c.version + 1, state="terminated", ended_at=bindparam("at"))
)


async def end(change: Change, agreement_id: str, actor: Mapping[str, str], **facts: Any) -> bool:
    """End an agreement for good, with the entry in its owner's log, which `change` narrows. False: it had ended."""
    if not await change.tx.run(_TERMINATE, the_id=agreement_id, at=change.now_ms):
        return False
    row = await _existing(change.tx, agreement_id)
    of = {"agreement": agreement_id, "version": row["version"], "terms_sha256": row["terms_sha256"]}
    facts = {"act": "agreement_terminated", "actor": dict(actor), **of, **facts}
    change.enter(Draft(log=row["owner_id"], kind=Kind.AGREEMENT, facts=facts))
    return True


class Endings:
    """What two operators do to agreements, for `Approvals`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def acts(self) -> list[Act]:
        """`end_agreement`: drafts, and agreements that no longer prove themselves, too."""
        return [Act("end_agreement", self._check, self._end, narrows=self._owner)]

    async def home_of(self, agreement_id: str) -> str:
        """The alliance of an agreement in any state; `NotFound` for another."""
        return str((await _existing(self._database, agreement_id))["alliance_id"])

    async def _check(self, reading: Reading, of: str, arguments: Arguments) -> None:
        only(arguments, "agreement", "case")
        if not re.fullmatch(IDENTIFIER, said(arguments, "case")):
            raise Invalid("case_malformed", "A case id has a form that is not allowed.", field="case")
        row = await _existing(reading, said(arguments, "agreement"))
        if row["alliance_id"] != of:
            raise NotFound
        if row["state"] == "terminated":
            raise _has_ended()

    async def _end(self, change: Change, mandate: Mandate, arguments: Arguments) -> str:
        """No permit follows this entry."""
        await self._check(change.tx, mandate.alliance, arguments)
        if not await end(change, arguments["agreement"], mandate.actor(), case=arguments["case"]):
            raise _has_ended()
        return ""

    async def _owner(self, _: str, arguments: Arguments) -> Collection[str]:
        return [(await _existing(self._database, arguments["agreement"]))["owner_id"]]


async def _existing(reading: Reading, agreement_id: str) -> Row:
    row = await reading.one(AGREEMENT_ROW, id=agreement_id)
    if row is None:
        raise NotFound
    return row


def _has_ended() -> Conflicting:
    return Conflicting("agreement_terminated", "This agreement has ended already.", field="agreement")
