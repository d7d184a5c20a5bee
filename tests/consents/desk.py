"""The consents of one personal dataset, on a shop of three: airline owns, bank and hotel receive."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import BigInteger, bindparam, select

from gateway.catalog import Dataset
from gateway.clock import seconds
from gateway.consents import Consents
from gateway.consents.notice import Notice
from gateway.consents.records import Followers, NewRecord, Record
from gateway.consents.states import Event
from gateway.consents.tables import consent, live
from gateway.database import Query
from gateway.identity.subject import Subject
from gateway.ledger.receipts import ReceiptSigner
from gateway.ledger.stored import entries, state
from tests.catalog.conftest import AIRLINE, BANK, HOTEL, Shop, uscc_of
from tests.notices import field, item, notice, party

NOTICE = "the notice of the dataset"
PURPOSE = "customer_referral"
LONG_AGO_S = 365 * 24 * 3600
PERSON = {
    "number": {"type": "string", "x-class": "personal", "x-grade": 3},
    "city": {"type": ["string", "null"], "x-class": "personal", "x-grade": 2},
}
PATIENT = PERSON | {"illness": {"type": ["string", "null"], "x-class": "sensitive_health", "x-grade": 4}}
LIVE = Query(select(consent).where(live(consent, bindparam("now", type_=BigInteger))))


def instant(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def statement(given_s: int, **changed: Any) -> dict[str, Any]:
    return {
        "subject": "C1",
        "recipient": BANK,
        "purpose": "customer_referral",
        "fields": ["number", "city"],
        "given_at": instant(given_s),
        "evidence_sha256": "e" * 64,
        "notice_sha256": NOTICE,
    } | changed


class Desk:
    """The consents of one personal dataset."""

    def __init__(self, shop: Shop, dataset: Dataset, followers: Followers | None = None) -> None:
        self.shop = shop
        self.dataset = dataset
        self.key = Ed25519PrivateKey.generate()
        self.signer = ReceiptSigner(self.key, "k1")
        stores = (shop.database, shop.ledger, shop.keyring, shop.clock)
        self.consents = Consents.of(*stores, signer=self.signer, followers=followers)
        self.notice_sha256 = ""
        self.notice: Notice | None = None

    def jwk(self) -> dict[str, Any]:
        """The public key that verifies its receipts."""
        x = urlsafe_b64encode(self.key.public_key().public_bytes_raw()).rstrip(b"=").decode()
        return {"kty": "OKP", "crv": "Ed25519", "x": x}

    def document(self, **of_items: Any) -> dict[str, Any]:
        """Every field to bank and hotel, `city` optional, and the bank may write."""
        classes = self.dataset.class_of_field
        fields = [
            field(
                name,
                sensitive=classes[name].startswith("sensitive"),
                need="optional" if name == "city" else "necessary",
            )
            for name in self.dataset.fields
        ]
        bank, hotel = party(BANK, uscc_of(1)), party(HOTEL, uscc_of(2))
        items = [item(to, PURPOSE, **{"fields": fields} | of_items) for to in (bank, hotel)]
        told = notice(party(AIRLINE, uscc_of(0)), [*items, item(bank, PURPOSE, channels=["email", "sms"])])
        document: dict[str, Any] = json.loads(json.dumps(told))  # so that no two parts are one object
        return document

    async def publish(self, document: Mapping[str, Any] | None = None, *, ago: int = LONG_AGO_S) -> Desk:
        """Tell persons this, since long ago."""
        notices, owner = self.consents.notices, self.shop.owner
        drafted = await notices.draft(owner, self.dataset.id, "referral", document or self.document())
        self.notice = await notices.publish(owner, drafted.id, used_from=self.now - ago)
        self.notice_sha256 = drafted.sha256
        return self

    async def pseudonym(self, person: str = "C1") -> str:
        return (await self.shop.keyring.unlock(AIRLINE)).pseudonym(person)

    async def new(self, person: str = "C1", **over: Any) -> NewRecord:
        """A request to disclose everything to the bank."""
        assert self.notice is not None
        usual: dict[str, Any] = {
            "dataset": self.dataset,
            "pseudonym": await self.pseudonym(person),
            "recipient": BANK,
            "purpose": PURPOSE,
            "notice": self.notice,
            "fields": frozenset(self.dataset.fields),
        }
        return NewRecord(**usual | over)

    async def propose(self, person: str = "C1", **over: Any) -> str:
        new = await self.new(person, **over)
        async with self.shop.ledger.changing(AIRLINE, narrows={AIRLINE}) as change:
            return await self.consents.records.propose(change, new, actor={"client": "c"})

    async def act(self, record_id: str, event: Event, **given: Any) -> Record:
        async with self.shop.ledger.changing(AIRLINE, narrows={AIRLINE}) as change:
            return await self.consents.records.act(change, record_id, event, actor={"person": "p"}, **given)

    async def state(self, record_id: str) -> str:
        record = await self.consents.records.get(self.shop.database, record_id)
        assert record is not None
        return str(record.effective(self.now))

    async def entries(self) -> list[dict[str, Any]]:
        size = (await state(self.shop.database, AIRLINE)).size
        return [json.loads(bytes(one["body"])) for one in await entries(self.shop.database, AIRLINE, 0, size)]

    def under_notice(self, given: Any) -> Any:
        """The statement, under the notice that was published."""
        named = isinstance(given, dict) and given.get("notice_sha256") == NOTICE
        return given | {"notice_sha256": self.notice_sha256} if named else given

    @property
    def now(self) -> int:
        return seconds(self.shop.clock.now)

    async def record(self, *given: Any, by: Subject | None = None, key: str | None = None) -> list[dict[str, Any]]:
        given = tuple(self.under_notice(one) for one in given)
        mark = json.dumps(given)
        told = await self.consents.recording.record(
            by or self.shop.owner, self.dataset.id, given, key=key, fingerprint=mark
        )
        outcomes: list[dict[str, Any]] = orjson.loads(told)["consents"]
        return outcomes

    async def withdraw(self, person: str = "C1", **only: str) -> list[str]:
        told = await self.consents.withdrawing.matching(self.shop.owner, self.dataset.id, person=person, **only)
        ids: list[str] = orjson.loads(told)["withdrawn"]
        return ids

    async def show(self, consent_id: str) -> dict[str, Any]:
        return await self.consents.showing.one(self.shop.owner, consent_id)

    async def live(self) -> int:
        found = await self.shop.database.all(LIVE, now=self.now)
        return sum(row["dataset_no"] == self.dataset.no for row in found)

    async def narrowing(self) -> int:
        return await self.shop.ledger.narrowing(AIRLINE)


async def opened_desk(shop: Shop, name: str = "customers", *, of: dict[str, Any] = PERSON, **given: Any) -> Desk:
    return await Desk(shop, await shop.declare(of, name=name, person="number"), **given).publish()
