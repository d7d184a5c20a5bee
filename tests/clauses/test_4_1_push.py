"""Clause 4.1.2, method push: what is published arrives at the address of its recipient, proven, and nowhere else."""

from __future__ import annotations

import asyncio
import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from joserfc.jwk import OKPKey

from gateway.identity import SignedMessage
from gateway.identity.outward import PostClient
from gateway.ledger.receipts import ReceiptRejected, verify
from tests.access.world import Deal, MovableClock, Shared, database_settings, reasons, second_process
from tests.alliance import MARKET_SCHEMA, founded
from tests.identity.key_site import KeySite, new_site

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Inbox(KeySite):
    """A recipient's server: keeps what it is sent, and answers as it is told."""

    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = [line.split(": ", 1) for line in head.split("\r\n")[1:] if line]
            headers = {name.lower(): value for name, value in lines}
            content = await reader.readexactly(int(headers["content-length"]))
            self.received.append((headers, content))
            self.status = self.statuses.pop(0) if self.statuses else "204 No Content"
            self.body = b""
            await self._answer(writer)
        finally:
            writer.close()

    def pages(self) -> list[dict[str, Any]]:
        """What was received, parsed."""
        return [json.loads(content) for _, content in self.received]


@dataclass
class Posted:
    """The bank publishes, the hotel has an inbox."""

    shared: Shared
    inbox: Inbox

    async def send(self) -> None:
        await self.shared.gateway.sharing.pushes.run()

    async def later(self, seconds: int) -> None:
        """Send again after a while."""
        self.shared.clock.pass_seconds(seconds)
        await self.send()

    async def deal(self, **term: Any) -> Deal:
        """A market dataset without a row, agreed on for pushes."""
        dataset = await self.shared.bank.declare(MARKET_SCHEMA)
        over = {"methods": ["push"], **term}
        return Deal(await self.shared.bank.agree(self.shared.hotel, dataset, ["code", "city"], term=over), dataset)

    async def register(self, deal: Deal, uri: str = "") -> str:
        """The hotel's address for a deal; returns its id."""
        wish = {
            "agreement": deal.agreement,
            "dataset": deal.dataset,
            "purpose": "market_analysis",
            "uri": uri or self.inbox.uri,
        }
        answer = await self.shared.hotel.post("/v1/pushes", await self.shared.token(deal), wish)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def publish(self, deal: Deal, count: int, mode: str = "append") -> None:
        rows = [{"code": f"C{n}", "city": "Beijing", "price": n, "margin": n} for n in range(count)]
        assert (await self.shared.bank.upload(deal.dataset, rows, mode)).status_code == 201

    async def told(self, push: str) -> dict[str, Any]:
        """What the hotel is told of an address."""
        answer = await self.shared.hotel.get(f"/v1/pushes/{push}", await self.shared.hotel.token())
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def entries(self, push: str, *acts: str) -> list[dict[str, Any]]:
        """The entries of an address in the bank's log."""
        found = await self.shared.entries(self.shared.bank.id)
        return [one for one in found if one.get("push") == push and one["act"] in acts]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Posted]:
    async with opened(request, tmp_path_factory.mktemp("push"), "sqlite") as posted:
        yield posted


@asynccontextmanager
async def opened(request: pytest.FixtureRequest, folder: Path, engine: str) -> AsyncIterator[Posted]:
    """On an engine, with an inbox on loopback whose authority the gateway trusts."""
    clock, site = MovableClock(), new_site(folder)
    inbox = Inbox(site.certificate, site.key)
    async with (
        database_settings(request, engine) as settings,
        founded(folder, clock, jwks_loopback=True, **settings) as alliance,
        inbox.open(),
    ):
        alliance.gateway.sharing.pushes._post = PostClient(loopback=True, trust=inbox.trust).post
        yield Posted(Shared(alliance, clock), inbox)


