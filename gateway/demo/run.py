"""The demo from an empty folder to a verified ledger: found the alliance, serve it, tell the story, prove it."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import requests
from rich.console import Console

from gateway.app import compose, initialise
from gateway.demo.founding import FIRST_OPERATOR, SECOND_OPERATOR, found
from gateway.demo.inbox import Inbox
from gateway.demo.partner import Partner
from gateway.demo.referral import ReferralStory
from gateway.demo.story import Story
from gateway.demo.telling import Teller, World
from gateway.errors import Invalid
from gateway.identity.operators.site import Site
from gateway.settings import Settings
from gateway.vault.providers import LocalKeyring

_START_PATIENCE_S = 30
_STOP_PATIENCE_S = 15
_AGAIN_S = 1.0
_OK, _TAMPERED = 0, 1


def run_demo(*, serve: bool, out: Path | None, port: int, picture: Path | None) -> None:
    """Tell the story and end; with `serve`, write `alliance.json` and stay until Ctrl-C or SIGTERM."""
    console = Console(record=picture is not None, width=118 if picture else None)
    started = time.monotonic()
    with _interruptible(), _folder(out) as folder:
        settings = _settings(folder, port)
        inbox = Inbox(folder, settings.base_url)
        world = World(_partners(settings.base_url), folder)
        console.print(
            "[dim]The demo keeps its passphrase in a file beside this folder and opens its logs to everybody on "
            "loopback: convenient, and fit for made data only.[/]"
        )
        facts = asyncio.run(_found(settings, world.partners))
        world.alliance = next(log["log"] for log in facts if log["member"] == "operator")
        console.print(
            "  [red]✘[/]      no client for a company that is only a prospect: [bold]NOT_ADMITTED[/] (clause 2.2.3)\n"
            "  [green]✔[/]      four companies admitted: papers, two reviews, a report of four departments, management"
        )
        with inbox.open(), _serving(settings, trust=inbox.certificate):
            teller = Teller(console)
            Story(world, teller, partial(_resolve, settings)).tell()
            ReferralStory(world, teller, settings, inbox, partial(_verify_receipt, settings)).tell()
            _prove(console, settings, folder, facts)
            console.rule(f"[green]The story held, {time.monotonic() - started:.0f} s[/]", align="left")
            if picture is not None:
                console.save_svg(str(picture), title="make demo")
            if out is not None:
                _write_alliance(folder, settings, world, facts)
            if serve:
                console.print(f"Serving on {settings.base_url}; [bold]{folder / 'alliance.json'}[/] says how to ask.")
                _wait_for_interrupt()


def _settings(folder: Path, port: int) -> Settings:
    return Settings.from_environment(
        {},
        data_dir=folder / "data",
        passphrase_file=folder / "passphrase",
        port=port,
        open_logs=True,
        policies_dir=_policies(),
        sms_sender="file",
        messages_dir=folder / "messages",
        jwks_loopback=True,
    )


def _policies() -> Path:
    here = Path(__file__).resolve().parents[2] / "policies"
    return here if here.is_dir() else Path("policies")


def _partners(base_url: str) -> dict[str, Partner]:
    return {
        "bank": Partner("Jiangnan Bank 江南银行", "bank", "91310000MA1K35FX2T", base_url),
        "airline": Partner("Yunhai Airlines 云海航空", "airline", "91440300MA5EQXL8XK", base_url),
        "retailer": Partner("Wanjia Retail 万家零售", "retail", "91110108MA01GK2R7W", base_url),
        "hotel": Partner("Qingshan Hotels 青山酒店", "hotel", "91330100MA2B1KQX3M", base_url),
    }


async def _found(settings: Settings, partners: Mapping[str, Partner]) -> list[dict[str, str]]:
    """Keyring, database, alliance, members, clients and confirmed signing keys; returns the logs' facts."""
    provider = LocalKeyring.create(settings.keyring_path, (settings.passphrase_file or Path()).read_bytes().strip())
    await initialise(settings, provider)
    async with compose(settings, provider, process="demo") as gateway:
        return await found(gateway, partners)


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does, and either one where a shell started it behind `&`: no server stays."""
    before = {one: signal.signal(one, signal.default_int_handler) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextmanager
def insistent() -> Iterator[None]:
    """Repeat an interrupt until it ends the block: one that falls into a finalizer is swallowed by the interpreter."""

    def interrupt(_: int, __: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
        raise KeyboardInterrupt

    before = {one: signal.signal(one, interrupt) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for one, handler in before.items():
            signal.signal(one, handler)


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    """An empty folder with a passphrase in it; a temporary one is removed at the end."""
    if out is not None:
        if out.exists() and any(out.iterdir()):
            raise Invalid("folder_not_empty", f"{out} is not empty.", field="--out", remedy="Name a new folder.")
        out.mkdir(parents=True, exist_ok=True)
    folder = (out or Path(tempfile.mkdtemp(prefix="alliance-"))).resolve()
    try:
        for name in ("data", "messages"):
            (folder / name).mkdir(mode=0o700)
        _write_private(folder / "passphrase", secrets.token_urlsafe(32) + "\n")
        yield folder
    finally:
        if out is None:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _serving(settings: Settings, *, trust: Path) -> Iterator[None]:
    """`gateway serve` as a process of its own, on these settings; it trusts this certificate and no other authority."""
    environment = _environment(settings) | {"SSL_CERT_FILE": str(trust)}
    with subprocess.Popen([sys.executable, "-m", "gateway", "serve"], env=environment) as server:
        try:
            with insistent():
                _wait_until_ready(settings.base_url, server)
                yield
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(_STOP_PATIENCE_S)
            except subprocess.TimeoutExpired:
                server.kill()


def _environment(settings: Settings) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    return own | {
        "GATEWAY_DATA_DIR": str(settings.data_dir),
        "GATEWAY_PASSPHRASE_FILE": str(settings.passphrase_file),
        "GATEWAY_POLICIES_DIR": str(settings.policies_dir),
        "GATEWAY_PORT": str(settings.port),
        "GATEWAY_OPEN_LOGS": "true",
        "GATEWAY_SMS_SENDER": settings.sms_sender,
        "GATEWAY_MESSAGES_DIR": str(settings.messages_dir),
        "GATEWAY_JWKS_LOOPBACK": "true",
    }


def _wait_until_ready(base_url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_PATIENCE_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise Invalid("demo_not_served", "The server ended at once.", remedy="Is the port free? Try --port.")
        try:
            if requests.get(f"{base_url}/healthz", timeout=1).ok:
                return
        except (requests.ConnectionError, requests.Timeout):
            time.sleep(0.1)
    raise Invalid("demo_not_served", "The server did not answer in time.")


def _prove(console: Console, settings: Settings, folder: Path, logs: list[dict[str, str]]) -> None:
    """Export the airline's log, verify it offline, then flip one byte in a copy."""
    console.rule("[bold]8  The ledger, proved with nothing but the log's public key[/]  ·  只凭公钥验证", align="left")
    log = next(log for log in logs if log["member"] == "airline")
    seen = folder / "seen.checkpoint"
    seen.write_bytes(requests.get(f"{settings.base_url}/v1/logs/{log['log']}/checkpoint", timeout=10).content)
    bundle = folder / "airline-log.zip"
    permit = _permit(settings, log["log"])
    console.print("  [green]✔[/]      the export was proposed by one operator and approved by another")
    _gateway(settings, "export", log["log"], "--out", str(bundle), "--permit", permit)
    if _verify(settings, bundle, log["vkey"], seen) != _OK:
        raise Invalid("demo_failed", "The exported log did not verify.")
    console.print("  [green]✔[/]      exported and verified offline: signature, every entry, order, one history")
    copy = folder / "airline-log-with-one-byte-flipped.zip"
    flip_one_byte(bundle, copy)
    if _verify(settings, copy, log["vkey"], seen) != _TAMPERED:
        raise Invalid("demo_failed", "A flipped byte was not caught.")
    console.print("  [red]✘ caught[/] one byte flipped in a copy: `gateway verify` says tampered, exit code 1")


