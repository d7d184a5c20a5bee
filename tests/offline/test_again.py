"""Paper that is packed again: what a sample has decided about it stays decided."""

from __future__ import annotations

import pytest

from tests.offline.world import Desk

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_the_paper_of_a_batch_that_its_sample_ended_never_comes_in_again(desk: Desk) -> None:
    rows = [desk.row(number) for number in (21, 22, 23)]
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
    batch = await desk.imported(desk.row(24))
    (row,) = await desk.draw(batch)
    await desk.mark(batch, row, "bad")
    for other in (desk.row(24, ago=500), desk.row(24, expires="2027-01-01"), desk.row(24, fields="name")):
        told = (await desk.send(desk.packed([other]), dry_run="true")).json()
        assert told["refused_by_code"] == {"evidence_rejected": 1}


async def test_whoever_takes_a_batch_back_once_its_sample_is_drawn_draws_no_other(desk: Desk) -> None:
    rows, bank = [desk.row(25), desk.row(26)], desk.shared.bank
    batch = await desk.imported(*rows)
    await desk.draw(batch)
    await bank.post(f"/v1/offline-consents/{batch}/invalidation", await bank.token())
    assert (await desk.send(desk.packed(rows))).json()["refused_by_code"] == {"evidence_rejected": 2}


async def test_a_row_that_was_bad_in_a_batch_that_was_accepted_stays_out_too(desk: Desk) -> None:
    rows = [desk.row(27), desk.row(28)]
    batch = await desk.imported(*rows)
    bad, good = await desk.draw(batch, "lenient")
    await desk.mark(batch, bad, "bad")
    await desk.mark(batch, good)
    await desk.accept(batch)
    told = (await desk.send(desk.packed(rows))).json()
    assert told["refused_by_code"] == {"already_recorded": 1, "evidence_rejected": 1}


async def test_one_paper_waits_for_one_sample_whatever_date_it_is_given(desk: Desk) -> None:
    await desk.imported(desk.row(30))
    told = (await desk.send(desk.packed([desk.row(30, ago=599)]))).json()
    assert told["refused_by_code"] == {"already_recorded": 1}