@pytest.fixture
def posted(world: Posted) -> Posted:
    """With an empty inbox."""
    world.inbox.received.clear()
    world.inbox.statuses.clear()
    return world


async def test_4_1_2_what_is_published_is_pushed_once_page_by_page(posted: Posted) -> None:
    deal = await posted.deal()
    await posted.publish(deal, 3)
    posted.shared.clock.pass_seconds(1)
    push = await posted.register(deal)
    await posted.send()
    assert posted.inbox.received == []  # it was published before
    await posted.publish(deal, 150)
    await posted.send()
    first, second = posted.inbox.pages()
    assert [len(page["records"]) for page in (first, second)] == [100, 50]
    assert (first["page"], first["last"], second["page"], second["last"]) == (1, False, 2, True)
    assert {one["fields"]["code"] for page in (first, second) for one in page["records"]} == {
        f"C{n}" for n in range(150)
    }
    assert all(one["fields"].keys() == {"code", "city"} for one in first["records"])
    await posted.later(7200)
    assert len(posted.inbox.received) == 2
    assert (await posted.told(push))["deliveries"] == [
        {"upload": first["upload"], "state": "done", "pages": 2, "records": 150, "attempts": 0, "last_code": None}
    ]
    done = await posted.entries(push, "push_delivered")
    assert [(one["pages"], one["records"]) for one in done] == [(2, 150)]


async def test_4_1_2_a_long_record_is_pushed_in_a_page_of_its_own(posted: Posted) -> None:
    deal = await posted.deal()
    push = await posted.register(deal)
    rows = [{"code": f"C{n}", "city": "x" * (60_000 if n < 2 else 10), "price": n, "margin": n} for n in range(5)]
    assert (await posted.shared.bank.upload(deal.dataset, rows)).status_code == 201
    await posted.send()
    pushed = [one["fields"] for page in posted.inbox.pages() for one in page["records"]]
    assert sorted(one["code"] for one in pushed) == [f"C{n}" for n in range(5)]
    assert all(len(page["records"]) == 1 for page in posted.inbox.pages() if len(json.dumps(page)) > 60_000)
    [delivery] = (await posted.told(push))["deliveries"]
    assert (delivery["state"], delivery["records"]) == ("done", 5)


async def test_4_1_2_every_page_is_an_entry_and_its_signature_and_receipt_hold(posted: Posted) -> None:
    deal = await posted.deal(rows=[{"field": "code", "in": ["C1", "C2"]}])
    push = await posted.register(deal)
    await posted.publish(deal, 5)
    await posted.send()
    ((headers, content),) = posted.inbox.received
    page = json.loads(content)
    assert {one["fields"]["code"] for one in page["records"]} == {"C1", "C2"}
    log = {one["event_id"]: one for one in await posted.shared.entries(posted.shared.bank.id)}
    access = log[page["event_id"]]
    assert (access["effect"], access["actor"]["member"]) == ("permit", posted.shared.hotel.id)
    (sent,) = await posted.entries(push, "push_sent")
    assert sent["access"] == page["event_id"]
    assert sent["content_sha256"] == hashlib.sha256(content).hexdigest()
    assert headers["idempotency-key"] == f'"{page["message"]}"' == f'"{sent["idempotency_key"]}"'
    digest = b64encode(hashlib.sha256(content).digest()).decode()
    assert headers["content-digest"] == f"sha-256=:{digest}:"
    inputs = headers["signature-input"].removeprefix("gateway=")
    base = "\n".join(
        [
            '"@method": POST',
            f'"@target-uri": {posted.inbox.uri}',
            f'"content-digest": {headers["content-digest"]}',
            f'"content-type": {headers["content-type"]}',
            f'"idempotency-key": {headers["idempotency-key"]}',
            f'"@signature-params": {inputs}',
        ]
    )
    keys = (await posted.shared.alliance.http.get("/v1/jwks")).json()["keys"]
    signer = next(key for key in keys if key["kid"] in inputs)
    signature = b64decode(headers["signature"].removeprefix("gateway=:").removesuffix(":"))
    OKPKey.import_key(signer).public_key.verify(signature, base.encode())  # type: ignore[union-attr]
    receipts = [key for key in keys if key["kid"] != signer["kid"]]
    assert any(_holds(page["receipt"], key, page["event_id"]) for key in receipts)


