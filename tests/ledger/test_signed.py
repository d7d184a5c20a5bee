"""What is signed: checkpoints, tiles, notes, receipts, and the head kept outside."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shutil
import sqlite3
import stat
import time
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.clock import system_clock
from gateway.database import Database
from gateway.database.sqlite import SQLiteDatabase
from gateway.errors import Conflicting, NotFound
from gateway.ledger import Ledger, LedgerRolledBack, LedgerUnavailable, note, outside, proofs, receipts
from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.integrator import STUCK_AFTER_S, Integrator
from gateway.ledger.merkle import root_of, verify_consistency, verify_inclusion
from gateway.ledger.note import NoteRejected, UntrustedKey, VerifierKey
from gateway.ledger.outside import OutsideHeads
from gateway.ledger.stored import StoredHashes, state
from gateway.ledger.tiles import TileName, Tiles
from tests.beside import VECTORS, there
from tests.ledger.builders import (
    OPERATOR,
    OWNER,
    Keys,
    act,
    filled,
    new_integrator,
    new_ledger,
    permit,
    receipt_of,
)

_GO = (1, 23)
_UNREACHABLE = (b"dial tcp", b"GOPROXY=off")
"""In what Go says when it can ask nobody for a module; any other failure to build is one of this project."""


async def test_a_checkpoint_covers_everything_durable_and_its_proofs_hold(database: Database, tmp_path: Path) -> None:
    ledger, recorded = await filled(database, 3)
    integrator = new_integrator(database, tmp_path / "heads")
    key = await Keys().verifier(OWNER)
    first = Checkpoint.verify(await integrator.integrate(OWNER), key)
    recorded += await asyncio.gather(*(ledger.record(permit(number)) for number in range(597)))
    second = Checkpoint.verify(await integrator.integrate(OWNER), key)
    assert (first.size, second.size) == (3, 600)
    hashes = [entry.leaf_hash for entry in sorted(recorded, key=lambda entry: entry.index)]
    assert second.root == root_of(hashes)
    reader = StoredHashes(database, OWNER)
    for index in (0, 255, 256, 599):
        proof = await proofs.inclusion(reader, index, 600)
        verify_inclusion(index, 600, hashes[index], second.root, proof)
    verify_consistency(3, 600, first.root, second.root, await proofs.consistency(reader, 3, 600))
    tiles = Tiles(database)
    assert await tiles.tile(OWNER, 0, 1) == b"".join(hashes[256:512])
    assert await tiles.tile(OWNER, 1, 0, 2) == root_of(hashes[:256]) + root_of(hashes[256:512])
    assert (await tiles.entries(OWNER, 2, 88)).count(b'"number"') == 88
    for level, index, width in ((0, 2, 89), (1, 0, 3), (0, 0, 0), (0, 0, 257), (6, 0, 1), (0, -1, 1)):
        with pytest.raises(NotFound):
            await tiles.tile(OWNER, level, index, width)
    with pytest.raises(NotFound):
        await tiles.checkpoint(OPERATOR)


async def test_the_background_signs_every_log_that_grew(database: Database, tmp_path: Path) -> None:
    ledger, _ = await filled(database, 1)
    integrator = new_integrator(database, tmp_path / "heads")
    integrator.start()
    async with ledger.changing(OPERATOR) as change:
        change.enter(act("one"))
    for _ in range(600):
        await asyncio.sleep(0.05)
        files = list((tmp_path / "heads").glob("*.checkpoint"))
        if len(files) == 2 and all(file.read_text().split("\n")[1] == "1" for file in files):
            break
    else:
        pytest.fail("not signed in half a minute")
    await integrator.close()


async def test_a_log_that_cannot_be_signed_is_told_until_it_is(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ledger.integrator.INTERVAL_S", 0.01)
    ledger, _ = await filled(sqlite_database, 1)
    in_its_way = tmp_path / "heads" / f"{OWNER}.draft"
    in_its_way.mkdir(parents=True)
    integrator, tiles = new_integrator(sqlite_database, tmp_path / "heads"), Tiles(sqlite_database)
    integrator.start()
    integrator._round_at -= STUCK_AFTER_S
    async with asyncio.timeout(30):
        for size in (1, 2):  # whoever signs the second one has left the first round
            await ledger.record(act("any"))
            while f"\n{size}\n".encode() not in await _published(tiles, OPERATOR):
                await asyncio.sleep(0.01)
    with pytest.raises(LedgerUnavailable, match="not been signed"):
        integrator.check()
    assert not await _published(tiles, OWNER), "what has no copy outside is not published"
    in_its_way.rmdir()
    async with asyncio.timeout(30):
        while not await _published(tiles, OWNER) or integrator._round_at < time.monotonic() - STUCK_AFTER_S:
            await asyncio.sleep(0.01)
    integrator.check()
    await integrator.close()


async def _published(tiles: Tiles, log: str) -> bytes:
    try:
        return await tiles.checkpoint(log)
    except NotFound:
        return b""


async def test_two_processes_sign_one_history(database: Database, tmp_path: Path) -> None:
    ledger, _ = await filled(database, 1)
    integrators = [new_integrator(database, tmp_path / heads) for heads in ("heads", "heads")]
    key = await Keys().verifier(OWNER)

    async def sign(number: int) -> list[Checkpoint]:
        return [Checkpoint.verify(await integrators[number].integrate(OWNER), key) for _ in range(10)]

    async def write() -> None:
        for number in range(100):
            await ledger.record(permit(number))

    first, second, _ = await asyncio.gather(sign(0), sign(1), write())
    roots: dict[int, set[bytes]] = {}
    for checkpoint in first + second:
        roots.setdefault(checkpoint.size, set()).add(checkpoint.root)
    assert all(len(found) == 1 for found in roots.values())


async def test_an_older_database_is_not_signed(sqlite_path: Path, tmp_path: Path) -> None:
    database = SQLiteDatabase(sqlite_path)
    ledger, _ = await filled(database, 5)
    heads = tmp_path / "heads"
    await new_integrator(database, heads).integrate(OWNER)
    await database.close()
    backup = Path(shutil.copy(sqlite_path, tmp_path / "backup.db"))
    database = SQLiteDatabase(sqlite_path)
    ledger = new_ledger(database)
    await ledger.record(permit(6))
    signed = await new_integrator(database, heads).integrate(OWNER)
    await database.close()

    restored = SQLiteDatabase(backup)
    integrator = new_integrator(restored, heads)
    with pytest.raises(LedgerRolledBack):
        await integrator.integrate(OWNER)
    ledger = new_ledger(restored)
    for number in range(10):  # longer than what was signed, but another history
        await ledger.record(permit(number))
    with pytest.raises(LedgerRolledBack):
        await integrator.integrate(OWNER)
    assert list(integrator.incidents) == [OWNER]
    assert (heads / f"{OWNER}.checkpoint").read_bytes() == signed
    await restored.close()


async def _grown_since_a_backup(
    database: SQLiteDatabase, folder: Path, incidents: dict[str, LedgerRolledBack]
) -> tuple[Integrator, sqlite3.Connection]:
    """An integrator that has signed two entries, and the database as it was when it had signed one."""
    ledger, _ = await filled(database, 1)
    integrator = Integrator(database, system_clock, Keys(), folder / "heads", incidents=incidents)
    await integrator.integrate_all()
    with sqlite3.connect(folder / "older.db") as older:
        database._writer.backup(older)
    await ledger.record(permit(2))
    await integrator.integrate_all()
    return integrator, older


async def test_while_one_log_shows_an_older_database_no_log_takes_an_entry(tmp_path: Path, sqlite_path: Path) -> None:
    incidents: dict[str, LedgerRolledBack] = {}
    database = SQLiteDatabase(sqlite_path)
    integrator, older = await _grown_since_a_backup(database, tmp_path, incidents)
    newest = sqlite3.connect(tmp_path / "newest.db")
    database._writer.backup(newest)
    older.backup(database._writer)
    await integrator.integrate_all(grown_only=True)
    assert list(incidents) == [OWNER]
    ledger = Ledger(database, system_clock, origin="test", node="n", incidents=incidents)
    for log in (OWNER, OPERATOR):
        with pytest.raises(LedgerRolledBack):
            await ledger.record(act("any", log=log))
        with pytest.raises(LedgerRolledBack):
            ledger.changing(log)
    newest.backup(database._writer)
    await integrator.integrate_all(grown_only=True)
    assert not incidents
    await ledger.record(act("any"))
    await ledger.close()
    await database.close()


async def test_a_copy_that_comes_back_and_shows_an_older_database_stops_every_log(
    tmp_path: Path, sqlite_path: Path
) -> None:
    incidents: dict[str, LedgerRolledBack] = {}
    database, copy = SQLiteDatabase(sqlite_path), tmp_path / "heads" / f"{OWNER}.checkpoint"
    integrator, older = await _grown_since_a_backup(database, tmp_path, incidents)
    older.backup(database._writer)
    newest = copy.read_bytes()
    copy.unlink()
    await integrator.integrate_all()
    ledger = Ledger(database, system_clock, origin="alliance.example", node="n", incidents=incidents)
    await ledger.record(act("any"))
    copy.write_bytes(newest)
    await integrator.integrate_all(grown_only=True)
    with pytest.raises(LedgerRolledBack, match="older than the head kept outside"):
        await ledger.record(act("any"))
    copy.unlink()
    await integrator.integrate_all(grown_only=True)
    with pytest.raises(LedgerRolledBack, match="older than the head kept outside"):
        await ledger.record(act("any"))
    await ledger.close()
    await database.close()


async def test_a_log_whose_copy_is_missing_stops_no_other_and_resumes_where_another_process_adopts_it(
    database: Database, tmp_path: Path
) -> None:
    incidents: dict[str, LedgerRolledBack] = {}
    await filled(database, 1)
    integrator = Integrator(database, system_clock, Keys(), tmp_path / "heads", incidents=incidents)
    await integrator.integrate_all()
    (tmp_path / "heads" / f"{OWNER}.checkpoint").unlink()
    await integrator.integrate_all()
    assert list(incidents) == [OWNER]
    ledger = Ledger(database, system_clock, origin="alliance.example", node="n", incidents=incidents)
    await ledger.record(act("any"))
    await new_integrator(database, tmp_path / "heads").adopt(OWNER, _entered_nowhere)
    await integrator.integrate_all(grown_only=True)
    await ledger.record(permit(2))
    await ledger.close()


async def test_an_older_copy_outside_lets_no_second_history_of_what_the_database_says_was_signed_be_signed(
    sqlite_database: SQLiteDatabase, tmp_path: Path
) -> None:
    ledger, _ = await filled(sqlite_database, 2)
    integrator = new_integrator(sqlite_database, tmp_path / "heads")
    older = await integrator.integrate(OWNER)
    await ledger.record(permit(2))
    await integrator.integrate(OWNER)
    (tmp_path / "heads" / f"{OWNER}.checkpoint").write_bytes(older)
    sqlite_database._writer.execute("UPDATE leaf SET hash = ? WHERE log_id = ? AND idx = 2", (b"\1" * 32, OWNER))
    await ledger.record(permit(3))
    with pytest.raises(LedgerRolledBack, match="does not extend the database's own head"):
        await integrator.integrate(OWNER)
    assert (tmp_path / "heads" / f"{OWNER}.checkpoint").read_bytes() == older


async def test_what_another_host_has_published_meanwhile_is_not_replaced(database: Database, tmp_path: Path) -> None:
    ledger, _ = await filled(database, 1)
    integrator = new_integrator(database, tmp_path / "heads")
    before = await state(database, OWNER)
    published = await integrator.integrate(OWNER)
    assert not await integrator._publish(before, b"of another host")
    assert await Tiles(database).checkpoint(OWNER) == published
    await ledger.close()


async def test_a_log_that_is_refused_takes_no_entry(sqlite_database: Database) -> None:
    await filled(sqlite_database, 1)
    incidents = {OWNER: LedgerRolledBack("older")}
    ledger = Ledger(sqlite_database, system_clock, origin="test", node="n", incidents=incidents)
    with pytest.raises(LedgerRolledBack):
        await ledger.record(permit(2))
    with pytest.raises(LedgerRolledBack):
        ledger.changing(OWNER)
    incidents.clear()
    await ledger.record(permit(2))
    await ledger.close()


class _Frozen:
    """A database that does not answer, and makes an error of whoever does not wait."""

    async def all(self, *_: Any) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise TimeoutError from None


async def test_signing_ends_though_the_database_does_not_answer(tmp_path: Path) -> None:
    frozen: Any = _Frozen()
    integrator = new_integrator(frozen, tmp_path / "heads")
    integrator.start()
    await asyncio.sleep(0)
    await asyncio.wait_for(integrator.close(), 30)


async def test_a_head_that_is_written_while_its_writer_is_cancelled_is_not_free_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads, writing, released = OutsideHeads(tmp_path / "heads"), Event(), Event()
    replace_really = outside._replace

    def slowly(path: Path, note: bytes) -> None:
        writing.set()
        assert released.wait(30)
        replace_really(path, note)

    async def write(note: bytes) -> None:
        async with heads.held(OWNER) as held:
            await held.write(note)

    monkeypatch.setattr(outside, "_replace", slowly)
    stopped = asyncio.create_task(write(b"older"))
    await asyncio.to_thread(writing.wait, 30)
    stopped.cancel()
    newer = asyncio.create_task(write(b"newer"))
    await asyncio.sleep(0.1)
    released.set()
    await asyncio.gather(stopped, newer, return_exceptions=True)
    assert stopped.cancelled()
    async with heads.held(OWNER) as held:
        assert await held.read() == b"newer"


async def test_a_copy_outside_is_on_disk_before_it_replaces_the_former_and_so_is_its_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, seen, sync_really = tmp_path / "heads" / f"{OWNER}.checkpoint", [], os.fsync

    def sync(descriptor: int) -> None:
        sync_really(descriptor)
        seen.append(("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file", copy.read_bytes()))

    async with OutsideHeads(tmp_path / "heads").held(OWNER) as held:
        await held.write(b"older")
        monkeypatch.setattr(os, "fsync", sync)
        await held.write(b"newer")
    assert seen == [("file", b"older"), ("folder", b"newer")]


async def test_a_missing_copy_outside_is_adopted_by_decision_only(database: Database, tmp_path: Path) -> None:
    ledger, _ = await filled(database, 3)
    integrator = new_integrator(database, tmp_path / "heads")
    await integrator.integrate(OWNER)
    (tmp_path / "heads" / f"{OWNER}.checkpoint").unlink()
    await ledger.record(permit(4))
    with pytest.raises(LedgerRolledBack):
        await integrator.integrate(OWNER)
    assert OWNER in integrator.incidents
    with pytest.raises(LedgerUnavailable):  # what cannot be entered is not done
        await integrator.adopt(OWNER, _unavailable)
    with pytest.raises(LedgerRolledBack):
        await integrator.integrate(OWNER)
    await integrator.adopt(OWNER, _entered_nowhere)
    await integrator.integrate(OWNER)
    assert not integrator.incidents
    with pytest.raises(LedgerRolledBack):
        await integrator.adopt(OWNER, _entered_nowhere)


async def test_a_head_that_the_rows_do_not_give_is_not_adopted(sqlite_database: SQLiteDatabase, tmp_path: Path) -> None:
    await filled(sqlite_database, 3)
    integrator, copy = new_integrator(sqlite_database, tmp_path / "heads"), tmp_path / "heads" / f"{OWNER}.checkpoint"
    await integrator.integrate(OWNER)
    copy.unlink()
    sqlite_database._writer.execute("UPDATE leaf SET hash = ? WHERE log_id = ? AND idx = 1", (b"\1" * 32, OWNER))
    with pytest.raises(LedgerRolledBack, match="does not extend"):
        await integrator.adopt(OWNER, _entered_nowhere)
    assert not copy.exists()


async def test_a_head_that_was_never_signed_is_not_adopted(sqlite_database: Database, tmp_path: Path) -> None:
    await filled(sqlite_database, 1)
    with pytest.raises(Conflicting, match="nothing_signed"):
        await new_integrator(sqlite_database, tmp_path / "heads").adopt(OWNER, _entered_nowhere)


async def _entered_nowhere(_: int) -> None:
    """For what is signed, where the entry is not looked at."""


async def _unavailable(_: int) -> None:
    raise LedgerUnavailable


async def test_a_process_that_stopped_between_copy_and_publication_is_followed(
    sqlite_database: Database, tmp_path: Path
) -> None:
    ledger, _ = await filled(sqlite_database, 3)
    integrator = new_integrator(sqlite_database, tmp_path / "heads")
    await integrator.integrate(OWNER)
    await ledger.record(permit(4))
    hashes = await StoredHashes(sqlite_database, OWNER).hashes(0, 0, 4)
    ahead = Checkpoint(f"alliance.example/{OWNER}", 4, root_of(hashes)).signed(await Keys()(OWNER))
    (tmp_path / "heads" / f"{OWNER}.checkpoint").write_bytes(ahead)
    assert await integrator.integrate(OWNER) == ahead


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (TileName(0, 1234067), "tile/0/x001/x234/067"),
        (TileName(None, 67, 8), "tile/entries/067.p/8"),
        (TileName(5, 0), "tile/5/000"),
        (TileName(1, 1000, 255), "tile/1/x001/000.p/255"),
    ],
)
def test_tiles_are_named_as_the_specification_does(name: TileName, path: str) -> None:
    assert name.path() == path
    assert TileName.parse(path) == name


@pytest.mark.parametrize(
    "path",
    ["tile/0/67", "tile/0/x000/067", "tile/6/000", "tile/0/000.p/256", "tile/0/000.p/0", "tile/00/000", "tile/0/000/"],
)
def test_another_spelling_of_a_tile_is_not_found(path: str) -> None:
    with pytest.raises(NotFound):
        TileName.parse(path)


async def test_a_note_of_another_key_origin_or_text_is_refused() -> None:
    signer, key = await Keys()(OWNER), await Keys().verifier(OWNER)
    checkpoint = Checkpoint(signer.name, 7, b"r" * 32)
    signed = checkpoint.signed(signer)
    assert Checkpoint.verify(signed, key) == checkpoint
    assert VerifierKey.parse(str(key)) == key
    with pytest.raises(UntrustedKey):
        Checkpoint.verify(signed, await Keys().verifier(OPERATOR))
    with pytest.raises(NoteRejected):
        Checkpoint.verify(signed.replace(b"\n7\n", b"\n8\n"), key)
    with pytest.raises(NoteRejected):
        Checkpoint.verify(replace(checkpoint, origin="other").signed(signer), key)
    for text in ("a\n7\n", "a\n07\nAAAA\n", f"a\n7\n{base64.b64encode(b'r' * 31).decode()}\n", signed.decode()):
        with pytest.raises(NoteRejected):
            Checkpoint.parse(text)
    root = base64.b64encode(bytes(32)).decode()
    assert Checkpoint.parse(f"a\n7\n{root}\n").root == bytes(32)
    with pytest.raises(NoteRejected):  # of the six bits of its last letter two belong to no byte
        Checkpoint.parse(f"a\n7\n{root[:-2]}B=\n")
    with pytest.raises(NoteRejected):
        VerifierKey.parse(f"other+{str(key).split('+', 1)[1]}")


async def test_a_note_has_one_form_only() -> None:
    signer, key = await Keys()(OWNER), await Keys().verifier(OWNER)

    def signed(text: str) -> bytes:
        signature = base64.b64encode(key.id + signer.sign(text.encode())).decode()
        return f"{text}\n\N{EM DASH} {signer.name} {signature}\n".encode()

    good = signed("text\n")
    assert note.verify(good, key) == "text\n"
    assert note.sign("text\n", signer) == good
    for text in ("text\r\n", "te\0xt\n", "te\txt\n"):
        with pytest.raises(NoteRejected):
            note.verify(signed(text), key)
        with pytest.raises(NoteRejected):
            note.sign(text, signer)
    last = good[-3:-2]  # of its six bits two belong to no byte
    assert good.endswith(b"=\n")
    for other in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/":
        if bytes([other]) != last:
            with pytest.raises(NoteRejected):
                note.verify(good[:-3] + bytes([other]) + good[-2:], key)


async def test_a_row_that_was_removed_is_told(sqlite_database: SQLiteDatabase, tmp_path: Path) -> None:
    ledger, _ = await filled(sqlite_database, 3)
    integrator = new_integrator(sqlite_database, tmp_path / "heads")
    await integrator.integrate(OWNER)
    sqlite_database._writer.execute("DELETE FROM leaf WHERE log_id = ? AND idx = 1", (OWNER,))
    await ledger.record(permit(4))
    for asked in (integrator.integrate(OWNER), Tiles(sqlite_database).tile(OWNER, 0, 0, 3)):
        with pytest.raises(LedgerRolledBack, match="lacks hashes"):
            await asked
    with pytest.raises(LedgerRolledBack, match="lacks entries"):
        await Tiles(sqlite_database).entries(OWNER, 0, 3)


def test_ed25519_agrees_with_wycheproof() -> None:
    path = there(VECTORS / "wycheproof" / "ed25519_test.json")
    count = 0
    for group in json.loads(path.read_text())["testGroups"]:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(group["publicKey"]["pk"]))
        for test in group["tests"]:
            try:
                key.verify(bytes.fromhex(test["sig"]), bytes.fromhex(test["msg"]))
                verdict = "valid"
            except InvalidSignature:
                verdict = "invalid"
            assert verdict == test["result"], test["tcId"]
            count += 1
    assert count == 151


async def test_a_receipt_names_its_entry_and_nobody_else_can_sign_it(sqlite_database: Database) -> None:
    _, (entry,) = await filled(sqlite_database, 1)
    private = Ed25519PrivateKey.generate()
    receipt = receipt_of(entry)
    text = receipts.ReceiptSigner(private, "kid").sign(receipt)

    def jwk(key: Ed25519PrivateKey) -> dict[str, str]:
        x = base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).rstrip(b"=").decode()
        return {"kty": "OKP", "crv": "Ed25519", "x": x}

    assert receipts.verify(text, jwk(private)) == receipt
    header, payload, signature = text.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"access-receipt+jws"}').rstrip(b"=").decode()
    for forged in (
        f"{none}.{payload}.",
        f"{none}.{payload}.{signature}",
        f"{header}.{header}.{signature}",
        "",
        "a.b.c",
    ):
        with pytest.raises(receipts.ReceiptRejected):
            receipts.verify(forged, jwk(private))
    with pytest.raises(receipts.ReceiptRejected):
        receipts.verify(text, jwk(Ed25519PrivateKey.generate()))
    stated = json.loads(base64.urlsafe_b64decode(payload + "=="))
    with pytest.raises(receipts.ReceiptRejected, match="type"):
        receipts.verify(receipts.ReceiptSigner(private, "kid").state("other+jws", stated), jwk(private))


async def _go() -> str | None:
    """Go, where there is one that reads the reference verifier's `go.mod`."""
    go = shutil.which("go")
    if go is None:
        return None
    asked = await asyncio.create_subprocess_exec(go, "env", "GOVERSION", stdout=asyncio.subprocess.PIPE)
    said, _ = await asked.communicate()
    return go if _is_new(said.decode()) else None


