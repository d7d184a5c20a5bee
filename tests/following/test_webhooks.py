"""How recipients are told: as Standard Webhooks 1.0.0 says, at least once, without a word about the person."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode, urlsafe_b64decode
from datetime import UTC, datetime

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook

from gateway.consents.following.sending import TRIED_MS
from gateway.identity.signed_responses import webhook_content
from tests.access.world import second_process
from tests.following.world import DAY_S, Followed, Inbox

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_webhook_is_verified_by_the_published_keys_alone(followed: Followed) -> None:
    deal = await followed.received(1)
    await followed.withdraw(deal, 1)
    await followed.tell()
    [(headers, content)] = followed.inbox.received
    version, _, signature = headers["webhook-signature"].partition(",")
    signed = webhook_content(headers["webhook-id"], headers["webhook-timestamp"], content)
    keys = (await followed.shared.alliance.http.get("/v1/jwks")).json()["keys"]

    def verifies(content: bytes) -> bool:
        return any(_verifies(key, b64decode(signature), content) for key in keys if "exp" not in key)

    assert version == "v1a"
    assert verifies(signed)
    assert not verifies(signed + b" ")
    assert int(headers["webhook-timestamp"]) == followed.shared.clock() // 1000


def _verifies(key: dict[str, str], signature: bytes, content: bytes) -> bool:
    public = Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(key["x"] + "="))
    try:
        public.verify(signature, content)
    except InvalidSignature:
        return False
    return True


async def test_what_is_signed_is_what_the_reference_library_signs() -> None:
    """It knows the symmetric scheme alone, which differs in nothing but the algorithm."""
    secret, at = b"a secret for tests alone", datetime(2026, 1, 5, tzinfo=UTC)
    theirs = Webhook(secret).sign("m1", at, '{"a":"é"}')
    content = webhook_content("m1", str(int(at.timestamp())), '{"a":"é"}'.encode())
    assert theirs == "v1," + b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()


async def test_a_webhook_says_what_to_do_by_when_and_nothing_of_the_person(followed: Followed) -> None:
    deal = await followed.received(2)
    [record] = await followed.read(deal)
    consent = await followed.withdraw(deal, 2)
    await followed.tell()
    [said] = followed.inbox.said()
    [owed] = [one for one in await followed.owed(followed.shared.hotel) if one["consent"] == consent]
    assert said["type"] == "consent.withdrawn"
    data = said["data"]
    assert data == {name: owed[name] for name in data}
    assert (data["consent"], data["agreement"], data["dataset"]) == (consent, deal.agreement, deal.dataset)
    assert data["records"] == [record]
    assert (data["acknowledge_by"], data["comply_by"]) == ("2026-01-06T16:00:00Z", "2026-01-08T16:00:00Z")
    [queued] = [one for one in await followed.entries("withdrawal_queued") if owed["id"] in one["follow_ups"]]
    assert data["event_id"] == queued["event_id"]
    [(_, content)] = followed.inbox.received
    for secret in ("Person 2", "13800000002", "C00002", await followed.pseudonym(deal, 2)):
        assert secret.encode() not in content


async def test_what_is_not_taken_is_sent_again_as_the_same_message(followed: Followed) -> None:
    deal = await followed.received(3)
    followed.inbox.deaf = True
    consent = await followed.withdraw(deal, 3)
    await followed.tell()
    assert [one["state"] for one in await followed.of_consent(consent)] == ["failed"]
    followed.inbox.deaf = False
    await followed.tell()
    assert len(followed.inbox.received) == 1  # it is not due yet
    followed.shared.clock.pass_seconds(60)
    await followed.tell()
    assert [one["state"] for one in await followed.of_consent(consent)] == ["delivered"]
    (first, content), (second, again) = followed.inbox.received
    assert (first["webhook-id"], content) == (second["webhook-id"], again)
    assert first["webhook-timestamp"] != second["webhook-timestamp"]
    followed.shared.clock.pass_seconds(DAY_S)
    await followed.tell()
    assert len(followed.inbox.received) == 2


async def test_two_processes_send_it_once(followed: Followed) -> None:
    deal = await followed.received(4)
    async with second_process(followed.shared) as second:
        second.following.telling._post = followed.shared.gateway.following.telling._post
        await followed.withdraw(deal, 4)
        await second.following.telling.start()
        await followed.tell()
        await second.following.telling.run()
    assert len(followed.inbox.received) == 1


async def test_a_deaf_address_delays_nobody_else(followed: Followed) -> None:
    deaf = Inbox(followed.inbox.certificate, followed.inbox.key, deaf=True)
    stranger, hotel = followed.shared.stranger, followed.shared.hotel
    async with deaf.open():
        await followed.register(hotel, deaf.uri)
        await followed.register(stranger)
        deal = await followed.received(5, 6, 7)
        consents = [await followed.withdraw(deal, number) for number in (5, 6, 7)]
        [first] = await followed.of_consent(consents[0])
        passed_on = {"onward": [{"member": stranger.id}]}
        assert (await followed.answer(hotel, first["id"], "acknowledgement", passed_on)).status_code == 200
        await followed.tell()
        assert len(followed.inbox.received) == 1
        assert len(deaf.received) == 3
        followed.shared.clock.pass_seconds(TRIED_MS // 1000 + 1)
        await followed.tell()
        attempts = len(deaf.received)
        followed.shared.clock.pass_seconds(DAY_S)
        await followed.tell()
        assert len(deaf.received) == attempts  # given up, on record
    untold = await followed.entries("withdrawal_untold")
    assert {one["message"] for one in untold} >= {(await followed.of_consent(one))[0]["id"] for one in consents[1:]}
    await followed.register(hotel)
    await followed.tell()
    told = {one["data"]["consent"] for one in followed.inbox.said() if one["type"] == "consent.withdrawn"}
    assert told >= set(consents[1:])


@pytest.mark.parametrize(
    "uri", ["http://hotel.example/", "https://10.0.0.1/", "https://[::ffff:10.0.0.1]/", "https://u@hotel.example/", 7]
)
async def test_an_address_into_our_own_network_is_refused(followed: Followed, uri: object) -> None:
    hotel = followed.shared.hotel
    answer = await hotel.call("PUT", "/v1/withdrawals/address", await hotel.token(), json={"uri": uri})
    assert (answer.status_code, answer.json()["field"]) == (400, "/uri")
    known = await hotel.get("/v1/withdrawals/address", await hotel.token())
    assert known.json()["uri"] == followed.inbox.uri


async def test_a_member_that_named_no_address_has_none(followed: Followed) -> None:
    bank = followed.shared.bank
    assert (await bank.get("/v1/withdrawals/address", await bank.token())).status_code == 404


async def test_a_message_that_is_taken_moves_no_follow_up_of_another(followed: Followed) -> None:
    deal = await followed.received(9, 10)
    states = []
    for number, deaf in ((9, True), (10, False)):
        followed.inbox.deaf = deaf
        consent = await followed.withdraw(deal, number)
        await followed.tell()
        states.append((consent, "failed" if deaf else "delivered"))
    for consent, state in states:
        assert [one["state"] for one in await followed.of_consent(consent)] == [state]


@pytest.mark.parametrize(("number", "deaf"), [(11, False), (12, True)])
async def test_a_message_that_comes_behind_the_answer_leaves_the_answer(
    followed: Followed, number: int, deaf: bool
) -> None:
    deal = await followed.received(number)
    [row] = await followed.of_consent(await followed.withdraw(deal, number))
    await followed.answer(followed.shared.hotel, row["id"], "acknowledgement")
    followed.inbox.deaf = deaf
    await followed.tell()
    assert [headers["webhook-id"] for headers, _ in followed.inbox.received] == [row["id"]]
    assert [one["state"] for one in await followed.of_consent(row["consent"])] == ["acknowledged"]


async def test_without_an_address_it_is_left_to_the_calendar_on_record(followed: Followed) -> None:
    hotel = followed.shared.hotel
    assert (await hotel.call("DELETE", "/v1/withdrawals/address", await hotel.token())).status_code == 204
    deal = await followed.received(8)
    consent = await followed.withdraw(deal, 8)
    await followed.tell()
    [row] = await followed.of_consent(consent)
    assert row["state"] == "failed"
    [untold] = [one for one in await followed.entries("withdrawal_untold") if one["message"] == row["id"]]
    assert untold["code"] == "NO_ADDRESS"
    calendar = (await hotel.get("/v1/duties", await hotel.token())).json()["items"]
    assert [one["due_at"] for one in calendar if one.get("follow_up") == row["id"]] == [row["comply_by"]]
    file = await hotel.get("/v1/duties.ics", await hotel.token())
    assert row["id"] in file.text.replace("\r\n ", "")
    await followed.register(hotel)
    await followed.tell()
    assert consent in [one["data"]["consent"] for one in followed.inbox.said()]
