"""After a deletion nothing of the person is left in any table but pseudonymous facts, in the ledger too."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Table, bindparam, select

from gateway.bundles.tables import bundle, bundle_switch
from gateway.catalog.tables import record, record_term
from gateway.consents.asking.tables import consent_request
from gateway.consents.contacts.tables import contact, contact_term
from gateway.database import Query, metadata
from gateway.referrals.tables import referral, referral_note, referral_term
from gateway.rights.request import Person
from gateway.vault.tables import subject_key
from tests.access.world import records
from tests.bundles.world import Offering, offering
from tests.confiding import done
from tests.consents.asking.world import Box
from tests.referrals.world import Referring, act, referring

pytestmark = pytest.mark.asyncio(loop_scope="module")

_CITY, _NEED, _PHONE, _LIKES, _NOTE = (
    "Qiqihar",
    "a quiet tea room",
    "+8613800009876",
    "wellness",
    "rang twice, likes it",
)
_FACTS = {
    "consent", "consent_record", "consent_request", "disclosed_record", "disclosure", "follow_up", "record", "referral",
    "rights_request", "withdrawal", "entry", "leaf", "outbox", "propagation",
}  # fmt: skip
"""Where the pseudonym may stand: what was agreed, passed on, ended and asked for, and sealed records without a key."""


@dataclass
class Traces:
    """Somebody's traces: texts as they were said, terms as they are kept, and the pseudonym."""

    world: Offering
    person: Person
    texts: list[str]

    async def rows(self, table: Table) -> list[dict[str, Any]]:
        """A whole table."""
        found = await self.world.shared.gateway.database.all(Query(select(table)))
        return [{column.name: row[column.name] for column in table.columns} for row in found]

    async def terms(self) -> set[bytes]:
        """Every term that something of the person is found by."""
        own = {one["id"] for one in await self.rows(referral) if one["pseudonym"] == self.person.pseudonym}
        ids = {one["id"] for one in await self.rows(record) if one["pseudonym"] == self.person.pseudonym}
        found = {one["term"] for one in await self.rows(referral_term) if one["referral_id"] in own}
        found |= {one["term"] for one in await self.rows(record_term) if one["record_id"] in ids}
        for table in (contact_term, consent_request):
            found |= {one["term"] for one in await self.rows(table) if one["pseudonym"] == self.person.pseudonym}
        for one in await self.rows(referral):
            if one["id"] in own:
                found |= {one["city_term"], one["need_term"], one["budget_term"]}
        return {bytes(term) for term in found if term}

    async def found(self, wanted: set[bytes]) -> dict[str, set[str]]:
        """Which of these stand in which table."""
        places: dict[str, set[str]] = {}
        for table in metadata.sorted_tables:
            for row in await self.rows(table):
                for name, cell in row.items():
                    if any(one in _bytes(cell) for one in wanted):
                        places.setdefault(table.name, set()).add(name)
        return places


def _bytes(cell: Any) -> bytes:
    return bytes(cell) if isinstance(cell, bytes | memoryview) else str(cell).encode()


def _spellings(text: str) -> Iterator[bytes]:
    yield text.encode()
    yield text.encode().hex().encode()
    yield json.dumps(text)[1:-1].encode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Offering]:
    async with offering(request, tmp_path_factory.mktemp("erased")) as made:
        yield made


async def _known(world: Offering) -> Traces:
    """A person of whom everything there is was kept: asked, consented, referred, suggested to, noted down."""
    shared, bank = world.shared, world.shared.bank
    shared.gateway.asking._senders._by_channel = {"sms": Box()}
    refers = await referring(shared, bank, range(1, 3))
    row = {"customer_no": "C00001", "likes": _LIKES, "children": 0, "income": 1}
    done(await bank.upload(world.people.dataset, [row], "append"))
    await bank.consent(world.people.dataset, shared.hotel, "C00001", purpose="service_delivery", fields=["customer_no"])
    seen = records(await shared.hotel.get(world.people.path, await shared.token(world.people, "service_delivery")))
    world.ids |= {fields["customer_no"]: one for one, fields in seen.items()}
    await world.consent("C00001")
    assert (await world.made("C00001"))["personal"]
    await _ask(refers)
    preview = {"city": _CITY, "need": _NEED, "budget": "900-950"}
    offered = await refers.offer(1, preview=preview, contact={"phone": _PHONE})
    done(await act(shared.hotel, offered, "accept", note=_NOTE))
    await world.switch("C00001", off=True)
    keys = await shared.gateway.keyring.unlock(bank.id)
    person = Person(bank.id, keys.pseudonym("C00001"))
    return Traces(world, person, ["C00001", _CITY, _NEED, _PHONE, _PHONE[3:], _NOTE, "Person 1", "13800000001"])


async def _ask(refers: Referring) -> None:
    bank, hotel, dataset = refers.referrer, refers.hotel, refers.deal.dataset
    asked = {
        "subject": "C00001",
        "notice_sha256": await bank.notice(dataset, hotel),
        "language": "en",
        "channel": "sms",
        "address": _PHONE,
        "items": [{"recipient": hotel.id, "purpose": "customer_referral", "fields": ["phone"]}],
    }
    done(await bank.post(f"/v1/datasets/{dataset}/consent-requests", await bank.token(), asked))


async def test_a_granted_deletion_leaves_nothing_of_the_person_in_any_table(world: Offering) -> None:
    traces = await _known(world)
    terms = await traces.terms()
    before = await traces.found(terms)
    assert {
        "contact_term", "consent_request", "asking_link", "referral", "referral_term", "record_term"
    } <= before.keys()  # fmt: skip
    rights = world.shared.gateway.rights
    request = await rights.open(traces.person, "deletion", "请删除。", visit="a" * 32)
    token = await world.shared.bank.token()
    answer = await world.shared.bank.post(f"/v1/rights/{request}/answer", token, {"text": "已删除。"})
    assert done(answer)["state"] == "answered"

    assert await traces.found(terms) == {}
    said = {spelling for text in traces.texts for spelling in _spellings(text)}
    assert await traces.found(said) == {}
    named = await traces.found({traces.person.pseudonym.encode()})
    assert named.keys() <= _FACTS, named
    for table in (bundle, bundle_switch, contact, contact_term):
        assert [one for one in await traces.rows(table) if one["pseudonym"] == traces.person.pseudonym] == []
    (left,) = [one for one in await traces.rows(referral) if one["pseudonym"] == traces.person.pseudonym]
    assert (left["preview"], left["city_term"], left["need_term"], left["budget_term"]) == ("", b"", b"", b"")
    assert [one for one in await traces.rows(referral_note) if one["referral_id"] == left["id"]] == []
    key = Query(select(subject_key).where(subject_key.c.scope == bindparam("person")))
    assert await world.shared.gateway.database.all(key, person=traces.person.pseudonym) == []
