"""The operators of an alliance: enrolled, given codes, linked, disabled. Every act is an entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, insert, select, update

from gateway.characters import has_odd_blanks, shown_as_written
from gateway.database import AlreadyExists, Database, Query, Reading, Row
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identifiers import random_id
from gateway.identity.operators import codes
from gateway.identity.operators.entries import entry
from gateway.identity.operators.operator import Operator
from gateway.identity.operators.roles import PERMISSIONS, Permission, Role
from gateway.identity.operators.sessions import Sessions
from gateway.identity.operators.tables import operator, operator_subject
from gateway.ledger import Ledger

_LONGEST_NAME: Final = 100
_LONGEST_SUBJECT: Final = 255

_ADD = Query(insert(operator))
_FIND = Query(select(operator).where(operator.c.id == bindparam("id")))
_LIST = Query(
    select(operator).where(operator.c.alliance_id == bindparam("alliance")).order_by(operator.c.name, operator.c.id)
)
_SET_STATE = Query(update(operator).values(state=bindparam("new_state")).where(operator.c.id == bindparam("of")))
_SET_ROLE = Query(update(operator).values(role=bindparam("new_role")).where(operator.c.id == bindparam("of")))
_LINK = Query(insert(operator_subject))


@dataclass(frozen=True, slots=True)
class Listed:
    """An operator of the list, disabled ones included."""

    id: str
    name: str
    role: Role
    active: bool


class OperatorDirectory:
    """Enrols and ends operators. `by` is who acts, as entries will name them: an operator's id, or a host's account."""

    def __init__(self, database: Database, ledger: Ledger, sessions: Sessions) -> None:
        self._database = database
        self._ledger = ledger
        self._sessions = sessions

    async def enrol(self, alliance: str, *, name: str, role: Role, by: str) -> tuple[str, str]:
        """A new operator; returns the id and the one-time code, which is shown now and never again."""
        _check_name(name)
        operator_id = random_id()
        async with self._ledger.changing(alliance) as change:
            await change.tx.run(
                _ADD,
                id=operator_id,
                alliance_id=alliance,
                name=name,
                role=role.value,
                state="active",
                created_at=change.now_ms,
            )
            code = await codes.issue(change.tx, operator_id, by=by, now_ms=change.now_ms)
            facts = {"subject": operator_id, "name": name, "role": role.value}
            change.enter(entry(alliance, "operator_added", by, **facts))
        return operator_id, code

    async def issue_code(self, operator_id: str, *, by: str) -> str:
        """A new code for an operator who lost the passkey. It takes another person: nobody issues their own."""
        if operator_id == by:
            raise Conflicting("own_code", "A code is issued by another operator.", remedy="Ask a second admin.")
        row = await self._active(self._database, operator_id)
        async with self._ledger.changing(row["alliance_id"]) as change:
            await require_office(change.tx, by, Permission.MANAGE_OPERATORS)
            await self._active(change.tx, operator_id)
            code = await codes.issue(change.tx, operator_id, by=by, now_ms=change.now_ms)
            change.enter(entry(row["alliance_id"], "operator_code_issued", by, subject=operator_id))
        return code

    async def disable(self, operator_id: str, *, by: str) -> None:
        """End an operator, with every session and every code issued, at once. Already disabled: nothing, no entry."""
        row = await self._existing(self._database, operator_id)
        if operator_id == by:
            raise Conflicting("own_account", "Nobody disables themselves.", remedy="Ask a second admin.")
        alliance = row["alliance_id"]
        async with self._ledger.changing(alliance) as change:
            await require_office(change.tx, by, Permission.MANAGE_OPERATORS)
            if (await self._existing(change.tx, operator_id))["state"] == "disabled":
                return
            await change.tx.run(_SET_STATE, of=operator_id, new_state="disabled")
            await codes.end_issued(change.tx, operator_id)
            change.enter(entry(alliance, "operator_disabled", by, subject=operator_id))
            await self._sessions.end_all(change, operator_id, alliance, by=by)

    async def change_role(self, operator_id: str, role: Role, *, by: str) -> None:
        """Another role, from the next request on; a lost office ends its codes. The same: nothing happens, no entry."""
        row = await self._active(self._database, operator_id)
        if operator_id == by:
            raise Conflicting("own_account", "Nobody changes their own role.", remedy="Ask a second admin.")
        async with self._ledger.changing(row["alliance_id"]) as change:
            await require_office(change.tx, by, Permission.MANAGE_OPERATORS)
            former = (await self._active(change.tx, operator_id))["role"]
            if former == role.value:
                return
            await change.tx.run(_SET_ROLE, of=operator_id, new_role=role.value)
            if Permission.MANAGE_OPERATORS not in PERMISSIONS[role]:
                await codes.end_issued(change.tx, operator_id)
            facts = {"subject": operator_id, "role": role.value, "former_role": former}
            change.enter(entry(row["alliance_id"], "operator_role_changed", by, **facts))

    async def link(self, operator_id: str, *, issuer: str, subject: str, by: str) -> None:
        """Let an account at the provider sign in as this operator; an account is one operator's for ever."""
        if not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isascii() or not subject.isprintable():
            raise Invalid("invalid_subject", "A subject is 1 to 255 printable ASCII characters.", field="subject")
        row = await self._active(self._database, operator_id)
        try:
            async with self._ledger.changing(row["alliance_id"]) as change:
                await change.tx.run(
                    _LINK, issuer=issuer, subject=subject, operator_id=operator_id, linked_at=change.now_ms
                )
                facts = {"subject": operator_id, "issuer": issuer, "account": subject}
                change.enter(entry(row["alliance_id"], "operator_linked", by, **facts))
        except AlreadyExists:
            raise Conflicting("subject_linked", "This account is linked already.", field="subject") from None

    async def of_alliance(self, alliance: str) -> Sequence[Listed]:
        """Every operator of an alliance, by name."""
        return [
            Listed(row["id"], row["name"], Role(row["role"]), row["state"] == "active")
            for row in await self._database.all(_LIST, alliance=alliance)
        ]

    async def of_mine(self, operator_id: str, asking: Operator) -> Operator:
        """An active operator of the asking operator's alliance; else `NotFound`."""
        found = await active(self._database, operator_id)
        if found is None or found.alliance != asking.alliance:
            raise NotFound
        return found

    async def _existing(self, reading: Reading, operator_id: str) -> Row:
        row = await reading.one(_FIND, id=operator_id)
        if row is None:
            raise NotFound
        return row

    async def _active(self, reading: Reading, operator_id: str) -> Row:
        row = await self._existing(reading, operator_id)
        if row["state"] != "active":
            raise Conflicting("operator_disabled", "This operator is disabled.")
        return row


