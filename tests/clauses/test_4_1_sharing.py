"""Clause 4.1.2: agreed rows, agreed volume, agreed methods, on each engine."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from base64 import b64decode
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.policy import HTTP
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from gateway.access.file_proof import prove
from gateway.access.release import Release
from gateway.access.request import AccessRequest
from gateway.catalog.dataset import NO_FIELD
from gateway.cli import app
from gateway.errors import Invalid
from gateway.ledger.receipts import verify
from tests.access.world import ENGINES, Deal, Shared, reasons, records, shared_on
from tests.confiding import done, enlist, lasting, person_of, record_nda, undertake

PUBLIC = {"x-confidentiality": "public"}
SHOPS: dict[str, Any] = {
    "type": "object",
    "x-kind": "market",
    "properties": {
        "region": {"type": "string", "x-class": "place", "x-grade": 1, "x-filter": "equality", **PUBLIC},
        "format": {"type": ["string", "null"], "x-class": "place", "x-grade": 1, "x-filter": "equality", **PUBLIC},
        "turnover": {"type": "integer", "x-class": "terms", "x-grade": 2, **PUBLIC},
    },
}
REGIONS = ("north", "south", "East", "west")
FORMATS = ("mall", "street", None)
FIELDS = ("region", "format", "turnover")


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=ENGINES)
async def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    """A bank, a hotel and a stranger, on each engine."""
    async with shared_on(request, tmp_path_factory.mktemp("sharing"), request.param) as built:
        yield built


async def shops(shared: Shared, count: int = 60, **term: Any) -> Deal:
    """Shops of every region and format, of which the term says what is agreed."""
    dataset = await shared.bank.declare(SHOPS)
    rows = [{"region": REGIONS[n % 4], "format": FORMATS[n % 3], "turnover": n} for n in range(count)]
    answer = await shared.bank.upload(dataset, rows)
    assert answer.json()["refused"] == 0, answer.text
    return Deal(await shared.bank.agree(shared.hotel, dataset, FIELDS, term=term), dataset)


async def everything(shared: Shared, deal: Deal, limit: int = 7) -> list[dict[str, Any]]:
    """Every record that the hotel is shown, page by page."""
    token, found, cursor = await shared.token(deal), [], None
    while True:
        params = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        page = await shared.hotel.get(deal.path, token, **params)
        found += list(records(page).values())
        cursor = page.json()["next"]
        if cursor is None:
            return found
        assert len(records(page)) == limit  # no gaps


async def test_4_1_2_a_page_holds_the_agreed_rows_and_no_others(shared: Shared) -> None:
    agreed = await shops(shared, rows=[{"field": "region", "in": ["north", "EAST", "nowhere"]}])
    found = await everything(shared, agreed)
    assert sorted(one["turnover"] for one in found) == [n for n in range(60) if n % 4 in (0, 2)]


async def test_4_1_2_every_row_predicate_holds_at_once(shared: Shared) -> None:
    both = [{"field": "region", "in": ["north", "south"]}, {"field": "format", "in": ["street"]}]
    found = await everything(shared, await shops(shared, rows=both))
    assert sorted(one["turnover"] for one in found) == [n for n in range(60) if n % 4 in (0, 1) and n % 3 == 1]


async def test_4_1_2_a_record_outside_the_agreed_rows_is_absent_like_any_other(shared: Shared) -> None:
    whole = await shops(shared)
    token = await shared.token(whole)
    by_id = records(await shared.hotel.get(whole.path, token))
    term = {"rows": [{"field": "region", "in": ["north"]}]}
    part = Deal(await shared.bank.agree(shared.hotel, whole.dataset, FIELDS, term=term), whole.dataset)
    token = await shared.token(part)
    unknown = await shared.hotel.get(f"{part.path}/{'0' * 32}", token)
    assert unknown.status_code == 404
    for name, fields in by_id.items():
        answer = await shared.hotel.get(f"{part.path}/{name}", token)
        if fields["region"] == "north":
            assert records(answer) == {name: fields}
        else:
            assert (answer.status_code, answer.content) == (404, unknown.content)
            assert (await shared.last_access())["opening"]["groups"] == []


async def test_4_1_2_filters_find_nothing_outside_the_agreed_rows(shared: Shared) -> None:
    deal = await shops(shared, rows=[{"field": "region", "in": ["north", "south"]}])
    token = await shared.token(deal)
    for region, count in (("north", 15), ("west", 0), ("nowhere", 0)):
        answer = await shared.hotel.post(f"{deal.path}/query", token, {"filters": {"region": region}})
        assert len(records(answer)) == count
        assert answer.json()["next"] is None


async def test_4_1_2_a_predicate_that_the_dataset_cannot_answer_is_refused_and_matches_nothing(shared: Shared) -> None:
    """Signed before its field could no more be filtered on, it must not open every row."""
    deal = await shops(shared, 3)
    with pytest.raises(AssertionError, match="terms_rows_field_not_filterable"):
        await shops(shared, 3, rows=[{"field": "turnover", "in": ["1"]}])
    dataset = await shared.gateway.datasets.owned(
        await shared.subject(shared.bank, await shared.bank.token()), deal.dataset
    )
    keys = await shared.gateway.keyring.unlock(shared.bank.id)
    assert dataset.row_terms("turnover", ["1"], keys) == (NO_FIELD, [b""])
    assert dataset.row_terms("gone", ["1"], keys) == (NO_FIELD, [b""])
    number, terms = dataset.row_terms("region", ["north", "\ud800"], keys)
    assert (number, len(terms)) == (0, 1)
    assert dataset.row_terms("region", ["\ud800"], keys) == (0, [b""])


async def test_4_1_2_more_records_than_agreed_are_refused_until_the_window_reopens(shared: Shared) -> None:
    deal = await shops(shared, 160, volume={"records": 100, "per_seconds": 60})
    token = await shared.token(deal)
    page = await shared.hotel.get(deal.path, token, limit="90")
    assert len(records(page)) == 90
    refused = await shared.hotel.get(deal.path, token, limit="11", cursor=page.json()["next"])
    assert refused.status_code == 403
    assert reasons(refused.json()) == [("VOLUME_EXCEEDED", "4.1.2")]
    entry = await shared.last_access()
    assert (entry["effect"], reasons(entry)) == ("deny", [("VOLUME_EXCEEDED", "4.1.2")])
    assert "opening" not in entry
    assert len(records(await shared.hotel.get(deal.path, token, limit="10"))) == 10  # exactly what is left
    assert (await shared.hotel.get(deal.path, token, limit="1")).status_code == 403
    assert (await shared.hotel.get(f"{deal.path}/{'0' * 32}", token)).status_code == 404  # nothing to count
    shared.clock.pass_seconds(60)
    assert len(records(await shared.hotel.get(deal.path, await shared.token(deal), limit="40"))) == 40


async def test_4_1_2_a_volume_below_one_page_gives_pages_that_fit(shared: Shared) -> None:
    deal = await shops(shared, 30, methods=["api", "file"], volume={"records": 7, "per_seconds": 60})
    token = await shared.token(deal)
    first = await shared.hotel.get(deal.path, token, limit="20")
    assert len(records(first)) == 7
    again = await shared.hotel.get(deal.path, token, limit="20", cursor=first.json()["next"])
    assert reasons(again.json()) == [("VOLUME_EXCEEDED", "4.1.2")]
    shared.clock.pass_seconds(60)
    token = await shared.token(deal)
    second = await shared.hotel.get(deal.path, token, limit="20", cursor=first.json()["next"])
    assert len(records(second)) == 7
    assert records(first).keys().isdisjoint(records(second))


async def test_4_1_2_a_method_that_is_not_agreed_is_refused(shared: Shared) -> None:
    deal = await shops(shared, methods=["file"])
    answer = await shared.hotel.get(deal.path, await shared.token(deal))
    assert answer.status_code == 403
    assert reasons(answer.json()) == [("METHOD_NOT_AGREED", "4.1.2")]
    assert reasons(await shared.last_access()) == [("METHOD_NOT_AGREED", "4.1.2")]


class Download(NamedTuple):
    """A file that the hotel was sent, and its manifest."""

    content: bytes
    media_type: str
    manifest: dict[str, Any]
    answer: bytes


async def download(shared: Shared, deal: Deal, form: str, token: str = "", **query: Any) -> Download:
    """The two parts of a file's answer, by a parser of the standard library."""
    path = deal.path.replace("/records", "/files")
    answer = await shared.hotel.post(path, token or await shared.token(deal), {"format": form, **query})
    assert answer.status_code == 200, answer.text
    whole = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode() + answer.content
    file, manifest = message_from_bytes(whole, policy=HTTP).iter_parts()
    boundary = answer.headers["content-type"].partition("boundary=")[2].encode()
    raw = answer.content.split(b"--" + boundary)[1].partition(b"\r\n\r\n")[2][:-2]
    return Download(raw, file.get_content_type(), json.loads(manifest.get_content()), answer.content)


