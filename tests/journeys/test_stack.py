"""The production set as `make stack` starts it, and a whole journey through its TLS proxy."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from stdnum.cn import uscc

from deploy.stack import Stack, gateway_program, running
from gateway.app import compose
from gateway.demo.admission import admit
from gateway.ledger.stored import entries, state
from gateway.settings import Settings
from gateway.vault import passphrase
from gateway.vault.providers import LocalKeyring
from tests.access.world import person
from tests.alliance import MARKET_SCHEMA, PERSONAL_SCHEMA, Alliance, Member, public
from tests.confiding import assess, done, opt_in
from tests.identity.authority import Credential, certificate
from tests.rules.sources import ROOT
from tests.served import Spread
from tests.services import free_port
from tests.services.or_skip import or_skip
from tests.services.process import listens

_METADATA = "/.well-known/oauth-authorization-server"
_TWICE = 20


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with ExitStack() as opened:
        yield or_skip(opened.enter_context, running())


def _metadata(stack: Stack) -> dict[str, Any]:
    with urllib.request.urlopen(stack.issuer + _METADATA, context=stack.nginx.trust(), timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


@dataclass(frozen=True)
class Operator:
    """Who acts on the host, by the command line alone."""

    stack: Stack
    folder: Path

    @property
    def environment(self) -> Mapping[str, str]:
        return {**self.stack.gateways[0].environment, "GATEWAY_DATA_DIR": str(self.folder / "data")}

    async def act(self, *arguments: str, by: str = "first") -> str:
        """Run `gateway ARGUMENTS` as the operator `by`; what it printed."""
        run = await asyncio.to_thread(
            subprocess.run, [*gateway_program(), *arguments], env={**self.environment, "SUDO_USER": by},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stdout
        return run.stdout.strip()

    async def by_two(self, *arguments: str) -> str:
        """One operator proposes, another approves; what the act made."""
        return await self.act("admin", "approve", await self.act("admin", *arguments), by="second")

    def key_file(self, name: str, jwk: Mapping[str, Any]) -> str:
        """A public key, handed over as a file."""
        path = self.folder / f"{name}.jwk.json"
        path.write_text(json.dumps(jwk))
        return str(path)

    async def admit(self, alliance: Alliance, name: str) -> Member:
        """A member with its client and its signing key."""
        member = Member(name, alliance)
        body = f"91310000MA1{len(alliance.members):06d}"
        alliance.members[name] = member
        code = member.uscc = body + uscc.calc_check_digit(body)
        member.id = await self.act("admin", "member", alliance.id, "--name", name, "--uscc", code, "--industry", "test")
        await admit(alliance.gateway, member.id, uscc=code)
        client = self.key_file(f"{name}-client", public(member.client_key))
        signing = self.key_file(f"{name}-signing", public(member.signing_key))
        member.client, _ = await asyncio.gather(
            self.by_two("client", member.id, client, "--name", f"{name} systems"),
            self.by_two("signing-key", member.id, signing),
        )
        return member


@asynccontextmanager
async def _alliance(stack: Stack, folder: Path) -> AsyncIterator[tuple[Operator, Alliance]]:
    """A bank and a hotel, admitted by the command line, speaking to the proxy over TLS."""
    (folder / "data").mkdir(mode=0o700)
    operator = Operator(stack, folder)
    settings = Settings.from_environment(operator.environment)
    assert settings.passphrase_file is not None
    secret = passphrase.from_file(settings.passphrase_file, data_directory=settings.data_dir)
    keyring = LocalKeyring.open(settings.keyring_path, secret)
    async with (
        compose(settings, keyring, process="test") as gateway,
        httpx.AsyncClient(verify=stack.nginx.trust(), timeout=20) as http,
    ):
        alliance = Alliance(gateway, http, id=await operator.act("admin", "alliance", "Production"))
        await asyncio.gather(*(operator.admit(alliance, name) for name in ("bank", "hotel")))
        yield operator, alliance


async def test_a_whole_journey_through_the_proxy(stack: Stack, tmp_path: Path) -> None:
    async with _alliance(stack, tmp_path) as (operator, alliance):
        bank, hotel = alliance.members["bank"], alliance.members["hotel"]
        people = await bank.declare(PERSONAL_SCHEMA)
        uploaded = await bank.upload(people, [person(number) for number in range(5)])
        assert uploaded.json()["accepted"] == 5
        agreement, text = await bank.draft(hotel, people, ["name", "phone"], purposes=["customer_referral"])
        path = f"/v1/agreements/{agreement}/datasets/{people}/records"
        unsigned = await hotel.get(path, await hotel.token(), purpose="customer_referral")
        assert (unsigned.status_code, unsigned.json()["code"]) == (403, "AGREEMENT_NOT_IN_FORCE")
        await bank.confirm(hotel)
        await hotel.confirm(bank)
        for party in (bank, hotel):
            assert (await party.sign(agreement, text)).status_code == 200
            done(await opt_in(party, agreement, people))
        done(await assess(bank, agreement, people))
        token = await hotel.token(hotel.under(agreement, people, "customer_referral"))
        assert (await hotel.get(path, token)).json()["records"] == []
        who = [person(number)["customer_no"] for number in range(3)]
        await bank.consent(people, hotel, *who)
        page = (await hotel.get(path, token)).json()["records"]
        assert sorted(one["fields"]["name"] for one in page) == ["Person 0", "Person 1", "Person 2"]
        found = await hotel.post(f"{path}/query", token, {"filters": {"phone": person(1)["phone"]}})
        assert [one["fields"]["name"] for one in found.json()["records"]] == ["Person 1"]
        assert (await bank.withdraw(people, who[1])).status_code == 200
        page = (await hotel.get(path, token)).json()["records"]
        assert sorted(one["fields"]["name"] for one in page) == ["Person 0", "Person 2"]

        nodes = await _check_evidence(operator, bank, tmp_path)
        assert nodes >= 2, "one of the gateways served nothing"
        await operator.act("admin", "revoke-client", hotel.client)
        assert (await hotel.get(path, token)).status_code == 401


async def _check_evidence(operator: Operator, owner: Member, folder: Path) -> int:
    """Export and verify the owner's log; returns how many gateways wrote accesses into it."""
    bundle = folder / "evidence.zip"
    proposal, keys = await asyncio.gather(operator.act("admin", "export-log", owner.id), operator.act("admin", "logs"))
    await operator.act("admin", "approve", proposal, by="second")
    await operator.act("export", owner.id, "--out", str(bundle), "--permit", proposal)
    vkey = next(line.split('"')[3] for line in keys.splitlines() if '"vkey"' in line and owner.id in line)
    assert "ok" in await operator.act("verify", str(bundle), "--vkey", vkey)
    token = await owner.token()
    served = await owner.get(f"/v1/logs/{owner.id}/checkpoint", token)
    size = int(served.text.splitlines()[1])
    tile = await owner.get(f"/v1/logs/{owner.id}/tile/entries/000.p/{size}", token)
    assert tile.status_code == 200, tile.text
    nodes = {node for node in _nodes(tile.content) if not node.endswith((":admin", ":test"))}
    return len(nodes)


