"""Paper of one subject comes too late for what the person decided as another one, and for what is over."""

from __future__ import annotations

import pytest

from gateway.consents.states import Event
from tests.offline.world import Desk

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def merge(desk: Desk, person: int, duplicate: int) -> None:
    bank = desk.shared.bank
    body = {"subject": f"C{person:05}", "duplicate": f"C{duplicate:05}"}
    answer = await bank.post(f"/v1/datasets/{desk.deal.dataset}/merges", await bank.token(), body)
    assert answer.status_code == 200, answer.text


async def refused(desk: Desk, number: int, scan: str) -> list[str]:
    """The codes with which a form of the customer stays out."""
    answer = await desk.send(desk.packed([desk.row(number, evidence=scan)]))
    return [one["code"] for one in answer.json()["refusals"]]


async def test_who_refused_as_one_subject_is_not_consenting_on_paper_as_another(desk: Desk) -> None:
    (stored,) = await desk.stored(await desk.imported(desk.row(71)))
    await desk.act(stored["id"], Event.REFUSE)
    await merge(desk, 71, 72)
    assert await refused(desk, 72, "scans/other-72.pdf") == ["cooling_down"]


async def test_paper_of_what_was_revoked_is_no_new_consent(desk: Desk) -> None:
    (stored,) = await desk.stored(await desk.imported(desk.row(73, ago=300)))
    await desk.act(stored["id"], Event.REVOKE)
    assert await refused(desk, 73, "scans/other-73.pdf") == ["spent"]
