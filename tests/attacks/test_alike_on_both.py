"""What nobody should send, to a gateway on SQLite and to one on PostgreSQL: both answer alike, and never with a 500."""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from gateway.canonical import canonical
from gateway.identity.subject import MEMBER_ACTIONS
from tests.access.api import NO_SUCH, places, replaced
from tests.access.world import ENGINES, Shared, shared_on
from tests.alliance import Member, new_key, public
from tests.bundles.world import RULES
from tests.confiding import EVIDENCE, at, done, undertaking
from tests.identity.world import sign_raw

HOSTILE: dict[str, Any] = {
    "null": None,
    "a lone surrogate": "\ud800",
    "a zero": "a\x00b",
    "blank": " ",
    "beyond the first plane": "\U0001f4a9",
    "too long for an index": secrets.token_hex(1600),
    "an object": {"\x00": "\x00"},
    "a list": ["a\x00b"],
    "a negative": -1,
    "beyond 31 bits": 2**31,
    "beyond 63 bits": 2**63,
    "below 63 bits": -(2**63) - 1,
    "a huge integer": 10**30,
    "before all": "0001-01-01T00:00:00Z",
    "after all": "9999-12-31T23:59:59Z",
}
JSON = {"Content-Type": "application/json"}


class Sent(NamedTuple):
    """A request that its sender might well make, before a part of it is replaced."""

    by: Member
    token: str
    method: str
    path: str
    body: Any

    async def with_body(self, body: Any) -> httpx.Response:
        """The answer, with another body."""
        content = json.dumps(body).encode()
        return await self.by.call(self.method, self.path, self.token, content=content, headers=JSON)


@pytest.fixture
async def both(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[Shared]]:
    """The same alliance on either engine."""
    for engine in ENGINES:
        (tmp_path / engine).mkdir()
    async with (
        shared_on(request, tmp_path / "sqlite", "sqlite") as one,
        shared_on(request, tmp_path / "postgresql", "postgresql") as other,
    ):
        yield [one, other]


async def about_persons(shared: Shared) -> list[Sent]:
    """What the owner of persons' data states about them, and what it is asked by them."""
    bank, hotel, token = shared.bank, shared.hotel, await shared.bank.token()
    dataset = await shared.people([1, 2])
    own, subject = f"/v1/datasets/{dataset}", {"subject": "C00001"}
    of_subject = {"dataset": dataset, **subject}
    sha256 = await bank.notice(dataset, hotel)
    drafted = done(await bank.post(f"{own}/notices", token, {"name": "paper", "document": {"kind": "enhanced"}}))
    wish = {"dataset": dataset, "subject": "C00002", "kind": "access", "text": "Please."}
    right = done(await bank.post("/v1/rights", token, wish))["id"]
    item: dict[str, Any] = {"recipient": hotel.id, "purpose": "customer_referral", "fields": ["name"]}
    consent = subject | item | {"given_at": at(bank.now - 60), "expires_at": at(bank.now + 90_000)}
    consent |= {"evidence_sha256": EVIDENCE, "notice_sha256": sha256, "max_uses": 3, "language": "en"}
    to = {"channel": "sms", "address": "+8613800138000"}
    asked = subject | to | {"notice_sha256": sha256, "language": "en", "items": [item | {"expires_after_days": 30}]}
    bodies = {
        f"{own}/consents": [consent],
        f"{own}/withdrawals": {name: consent[name] for name in ("subject", "recipient", "purpose")},
        f"{own}/merges": subject | {"duplicate": "C00002"},
        f"{own}/separations": subject | {"duplicate": "C00002"},
        f"{own}/notices": {"name": "other", "document": {"kind": "enhanced"}},
        f"/v1/notices/{drafted['id']}/publication": {"used_from": at(bank.now - 60)},
        f"{own}/consent-requests": asked,
        f"{own}/contacts": {"contacts": [subject | to]},
        "/v1/rights": wish | {"profile": "cn", "behalf": "self", "language": "zh-CN"},
        f"/v1/rights/{right}/identity": {"method": "counter", "staff": "7", "evidence_sha256": EVIDENCE},
        f"/v1/rights/{right}/answer": {"text": "Here.", "upload": NO_SUCH, "upheld": True},
        f"/v1/rights/{right}/refusal": {"reasons": ["kept_by_law"], "text": "No."},
        "/v1/bundles/switch": of_subject | {"off": True},
        "/v1/bundles/explanations": of_subject,
    }
    return [Sent(bank, token, "POST", path, body) for path, body in bodies.items()]


