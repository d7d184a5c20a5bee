"""Two operators permit that a stretch of a log leaves the gateway. The permit is an entry, in that log itself."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam, select

from gateway.approvals import Act, Arguments, Mandate, Proposal
from gateway.database import Query, Reading
from gateway.errors import Invalid, NotFound
from gateway.ledger import Change, Draft, Kind
from gateway.ledger.stored import state
from gateway.ledger.tables import leaf
from gateway.members.arguments import only, said
from gateway.members.members import admission

PERMIT_LIFETIME_MS: Final = 7 * 24 * 3600 * 1000
"""For so long after its approval an export may be done, as often as need be."""

_PERMITTED = "export_permitted"
_ENTRY = Query(select(leaf.c.body).where(leaf.c.log_id == bindparam("log"), leaf.c.event_id == bindparam("event")))


@dataclass(frozen=True, slots=True)
class Extract:
    """Entries `first` to `last` of a log, both included; without `last`, to the newest one that is signed by then."""

    log: str
    first: int = 0
    last: int | None = None

    @classmethod
    def of(cls, arguments: Arguments) -> Extract:
        """Read the arguments of `export_log`, or `Invalid`."""
        only(arguments, "log", "first", "last")
        first, last = arguments.get("first", 0), arguments.get("last")
        for name, index in (("first", first), ("last", last)):
            if type(index) is not int and not (name == "last" and index is None):
                raise Invalid("invalid_argument", "This argument must be an integer.", field=name)
        if first < 0 or (last is not None and last < first):
            raise Invalid("invalid_range", "A range begins at 0 or later, and ends where it begins or later.")
        return cls(said(arguments, "log"), first, last)

    def range(self) -> dict[str, int | None]:
        """For entries."""
        return {"first": self.first, "last": self.last}

    def arguments(self) -> dict[str, Any]:
        """Of `export_log`."""
        return {"log": self.log, **{name: index for name, index in self.range().items() if index is not None}}


class ExportActs:
    """The act, for `Approvals`."""

    def acts(self) -> list[Act]:
        """`export_log`, of a log of the alliance: a member's, or the operator's."""
        return [Act("export_log", self._check, self._permit, logs=self._logs)]

    async def _check(self, reading: Reading, of: str, arguments: Arguments) -> None:
        wanted = Extract.of(arguments)
        if wanted.log != of:
            member = await admission(reading, wanted.log)
            if member is None or member.alliance != of:
                raise NotFound
        size = (await state(reading, wanted.log)).size
        newest = size if wanted.last is None else size - 1  # the permit itself is the next entry
        if (wanted.first if wanted.last is None else wanted.last) > newest:
            raise Invalid("range_not_in_log", f"The log has {size} entries.", field="last")

    async def _permit(self, change: Change, mandate: Mandate, arguments: Arguments) -> str:
        """Enter the permit, in that log and the operator's; returns the event id of the former."""
        await self._check(change.tx, mandate.alliance, arguments)
        wanted = Extract.of(arguments)
        facts = {
            "act": _PERMITTED,
            "actor": mandate.actor(),
            "exported_log": wanted.log,
            **wanted.range(),
            "arguments_sha256": mandate.digest,
            "expires_at": change.now_ms + PERMIT_LIFETIME_MS,
        }
        if wanted.log != mandate.alliance:
            change.enter(Draft(log=mandate.alliance, kind=Kind.ADMIN, facts=facts))
        return change.enter(Draft(log=wanted.log, kind=Kind.ADMIN, facts=facts))

    async def _logs(self, _: str, arguments: Arguments) -> Collection[str]:
        return [Extract.of(arguments).log]


async def objection(reading: Reading, wanted: Extract, proposal: Proposal, now_ms: int) -> str | None:
    """Why an export may not be done by a proposal, as a reason's code; None if it may."""
    if proposal.act != "export_log" or proposal.state != "approved":
        return "NO_EXPORT_PERMIT"
    if Extract.of(proposal.arguments) != wanted:
        return "ANOTHER_EXPORT_PERMITTED"
    row = await reading.one(_ENTRY, log=wanted.log, event=proposal.made)
    entry = {} if row is None else json.loads(bytes(row["body"]))
    if not _permits(entry, wanted, proposal):
        return "NO_EXPORT_PERMIT"
    return "EXPORT_PERMIT_EXPIRED" if now_ms >= entry["expires_at"] else None


def _permits(entry: Mapping[str, Any], wanted: Extract, proposal: Proposal) -> bool:
    """Whether this is the entry of that permit: the row of the proposal alone permits nothing."""
    stated = {"act": _PERMITTED, "exported_log": wanted.log, **wanted.range(), "arguments_sha256": proposal.digest}
    by_it = entry.get("actor", {}).get("proposal") == proposal.id
    return by_it and all(name in entry and entry[name] == value for name, value in stated.items())