def _holds(receipt: str, key: dict[str, Any], event: str) -> bool:
    try:
        return verify(receipt, key).event_id == event
    except ReceiptRejected:  # another key's
        return False


async def test_4_1_2_a_page_that_is_not_acknowledged_is_sent_again_under_its_own_key(posted: Posted) -> None:
    deal = await posted.deal()
    push = await posted.register(deal)
    await posted.publish(deal, 120)
    posted.inbox.statuses = ["204 No Content", "503 Service Unavailable", "302 Found"]
    await posted.send()
    assert len(posted.inbox.received) == 2
    assert (await posted.told(push))["deliveries"][0]["last_code"] == "PUSH_STATUS_503"
    await posted.send()
    assert len(posted.inbox.received) == 2  # not yet
    await posted.later(2)
    assert (await posted.told(push))["deliveries"][0]["last_code"] == "PUSH_STATUS_302"
    await posted.later(4)
    pages = posted.inbox.pages()
    assert [page["page"] for page in pages] == [1, 2, 2, 2]
    assert len({page["message"] for page in pages[1:]}) == 1
    assert len({page["event_id"] for page in pages}) == 4  # each attempt is an entry
    assert pages[0]["message"] != pages[1]["message"]
    assert (await posted.told(push))["deliveries"][0]["state"] == "done"
    assert [one["attempt"] for one in await posted.entries(push, "push_sent")] == [1, 1, 2, 3]


async def test_4_1_2_a_later_upload_overtakes_none_that_waits_to_be_sent_again(posted: Posted) -> None:
    deal = await posted.deal()
    await posted.register(deal)
    posted.inbox.statuses[:] = ["503 Service Unavailable"]
    await posted.publish(deal, 1)
    await posted.send()
    posted.shared.clock.ms += 1
    await posted.publish(deal, 2)
    await posted.send()
    assert [len(page["records"]) for page in posted.inbox.pages()] == [1]
    await posted.later(10)
    assert [len(page["records"]) for page in posted.inbox.pages()] == [1, 1, 2]


async def test_4_1_2_an_upload_that_is_replaced_while_it_is_sent_has_a_last_page_all_the_same(posted: Posted) -> None:
    """Or its recipient would wait for one, while the gateway calls the upload delivered."""
    deal = await posted.deal()
    push = await posted.register(deal)
    await posted.publish(deal, 250)
    posted.inbox.statuses = ["204 No Content", "503 Service Unavailable"]
    await posted.send()
    posted.shared.clock.pass_seconds(1)
    await posted.publish(deal, 3, "replace")
    await posted.later(1)
    first, _, closing, other = posted.inbox.pages()
    assert (len(first["records"]), first["last"]) == (100, False)
    assert (closing["upload"], closing["page"], closing["records"], closing["last"]) == (first["upload"], 2, [], True)
    assert (other["upload"] != first["upload"], len(other["records"]), other["last"]) == (True, 3, True)
    told = {one["upload"]: one for one in (await posted.told(push))["deliveries"]}
    assert (told[first["upload"]]["state"], told[first["upload"]]["records"]) == ("done", 100)


async def test_4_1_2_a_deaf_recipient_stops_no_other_and_is_given_up_at_last(posted: Posted) -> None:
    deaf, heard = await posted.deal(), await posted.deal()
    nowhere = await posted.register(deaf, "https://localhost:1/nothing")
    await posted.register(heard)
    await posted.publish(deaf, 1)
    await posted.publish(heard, 1)
    await posted.send()
    assert [page["agreement"] for page in posted.inbox.pages()] == [heard.agreement]
    for _ in range(30):
        await posted.later(4600)
    (delivery,) = (await posted.told(nowhere))["deliveries"]
    assert (delivery["state"], delivery["attempts"], delivery["last_code"]) == ("given_up", 24, "PUSH_UNREACHABLE")
    assert len(await posted.entries(nowhere, "push_given_up")) == 1


