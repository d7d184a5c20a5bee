"""What owners may ask over HTTP, of which dataset, and what they are told."""

from __future__ import annotations

import json

import pytest

from tests.alliance import MARKET_SCHEMA
from tests.consents.asking.world import World

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest.mark.parametrize("what", ["consent-requests", "contacts"])
@pytest.mark.parametrize("body", [[], None])
async def test_a_body_that_is_no_object_is_refused(world: World, what: str, body: object) -> None:
    path = f"/v1/datasets/{world.dataset}/{what}"
    answer = await world.bank.call("POST", path, await world.bank.token(), content=json.dumps(body))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_body"), answer.text


async def test_nobody_is_asked_about_a_dataset_without_persons_or_reached_by_it(world: World) -> None:
    market, phone = await world.bank.declare(MARKET_SCHEMA), world.phone()
    token = await world.bank.token()
    reached = {"subject": "C-market", "channel": "sms", "address": phone}
    asked = reached | {"notice_sha256": world.notice, "language": "en", "items": [world.item()]}
    for what, said in (("consent-requests", asked), ("contacts", {"contacts": [reached]})):
        answer = await world.bank.post(f"/v1/datasets/{market}/{what}", token, said)
        assert (answer.status_code, answer.json()["code"]) == (409, "not_personal"), answer.text
    assert world.box.messages == []


async def test_a_request_that_there_is_not_is_not_found(world: World) -> None:
    answer = await world.bank.get(f"/v1/consent-requests/{'0' * 32}", await world.bank.token())
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_number_with_a_known_prefix_is_told_to_be_nothing_odd(world: World) -> None:
    _, made = await world.asked()
    assert made["warnings"] == []
