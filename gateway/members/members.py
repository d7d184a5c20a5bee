"""Alliances are founded, companies become prospects, and members are suspended by one operator and readmitted by two.

How a prospect becomes a member is `gateway.members.admission`'s to say. Every act is one entry.

The entries stand in the operator's log of the alliance, whose id is the alliance's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Text, bindparam, func, insert, select, update

from gateway.approvals import Act, Arguments, Mandate
from gateway.characters import has_odd_blanks, shown_as_written
from gateway.clock import seconds
from gateway.database import Database, Query, Reading, Row, Transaction
from gateway.errors import Conflicting, Invalid, NotFound, Reason, Refused
from gateway.identifiers import random_id
from gateway.identity import Admission
from gateway.ledger import Change, Draft, Kind, Ledger
from gateway.members.arguments import only, said
from gateway.members.tables import alliance, member
from gateway.members.uscc import checked_uscc

LONGEST_NAME = 200
NOWHERE = "ZZ"
"""The country of a company that management has not placed anywhere (ISO 3166 leaves ZZ to users)."""
HIGHEST_CLEARANCE = 4
MOST_ASKED_FOR = 3
"""The two parties of an agreement, and one third party."""
OPEN_END_MS = 253_402_300_799_000
"""What has no end, ends here: the last second of the year 9999."""
ENVIRONMENTS = ("production", "test")

_ADD_ALLIANCE = Query(insert(alliance))
_ALLIANCES = Query(select(alliance.c.id).order_by(alliance.c.id))
_ALLIANCE = Query(select(alliance.c.id).where(alliance.c.id == bindparam("id")))
_ADD_MEMBER = Query(insert(member))
_MEMBER = Query(select(member).where(member.c.id == bindparam("id")))
_STANDING = Query(
    select(member.c.alliance_id, member.c.state, member.c.qualified_until).where(member.c.id == bindparam("id"))
)
_ADMITTED = Query(
    select(func.count().label("count")).where(
        member.c.id.in_([bindparam(f"id_{number}", type_=Text) for number in range(MOST_ASKED_FOR)]),
        member.c.alliance_id == bindparam("alliance"),
        member.c.state == "admitted",
    )
)
_HOLD_MEMBER = Query(select(member.c.id).where(member.c.id == bindparam("id")).with_for_update(read=True))
_MEMBERS = Query(
    select(member.c.id)
    .where(member.c.alliance_id == bindparam("alliance"), member.c.state != "prospect")
    .order_by(member.c.id)
)
_BY_USCC = Query(
    select(member.c.id).where(member.c.alliance_id == bindparam("alliance"), member.c.uscc == bindparam("uscc"))
)
_SET_STATE = Query(
    update(member)
    .where(member.c.id == bindparam("the_id"))
    .values(state=bindparam("new_state"), version=member.c.version + 1)
)


class MemberKeyRing(Protocol):
    """Where a new member gets its encryption keys from."""

    async def create_member_keys(self, tx: Transaction, member_id: str, now_ms: int) -> None:
        """Create the member's keys in the transaction that creates the member."""

    async def create_log_key(self, tx: Transaction, log: str, now_ms: int) -> None:
        """Create the key that signs a log's checkpoints, in the transaction that opens the log."""


