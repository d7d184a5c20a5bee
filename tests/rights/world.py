"""Requests of a bank's customers, on a gateway in this process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import httpx
from sqlalchemy import bindparam, select

from gateway.cases.keeping import keep, release
from gateway.catalog.datasets import Datasets
from gateway.consents.contacts import Address, Holder, Role
from gateway.consents.notice_text import DISCLOSURE, ItemKey
from gateway.consents.notices import applicable
from gateway.consents.record import NewRecord
from gateway.consents.states import Event
from gateway.database import Query, Reading
from gateway.identifiers import random_id
from gateway.rights.request import Person
from gateway.rights.rights import Rights
from gateway.rights.tables import rights_request
from tests.access.world import Deal, Shared, person, records
from tests.alliance import Member, instant

CUSTOMERS = range(1, 101)
_ROW = Query(select(rights_request).where(rights_request.c.id == bindparam("id")))


@dataclass
class Counter:
    """Where a customer asks, and what comes of it."""

    shared: Shared
    deal: Deal

    @classmethod
    async def of(cls, shared: Shared) -> Counter:
        """A hundred customers, agreed with the hotel."""
        return cls(shared, await shared.personal(CUSTOMERS))

    @property
    def rights(self) -> Rights:
        return self.shared.gateway.rights

    @property
    def bank(self) -> Member:
        return self.shared.bank

    async def person(self, number: int) -> Person:
        """A customer."""
        keys = await self.shared.gateway.keyring.unlock(self.bank.id)
        return Person(self.bank.id, keys.pseudonym(f"C{number:05}"))

    async def subject(self, member: Member | None = None) -> Any:
        """A member's system, as a route would know it."""
        who = member or self.bank
        token = await who.token()
        await who.get("/v1/rights", token)  # for a fresh nonce
        return await self.shared.subject(who, token)

    async def asked(self, number: int, kind: str, **over: Any) -> str:
        """A customer asks on its page."""
        return await self.rights.open(await self.person(number), kind, "请处理。", visit="a" * 32, **over)

    async def exported(self, request: str) -> dict[str, Any]:
        """What a granted request gives, as data."""
        link = await self.rights.exporting.link(await self.subject(), request)
        with ZipFile(BytesIO(await self.rights.exporting.fetch(link["token"]))) as archive:
            return dict(json.loads(archive.read("data.json")))

    async def granted(self, number: int, kind: str, profile: str = "cn", **given: Any) -> dict[str, Any]:
        """A request that is granted; returns it as it stands then."""
        request = await self.asked(number, kind, profile=profile)
        found = await self.rights.answering.grant(await self.subject(), request, {"text": "已办理。", **given})
        return found.describe()

    async def received(self, number: int) -> None:
        """The customer consents, and the hotel reads it."""
        await self.bank.consent(self.deal.dataset, self.shared.hotel, f"C{number:05}")
        assert f"Person {number}" in await self.names()

    async def merged(self, number: int, other: int, dataset: str = "") -> None:
        """The bank says that two subjects of a dataset, the customers' if none is named, are one person."""
        said = {"subject": f"C{number:05}", "duplicate": f"C{other:05}"}
        path = f"/v1/datasets/{dataset or self.deal.dataset}/merges"
        answer = await self.bank.post(path, await self.bank.token(), said)
        assert answer.status_code == 200, answer.text

    async def stated(self, number: int, *, ago: int, dataset: str = "") -> str:
        """The bank states a consent that the customer gave so many seconds ago; what becomes of it."""
        where = dataset or self.deal.dataset
        said = {
            "subject": f"C{number:05}",
            "recipient": self.shared.hotel.id,
            "purpose": "customer_referral",
            "fields": ["name", "phone"],
            "given_at": instant(datetime.fromtimestamp(self.bank.now - ago, UTC)),
            "evidence_sha256": "f" * 64,
            "notice_sha256": await self.bank.notice(where, self.shared.hotel),
        }
        path = f"/v1/datasets/{where}/consents"
        answer = await self.bank.post(path, await self.bank.token(), said)
        return str(answer.json()["consents"][0]["result"])

    async def guardian_asked(self, number: int, purpose: str, *steps: Event, **who: Any) -> None:
        """The bank asks a child's guardian whether the hotel may have the name; and what follows."""
        gateway, hotel, pseudonym = self.shared.gateway, self.shared.hotel, (await self.person(number)).pseudonym
        dataset = await Datasets(gateway.database, gateway.ledger).owned(await self.subject(), self.deal.dataset)
        key, fields = ItemKey(hotel.id, purpose, DISCLOSURE), frozenset({"name"})
        told = await self.bank.notice(dataset.id, hotel, purpose)
        async with gateway.ledger.changing(self.bank.id, narrows={self.bank.id}) as change:
            notice = await applicable(change.tx, dataset, key, fields, sha256=told, given_at=self.bank.now)
            new = NewRecord(dataset=dataset, pseudonym=pseudonym, recipient=hotel.id, purpose=purpose, notice=notice,
                            fields=fields, **who)  # fmt: skip
            kept, by = gateway.consents.records, {"client": self.bank.client}
            record = await kept.propose(change, new, actor=by)
            for step in (Event.NEED_GUARDIAN, *steps):
                await kept.act(change, record, step, actor=by)

    async def names(self) -> set[str]:
        """Whom the hotel can read now."""
        answer = await self.shared.hotel.get(self.deal.path, await self.shared.referral_token(self.deal))
        return {one["name"] for one in records(answer).values()}

    async def states(self, number: int) -> list[str]:
        """The states of a customer's consents."""
        person = await self.person(number)
        async with self.shared.gateway.database.reading() as reading:
            return [one.state.value for one in await self._records(reading, person)]

    async def _records(self, reading: Reading, person: Person) -> Any:
        return await self.shared.gateway.consents.records.of_person(reading, *person)

    async def followed(self, number: int) -> list[tuple[str, str]]:
        """What is followed of a customer: to whom, and why."""
        person = await self.person(number)
        async with self.shared.gateway.database.reading() as reading:
            found = await self.shared.gateway.following.of_person(reading, *person)
        return [(one.recipient, one.cause) for one in found]

    async def tasks(self, member: Member) -> list[dict[str, Any]]:
        """What a member is asked."""
        return list(await self.rights.tasks.page(await self.subject(member), after="", limit=100))

    async def passed_on(self, number: int, kind: str) -> dict[str, Any]:
        """A customer asks, and what the hotel is shown of it."""
        request = await self.asked(number, kind)
        [task] = [one for one in await self.tasks(self.shared.hotel) if one["request"] == request]
        return dict((await self.call("GET", f"/tasks/{task['id']}", self.shared.hotel)).json())

    async def acts(self, request: str) -> list[str]:
        """What the bank's log says was done about a request."""
        return [one["act"] for one in await self.shared.entries(self.bank.id) if one.get("request") == request]

    async def call(
        self, method: str, path: str, member: Member | None = None, body: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        """A call of a member's system."""
        who = member or self.bank
        more = {} if body is None else {"json": dict(body)}
        return await who.call(method, f"/v1/rights{path}", await who.token(), **more)

    async def post(self, path: str, body: Mapping[str, Any], member: Member | None = None) -> httpx.Response:
        """A POST of a member's system."""
        return await self.call("POST", path, member, body)

    async def stored(self, request: str) -> list[Any]:
        """Every column of a request's row."""
        row = await self.shared.gateway.database.one(_ROW, id=request)
        assert row is not None
        return list(row)  # type: ignore[call-overload,no-any-return]

    async def dispute(self, dataset: str = "") -> str:
        """A case that keeps a dataset, the customers' if none is named."""
        case = random_id()
        async with self.shared.gateway.ledger.changing(self.bank.id) as change:
            await keep(change, case, {dataset or self.deal.dataset})
        return case

    async def decide(self, case: str) -> None:
        """The case is decided."""
        async with self.shared.gateway.ledger.changing(self.bank.id) as change:
            await release(change, case)

    async def uploaded(self) -> str:
        """The bank uploads its customers anew; returns the upload."""
        answer = await self.bank.upload(self.deal.dataset, [person(number) for number in CUSTOMERS], "replace")
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def reached(self, number: int, text: str) -> Address:
        """The bank states how a customer is reached."""
        contacts, person = self.shared.gateway.asking.contacts, await self.person(number)
        address = Address.guessed(text)
        reached = await contacts.prepare(Holder(*person, Role.OWN), address)
        async with self.shared.gateway.database.transaction() as tx:
            await contacts.keep(tx, reached, self.shared.clock())
        return address

    async def contacts_behind(self, address: Address) -> list[Holder]:
        """Whom an address leads to."""
        async with self.shared.gateway.database.reading() as reading:
            return await self.shared.gateway.asking.contacts.behind(reading, address)