def _is_new(version: str) -> bool:
    found = re.search(r"go(\d+)\.(\d+)", version)
    return found is not None and (int(found[1]), int(found[2])) >= _GO


@pytest.mark.parametrize(
    ("version", "new"),
    [
        ("go1.26.8\n", True),
        ("go1.23", True),
        ("devel go1.27-abc", True),
        ("go1.19.8", False),
        ("go1.3", False),
        ("", False),
    ],
)
def test_a_go_that_cannot_read_the_reference_is_none(version: str, new: bool) -> None:
    assert _is_new(version) is new


async def test_go_reference_verifies_checkpoint_tiles_inclusion_and_consistency(
    sqlite_database: Database, tmp_path: Path
) -> None:
    go = await _go()
    if go is None:
        pytest.skip("Go 1.23 or newer is not installed (Debian 13: apt-get install golang-go): no reference verifier.")
    ledger, recorded = await filled(sqlite_database, 200)
    integrator = new_integrator(sqlite_database, tmp_path / "heads")
    old = await integrator.integrate(OWNER)
    recorded += await asyncio.gather(*(ledger.record(permit(number)) for number in range(500)))
    new = await integrator.integrate(OWNER)
    reader, tiles = StoredHashes(sqlite_database, OWNER), Tiles(sqlite_database)
    bodies = [await tiles.entries(OWNER, index, width) for index, width in ((0, 256), (1, 256), (2, 188))]
    names = [TileName(0, 0), TileName(0, 1), TileName(0, 2, 188), TileName(1, 0, 2)]
    case = {
        "vkey": str(await Keys().verifier(OWNER)),
        "old": old.decode(),
        "new": new.decode(),
        "entries": base64.b64encode(b"".join(bodies)).decode(),
        "proofs": [
            (await tiles.proof(OWNER, entry.event_id)).decode()
            for entry in sorted(recorded, key=lambda entry: entry.index)
        ],
        "consistency": [base64.b64encode(item).decode() for item in await proofs.consistency(reader, 200, 700)],
        "tiles": {
            name.path(): base64.b64encode(await tiles.tile(OWNER, name.level or 0, name.index, name.width)).decode()
            for name in names
        },
    }
    folder = Path(__file__).parent / "interop"
    environment = {**os.environ, "GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"}
    program = tmp_path / "interop"
    built = await asyncio.create_subprocess_exec(
        *(go, "build", "-o", program, "."), cwd=folder, env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, complaint = await built.communicate()
    if built.returncode and any(sign in complaint for sign in _UNREACHABLE):
        pytest.skip("The Go module proxy cannot be reached: the reference verifier is not built.")
    assert built.returncode == 0, complaint.decode()
    pipe = asyncio.subprocess.PIPE
    ran = await asyncio.create_subprocess_exec(program, stdin=pipe, stdout=pipe, stderr=pipe)
    verdict, complaint = await ran.communicate(json.dumps(case).encode())
    assert ran.returncode == 0, complaint.decode()
    assert verdict == b"700 entries, 700 proofs, 1 consistency, 4 tiles: ok\n"