async def test_4_1_2_a_volume_that_is_spent_pauses_the_push(posted: Posted) -> None:
    deal = await posted.deal(volume={"records": 100, "per_seconds": 60})
    push = await posted.register(deal)
    await posted.publish(deal, 130)
    await posted.send()
    assert (await posted.told(push))["deliveries"][0]["last_code"] == "VOLUME_EXCEEDED"
    await posted.later(61)
    assert [len(page["records"]) for page in posted.inbox.pages()] == [100, 30]


async def test_4_1_2_a_volume_below_one_page_is_pushed_window_by_window(posted: Posted) -> None:
    deal = await posted.deal(volume={"records": 10, "per_seconds": 7 * 86400})
    await posted.register(deal)
    await posted.publish(deal, 25)
    for _ in range(20 * 24):
        await posted.later(4600)
        if len(posted.inbox.received) == 3:
            break
    assert [len(page["records"]) for page in posted.inbox.pages()] == [10, 10, 5]


async def test_4_1_2_many_uploads_for_a_deaf_address_keep_no_other_waiting(posted: Posted) -> None:
    deaf, heard = await posted.deal(), await posted.deal()
    push = await posted.register(deaf, "https://deaf.invalid/inbox")
    await posted.register(heard)
    pushes, post = posted.shared.gateway.sharing.pushes, posted.shared.gateway.sharing.pushes._post
    for _ in range(65):
        await posted.publish(deaf, 1)
    posted.shared.clock.pass_seconds(1)
    await posted.publish(heard, 1)
    silence = asyncio.Event()

    async def held(uri: str, content: bytes, headers: Mapping[str, str]) -> None:
        if "deaf" in uri:
            await silence.wait()
        await post(uri, content, headers)

    pushes._post = held
    try:
        async with asyncio.timeout(60):
            while not posted.inbox.pages():
                await pushes.start()
                await asyncio.sleep(0.2)
        assert [page["agreement"] for page in posted.inbox.pages()] == [heard.agreement]
    finally:
        pushes._post = post
        await pushes.close()
        hotel = posted.shared.hotel
        await hotel.call("DELETE", f"/v1/pushes/{push}", await hotel.token())


async def test_4_1_2_nothing_is_pushed_after_the_end_of_the_agreement(posted: Posted) -> None:
    deal, bank = await posted.deal(), posted.shared.bank
    push = await posted.register(deal)
    await posted.publish(deal, 1)
    ended = await bank.post(f"/v1/agreements/{deal.agreement}/termination", await bank.token())
    assert ended.status_code < 300, ended.text
    await posted.send()
    assert posted.inbox.received == []
    told = await posted.told(push)
    assert (told["state"], told["stopped_for"]) == ("stopped", "AGREEMENT_NOT_IN_FORCE")
    assert reasons(await posted.shared.last_access()) == [("AGREEMENT_NOT_IN_FORCE", "2.3.2")]
    await posted.publish(deal, 1)
    await posted.later(7200)
    assert posted.inbox.received == []
    assert len(await posted.entries(push, "push_stopped")) == 1


async def test_4_1_2_a_push_is_worth_no_more_than_the_token_that_asked_for_it(posted: Posted) -> None:
    """Its client may read for both purposes; this token of it was made for one."""
    hotel, dataset = posted.shared.hotel, await posted.shared.bank.declare(MARKET_SCHEMA)
    purposes = ["market_analysis", "settlement"]
    over: dict[str, Any] = {"purposes": purposes, "term": {"methods": ["push"]}}
    deal = Deal(await posted.shared.bank.agree(hotel, dataset, ["code"], **over), dataset)
    narrow = await posted.shared.token(deal, "market_analysis")
    asked = {"agreement": deal.agreement, "dataset": dataset, "uri": posted.inbox.uri}
    answers = [await hotel.post("/v1/pushes", narrow, asked | {"purpose": purpose}) for purpose in purposes]
    assert [one.status_code for one in answers] == [201, 403]
    assert answers[1].json()["code"] == "ACTION_NOT_GRANTED"


