from __future__ import annotations

import os
import pickle
import stat
from pathlib import Path

import pytest

from gateway.errors import GatewayError, Invalid
from gateway.vault.errors import KeysUnavailable
from gateway.vault.files import FileExists, FileMissing, UnsafeFile
from gateway.vault.providers.local import Cost, KeyringDamaged, LocalKeyring, WrongPassphrase

from .conftest import CHEAP, PASSPHRASE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kek.json"


@pytest.fixture
def made(path: Path) -> LocalKeyring:
    return LocalKeyring.create(path, PASSPHRASE, cost=CHEAP)


def test_what_one_opening_wraps_another_unwraps(path: Path, made: LocalKeyring) -> None:
    opened = LocalKeyring.open(path, PASSPHRASE)
    assert opened.key_id == made.key_id
    assert opened.unwrap(made.wrap(b"k" * 32, b"place"), b"place") == b"k" * 32


def test_the_file_is_closed_to_everyone_else_and_holds_no_key(path: Path, made: LocalKeyring) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert PASSPHRASE not in path.read_bytes()
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_other_associated_data_or_another_keyring_unwraps_nothing(tmp_path: Path, made: LocalKeyring) -> None:
    other = LocalKeyring.create(tmp_path / "other.json", PASSPHRASE, cost=CHEAP)
    wrapped = made.wrap(b"k" * 32, b"place")
    for ring, aad in ((made, b"elsewhere"), (other, b"place")):
        with pytest.raises(KeysUnavailable):
            ring.unwrap(wrapped, aad)


def test_every_altered_bit_of_a_wrap_is_refused(made: LocalKeyring) -> None:
    wrapped = made.wrap(b"k" * 32, b"")
    for bit in range(len(wrapped) * 8):
        altered = bytearray(wrapped)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(KeysUnavailable):
            made.unwrap(bytes(altered), b"")
    for length in range(len(wrapped)):
        with pytest.raises(KeysUnavailable):
            made.unwrap(wrapped[:length], b"")


def test_a_wrong_passphrase_is_told_with_its_remedy(path: Path, made: LocalKeyring) -> None:
    with pytest.raises(WrongPassphrase) as refusal:
        LocalKeyring.open(path, b"another twelve bytes")
    assert refusal.value.code == "wrong_passphrase"
    assert refusal.value.remedy
    assert b"another" not in repr(refusal.value).encode()


def test_every_altered_byte_of_the_file_is_refused(path: Path, made: LocalKeyring) -> None:
    content = path.read_bytes()
    refused = 0
    for at in range(len(content)):
        for flip in (0x01, 0x20):
            altered = bytearray(content)
            altered[at] ^= flip
            path.write_bytes(altered)
            with pytest.raises((KeyringDamaged, WrongPassphrase)):
                LocalKeyring.open(path, PASSPHRASE)
            refused += 1
    assert refused == 2 * len(content) > 600


def test_a_shortened_or_lengthened_file_is_refused(path: Path, made: LocalKeyring) -> None:
    content = path.read_bytes()
    for altered in (b"", content[:-1], content + b"\n", b"[]\n", content * 20):
        path.write_bytes(altered)
        with pytest.raises(Invalid):
            LocalKeyring.open(path, PASSPHRASE)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_can_touch_is_refused(path: Path, made: LocalKeyring, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(UnsafeFile):
        LocalKeyring.open(path, PASSPHRASE)


def test_a_file_of_another_user_is_refused(path: Path, made: LocalKeyring, monkeypatch: pytest.MonkeyPatch) -> None:
    look = os.fstat

    def looked(descriptor: int) -> os.stat_result:
        found = look(descriptor)
        return os.stat_result((*found[:4], os.geteuid() + 1, *found[5:10]))

    monkeypatch.setattr(os, "fstat", looked)
    with pytest.raises(UnsafeFile, match="another user"):
        LocalKeyring.open(path, PASSPHRASE)


def test_a_keyring_is_on_disk_before_it_has_its_name_and_so_is_its_name_after(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, sync = [], os.fsync

    def synced(descriptor: int) -> None:
        sync(descriptor)
        seen.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), path.exists()))

    monkeypatch.setattr(os, "fsync", synced)
    LocalKeyring.create(path, PASSPHRASE, cost=CHEAP)
    assert seen == [(False, False), (True, True)]


def test_a_symbolic_link_a_directory_and_a_pipe_are_refused(path: Path, made: LocalKeyring) -> None:
    link, folder, pipe = (path.with_name(name) for name in ("link", "folder", "pipe"))
    link.symlink_to(path)
    folder.mkdir(mode=0o700)
    os.mkfifo(pipe, 0o600)
    for unsafe in (link, folder, pipe):
        with pytest.raises(UnsafeFile):
            LocalKeyring.open(unsafe, PASSPHRASE)


def test_a_missing_file_is_told_with_its_remedy(path: Path) -> None:
    with pytest.raises(FileMissing) as refusal:
        LocalKeyring.open(path, PASSPHRASE)
    assert refusal.value.remedy


def test_an_existing_file_or_link_is_never_overwritten(path: Path, made: LocalKeyring) -> None:
    before = path.read_bytes()
    link = path.with_name("dangling")
    link.symlink_to(path.with_name("nowhere"))
    for taken in (path, link):
        with pytest.raises(FileExists):
            LocalKeyring.create(taken, PASSPHRASE, cost=CHEAP)
    assert path.read_bytes() == before
    assert not path.with_name("nowhere").exists()
    assert sorted(entry.name for entry in path.parent.iterdir()) == sorted([path.name, link.name])


def test_a_keyring_in_a_missing_directory_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileMissing):
        LocalKeyring.create(tmp_path / "none" / "kek.json", PASSPHRASE, cost=CHEAP)


def test_a_short_passphrase_makes_no_keyring(path: Path) -> None:
    with pytest.raises(Invalid, match="weak_passphrase"):
        LocalKeyring.create(path, b"short", cost=CHEAP)
    assert not path.exists()


@pytest.mark.parametrize("cost", [(0, 1, 64), (3, 0, 64), (3, 4, 16), (65, 1, 64), (1, 17, 1024), (1, 1, 2**21 + 1)])
def test_a_cost_that_is_too_small_or_exhausts_the_machine_is_refused(cost: tuple[int, int, int]) -> None:
    with pytest.raises(GatewayError):
        Cost(*cost)


def test_the_default_cost_is_the_second_recommended_option_of_rfc_9106() -> None:
    assert Cost() == Cost(iterations=3, lanes=4, memory_kib=64 * 1024)


def test_the_keyring_is_neither_printed_nor_pickled(made: LocalKeyring) -> None:
    assert repr(made) == f"LocalKeyring({made.key_id}, key not shown)"
    with pytest.raises(TypeError):
        pickle.dumps(made)
