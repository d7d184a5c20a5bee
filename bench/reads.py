"""Reads of 1 and of 100 records with DPoP beside FastAPI hello; the upload of the flights; the server's memory.

Then tokens a second, the check of a call, decisions, and the consent join: `bench/tokens.py`, `bench/checks.py`,
`bench/decisions.py`, `bench/consents.py`.

`python -m bench` makes a demo alliance in a temporary folder and prints medians of paired rounds.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import requests
import typer
from joserfc.jwk import ECKey, RSAKey
from jwskate import Jwk
from requests_oauth2client import DPoPKey
from rich.console import Console
from rich.table import Table

from bench import checks, consents, decisions, tokens
from bench.load import Round, cpu_us, measure, resident_mib
from bench.proofs import Prover
from gateway.demo.partner import Partner
from gateway.demo.run import run_demo
from gateway.demo.tables import FLIGHTS, flights
from gateway.identity.jws import PrivateKey

CONNECTIONS = 16
HELLO = "hello"


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of read: which of the partner's reads, one record or a page, how many a round, the proof, the goal."""

    name: str
    read: int
    single: bool
    requests: int
    goal: float | None = None
    algorithm: str = "ES256"


CASES = (
    Case("1 record, 1 class (airports)", 1, single=True, requests=1_000, goal=0.20),
    Case("100 records, 1 class (airports)", 1, single=False, requests=200, goal=0.05),
    Case("1 record, 1 class, proof by PS256", 1, single=True, requests=1_000, algorithm="PS256"),
    Case("100 records, 1 class, proof by PS256", 1, single=False, requests=200, algorithm="PS256"),
    Case("1 record, 2 classes (flights)", 0, single=True, requests=1_000),
    Case("100 records, 2 classes (flights)", 0, single=False, requests=130),
)
SETTLED_S = 1.0
"""The server gives memory back to the system in the first hundredths of a second after an upload's answer."""
HELLOS = 4_000
"""A round of each kind lasts about a third of a second: the machine's pace changes within seconds."""


def main(
    rounds: int = typer.Option(21, help="Paired rounds."),
    port: int = typer.Option(8790, help="Loopback port."),
    folder: Path | None = typer.Option(None, help="What `gateway demo --out` left; default: make it."),
) -> None:
    console = Console(width=150)
    console.print(f"Python {sys.version}", highlight=False)
    with tempfile.TemporaryDirectory() as temporary:
        if folder is None:
            folder = Path(temporary) / "alliance"
            run_demo(serve=False, out=folder, port=port, picture=None)
        with _server(folder, port) as server:
            try:
                _wait(port)
                asyncio.run(_compare(console, folder, port, server.pid, rounds))
                _upload(console, folder, port, server.pid)
            finally:
                server.terminate()
                server.wait()
        tokens.run(console, folder, port, rounds)
    checks.main(console)
    decisions.main(console)
    consents.run(console)


def _server(folder: Path, port: int) -> subprocess.Popen[bytes]:
    pinned = ["taskset", "-c", "0"] if (os.cpu_count() or 1) > 1 else []
    if pinned:
        os.sched_setaffinity(0, set(range(1, os.cpu_count() or 2)))
    return subprocess.Popen([*pinned, sys.executable, "-m", "bench.server", str(folder), str(port)])


def _wait(port: int) -> None:
    for _ in range(300):
        try:
            requests.get(f"http://127.0.0.1:{port}/hello", timeout=1)
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("The server did not start.")


