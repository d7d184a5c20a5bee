from __future__ import annotations

import asyncio
import os
import pickle
import sqlite3
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.database import AlreadyExists, Database
from gateway.database.sqlite import SQLiteDatabase
from gateway.errors import Invalid
from gateway.identifiers import random_id
from gateway.vault.errors import KeysUnavailable
from gateway.vault.keyring import KeyRing
from gateway.vault.providers.local import LocalKeyring
from gateway.vault.signing import SigningKey, SigningState, thumbprint

from .conftest import CHEAP, PASSPHRASE, MovableClock

THEIRS = "SELECT wrapped FROM member_key WHERE member_id = 'hotel' AND use = 'wrap'"
ANOTHER_USE = "SELECT wrapped FROM member_key WHERE member_id = 'bank' AND use = 'index'"


def change(tmp_path: Path, statement: str, *given: object) -> None:
    connection = sqlite3.connect(tmp_path / "keys.db")
    with connection:
        assert connection.execute(statement, given).rowcount > 0
    connection.close()


async def test_a_member_gets_one_random_key_per_use_and_never_twice(
    keyring: KeyRing, key_database: SQLiteDatabase, tmp_path: Path
) -> None:
    rows = sqlite3.connect(tmp_path / "keys.db").execute("SELECT member_id, use, version, state FROM member_key")
    assert sorted(rows) == [
        (member, use, 1, "active") for member in ("bank", "hotel") for use in ("audit", "index", "wrap")
    ]
    with pytest.raises(AlreadyExists):
        async with key_database.transaction() as tx:
            await keyring.create_member_keys(tx, "bank", 1)


async def test_another_process_with_the_same_provider_unlocks_the_same_keys(
    keyring: KeyRing, key_database: SQLiteDatabase, clock: MovableClock, tmp_path: Path
) -> None:
    elsewhere = KeyRing(key_database, LocalKeyring.open(tmp_path / "keyring.json", PASSPHRASE), clock)
    assert (await elsewhere.unlock("bank")).pseudonym("x") == (await keyring.unlock("bank")).pseudonym("x")


async def test_an_unknown_member_has_no_keys(keyring: KeyRing) -> None:
    with pytest.raises(KeysUnavailable):
        await keyring.unlock("nobody")


async def test_another_provider_unlocks_nothing(
    keyring: KeyRing, key_database: SQLiteDatabase, clock: MovableClock, tmp_path: Path
) -> None:
    other = LocalKeyring.create(tmp_path / "other.json", PASSPHRASE, cost=CHEAP)
    with pytest.raises(KeysUnavailable):
        await KeyRing(key_database, other, clock).unlock("bank")


@pytest.mark.parametrize(
    "alteration",
    [
        f"UPDATE member_key SET wrapped = ({THEIRS}) WHERE member_id = 'bank' AND use = 'wrap'",
        f"UPDATE member_key SET wrapped = ({ANOTHER_USE}) WHERE member_id = 'bank' AND use = 'wrap'",
        "UPDATE member_key SET version = 2 WHERE member_id = 'bank' AND use = 'wrap'",
        "UPDATE member_key SET provider_key_id = 'other' WHERE member_id = 'bank' AND use = 'wrap'",
        "UPDATE member_key SET check_value = x'00000000000000000000000000000000' WHERE member_id = 'bank'",
        "UPDATE member_key SET check_value = x'' WHERE member_id = 'bank'",
        "UPDATE member_key SET wrapped = x'' WHERE member_id = 'bank'",
        "UPDATE member_key SET state = 'unheard of' WHERE member_id = 'bank'",
        "UPDATE member_key SET state = 'disabled' WHERE member_id = 'bank'",
    ],
)
async def test_a_member_key_row_that_was_altered_or_moved_is_refused(
    keyring: KeyRing, tmp_path: Path, alteration: str
) -> None:
    change(tmp_path, alteration)
    with pytest.raises(KeysUnavailable):
        await keyring.unlock("bank")


async def test_a_decrypt_only_key_opens_and_seals_nothing_new(
    keyring: KeyRing, tmp_path: Path, clock: MovableClock
) -> None:
    before = await keyring.unlock("bank")
    stored, detail = before.new_subject_key(random_id(), "dataset:one"), before.seal_detail(b"x", b"")
    change(tmp_path, "UPDATE member_key SET state = 'decrypt_only' WHERE member_id = 'bank'")
    clock.now += 150_000
    bank = await keyring.unlock("bank")
    assert bank.unwrap_subject_key(stored).id == stored.key_id
    assert bank.open_detail(detail, b"") == b"x"
    for sealing in (
        lambda: bank.new_subject_key(random_id(), "dataset:two"),
        lambda: bank.seal_detail(b"x", b""),
        lambda: bank.pseudonym("C-1"),
        lambda: bank.index_term("d", 1, "x"),
    ):
        with pytest.raises(KeysUnavailable):
            sealing()


