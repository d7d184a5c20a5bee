"""The composition root: the only place that constructs. Everything else is handed what it needs."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gateway import migrations
from gateway.access.case_bundles import CaseBundles
from gateway.access.cases import DecidedCases
from gateway.access.deciding import Deciding
from gateway.access.enforcement import EnforcementPoint
from gateway.access.export_permits import ExportActs
from gateway.access.exports import Exports
from gateway.access.governing import GoverningFacts
from gateway.access.message_signing import MessageSigning
from gateway.access.messages import KeptMessages
from gateway.access.search import Search
from gateway.access.sharing import Sharing
from gateway.agreements import AgreementLife, Agreements, Endings, Holds
from gateway.agreements.drafting import Drafting
from gateway.agreements.negotiation import Negotiation
from gateway.agreements.pdf.evidence import PdfEvidence
from gateway.approvals import Approvals
from gateway.cases.breaches import Breaches
from gateway.cases.casework import Casework
from gateway.catalog import Datasets, Uploads
from gateway.catalog.ownership import Ownership
from gateway.clock import Clock, system_clock
from gateway.confidentiality import Circumstances, Confidentiality
from gateway.consents.contacts import ContactKeyActs
from gateway.consents.following import FollowUpDuties
from gateway.database import Database
from gateway.database.creation import sqlite_url
from gateway.database.postgresql import PostgreSQLDatabase
from gateway.database.sqlite import SQLiteDatabase
from gateway.duties.duties import Duties
from gateway.errors import Invalid
from gateway.identity import (
    Identity,
)
from gateway.identity.metadata import CLIENTS_PATH
from gateway.identity.operators.directory import OperatorDirectory
from gateway.identity.operators.sessions import Sessions
from gateway.ledger import Draft, Kind, Ledger, LedgerRolledBack
from gateway.ledger.integrator import Integrator
from gateway.ledger.note import VerifierKey
from gateway.ledger.tiles import Tiles
from gateway.members import Members, SigningKeys
from gateway.members.admission import Admissions
from gateway.members.attestations import Attestations
from gateway.members.client_acts import ClientActs
from gateway.members.clients import Clients
from gateway.members.directory import Directory
from gateway.members.registration import Registration
from gateway.parts import PROVIDER_KEY, decision_point, identity_of, provider_of
from gateway.persons import Persons, persons_of
from gateway.policy import DecisionPoint
from gateway.policy.purposes import registered_purposes
from gateway.policy.tables import activate
from gateway.referrals.referral import is_partys_under
from gateway.rights.erasing import deleted_since
from gateway.settings import Settings
from gateway.signing import RotationActs, Signing, key_rotation
from gateway.supplies import LogSigners, NewKeys, outward_post
from gateway.vault.errors import KeysUnavailable
from gateway.vault.keyring import OWN, KeyRing
from gateway.vault.provider import KekProvider
from gateway.vault.rotation import KeyRotation, RotatedKey
from gateway.vault.vault import Vault

if TYPE_CHECKING:
    from gateway.identity.operators.operators import Operators
    from gateway.identity.operators.provider import ProviderSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway(Persons):
    """Everything that is constructed, for the web application, the command line and the tests."""

    settings: Settings
    clock: Clock
    database: Database
    keyring: KeyRing
    ledger: Ledger
    integrator: Integrator
    members: Members
    admissions: Admissions
    attestations: Attestations
    directory: Directory
    signing_keys: SigningKeys
    clients: Clients
    approvals: Approvals
    registration: Registration
    agreements: Agreements
    life: AgreementLife
    negotiation: Negotiation
    pdf: PdfEvidence
    endings: Endings
    holds: Holds
    confidentiality: Confidentiality
    casework: Casework
    case_bundles: CaseBundles
    duties: Duties
    datasets: Datasets
    uploads: Uploads
    decisions: DecisionPoint
    enforcement: EnforcementPoint
    sharing: Sharing
    identity: Identity
    tiles: Tiles
    exports: Exports
    log_signers: LogSigners
    signing: Signing
    key_rotation: KeyRotation
    messages: KeptMessages
    message_signing: MessageSigning
    operators: OperatorDirectory
    provider: ProviderSettings | None

    def operator_sign_in(self) -> Operators:
        """How operators sign in; for servers alone, because its libraries take long to import."""
        from gateway.identity.operators.operators import Operators  # noqa: PLC0415 - as said

        core = (self.database, self.ledger, self.clock, self.identity.log)
        return Operators.of(*core, self.operators, base_url=self.settings.base_url, provider=self.provider)

    async def activate_policy(self, alliance: str, *, operator: str) -> str:
        """Put the policy that this process has loaded in force; returns its digest.

        Every owner's log is narrowed: no permit judged by the former policy follows.
        """
        digest = self.decisions.digest
        owners = await self.members.of_alliance(alliance)
        async with self.ledger.changing(alliance, narrows=owners) as change:
            await activate(change.tx, alliance, digest, change.now_ms)
            facts = {"act": "policy_activated", "actor": {"operator": operator}, "policy_digest": digest}
            change.enter(Draft(log=alliance, kind=Kind.ADMIN, facts=facts))
        return digest

    async def adopt_head(self, log: str, *, operator: str) -> None:
        """As `Integrator.adopt`, with an entry in the log."""

        async def enter(size: int) -> None:
            facts = {"act": "head_adopted", "actor": {"operator": operator}, "size": size}
            await self.ledger.record(Draft(log=log, kind=Kind.ADMIN, facts=facts))

        await self.integrator.adopt(log, enter)

    async def verifier_keys(self) -> list[dict[str, str]]:
        """Every log's id, origin and verifier key (C2SP vkey), to be handed over out of band."""
        keys = {log: await self.verifier_key(log) for log in await self.tiles.logs()}
        return [{"log": log, "origin": key.name, "vkey": str(key)} for log, key in keys.items()]

    async def verifier_key(self, log: str) -> VerifierKey:
        """The key that verifies a log's checkpoints."""
        signer = await self.log_signers.of(log)
        return VerifierKey(signer.name, signer.public_key)


