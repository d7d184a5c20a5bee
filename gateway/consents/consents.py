"""Recording and withdrawing consents, by the dataset's owner alone.

Per person, recipient and purpose the newest explicit decision counts, and a withdrawal wins a tie: a consent given
at or before the last withdrawal does not stand, however late it arrives.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import orjson
from sqlalchemy import BigInteger, Text, bindparam, insert, or_, select, update

from gateway.canonical import canonical
from gateway.catalog.dataset import Dataset
from gateway.catalog.datasets import Datasets
from gateway.catalog.tables import dataset as dataset_table
from gateway.clock import Clock, seconds
from gateway.consents.statement import Statement, stated
from gateway.consents.tables import consent, withdrawal
from gateway.database import AlreadyExists, Database, Query, Row
from gateway.database.idempotency import recall, remember
from gateway.errors import Conflicting, Invalid, NotFound, TooLarge
from gateway.identifiers import random_id
from gateway.identity.subject import Subject
from gateway.ledger import Change, Draft, Kind, Ledger
from gateway.members.tables import member
from gateway.vault.keyring import KeyRing

MOST_AT_ONCE = 10_000
_LONGEST_TRANSACTION_S = 0.04
_YIELD_EVERY = 50

_STANDING = Query(
    select(consent).where(
        consent.c.dataset_no == bindparam("dataset_no"),
        consent.c.recipient_id == bindparam("recipient"),
        consent.c.purpose == bindparam("purpose"),
        consent.c.pseudonym == bindparam("pseudonym"),
        consent.c.ended_at.is_(None),
    )
)
_STANDING_OF_SUBJECT = Query(
    select(consent.c.id, consent.c.recipient_id, consent.c.purpose).where(
        consent.c.dataset_no == bindparam("dataset_no"),
        consent.c.pseudonym == bindparam("pseudonym"),
        consent.c.ended_at.is_(None),
    )
)
_WITHDRAWN = Query(
    select(withdrawal.c.withdrawn_at)
    .where(
        withdrawal.c.dataset_no == bindparam("dataset_no"),
        withdrawal.c.pseudonym == bindparam("pseudonym"),
        or_(withdrawal.c.recipient_id == "", withdrawal.c.recipient_id == bindparam("recipient")),
        or_(withdrawal.c.purpose == "", withdrawal.c.purpose == bindparam("purpose")),
    )
    .order_by(withdrawal.c.withdrawn_at.desc())
    .limit(1)
)
_NEW = Query(insert(consent))
_NEW_WITHDRAWAL = Query(insert(withdrawal))
_END = Query(
    update(consent)
    .values(ended_at=bindparam("ends_at", type_=BigInteger), end_kind=bindparam("kind_of_end", type_=Text))
    .where(consent.c.id == bindparam("the_id"), consent.c.ended_at.is_(None))
)
_BY_ID = Query(
    select(consent, dataset_table.c.id.label("dataset_id"))
    .join(dataset_table, dataset_table.c.no == consent.c.dataset_no)
    .where(consent.c.id == bindparam("id"), dataset_table.c.owner_id == bindparam("owner"))
)
_MEMBER = Query(
    select(member.c.id).where(member.c.id == bindparam("id"), member.c.alliance_id == bindparam("alliance"))
)


@dataclass(frozen=True, slots=True)
class _Item:
    """A statement about a pseudonym, with its place in the request."""

    index: int
    stated: Statement
    pseudonym: str


_Keep = Callable[[Change, list[dict[str, Any]]], Awaitable[None]]
"""Called in each transaction with its change and outcomes."""


class _Narrows(Exception):
    """A consent under way supersedes another, so the change must narrow."""


class Consents:
    """The consents to datasets of kind personal."""

    def __init__(self, database: Database, ledger: Ledger, keyring: KeyRing, clock: Clock) -> None:
        self._database = database
        self._datasets = Datasets(database, ledger)
        self._keyring = keyring
        self._ledger = ledger
        self._clock = clock

    async def record(
        self, subject: Subject, dataset_id: str, given: Sequence[Any], *, key: str | None, fingerprint: str
    ) -> bytes:
        """Record consents and return what became of each, in order; needs the action `consent`.

        All are checked before one is recorded: `Invalid` names the first that breaks a rule, and nothing changes.
        Then `recorded`; `unchanged` (it stands already); `outdated` (a newer one stands, or it was withdrawn at or
        after it was given). Many go in several transactions: after `Unavailable`, the same request goes on.
        """
        subject.require("consent")
        dataset = await self._personal(subject, dataset_id)
        known = await recall(self._database, client_id=subject.client, key=key, fingerprint=fingerprint)
        if known is not None:
            return known
        if not given:
            raise Invalid("invalid_consent", "There is no consent in the body.", field="/consents")
        if len(given) > MOST_AT_ONCE:
            raise TooLarge("too_many_consents", f"At most {MOST_AT_ONCE} at once.", field="/consents")
        items = await self._checked(subject, dataset, given)
        try:
            return await self._record_all(subject, dataset, items, key=key, fingerprint=fingerprint)
        except AlreadyExists:  # an equal request was done meanwhile
            known = await recall(self._database, client_id=subject.client, key=key, fingerprint=fingerprint)
            if known is None:
                raise
            return known

    async def withdraw(self, subject: Subject, consent_id: str) -> bytes:
        """Withdraw one consent; needs the action `withdraw`. Whoever withdraws twice gets the same answer."""
        subject.require("withdraw")
        row = await self._owned(subject, consent_id)
        if row["ended_at"] is None or row["end_kind"] != "withdrawn":
            dataset = await self._datasets.owned(subject, row["dataset_id"])
            await self._withdraw(subject, dataset, row["pseudonym"], row["recipient_id"], row["purpose"])
        return _shown(await self._owned(subject, consent_id), await self._fields_of(row), seconds(self._clock()))

    async def withdraw_matching(
        self, subject: Subject, dataset_id: str, *, person: str, recipient: str = "", purpose: str = ""
    ) -> bytes:
        """Withdraw every consent of a person, or those for one recipient or purpose; needs the action `withdraw`.

        It stands against consents given earlier and recorded later, too. The answer is the same whether anything
        stood or not, but for the number withdrawn. `person` is read as a row's subject is; `Invalid` names
        /subject where no row can have it.
        """
        subject.require("withdraw")
        dataset = await self._personal(subject, dataset_id)
        named = dataset.subject_of(person)
        keys = await self._keyring.unlock(dataset.owner)
        ids = await self._withdraw(subject, dataset, keys.pseudonym(named), recipient, purpose)
        return orjson.dumps({"dataset": dataset.id, "withdrawn": ids})

    async def show(self, subject: Subject, consent_id: str) -> bytes:
        """One consent as its dataset's owner sees it, with its state now; `NotFound` for everybody else."""
        row = await self._owned(subject, consent_id)
        return _shown(row, await self._fields_of(row), seconds(self._clock()))

    async def _personal(self, subject: Subject, dataset_id: str) -> Dataset:
        dataset = await self._datasets.owned(subject, dataset_id)
        if dataset.kind != "personal":
            raise Conflicting(
                "not_personal", "Only personal datasets have consents.", field="dataset", remedy="Nothing to record."
            )
        return dataset

    async def _checked(self, subject: Subject, dataset: Dataset, given: Sequence[Any]) -> list[_Item]:
        now_s = seconds(self._clock())
        statements = []
        for index, one in enumerate(given):
            statements.append(stated(dataset, one, now_s, f"/consents/{index}"))
            if index % _YIELD_EVERY == 0:
                await asyncio.sleep(0)
        places = {statement.recipient: index for index, statement in reversed(list(enumerate(statements)))}
        for recipient, index in places.items():
            if recipient == dataset.owner or not await self._database.one(
                _MEMBER, id=recipient, alliance=subject.alliance
            ):
                raise Invalid(
                    "invalid_consent",
                    "The recipient is another member of the alliance.",
                    field=f"/consents/{index}/recipient",
                )
        keys = await self._keyring.unlock(dataset.owner)
        return [_Item(index, one, keys.pseudonym(one.subject)) for index, one in enumerate(statements)]

    async def _record_all(
        self, subject: Subject, dataset: Dataset, items: Sequence[_Item], *, key: str | None, fingerprint: str
    ) -> bytes:
        """Record in as many transactions as it takes; the last one keeps the answer too."""
        told: list[dict[str, Any]] = []
        answer = b""

        async def keep(change: Change, outcomes: list[dict[str, Any]]) -> None:
            nonlocal answer
            if len(told) + len(outcomes) == len(items):
                answer = orjson.dumps({"dataset": dataset.id, "consents": told + outcomes})
                by, at = subject.client, change.now_ms
                await remember(change.tx, client_id=by, key=key, fingerprint=fingerprint, answer=answer, now_ms=at)

        while len(told) < len(items):
            left = items[len(told) :]
            try:
                told += await self._record_some(subject, dataset, left, keep, narrows=False)
            except _Narrows:
                told += await self._record_some(subject, dataset, left, keep, narrows=True)
        return answer

    async def _record_some(
        self, subject: Subject, dataset: Dataset, items: Sequence[_Item], keep: _Keep, *, narrows: bool
    ) -> list[dict[str, Any]]:
        """Record as many as fit in one short transaction, with the one entry that names them."""
        owner = dataset.owner
        outcomes: list[dict[str, Any]] = []
        recorded: list[tuple[str, Statement]] = []
        async with self._ledger.changing(owner, narrows={owner} if narrows else ()) as change:
            end = monotonic() + _LONGEST_TRANSACTION_S
            for item in items:
                outcome = await _record_one(change, dataset, item, narrows=narrows)
                outcomes.append(outcome)
                if outcome["result"] == "recorded":
                    recorded.append((outcome["id"], item.stated))
                if len(outcomes) % _YIELD_EVERY == 0:
                    if monotonic() > end:
                        break
                    await asyncio.sleep(0)
            if recorded:
                change.enter(_recorded_entry(subject, dataset, recorded))
            await keep(change, outcomes)
        return outcomes

    async def _withdraw(
        self, subject: Subject, dataset: Dataset, pseudonym: str, recipient: str, purpose: str
    ) -> list[str]:
        owner = dataset.owner
        async with self._ledger.changing(owner, narrows={owner}) as change:
            standing = await change.tx.all(_STANDING_OF_SUBJECT, dataset_no=dataset.no, pseudonym=pseudonym)
            matching = [row for row in standing if _matches(row, recipient, purpose)]
            now_s = seconds(change.now_ms)
            for row in matching:
                await change.tx.run(_END, the_id=row["id"], ends_at=now_s, kind_of_end="withdrawn")
            await change.tx.run(
                _NEW_WITHDRAWAL,
                id=random_id(),
                dataset_no=dataset.no,
                pseudonym=pseudonym,
                recipient_id=recipient,
                purpose=purpose,
                withdrawn_at=now_s,
                recorded_at=change.now_ms,
            )
            ids = sorted(row["id"] for row in matching)
            change.enter(_withdrawn_entry(subject, dataset, matching, recipient, purpose))
        return ids

    async def _owned(self, subject: Subject, consent_id: str) -> Row:
        row = await self._database.one(_BY_ID, id=consent_id, owner=subject.member)
        if row is None:
            raise NotFound
        return row

    async def _fields_of(self, row: Row) -> list[str]:
        found = await self._database.one(_SCHEMA_OF, no=row["dataset_no"])
        assert found is not None
        return _names(Dataset.of(found), row["fields"])