async def proven(shared: Shared, got: Download) -> list[dict[str, Any]]:
    """The entries of the pages, once file, manifest, receipts and log have been found to say the same."""
    manifest, entries = got.manifest, {one["event_id"]: one for one in await shared.entries(shared.bank.id)}
    assert hashlib.sha256(got.content).hexdigest() == manifest["sha256"]
    assert sum(page["records"] for page in manifest["pages"]) == manifest["records"]
    end = len(got.content)
    for page in reversed(manifest["pages"]):
        piece = got.content[end - page["bytes"] : end]
        assert hashlib.sha256(piece).hexdigest() == page["sha256"]
        end -= page["bytes"]
    jwk = (await shared.alliance.http.get("/v1/jwks")).json()["keys"]
    for one in (*manifest["pages"], manifest["delivery"]):
        kid = json.loads(b64decode(one["receipt"].partition(".")[0] + "=="))["kid"]
        key = next(key for key in jwk if key["kid"] == kid)
        assert verify(one["receipt"], key).event_id == one["event_id"]
    delivered = entries[manifest["delivery"]["event_id"]]
    said = ("file", "records", "bytes", "sha256", "complete", "dataset", "agreement", "purpose")
    assert {name: delivered[name] for name in said} == {name: manifest[name] for name in said}
    return [entries[page["event_id"]] for page in manifest["pages"]]