class Members:
    """The alliance's roll. `operator` names the person who acts, as the entry will."""

    def __init__(self, database: Database, ledger: Ledger, keyring: MemberKeyRing) -> None:
        self._database = database
        self._ledger = ledger
        self._keyring = keyring

    async def create_alliance(self, name: str, *, operator: str, environment: str = "production") -> str:
        """Found an alliance and open its operator's log; returns the id of both.

        Its `environment` (`production` or `test`) stays: what is tested and what is real share nothing.
        """
        checked_name(name, "name")
        if environment not in ENVIRONMENTS:
            raise Invalid("invalid_environment", f"One of {', '.join(ENVIRONMENTS)}.", field="environment")
        alliance_id = random_id()
        async with self._ledger.changing() as change:
            row = {"id": alliance_id, "name": name, "created_at": change.now_ms, "environment": environment}
            await change.tx.run(_ADD_ALLIANCE, **row)
            await change.open_log(alliance_id)
            await self._keyring.create_log_key(change.tx, alliance_id, change.now_ms)
            facts = {"alliance": alliance_id, "name": name, "environment": environment}
            change.enter(_act(alliance_id, "alliance_founded", {"operator": operator}, **facts))
        return alliance_id

    async def create_member(self, alliance_id: str, *, name: str, uscc: str, industry: str, operator: str) -> str:
        """A prospect: its row, its encryption keys and its own log, or nothing; returns its id (clause 2.2.3).

        It is nobody's partner yet: no client, no signing key and no token until it is admitted.
        `UsccInvalid` names what is wrong with the code; `Conflicting` if the company is a member already.
        """
        checked_name(name, "name")
        checked_name(industry, "industry")
        code = checked_uscc(uscc)
        await self.require_alliance(alliance_id)
        member_id = random_id()
        async with self._ledger.changing(alliance_id) as change:
            if await change.tx.one(_BY_USCC, alliance=alliance_id, uscc=code) is not None:
                raise Conflicting("uscc_taken", "A member of this alliance has this code already.", field="uscc")
            await change.tx.run(
                _ADD_MEMBER,
                id=member_id,
                alliance_id=alliance_id,
                name=name,
                uscc=code,
                industry=industry,
                state="prospect",
                version=1,
                created_at=change.now_ms,
                revision=1,
                qualified_until=0,
                clearance=0,
                country=NOWHERE,
            )
            await change.open_log(member_id)
            await self._keyring.create_log_key(change.tx, member_id, change.now_ms)
            await self._keyring.create_member_keys(change.tx, member_id, change.now_ms)
            facts = {"member": member_id, "name": name, "uscc": code, "industry": industry}
            change.enter(_act(alliance_id, "prospect_named", {"operator": operator}, **facts))
        return member_id

    async def suspend(self, member_id: str, *, case: str, operator: str) -> None:
        """Stop a member's access, and access to its data, from this entry on (clause 9.2.3).

        Every log of the alliance is narrowed and carries the entry, not only those of members that share with it:
        which those are could change between asking and locking. Already suspended: nothing happens, no entry.
        """
        row = await self._existing(self._database, member_id)
        checked_name(case, "case")
        if row["state"] == "suspended":
            return
        refuse_prospect(row["state"])
        everyone = await self.of_alliance(row["alliance_id"])
        async with self._ledger.changing(row["alliance_id"], narrows=everyone) as change:
            state = (await self._existing(change.tx, member_id))["state"]
            if state == "suspended":
                return
            refuse_prospect(state)
            await change.tx.run(_SET_STATE, the_id=member_id, new_state="suspended")
            for log in (row["alliance_id"], *everyone):
                change.enter(_act(log, "member_suspended", {"operator": operator}, member=member_id, case=case))

    def acts(self) -> list[Act]:
        """`readmit_member`, which needs two operators."""
        return [Act("readmit_member", self._check_readmission, self._readmit)]

    async def readmission(self, member_id: str, *, case: str) -> dict[str, Any]:
        """The arguments of `readmit_member`: they end the suspension that stands now, and no later one."""
        row = await self._existing(self._database, member_id)
        return {"member": member_id, "version": row["version"], "case": case}

    async def _check_readmission(self, reading: Reading, of: str, arguments: Arguments) -> None:
        only(arguments, "member", "version", "case")
        checked_name(said(arguments, "case"), "case")
        row = await self._existing(reading, said(arguments, "member"))
        if row["alliance_id"] != of:
            raise NotFound
        if row["state"] != "suspended" or row["version"] != arguments.get("version"):
            raise Conflicting(
                "suspension_over",
                "The suspension that was looked at does not stand.",
                field="member",
                remedy="If the member is suspended, propose again.",
            )

    async def _readmit(self, change: Change, mandate: Mandate, arguments: Arguments) -> str:
        """End a suspension."""
        await self._check_readmission(change.tx, mandate.alliance, arguments)
        await change.tx.run(_SET_STATE, the_id=arguments["member"], new_state="admitted")
        facts = {name: arguments[name] for name in ("member", "case")}
        change.enter(_act(mandate.alliance, "member_readmitted", mandate.actor(), **facts))
        return ""

    async def alliances(self) -> Sequence[str]:
        """The ids of all alliances."""
        return [row["id"] for row in await self._database.all(_ALLIANCES)]

    async def require_alliance(self, alliance_id: str) -> None:
        """`NotFound` unless there is this alliance: of a mistyped one nothing is known, which is not nothing to do."""
        if await self._database.one(_ALLIANCE, id=alliance_id) is None:
            raise NotFound("There is no such alliance.")

    async def home_of(self, member_id: str) -> str:
        """The alliance of a member, suspended or not; `NotFound` for a stranger."""
        return str((await self._existing(self._database, member_id))["alliance_id"])

    async def of_alliance(self, alliance_id: str) -> Sequence[str]:
        """The ids of all members of an alliance, suspended ones included, prospects not."""
        return [row["id"] for row in await self._database.all(_MEMBERS, alliance=alliance_id)]

    async def _existing(self, reading: Reading, member_id: str) -> Row:
        row = await reading.one(_MEMBER, id=member_id)
        if row is None:
            raise NotFound
        return row


