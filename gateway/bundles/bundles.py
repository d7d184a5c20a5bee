"""Making a bundle, and explaining it afterwards (clause 4.3.3; PIPL Art. 24).

Products and preferences are read through the one enforcement point, under the token of the member that serves the
person: preferences for the purpose `personalisation`, under that person's consent at that instant. Who has not
consented, who has switched bundles off, and who does not exist get the generic list, and the member is not told which.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, LargeBinary, Text, and_, bindparam, insert, select

from gateway.access.enforcement import EnforcementPoint
from gateway.access.request import AccessRequest
from gateway.agreements.agreement import Agreement, rfc3339
from gateway.agreements.agreements import Agreements
from gateway.agreements.fields import matching
from gateway.bundles.composing import NOTHING, Bundle, PriceList, Product, compose
from gateway.bundles.rule_sets import RuleSets
from gateway.bundles.rules import RuleSet, Source
from gateway.bundles.switches import is_off
from gateway.bundles.tables import bundle, bundle_rules
from gateway.canonical import canonical
from gateway.catalog.subject_keys import subject_keys
from gateway.catalog.tables import dataset, record, upload
from gateway.clock import Clock, seconds
from gateway.consents.notice_text import PERSONALISATION
from gateway.database import Database, Query, Row
from gateway.errors import NotFound, TooLarge
from gateway.identifiers import random_id
from gateway.identity.subject import Subject
from gateway.ledger import Draft, Kind, Ledger
from gateway.vault.keyring import KeyRing, WrappedSubjectKey
from gateway.vault.tables import subject_key

PRODUCTS: Final = "product_information"
"""The purpose that product lists are read for."""
MOST_PRODUCTS: Final = 1_000
MOST_EXPLAINED: Final = 100
RECORD: Final = "[0-9a-f]{32}"

_PERSON = Query(
    select(record.c.pseudonym)
    .join(dataset, dataset.c.no == record.c.dataset_no)
    .join(upload, and_(upload.c.no == record.c.upload_no, upload.c.state == "published"))
    .where(
        dataset.c.id == bindparam("dataset", type_=Text),
        dataset.c.owner_id == bindparam("owner", type_=Text),
        record.c.id == bindparam("record", type_=LargeBinary),
    )
)
_ADD = Query(insert(bundle))
_EXPLAINED = Query(
    select(
        bundle.c.id,
        bundle.c.member_id,
        bundle.c.basis,
        bundle.c.sealed,
        bundle.c.made_at,
        bundle_rules.c.version,
        bundle_rules.c.sha256,
        subject_key.c.id.label("key_id"),
        subject_key.c.key_version,
        subject_key.c.wrapped,
    )
    .join(bundle_rules, bundle_rules.c.id == bundle.c.rules_id)
    .join(subject_key, subject_key.c.id == bundle.c.subject_key_id)
    .where(bundle.c.owner_id == bindparam("owner"), bundle.c.pseudonym == bindparam("person"))
    .order_by(bundle.c.made_at.desc(), bundle.c.id)
    .limit(bindparam("most", type_=BigInteger))
)


@dataclass(frozen=True, slots=True)
class Wish:
    """Whom a bundle is for: a record of a personal dataset. Without `personal` no data of theirs is looked at."""

    agreement: str
    dataset: str
    record: str
    personal: bool


class _Known(NamedTuple):
    """What may be known of a person for this bundle, and why no more."""

    basis: str
    preferences: Mapping[str, Any]


class Bundles:
    """Makes bundles by the rules in force, and keeps of each why it is as it is, for the person."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        keyring: KeyRing,
        clock: Clock,
        *,
        agreements: Agreements,
        enforcement: EnforcementPoint,
        rule_sets: RuleSets,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._keyring = keyring
        self._clock = clock
        self._agreements = agreements
        self._enforcement = enforcement
        self._rule_sets = rule_sets

    async def make(self, subject: Subject, wish: Wish) -> dict[str, Any]:
        """The bundle for one person. The token grants the products and, unless not asked for, the preferences.

        `Refused` where an agreement, an assessment or a grant is missing; a missing consent is no refusal.
        `Conflicting`, whomever it is for, where a product is listed at two prices.
        """
        found = await self._agreements.visible(subject.member, wish.agreement)
        if not wish.personal and not _covers(found, wish.dataset, seconds(self._clock())):
            raise NotFound  # nothing is read, so nothing but this keeps a bundle from persons of another dataset
        owner = found.owner
        rules_id, version, rules = await self._rule_sets.active(self._database, subject.member)
        listed = PriceList.of([one for source in rules.sources for one in await self._products(subject, source)])
        row = await self._database.one(_PERSON, dataset=wish.dataset, owner=owner, record=bytes.fromhex(wish.record))
        person = None if row is None else str(row["pseudonym"])
        known = await self._known(subject, wish, rules, owner, person)
        made = compose(rules, listed, known.preferences)
        bundle_id, personal = random_id(), known.basis == "consented"
        kept = await self._sealed(owner, person, bundle_id, rules, made, known) if person is not None else None
        async with self._ledger.changing(owner) as change:
            if kept is not None:
                named = {"id": bundle_id, "member_id": subject.member, "owner_id": owner, "pseudonym": person}
                why = {"rules_id": rules_id, "basis": known.basis, "made_at": change.now_ms}
                await change.tx.run(_ADD, **named, **why, **kept)
            facts = {"act": "bundle_made", "actor": subject.actor(), "bundle": bundle_id, "rules": rules_id}
            place = {"agreement": wish.agreement, "dataset": wish.dataset, "rules_sha256": rules.sha256}
            used = {"personal": personal, "fields": list(made.fields_used)}
            change.enter(Draft(log=owner, kind=Kind.QUERY, facts={**facts, **place, **used}))
        applied = {"id": rules_id, "version": version, "sha256": rules.sha256}
        return {"id": bundle_id, "personal": personal, "rules": applied, **made.describe()}

    async def of_person(self, owner: str, pseudonym: str) -> list[dict[str, Any]]:
        """The newest bundles of a person, each with what it was made from and by which rules; for the person alone.

        Those of a shredded person can't be read any more, and are left out.
        """
        rows = await self._database.all(_EXPLAINED, owner=owner, person=pseudonym, most=MOST_EXPLAINED)
        keys = await self._keyring.unlock(owner)

        def explained(row: Row) -> dict[str, Any]:
            stored = WrappedSubjectKey(row["key_id"], pseudonym, row["key_version"], bytes(row["wrapped"]))
            sealed = keys.unwrap_subject_key(stored).open_detail(json.loads(row["sealed"]), _bound(row["id"], owner))
            named = {"id": row["id"], "member": row["member_id"], "basis": row["basis"]}
            rules = {"version": row["version"], "sha256": row["sha256"]}
            return {**named, "rules": rules, "made_at": rfc3339(row["made_at"]), **json.loads(sealed)}

        return [explained(row) for row in rows]

    async def _known(self, subject: Subject, wish: Wish, rules: RuleSet, owner: str, person: str | None) -> _Known:
        if not wish.personal:
            return _Known("not_asked", NOTHING)
        off = await self._is_off(owner, person)
        request = AccessRequest(
            subject=subject,
            agreement=wish.agreement,
            dataset=wish.dataset,
            purpose=PERSONALISATION,
            fields=rules.preferences,
            record=random_id() if off else wish.record,  # nobody's: takes as long, and opens nothing
            limit=1,
        )
        try:
            released = await self._enforcement.release(request)
        except NotFound:
            return _Known("switched_off" if off else "not_consented", NOTHING)
        if await self._is_off(owner, person):
            return _Known("switched_off", NOTHING)
        return _Known("consented", json.loads(released.records[0][1]))

    async def _is_off(self, owner: str, person: str | None) -> bool:
        return await is_off(self._database, owner, person or "")

    async def _products(self, subject: Subject, source: Source) -> Sequence[Product]:
        found: list[Product] = []
        cursor: str | None = None
        while True:
            request = AccessRequest(
                subject=subject, agreement=source.agreement, dataset=source.dataset, purpose=PRODUCTS, cursor=cursor
            )
            page = await self._enforcement.release(request)
            read = [Product.of(source, json.loads(fields)) for _, fields in page.records]
            found += [one for one in read if one is not None]
            if len(found) > MOST_PRODUCTS:
                raise TooLarge("too_many_products", f"A list has at most {MOST_PRODUCTS} products.", field="/products")
            cursor = page.cursor
            if cursor is None:
                return found

    async def _sealed(
        self, owner: str, person: str, bundle_id: str, rules: RuleSet, made: Bundle, known: _Known
    ) -> dict[str, str]:
        """What the person may read of it later, under its own key."""
        keys = await self._keyring.unlock(owner)
        key = (await subject_keys(self._database, keys, [person], self._clock()))[person]
        used = {name: known.preferences[name] for name in made.fields_used}
        told = canonical({"title": rules.title, "preferences": used, **made.describe()})
        sealed = key.seal_detail(told, _bound(bundle_id, owner))
        return {"subject_key_id": key.id, "sealed": json.dumps(sealed)}


def record_of(value: Any, at: str) -> str:
    """A record's id in a body."""
    return matching(value, at, RECORD)


def _covers(found: Agreement, dataset_id: str, now_s: int) -> bool:
    """Whether the agreement is in force at an instant, and names the dataset."""
    terms = found.terms if found.in_force_at(now_s) else None
    return terms is not None and terms.term_for(dataset_id) is not None


def _bound(bundle_id: str, owner: str) -> bytes:
    return canonical({"use": "bundle", "bundle": bundle_id, "owner": owner})