def _nodes(tile: bytes) -> Iterator[str]:
    """The node of each entry of a C2SP entry bundle: uint16 length, body."""
    while tile:
        length = int.from_bytes(tile[:2], "big")
        yield json.loads(tile[2 : 2 + length])["node"]
        tile = tile[2 + length :]


async def test_two_gateways_are_one(stack: Stack, tmp_path: Path) -> None:
    """A token of either holds at the other, and one proof shown to both at once is believed once."""
    ports = [gateway.port for gateway in stack.gateways]
    async with _alliance(stack, tmp_path) as (_, alliance):
        bank, hotel = alliance.members["bank"], alliance.members["hotel"]
        places = await bank.declare(MARKET_SCHEMA)
        await bank.upload(places, [{"code": "PEK", "city": "Beijing", "price": 1, "margin": 1}])
        agreement = await bank.agree(hotel, places, ["code"])
        path = f"/v1/agreements/{agreement}/datasets/{places}/records"
        async with httpx.AsyncClient(transport=Spread(ports), timeout=20) as direct:
            alliance.http = direct
            for issued, used in (ports, ports[::-1]):
                async with httpx.AsyncClient(transport=Spread([issued])) as alliance.http:
                    token = await hotel.token(hotel.under(agreement, places))
                async with httpx.AsyncClient(transport=Spread([used])) as alliance.http:
                    assert (await hotel.get(path, token)).status_code == 200
            both = Counter[tuple[int, ...]]()
            for _ in range(_TWICE):
                proof = hotel.proof("GET", alliance.base + path, token)
                headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
                answers = await asyncio.gather(
                    *(direct.get(alliance.base + path, headers=headers, extensions={"port": port}) for port in ports)
                )
                both[tuple(sorted(answer.status_code for answer in answers))] += 1
            assert both == {(200, 401): _TWICE}


