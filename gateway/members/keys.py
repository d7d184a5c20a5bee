"""The keys that members sign agreements with, and how a member learns that a key is really the other's.

A signing key is never a client key: what a server holds to fetch data must not be able to bind the company.
A key is named by its fingerprint, the SHA-256 thumbprint of RFC 7638. The other side reads it over another
channel (by telephone, on paper) and confirms it here; signatures by an unconfirmed key are not accepted.

Revoking a key ends its use: no signature by it is accepted afterwards. Signatures made before stand, because
what a member was bound to does not lapse with its key; the revocation's time is kept beside the key.
A member that fears misuse terminates the agreement.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import bindparam, insert, select, update

from gateway.approvals import Act, Arguments, Mandate
from gateway.canonical import canonical
from gateway.database import Database, Query, Reading, Transaction
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identity.client_keys import is_client_key
from gateway.identity.keys import KeyRefused, PublicKey, public_key
from gateway.identity.subject import Subject
from gateway.ledger import Change, Draft, Kind, Ledger
from gateway.members.arguments import only, said
from gateway.members.members import refuse_prospect
from gateway.members.tables import key_confirmation, member, member_signing_key

SIGNING_ALGORITHMS = ("Ed25519", "ES256")
"""What agreements are signed with: Ed25519, or ECDSA on P-256."""

_FINGERPRINT = re.compile("[A-Za-z0-9_-]{43}")

_ADD = Query(insert(member_signing_key))
_KEY = Query(
    select(member_signing_key, member.c.alliance_id)
    .join(member, member.c.id == member_signing_key.c.member_id)
    .where(member_signing_key.c.fingerprint == bindparam("fingerprint"))
)
_HOLD_KEY = Query(
    select(member_signing_key.c.fingerprint)
    .where(member_signing_key.c.fingerprint == bindparam("fingerprint"))
    .with_for_update(read=True)
)
_REVOKE = Query(
    update(member_signing_key)
    .where(member_signing_key.c.fingerprint == bindparam("the_fingerprint"), member_signing_key.c.state == "active")
    .values(state="revoked", revoked_at=bindparam("at"))
)
_MEMBER = Query(select(member.c.alliance_id, member.c.state).where(member.c.id == bindparam("id")))
_CONFIRM = Query(insert(key_confirmation))
_CONFIRMED = Query(
    select(key_confirmation.c.confirmed_at).where(
        key_confirmation.c.member_id == bindparam("member"), key_confirmation.c.fingerprint == bindparam("fingerprint")
    )
)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A member's key for agreements. Times in milliseconds since the epoch; `revoked_at` None while active."""

    fingerprint: str
    member: str
    alliance: str
    jwk: Mapping[str, str]
    state: str
    created_at: int
    revoked_at: int | None


