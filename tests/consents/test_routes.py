"""What the routes of consents and notices read from a body, before anybody acts on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import orjson
import pytest
from fastapi import FastAPI, Request

from gateway import problems
from gateway.consents.notice_routes import routes as notice_routes
from gateway.consents.routes import routes
from gateway.identity.subject import Subject
from tests.catalog.conftest import Shop
from tests.consents.desk import Desk, opened_desk, statement


@asynccontextmanager
async def client_of(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    """The owner of the data, over these routes alone."""

    async def owner(_: Request) -> Subject:
        return desk.shop.owner

    app = FastAPI()
    app.include_router(routes(owner, owner, desk.consents))
    app.include_router(notice_routes(owner, desk.consents.notices))
    problems.install(app)
    base = f"http://gateway/v1/datasets/{desk.dataset.id}/"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base) as client:
        yield client


@pytest.mark.parametrize("media_type", ["text/csv", "", "application/xml"])
async def test_consents_in_another_form_than_json_are_refused(shop: Shop, media_type: str) -> None:
    desk = await opened_desk(shop)
    body = orjson.dumps(desk.under_notice(statement(desk.now - 5)))
    async with client_of(desk) as client:
        answer = await client.post("consents", content=body, headers={"content-type": media_type})
    assert (answer.status_code, answer.json()["code"]) == (400, "unsupported_media_type")
    assert await desk.live() == 0


async def test_empty_lines_between_consents_are_no_consents(shop: Shop) -> None:
    desk = await opened_desk(shop)
    given = [orjson.dumps(desk.under_notice(statement(desk.now - 5, subject=f"C{n}"))) for n in range(2)]
    async with client_of(desk) as client:
        body = b"\n" + b"\n \r\n".join(given) + b"\n\n"
        answer = await client.post("consents", content=body, headers={"content-type": "application/x-ndjson"})
    assert (answer.status_code, len(answer.json()["consents"])) == (201, 2)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": 7}, "/name"),
        ({"name": None}, "/name"),
        ({"document": "told"}, "/document"),
        ({"document": []}, "/document"),
    ],
)
async def test_a_notice_whose_name_is_no_text_or_that_is_no_object_is_refused(
    shop: Shop, changed: dict[str, object], field: str
) -> None:
    desk = await opened_desk(shop)
    async with client_of(desk) as client:
        usual = {"name": "referral", "document": desk.document()}
        answer = await client.post("notices", json=usual | changed)
        assert (answer.status_code, answer.json()["field"]) == (400, field)
        assert (await client.post("notices", json=usual)).status_code == 201
