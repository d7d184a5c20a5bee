from __future__ import annotations

import asyncio
import gc
import hashlib
import sqlite3
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from threading import Event
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.catalog import Upload, UploadFailed, receiving
from gateway.catalog.blocks import UploadStalled, blocks_of
from gateway.catalog.declaration import declare
from gateway.catalog.reading import reader_of
from gateway.catalog.spool import TermSpool
from gateway.catalog.uploads import ABANDONED_AFTER_MS
from gateway.errors import Conflicting, GatewayError, Invalid, NotFound, Refused, TooLarge, Unavailable
from gateway.ledger import Draft, Effect, Kind, StaleJudgement
from tests.alliance import MARKET_SCHEMA
from tests.catalog.conftest import AIRLINE, BANK, Shop, pieces, subject_of

PLANE = {
    "tail": {"type": "string", "x-class": "plane", "x-grade": 1, "x-filter": "equality", "maxLength": 20},
    "seats": {"type": ["integer", "null"], "x-class": "plane", "x-grade": 1, "minimum": 0},
    "note": {"type": ["string", "null"], "x-class": "inner", "x-grade": 2},
}
PERSON = {
    "number": {"type": "string", "x-class": "personal", "x-grade": 3},
    "city": {"type": ["string", "null"], "x-class": "personal", "x-grade": 2},
}
ROW = b"N1,1,%s\n" % (b"x" * 70)
VISIBLE = "SELECT count(*) FROM record JOIN upload ON upload.no = record.upload_no WHERE upload.state = 'published'"
MODEST = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def count(path: Path, query: str = VISIBLE) -> int:
    with sqlite3.connect(path) as connection:
        found: int = connection.execute(query).fetchone()[0]
    connection.close()
    return found


async def staged_rows(path: Path, receiving: asyncio.Task[bytes]) -> None:
    for _ in range(3000):
        if receiving.done() or count(path, "SELECT count(*) FROM record"):
            return
        await asyncio.sleep(0.01)


async def test_good_rows_are_published_and_bad_ones_named_by_line_and_field(shop: Shop, sqlite_path: Path) -> None:
    dataset = await shop.declare(PLANE)
    told = await shop.upload(dataset, b"tail,seats,note\nN1,100,x\nN2,many,\nN3,,\n,5,\nN4,-1,\nN5,1\n")
    assert (told["accepted"], told["refused"], told["state"]) == (2, 4, "published")
    assert [(r["line"], r["field"], r["code"]) for r in told["refusals"]] == [
        (3, "seats", "wrong_type"),
        (5, "tail", "missing_value"),
        (6, "seats", "too_small"),
        (7, "", "wrong_number_of_cells"),
    ]
    assert count(sqlite_path) == 2


async def test_the_first_thousand_refusals_are_kept_and_all_are_counted(shop: Shop) -> None:
    dataset = await shop.declare(PLANE)
    told = await shop.upload(dataset, b"tail,seats,note\nN1,1,\n" + b"N2,x,\n" * 1500)
    assert (told["accepted"], told["refused"], told["refused_by_code"]) == (1, 1500, {"wrong_type": 1500})
    assert (len(told["refusals"]), told["refusals"][-1]["line"], told["refusals_left_out"]) == (1000, 1002, 500)