_SCHEMA_OF = Query(select(dataset_table).where(dataset_table.c.no == bindparam("no")))


async def _record_one(change: Change, dataset: Dataset, item: _Item, *, narrows: bool) -> dict[str, Any]:
    tx, new = change.tx, item.stated
    about = {"dataset_no": dataset.no, "recipient": new.recipient, "purpose": new.purpose, "pseudonym": item.pseudonym}
    withdrawn = await tx.one(_WITHDRAWN, **about)
    if withdrawn is not None and withdrawn["withdrawn_at"] >= new.given_at:
        return {"result": "outdated", "because": "withdrawn"}
    standing = await tx.one(_STANDING, **about)
    if standing is not None:
        if _same(standing, new):
            return {"result": "unchanged", "id": standing["id"]}
        if standing["given_at"] > new.given_at:
            return {"result": "outdated", "because": "newer_consent"}
        if not narrows:
            raise _Narrows
        await tx.run(_END, the_id=standing["id"], ends_at=seconds(change.now_ms), kind_of_end="superseded")
    consent_id = random_id()
    await tx.run(
        _NEW,
        id=consent_id,
        dataset_no=dataset.no,
        recipient_id=new.recipient,
        purpose=new.purpose,
        pseudonym=item.pseudonym,
        fields=new.fields,
        given_at=new.given_at,
        expires_at=new.expires_at,
        ended_at=None,
        end_kind=None,
        evidence_sha256=new.evidence_sha256,
        notice_sha256=new.notice_sha256,
        recorded_at=change.now_ms,
    )
    return {"result": "recorded", "id": consent_id}


