"""The addresses that owners stated for their persons: kept sealed, found blindly, and trusted for half a year.

A number is given to somebody else sooner or later. So an address leads to a person only while, within the last 180
days, its owner has stated it or whoever holds it has entered a code that was sent there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, bindparam, delete, insert, or_, select, update

from gateway.canonical import canonical
from gateway.catalog.subject_keys import require_key, subject_keys
from gateway.clock import Clock
from gateway.consents.contacts.addresses import Address, Channel
from gateway.consents.contacts.blind_index import BlindIndex, lasting
from gateway.consents.contacts.tables import contact, contact_term
from gateway.database import Database, Query, Reading, Transaction
from gateway.vault.keyring import KeyRing, WrappedSubjectKey
from gateway.vault.tables import subject_key

FRESH_MS: Final = 180 * 24 * 60 * 60 * 1000
"""So long an address is trusted to be the same person's."""

_OF = (
    contact.c.owner_id == bindparam("owner"),
    contact.c.pseudonym == bindparam("person"),
    contact.c.role == bindparam("as_role"),
    contact.c.channel == bindparam("by"),
)
_TERMS_OF = (
    contact_term.c.owner_id == bindparam("owner"),
    contact_term.c.pseudonym == bindparam("person"),
    contact_term.c.role == bindparam("as_role"),
    contact_term.c.channel == bindparam("by"),
)
_NEW = Query(insert(contact))
_NEW_TERM = Query(insert(contact_term))
_FORGET = Query(delete(contact).where(*_OF))
_FORGET_TERMS = Query(delete(contact_term).where(*_TERMS_OF))
_FORGET_PERSON = Query(
    delete(contact).where(contact.c.owner_id == bindparam("owner"), contact.c.pseudonym == bindparam("person"))
)
_FORGET_PERSONS_TERMS = Query(
    delete(contact_term).where(
        contact_term.c.owner_id == bindparam("owner"), contact_term.c.pseudonym == bindparam("person")
    )
)
_VERIFY = Query(update(contact).where(*_OF).values(verified_at=bindparam("at", type_=BigInteger)))
_FOUND = (
    select(contact.c.owner_id, contact.c.pseudonym, contact.c.role)
    .join(
        contact_term,
        (contact_term.c.owner_id == contact.c.owner_id)
        & (contact_term.c.pseudonym == contact.c.pseudonym)
        & (contact_term.c.role == contact.c.role)
        & (contact_term.c.channel == contact.c.channel),
    )
    .join(subject_key, subject_key.c.id == contact.c.subject_key_id)
)
_FRESH = or_(contact.c.stated_at > bindparam("since", type_=BigInteger), contact.c.verified_at > bindparam("since"))
_BEHIND = Query(_FOUND.where(contact_term.c.term == bindparam("term"), _FRESH))
_LEADS = Query(_FOUND.where(*_OF, contact_term.c.term == bindparam("term"), _FRESH))
_SEALED = Query(
    select(contact.c.sealed, subject_key.c.id, subject_key.c.key_version, subject_key.c.wrapped)
    .join(subject_key, subject_key.c.id == contact.c.subject_key_id)
    .where(*_OF, _FRESH)
)


class Role(StrEnum):
    """Whose address it is: the person's own, or a guardian's, who decides for them."""

    OWN = "own"
    GUARDIAN = "guardian"


class Holder(NamedTuple):
    """Whom an address leads to: a person of an owner, and in which role."""

    owner: str
    pseudonym: str
    role: Role


@dataclass(frozen=True, slots=True)
class Reached:
    """An address of a person, ready to be kept: sealed, with its terms."""

    holder: Holder
    address: Address
    key_id: str
    sealed: str
    terms: tuple[tuple[int, bytes], ...]

    @property
    def term(self) -> bytes:
        """The one by which links, visits and questions name the address."""
        return lasting(self.terms)


