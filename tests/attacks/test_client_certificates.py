"""Client certificates over real TLS: a real nginx with the shipped configuration, in front of a real server."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import DNSName, UniformResourceIdentifier

from gateway.clock import system_clock
from gateway.database import Database
from gateway.identity import Identity, Method, TrustedProxy, register_client
from tests.identity.authority import Authority, Credential, self_signed
from tests.identity.test_authentication import NAMES, PKI, _certificates
from tests.identity.test_independent_clients import application
from tests.identity.world import (
    JWT_BEARER,
    MEMBER_DETAILS,
    MovableClock,
    World,
    build_identity,
    build_world,
)
from tests.listening import listening
from tests.services import free_port
from tests.services.nginx import Nginx
from tests.services.or_skip import or_skip

_CLAIMS = {"grant_type": "client_credentials", "authorization_details": json.dumps(MEMBER_DETAILS)}


class Machine(httpx.AsyncClient):
    """One system outside: a TLS client with or without a certificate."""


@dataclass
class Behind:
    """Identity behind a real proxy; `authority` is the one that the proxy trusts."""

    world: World
    identity: Identity
    nginx: Nginx
    authority: Authority
    upstream: int
    folder: Path

    async def register(self, method: Method) -> str:
        async with self.world.database.transaction() as tx:
            return await register_client(tx, member_id="bank", name="one", now_ms=0, method=method)

    def machine(self, credential: Credential | None = None) -> Machine:
        context = self.nginx.trust()
        if credential:
            context.load_cert_chain(*credential.files(self.folder))
        return Machine(verify=context, timeout=10)

    async def ask(
        self, machine: Machine, client: str, *, base: str | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        form = {**_CLAIMS, "client_id": client}
        return await machine.post(f"{base or self.nginx.mtls_url}/token", data=form, headers=headers)

    async def token(self, machine: Machine, client: str) -> str:
        answer = await self.ask(machine, client)
        assert answer.status_code == 200, answer.text
        assert answer.json()["token_type"] == "Bearer"
        return str(answer.json()["access_token"])

    async def read(
        self, machine: Machine, token: str, *, base: str | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        sent = {"Authorization": f"Bearer {token}", **(headers or {})}
        return await machine.get(f"{base or self.nginx.mtls_url}/v1/things/one", headers=sent)


@pytest.fixture
async def behind(sqlite_database: Database, tmp_path: Path) -> AsyncIterator[Behind]:
    authority = Authority()
    trusted, _ = authority.own.files(tmp_path)
    upstream = free_port()
    nginx = or_skip(Nginx, [upstream], authorities=trusted)
    clock = MovableClock()
    clock.ms = system_clock()
    world = await build_world(sqlite_database, clock)
    identity = build_identity(
        world.database, world.clock, world.token_key, world.terms, world.members, world.record,
        issuer=nginx.url, resource=f"{nginx.url}/v1", mtls=nginx.mtls_url,
        proxy=TrustedProxy([ip_network("127.0.0.1")], nginx.secret.encode()),
    )  # fmt: skip
    with nginx:
        async with listening(application(identity), upstream):
            yield Behind(world, identity, nginx, authority, upstream, tmp_path)


@pytest.mark.parametrize("bits", [None, 2048, 4096], ids=["P-256", "RSA-2048", "RSA-4096"])
async def test_a_certificate_of_the_trusted_authority_reads(behind: Behind, bits: int | None) -> None:
    """Also one that is long: nginx knows it in lines, the gateway gets it in one."""
    client = await behind.register(PKI)
    key = rsa.generate_private_key(65537, bits) if bits else None
    many = tuple(DNSName(f"host-{number}.bank.example") for number in range(40 if bits else 0))
    async with behind.machine(behind.authority.issue(names=(*NAMES, *many), key=key)) as machine:
        token = await behind.token(machine, client)
        answer = await behind.read(machine, token)
    assert (answer.status_code, answer.json()["member"]) == (200, "bank")


async def test_a_registered_certificate_that_signs_itself_reads(behind: Behind) -> None:
    mine = self_signed()
    client = await behind.register(_certificates(mine.thumbprint))
    async with behind.machine(mine) as machine:
        assert (await behind.read(machine, await behind.token(machine, client))).status_code == 200


async def test_the_metadata_leads_to_the_listener_that_asks_for_certificates(behind: Behind) -> None:
    client = await behind.register(PKI)
    async with behind.machine(behind.authority.issue(names=NAMES)) as machine:
        found = (await machine.get(f"{behind.nginx.url}/.well-known/oauth-authorization-server")).json()
        alias = found["mtls_endpoint_aliases"]["token_endpoint"]
        assert (await machine.post(alias, data={**_CLAIMS, "client_id": client})).status_code == 200
        assert (await behind.ask(machine, client, base=behind.nginx.url)).status_code == 401


async def test_without_a_certificate_there_is_neither_token_nor_answer(behind: Behind) -> None:
    client = await behind.register(PKI)
    async with behind.machine(behind.authority.issue(names=NAMES)) as machine:
        token = await behind.token(machine, client)
    async with behind.machine() as nobody:
        assert (await behind.ask(nobody, client)).json()["error"] == "invalid_client"
        stolen = await behind.read(nobody, token)
    assert stolen.status_code == 401
    assert stolen.headers["www-authenticate"].startswith('Bearer error="invalid_token"')


async def test_a_stolen_token_is_worth_nothing_with_another_certificate(behind: Behind) -> None:
    client = await behind.register(PKI)
    async with behind.machine(behind.authority.issue(names=NAMES)) as machine:
        token = await behind.token(machine, client)
    for thief in (behind.authority.issue(), self_signed(), behind.authority.issue(names=NAMES)):
        async with behind.machine(thief) as machine:
            assert (await behind.read(machine, token)).status_code == 401


async def test_a_certificate_header_from_outside_never_arrives(behind: Behind) -> None:
    """Smuggled under every spelling, with verdict and secret, to both listeners, with and without a certificate."""
    client, mine = await behind.register(PKI), behind.authority.issue(names=NAMES)
    async with behind.machine(mine) as machine:
        token = await behind.token(machine, client)
    value, secret = mine.header.decode(), "s" * 64
    smuggled = [
        {name: value, "Client-Cert-Verify": "SUCCESS", "Gateway-Proxy": secret}
        for name in ("Client-Cert", "client-cert", "CLIENT-CERT", "Client_Cert", "Client-Cert-Chain", "X-Client-Cert")
    ]
    for headers in smuggled:
        for thief in (None, self_signed()):
            async with behind.machine(thief) as machine:
                for base in (behind.nginx.url, behind.nginx.mtls_url):
                    assert (await behind.ask(machine, client, base=base, headers=headers)).status_code == 401
                    assert (await behind.read(machine, token, base=base, headers=headers)).status_code == 401


async def test_the_verdict_cannot_be_said_from_outside(behind: Behind) -> None:
    client = await behind.register(PKI)
    forged = self_signed("CN=core", names=NAMES)
    async with behind.machine(forged) as machine:
        answer = await behind.ask(machine, client, headers={"Client-Cert-Verify": "SUCCESS"})
    assert answer.status_code == 401


async def test_a_peer_that_is_not_the_proxy_speaks_for_nobody(behind: Behind) -> None:
    """Straight to the gateway's port from the proxy's own address, but without its secret."""
    client, mine = await behind.register(PKI), behind.authority.issue(names=NAMES)
    async with behind.machine(mine) as machine:
        token = await behind.token(machine, client)
    base = f"http://127.0.0.1:{behind.upstream}"
    headers = {"Client-Cert": mine.header.decode(), "Client-Cert-Verify": "SUCCESS"}
    async with Machine() as beside:
        assert (await behind.ask(beside, client, base=base, headers=headers)).status_code == 401
        assert (await behind.read(beside, token, base=base, headers=headers)).status_code == 401
        known = {**headers, "Gateway-Proxy": behind.nginx.secret}
        assert (await behind.ask(beside, client, base=base, headers=known)).status_code == 200


@pytest.mark.parametrize("names", [(), (DNSName("core.bank.example.evil"),), (UniformResourceIdentifier("core"),)])
async def test_a_good_chain_without_the_registered_name_is_refused(behind: Behind, names: tuple[Any, ...]) -> None:
    client = await behind.register(PKI)
    async with behind.machine(behind.authority.issue(names=names)) as machine:
        assert (await behind.ask(machine, client)).status_code == 401


async def test_another_authority_may_write_any_name_in_vain(behind: Behind) -> None:
    client, other = await behind.register(PKI), Authority(name="Authority")
    async with behind.machine(other.issue(names=NAMES)) as machine:
        assert (await behind.ask(machine, client)).status_code in (400, 401)


async def test_another_clients_certificate_is_refused(behind: Behind) -> None:
    mine, theirs = self_signed(), self_signed()
    client = await behind.register(_certificates(mine.thumbprint))
    other = await behind.register(_certificates(theirs.thumbprint))
    async with behind.machine(theirs) as machine:
        assert (await behind.ask(machine, client)).status_code == 401
        assert (await behind.ask(machine, other)).status_code == 200


@pytest.mark.parametrize(("begins", "ends"), [(-86_400, -60), (3_600, 86_400)], ids=["expired", "not yet valid"])
async def test_an_expired_certificate_is_refused(behind: Behind, begins: int, ends: int) -> None:
    """nginx ends it with 400 or passes it on with its verdict; neither way leads to a token."""
    issued = behind.authority.issue(names=NAMES, begins=begins, ends=ends)
    own = self_signed(begins=begins, ends=ends)
    by_name, by_certificate = await behind.register(PKI), await behind.register(_certificates(own.thumbprint))
    for client, credential in ((by_name, issued), (by_certificate, own)):
        async with behind.machine(credential) as machine:
            assert (await behind.ask(machine, client)).status_code in (400, 401)
    assert behind.world.record.granted == []


async def test_a_renewed_certificate_needs_a_new_token_and_no_registration(behind: Behind) -> None:
    client = await behind.register(PKI)
    async with behind.machine(behind.authority.issue(names=NAMES)) as machine:
        token = await behind.token(machine, client)
    async with behind.machine(behind.authority.issue(names=NAMES)) as renewed:
        assert (await behind.read(renewed, token)).status_code == 401
        assert (await behind.read(renewed, await behind.token(renewed, client))).status_code == 200


async def test_a_certificate_and_an_assertion_are_one_method_too_many(behind: Behind) -> None:
    client = await behind.register(PKI)
    signed = behind.world.assertion(iss=client, sub=client, aud=behind.nginx.url)
    form = {**_CLAIMS, "client_id": client, "client_assertion": signed, "client_assertion_type": JWT_BEARER}
    async with behind.machine(behind.authority.issue(names=NAMES)) as machine:
        answer = await machine.post(f"{behind.nginx.mtls_url}/token", data=form)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def _connected(context: ssl.SSLContext, port: int, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port), timeout=5)
    return context.wrap_socket(plain, server_hostname="127.0.0.1", session=session)


async def test_a_resumed_session_is_of_the_certificate_that_began_it(behind: Behind) -> None:
    """A TLS session without a certificate, resumed at the other listener, brings none along."""
    client = await behind.register(PKI)
    context = behind.nginx.trust()
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def resume() -> tuple[bool, bytes]:
        with _connected(context, behind.nginx.port) as first:
            session = first.session
        with _connected(context, behind.nginx.mtls_port, session) as second:
            body = f"grant_type=client_credentials&client_id={client}"
            second.sendall(
                f"POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            return bool(second.session_reused), second.recv(200)

    _, answer = await asyncio.to_thread(resume)
    assert b" 401 " in answer