async def test_4_1_2_a_file_holds_the_whole_selection_and_each_page_is_an_entry(shared: Shared) -> None:
    deal = await shops(
        shared, 250, methods=["api", "file"], rows=[{"field": "region", "in": ["north", "south", "west"]}]
    )
    got = await download(shared, deal, "ndjson")
    assert (got.media_type, got.manifest["complete"], got.manifest["stopped"]) == ("application/x-ndjson", True, None)
    lines = [json.loads(line) for line in got.content.splitlines()]
    assert sorted(one["fields"]["turnover"] for one in lines) == [n for n in range(250) if n % 4 != 2]
    assert [page["effect"] for page in await proven(shared, got)] == ["permit", "permit"]
    named = [record for page in await proven(shared, got) for g in page["opening"]["groups"] for record in g["records"]]
    assert [record.partition("@")[0] for record in named] == [one["id"] for one in lines]


async def test_4_1_2_a_file_of_long_records_is_whole_in_shorter_pages(shared: Shared) -> None:
    dataset = await shared.places(
        {"code": f"C{n}", "city": "x" * (60_000 if n % 3 == 0 else 10), "price": n, "margin": 0} for n in range(9)
    )
    deal = Deal(
        await shared.bank.agree(shared.hotel, dataset, ["code", "city"], term={"methods": ["api", "file"]}), dataset
    )
    got = await download(shared, deal, "ndjson")
    lines = [json.loads(line) for line in got.content.splitlines()]
    assert sorted(one["fields"]["code"] for one in lines) == sorted(f"C{n}" for n in range(9))
    assert got.manifest["complete"]
    await proven(shared, got)
    assert all(page["bytes"] < 2 * 60_000 for page in got.manifest["pages"]), "no long record with another"


