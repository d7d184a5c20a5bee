"""Someone who writes to the database directly: whatever the rows then say, no agreement comes into force."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.agreements import agreement_case
from gateway.canonical import canonical
from gateway.database import Database
from gateway.errors import Conflicting
from gateway.identity.jws import sign_compact
from tests.agreements.world import FLIGHTS, World, new_key, public
from tests.services.postgresql import PostgreSQL

_TRIGGERS = (
    "agreement_keeps_its_text",
    "agreement_stays",
    "agreement_signature_keeps_its_text",
    "agreement_signature_stays",
)
Run = Callable[..., None]


@pytest.fixture
async def world(sqlite_database: Database) -> AsyncIterator[World]:
    built = await World(sqlite_database).build()
    yield built
    await built.ledger.close()


@pytest.fixture
def attack(sqlite_path: Path) -> Run:
    """Runs SQL beside the gateway, after the triggers were dropped."""

    def run(sql: str, *values: object) -> None:
        connection = sqlite3.connect(sqlite_path, isolation_level=None, timeout=5)
        for name in _TRIGGERS:
            connection.execute(f"DROP TRIGGER IF EXISTS {name}")
        assert connection.execute(sql, values).rowcount > 0
        connection.close()

    return run


async def _refused(world: World, agreement: str, fault: str) -> None:
    """Not in force, said so to the policy, entered once in the owner's log; and no less so when asked again."""
    for restart in (False, True):
        if restart:
            world.restart()
        for _ in range(2):
            assert not await world.in_force(agreement)
            assert await world.agreements.offer(world.bank.id, agreement, world.clock.now_s) is None
        found = await world.agreements.load(agreement)
        assert found is not None
        assert found.state == "tampered"
        case = agreement_case(found, FLIGHTS)
        assert (case["state"], case["granted_fields"], case["purposes"]) == ("draft", [], [])
        entries = [one for one in await world.entries() if one.get("act") == "agreement_unproved"]
        assert [one["fault"] for one in entries] == [fault] * (1 + restart)
        assert {one["log"] for one in entries} == {f"alliance.test/{world.airline.id}"}


def _wider(text: bytes) -> bytes:
    terms = json.loads(text)
    terms["datasets"][0]["fields"].append("month")
    return canonical(terms)


async def test_terms_that_were_changed_are_not_in_force(world: World, attack: Run) -> None:
    agreement = await world.signed()
    found = await world.agreements.load(agreement)
    assert found is not None
    attack("UPDATE agreement SET terms = ? WHERE id = ?", _wider(found.text), agreement)
    await _refused(world, agreement, "terms_changed")


async def test_changed_terms_with_their_right_digest_lack_the_signatures(world: World, attack: Run) -> None:
    import hashlib

    agreement = await world.signed()
    found = await world.agreements.load(agreement)
    assert found is not None
    wider = _wider(found.text)
    digest = hashlib.sha256(wider).hexdigest()
    attack("UPDATE agreement SET terms = ?, terms_sha256 = ? WHERE id = ?", wider, digest, agreement)
    await _refused(world, agreement, "signature_invalid")


async def test_terms_that_cannot_be_read_are_not_in_force(world: World, attack: Run) -> None:
    import hashlib

    agreement = await world.signed()
    digest = hashlib.sha256(b"{}").hexdigest()
    attack("UPDATE agreement SET terms = ?, terms_sha256 = ? WHERE id = ?", b"{}", digest, agreement)
    await _refused(world, agreement, "terms_unreadable")


async def test_a_forged_state_without_signatures_is_not_in_force(world: World, attack: Run) -> None:
    agreement = await world.drafted()
    attack("UPDATE agreement SET state = 'signed', signed_at = 1, version = 3 WHERE id = ?", agreement)
    await _refused(world, agreement, "signature_missing")


async def test_a_forged_state_with_one_signature_is_not_in_force(world: World, attack: Run) -> None:
    agreement = await world.drafted()
    await world.sign(world.airline, agreement)
    attack("UPDATE agreement SET state = 'signed', signed_at = 1, version = 3 WHERE id = ?", agreement)
    await _refused(world, agreement, "signature_missing")


async def test_a_signature_of_another_agreement_proves_nothing(world: World, attack: Run) -> None:
    one, other = await world.signed(), await world.signed(title="Another")
    await world.agreements.load(one)
    world.restart()
    attack(
        "UPDATE agreement_signature SET jws = (SELECT jws FROM agreement_signature o WHERE o.agreement_id = ?"
        " AND o.member_id = agreement_signature.member_id) WHERE agreement_id = ?",
        other,
        one,
    )
    await _refused(world, one, "signature_invalid")
    assert await world.in_force(other)


async def test_a_signature_in_another_members_name_proves_nothing(world: World, attack: Run) -> None:
    agreement = await world.drafted()
    await world.sign(world.airline, agreement)
    jws = await world.jws(world.hotel, agreement)
    for member, fault in ((world.hotel.id, "signature_foreign"), (world.bank.id, "signature_foreign")):
        attack(
            "INSERT OR REPLACE INTO agreement_signature VALUES (?, ?, ?, ?, ?)",
            agreement,
            member,
            world.hotel.fingerprint,
            jws,
            world.clock(),
        )
        attack("UPDATE agreement SET state = 'signed', signed_at = 1, version = 3 WHERE id = ?", agreement)
        world.restart()
        assert not await world.in_force(agreement)
        entries = [one for one in await world.entries() if one.get("act") == "agreement_unproved"]
        assert entries[-1]["fault"] == fault
        attack("DELETE FROM agreement_signature WHERE member_id = ?", member)


