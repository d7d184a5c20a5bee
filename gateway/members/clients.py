"""The life of members' clients: what one person, or the client itself, may do to one. All of it is on record.

Taking something away is the safe direction, so an operator does it alone and at once. What widens (a new client, a
key for one) needs two operators: those acts are in `client_acts`. A client may change its own keys, and end itself.
The functions of `identity.clients` change the rows; here their acts go on record with them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from gateway.database import Database
from gateway.errors import Conflicting, Reason, Refused
from gateway.identity import Subject, client_keys, clients
from gateway.identity.client_keys import KeyChanges
from gateway.identity.methods import MethodName
from gateway.identity.revoked import require_standing
from gateway.ledger import Change, Draft, Kind, Ledger
from gateway.members.client_record import ClientRecord, client_record, owners_of
from gateway.members.key_source import FRESH_MS, KeySource
from gateway.members.members import stays_admitted

MOST_NEW_KEYS_A_DAY: Final = 32
"""How many keys a client may gain in 24 hours without an operator; each is kept for ever."""

A_DAY_MS: Final = 24 * 3600 * 1000


class Clients:
    """Ends members' clients and keys, and lets a client change its own. `operator` is who acts, as the entry says."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    async def home_of(self, client_id: str) -> str:
        """The alliance of a client in any state; `NotFound` for a stranger."""
        return (await client_record(self._database, client_id)).alliance

    async def retire_key(self, client_id: str, thumbprint: str, *, operator: str) -> None:
        """End a key: no token that the client holds opens anything after this entry."""
        record = await client_record(self._database, client_id)
        owners = await owners_of(self._database, record.alliance)
        async with self._ledger.changing(record.alliance, narrows=owners) as change:
            await clients.retire_key(change.tx, client_id=client_id, thumbprint=thumbprint)
            facts = {**record.facts(), "key": thumbprint}
            enter(change, (record.alliance, *owners), "client_key_retired", {"operator": operator}, facts)

    async def revoke(self, client_id: str, *, operator: str) -> None:
        """End a client: nothing is opened for it after this entry, which stands in every owner's log too."""
        await self._end(await client_record(self._database, client_id), {"operator": operator})

    async def end_itself(self, subject: Subject) -> None:
        """The calling client ends itself, as `revoke` does. Needs `rotate`."""
        subject.require("rotate")
        await self._end(await client_record(self._database, subject.client), _caller(subject))

    async def rotate(self, subject: Subject, source: KeySource) -> None:
        """Make these the keys of the calling client, and of no other. Needs `rotate`.

        Keys that are missing end for ever, under the lock of every owner; so do the client's tokens, unless the key
        had run out before. Nothing new: nothing happens, no entry.

        Raises:
            Refused: The token does not grant it, or the member is suspended.
            TokenOver: The token is over since it was looked at: nobody outruns the entry that ends it.
            Conflicting: A key is or was another's, was retired, or signs agreements; too many are new today; or the
                client authenticates by certificate.
        """
        subject.require("rotate")
        record = await client_record(self._database, subject.client)
        if record.method.name is not MethodName.PRIVATE_KEY_JWT:
            raise Conflicting("client_by_certificate", "This client authenticates by certificate.", field="jwks")
        losing = bool(source.keys) and await _loses(self._database, record, source)
        owners = await owners_of(self._database, record.alliance) if losing else ()
        async with self._ledger.changing(record.alliance, narrows=owners) as change:
            if not await stays_admitted(change.tx, alliance_id=record.alliance, member_id=record.member):
                raise Refused((Reason("MEMBER_SUSPENDED", "9.2.3"),))
            await require_standing(change.tx, subject)
            changes = await give_keys(change, record.id, source, _caller(subject), owners)
            since = await client_keys.keys_since(change.tx, record.id, change.now_ms - A_DAY_MS)
            if changes.added and since > MOST_NEW_KEYS_A_DAY:
                raise Conflicting("too_many_new_keys", f"A client gains at most {MOST_NEW_KEYS_A_DAY} keys a day.")

    async def _end(self, record: ClientRecord, actor: Mapping[str, str]) -> None:
        owners = await owners_of(self._database, record.alliance)
        async with self._ledger.changing(record.alliance, narrows=owners) as change:
            await clients.revoke_client(change.tx, client_id=record.id)
            enter(change, (record.alliance, *owners), "client_revoked", actor, record.facts())


async def give_keys(
    change: Change, client_id: str, source: KeySource, actor: Mapping[str, str], owners: Collection[str]
) -> KeyChanges:
    """Make these the client's keys, with the entry for it: in the logs of `owners` too if a key or its tokens end.

    Without `owners`, which the change then does not narrow, neither may: `Conflicting`.
    """
    await clients.require_active(change.tx, client_id)
    await source.refuse_signing_keys(change.tx)
    record = await client_record(change.tx, client_id)
    moved = record.jwks_uri != source.jwks_uri
    if moved:
        as_of = None if source.jwks_uri is None else change.now_ms - FRESH_MS  # so that a look is due at once
        await clients.publish_at(change.tx, client_id=client_id, jwks_uri=source.jwks_uri, as_of_ms=as_of)
    changes = KeyChanges()
    if source.keys:
        changes = await client_keys.replace_keys(change.tx, client_id=client_id, keys=source.keys, now_ms=change.now_ms)
    narrows = changes.ended or bool(changes.gone)
    if narrows and not owners:
        raise Conflicting("keys_moved", "The client's keys have just changed.", field="jwks", remedy="Read them again.")
    if moved or changes:
        facts = {**record.facts(), **changes.facts(), **({"jwks_uri": source.jwks_uri or ""} if moved else {})}
        logs = (record.alliance, *owners) if narrows else (record.alliance,)
        enter(change, logs, "client_keys_changed", actor, facts)
    return changes


def enter(change: Change, logs: Collection[str], act: str, actor: Mapping[str, str], facts: Mapping[str, Any]) -> None:
    """The same entry in each of these logs."""
    for log in logs:
        change.enter(Draft(log=log, kind=Kind.ADMIN, facts={"act": act, "actor": dict(actor), **facts}))


async def _loses(database: Database, record: ClientRecord, source: KeySource) -> bool:
    """Whether a key would end or have another life; whether that ends tokens shows under the lock."""
    changes = client_keys.compare(await client_keys.active_keys(database, record.id), source.keys, 0)
    return bool(changes.gone or changes.changed)


def _caller(subject: Subject) -> dict[str, str]:
    return {"member": subject.member, "client": subject.client}