async def active(reading: Reading, operator_id: str) -> Operator | None:
    """The operator of an id, None for an unknown or a disabled one."""
    row = await reading.one(_FIND, id=operator_id)
    return None if row is None or row["state"] != "active" else _operator(row)


async def known(reading: Reading, operator_id: str) -> Operator | None:
    """The operator of an id, disabled or not: whose log an attempt belongs to."""
    row = await reading.one(_FIND, id=operator_id)
    return None if row is None else _operator(row)


async def require_office(reading: Reading, by: str, permission: str) -> None:
    """`Conflicting` for an operator who has lost the office since asking; a host's account has none to lose.

    Asked under the log's lock: of two admins who disable each other at once, one does it and one stays.
    """
    row = await reading.one(_FIND, id=by)
    if row is None:
        return
    if row["state"] != "active" or not _operator(row).may(permission):
        raise Conflicting("office_lost", "You do not have this office any more.", remedy="Ask another operator.")


def _operator(row: Row) -> Operator:
    return Operator(row["id"], row["alliance_id"], row["name"], Role(row["role"]))


def _check_name(name: str) -> None:
    fits = 0 < len(name) <= _LONGEST_NAME and name == name.strip()
    if not fits or has_odd_blanks(shown_as_written(name, "name")):
        detail = f"This must be 1 to {_LONGEST_NAME} characters, and no blanks but spaces between them."
        raise Invalid("name_malformed", detail, field="name")