async def test_a_key_put_in_place_of_a_members_own_proves_nothing(world: World, attack: Run) -> None:
    agreement = await world.drafted()
    await world.sign(world.airline, agreement)
    found = await world.agreements.load(agreement)
    assert found is not None
    forged = new_key()
    jwk = json.dumps(public(forged))
    jws = sign_compact(found.text, forged, typ="agreement+jws", header={"kid": world.bank.fingerprint})
    attack("UPDATE member_signing_key SET jwk = ? WHERE fingerprint = ?", jwk, world.bank.fingerprint)
    attack(
        "INSERT INTO agreement_signature VALUES (?, ?, ?, ?, ?)",
        agreement,
        world.bank.id,
        world.bank.fingerprint,
        jws,
        world.clock(),
    )
    attack("UPDATE agreement SET state = 'signed', signed_at = 1, version = 3 WHERE id = ?", agreement)
    await _refused(world, agreement, "signing_key_changed")


async def test_a_key_that_the_other_side_never_confirmed_proves_nothing(world: World, attack: Run) -> None:
    agreement = await world.signed()
    world.restart()
    attack("DELETE FROM key_confirmation WHERE fingerprint = ?", world.bank.fingerprint)
    await _refused(world, agreement, "signature_key_unconfirmed")


async def test_a_signature_dated_after_its_keys_revocation_proves_nothing(world: World, attack: Run) -> None:
    agreement = await world.signed()
    await world.keys.revoke(world.bank.fingerprint, operator="root")
    world.restart()
    attack("UPDATE agreement_signature SET signed_at = signed_at + 1 WHERE agreement_id = ?", agreement)
    await _refused(world, agreement, "signature_after_revocation")


async def test_a_row_that_names_another_recipient_than_its_terms_is_not_in_force(world: World, attack: Run) -> None:
    agreement = await world.signed()
    attack("UPDATE agreement SET recipient_id = ? WHERE id = ?", world.hotel.id, agreement)
    await _refused(world, agreement, "row_contradicts_terms")
    assert await world.agreements.offer(world.hotel.id, agreement, world.clock.now_s) is None


async def test_a_terminated_agreement_set_back_to_signed_is_not_in_force(world: World, attack: Run) -> None:
    agreement = await world.signed()
    await world.life.terminate(world.bank.subject, agreement)
    attack("UPDATE agreement SET state = 'signed' WHERE id = ?", agreement)
    await _refused(world, agreement, "state_contradicts_times")


async def test_a_tampered_draft_is_not_signed_but_can_be_terminated(world: World, attack: Run) -> None:
    agreement = await world.drafted()
    jws = await world.jws(world.bank, agreement)
    found = await world.agreements.load(agreement)
    assert found is not None
    attack("UPDATE agreement SET terms = ? WHERE id = ?", _wider(found.text), agreement)
    with pytest.raises(Conflicting, match="terms_changed"):
        await world.life.sign(world.bank.subject, agreement, jws)
    await world.life.terminate(world.bank.subject, agreement)
    acts = [one["act"] for one in await world.entries() if one.get("agreement") == agreement]
    assert acts.count("agreement_terminated") == 1
    assert "agreement_signed" not in acts


_REWRITES = (
    "UPDATE agreement SET terms = 'x'",
    "UPDATE agreement SET terms_sha256 = 'x', version = version + 1",
    "UPDATE agreement SET recipient_id = id, version = version + 1",
    "UPDATE agreement SET created_at = 0, version = version + 1",
    "UPDATE agreement SET signed_at = 0, version = version + 1",
    "UPDATE agreement SET version = version - 1",
    "UPDATE agreement SET state = 'draft', version = version + 1",
    "DELETE FROM agreement",
    "UPDATE agreement_signature SET jws = 'x'",
    "UPDATE agreement_signature SET signed_at = 0",
    "DELETE FROM agreement_signature",
)


@pytest.mark.parametrize("sql", _REWRITES)
async def test_sqlite_refuses_to_rewrite_the_archive(world: World, sqlite_path: Path, sql: str) -> None:
    await world.signed()
    connection = sqlite3.connect(sqlite_path, isolation_level=None, timeout=5)
    with pytest.raises(sqlite3.IntegrityError, match="archived"):
        connection.execute(sql)
    connection.close()


async def test_postgresql_refuses_to_rewrite_the_archive(
    postgresql: PostgreSQL, postgresql_url: str, postgresql_database: Database
) -> None:
    import asyncpg

    world = await World(postgresql_database).build()
    agreement = await world.signed()
    connection = await asyncpg.connect(postgresql_url)
    for sql in _REWRITES:
        with pytest.raises(asyncpg.RestrictViolationError, match="archived"):
            await connection.execute(sql)
    await world.life.terminate(world.bank.subject, agreement)
    with pytest.raises(asyncpg.RestrictViolationError, match="archived"):
        await connection.execute("UPDATE agreement SET state = 'signed', version = version + 1")
    await connection.close()
    await world.ledger.close()


async def test_sqlite_never_revives_a_terminated_agreement(world: World, sqlite_path: Path) -> None:
    agreement = await world.signed()
    await world.life.terminate(world.bank.subject, agreement)
    connection = sqlite3.connect(sqlite_path, isolation_level=None, timeout=5)
    with pytest.raises(sqlite3.IntegrityError, match="archived"):
        connection.execute("UPDATE agreement SET state = 'signed', version = version + 1")
    connection.close()