def forged(got: Download) -> bytes:
    """The answer with another last digit, and every digest as it then has to be."""
    content = got.content[:-3] + bytes([got.content[-3] ^ 1]) + got.content[-2:]
    *pages, last = got.manifest["pages"]
    last = last | {"sha256": hashlib.sha256(content[-last["bytes"] :]).hexdigest()}
    manifest = got.manifest | {"sha256": hashlib.sha256(content).hexdigest(), "pages": [*pages, last]}
    boundary = got.answer[: got.answer.index(b"\r\n")]
    begin = got.answer.rindex(b"\r\n\r\n") + 4
    head = got.answer[:begin].replace(got.content, content)
    return head + json.dumps(manifest).encode() + b"\r\n" + boundary + b"--\r\n"


def kid_of(receipt: str) -> str:
    header = receipt.partition(".")[0]
    return str(json.loads(b64decode(header + "=="))["kid"])


async def test_4_1_2_a_file_is_proven_offline_and_one_changed_byte_is_noticed(shared: Shared, tmp_path: Path) -> None:
    deal = await shops(shared, 120, methods=["file"])
    got = await download(shared, deal, "csv")
    jwks = (await shared.alliance.http.get("/v1/jwks")).json()
    proof = prove(got.answer, jwks)
    assert (bytes(proof.content), proof.manifest) == (got.content, got.manifest)
    empty = await download(shared, deal, "ndjson", filters={"region": "nowhere"})
    assert bytes(prove(empty.answer, jwks).content) == b""
    for at in (*range(0, len(got.content), 997), len(got.content) - 1):
        start = got.answer.index(got.content) + at
        changed = got.answer[:start] + bytes([got.answer[start] ^ 1]) + got.answer[start + 1 :]
        with pytest.raises(Invalid, match="file_unproven"):
            prove(changed, jwks)
    receipts = [page["receipt"] for page in got.manifest["pages"]]
    for broken in (
        got.answer[:-3],
        got.answer.replace(receipts[0].encode(), receipts[1].encode()),
        got.answer.replace(got.manifest["sha256"].encode(), b"0" * 64),
        got.answer.replace(b'"records":120', b'"records":121'),
        b"",
    ):
        with pytest.raises(Invalid, match="file_unproven"):
            prove(broken, jwks)
    with pytest.raises(Invalid, match="file_unproven"):
        prove(got.answer, {"keys": []})
    with pytest.raises(Invalid, match="file_unproven"):
        prove(forged(got), jwks)
    (tmp_path / "answer").write_bytes(got.answer)
    (tmp_path / "keys").write_text(json.dumps(jwks))
    told = ["verify-file", str(tmp_path / "answer"), "--keys", str(tmp_path / "keys"), "--out", str(tmp_path / "out")]
    assert CliRunner().invoke(app, told).exit_code == 0
    assert (tmp_path / "out").read_bytes() == got.content
    [of_receipts] = [key for key in jwks["keys"] if key["kid"] == kid_of(receipts[0])]
    ill = [json.dumps({"keys": [of_receipts | {"x": x}]}) for x in ("", "!", "AAAA", "A" * 43, 1)]
    for text in ("", "no key set", "[]", "{}", '{"keys":[1]}', *ill):
        (tmp_path / "keys").write_text(text)
        refused = CliRunner().invoke(app, told)
        assert (refused.exit_code, type(refused.exception)) == (1, SystemExit), text