async def test_a_disabled_key_is_out_of_use_when_the_time_to_live_is_over(
    keyring: KeyRing, tmp_path: Path, clock: MovableClock
) -> None:
    held = await keyring.unlock("bank")
    stored = held.new_subject_key(random_id(), "dataset:one")
    change(tmp_path, "UPDATE member_key SET state = 'disabled' WHERE member_id = 'bank'")
    clock.now += 299_999
    assert held.unwrap_subject_key(stored)
    clock.now += 1
    with pytest.raises(KeysUnavailable):
        held.unwrap_subject_key(stored)
    with pytest.raises(KeysUnavailable):
        await keyring.unlock("bank")


async def test_a_set_is_handed_out_for_half_its_life_and_a_limited_number_of_times(
    key_database: SQLiteDatabase, keyring: KeyRing, provider: LocalKeyring, clock: MovableClock
) -> None:
    ring = KeyRing(key_database, provider, clock, life_ms=100_000, most_uses=2)
    first = await ring.unlock("bank")
    assert [await ring.unlock("bank") is first for _ in range(3)] == [True, True, False]
    second = await ring.unlock("bank")
    clock.now += 50_000
    assert await ring.unlock("bank") is not second
    assert second.pseudonym("C-1")


async def test_a_clock_that_went_back_ends_what_is_held(keyring: KeyRing, clock: MovableClock) -> None:
    bank = await keyring.unlock("bank")
    clock.now -= 1
    with pytest.raises(KeysUnavailable):
        bank.pseudonym("C-1")
    assert (await keyring.unlock("bank")).pseudonym("C-1")


@pytest.mark.parametrize("life_ms", [0, 300_001])
async def test_nobody_holds_member_keys_longer_than_five_minutes(
    key_database: SQLiteDatabase, provider: LocalKeyring, clock: MovableClock, life_ms: int
) -> None:
    with pytest.raises(Invalid):
        KeyRing(key_database, provider, clock, life_ms=life_ms)


async def test_a_key_set_works_in_worker_threads(keyring: KeyRing) -> None:
    bank = await keyring.unlock("bank")
    terms = await asyncio.gather(*(asyncio.to_thread(bank.index_term, "d", n % 3, "x") for n in range(60)))
    assert len(set(terms)) == 3


async def test_a_signing_key_signs_and_comes_back_under_its_thumbprint(
    keyring: KeyRing, key_database: SQLiteDatabase, clock: MovableClock
) -> None:
    async with key_database.transaction() as tx:
        made = await keyring.create_signing_key(tx, "receipt", clock())
        assert (await keyring.signing_key("receipt", reading=tx)).kid == made.kid
    again = await keyring.signing_key("receipt")
    assert isinstance(again, SigningKey)
    assert (again.kid, again.public) == (made.kid, made.public)
    Ed25519PublicKey.from_public_bytes(made.public).verify(again.sign(b"message"), b"message")
    assert again.private.public_key().public_bytes_raw() == made.public
    assert made.private.private_bytes_raw().hex() not in repr(made)
    with pytest.raises(TypeError):
        pickle.dumps(made)


async def test_keys_are_kept_alike_on_either_database(
    database: Database, provider: LocalKeyring, clock: MovableClock
) -> None:
    ring = KeyRing(database, provider, clock)
    async with database.transaction() as tx:
        await ring.create_member_keys(tx, "bank", clock())
        made = await ring.create_signing_key(tx, "log:bank", clock())
    bank = await ring.unlock("bank")
    assert bank.unwrap_subject_key(bank.new_subject_key(random_id(), "dataset:one"))
    assert (await ring.signing_key("log:bank")).kid == made.kid


async def test_a_use_has_one_active_signing_key_and_at_most_one_published(
    keyring: KeyRing, key_database: SQLiteDatabase, tmp_path: Path
) -> None:
    async with key_database.transaction() as tx:
        active = await keyring.create_signing_key(tx, "token", 1)
        await keyring.create_signing_key(tx, "token", 2, state=SigningState.PUBLISHED)
    for state in (SigningState.ACTIVE, SigningState.PUBLISHED):
        with pytest.raises(AlreadyExists):
            async with key_database.transaction() as tx:
                await keyring.create_signing_key(tx, "token", 3, state=state)
    assert (await keyring.signing_key("token")).kid == active.kid
    change(tmp_path, "UPDATE signing_key SET state = 'retired' WHERE kid = ?", active.kid)
    for use in ("token", "receipt", "log:1"):
        with pytest.raises(KeysUnavailable):
            await keyring.signing_key(use)


async def test_a_signing_key_row_serves_no_other_use_and_no_other_key(
    keyring: KeyRing, key_database: SQLiteDatabase, tmp_path: Path
) -> None:
    async with key_database.transaction() as tx:
        await keyring.create_signing_key(tx, "token", 1)
    change(tmp_path, "UPDATE signing_key SET public = ?", os.urandom(32))
    with pytest.raises(KeysUnavailable):
        await keyring.signing_key("token")
    change(tmp_path, "UPDATE signing_key SET use = 'receipt'")
    with pytest.raises(KeysUnavailable):
        await keyring.signing_key("receipt")


def test_the_key_id_is_the_thumbprint_of_rfc_8037_appendix_a3() -> None:
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    assert thumbprint(public) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
