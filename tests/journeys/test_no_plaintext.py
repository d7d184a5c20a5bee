"""What is sealed stays sealed: no canary in database, files, logs or tracebacks, in any encoding.

And no secret of a client (keys, tokens, proofs, assertions), nor the passphrase, in anything that is written.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import resource
import secrets
import signal
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_lowercase
from typing import Any
from urllib.parse import parse_qs, quote

import asyncpg
import httpx
import pytest

from gateway.demo.admission import day
from gateway.members.admission import ScoreSheet, Section
from tests.alliance import PASSPHRASE, Member
from tests.confiding import confided, done, file, lasting, no_secrets
from tests.databases import database_on
from tests.members.prospects import Prospect
from tests.served import Site, served
from tests.services.postgresql import PostgreSQL, binaries

MARKET = no_secrets({
    "type": "object",
    "x-kind": "market",
    "properties": {
        "code": {"type": "string", "x-class": "place", "x-grade": 1, "x-filter": "equality"},
        "note": {"type": "string", "x-class": "place", "x-grade": 1},
        "volume": {"type": "integer", "x-class": "terms", "x-grade": 2},
        "margin": {"type": "integer", "x-class": "secret", "x-grade": 4},
    },
})  # fmt: skip
PERSONAL = no_secrets({
    "type": "object",
    "x-kind": "personal",
    "x-subject-field": "customer_no",
    "x-unique": ["customer_no"],
    "properties": {
        "customer_no": {"type": "string", "x-class": "personal", "x-grade": 2},
        "name": {"type": "string", "x-class": "personal", "x-grade": 3},
        "phone": {"type": "string", "x-class": "personal_phone", "x-grade": 3, "x-filter": "equality"},
        "balance": {"type": "integer", "x-class": "sensitive_finance", "x-grade": 4},
    },
})  # fmt: skip
_CHINESE = range(0x4E00, 0x9FA5)


def _ascii() -> str:
    """Letters alone: digits look like a mobile number now and then, and customers are refused."""
    return "CANARY" + "".join(secrets.choice(ascii_lowercase) for _ in range(16))


def _unicode() -> str:
    return "".join(chr(secrets.choice(_CHINESE)) for _ in range(9))


def _number() -> int:
    return 10**14 + secrets.randbelow(9 * 10**14)


@dataclass
class Canaries:
    """Values that no one may find, by what they are."""

    planted: dict[str, list[bytes]] = field(default_factory=dict)

    def plant(self, name: str, value: str | int | bytes) -> Any:
        """Remember a value with everything that it could be written as, and return it."""
        self.planted[f"{name} {len(self.planted)}"] = sorted(set(spellings(value)))
        return value

    def found_in(self, places: Iterable[tuple[str, bytes]]) -> list[str]:
        """Which canary is where."""
        return [
            f"{name} in {place}"
            for place, content in places
            for name, written in self.planted.items()
            if any(one in content for one in written)
        ]


def spellings(value: str | int | bytes) -> Iterator[bytes]:
    """A value as text, UTF-16, JSON escapes, percent-encoded, hexadecimal, base64 at each offset, or binary."""
    if isinstance(value, int):
        for order in ("big", "little"):
            yield value.to_bytes(8, order)
    text = value.decode() if isinstance(value, bytes) else str(value)
    escaped = json.dumps(text)[1:-1]
    upper = "".join(f"\\u{ord(c):04X}" if ord(c) > 127 else c for c in text)
    plain = (text.encode(), text.encode("utf-16-le"), text.encode("utf-16-be"))
    yield from plain
    yield from (escaped.encode(), upper.encode(), quote(text).encode(), repr(text.encode())[2:-1].encode())
    yield from (plain[0].hex().encode(), plain[0].hex().upper().encode())
    for offset in range(3):
        whole = base64.b64encode(b"\0" * offset + plain[0])
        within = whole[(offset * 8 + 5) // 6 : len(whole) - (4 if (len(plain[0]) + offset) % 3 else 0)]
        yield from (within, within.replace(b"+", b"-").replace(b"/", b"_"))


@dataclass
class Overheard:
    """What members sent to prove themselves."""

    secret: set[str] = field(default_factory=set)

    async def note(self, request: httpx.Request) -> None:
        """Keep tokens, proofs and assertions, each whole and by its signature."""
        form = parse_qs(request.content.decode()) if request.url.path == "/token" else {}
        sent = [request.headers.get("DPoP", ""), request.headers.get("Authorization", "").removeprefix("DPoP ")]
        for jws in [*sent, *form.get("client_assertion", ())]:
            if jws:
                self.secret.update((jws, jws.rpartition(".")[2]))


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """Settings: SQLite in the data directory, or PostgreSQL with Valkey."""
    if request.param == "sqlite":
        yield {}
        return
    with database_on(request.getfixturevalue("postgresql")) as url:
        yield {"database_url": url, "valkey_url": request.getfixturevalue("valkey").url}


@pytest.fixture
async def site(database: dict[str, Any], tmp_path: Path) -> AsyncIterator[Site]:
    """A server that tells all it may tell, with a folder of its own for temporary files."""
    (tmp_path / "temporary").mkdir()
    told = {
        "PYTHONASYNCIODEBUG": "1",
        "TMPDIR": str(tmp_path / "temporary"),
        "SQLITE_TMPDIR": str(tmp_path / "temporary"),
    }
    async with served(tmp_path, environment=told, **database) as site:
        yield site


async def test_no_canary_and_no_secret_is_written_anywhere(
    site: Site, database: dict[str, Any], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    server: PostgreSQL | None = request.getfixturevalue("postgresql") if database else None
    since = await _ask(site, "SELECT pg_walfile_name(pg_current_wal_lsn())") if server else ""
    values, overheard = Canaries(), Overheard()
    site.alliance.http.event_hooks["request"].append(overheard.note)
    await _use_everything(site, values)
    await _confide(site, values)
    await _admit(site, values)
    await _provoke(site, values)
    limits = resource.prlimit(site.server.pid, resource.RLIMIT_CORE) if hasattr(resource, "prlimit") else (0, 0)
    assert limits == (0, 0), "a crash could write the memory to disk"

    await _break_inside(site, values)
    os.kill(site.server.pid, signal.SIGABRT)
    await asyncio.to_thread(site.server.wait)
    told = site.server.log.read_text()
    assert "Fatal Python error: Aborted" in told, "no traceback was written"
    assert "Traceback (most recent call last)" in told, "no internal error was logged"
    engine = await _postgresql(server, site, since) if server else []
    places = [*_files(tmp_path), *engine]
    assert {"data/gateway.db-wal", "data/gateway.db-shm"} <= {place for place, _ in places} or server
    secret = _secrets_of(site, overheard)
    assert values.found_in(places) == []
    assert secret.found_in(places) == []

    await _plant_in_a_table(site, values)
    again = [await _dump(site)] if server else _files(tmp_path)
    assert values.found_in(again), "the search finds nothing at all"
    print(
        f"\n{len(values.planted)} canaries and {len(secret.planted)} secrets, "
        f"{sum(map(len, values.planted.values()))} spellings, in {len(places)} places of "
        f"{sum(len(content) for _, content in places) >> 10} KiB"
    )


async def _use_everything(site: Site, values: Canaries) -> None:
    """Upload, consent, read, filter, withdraw: everything that is meant to work."""
    bank, hotel = site.alliance.members["bank"], site.alliance.members["hotel"]
    places, people = await bank.declare(MARKET), await bank.declare(PERSONAL)
    rows = [
        {
            "code": values.plant("market code", _ascii() if number % 2 else _unicode()),
            "note": values.plant("market note", _unicode() + _ascii()),
            "volume": values.plant("market volume", _number()),
            "margin": values.plant("market margin", _number()),
        }
        for number in range(4)
    ]
    persons = [
        {
            "customer_no": values.plant("subject", _ascii() if number % 2 else _unicode()),
            "name": values.plant("name", _unicode()),
            "phone": values.plant("phone", f"1{_number()}"),
            "balance": values.plant("balance", _number()),
        }
        for number in range(4)
    ]
    for dataset, given in ((places, rows), (people, persons)):
        uploaded = await bank.upload(dataset, given)
        assert uploaded.status_code == 201, uploaded.text
        assert uploaded.json()["accepted"] == 4
    subjects = [one["customer_no"] for one in persons]
    await bank.consent(people, hotel, *subjects, fields=["name", "phone", "balance"])
    market = await bank.agree(hotel, places, ["code", "note", "volume"])
    referral = await bank.agree(hotel, people, ["name", "phone", "balance"], purposes=["customer_referral"])
    for agreement, dataset, purpose, by, given in (
        (market, places, "market_analysis", "code", rows),
        (referral, people, "customer_referral", "phone", persons),
    ):
        path = f"/v1/agreements/{agreement}/datasets/{dataset}/records"
        token = await hotel.token(hotel.under(agreement, dataset, purpose))
        page = await hotel.get(path, token)
        assert len(page.json()["records"]) == 4, page.text
        for one in page.json()["records"]:
            assert (await hotel.get(f"{path}/{one['id']}", token)).status_code == 200
        found = await hotel.post(f"{path}/query", token, {"filters": {by: given[0][by]}})
        assert [one["fields"][by] for one in found.json()["records"]] == [given[0][by]]
        nothing = values.plant("filter", _ascii())
        assert (await hotel.post(f"{path}/query", token, {"filters": {by: nothing}})).json()["records"] == []
    assert (await bank.withdraw(people, subjects[0])).status_code == 200
    replaced = await bank.upload(
        places, [row | {"volume": values.plant("volume", _number())} for row in rows], "replace"
    )
    assert replaced.status_code == 201


async def _confide(site: Site, values: Canaries) -> None:
    """Persons, and what was said: memos that are recorded, searched, read, and refused."""
    bank, hotel = site.alliance.members["bank"], site.alliance.members["hotel"]
    dataset = await bank.declare(MARKET)
    agreement = await bank.agree(hotel, dataset, ["code", "note"])
    for name in (values.plant("person", _unicode()), values.plant("person", _ascii())):
        person = await confided(hotel, agreement, dataset, bank.id, name)
        told = done(await file(hotel, "/v1/persons", method="GET"))["items"]
        assert [one["name"] for one in told if one["id"] == person] == [name]
        assert (await file(hotel, f"/v1/persons/{person}", method="DELETE")).status_code < 300
    memos = f"/v1/agreements/{agreement}/memos"
    memo = {
        "owner": bank.id,
        "said": values.plant("memo", _ascii()) + values.plant("memo", _unicode()),
        "by": values.plant("speaker", _unicode()),
        "to": values.plant("listener", _unicode()),
        "said_at": lasting(bank)["from"],
        "answer_within_days": 3,
    }
    made = done(await file(hotel, memos, memo))
    assert done(await file(bank, f"{memos}/{made['id']}", method="GET"))["said"] == memo["said"]
    for wanted, count in ((memo["said"][:23], 1), (values.plant("memo query", _ascii()), 0)):
        found = done(await file(bank, f"/v1/agreements/{agreement}/memo-query", {"text": wanted}))
        assert len(found["items"]) == count
    for path, wrong in (
        (memos, memo | {"said": values.plant("refused memo", _ascii()) + "\0"}),
        (memos, memo | {"by": [values.plant("refused speaker", _unicode())]}),
        ("/v1/persons", {"name": values.plant("refused person", _ascii()) + "\0"}),
    ):
        assert (await file(hotel, path, wrong)).status_code == 400


async def _admit(site: Site, values: Canaries) -> None:
    """A company's dossier: its files, the reasons of its reviews, and the report of the departments."""
    gateway = site.alliance.gateway
    prospect = await Prospect.named(gateway, site.alliance.id)
    content = values.plant("document", _ascii()).encode()
    [certificate] = await prospect.file(prospect.certificate(days=400, content=content))
    await prospect.file()
    about: dict[str, Any] = {"dossier": await prospect.digest(), "passed": True}
    scores = ScoreSheet(profitability=60, solvency=70, next_review=day(gateway.clock(), 180))
    legal = values.plant("reasons of legal", _unicode())
    finance = values.plant("reasons of finance", _ascii())
    reviews = gateway.admissions.reviews
    review = await reviews.legal(prospect.id, reasons=legal, litigation=True, operator="legal", **about)
    await reviews.finance(prospect.id, reasons=finance, scores=scores, operator="finance", **about)
    sections = {section.value: values.plant(section.value, _unicode()) for section in Section}
    report = await prospect.written(**sections)
    assert await gateway.admissions.dossier.open(certificate, operator="legal") == content
    assert await reviews.reasons(review, operator="legal") == legal
    assert await gateway.admissions.reports.read(report, operator="legal") == sections


