"""The keys of clients that publish them by address (`jwks_uri`): looked at before they verify anything, and kept.

What was found stands in the database, so every process knows it, and so does the minute that must lie between two
looks, whoever asks for them and whatever came of the last.

| the keys were found to be current | then |
|---|---|
| less than 5 minutes ago | they are used; an assertion that none of them signed is reason for another look |
| 5 minutes to 1 hour ago | the next request looks first; if nothing can be found, they are used |
| longer ago | as above, but if nothing can be found, none of them is used |
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from gateway.clock import Clock
from gateway.database import Database
from gateway.errors import Invalid
from gateway.identity import KnownClient, SecurityLog, client_keys, clients
from gateway.identity.client_keys import MOST_KEYS, ClientKey
from gateway.identity.key_address import KeysUnfetched, Look
from gateway.ledger import Ledger
from gateway.members.client_record import client_record
from gateway.members.clients import A_DAY_MS, MOST_NEW_KEYS_A_DAY, enter
from gateway.members.key_source import FRESH_MS, is_signing_key

STALE_MS: Final = 60 * 60 * 1000
PAUSE_MS: Final = 60 * 1000


class PublishedKeys:
    """See the module. One instance per process; `look` fetches, and `log` keeps why it could not."""

    def __init__(self, database: Database, ledger: Ledger, clock: Clock, look: Look, log: SecurityLog) -> None:
        self._database = database
        self._ledger = ledger
        self._clock = clock
        self._look = look
        self._log = log
        self._looking: dict[str, asyncio.Task[None]] = {}

    async def fresh(self, client: KnownClient) -> KnownClient:
        """The client with keys that are not stale. One request at a time waits for a look; the others do not."""
        if client.jwks_uri is None:
            return client
        if self._age(client) >= FRESH_MS and not (client.id in self._looking and self._usable(client).keys):
            return await self._after_a_look(client)
        return self._usable(client)

    async def renewed(self, client: KnownClient) -> KnownClient:
        """The client after another look, if its minute has passed; requests that come meanwhile wait for it too."""
        return client if client.jwks_uri is None else await self._after_a_look(client)

    def _age(self, client: KnownClient) -> int:
        return self._clock() - (client.keys_fetched_at or 0)

    def _usable(self, client: KnownClient) -> KnownClient:
        return client if self._age(client) < STALE_MS else client._replace(keys=())

    async def _after_a_look(self, client: KnownClient) -> KnownClient:
        if client.id not in self._looking:
            task = asyncio.create_task(self._seek(client), name="look at published keys")
            self._looking[client.id] = task
            task.add_done_callback(lambda done: self._over(client.id, done))
        await asyncio.shield(self._looking[client.id])
        found = await clients.find_client(self._database, client.id, self._clock())
        if found is None:
            return client
        usable = self._usable(found)
        return client if usable.keys == client.keys else usable

    def _over(self, client_id: str, look: asyncio.Task[None]) -> None:
        del self._looking[client_id]
        if not look.cancelled():
            look.exception()  # seen by whoever waits; with nobody waiting, nobody misses it

    async def _seek(self, client: KnownClient) -> None:
        async with self._database.transaction() as tx:
            now_ms = self._clock()
            if not await clients.seek_keys(tx, client_id=client.id, now_ms=now_ms, pause_ms=PAUSE_MS):
                return
        try:
            keys = _readable(await self._look(client.jwks_uri or ""))
        except KeysUnfetched as unfetched:
            self._log.note(unfetched.code, client=client.id)
            return
        await self._keep(client, keys)

    async def _keep(self, client: KnownClient, keys: Sequence[ClientKey]) -> None:
        """Make the keys found the client's, on record if anything is new, unless it has another address by now."""
        record = await client_record(self._database, client.id)
        async with self._ledger.changing(record.alliance) as change:
            if (await client_record(change.tx, client.id)).jwks_uri != client.jwks_uri:
                return
            kept = [one for one in keys if not await is_signing_key(change.tx, one.key.thumbprint)]
            since = await client_keys.keys_since(change.tx, client.id, change.now_ms - A_DAY_MS)
            changes = await client_keys.publish_keys(
                change.tx, client_id=client.id, keys=kept, now_ms=change.now_ms, room=MOST_NEW_KEYS_A_DAY - since
            )
            await clients.keys_found(change.tx, client_id=client.id, now_ms=change.now_ms)
            if changes:
                actor = {"member": record.member, "client": record.id}
                facts = {**record.facts(), **changes.facts(), "jwks_uri": client.jwks_uri or ""}
                enter(change, (record.alliance,), "client_keys_published", actor, facts)


def _readable(members: Sequence[object]) -> list[ClientKey]:
    """The keys that keep the rules, each once. Others stand in key sets for other uses, and are left out."""
    keys: dict[str, ClientKey] = {}
    for jwk in members:
        try:
            one = ClientKey.of(jwk)
        except Invalid:
            continue
        keys.setdefault(one.key.thumbprint, one)
    if len(keys) > MOST_KEYS:
        raise KeysUnfetched("KEYS_TOO_MANY")
    return list(keys.values())