def _same(standing: Row, new: Statement) -> bool:
    return all(
        standing[name] == getattr(new, name)
        for name in ("fields", "given_at", "expires_at", "evidence_sha256", "notice_sha256")
    )


def _matches(row: Row, recipient: str, purpose: str) -> bool:
    return recipient in ("", row["recipient_id"]) and purpose in ("", row["purpose"])


def _recorded_entry(subject: Subject, dataset: Dataset, recorded: Sequence[tuple[str, Statement]]) -> Draft:
    facts: dict[str, Any] = {"act": "consents_recorded", **_common(subject, dataset, [one for one, _ in recorded])}
    if len(recorded) == 1:
        only = recorded[0][1]
        facts |= {
            "recipient": only.recipient,
            "purpose": only.purpose,
            "fields": _names(dataset, only.fields),
            "evidence_sha256": only.evidence_sha256,
        }
    else:
        facts |= {
            "recipients": sorted({one.recipient for _, one in recorded})[:_MOST_NAMED],
            "purposes": sorted({one.purpose for _, one in recorded})[:_MOST_NAMED],
            "evidence_sha256": _digest(one.evidence_sha256 for _, one in recorded),
        }
    return Draft(log=dataset.owner, kind=Kind.CONSENT, facts=facts)


def _withdrawn_entry(subject: Subject, dataset: Dataset, rows: Sequence[Row], recipient: str, purpose: str) -> Draft:
    facts = {
        "act": "consents_withdrawn",
        **_common(subject, dataset, sorted(row["id"] for row in rows)),
        "recipient": recipient,
        "purpose": purpose,
    }
    return Draft(log=dataset.owner, kind=Kind.CONSENT, facts=facts)