async def test_4_1_2_a_push_that_is_not_agreed_is_refused(posted: Posted) -> None:
    deal = await posted.deal(methods=["api"])
    push = await posted.register(deal)
    await posted.publish(deal, 1)
    await posted.send()
    assert posted.inbox.received == []
    assert (await posted.told(push))["stopped_for"] == "METHOD_NOT_AGREED"


async def test_4_1_2_its_recipient_ends_a_push_and_a_new_address_replaces_the_former(posted: Posted) -> None:
    deal, hotel = await posted.deal(), posted.shared.hotel
    former, push = await posted.register(deal), await posted.register(deal)
    assert (await posted.told(former))["stopped_for"] == "REPLACED"
    assert (await hotel.call("DELETE", f"/v1/pushes/{push}", await hotel.token())).status_code == 204
    await posted.publish(deal, 1)
    await posted.send()
    assert posted.inbox.received == []
    stranger = posted.shared.stranger
    for method in ("GET", "DELETE"):
        answer = await stranger.call(method, f"/v1/pushes/{push}", await stranger.token())
        assert answer.status_code == 404


async def test_4_1_2_a_page_that_was_under_way_when_its_address_was_stopped_is_not_sent(
    posted: Posted, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal, hotel = await posted.deal(), posted.shared.hotel
    push = await posted.register(deal)
    await posted.publish(deal, 1)
    messages = posted.shared.gateway.sharing.pushes._messages
    keep = messages.keep

    async def stopped_meanwhile(member: str, message: SignedMessage) -> None:
        await keep(member, message)
        assert (await hotel.call("DELETE", f"/v1/pushes/{push}", await hotel.token())).status_code == 204

    monkeypatch.setattr(messages, "keep", stopped_meanwhile)
    await posted.send()
    assert (posted.inbox.received, await posted.entries(push, "push_sent")) == ([], [])


@pytest.mark.parametrize(
    "uri", ["http://localhost/x", "https://10.0.0.1/x", "https://u@example.org/", "https://[::ffff:10.0.0.1]/", "", "x"]
)
async def test_4_1_2_an_address_that_leads_inside_is_refused(posted: Posted, uri: str) -> None:
    deal = await posted.deal()
    wish = {"agreement": deal.agreement, "dataset": deal.dataset, "purpose": "market_analysis", "uri": uri}
    answer = await posted.shared.hotel.post("/v1/pushes", await posted.shared.token(deal), wish)
    assert answer.status_code == 400
    member = await posted.shared.hotel.post(
        "/v1/pushes", await posted.shared.hotel.token(), wish | {"uri": "https://x.example/"}
    )
    assert (member.status_code, member.json()["code"]) == (403, "ACTION_NOT_GRANTED")


async def test_4_1_2_of_two_processes_one_sends_a_page(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with (
        opened(request, tmp_path_factory.mktemp("two"), "postgresql") as posted,
        second_process(posted.shared) as second,
    ):
        second.sharing.pushes._post = posted.shared.gateway.sharing.pushes._post
        deals = [await posted.deal() for _ in range(3)]
        for deal in deals:
            await posted.register(deal)
            await posted.publish(deal, 210)
        await asyncio.gather(posted.send(), second.sharing.pushes.run())
        await posted.send()
        pages = posted.inbox.pages()
        assert sorted((page["agreement"], page["page"]) for page in pages) == sorted(
            (deal.agreement, page) for deal in deals for page in (1, 2, 3)
        )
