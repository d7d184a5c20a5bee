"""What is signed: checkpoints, tiles, the head kept outside, bundles and their verification."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterable
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
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.ledger import Ledger, LedgerRolledBack, LedgerUnavailable, note, outside, proofs, receipts
from gateway.ledger.bundle import CONTENTS, MANIFEST, BundleWriter
from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.export import export
from gateway.ledger.integrator import STUCK_AFTER_S, Integrator
from gateway.ledger.merkle import leaf_hash, root_of, verify_consistency, verify_inclusion
from gateway.ledger.note import NoteRejected, UntrustedKey, VerifierKey
from gateway.ledger.outside import OutsideHeads
from gateway.ledger.stored import StoredHashes, state
from gateway.ledger.tiles import TileName, Tiles
from gateway.ledger.verify import Outcome, verify
from tests.beside import VECTORS, there
from tests.ledger.builders import (
    OPERATOR,
    OWNER,
    Keys,
    act,
    denial,
    filled,
    new_integrator,
    new_ledger,
    opened,
    permit,
)


async def _exported(database: Database, path: Path, *, log: str = OWNER, first: int = 0) -> Path:
    async with database.reading() as reading:
        signed = Checkpoint.parse((await Tiles(database).checkpoint(log)).decode().split("\n\n")[0] + "\n")
        await export(reading, log, first, signed.size - 1, path)
    return path


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


async def test_while_one_log_shows_an_older_database_no_log_takes_an_entry(tmp_path: Path, sqlite_path: Path) -> None:
    incidents: dict[str, LedgerRolledBack] = {}
    database = SQLiteDatabase(sqlite_path)
    ledger, _ = await filled(database, 1)
    integrator = Integrator(database, system_clock, Keys(), tmp_path / "heads", incidents=incidents)
    await integrator.integrate_all()
    with sqlite3.connect(tmp_path / "older.db") as older:
        database._writer.backup(older)
    await ledger.record(permit(2))
    await integrator.integrate_all()
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


async def _small(database: Database, tmp_path: Path) -> tuple[Path, str, bytes]:
    """A bundle of two entries, one with its records beside it; its vkey; an older checkpoint."""
    ledger, _ = await filled(database, 1)
    integrator = new_integrator(database, tmp_path / "heads")
    old = await integrator.integrate(OWNER)
    await ledger.record(permit(1, records=tuple(f"{number:x}@1" for number in range(129))))
    await integrator.integrate(OWNER)
    return await _exported(database, tmp_path / "b.zip", first=1), str(await Keys().verifier(OWNER)), old


async def test_a_bundle_verifies_and_opens_with_any_unzip(database: Database, tmp_path: Path) -> None:
    bundle, vkey, old = await _small(database, tmp_path)
    report = verify(bundle, vkey, [old])
    assert (report.outcome, report.findings, report.exit_code) == (Outcome.OK, (), 0)
    with zipfile.ZipFile(bundle) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [*CONTENTS, MANIFEST]
    again = await _exported(database, tmp_path / "again.zip", first=1)
    assert again.read_bytes() == bundle.read_bytes()


def _accepted_flips(bundle: Path, vkey: str, bits: Iterable[int]) -> list[int]:
    whole = bundle.read_bytes()
    accepted = []
    with bundle.open("r+b", buffering=0) as file:
        for bit in bits:
            place = bit // 8
            os.pwrite(file.fileno(), bytes([whole[place] ^ 1 << bit % 8]), place)
            if verify(bundle, vkey).outcome is Outcome.OK:
                accepted.append(bit)
            os.pwrite(file.fileno(), whole[place : place + 1], place)
    assert verify(bundle, vkey).outcome is Outcome.OK
    return accepted


async def test_every_single_bit_flip_of_a_bundle_is_caught(sqlite_database: Database, tmp_path: Path) -> None:
    ledger = await opened(sqlite_database)
    await ledger.record(denial())
    await new_integrator(sqlite_database, tmp_path / "heads").integrate(OWNER)
    bundle = await _exported(sqlite_database, tmp_path / "b.zip")
    vkey = str(await Keys().verifier(OWNER))
    assert _accepted_flips(bundle, vkey, range(bundle.stat().st_size * 8)) == []


async def test_a_flip_in_every_byte_of_a_bundle_with_lists_is_caught(sqlite_database: Database, tmp_path: Path) -> None:
    bundle, vkey, _ = await _small(sqlite_database, tmp_path)
    assert _accepted_flips(bundle, vkey, range(3, bundle.stat().st_size * 8, 8)) == []


async def test_every_truncation_and_every_appended_byte_is_caught(sqlite_database: Database, tmp_path: Path) -> None:
    bundle, vkey, _ = await _small(sqlite_database, tmp_path)
    whole = bundle.read_bytes()
    for size in range(0, len(whole), 7):
        bundle.write_bytes(whole[:size])
        assert verify(bundle, vkey).outcome is not Outcome.OK
    bundle.write_bytes(whole + b"\0")
    assert verify(bundle, vkey).outcome is Outcome.TAMPERED
    assert verify(tmp_path / "absent.zip", vkey).exit_code == 2


def _rebuilt(bundle: Path, **changed: bytes) -> Path:
    """The same bundle by a liar who also rewrites hashes and container."""
    with zipfile.ZipFile(bundle) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents |= {name.replace("_", "-"): content for name, content in changed.items() if name != "manifest"}
    target = bundle.with_name("liar.zip")
    with target.open("wb") as file:
        writer = BundleWriter(file)
        for name in CONTENTS:
            writer.begin(name)
            writer.write(contents[name])
        writer.end()
        manifest = json.loads(contents[MANIFEST]) | {"files": writer.digests.copy()}
        manifest |= json.loads(changed.get("manifest", b"{}"))
        writer.begin(MANIFEST)
        writer.write(json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode())
        writer.finish()
    return target


async def test_a_liar_who_rewrites_hashes_is_caught(sqlite_database: Database, tmp_path: Path) -> None:
    await filled(sqlite_database, 4)
    integrator = new_integrator(sqlite_database, tmp_path / "heads")
    await integrator.integrate(OWNER)
    bundle = await _exported(sqlite_database, tmp_path / "b.zip")
    vkey = str(await Keys().verifier(OWNER))
    assert verify(_rebuilt(bundle), vkey).outcome is Outcome.OK
    with zipfile.ZipFile(bundle) as archive:
        entries, hashes = archive.read("entries"), archive.read("leaf-hashes")
    zero, one, two, three = bodies = _bodies(entries)
    forged = three.replace(b'"number":3', b'"number":7')
    lies = [
        {"entries": _framed(zero, one, two, forged), "leaf_hashes": hashes[:96] + leaf_hash(forged)},
        {"entries": _framed(zero, one, two, forged)},
        {"entries": _framed(one, zero, two, three)},
        {"entries": _framed(one, two, three)},
        {"entries": _framed(one, two, three), "manifest": b'{"entries":3,"last":2}'},
        {"entries": _framed(*bodies, three)},
        {"entries": entries + b"\0"},
        {"leaf_hashes": hashes[32:]},
        {"leaf_hashes": hashes[32:64] + hashes[:32] + hashes[64:]},
        {"details": b'{"detail":[["a@1"]],"index":0}\n', "manifest": b'{"details":1}'},
        {"manifest": b'{"origin":"alliance.example/other"}'},
        {"manifest": b'{"size":5}'},
        {"manifest": b'{"extra":5}'},
        {"manifest": json.dumps({"files": dict.fromkeys(CONTENTS, "0" * 64)}).encode()},
        {"manifest": b'{"files":{"checkpoint":1,"details":{},"entries":[],"leaf-hashes":null}}'},
        {"manifest": b'{"files":[]}'},
    ]
    for lie in lies:
        assert verify(_rebuilt(bundle, **lie), vkey).outcome is Outcome.TAMPERED, lie


async def test_what_was_altered_is_tampered_though_the_bundle_ends_too_early(
    sqlite_database: Database, tmp_path: Path
) -> None:
    bundle, vkey, _ = await _small(sqlite_database, tmp_path)
    with zipfile.ZipFile(bundle) as archive:
        entries, details = archive.read("entries"), archive.read("details")
    lies = [
        {"entries": entries.replace(b'"number":1', b'"number":7')},
        {"details": details.replace(b'"7d@1"', b'"99@1"')},
        {"details": details.replace(b'"index":1', b'"index":0')},
    ]
    for lie in lies:
        liar = _rebuilt(bundle, **lie)
        liar.write_bytes(liar.read_bytes()[:-1])
        assert verify(liar, vkey).outcome is Outcome.TAMPERED, lie
    bundle.write_bytes(bundle.read_bytes()[:-1])
    assert verify(bundle, vkey).outcome is Outcome.INCOMPLETE


async def test_a_list_is_named_by_a_number(sqlite_database: Database, tmp_path: Path) -> None:
    bundle, vkey, _ = await _small(sqlite_database, tmp_path)
    with zipfile.ZipFile(bundle) as archive:
        details = archive.read("details")
    liar = _rebuilt(bundle, details=details.replace(b'"index":1', b'"index":true'))
    assert verify(liar, vkey).outcome is Outcome.TAMPERED


async def test_a_missing_or_second_list_is_caught(sqlite_database: Database, tmp_path: Path) -> None:
    bundle, vkey, _ = await _small(sqlite_database, tmp_path)
    with zipfile.ZipFile(bundle) as archive:
        details = archive.read("details")
    for lie in ({"details": b"", "manifest": b'{"details":0}'}, {"details": details * 2, "manifest": b'{"details":2}'}):
        assert verify(_rebuilt(bundle, **lie), vkey).outcome is Outcome.TAMPERED, lie


async def test_an_operator_who_signs_a_disordered_log_is_caught(sqlite_database: Database, tmp_path: Path) -> None:
    await filled(sqlite_database, 3)
    await new_integrator(sqlite_database, tmp_path / "heads").integrate(OWNER)
    bundle = await _exported(sqlite_database, tmp_path / "b.zip")
    signer, vkey = await Keys()(OWNER), str(await Keys().verifier(OWNER))
    with zipfile.ZipFile(bundle) as archive:
        zero, one, two = _bodies(archive.read("entries"))
    link = leaf_hash(one)

    def signed(*bodies: bytes) -> Outcome:
        leaves = [leaf_hash(body) for body in bodies]
        checkpoint = Checkpoint(signer.name, len(bodies), root_of(leaves)).signed(signer)
        contents = {"checkpoint": checkpoint, "leaf_hashes": b"".join(leaves), "entries": _framed(*bodies)}
        return verify(_rebuilt(bundle, **contents), vkey).outcome

    linked = base64.urlsafe_b64encode(link).rstrip(b"=")
    assert signed(zero, one, two) is Outcome.OK
    assert signed(zero, one, two.replace(linked, b"A" * 43)) is Outcome.TAMPERED
    assert signed(zero, two, one) is Outcome.TAMPERED
    assert signed(zero, one, two.replace(b'"time":1', b'"time":')) is Outcome.TAMPERED
    assert signed(zero, one, two.replace(b'"v":1', b'"v":2')) is Outcome.TAMPERED
    assert signed(zero, one, two.replace(b'"v":1', b'"v": 1')) is Outcome.TAMPERED
    assert signed(zero, one, two.replace(b"/owner", b"/other")) is Outcome.TAMPERED
    assert signed(zero, one, b"[" * 6000) is Outcome.TAMPERED


def _bodies(entries: bytes) -> list[bytes]:
    bodies = []
    while entries:
        end = 2 + int.from_bytes(entries[:2], "big")
        bodies.append(entries[2:end])
        entries = entries[end:]
    return bodies


def _framed(*bodies: bytes) -> bytes:
    return b"".join(len(body).to_bytes(2, "big") + body for body in bodies)


async def test_an_old_checkpoint_replayed_is_incomplete_to_whoever_saw_a_later_one(
    sqlite_database: Database, tmp_path: Path
) -> None:
    ledger, _ = await filled(sqlite_database, 3)
    integrator = new_integrator(sqlite_database, tmp_path / "heads")
    await integrator.integrate(OWNER)
    bundle = await _exported(sqlite_database, tmp_path / "b.zip")
    await ledger.record(permit(4))
    later = await integrator.integrate(OWNER)
    report = verify(bundle, str(await Keys().verifier(OWNER)), [later])
    assert (report.outcome, report.exit_code) == (Outcome.INCOMPLETE, 2)


async def test_a_second_history_is_caught_by_a_checkpoint_seen_earlier(
    sqlite_database: Database, tmp_path: Path
) -> None:
    bundle, vkey, _ = await _small(sqlite_database, tmp_path)
    signer = await Keys()(OWNER)
    other = Checkpoint(signer.name, 1, root_of([b"\1" * 32])).signed(signer)
    assert verify(bundle, vkey, [other]).outcome is Outcome.TAMPERED
    assert verify(bundle, vkey, [b"nonsense"]).outcome is Outcome.TAMPERED
    two = [Checkpoint(signer.name, 9, root_of([bytes([seen]) * 32])).signed(signer) for seen in (1, 2)]
    assert verify(bundle, vkey, two[:1]).outcome is Outcome.INCOMPLETE
    assert verify(bundle, vkey, two).outcome is Outcome.TAMPERED


async def test_a_bundle_of_another_log_or_key_is_untrusted(sqlite_database: Database, tmp_path: Path) -> None:
    bundle, vkey, old = await _small(sqlite_database, tmp_path)
    for key in (str(await Keys().verifier(OPERATOR)), "nonsense", "", vkey[:-4] + "AAA=", "\udcff" + vkey):
        report = verify(bundle, key, [old])
        assert (report.outcome, report.exit_code) == (Outcome.INCOMPLETE, 2)
        assert any("ntrusted key" in finding for finding in report.findings)


async def test_only_signed_entries_are_exported(sqlite_database: Database, tmp_path: Path) -> None:
    await filled(sqlite_database, 3)
    with pytest.raises(Invalid):
        await export(sqlite_database, OWNER, 0, 2, tmp_path / "b.zip")
    await new_integrator(sqlite_database, tmp_path / "heads").integrate(OWNER)
    for first, last in ((0, 3), (2, 1), (-1, 0)):
        with pytest.raises(Invalid):
            await export(sqlite_database, OWNER, first, last, tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()
    assert not (tmp_path / "b.zip.part").exists()


def test_verification_needs_no_database_driver() -> None:
    program = (
        "import sys\n"
        "for name in ('sqlalchemy','asyncpg','joserfc','fastapi','pydantic'): sys.modules[name] = None\n"
        "import gateway.ledger.verify\n"
        "assert not any(name.startswith('gateway.database') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).resolve().parents[2])


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
    receipt = receipts.Receipt.of(entry)
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


async def test_go_reference_verifies_checkpoint_tiles_inclusion_and_consistency(
    sqlite_database: Database, tmp_path: Path
) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed (Debian: apt-get install golang-go): the reference verifier is not run.")
    ledger, _ = await filled(sqlite_database, 200)
    integrator = new_integrator(sqlite_database, tmp_path / "heads")
    old = await integrator.integrate(OWNER)
    await asyncio.gather(*(ledger.record(permit(number)) for number in range(500)))
    new = await integrator.integrate(OWNER)
    reader, tiles = StoredHashes(sqlite_database, OWNER), Tiles(sqlite_database)
    bodies = [await tiles.entries(OWNER, index, width) for index, width in ((0, 256), (1, 256), (2, 188))]
    names = [TileName(0, 0), TileName(0, 1), TileName(0, 2, 188), TileName(1, 0, 2)]
    case = {
        "vkey": str(await Keys().verifier(OWNER)),
        "old": old.decode(),
        "new": new.decode(),
        "entries": base64.b64encode(b"".join(bodies)).decode(),
        "inclusion": [
            [base64.b64encode(item).decode() for item in await proofs.inclusion(reader, index, 700)]
            for index in range(700)
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
    if built.returncode and b"proxy" in complaint:
        pytest.skip("The Go module proxy cannot be reached: the reference verifier is not built.")
    assert built.returncode == 0, complaint.decode()
    pipe = asyncio.subprocess.PIPE
    ran = await asyncio.create_subprocess_exec(program, stdin=pipe, stdout=pipe, stderr=pipe)
    verdict, complaint = await ran.communicate(json.dumps(case).encode())
    assert ran.returncode == 0, complaint.decode()
    assert verdict == b"700 entries, 700 inclusions, 1 consistency, 4 tiles: ok\n"