_MOST_NAMED = 20


def _common(subject: Subject, dataset: Dataset, ids: Sequence[str]) -> dict[str, Any]:
    named: dict[str, Any] = {"count": len(ids), "ids_sha256": _digest(ids)}
    if len(ids) <= _MOST_NAMED:
        named["consents"] = list(ids)
    return {"actor": {"member": subject.member, "client": subject.client}, "dataset": dataset.id, **named}


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256(canonical(list(texts))).hexdigest()


def _names(dataset: Dataset, bits: int) -> list[str]:
    return [name for name in dataset.fields if dataset.bit(name) & bits]


def state_of(row: Mapping[str, Any] | Row, now_s: int) -> str:
    """given, withdrawn, superseded or expired, at an instant: stored state and clock together."""
    if row["ended_at"] is not None:
        return str(row["end_kind"])
    return "expired" if row["expires_at"] <= now_s else "given"


def _shown(row: Row, fields: list[str], now_s: int) -> bytes:
    return orjson.dumps(
        {
            "id": row["id"],
            "dataset": row["dataset_id"],
            "recipient": row["recipient_id"],
            "purpose": row["purpose"],
            "fields": fields,
            "state": state_of(row, now_s),
            "given_at": row["given_at"],
            "expires_at": row["expires_at"],
            "ended_at": row["ended_at"],
            "evidence_sha256": row["evidence_sha256"],
            "notice_sha256": row["notice_sha256"],
        }
    )
