"""Paper that is packed again: what a sample has decided about it stays decided."""

from __future__ import annotations

import pytest

from gateway.consents.offline import importing
from gateway.consents.offline.batches import Batches
from gateway.consents.states import Event
from gateway.errors import Conflicting
from tests.offline.breaking import before_change, die
from tests.offline.world import Desk

pytestmark = pytest.mark.asyncio(loop_scope="package")


def form(desk: Desk, number: int, *, ago: int = 600, **over: str) -> dict[str, str]:
    """A form whose scan no other module sends: what is rejected here is so in every dataset of the bank."""
    return desk.row(number, ago=ago, evidence=f"signed/{number}.pdf") | over


async def test_the_paper_of_a_batch_that_its_sample_ended_never_comes_in_again(desk: Desk) -> None:
    rows = [form(desk, number) for number in (21, 22, 23)]
    batch = await desk.imported(*rows)
    first, *_ = await desk.draw(batch)
    assert await desk.mark(batch, first, "bad") == "invalidated"
    for _ in range(2):  # before its records have followed, and after
        told = (await desk.send(desk.packed(rows))).json()
        assert (told["accepted"], told["refused_by_code"]) == (0, {"evidence_rejected": 3})
        assert told["refusals"][0]["column"] == "evidence"
        await desk.offline.settling.run()
    assert [await desk.states(number) for number in (21, 22, 23)] == [["invalidated"]] * 3


async def test_neither_another_date_nor_another_term_makes_new_paper_of_it(desk: Desk) -> None:
    batch = await desk.imported(form(desk, 24))
    (row,) = await desk.draw(batch)
    await desk.mark(batch, row, "bad")
    for other in (form(desk, 24, ago=500), form(desk, 24, expires="2027-01-01"), form(desk, 24, fields="name")):
        told = (await desk.send(desk.packed([other]), dry_run="true")).json()
        assert told["refused_by_code"] == {"evidence_rejected": 1}


async def test_whoever_takes_a_batch_back_once_its_sample_is_drawn_draws_no_other(desk: Desk) -> None:
    rows, bank = [form(desk, 25), form(desk, 26)], desk.shared.bank
    batch = await desk.imported(*rows)
    await desk.draw(batch)
    await bank.post(f"/v1/offline-consents/{batch}/invalidation", await bank.token())
    assert (await desk.send(desk.packed(rows))).json()["refused_by_code"] == {"evidence_rejected": 2}


async def test_a_row_that_was_bad_in_a_batch_that_was_accepted_stays_out_too(desk: Desk) -> None:
    rows = [form(desk, 27), form(desk, 28)]
    batch = await desk.imported(*rows)
    bad, good = await desk.draw(batch, "lenient")
    await desk.mark(batch, bad, "bad")
    await desk.mark(batch, good)
    await desk.accept(batch)
    told = (await desk.send(desk.packed(rows))).json()
    assert told["refused_by_code"] == {"already_recorded": 1, "evidence_rejected": 1}


async def test_one_paper_waits_for_one_sample_whatever_date_it_is_given(desk: Desk) -> None:
    await desk.imported(form(desk, 30))
    told = (await desk.send(desk.packed([form(desk, 30, ago=599)]))).json()
    assert told["refused_by_code"] == {"already_recorded": 1}


async def test_new_paper_comes_in_after_a_bad_sample_and_is_drawn_anew(desk: Desk) -> None:
    batch = await desk.imported(form(desk, 29))
    (row,) = await desk.draw(batch)
    await desk.mark(batch, row, "bad")
    anew = await desk.imported(form(desk, 29, evidence="signed/anew/29.pdf"))
    for row in await desk.draw(anew):
        await desk.mark(anew, row)
    await desk.accept(anew)
    assert sorted(await desk.states(29)) == ["given", "invalidated"]


async def test_a_batch_that_was_taken_back_undrawn_comes_in_again_at_once_and_stays(desk: Desk) -> None:
    rows, bank = [form(desk, 31), form(desk, 32)], desk.shared.bank
    batch = await desk.imported(*rows)
    await bank.post(f"/v1/offline-consents/{batch}/invalidation", await bank.token())
    corrected = await desk.imported(form(desk, 31, ago=700), rows[1])
    await desk.offline.settling.run()
    assert [sorted(await desk.states(number)) for number in (31, 32)] == [["imported", "invalidated"]] * 2
    for row in await desk.draw(corrected):
        await desk.mark(corrected, row)
    await desk.accept(corrected)
    assert [sorted(await desk.states(number)) for number in (31, 32)] == [["given", "invalidated"]] * 2


async def test_what_a_person_refused_stays_refused_when_its_batch_was_taken_back(desk: Desk) -> None:
    bank = desk.shared.bank
    batch = await desk.imported(form(desk, 33))
    (stored,) = await desk.stored(batch)
    await desk.act(stored["id"], Event.REFUSE)
    await bank.post(f"/v1/offline-consents/{batch}/invalidation", await bank.token())
    assert (await desk.send(desk.packed([form(desk, 33)]))).json()["refused_by_code"] == {"cooling_down": 1}


async def test_an_archive_that_is_sent_again_says_where_its_batch_stands_now(desk: Desk) -> None:
    body, bank = desk.packed([form(desk, 34)]), desk.shared.bank
    first = (await desk.send(body)).json()
    await bank.post(f"/v1/offline-consents/{first['batch']}/invalidation", await bank.token())
    assert (await desk.send(body)).json() == first | {"state": "invalidated"}


async def test_nothing_is_imported_beside_an_import_under_way_and_all_is_once_it_has_died(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [form(desk, number) for number in (35, 36, 37, 38)]
    monkeypatch.setattr(importing, "_MADE_AT_ONCE", 2)
    with before_change(desk, 3, die):
        assert (await desk.send(desk.packed(rows))).status_code == 500
    answer = await desk.send(desk.packed(rows))
    assert (answer.status_code, answer.json()["code"]) == (409, "import_under_way")
    assert "15 minutes" in answer.json()["remedy"]
    desk.shared.clock.pass_seconds(16 * 60)
    await desk.imported(*rows)
    await desk.offline.settling.run()
    states = [await desk.states(number) for number in (35, 36, 37, 38)]
    assert sorted(states) == [["imported"]] * 2 + [["invalidated", "imported"]] * 2


async def test_an_import_that_paused_for_too_long_does_not_go_on_beside_its_successor(desk: Desk) -> None:
    shared, batches = desk.shared, desk.offline.batches
    gateway, rows = shared.gateway, [form(desk, 39)]
    elsewhere = Batches(gateway.database, batches._datasets, gateway.keyring, gateway.ledger, gateway.clock)
    subject = await shared.subject(shared.bank, await shared.bank.token())

    async def receive() -> bytes:
        body = desk.packed(rows)
        return await elsewhere.receive(subject, desk.deal.dataset, body, dry_run=False, all_or_nothing=False)

    async def pause() -> None:
        with pytest.raises(Conflicting, match="import_under_way"):
            await receive()
        shared.clock.pass_seconds(16 * 60)
        await receive()

    with before_change(desk, 2, pause):
        assert (await desk.send(desk.packed(rows))).json()["code"] == "import_abandoned"
    await desk.offline.settling.run()
    assert await desk.states(39) == ["imported"]