async def _provoke(site: Site, values: Canaries) -> None:
    """Bad rows, bad bodies, bad parameters, all of them with canaries in them."""
    bank, hotel = site.alliance.members["bank"], site.alliance.members["hotel"]
    token = await bank.token()
    people = await bank.declare(PERSONAL)
    plant = values.plant

    def person(**over: Any) -> dict[str, Any]:
        return {
            "customer_no": plant("subject", _ascii()),
            "name": plant("name", _unicode()),
            "phone": plant("phone", f"1{_number()}"),
            "balance": plant("balance", _number()),
        } | over

    good = person()
    bad = [
        person(),
        good,
        good | {"name": plant("twice", _unicode())},
        person(balance=plant("no number", _ascii())),
        person(**{plant("field name", _ascii()): 1}),
        person(customer_no=[plant("nested", _unicode())]),
        {"name": plant("no subject", _unicode())},
    ]
    lines = [json.dumps(row, ensure_ascii=False).encode() for row in bad]
    lines += [
        b'{"customer_no": "' + plant("broken", _ascii()).encode(),
        b"\xff\xfe" + plant("bytes", _ascii()).encode(),
    ]
    uploads = f"/v1/datasets/{people}/uploads"
    answer = await bank.call(
        "POST", uploads, token, content=b"\n".join(lines), headers={"Content-Type": "application/x-ndjson"}
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["refused"] > 4
    table = f'customer_no,name\n"{plant("csv", _ascii())},{plant("csv", _unicode())}\n'.encode()
    refused = [await bank.call("POST", uploads, token, content=table, headers={"Content-Type": "text/csv"})]
    evidence = {"evidence_sha256": "0" * 64, "notice_sha256": "0" * 64}
    for body in (
        {"subject": plant("subject", _ascii()), "recipient": plant("recipient", _ascii())},
        {
            "subject": plant("subject", _ascii()),
            "recipient": hotel.id,
            "fields": [plant("field", _ascii())],
            **evidence,
        },
        {"subject": {plant("subject", _ascii()): 1}},
        [plant("statement", _unicode())],
    ):
        refused.append(await bank.post(f"/v1/datasets/{people}/consents", token, body))
        refused.append(await bank.post(f"/v1/datasets/{people}/withdrawals", token, body))
        refused.append(await bank.post("/v1/datasets", token, body))
        refused.append(await bank.post("/v1/agreements", token, body))
    broken = b'{"subject": "' + plant("broken", _ascii()).encode()
    for path in (f"/v1/datasets/{people}/consents", "/v1/datasets", "/v1/agreements"):
        headers = {"Content-Type": "application/json"}
        refused.append(await bank.call("POST", path, token, content=broken, headers=headers))
    records = f"/v1/agreements/{'0' * 32}/datasets/{people}/records"
    refused.append(await hotel.get(f"{records}/{plant('record', _ascii())}", await hotel.token()))
    refused.append(
        await hotel.get(records, await hotel.token(), cursor=plant("cursor", _ascii()), purpose="settlement")
    )
    refused.append(await hotel.post(f"{records}/query", token, {"filters": {"phone": [plant("filter", _ascii())]}}))
    assert {answer.status_code for answer in refused} <= {400, 401, 403, 404, 409}, [a.text for a in refused]


async def _break_inside(site: Site, values: Canaries) -> None:
    """An internal error in the middle of a filtered read, while the vault holds keys and the body a canary."""
    bank, hotel = site.alliance.members["bank"], site.alliance.members["hotel"]
    places = await bank.declare(MARKET)
    code = values.plant("market code", _ascii())
    row = {"code": code, "note": values.plant("market note", _unicode()), "volume": 1, "margin": 1}
    assert (await bank.upload(places, [row])).status_code == 201
    agreement = await bank.agree(hotel, places, ["code", "note"])
    token = await hotel.token(hotel.under(agreement, places))
    await _execute(
        site, sqlite="UPDATE record SET version = 'x'", postgresql="ALTER TABLE record_term RENAME term TO gone"
    )
    path = f"/v1/agreements/{agreement}/datasets/{places}/records/query"
    answer = await hotel.post(path, token, {"filters": {"code": code}})
    assert answer.status_code == 500, answer.text
    assert code not in answer.text


async def _plant_in_a_table(site: Site, values: Canaries) -> None:
    """The search must find what is there."""
    value = values.plant("planted on purpose", _unicode())
    statement = f"UPDATE alliance SET name = '{value}'"
    await _execute(site, sqlite=statement, postgresql=statement)


async def _execute(site: Site, *, sqlite: str, postgresql: str) -> None:
    """A statement of ours, past the gateway."""
    if site.settings.database_url:
        server = await asyncpg.connect(site.settings.database_url)
        await server.execute(postgresql)
        await server.close()
        return
    connection = sqlite3.connect(site.settings.sqlite_path, timeout=20)
    connection.execute(sqlite)
    connection.commit()
    connection.close()


def _secrets_of(site: Site, overheard: Overheard) -> Canaries:
    """What members and the operator keep to themselves, and what proves who calls."""
    found = Canaries()
    found.plant("passphrase", PASSPHRASE)
    members: Mapping[str, Member] = site.alliance.members
    for name, member in members.items():
        for use, key in (("client", member.client_key), ("proof", member.proof_key), ("signing", member.signing_key)):
            found.plant(f"{use} key of {name}", str(key.as_dict(private=True)["d"]))
    for jws in overheard.secret:
        found.planted[f"token, proof or assertion {len(found.planted)}"] = [jws.encode()]
    assert len(found.planted) > 100
    return found


def _files(folder: Path) -> list[tuple[str, bytes]]:
    """Everything on disk but the passphrase's own file."""
    return [
        (str(path.relative_to(folder)), path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and path.name != "passphrase"
    ]


async def _postgresql(server: PostgreSQL, site: Site, since: str) -> list[tuple[str, bytes]]:
    """A dump, and the bytes on disk after a checkpoint: the database's own files, the log since then, what was said."""
    server.execute("CHECKPOINT")
    number = await _ask(site, "SELECT oid::text FROM pg_database WHERE datname = current_database()")
    data = server.directory / "data"
    logs = [path for path in (data / "pg_wal").iterdir() if path.is_file() and path.name >= since]
    files = [*(data / "base" / number).iterdir(), *logs, server.directory / "server.log"]
    assert len(logs) >= 1
    return [await _dump(site), *((str(path.relative_to(server.directory)), path.read_bytes()) for path in files)]


async def _dump(site: Site) -> tuple[str, bytes]:
    """What `pg_dump` writes."""
    command = [str(binaries() / "pg_dump"), site.settings.database_url]
    dump = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True)
    assert b"COPY public.leaf" in dump.stdout
    return "pg_dump", dump.stdout


async def _ask(site: Site, question: str) -> str:
    """What PostgreSQL answers to one question."""
    connection = await asyncpg.connect(site.settings.database_url)
    try:
        return str(await connection.fetchval(question))
    finally:
        await connection.close()