def database_url(settings: Settings) -> str:
    """The database's address, for migrations."""
    return settings.database_url or sqlite_url(settings.sqlite_path)


async def open_database(settings: Settings) -> Database:
    """Connect to a database whose schema is this version's; `Invalid` says how to bring it there."""
    if not settings.database_url and not settings.sqlite_path.exists():
        raise Invalid("no_database", "There is no database yet.", remedy="Run `gateway init`.")
    database: Database
    if settings.database_url:
        database = await PostgreSQLDatabase.connect(settings.database_url)
    else:
        database = SQLiteDatabase(settings.sqlite_path)
    try:
        if await migrations.current(database) != migrations.NEWEST:
            remedy = "Run `gateway migrate`."
            raise Invalid("schema_differs", "The database has another version's schema.", remedy=remedy)
    except BaseException:
        await database.close()
        raise
    return database


async def initialise(settings: Settings, provider: KekProvider, clock: Clock = system_clock) -> None:
    """Create or upgrade the schema, and make the gateway's own keys where they are missing. One host, once."""
    await migrations.upgrade(database_url(settings))
    database = await open_database(settings)
    try:
        keyring = KeyRing(database, provider, clock)
        for use in (*RotatedKey, PROVIDER_KEY):
            try:
                await keyring.signing_key(use)
            except KeysUnavailable:
                async with database.transaction() as tx:
                    await keyring.create_signing_key(tx, use, clock())
        try:
            await keyring.unlock(OWN)
        except KeysUnavailable:
            async with database.transaction() as tx:
                await keyring.create_member_keys(tx, OWN, clock())
    finally:
        await database.close()