class Contacts:
    """Keeps, finds and opens addresses. Whose subject key is shredded can't be reached, and nobody can tell how."""

    def __init__(self, database: Database, keyring: KeyRing, clock: Clock) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self.index = BlindIndex(keyring)

    async def prepare(self, holder: Holder, address: Address) -> Reached:
        """Seal an address, beside any transaction; a person without a subject key gets one."""
        keys = await self._keyring.unlock(holder.owner)
        made = await subject_keys(self._database, keys, [holder.pseudonym], self._clock())
        key = made[holder.pseudonym]
        sealed = key.seal_detail(address.text.encode(), _bound(holder, address.channel))
        terms = await self.index.terms(address.channel, address.text)
        return Reached(holder, address, key.id, canonical(sealed).decode(), tuple(terms))

    async def keep(self, tx: Transaction, reached: Reached, now_ms: int) -> None:
        """The owner states it now: it takes the place of the former one, and is trusted from here, not from a code.

        `Conflicting` where the person was deleted since it was prepared.
        """
        await require_key(tx, reached.key_id)
        of = _named(reached.holder, reached.address.channel)
        await tx.run(_FORGET_TERMS, **of)
        await tx.run(_FORGET, **of)
        row = {
            "owner_id": reached.holder.owner,
            "pseudonym": reached.holder.pseudonym,
            "role": reached.holder.role.value,
            "channel": reached.address.channel.value,
        }
        said = {"subject_key_id": reached.key_id, "sealed": reached.sealed, "stated_at": now_ms}
        await tx.run(_NEW, **row, **said, verified_at=None)
        await tx.many(_NEW_TERM, [{**row, "key_version": version, "term": term} for version, term in reached.terms])

    async def verify(self, tx: Transaction, holder: Holder, channel: Channel, now_ms: int) -> None:
        """A code that was sent there has just been entered."""
        await tx.run(_VERIFY, **_named(holder, channel), at=now_ms)

    async def behind(self, reading: Reading, address: Address) -> list[Holder]:
        """Everybody whom the address leads to now, in whatever role; in order, each once."""
        since, found = self._clock() - FRESH_MS, set()
        for _, term in await self.index.terms(address.channel, address.text):
            for row in await reading.all(_BEHIND, term=term, since=since):
                found.add(Holder(row["owner_id"], row["pseudonym"], Role(row["role"])))
        return sorted(found)

    async def open(self, holder: Holder, channel: Channel) -> Address | None:
        """The address again, for a message to it; None where none is trusted, or the person's key was shredded."""
        row = await self._database.one(_SEALED, **_named(holder, channel), since=self._clock() - FRESH_MS)
        if row is None:
            return None
        keys = await self._keyring.unlock(holder.owner)
        key = keys.unwrap_subject_key(
            WrappedSubjectKey(row["id"], holder.pseudonym, row["key_version"], bytes(row["wrapped"]))
        )
        return Address(channel, key.open_detail(json.loads(row["sealed"]), _bound(holder, channel)).decode())

    async def leads(self, reading: Reading, term: bytes, holder: Holder, channel: Channel) -> bool:
        """Whether the address of this term is still the one that was stated for a person, and is trusted to be."""
        named = _named(holder, channel)
        return await reading.one(_LEADS, **named, term=term, since=self._clock() - FRESH_MS) is not None

    async def reach(self, term: bytes, holder: Holder, channel: Channel) -> Address | None:
        """The address of this term, to send what concerns a person to; None where it leads to the person no more."""
        return await self.open(holder, channel) if await self.leads(self._database, term, holder, channel) else None

    async def forget(self, tx: Transaction, owner: str, pseudonym: str) -> None:
        """Leave nothing of how a person is reached, as an erasure asks for."""
        await tx.run(_FORGET_PERSONS_TERMS, owner=owner, person=pseudonym)
        await tx.run(_FORGET_PERSON, owner=owner, person=pseudonym)


def _bound(holder: Holder, channel: Channel) -> bytes:
    return canonical({"use": "contact", "person": [*holder], "channel": channel.value})


def _named(holder: Holder, channel: Channel) -> dict[str, Any]:
    return {
        "owner": holder.owner,
        "person": holder.pseudonym,
        "as_role": holder.role.value,
        "by": channel.value,
    }