def flip_one_byte(bundle: Path, copy: Path) -> None:
    """A copy of the bundle in which one byte of one entry differs."""
    content = bytearray(bundle.read_bytes())
    with zipfile.ZipFile(bundle) as archive:
        entries = next(member for member in archive.infolist() if member.filename.startswith("entries"))
    content[entries.header_offset + 30 + len(entries.filename) + entries.compress_size // 2] ^= 1
    copy.write_bytes(content)


def _verify(settings: Settings, bundle: Path, vkey: str, seen: Path) -> int:
    return _gateway(settings, "verify", str(bundle), "--vkey", vkey, "--seen", str(seen), check=False)


def _verify_receipt(settings: Settings, receipt: Path, keys: Path) -> None:
    _gateway(settings, "verify-receipt", str(receipt), "--jwks", str(keys))


def _permit(settings: Settings, log: str) -> str:
    """Two operators permit an export; returns the proposal's id."""
    proposal = _said(settings, "admin", "export-log", log, by=FIRST_OPERATOR)
    _said(settings, "admin", "approve", proposal, by=SECOND_OPERATOR)
    return proposal


def _resolve(settings: Settings, case: str) -> None:
    """Two operators end a dispute, by a resolution."""
    why = ("--resolution", "demo-1", "--why", "The coordinates were corrected.")
    proposal = _said(settings, "admin", "case", "decide", case, "resolve", *why, by=FIRST_OPERATOR)
    _said(settings, "admin", "approve", proposal, by=SECOND_OPERATOR)


def _said(settings: Settings, *arguments: str, by: str) -> str:
    environment = _environment(settings) | {"SUDO_USER": by}
    command = [sys.executable, "-m", "gateway", *arguments]
    run = subprocess.run(command, env=environment, check=True, text=True, stdout=subprocess.PIPE)  # noqa: S603 - as below
    return run.stdout.strip()


def _gateway(settings: Settings, *arguments: str, check: bool = True) -> int:
    command = [sys.executable, "-m", "gateway", *arguments]
    return subprocess.run(command, env=_environment(settings), check=check).returncode  # noqa: S603 - our own command


def _write_alliance(folder: Path, settings: Settings, world: World, logs: list[dict[str, str]]) -> None:
    base = settings.base_url
    members = []
    for name, partner in world.partners.items():
        jwk_file = f"{name}.jwk.json"
        _write_private(folder / jwk_file, json.dumps(dict(partner.client_key)))
        details, reads = _reads(name, world, base)
        members.append(
            {
                "id": partner.member,
                "name": partner.name,
                "client_id": partner.client,
                "jwk_file": jwk_file,
                "authorization_details": details or partner.for_itself(),
                "reads": reads,
            }
        )
    document = {
        "issuer": base,
        "api": f"{base}/v1",
        "console": _console(settings, world.alliance),
        "logs": [{"origin": log["origin"], "url": f"{base}/v1/logs/{log['log']}", "vkey": log["vkey"]} for log in logs],
        "members": members,
    }
    _write_private(folder / "alliance.json", json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _console(settings: Settings, alliance: str) -> dict[str, Any]:
    """Where operators sign in, and a code for one of each kind with which a first passkey is made."""
    sign_in = []
    for role, called in (("admin", "administrator"), ("officer", "compliance officer")):
        asked = ("admin", "operator", alliance, "--name", f"Demo {called}", "--role", role)
        operator, code = _said(settings, *asked, by=FIRST_OPERATOR).splitlines()
        how = f"Make a passkey with {code}, and sign in with it. Another code: gateway admin operator-code {operator}"
        sign_in.append({"role": called, "how": how})
    return {"url": f"{Site.of(settings.base_url).origin}/console", "sign_in": sign_in}


def _reads(name: str, world: World, base: str) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """What a member may read in the demo, and the details to ask a token with."""
    if name != "hotel":
        return [], []
    hotel = world.partners["hotel"]
    granted = {
        ("flights", ("flights", "airports"), "market_analysis"),
        ("customers", ("bank-customers",), "customer_referral"),
    }
    details: list[dict[str, Any]] = []
    reads: list[dict[str, str]] = []
    for agreement, names, purpose in sorted(granted):
        identifier = world.agreements[agreement]
        person = world.persons.get(agreement, "")
        details += hotel.under(identifier, [world.datasets[dataset] for dataset in names], [purpose], person)
        reads += [
            {
                "url": f"{base}/v1/agreements/{identifier}/datasets/{world.datasets[dataset]}/records",
                "purpose": purpose,
            }
            for dataset in names
        ]
    return details, reads


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _wait_for_interrupt() -> None:
    try:
        signal.pause()
    except KeyboardInterrupt:
        return
