"""What a referral is matched by: the person's number and address, as keyed terms that say nothing without the key.

A name matches nobody. The exact form of an address decides; the mailbox that it probably leads to only suggests, and a
suggestion never merges two persons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import bindparam, insert, select

from gateway.agreements.fields import members, text
from gateway.consents.contacts import BlindIndex, Channel, normalised_email, normalised_phone
from gateway.consents.contacts.blind_index import SUGGESTED_EMAIL
from gateway.consents.contacts.tables import contact_term
from gateway.database import Query, Reading, Transaction
from gateway.errors import Invalid
from gateway.referrals.referral import Referral
from gateway.referrals.tables import referral, referral_term

EXACT: Final = (Channel.SMS.value, Channel.EMAIL.value)
"""The kinds of terms that decide."""

Terms = Sequence[tuple[str, int, bytes]]
"""(kind, key version, term), under every version of the key in use."""

_ADD = Query(insert(referral_term))
_OF = Query(select(referral_term).where(referral_term.c.referral_id == bindparam("referral")))
_STATED = Query(
    select(contact_term.c.channel, contact_term.c.key_version, contact_term.c.term).where(
        contact_term.c.owner_id == bindparam("owner"),
        contact_term.c.pseudonym == bindparam("pseudonym"),
        contact_term.c.role == "own",
    )
)
_WITH_TERM = Query(
    select(referral.c.id)
    .join(referral_term, referral_term.c.referral_id == referral.c.id)
    .where(
        referral_term.c.recipient_id == bindparam("recipient"),
        referral_term.c.kind == bindparam("kind"),
        referral_term.c.term == bindparam("term"),
        referral.c.id != bindparam("but"),
    )
)
_KNOWN = Query(
    select(contact_term.c.pseudonym)
    .where(
        contact_term.c.owner_id == bindparam("recipient"),
        contact_term.c.channel == bindparam("kind"),
        contact_term.c.term == bindparam("term"),
        contact_term.c.role == "own",
    )
    .limit(1)
)


async def terms_of(index: BlindIndex, given: Mapping[str, Any], at: str = "/contact") -> Terms:
    """The terms of `{"phone", "email"}`, of which one may be missing; nothing of either is kept in clear."""
    members(given, (), at, optional=("phone", "email"))
    wanted: list[tuple[str, str]] = []
    if "phone" in given:
        wanted.append((Channel.SMS.value, _in_one_form(normalised_phone, given["phone"], f"{at}/phone")))
    if "email" in given:
        email = _in_one_form(normalised_email, given["email"], f"{at}/email")
        wanted += [(Channel.EMAIL.value, email.exact), (SUGGESTED_EMAIL, email.suggested)]
    return [(kind, version, term) for kind, value in wanted for version, term in await index.terms(kind, value)]


def _in_one_form(normalised: Any, given: Any, at: str) -> Any:
    try:
        return normalised(text(given, at))
    except Invalid as error:
        raise Invalid(error.code, error.detail, field=at, remedy=error.remedy) from None


async def keep_terms(tx: Transaction, referral_id: str, recipient: str, terms: Terms) -> None:
    """Keep what a referral is matched by."""
    named = {"referral_id": referral_id, "recipient_id": recipient}
    rows = [{**named, "kind": kind, "key_version": version, "term": term} for kind, version, term in terms]
    await tx.many(_ADD, rows)


async def keep_stated_terms(tx: Transaction, found: Referral) -> None:
    """Keep too what the referrer has stated of how the person is reached."""
    there = {(kind, version, term) for kind, version, term in await terms_kept(tx, found.id)}
    rows = await tx.all(_STATED, owner=found.owner, pseudonym=found.row["pseudonym"])
    stated = {(row["channel"], row["key_version"], bytes(row["term"])) for row in rows}
    await keep_terms(tx, found.id, found.recipient, sorted(stated - there))


async def terms_kept(reading: Reading, referral_id: str) -> Terms:
    """What a referral is matched by."""
    rows = await reading.all(_OF, referral=referral_id)
    return [(row["kind"], row["key_version"], bytes(row["term"])) for row in rows]


async def of_the_same_person(reading: Reading, found: Referral, terms: Terms, kinds: Sequence[str]) -> Sequence[str]:
    """Other referrals to the same recipient with an equal term of one of these kinds, by id."""
    ids: set[str] = set()
    for kind, _, term in terms:
        if kind in kinds:
            rows = await reading.all(_WITH_TERM, recipient=found.recipient, kind=kind, term=term, but=found.id)
            ids |= {row["id"] for row in rows}
    return sorted(ids)


async def is_known_to_recipient(reading: Reading, found: Referral, terms: Terms) -> bool:
    """Whether the recipient has stated such a number or address of a person of its own."""
    for kind, _, term in terms:
        if await reading.one(_KNOWN, recipient=found.recipient, kind=kind, term=term) is not None:
            return True
    return False
