"""Addresses are found blindly, opened under the person's key, and trusted for half a year."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from gateway.approvals import Mandate
from gateway.consents.contacts import FRESH_MS, Address, BlindIndex, Channel, ContactKeyActs, Contacts, Holder, Role
from gateway.consents.contacts.blind_index import SUGGESTED_EMAIL
from gateway.consents.contacts.tables import contact, contact_term
from gateway.database import Query
from gateway.vault.keyring import OWN, KeyRing
from gateway.vault.tables import member_key, subject_key
from tests.catalog.conftest import AIRLINE, ALLIANCE, BANK, Shop

PHONE = Address.read("sms", "13800138000")
OTHER = Address.read("sms", "13900139000")
MAIL = Address.read("email", "li.na@example.com")
_SHRED = Query(delete(subject_key))
_TERMS = Query(select(contact_term))
_PROOFS = Query(select(contact.c.verified_at))
_KEYS = Query(select(member_key.c.version, member_key.c.state).where(member_key.c.member_id == OWN))


@pytest.fixture
async def contacts(shop: Shop) -> Contacts:
    async with shop.database.transaction() as tx:
        await shop.keyring.create_member_keys(tx, OWN, shop.clock.now)
    return Contacts(shop.database, shop.keyring, shop.clock)


def person(number: int, owner: str = AIRLINE, role: Role = Role.OWN) -> Holder:
    return Holder(owner, f"{number:064x}", role)


async def state(shop: Shop, contacts: Contacts, holder: Holder, address: Address) -> None:
    reached = await contacts.prepare(holder, address)
    async with shop.database.transaction() as tx:
        await contacts.keep(tx, reached, shop.clock.now)


async def verify(shop: Shop, contacts: Contacts, holder: Holder) -> None:
    async with shop.database.transaction() as tx:
        await contacts.verify(tx, holder, Channel.SMS, shop.clock.now)


async def renew(shop: Shop) -> str:
    """As two operators do."""

    async def alliances() -> list[str]:
        return [AIRLINE]  # whose log is open here

    [act] = ContactKeyActs(shop.keyring, alliances).acts()
    mandate = Mandate(ALLIANCE, "proposal", "0" * 64, "anna", "bert")
    async with shop.ledger.changing(*await act.logs(ALLIANCE, {})) as change:
        return await act.perform(change, mandate, {})


async def test_an_address_leads_to_everybody_it_was_stated_for_and_opens_under_each_ones_key(
    shop: Shop, contacts: Contacts
) -> None:
    child = person(3, role=Role.GUARDIAN)
    for holder in (person(1), person(2, BANK), child):
        await state(shop, contacts, holder, PHONE)
    await state(shop, contacts, person(4), OTHER)
    assert await contacts.behind(shop.database, PHONE) == sorted([person(1), person(2, BANK), child])
    assert await contacts.behind(shop.database, MAIL) == []
    assert await contacts.open(person(1), Channel.SMS) == PHONE
    assert await contacts.open(person(1), Channel.EMAIL) is None
    assert await contacts.open(person(3), Channel.SMS) is None, "a guardian's address is not the child's"


async def test_without_its_subjects_key_an_address_is_unreadable_and_leads_nowhere(
    shop: Shop, contacts: Contacts
) -> None:
    await state(shop, contacts, person(1), PHONE)
    async with shop.database.transaction() as tx:
        await tx.run(_SHRED)
    assert await contacts.open(person(1), Channel.SMS) is None
    assert await contacts.behind(shop.database, PHONE) == []
    await state(shop, contacts, person(1), MAIL)  # a new key, for what comes later alone
    assert await contacts.open(person(1), Channel.SMS) is None
    assert await contacts.behind(shop.database, PHONE) == []


async def test_a_recycled_number_leads_to_nobody_after_180_days_without_a_statement_or_a_code(
    shop: Shop, contacts: Contacts
) -> None:
    await state(shop, contacts, person(1), PHONE)
    shop.clock.now += FRESH_MS - 1
    assert await contacts.behind(shop.database, PHONE) == [person(1)]
    await verify(shop, contacts, person(1))
    shop.clock.now += FRESH_MS - 1
    assert await contacts.behind(shop.database, PHONE) == [person(1)]
    assert await contacts.open(person(1), Channel.SMS) == PHONE
    shop.clock.now += 1
    assert await contacts.behind(shop.database, PHONE) == []
    assert await contacts.open(person(1), Channel.SMS) is None, "nothing is told to whoever has it now"
    await state(shop, contacts, person(1), PHONE)
    assert await contacts.behind(shop.database, PHONE) == [person(1)]


async def test_the_newest_address_counts_and_another_ones_proof_is_not_its_own(shop: Shop, contacts: Contacts) -> None:
    await state(shop, contacts, person(1), PHONE)
    shop.clock.now += FRESH_MS // 2
    await verify(shop, contacts, person(1))
    await state(shop, contacts, person(1), OTHER)
    assert await contacts.behind(shop.database, PHONE) == []
    [kept] = await shop.database.all(_PROOFS)
    assert kept["verified_at"] is None, "the code was entered for the former number"
    shop.clock.now += FRESH_MS
    assert await contacts.behind(shop.database, OTHER) == []


async def test_an_address_is_found_across_a_new_version_of_the_key_by_whoever_knows_only_one(
    shop: Shop, contacts: Contacts
) -> None:
    before = shop.clock.now
    keyring = KeyRing(shop.database, shop.keyring._provider, lambda: before)
    behind_the_times = Contacts(shop.database, keyring, shop.clock)
    assert [version for version, _ in await behind_the_times.index.terms("sms", PHONE.text)] == [1]
    await state(shop, contacts, person(1), PHONE)
    assert await renew(shop) == "2"
    shop.clock.now += 150_000
    assert [version for version, _ in await contacts.index.terms("sms", PHONE.text)] == [2, 1]
    await state(shop, contacts, person(2), PHONE)
    both = [person(1), person(2)]
    assert await contacts.behind(shop.database, PHONE) == both
    assert await behind_the_times.behind(shop.database, PHONE) == both
    assert {row["key_version"] for row in await shop.database.all(_TERMS)} == {1, 2}
    states = {(row["version"], row["state"]) for row in await shop.database.all(_KEYS)}
    assert states == {(1, "active"), (1, "decrypt_only"), (2, "active")}


async def test_terms_of_different_kinds_never_meet(contacts: Contacts) -> None:
    index: BlindIndex = contacts.index
    kinds = [await index.terms(kind, MAIL.text) for kind in ("sms", "email", SUGGESTED_EMAIL)]
    assert len({term for [(_, term)] in kinds}) == 3
    assert {len(term) for [(_, term)] in kinds} == {32}
    assert len({term for kind in ("a", "ab") for _, term in await index.terms(kind, "bc"[len(kind) - 1 :])}) == 2


async def test_nothing_of_an_address_stands_in_clear_and_forgetting_leaves_nothing(
    shop: Shop, contacts: Contacts, sqlite_path: Path
) -> None:
    await state(shop, contacts, person(1), PHONE)
    await state(shop, contacts, person(1), MAIL)
    stored = b"".join(path.read_bytes() for path in sqlite_path.parent.glob("gateway.db*"))
    assert b"13800138000" not in stored
    assert b"li.na" not in stored
    async with shop.database.transaction() as tx:
        await contacts.forget(tx, AIRLINE, person(1).pseudonym)
    with sqlite3.connect(sqlite_path) as connection:
        assert connection.execute("SELECT count(*) FROM contact").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM contact_term").fetchone() == (0,)
    connection.close()