@asynccontextmanager
async def compose(
    settings: Settings,
    provider: KekProvider,
    clock: Clock = system_clock,
    *,
    process: str = "",
    decisions: DecisionPoint | None = None,
) -> AsyncIterator[Gateway]:
    """Construct the gateway, and close it in the opposite order.

    `process` tells apart what runs at once on one host (default: the port). Several gateways of one process may share
    `decisions`, which their caller closes; else the engine that the settings name is started, and closed here. The
    integrator is constructed and not started: only a server signs in the background.
    """
    async with AsyncExitStack() as stack:
        database = await open_database(settings)
        stack.push_async_callback(database.close)
        keyring = KeyRing(database, provider, clock)
        node = f"{socket.gethostname()}:{process or settings.port}"
        incidents: dict[str, LedgerRolledBack] = {}
        ledger = Ledger(database, clock, origin=urlsplit(settings.base_url).netloc, node=node, incidents=incidents)
        stack.push_async_callback(ledger.close)
        signing = Signing(database, keyring, clock)
        await signing.follow()
        log_signers = LogSigners(database, keyring)
        integrator = Integrator(database, clock, log_signers.of, settings.heads_path, incidents=incidents)
        stack.push_async_callback(integrator.close)
        decisions = decisions or await decision_point(settings, stack)
        datasets, ownership = Datasets(database, ledger), Ownership()
        agreements = Agreements(database, ledger)
        drafting = Drafting(ownership, partial(registered_purposes, settings.policies_dir))
        identity = await identity_of(settings, database, signing, ledger, agreements, clock, stack)
        messages = KeptMessages(database, keyring, clock)
        signing_keys, clients = SigningKeys(database, ledger), Clients(database, ledger)
        members = Members(database, ledger, NewKeys(keyring))
        endings, holds = Endings(database), Holds(database, ledger, ownership)
        rotation = key_rotation(database, ledger, keyring, clock, every_days=settings.rotate_keys_days)
        confidentiality = Confidentiality.of(database, ledger, keyring, clock, members=members, agreements=agreements)
        client_acts = ClientActs(database, resource=identity.resource, loopback=settings.jwks_loopback)
        casework = Casework.of(
            database,
            ledger,
            agreements,
            clock,
            sees_referral=partial(is_partys_under, clock),
            leak_hold_hours=settings.leak_hold_hours,
        )
        admissions = Admissions.of(database, ledger, keyring, clock, grace_days=settings.qualification_grace_days)
        attestations = Attestations(database, ledger, ownership, Breaches())
        enforcement = EnforcementPoint(
            facts=GoverningFacts(database, agreements, datasets, Circumstances(ownership)),
            deciding=Deciding(decisions, clock),
            cases=DecidedCases(database, clock),
            search=Search(database, keyring),
            ledger=ledger,
            vault=Vault(keyring),
            receipts=signing.receipts,
        )
        persons = await stack.enter_async_context(
            persons_of(
                settings,
                database,
                ledger,
                keyring,
                clock,
                signing=signing,
                datasets=datasets,
                agreements=agreements,
                enforcement=enforcement,
            )
        )
        own_acts = (RotationActs(rotation), ContactKeyActs(keyring, rotation.logs), ExportActs(), persons)
        members_acts = (client_acts, signing_keys, members, admissions, attestations)
        bringing = (*members_acts, endings, holds, confidentiality, casework, *own_acts)
        approvals = Approvals(database, ledger, clock, [act for one in bringing for act in one.acts()])
        exports = Exports(database, ledger, integrator, approvals, clock)
        beside = FollowUpDuties(database, clock)
        duties = Duties.of(database, ledger, agreements, clock, return_days=settings.return_days, beside=beside)
        sharing = Sharing.of(
            database,
            ledger,
            clock,
            enforcement=enforcement,
            receipts=signing.receipts,
            answers=signing.answers,
            messages=messages,
            post=outward_post(settings),
            loopback=settings.jwks_loopback,
        )
        stack.push_async_callback(sharing.pushes.close)
        yield Gateway(
            **{one.name: getattr(persons, one.name) for one in fields(persons)},
            settings=settings,
            clock=clock,
            database=database,
            keyring=keyring,
            ledger=ledger,
            integrator=integrator,
            members=members,
            admissions=admissions,
            attestations=attestations,
            directory=Directory(database),
            signing_keys=signing_keys,
            clients=clients,
            approvals=approvals,
            registration=Registration(
                database,
                clients,
                approvals,
                clients_url=f"{settings.base_url}/v1{CLIENTS_PATH}",
                loopback=settings.jwks_loopback,
            ),
            agreements=agreements,
            life=AgreementLife(database, ledger, agreements, drafting),
            negotiation=Negotiation(database, ledger, agreements, drafting),
            pdf=PdfEvidence(database, ledger, agreements, settings.pdf_roots_file),
            endings=endings,
            holds=holds,
            confidentiality=confidentiality,
            casework=casework,
            case_bundles=CaseBundles(casework.cases, agreements, exports),
            duties=duties,
            datasets=datasets,
            uploads=Uploads(database, datasets, keyring, ledger, clock, deleted_since),
            decisions=decisions,
            enforcement=enforcement,
            sharing=sharing,
            identity=identity,
            tiles=Tiles(database),
            exports=exports,
            log_signers=log_signers,
            signing=signing,
            key_rotation=rotation,
            messages=messages,
            message_signing=MessageSigning(identity, signing.answers, messages, ledger),
            operators=OperatorDirectory(database, ledger, Sessions(database, ledger, clock)),
            provider=await provider_of(settings, keyring),
        )