async def test_4_1_2_a_csv_file_says_the_same_as_the_api(shared: Shared) -> None:
    deal = await shops(shared, 12, methods=["api", "file"])
    got = await download(shared, deal, "csv", fields=["region", "turnover", "format"], filters={"region": "east"})
    rows = list(csv.DictReader(io.StringIO(got.content.decode(), newline="")))
    token = await shared.token(deal)
    shown = records(await shared.hotel.post(f"{deal.path}/query", token, {"filters": {"region": "East"}}))
    expected = [
        {"@id": name, **{k: "" if v is None else str(v) for k, v in one.items()}} for name, one in shown.items()
    ]
    assert rows == expected
    await proven(shared, got)


async def test_4_1_2_a_file_ends_cleanly_where_a_page_is_refused_and_can_be_gone_on_with(shared: Shared) -> None:
    deal = await shops(shared, 250, methods=["file"], volume={"records": 200, "per_seconds": 60})
    first = await download(shared, deal, "ndjson")
    manifest = first.manifest
    assert (manifest["complete"], manifest["records"]) == (False, 200)
    assert reasons(manifest["stopped"]) == [("VOLUME_EXCEEDED", "4.1.2")]
    assert (await shared.last_access())["event_id"] == manifest["stopped"]["event_id"]
    await proven(shared, first)
    shared.clock.pass_seconds(60)
    rest = await download(shared, deal, "ndjson", cursor=manifest["next"])
    assert (rest.manifest["complete"], rest.manifest["records"]) == (True, 50)
    ids = [json.loads(line)["id"] for line in (first.content + rest.content).splitlines()]
    assert len(set(ids)) == 250


async def test_4_1_2_no_page_follows_the_end_of_a_token(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    deal = await shops(shared, 250, methods=["file"])
    release = shared.gateway.enforcement.release

    async def slow(request: AccessRequest) -> Release:
        found = await release(request)
        shared.clock.pass_seconds(200)
        return found

    monkeypatch.setattr(shared.gateway.enforcement, "release", slow)
    got = await download(shared, deal, "csv")
    assert (got.manifest["records"], got.manifest["stopped"]["code"]) == (200, "token_expired")
    assert got.manifest["next"] is not None


async def test_4_1_2_a_file_ends_where_other_fields_are_permitted_than_its_first_page_has(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secrecy that runs out in the middle leaves no column that is silently empty from there on."""
    hotel, secret = shared.hotel, {"type": "integer", "x-class": "secrets", "x-grade": 2}
    dataset = await shared.bank.declare(SHOPS | {"properties": {**SHOPS["properties"], "margin": secret}})
    rows = [{"region": "north", "format": "mall", "turnover": n, "margin": n} for n in range(150)]
    assert (await shared.bank.upload(dataset, rows)).json()["accepted"] == 150
    deal = Deal(await shared.bank.agree(hotel, dataset, ["region", "margin"], term={"methods": ["file"]}), dataset)
    person = await person_of(hotel)
    done(await undertake(hotel, shared.bank.id))
    done(await record_nda(hotel, person, **lasting(hotel, ends=100)))
    done(await enlist(hotel, deal.agreement, dataset, person))
    token = await hotel.token(hotel.under(deal.agreement, dataset) | {"person": person})
    release = shared.gateway.enforcement.release

    async def slow(request: AccessRequest) -> Release:
        found = await release(request)
        shared.clock.pass_seconds(200)
        return found

    monkeypatch.setattr(shared.gateway.enforcement, "release", slow)
    got = await download(shared, deal, "csv", token)
    assert (set(got.manifest["fields"]), got.manifest["records"]) == ({"region", "margin"}, 100)
    assert (got.manifest["complete"], got.manifest["stopped"]["code"]) == (False, "fields_changed")


async def test_4_1_2_a_file_that_is_not_agreed_is_refused_before_its_first_byte(shared: Shared) -> None:
    deal = await shops(shared)
    path = deal.path.replace("/records", "/files")
    answer = await shared.hotel.post(path, await shared.token(deal), {"format": "csv"})
    assert (answer.status_code, reasons(answer.json())) == (403, [("METHOD_NOT_AGREED", "4.1.2")])
    strange = await shared.stranger.post(path, await shared.token(deal), {"format": "csv"})
    assert strange.status_code == 401