async def admission(reading: Reading, member_id: str) -> Admission | None:
    """Where a member stands in its alliance; None for one that is unknown, or a prospect."""
    row = await reading.one(_STANDING, id=member_id)
    if row is None or row["state"] == "prospect":
        return None
    qualified = seconds(row["qualified_until"])
    return Admission(row["alliance_id"], suspended=row["state"] != "admitted", qualified_until=qualified)


async def are_admitted(reading: Reading, *, alliance_id: str, member_ids: Collection[str]) -> bool:
    """Whether each of these, one to `MOST_ASKED_FOR`, is a member of the alliance and not suspended."""
    wanted = tuple(set(member_ids))
    filled = wanted + wanted[:1] * (MOST_ASKED_FOR - len(wanted))
    named = {f"id_{number}": name for number, name in enumerate(filled)}
    row = await reading.one(_ADMITTED, alliance=alliance_id, **named)
    return row is not None and row["count"] == len(wanted)


async def is_admitted(reading: Reading, *, alliance_id: str, member_id: str) -> bool:
    """Whether this is a member of the alliance and not suspended."""
    return await are_admitted(reading, alliance_id=alliance_id, member_ids=(member_id,))


async def stays_admitted(tx: Transaction, *, alliance_id: str, member_id: str) -> bool:
    """As `is_admitted`; whoever would suspend the member waits until this transaction ends."""
    await tx.one(_HOLD_MEMBER, id=member_id)
    return await is_admitted(tx, alliance_id=alliance_id, member_id=member_id)


def refuse_prospect(state: str) -> None:
    """`Refused` for a company that management has not approved (clause 2.2.3)."""
    if state == "prospect":
        raise Refused((Reason("NOT_ADMITTED", "2.2.3"),), remedy="Have management approve the company first.")


def _act(log: str, act: str, actor: Mapping[str, str], **facts: Any) -> Draft:
    """What was done, by whom."""
    return Draft(log=log, kind=Kind.ADMIN, facts={"act": act, "actor": dict(actor), **facts})


def checked_name(text: str, field: str) -> None:
    """1 to 200 characters, shown as they are written, no blanks but spaces between them; else `Invalid`."""
    fits = 0 < len(text) <= LONGEST_NAME and text == text.strip()
    if not fits or has_odd_blanks(shown_as_written(text, field)):
        detail = f"This must be 1 to {LONGEST_NAME} characters, and no blanks but spaces between them."
        raise Invalid("name_malformed", detail, field=field)