async def test_a_client_with_a_certificate_reads_without_any_key_of_its_own(stack: Stack, tmp_path: Path) -> None:
    """Registered on the command line by a name in its certificate, and on record with what its token is bound to."""
    async with _alliance(stack, tmp_path) as (operator, alliance):
        bank, hotel = alliance.members["bank"], alliance.members["hotel"]
        places = await bank.declare(MARKET_SCHEMA)
        await bank.upload(places, [{"code": "PEK", "city": "Beijing", "price": 1, "margin": 1}])
        agreement = await bank.agree(hotel, places, ["code"])
        client = await operator.by_two(
            "client", hotel.id, "--name", "by certificate", "--san-dns", "core.hotel.example"
        )
        mine = _issued_by(stack, x509.DNSName("core.hotel.example"))
        context = stack.nginx.trust()
        context.load_cert_chain(*mine.files(tmp_path))
        form = {
            "grant_type": "client_credentials",
            "client_id": client,
            "authorization_details": json.dumps([hotel.under(agreement, places)]),
        }
        alias = _metadata(stack)["mtls_endpoint_aliases"]["token_endpoint"]
        path = f"/v1/agreements/{agreement}/datasets/{places}/records"
        async with httpx.AsyncClient(verify=context, timeout=20) as machine:
            answer = await machine.post(alias, data=form)
            assert answer.status_code == 200, answer.text
            headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
            page = await machine.get(stack.nginx.mtls_url + path, headers=headers)
            assert [one["fields"] for one in page.json()["records"]] == [{"code": "PEK"}]
            assert (await alliance.http.get(stack.nginx.mtls_url + path, headers=headers)).status_code == 401
            assert (await machine.get(stack.issuer + path, headers=headers)).status_code == 401
            for gateway in stack.gateways:
                direct = await machine.get(f"http://127.0.0.1:{gateway.port}{path}", headers=headers)
                assert direct.status_code == 401
            entry = await _newest(alliance, bank.id)
            assert entry["actor"]["x5t#S256"] == mine.thumbprint
            assert entry["actor"].keys() == {"member", "client", "token", "x5t#S256"}
            await operator.by_two("client-method", client, "--san-dns", "other.hotel.example")
            assert (await machine.get(stack.nginx.mtls_url + path, headers=headers)).status_code == 401
            assert (await machine.post(alias, data=form)).status_code == 401


def _issued_by(stack: Stack, *names: x509.GeneralName) -> Credential:
    """A client certificate of the one authority that the proxy trusts: its own."""
    key = load_pem_private_key((stack.nginx.directory / "key.pem").read_bytes(), None)
    own = Credential(x509.load_pem_x509_certificate(stack.nginx.certificate.read_bytes()), key)
    return certificate("CN=core", issuer=own, names=names, begins=-60)


async def _newest(alliance: Alliance, log: str) -> dict[str, Any]:
    database = alliance.gateway.database
    (row,) = await entries(database, log, (await state(database, log)).size - 1, 1)
    found: dict[str, Any] = json.loads(row["body"])
    return found


def test_the_proxy_answers_as_the_issuer(stack: Stack) -> None:
    assert _metadata(stack)["issuer"] == stack.issuer


def test_one_gateway_is_enough(stack: Stack) -> None:
    first = stack.gateways[0]
    first.kill()
    try:
        assert {_metadata(stack)["issuer"] for _ in range(6)} == {stack.issuer}
    finally:
        first.start()


def test_ctrl_c_stops_everything(opa_binary: object) -> None:
    port = free_port()
    in_background = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]  # as a shell starts a job behind `&`
    run = subprocess.Popen(
        [*in_background, sys.executable, "-m", "deploy.stack", "--port", str(port)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert run.stdout is not None
    said = ""
    with run.stdout as output:
        for line in output:
            said += line
            if line.startswith("Ctrl-C"):
                run.send_signal(signal.SIGINT)
    assert run.wait(60) == 0, said
    assert f"https://127.0.0.1:{port}" in said
    ports = [int(word.split(":")[-1].strip("/")) for word in said.split() if "127.0.0.1:" in word]
    assert len(ports) == 7
    assert [port for port in ports if listens(port)] == []
