"""What lower packages ask of others, as `app` supplies it: each class meets a Protocol that the asker declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from gateway.abreast import AskedTogether
from gateway.access.pushing import Post
from gateway.agreements import Agreements
from gateway.database import Database, Reading, Transaction
from gateway.identity import Admission, KnownClient, Spending, Subject
from gateway.identity.key_address import Look
from gateway.identity.revoked import revoke
from gateway.ledger import Draft, Effect, Kind, Ledger, UsedBefore
from gateway.ledger.note import NamedSigner
from gateway.ledger.stored import state as log_state
from gateway.members.members import admission
from gateway.settings import Settings
from gateway.vault.keyring import KeyRing


class LogSigners:
    """Finds the key of each log, made with the log in one transaction. It signs under the log's own origin."""

    def __init__(self, database: Database, keyring: KeyRing) -> None:
        self._database = database
        self._keyring = keyring
        self._known: dict[str, NamedSigner] = {}

    async def of(self, log: str) -> NamedSigner:
        """The signer of a log."""
        if log not in self._known:
            key = await self._keyring.signing_key(f"log:{log}")
            origin = (await log_state(self._database, log)).origin
            self._known[log] = NamedSigner(origin, key.public, key.sign)
        return self._known[log]


class NewKeys:
    """What a new member or log gets."""

    def __init__(self, keyring: KeyRing) -> None:
        self._keyring = keyring

    async def create_member_keys(self, tx: Transaction, member_id: str, now_ms: int) -> None:
        """A member's encryption keys."""
        await self._keyring.create_member_keys(tx, member_id, now_ms)

    async def create_log_key(self, tx: Transaction, log: str, now_ms: int) -> None:
        """The key that signs a log's checkpoints."""
        await self._keyring.create_signing_key(tx, f"log:{log}", now_ms)


class Roll:
    """Identity's question to the roll of members."""

    def __init__(self, reading: Reading) -> None:
        self._asked = AskedTogether(partial(admission, reading))

    async def admission(self, member: str) -> Admission | None:
        """Where the member stands now."""
        return await self._asked.ask(member)


class TokenEvents:
    """Tokens granted, refused to known clients, and revoked, in the operator's log of their alliance."""

    def __init__(self, ledger: Ledger, roll: Roll, agreements: Agreements) -> None:
        self._ledger = ledger
        self._roll = roll
        self._agreements = agreements

    async def on_granted(self, subject: Subject, spending: Spending | None, sign: Callable[[], str]) -> str:
        """What a token grants, before it is handed out; it is signed while the disk takes the entry."""
        facts = {
            "act": "token_granted",
            "actor": subject.actor(),
            "agreements": sorted({grant.agreement for grant in subject.agreements}),
            "actions": sorted(subject.actions),
            "expires_at": subject.expires_at,
        }
        draft = Draft(log=subject.alliance, kind=Kind.ADMIN, facts=facts, once=spending, signing=lambda _: sign())
        try:
            return (await self._ledger.record(draft)).signed
        except UsedBefore:
            return ""

    async def on_refused(self, client: KnownClient, code: str) -> None:
        """Why a client that proved its key was refused."""
        admission = await self._roll.admission(client.member)
        if admission is not None:
            facts = {"actor": {"member": client.member, "client": client.id}, "code": code}
            draft = Draft(log=admission.alliance, kind=Kind.TOKEN_REFUSED, effect=Effect.DENY, facts=facts)
            await self._ledger.record(draft)

    async def on_revoked(self, subject: Subject) -> None:
        """End a token: narrowed are the owners that it could read from, and their logs carry the entry too."""
        owners = await self._agreements.owners({grant.agreement for grant in subject.agreements})
        async with self._ledger.changing(subject.alliance, narrows=owners) as change:
            if not await revoke(change.tx, subject):
                return
            facts = {"act": "token_revoked", "actor": subject.actor(), "expires_at": subject.expires_at}
            for log in (subject.alliance, *sorted(owners)):
                change.enter(Draft(log=log, kind=Kind.ADMIN, facts=facts))


def outward_post(settings: Settings) -> Post:
    """Sends to members' addresses; its HTTP client is made when the first is sent to."""
    made: list[Post] = []

    async def post(uri: str, content: bytes, headers: Mapping[str, str]) -> None:
        if not made:
            from gateway.identity.outward import PostClient  # noqa: PLC0415 - its HTTP client takes long to import

            made.append(PostClient(loopback=settings.jwks_loopback).post)
        await made[0](uri, content, headers)

    return post


def look_at_keys(*, loopback: bool) -> Look:
    """Fetches members' key sets; its HTTP client, which takes long to import, is made when the first is looked at."""
    made: list[Look] = []

    async def look(uri: str) -> list[object]:
        if not made:
            from gateway.identity.key_set_client import KeySetClient  # noqa: PLC0415 - as said

            made.append(KeySetClient(loopback=loopback).look)
        return await made[0](uri)

    return look