async def _compare(console: Console, folder: Path, port: int, pid: int, rounds: int) -> None:
    base = f"http://127.0.0.1:{port}"
    partner, member = _partner(folder, base, "hotel")
    reads = [urlsplit(read["url"]).path for read in member["reads"] if read["purpose"] == "market_analysis"]
    keys: dict[str, PrivateKey] = {"ES256": ECKey.generate_key("P-256"), "PS256": RSAKey.generate_key(2048)}
    console.print(f"load {os.getloadavg()[0]:.2f}, {CONNECTIONS} connections, {rounds} paired rounds; ratio to hello")
    measured: dict[str, list[Round]] = {HELLO: [], **{case.name: [] for case in CASES}}
    for number in range(rounds + 1):
        provers = {name: _prover(partner, member, name, key, reads[0]) for name, key in keys.items()}
        asked = {HELLO: [b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"] * HELLOS}
        for case in CASES:
            prover, paths = provers[case.algorithm], [reads[case.read]]
            if case.single:
                paths = [f"{paths[0]}/{one}" for one in _records(partner, member, paths[0])]
            asked[case.name] = [prover.request("GET", base, random.choice(paths)) for _ in range(case.requests)]
        for name in random.sample(list(asked), len(asked)):
            done = await measure(port, pid, CONNECTIONS, asked[name])
            if number:  # the first round warms up
                measured[name].append(done)
    _print(console, measured)


def _print(console: Console, measured: dict[str, list[Round]]) -> None:
    table = Table("read", "ratio to hello", "range", "goal", "CPU ratio", "requests/s", "CPU µs", "p50 ms", "p99 ms")
    hello = measured[HELLO]
    goals = {case.name: case.goal for case in CASES}
    for name, rounds in measured.items():
        ratios = [one.rate / beside.rate for one, beside in zip(rounds, hello, strict=True)]
        cpu = [beside.cpu_us / one.cpu_us for one, beside in zip(rounds, hello, strict=True)]
        goal = goals.get(name)
        table.add_row(
            name,
            f"{median(ratios):.3f}",
            f"{min(ratios):.3f}-{max(ratios):.3f}",
            f"≥ {goal}" if goal else "",
            f"{median(cpu):.3f}",
            *(
                f"{median([getattr(one, what) for one in rounds]):.{digits}f}"
                for what, digits in (("rate", 0), ("cpu_us", 0), ("p50_ms", 1), ("p99_ms", 1))
            ),
        )
    console.print(table)


def _upload(console: Console, folder: Path, port: int, pid: int) -> None:
    base = f"http://127.0.0.1:{port}"
    partner, _ = _partner(folder, base, "airline")
    own = partner.token(partner.for_itself())
    datasets = partner.get("/v1/datasets", own).json()["items"]
    dataset = next(one["id"] for one in datasets if one["name"] == "flights")
    cpu, started = cpu_us(pid), time.perf_counter()
    report = partner.upload(dataset, own, flights(lambda *_: None), f"bench-{time.time_ns()}", null="NA")
    seconds = time.perf_counter() - started
    if report["accepted"] != FLIGHTS:
        raise SystemExit(f"{report['accepted']} rows accepted, not {FLIGHTS}")
    spent = (cpu_us(pid) - cpu) / FLIGHTS
    rate = f"{FLIGHTS / seconds:,.0f} rows/s (goal ≥ 20,000), {spent:.1f} µs of CPU a row"
    console.print(f"upload: {FLIGHTS:,} rows in {seconds:.1f} s, {rate}", highlight=False)
    time.sleep(SETTLED_S)
    console.print(f"server memory after it: {resident_mib(pid):.0f} MiB (goal < 250 MB, 238 MiB)")


def _partner(folder: Path, base: str, name: str) -> tuple[Partner, dict[str, Any]]:
    alliance = json.loads((folder / "alliance.json").read_text("utf-8"))
    member = next(one for one in alliance["members"] if one["jwk_file"] == f"{name}.jwk.json")
    key = Jwk(json.loads((folder / member["jwk_file"]).read_text("utf-8")))
    partner = Partner(member["name"], name, "", base, client_key=key, member=member["id"], client=member["client_id"])
    return partner, member


def _prover(partner: Partner, member: dict[str, Any], algorithm: str, key: PrivateKey, path: str) -> Prover:
    partner.proof_key = DPoPKey(Jwk(key.as_dict(private=True)), alg=algorithm)
    token = partner.token(member["authorization_details"])
    partner.get(path, token, limit="1").raise_for_status()  # settles the resource's nonce
    prover = Prover(key, str(token.access_token))
    prover.nonce = str(partner.proof_key.rs_nonce or "")
    return prover


def _records(partner: Partner, member: dict[str, Any], path: str) -> list[str]:
    """The ids of the first page, one of which each read of one record asks for."""
    token = partner.token(member["authorization_details"])
    return [record["id"] for record in partner.get(path, token).json()["records"]]
