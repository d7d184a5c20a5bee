"""Rule sets: drafted by the member that serves persons, put in force by two operators, kept in every version."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import BigInteger, bindparam, func, insert, select, update

from gateway.agreements.agreement import rfc3339
from gateway.approvals import Act, Arguments, Mandate
from gateway.bundles.rules import RuleSet
from gateway.bundles.tables import bundle_rules
from gateway.canonical import parse_canonical
from gateway.characters import all_shown_as_written
from gateway.database import Database, Query, Reading, Row
from gateway.errors import Conflicting, NotFound
from gateway.identifiers import random_id
from gateway.identity.subject import Subject
from gateway.ledger import Change, Draft, Kind, Ledger
from gateway.members.arguments import only, said

_ADD = Query(insert(bundle_rules))
_NEWEST = Query(
    select(func.max(bundle_rules.c.version).label("version")).where(bundle_rules.c.member_id == bindparam("member"))
)
_BY_ID = Query(select(bundle_rules).where(bundle_rules.c.id == bindparam("id")))
_OF_MEMBER = Query(
    select(bundle_rules).where(bundle_rules.c.member_id == bindparam("member")).order_by(bundle_rules.c.version)
)
_ACTIVE = Query(
    select(bundle_rules).where(bundle_rules.c.member_id == bindparam("member"), bundle_rules.c.state == "active")
)
_RETIRE = Query(
    update(bundle_rules)
    .where(bundle_rules.c.member_id == bindparam("member"), bundle_rules.c.state == "active")
    .values(state="retired")
)
_APPROVE = Query(
    update(bundle_rules)
    .where(bundle_rules.c.id == bindparam("the_id"), bundle_rules.c.state == "draft")
    .values(state="active", approved_at=bindparam("at", type_=BigInteger))
)


class RuleSets:
    """Of each member at most one is active; without one there are no bundles."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    def acts(self) -> list[Act]:
        """`approve_bundle_rules`, which needs two operators."""
        return [Act("approve_bundle_rules", self._check, self._approve, logs=self._member)]

    async def draft(self, subject: Subject, document: Any) -> dict[str, Any]:
        """Put a rule set before the operators, as the next version; needs `draft`."""
        subject.require("draft")
        all_shown_as_written(document, "")
        rules = RuleSet.of(document)
        async with self._ledger.changing(subject.member) as change:
            newest = await change.tx.one(_NEWEST, member=subject.member)
            row = {
                "id": random_id(),
                "alliance_id": subject.alliance,
                "member_id": subject.member,
                "version": 1 + ((newest["version"] if newest is not None else None) or 0),
                "text": rules.text.decode(),
                "sha256": rules.sha256,
                "state": "draft",
                "drafted_at": change.now_ms,
                "approved_at": None,
            }
            await change.tx.run(_ADD, **row)
            change.enter(_entry(row, "bundle_rules_drafted", subject.actor()))
        return _described(row)

    async def page(self, subject: Subject) -> list[dict[str, Any]]:
        """The member's own, oldest first."""
        return [_described(row) for row in await self._database.all(_OF_MEMBER, member=subject.member)]

    async def active(self, reading: Reading, member: str) -> tuple[str, int, RuleSet]:
        """The id, the version and the rules in force; `Conflicting` where there are none."""
        row = await reading.one(_ACTIVE, member=member)
        if row is None:
            raise Conflicting("no_bundle_rules", "No rules of yours are in force.", remedy="Draft some.")
        return row["id"], row["version"], RuleSet.of(parse_canonical(row["text"].encode()))

    async def approval(self, rules: str) -> tuple[str, dict[str, str]]:
        """The alliance, and the arguments of `approve_bundle_rules` that name exactly this text."""
        row = await _row(self._database, rules)
        return row["alliance_id"], {"rules": row["id"], "sha256": row["sha256"]}

    async def _check(self, reading: Reading, of: str, arguments: Arguments) -> None:
        await _drafted(reading, of, arguments)

    async def _approve(self, change: Change, mandate: Mandate, arguments: Arguments) -> str:
        """The member's former rules are retired in the same transaction."""
        row = await _drafted(change.tx, mandate.alliance, arguments)
        await change.tx.run(_RETIRE, member=row["member_id"])
        if await change.tx.run(_APPROVE, the_id=row["id"], at=change.now_ms) != 1:
            raise Conflicting("bundle_rules_moved", "The rules have just changed.", field="rules")
        change.enter(_entry(row, "bundle_rules_approved", mandate.actor()))
        return str(row["id"])

    async def _member(self, _: str, arguments: Arguments) -> Collection[str]:
        return [(await _row(self._database, said(arguments, "rules")))["member_id"]]


async def _row(reading: Reading, rules: str) -> Row:
    row = await reading.one(_BY_ID, id=rules)
    if row is None:
        raise NotFound
    return row


async def _drafted(reading: Reading, of: str, arguments: Arguments) -> Row:
    only(arguments, "rules", "sha256")
    row = await _row(reading, said(arguments, "rules"))
    if row["alliance_id"] != of:
        raise NotFound
    if (
        row["sha256"] != said(arguments, "sha256")
        or RuleSet.of(parse_canonical(row["text"].encode())).sha256 != row["sha256"]
    ):
        raise Conflicting("bundle_rules_differ", "The rules are other ones.", field="sha256")
    if row["state"] != "draft":
        raise Conflicting("bundle_rules_decided", f"The rules are {row['state']}.", field="rules")
    return row


def _entry(row: Any, act: str, actor: dict[str, str]) -> Draft:
    facts = {"act": act, "actor": actor, "rules": row["id"], "version": row["version"], "sha256": row["sha256"]}
    return Draft(log=row["member_id"], kind=Kind.ADMIN, facts=facts)


def _described(row: Any) -> dict[str, Any]:
    named = {name: row[name] for name in ("id", "version", "sha256", "state")}
    rules = parse_canonical(row["text"].encode())
    return {
        **named,
        "rules": rules,
        "drafted_at": rfc3339(row["drafted_at"]),
        "approved_at": rfc3339(row["approved_at"]),
    }
