"""The parts that settings decide on: which engine judges, how identity is shared, which provider signs people in."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gateway.agreements import Agreements
from gateway.clock import Clock
from gateway.database import Database
from gateway.errors import Invalid
from gateway.identity import (
    DatabaseWindow,
    Identity,
    MemoryWindow,
    ProofWindow,
    Rate,
    Rates,
    SecurityLog,
    TokenKey,
    TrustedProxy,
)
from gateway.ledger import Ledger
from gateway.members.published_keys import PublishedKeys
from gateway.policy import DecisionPoint, Engine, load_bundle
from gateway.policy.rego import EmbeddedRego
from gateway.settings import Settings
from gateway.signing import Signing
from gateway.supplies import Roll, TokenEvents, look_at_keys
from gateway.vault.files import read_secret
from gateway.vault.keyring import KeyRing

if TYPE_CHECKING:
    from gateway.identity.operators.provider import ProviderSettings

PROVIDER_KEY = "oidc client"

_LONGEST_BEARER = 4096
_SHORTEST_PROXY_SECRET = 32


async def decision_point(settings: Settings, stack: AsyncExitStack) -> DecisionPoint:
    """The engine that the settings name, self-tested; `SelfTestFailed` refuses to serve."""
    bundle = load_bundle(settings.policies_dir)
    engine: Engine
    if settings.opa_url:
        from gateway.policy.opa import OpaServer  # noqa: PLC0415 - its HTTP client takes long to import

        url = urlsplit(settings.opa_url)
        token = await asyncio.to_thread(_bearer, settings)
        opa = OpaServer(
            bundle.digest,
            host=url.hostname or "",
            port=url.port or 8181,
            tls=url.scheme == "https",
            token=token,
            timeout_s=settings.opa_timeout_ms / 1000,
        )
        await opa.open()
        engine = opa
    else:
        engine = EmbeddedRego(bundle)
    decisions = DecisionPoint(engine)
    stack.push_async_callback(decisions.close)
    await decisions.start()
    return decisions


async def provider_of(settings: Settings, keyring: KeyRing) -> ProviderSettings | None:
    """How operators sign in at their company; None where they have passkeys alone."""
    if not settings.oidc_issuer:
        return None
    from gateway.identity.operators.provider import ProviderSettings  # noqa: PLC0415 - as above

    if settings.oidc_secret_file is not None:
        secret = await asyncio.to_thread(read_secret, settings.oidc_secret_file, limit=_LONGEST_BEARER)
        return ProviderSettings.of(settings, secret=secret.decode().strip())
    own = await keyring.signing_key(PROVIDER_KEY)
    return ProviderSettings.of(settings, key=TokenKey.of(own.private, own.kid))


def _bearer(settings: Settings) -> str | None:
    if settings.opa_token_file is None:
        return None
    return read_secret(settings.opa_token_file, limit=_LONGEST_BEARER).decode().strip()


async def identity_of(
    settings: Settings,
    database: Database,
    signing: Signing,
    ledger: Ledger,
    agreements: Agreements,
    clock: Clock,
    stack: AsyncExitStack,
) -> Identity:
    """Who asks: with replay windows shared through Valkey, or this process's own."""
    proofs: ProofWindow
    if settings.valkey_url:
        from gateway.identity.replay_valkey import ValkeyWindow  # noqa: PLC0415 - as above

        valkey = await ValkeyWindow.connect(settings.valkey_url, clock)
        stack.push_async_callback(valkey.close)
        proofs = valkey
    else:
        proofs = MemoryWindow(clock)
    roll, log = Roll(database), SecurityLog()
    secret = await asyncio.to_thread(_proxy_secret, settings)
    return Identity(
        database,
        clock,
        signing.tokens,
        issuer=settings.base_url,
        resource=f"{settings.base_url}/v1",
        proofs=proofs,
        assertions=DatabaseWindow(database, clock),
        terms=agreements,
        membership=roll,
        record=TokenEvents(ledger, roll, agreements),
        log=log,
        published=PublishedKeys(database, ledger, clock, look_at_keys(loopback=settings.jwks_loopback), log),
        proxy=TrustedProxy(settings.proxy_networks, secret),
        mtls=settings.mtls_issuer,
        rates=Rates(
            client=Rate(settings.client_rate, settings.client_burst),
            stranger=Rate(settings.stranger_rate, settings.stranger_burst),
        ),
    )


def _proxy_secret(settings: Settings) -> bytes:
    if settings.proxy_secret_file is None:
        return b""
    secret = read_secret(settings.proxy_secret_file, limit=_LONGEST_BEARER).strip()
    if len(secret) < _SHORTEST_PROXY_SECRET:
        raise Invalid(
            "proxy_secret_too_short",
            f"The proxy's secret has at least {_SHORTEST_PROXY_SECRET} characters.",
            field="GATEWAY_PROXY_SECRET_FILE",
            remedy="Make one: openssl rand -hex 32.",
        )
    return secret