async def about_data(shared: Shared) -> list[Sent]:
    """Datasets, what is read of them, and what is arranged around that."""
    bank, hotel = shared.bank, shared.hotel
    deal = await shared.market(term={"methods": ["api", "push"]})
    all_acts = {"type": "alliance_member", "actions": sorted(MEMBER_ACTIONS)}
    own = await bank.token(all_acts)
    read = await hotel.token(all_acts, hotel.under(deal.agreement, deal.dataset))
    term = {"agreement": deal.agreement, "dataset": deal.dataset}
    source = term | {"code": "code", "name": "city", "price": "price", "currency": "CNY"}
    rules = {"v": 1, "title": "x", "products": [source], "preferences": ["likes"], "rules": RULES[:1], "size": 3}
    code = {"type": "string", "x-class": "place", "x-grade": 1, "x-confidentiality": "public", "x-filter": "equality"}
    schema = {"type": "object", "x-kind": "market", "x-unique": ["code"], "properties": {"code": code}}
    push = term | {"purpose": "market_analysis", "uri": "https://hotel.example/in"}
    query = {"purpose": "market_analysis", "filters": {"code": "PEK"}, "fields": ["city"], "limit": 3}
    key = public(new_key()) | {"kid": "one", "alg": "ES256"}
    return [
        Sent(bank, own, "POST", "/v1/datasets", {"name": "places", "schema": schema}),
        Sent(hotel, read, "POST", f"{deal.path}/query", query),
        Sent(hotel, read, "POST", "/v1/pushes", push),
        Sent(hotel, read, "PUT", "/v1/withdrawals/address", {"uri": "https://hotel.example/in"}),
        Sent(hotel, read, "POST", "/v1/bundles/rules", rules),
        Sent(hotel, read, "POST", "/v1/bundles", term | {"record": NO_SUCH}),
        Sent(bank, own, "POST", "/v1/clients", {"client_name": "second", "jwks": {"keys": [key]}}),
    ]


def told(answer: httpx.Response) -> tuple[Any, ...]:
    """What has to be the same: no ids, no instants."""
    document = answer.json() if answer.content else {}
    members = document if isinstance(document, dict) else {}
    return answer.status_code, *(members.get(name) for name in ("code", "field", "error", "state"))


@pytest.mark.parametrize("about", [about_persons, about_data])
async def test_either_engine_answers_alike_whatever_is_sent(both: list[Shared], about: Any) -> None:
    sides: Sequence[list[Sent]] = [await about(shared) for shared in both]
    tried = 0
    for pair in zip(*sides, strict=True):
        for way in places(pair[0].body):
            for kind, value in HOSTILE.items():
                one, other = [told(await sent.with_body(replaced(sent.body, way, value))) for sent in pair]
                assert one == other, (pair[0].path, way, kind)
                assert one[0] < 500, (pair[0].path, way, kind, one)
                tried += 1
    assert tried > 400


async def test_a_key_that_nobody_can_have_is_an_unknown_one_on_either_engine(both: list[Shared]) -> None:
    for shared in both:
        bank, token = shared.bank, await shared.bank.token()
        agreement, text = await bank.draft(shared.hotel, await shared.places(), ["code"])
        said = {"alliance": shared.alliance.id, "member": bank.id, "about": "member", "statement": "x", "source": "y"}
        signed = (
            (f"/v1/agreements/{agreement}/signatures", "agreement+jws", text),
            ("/v1/ndas", "nda+jws", canonical(undertaking(bank, shared.hotel.id))),
            ("/v1/attestations", "attestation+jws", canonical(said)),
        )
        for (path, typ, payload), kid in itertools.product(signed, ("a\x00b", "\ud800", "", "\U0001f4a9" * 43)):
            header = json.dumps({"alg": "ES256", "typ": typ, "kid": kid})
            answer = told(await bank.post(path, token, {"jws": sign_raw(header, payload.decode(), bank.signing_key)}))
            assert answer[:3] in [(400, "signing_key_unknown", field) for field in ("jws", "/jws")], (path, kid, answer)
