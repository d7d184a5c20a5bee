"""Bundles and their verification: what holds, what is tampered, and what is incomplete."""

from __future__ import annotations

import base64
import itertools
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from gateway.database import Database
from gateway.errors import Invalid
from gateway.ledger.bundle import CONTENTS, MANIFEST, BundleWriter
from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.export import export
from gateway.ledger.merkle import leaf_hash, root_of
from gateway.ledger.stretch import Stretch, StretchRejected
from gateway.ledger.tiles import Tiles
from gateway.ledger.verify import Outcome, verify
from tests.ledger.builders import (
    OPERATOR,
    OWNER,
    Keys,
    denial,
    filled,
    new_integrator,
    opened,
    permit,
)


async def _exported(database: Database, path: Path, *, log: str = OWNER, first: int = 0) -> Path:
    async with database.reading() as reading:
        signed = Checkpoint.parse((await Tiles(database).checkpoint(log)).decode().split("\n\n")[0] + "\n")
        await export(reading, log, first, signed.size - 1, path)
    return path


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
        {"manifest": b'{"entries":3}'},
        {"manifest": b'{"details":1}'},
        {"manifest": b'{"extra":5}'},
        {"manifest": json.dumps({"files": dict.fromkeys(CONTENTS, "0" * 64)}).encode()},
        {"manifest": b'{"files":{"checkpoint":1,"details":{},"entries":[],"leaf-hashes":null}}'},
        {"manifest": b'{"files":[]}'},
    ]
    for lie in lies:
        assert verify(_rebuilt(bundle, **lie), vkey).outcome is Outcome.TAMPERED, lie


async def test_a_checksum_that_any_unzip_would_refuse_is_tampered(sqlite_database: Database, tmp_path: Path) -> None:
    """Written alike in both places where a zip archive states it, so that nothing else of the container differs."""
    bundle, vkey, _ = await _small(sqlite_database, tmp_path)
    whole = bundle.read_bytes()
    for name in (*CONTENTS, MANIFEST):
        with zipfile.ZipFile(bundle) as archive:
            stated = archive.getinfo(name).CRC.to_bytes(4, "little")
        other = bytes([stated[0] ^ 1]) + stated[1:]
        assert whole.count(stated) == 2
        liar = tmp_path / "liar.zip"
        liar.write_bytes(whole.replace(stated, other))
        assert verify(liar, vkey).outcome is Outcome.TAMPERED


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
    again = two.replace(b'"node_seq":2', b'"node_seq":1')
    assert again != two
    assert signed(zero, one, again) is Outcome.TAMPERED
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
    assert verify(bundle, vkey, [other.replace(b"\n1\n", b"\n2\n")]).outcome is Outcome.TAMPERED
    for mistaken in (b"nonsense", b"", b"PK\3\4\xff"):
        assert verify(bundle, vkey, [mistaken]).outcome is Outcome.INCOMPLETE, "a file that is no checkpoint at all"
    two = [Checkpoint(signer.name, 9, root_of([bytes([seen]) * 32])).signed(signer) for seen in (1, 2)]
    assert verify(bundle, vkey, two[:1]).outcome is Outcome.INCOMPLETE
    assert verify(bundle, vkey, two).outcome is Outcome.TAMPERED


async def test_a_bundle_of_another_log_or_key_is_untrusted(sqlite_database: Database, tmp_path: Path) -> None:
    bundle, vkey, old = await _small(sqlite_database, tmp_path)
    for key in (str(await Keys().verifier(OPERATOR)), "nonsense", "", vkey[:-4] + "AAA=", "\udcff" + vkey):
        report = verify(bundle, key, [old])
        assert (report.outcome, report.exit_code) == (Outcome.INCOMPLETE, 2)
        assert any("ntrusted key" in finding for finding in report.findings)


async def test_a_file_longer_than_any_bundle_is_tampered_before_it_is_read(
    sqlite_database: Database, tmp_path: Path
) -> None:
    bundle, vkey, _ = await _small(sqlite_database, tmp_path)
    whole = bundle.read_bytes()
    for name in (*CONTENTS, MANIFEST):
        sizes = whole.index(b"PK\3\4", whole.index(name.encode()) - 30) + 18
        bundle.write_bytes(whole[:sizes] + b"\xff" * 8 + whole[sizes + 8 :])
        report = verify(bundle, vkey)
        assert (report.outcome, report.findings) == (Outcome.TAMPERED, (f"{name} is longer than a bundle can be.",))


def test_a_detail_line_without_an_end_is_not_gathered_until_memory_is_full() -> None:
    line = itertools.repeat(b"0" * (1 << 24), 6)
    with pytest.raises(StretchRejected, match="longer than a list"):
        Stretch("alliance.example/owner", b"").read_details(line)
    assert next(line, None) is not None


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