async def test_an_upload_that_outgrows_its_limit_is_given_up(
    shop: Shop, sqlite_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.catalog.blocks.LARGEST_UPLOAD", 10_000)
    dataset = await shop.declare(PLANE)
    content = b"tail,seats,note\n" + b"N1,1,\n" * 1600
    assert (await shop.upload(dataset, content))["accepted"] == 1600
    with pytest.raises(TooLarge, match="upload_too_large"):
        await shop.upload(dataset, content + b"N1,1,\n" * 100)
    assert count(sqlite_path) == 1600


async def test_however_short_rows_are_few_are_in_memory_at_a_time() -> None:
    """A body of 1 MiB in rows of two bytes took the server 170 MiB."""
    content = b"a\n" + b"1\n" * 300_000 + b"1\r\n" * 100_000 + b"x" * 300_000 + b"\r" * 70_000

    async def body() -> AsyncIterator[bytes]:
        for at in range(0, len(content), 999_999):
            yield content[at : at + 999_999]

    blocks = [block async for block in blocks_of(body(), hashlib.sha256())]
    assert b"".join(blocks) == content
    assert max(max(block.count(b"\n"), block.count(b"\r")) for block in blocks) <= 8192
    assert len(blocks) < 200, "no more than that needs"


async def test_a_published_record_opens_to_the_rows_values(shop: Shop, sqlite_path: Path) -> None:
    from gateway.ledger import Opening, OpeningGroup
    from gateway.vault.sealed import SealedRecord, refs
    from gateway.vault.vault import Vault

    dataset = await shop.declare(PLANE)
    await shop.upload(dataset, b'tail;seats;note\nN1;007;"a;b"\n')
    with sqlite3.connect(sqlite_path) as connection:
        row = connection.execute(
            "SELECT r.id, r.version, r.pseudonym, r.sealed, k.id, k.wrapped, k.key_version"
            " FROM record r JOIN subject_key k ON k.id = r.subject_key_id"
        ).fetchone()
    connection.close()
    sealed = SealedRecord(*row)
    group = OpeningGroup(
        classes=("plane", "inner"), fields=("tail", "seats", "note"), withheld=(), records=tuple(refs([sealed]))
    )
    recorded = await shop.ledger.record(
        Draft(
            log=AIRLINE,
            kind=Kind.ACCESS,
            facts={},
            effect=Effect.PERMIT,
            opening=Opening(dataset.id, (group,)),
            narrowing=await shop.ledger.narrowing(AIRLINE),
        )
    )
    assert recorded.warrant is not None
    opened = await Vault(shop.keyring).open(dataset.layout, [sealed], recorded.warrant)
    assert orjson.loads(opened[0]) == {"tail": "N1", "seats": 7, "note": "a;b"}


async def test_replace_shows_the_new_rows_alone_and_sweeping_deletes_the_old(shop_on_both: Shop) -> None:
    shop = shop_on_both
    dataset = await shop.declare(PLANE)
    await shop.upload(dataset, b"tail,seats,note\nN1,1,\nN2,2,\n")
    told = await shop.upload(dataset, b"tail,seats,note\nN3,3,\n", mode="replace")
    again = orjson.loads(await shop.uploads.report(shop.owner, dataset.id, told["id"]))
    assert again["state"] == "published"
    assert await shop.uploads.sweep() == 2
    assert await shop.uploads.sweep() == 0


async def test_personal_rows_share_one_key_per_subject_across_uploads(shop_on_both: Shop) -> None:
    shop = shop_on_both
    dataset = await shop.declare(PERSON, person="number")
    rows = b"number,city\n" + b"".join(b"C%d,x\n" % (n % 7) for n in range(50))
    assert (await shop.upload(dataset, rows))["accepted"] == 50
    assert (await shop.upload(dataset, "number,city\nC1,y\nＣ1,y\n".encode()))["accepted"] == 2
    from sqlalchemy import select

    from gateway.catalog.tables import record
    from gateway.database import Query
    from gateway.vault.tables import subject_key

    keys = await shop.database.all(Query(select(subject_key.c.id, subject_key.c.scope)))
    found = await shop.database.all(Query(select(record.c.pseudonym, record.c.subject_key_id)))
    assert len(keys) == 7
    assert {(row["id"], row["scope"]) for row in keys} == {(row["subject_key_id"], row["pseudonym"]) for row in found}


async def test_all_or_nothing_publishes_nothing_after_a_refusal_and_names_its_row(
    shop: Shop, sqlite_path: Path
) -> None:
    dataset = await shop.declare(PLANE)
    with pytest.raises(UploadFailed) as failed:
        await shop.upload(dataset, b"tail,seats,note\nN1,1,\nN2,x,\n", all_or_nothing=True)
    assert count(sqlite_path) == 0
    assert failed.value.field == "line 3"
    assert "line 3, field seats: The value is not of the field's type." in failed.value.detail
    told = orjson.loads(await shop.uploads.report(shop.owner, dataset.id, failed.value.upload_id))
    assert (told["state"], told["refused"], told["refusals"][0]["line"]) == ("failed", 1, 3)
    assert await shop.uploads.sweep() == 1


@pytest.mark.parametrize("mode", ["append", "replace"])
async def test_a_file_of_refused_rows_alone_is_told_and_replaces_nothing(
    shop: Shop, sqlite_path: Path, mode: str
) -> None:
    dataset = await shop.declare(PLANE)
    await shop.upload(dataset, b"tail,seats,note\nN1,1,\n")
    with pytest.raises(UploadFailed) as failed:
        await shop.upload(dataset, b"tail,seats,note\nN2,x,\nN3,-1,\n", mode=mode)
    assert failed.value.field == "line 2"
    assert count(sqlite_path) == 1


async def test_an_upload_that_is_swept_before_it_is_published_is_not(
    shop: Shop, sqlite_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = await shop.declare(PLANE)
    publish = receiving.Receiving._publish

    async def late(one: receiving.Receiving) -> bytes:
        shop.clock.now += ABANDONED_AFTER_MS + 1
        await shop.uploads.sweep()
        return await publish(one)

    monkeypatch.setattr(receiving.Receiving, "_publish", late)
    for mode in ("append", "replace"):
        with pytest.raises(Conflicting, match="upload_abandoned"):
            await shop.upload(dataset, b"tail,seats,note\nN1,1,\n", mode=mode)
    assert count(sqlite_path) == 0


async def test_staged_rows_are_unseen_until_the_upload_ends(shop: Shop, sqlite_path: Path) -> None:
    dataset = await shop.declare(PLANE)
    goes_on = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"tail,seats,note\n" + ROW * 8000
        await goes_on.wait()
        yield b"N2,1,\n"

    wanted = Upload(dataset_id=dataset.id, media_type="text/csv")
    receiving = asyncio.create_task(shop.uploads.receive(shop.owner, wanted, body()))
    await staged_rows(sqlite_path, receiving)
    assert count(sqlite_path) == 0
    goes_on.set()
    await receiving
    assert count(sqlite_path) == 8001


async def test_an_upload_broken_off_leaves_nothing_to_see(shop: Shop, sqlite_path: Path) -> None:
    dataset = await shop.declare(PLANE)

    async def body() -> AsyncIterator[bytes]:
        yield b"tail,seats,note\n" + ROW * 8000
        raise Invalid("interrupted", "The client went away.")

    with pytest.raises(Invalid, match="interrupted"):
        await shop.uploads.receive(shop.owner, Upload(dataset_id=dataset.id, media_type="text/csv"), body())
    assert count(sqlite_path) == 0
    await shop.uploads.sweep()
    assert count(sqlite_path, "SELECT count(*) FROM record") == 0
    assert count(sqlite_path, "SELECT count(*) FROM record_term") == 0


async def test_a_cancelled_upload_is_failed_at_once(shop: Shop, sqlite_path: Path) -> None:
    dataset = await shop.declare(PLANE)

    async def body() -> AsyncIterator[bytes]:
        yield b"tail,seats,note\n" + ROW * 8000
        await asyncio.sleep(3600)

    wanted = Upload(dataset_id=dataset.id, media_type="text/csv")
    receiving = asyncio.create_task(shop.uploads.receive(shop.owner, wanted, body()))
    await staged_rows(sqlite_path, receiving)
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    assert count(sqlite_path, "SELECT count(*) FROM upload WHERE state = 'failed'") == 1


async def test_what_an_upload_kept_aside_is_given_up_while_others_are_served(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, others = await shop.declare(PLANE), Event()
    served, close = list[bool](), TermSpool.close

    def closing(spool: TermSpool) -> None:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).add_done_callback(lambda _: others.set())
        served.append(others.wait(10))
        close(spool)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(TermSpool, "close", closing)
    await shop.upload(dataset, b"tail,seats,note\nN1,1,\n")
    assert served == [True]


class SmallDisk(TermSpool):
    """A spool on a disk of a few pages."""

    def __init__(self) -> None:
        super().__init__()
        with self._kept as kept:
            kept.execute("PRAGMA max_page_count=4")


async def test_an_upload_that_a_full_disk_ends_is_unavailable_and_publishes_nothing(
    shop: Shop, sqlite_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = await shop.declare(PLANE)
    content = b"tail,seats,note\n" + b"".join(b"N%d,1,\n" % number for number in range(2000))
    with monkeypatch.context() as full:
        full.setattr(receiving, "TermSpool", SmallDisk)
        with pytest.raises(Unavailable, match="no_room"):
            await shop.upload(dataset, content)
    assert count(sqlite_path) == 0
    assert (await shop.upload(dataset, content))["accepted"] == 2000


async def test_what_a_killed_process_staged_is_swept_at_the_next_start(shop: Shop, sqlite_path: Path) -> None:
    dataset = await shop.declare(PLANE)
    await shop.upload(dataset, b"tail,seats,note\nN1,1,\n")
    with sqlite3.connect(sqlite_path) as connection:
        connection.execute("UPDATE upload SET state = 'staged', published_at = NULL")
    connection.close()
    assert await shop.uploads.sweep() == 0
    assert await shop.uploads.sweep(alone_since=shop.clock() + 1) == 1


async def test_a_stalled_upload_cannot_come_back_after_being_swept(shop: Shop, sqlite_path: Path) -> None:
    dataset = await shop.declare(PLANE)

    async def body() -> AsyncIterator[bytes]:
        yield b"tail,seats,note\n" + ROW * 8000
        shop.clock.now += ABANDONED_AFTER_MS + 1
        await shop.uploads.sweep()
        yield b"N2,1,\n"

    with pytest.raises(Conflicting, match="upload_abandoned"):
        await shop.uploads.receive(shop.owner, Upload(dataset_id=dataset.id, media_type="text/csv"), body())
    assert count(sqlite_path) == 0


async def test_the_same_key_and_content_answer_with_the_first_report(shop: Shop, sqlite_path: Path) -> None:
    dataset = await shop.declare(PLANE)
    first = await shop.upload(dataset, b"tail,seats,note\nN1,1,\n", key="k")
    assert await shop.upload(dataset, b"tail,seats,note\nN1,1,\n", key="k") == first
    with pytest.raises(Conflicting):
        await shop.upload(dataset, b"tail,seats,note\nN2,1,\n", key="k")
    assert count(sqlite_path) == 1


@pytest.mark.parametrize(
    "asked", [{"mode": "replace"}, {"all_or_nothing": True}, {"delimiter": ","}, {"null": "NA"}, {"null": "None"}]
)
async def test_a_key_stands_for_what_was_asked_and_not_for_the_content_alone(shop: Shop, asked: dict[str, Any]) -> None:
    dataset = await shop.declare(PLANE)
    await shop.upload(dataset, b"tail,seats,note\nN1,1,\n", key="k")
    with pytest.raises(Conflicting, match="idempotency_key_reused"):
        await shop.upload(dataset, b"tail,seats,note\nN1,1,\n", key="k", **asked)


async def test_a_key_is_of_one_client_alone(shop: Shop) -> None:
    first = await shop.datasets.declare(shop.owner, "table", MARKET_SCHEMA, key="k")
    again = await shop.datasets.declare(subject_of(BANK), "table", MARKET_SCHEMA, key="k")
    assert orjson.loads(again)["id"] != orjson.loads(first)["id"]
    sibling = subject_of(AIRLINE, client="another")
    assert await shop.datasets.declare(sibling, "second", MARKET_SCHEMA, key="k") not in (first, again)


@pytest.mark.parametrize("unique", [(), ("seats",)])
async def test_equal_uploads_at_once_are_published_once_and_answered_alike(
    shop: Shop, sqlite_path: Path, unique: tuple[str, ...]
) -> None:
    seats = {"type": "integer", "x-class": "plane", "x-grade": 1}
    dataset = await shop.declare(PLANE | {"seats": seats}, unique=unique)
    content = b"tail,seats,note\n" + b"".join(b"N1,%d,\n" % n for n in range(3000))
    told = await asyncio.gather(*(shop.upload(dataset, content, key="k") for _ in range(3)))
    assert told[0] == told[1] == told[2]
    assert count(sqlite_path) == 3000
    assert count(sqlite_path, "SELECT count(*) FROM upload WHERE state = 'staged'") == 0


async def test_uploads_at_once_keep_their_rows_apart(shop_on_both: Shop) -> None:
    shop = shop_on_both
    dataset = await shop.declare(PLANE)
    contents = [b"tail,seats,note\n" + b"N1,1,\n" * (500 + n) for n in range(4)]
    told = await asyncio.gather(*(shop.upload(dataset, content) for content in contents))
    assert [one["accepted"] for one in told] == [500, 501, 502, 503]


async def test_idle_uploads_of_one_member_hold_up_nobody_else(shop: Shop) -> None:
    mine, theirs = await shop.declare(PLANE), Shop(**{**vars(shop), "owner": subject_of(BANK)})
    dataset = await theirs.declare(PLANE)

    async def idle() -> AsyncIterator[bytes]:
        yield b"tail,seats,note\n"
        await asyncio.Event().wait()

    wanted = Upload(dataset_id=mine.id, media_type="text/csv")
    idling = [asyncio.create_task(shop.uploads.receive(shop.owner, wanted, idle())) for _ in range(8)]
    await asyncio.sleep(0.5)
    try:
        async with asyncio.timeout(60):
            assert (await theirs.upload(dataset, b"tail,seats,note\nN1,1,\n"))["accepted"] == 1
    finally:
        for one in idling:
            one.cancel()
        await asyncio.gather(*idling, return_exceptions=True)


async def test_a_member_has_two_uploads_under_way_at_most_and_no_trace_after_them(shop: Shop) -> None:
    dataset = await shop.declare(PLANE)
    under_way, most = 0, 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        yield b"tail,seats,note\n"
        await asyncio.sleep(0.05)
        yield b"N1,1,\n"
        under_way -= 1

    wanted = Upload(dataset_id=dataset.id, media_type="text/csv")
    await asyncio.gather(*(shop.uploads.receive(shop.owner, wanted, body()) for _ in range(5)))
    assert most == 2
    gc.collect()
    assert not shop.uploads._rooms


async def test_a_silent_body_is_given_up_and_nothing_of_it_published(
    shop: Shop, sqlite_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.catalog.blocks.LONGEST_SILENCE_S", 1.5)
    dataset = await shop.declare(PLANE)

    async def slow() -> AsyncIterator[bytes]:
        for piece in (b"tail,seats,note\n", b"N1,1,\n", b"N2,2,\n"):
            yield piece
            await asyncio.sleep(0.6)

    async def silent() -> AsyncIterator[bytes]:
        yield b"tail,seats,note\n" + ROW * 8000
        await asyncio.Event().wait()

    wanted = Upload(dataset_id=dataset.id, media_type="text/csv")
    with pytest.raises(UploadStalled, match="upload_stalled"):
        async with asyncio.timeout(60):
            await shop.uploads.receive(shop.owner, wanted, silent())
    assert count(sqlite_path) == 0
    assert count(sqlite_path, "SELECT count(*) FROM upload WHERE state = 'failed'") == 1
    assert orjson.loads(await shop.uploads.receive(shop.owner, wanted, slow()))["accepted"] == 2


async def test_no_permit_judged_before_a_replacement_follows_it_in_the_ledger(shop_on_both: Shop) -> None:
    shop = shop_on_both
    dataset = await shop.declare(PLANE)
    rows = b"tail,seats,note\nN1,1,\n"

    async def permit(narrowing: int) -> None:
        permitted = Draft(log=AIRLINE, kind=Kind.ACCESS, facts={}, effect=Effect.PERMIT, narrowing=narrowing)
        await shop.ledger.record(permitted)

    judged_by = await shop.ledger.narrowing(AIRLINE)
    await shop.upload(dataset, rows)
    await permit(judged_by)
    await shop.upload(dataset, rows, mode="replace")
    with pytest.raises(StaleJudgement):
        await permit(judged_by)
    await permit(await shop.ledger.narrowing(AIRLINE))


async def test_a_row_that_repeats_its_unique_fields_is_refused(shop_on_both: Shop) -> None:
    shop = shop_on_both
    dataset = await shop.declare(PLANE, unique=("tail",))
    told = await shop.upload(dataset, b"tail,seats,note\nN1,1,\nN2,1,\nN1,2,\nn1,2,\n")
    assert [(r["line"], r["code"]) for r in told["refusals"]] == [(4, "duplicate")]
    told = await shop.upload(dataset, b"tail,seats,note\nN2,1,\nN3,1,\n")
    assert [(r["line"], r["code"]) for r in told["refusals"]] == [(2, "duplicate")]
    told = await shop.upload(dataset, b"tail,seats,note\nN2,1,\nN3,1,\n", mode="replace")
    assert (told["accepted"], told["refused"]) == (2, 0)


async def test_an_append_that_missed_another_is_refused_where_rows_are_unique(shop: Shop) -> None:
    dataset = await shop.declare(PLANE, unique=("tail",))

    async def body() -> AsyncIterator[bytes]:
        yield b"tail,seats,note\nN1,1,\n"
        await shop.upload(dataset, b"tail,seats,note\nN1,1,\n")

    with pytest.raises(Conflicting, match="published_meanwhile"):
        await shop.uploads.receive(shop.owner, Upload(dataset_id=dataset.id, media_type="text/csv"), body())


async def test_nobody_but_the_owner_uploads_or_reads_reports(shop: Shop) -> None:
    dataset = await shop.declare(PLANE)
    told = await shop.upload(dataset, b"tail,seats,note\nN1,1,\n")
    wanted = Upload(dataset_id=dataset.id, media_type="text/csv")
    with pytest.raises(NotFound):
        await shop.uploads.receive(subject_of(BANK), wanted, pieces(b""))
    with pytest.raises(NotFound):
        await shop.uploads.report(subject_of(BANK), dataset.id, told["id"])
    await shop.datasets.declare(subject_of(BANK), "table", MARKET_SCHEMA, key=None)
    [own] = await shop.datasets.page(subject_of(BANK), after="", limit=1)
    with pytest.raises(NotFound):
        await shop.uploads.report(subject_of(BANK), own.id, told["id"])
    with pytest.raises(Refused, match="ACTION_NOT_GRANTED"):
        await shop.uploads.receive(subject_of(AIRLINE, actions=["audit"]), wanted, pieces(b""))


async def test_no_value_reaches_files_reports_or_tracebacks(shop: Shop, sqlite_path: Path) -> None:
    canary, bad = b"canary-7f3a", b"canary-bad-91"
    dataset = await shop.declare(PLANE, unique=("tail",))
    content = b"tail,seats,note\n%s,1,%s\n%s,%s,\n%s,1,\n" % (canary, canary, canary + b"2", bad, canary)
    told = await shop.upload(dataset, content)
    assert (told["accepted"], told["refused"]) == (1, 2)
    with pytest.raises(UploadFailed) as failed:
        await shop.upload(dataset, content, all_or_nothing=True, mode="replace")
    seen = b"".join(path.read_bytes() for path in sqlite_path.parent.glob("gateway.db*"))
    seen += orjson.dumps(told) + "".join(traceback.format_exception(failed.value)).encode()
    assert len(seen) > 10_000
    assert b"canary" not in seen


def reading(properties: dict[str, Any], content: bytes, media_type: str, step: int) -> tuple[int, int]:
    schema = declare({"type": "object", "x-kind": "market", "properties": properties})
    reader = reader_of(media_type, schema, None, None)
    batches = [reader.feed(content[at : at + step]) for at in range(0, len(content), step)] + [reader.finish()]
    return sum(len(batch.rows) for batch in batches), sum(len(batch.refused) for batch in batches)


NASTY = st.lists(st.sampled_from([b'"', b",", b"\n", b"\r", b"\xff", b"x", b"\0", b"tail", "é".encode()])).map(b"".join)


@MODEST
@given(NASTY | st.binary(max_size=200), st.integers(1, 9))
def test_any_bytes_as_csv_raise_nothing_but_deliberate_errors_however_they_are_cut(content: bytes, step: int) -> None:
    def outcome(size: int) -> object:
        try:
            return reading(PLANE, b"tail,seats,note\n" + content, "text/csv", size)
        except GatewayError as error:
            return error.code

    assert outcome(step) == outcome(1 << 20)


@MODEST
@given(
    st.binary(max_size=300) | st.text(alphabet='{}[]":,\\ue0123tail\n', max_size=80).map(str.encode), st.integers(1, 9)
)
def test_any_bytes_as_ndjson_are_counted_row_by_row(content: bytes, step: int) -> None:
    if content in (b"", b"\xef\xbb\xbf"):
        with pytest.raises(Invalid, match="empty_file"):
            reading(PLANE, content, "application/x-ndjson", step)
        return
    accepted, refused = reading(PLANE, content, "application/x-ndjson", step)
    text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert accepted + refused == sum(1 for line in lines if line.strip(" \t"))