class SigningKeys:
    """Registers, revokes and confirms signing keys; each act is one entry in the operator's log."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    def acts(self) -> list[Act]:
        """`add_signing_key`, which needs two operators."""
        return [Act("add_signing_key", self._check, self._add)]

    async def _check(self, reading: Reading, of: str, arguments: Arguments) -> None:
        """`KeyRefused` or `Invalid` unless it is an Ed25519 or P-256 public key that never was a client's.

        `Conflicting` if the key is registered already, by whomever.
        """
        only(arguments, "member", "jwk")
        fingerprint = _checked_key(arguments.get("jwk")).thumbprint
        row = await reading.one(_MEMBER, id=said(arguments, "member"))
        if row is None or row["alliance_id"] != of:
            raise NotFound
        refuse_prospect(row["state"])
        if await is_client_key(reading, fingerprint):
            raise _is_a_client_key()
        if await reading.one(_KEY, fingerprint=fingerprint) is not None:
            raise Conflicting("signing_key_taken", "This key is registered already.", field="jwk")

    async def _add(self, change: Change, mandate: Mandate, arguments: Arguments) -> str:
        """Register a public key of a member; returns its fingerprint."""
        await self._check(change.tx, mandate.alliance, arguments)
        key = _checked_key(arguments["jwk"])
        facts = {"member": arguments["member"], "fingerprint": key.thumbprint}
        await change.tx.run(
            _ADD,
            fingerprint=key.thumbprint,
            member_id=arguments["member"],
            jwk=canonical(dict(key.jwk)).decode(),
            state="active",
            created_at=change.now_ms,
            revoked_at=None,
        )
        change.enter(_act(mandate.alliance, "signing_key_added", mandate.actor(), **facts))
        return key.thumbprint

    async def revoke(self, fingerprint: str, *, operator: str) -> None:
        """Accept no further signature by this key. Already revoked: nothing happens, no entry."""
        known = await signing_key(self._database, fingerprint)
        if known is None:
            raise NotFound
        facts = {"member": known.member, "fingerprint": fingerprint}
        async with self._ledger.changing(known.alliance) as change:
            if await change.tx.run(_REVOKE, the_fingerprint=fingerprint, at=change.now_ms):
                change.enter(_act(known.alliance, "signing_key_revoked", {"operator": operator}, **facts))

    async def confirm(self, subject: Subject, fingerprint: str) -> None:
        """State, as a member, that another member's key is really its own. A second time: no entry.

        `NotFound` for keys outside the alliance; `Conflicting` for one's own or a revoked key.
        """
        subject.require("sign")
        known = await signing_key(self._database, fingerprint)
        if known is None or known.alliance != subject.alliance:
            raise NotFound
        if known.member == subject.member:
            raise Conflicting("signing_key_own", "A member does not confirm its own key.", field="fingerprint")
        async with self._ledger.changing(subject.alliance) as change:
            key = await held_signing_key(change.tx, fingerprint)
            if key is None or key.state != "active":
                raise Conflicting("signing_key_revoked", "This key has been revoked.", field="fingerprint")
            if await is_confirmed(change.tx, by=subject.member, fingerprint=fingerprint):
                return
            await change.tx.run(_CONFIRM, member_id=subject.member, fingerprint=fingerprint, confirmed_at=change.now_ms)
            actor = {"member": subject.member, "client": subject.client}
            facts = {"member": key.member, "fingerprint": fingerprint}
            change.enter(_act(subject.alliance, "signing_key_confirmed", actor, **facts))


async def signing_key(reading: Reading, fingerprint: str) -> SigningKey | None:
    """The key of that fingerprint as it stands, or None."""
    row = await reading.one(_KEY, fingerprint=fingerprint)
    if row is None:
        return None
    return SigningKey(
        fingerprint=row["fingerprint"],
        member=row["member_id"],
        alliance=row["alliance_id"],
        jwk=json.loads(row["jwk"]),
        state=row["state"],
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )


async def held_signing_key(tx: Transaction, fingerprint: str) -> SigningKey | None:
    """As `signing_key`, for a text that may be no fingerprint at all.

    Whoever would revoke the key waits until this transaction ends.
    """
    if not _FINGERPRINT.fullmatch(fingerprint):
        return None
    await tx.one(_HOLD_KEY, fingerprint=fingerprint)
    return await signing_key(tx, fingerprint)


async def is_confirmed(reading: Reading, *, by: str, fingerprint: str) -> bool:
    """Whether a member has confirmed a key."""
    return await reading.one(_CONFIRMED, member=by, fingerprint=fingerprint) is not None


def _checked_key(jwk: object) -> PublicKey:
    """A public key that agreements may be signed with; `KeyRefused` or `Invalid` otherwise."""
    if not isinstance(jwk, dict):
        raise KeyRefused("A key is a JSON object.")
    key = public_key(jwk)
    if key.algorithm not in SIGNING_ALGORITHMS:
        raise Invalid("signing_key_kind", "A signing key is Ed25519 or P-256.", field="kty")
    return key


def _is_a_client_key() -> Invalid:
    return Invalid(
        "signing_key_is_client_key",
        "This key is, or was, a client's.",
        field="jwk",
        remedy="Make a key for agreements alone, and keep it off the servers.",
    )


def _act(alliance_id: str, act: str, actor: Mapping[str, str], **facts: str) -> Draft:
    return Draft(log=alliance_id, kind=Kind.ADMIN, facts={"act": act, "actor": dict(actor), **facts})
