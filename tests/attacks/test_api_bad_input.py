"""Every operation of the API under hostile input: a problem document that names the field, never a 500."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.limits import BODY_BYTES, HEADER_BYTES, TARGET_BYTES
from gateway.web import web
from tests.access.api import NO_SUCH, Operation, as_bank, raw, served, told
from tests.access.world import ENGINES, Deal, Shared, shared_on
from tests.alliance import MARKET_SCHEMA

SECRET = "13912345678"
OPEN = frozenset({"/v1/jwks", "/v1/rights/exports/{token}"})
"""Public keys, and what a person was sent the link of: whoever has the link needs nothing else."""
REGISTRATION = "/v1/clients"
"""Answers in the words of RFC 7591: see tests/members/test_registration.py."""
LARGER = ("/uploads", "/offline-consents")
"""What is posted there may be larger than other bodies."""
JSON = {"Content-Type": "application/json"}
DEEP = 100_000
ON_EITHER = pytest.mark.parametrize("shared", ENGINES, indirect=True)
"""PostgreSQL refuses texts and numbers that SQLite takes."""


@pytest.fixture
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shared]:
    async with shared_on(request, tmp_path, getattr(request, "param", "sqlite")) as alliance:
        yield alliance


@pytest.fixture
async def real(shared: Shared) -> dict[str, str]:
    """Path parts that name something of the bank's: a personal dataset, a draft agreement, its log, a consent."""
    dataset = await shared.people([1, 2])
    agreement, _ = await shared.bank.draft(shared.hotel, dataset, ["name"], purposes=["customer_referral"])
    [consent] = await shared.bank.consent(dataset, shared.hotel, "C00001")
    ids = {"dataset": dataset, "dataset_id": dataset, "agreement": agreement, "agreement_id": agreement}
    return ids | {"log": shared.bank.id, "consent_id": consent, "fingerprint": shared.hotel.signing_key.thumbprint()}


def operations(shared: Shared, method: str | None = None) -> list[Operation]:
    served_here = served(web(shared.gateway))
    assert {one.path for one in served_here} > OPEN
    found = sorted(one for one in served_here if method in (None, one.method) and one.path not in OPEN)
    assert len(found) >= (8 if method else 20)
    return found


@pytest.fixture
async def bodied(shared: Shared) -> list[Operation]:
    """The operations that read a body."""
    document = web(shared.gateway).openapi()
    posts = [one for one in operations(shared, "POST") if one.path != REGISTRATION]
    found = [one for one in posts if "requestBody" in document["paths"][one.path]["post"]]
    assert len(found) >= 7
    return found


async def test_without_credentials_every_operation_is_401_whatever_else_is_wrong(shared: Shared) -> None:
    seen = set()
    for operation in operations(shared):
        answer = await shared.alliance.http.request(
            operation.method, operation.at(), content=b"\xff{", params={"x": "y"}
        )
        assert (answer.status_code, told(answer)["code"]) == (401, "not_authenticated")
        assert answer.headers["www-authenticate"].startswith("DPoP ")
        seen.add(answer.content)
    assert len(seen) == 1


async def test_any_other_method_is_405(shared: Shared) -> None:
    paths: dict[str, set[str]] = {}
    for operation in operations(shared):
        paths.setdefault(operation.path, set()).add(operation.method)
    for path, methods in paths.items():
        if path.endswith("/records/query"):
            continue
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} - methods:
            answer = await shared.alliance.http.request(method, Operation(method, path).at())
            assert (answer.status_code, told(answer)["code"]) == (405, "method_not_allowed"), (method, path)
            assert answer.headers["allow"]


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "broken": b'{"name": ',
    "a list": b"[]",
    "a list of lists": b"[[[]]]",
    "a string": b'"name"',
    "a number": b"1",
    "null": b"null",
    "an unknown member": b'{"colour": 1}',
    "an unknown member in an alphabet": '{"颜色": 1}'.encode(),
    "a lone surrogate as a member": b'{"\\ud800": 1}',
    "a lone surrogate as a value": b'{"name": "\\ud800", "schema": {}, "subject": "\\ud800", "jws": "\\ud800"}',
    "a member twice": b'{"name": "a", "name": "b", "subject": "a", "subject": "b"}',
    "a member twice, with a lone surrogate": b'{"\\ud800": 1, "\\ud800": 2}',
    "a huge integer": b'{"name": ' + b"9" * 5000 + b"}",
    "a huge exponent": b'{"name": 1e999999, "subject": 1e999999, "limit": 1e999999}',
    "not a number": b'{"name": NaN, "subject": Infinity}',
    "deep lists": b"[" * DEEP,
    "deep objects": b'{"a":' * DEEP,
    "deep and closed": b"[" * 5000 + b"]" * 5000,
    "deep in a schema": b'{"name": "x", "schema": ' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}",
    "invalid UTF-8": b'{"name": "\xff"}',
    "another encoding": '{"name": "x"}'.encode("utf-16"),
    "a byte-order mark": b"\xef\xbb\xbf{}",
    "a zero byte": b'{"name": "a\x00b"}',
    "an escaped zero": b'{"name": "a\\u0000b", "schema": {}, "subject": "a\\u0000b", "filters": {"a": "\\u0000"}}',
    "every wrong type": json.dumps({name: [] for name in ("name", "schema", "jws", "subject", "filters")}).encode(),
}


@pytest.mark.parametrize("kind", BODIES)
async def test_a_bad_body_is_told_and_changes_nothing(
    shared: Shared, real: dict[str, str], bodied: list[Operation], kind: str
) -> None:
    token = await shared.bank.token()
    before = await shared.entries(shared.bank.id)
    for operation, existing in itertools.product(bodied, (False, True)):
        path = operation.at(**(real if existing else {}))
        answer = await as_bank(shared, operation, path, token, content=BODIES[kind], headers=JSON)
        problem = told(answer)
        assert answer.status_code in ({400, 413} if existing or path == operation.path else {400, 404, 413}), problem
        if answer.status_code == 400:
            assert problem.get("field") or "line" in problem["detail"] or problem["code"] == "invalid_json", problem
    assert await shared.entries(shared.bank.id) == before


async def test_a_body_that_says_a_member_twice_is_refused_even_if_it_would_do_otherwise(shared: Shared) -> None:
    deal = await shared.personal([1])
    own, reading = await shared.bank.token(), await shared.referral_token(deal)
    withdrawals = f"/v1/datasets/{deal.dataset}/withdrawals"
    for member, token, path, body in (
        (shared.bank, own, withdrawals, '{"subject": "C1"%s}'),
        (shared.hotel, reading, f"{deal.path}/query", '{"filters": {}%s}'),
        (shared.bank, own, "/v1/datasets", json.dumps({"name": "n", "schema": MARKET_SCHEMA})[:-1] + "%s}"),
    ):
        first = body[2 : body.index('"', 2)]
        for more in (f', "{first}": null', f', "{first}": "C1"'):
            twice = (body % more).encode()
            answer = await member.call("POST", path, token, content=twice, headers=JSON)
            assert (answer.status_code, told(answer)["code"], answer.json()["field"]) == (
                400,
                "duplicate_member",
                first,
            )
        once = await member.call("POST", path, token, content=(body % "").encode(), headers=JSON)
        assert once.status_code < 300, once.text


async def test_a_body_of_another_kind_is_told(shared: Shared, real: dict[str, str]) -> None:
    token = await shared.bank.token()
    for path in (f"/v1/datasets/{real['dataset']}/uploads", f"/v1/datasets/{real['dataset']}/consents"):
        for media in (None, b"", b"text/html", b"text/csvx", b"multipart/form-data", b"\xff", b"; charset=utf-8"):
            headers = {} if media is None else {"Content-Type": media}
            answer = await shared.bank.call("POST", path, token, content=b"{}", headers=headers)
            assert (answer.status_code, told(answer)["field"]) == (400, "Content-Type"), (path, media, answer.text)


_CHARSETS = [
    *("charset=gbk", 'charset="GB18030"', "charset=utf-16", "Charset=iso-8859-1", "charset=nonsense", "charset=é"),
    *("charset=utf-8''gbk", "charset=", "charset", "charset=utf-8; charset=gb18030", "charset*=utf-8''gbk"),
    *("charset*=a; charset*0=b", f"charset*{'9' * 5000}=x", "charset*=%FFutf''%ff"),
]


@pytest.mark.parametrize("charset", _CHARSETS)
async def test_an_upload_in_another_charset_is_told_whatever_its_bytes_are(
    shared: Shared, real: dict[str, str], charset: str
) -> None:
    path, token = f"/v1/datasets/{real['dataset']}/uploads", await shared.bank.token()
    chance = "customer_no,name,phone,id_number\nC9,每,1,2\n".encode("gbk")
    assert chance.decode("utf-8")
    before = await shared.entries(shared.bank.id)
    for media in ("text/csv", "application/x-ndjson"):
        headers = {"Content-Type": f"{media}; {charset}".encode()}
        answer = await shared.bank.call("POST", path, token, content=chance, headers=headers)
        assert (answer.status_code, told(answer)["code"]) == (400, "unsupported_charset")
        assert answer.json()["field"] == "Content-Type"
    assert await shared.entries(shared.bank.id) == before


async def test_a_compressed_body_is_told_for_what_it_is(shared: Shared, bodied: list[Operation]) -> None:
    token = await shared.bank.token()
    for operation in bodied:
        for coding in ("gzip", "deflate", "identity, br"):
            headers = {**JSON, "Content-Encoding": coding}
            answer = await as_bank(shared, operation, operation.at(), token, content=b"{}", headers=headers)
            assert (answer.status_code, told(answer)["code"]) == (415, "encoded_body")
            assert answer.json()["field"] == "Content-Encoding"
            assert answer.headers["accept-encoding"] == "identity"


PARTS = (
    "",
    "x",
    "0" * 31,
    "0" * 33,
    "F" * 32,
    "%00",
    "%FF",
    "%E4%B8%AD",
    "%F0%9F%92%A9" * 8,
    "..%2F..%2Fetc",
    "'%20OR%201=1--",
    "{agreement}",
    "-1",
    "9" * 400,
    "%ZZ",
    "%",
)


@ON_EITHER
async def test_a_bad_path_is_not_found_or_told(shared: Shared, real: dict[str, str]) -> None:
    token = await shared.bank.token()
    for operation in operations(shared):
        for name in operation.parts() if not operation.path.startswith(REGISTRATION) else ():
            for part in PARTS:
                path = operation.at(**(real | {name: part}))
                answer = await as_bank(shared, operation, path, token)
                assert answer.status_code in {200, 307, 400, 401, 404, 405}, (path, answer.text)
                if answer.status_code >= 400:
                    told(answer)


@ON_EITHER
async def test_bad_parameters_are_told_by_name(shared: Shared, real: dict[str, str]) -> None:
    token = await shared.bank.token()
    document = web(shared.gateway).openapi()
    asked = 0
    for operation in operations(shared):
        described = document["paths"][operation.path][operation.method.lower()].get("parameters", [])
        for parameter in (one["name"] for one in described if one["in"] == "query"):
            for value in ("\x00", "-1", "9" * 400, "é", "[]", "x" * 2000, "\ufffd", "1e3", " 1", "true;drop"):
                answer = await as_bank(shared, operation, operation.at(**real), token, params={parameter: value})
                assert answer.status_code in {200, 400, 403, 404}, (operation, parameter, value, answer.text)
                if answer.status_code == 400:
                    assert (
                        operation.method == "POST"
                        or parameter in told(answer)["field"]
                        or "purpose" in told(answer)["field"]
                    )
                asked += 1
    assert asked > 100


async def test_a_parameter_that_an_operation_does_not_have_is_told_by_name(
    shared: Shared, real: dict[str, str]
) -> None:
    token = await shared.bank.token()
    for operation in operations(shared):
        answer = await as_bank(shared, operation, operation.at(**real), token, params={"all_or_nothng": "true"})
        assert answer.status_code == 400, (operation, answer.text)
        assert "all_or_nothng" in answer.text
        assert operation.path.startswith(REGISTRATION) or told(answer)["code"] == "unknown_parameter"


async def test_a_parameter_that_is_given_twice_is_told_by_name(shared: Shared, real: dict[str, str]) -> None:
    token = await shared.bank.token()
    path = f"/v1/datasets/{real['dataset']}/uploads"
    for name, values in (("mode", ["append", "replace"]), ("all_or_nothing", ["true", "false"])):
        answer = await shared.bank.call(
            "POST", path, token, params={name: values}, headers={"Content-Type": "text/csv"}
        )
        assert (answer.status_code, told(answer)["field"]) == (400, name)


async def test_limits_of_pages_hold_everywhere(shared: Shared) -> None:
    token = await shared.bank.token()
    for path in ("/v1/members", "/v1/agreements", "/v1/datasets"):
        for limit in ("0", "-1", "101", "1000000000000000000000", "1.5", "", "0x10", "９"):
            answer = await shared.bank.get(path, token, limit=limit)
            assert (answer.status_code, told(answer)["field"]) == (400, "/limit"), (path, limit)


async def test_what_is_oversized_is_refused_before_it_is_read(shared: Shared, real: dict[str, str]) -> None:
    token = await shared.bank.token()
    for operation in operations(shared):
        path = operation.at(**real)
        long = await as_bank(shared, operation, path, token, params={"x": "y" * TARGET_BYTES})
        assert (long.status_code, told(long)["code"]) == (414, "target_too_long")
        wide = await as_bank(shared, operation, path, token, headers={"X-Filler": "y" * HEADER_BYTES})
        assert (wide.status_code, told(wide)["code"]) == (431, "headers_too_large")
        if operation.method == "POST" and operation.path.endswith(LARGER):
            continue
        heavy = await as_bank(shared, operation, path, token, content=b" " * (BODY_BYTES + 1))
        assert (heavy.status_code, told(heavy)["code"]) == (413, "body_too_large")


async def test_a_body_that_grows_beyond_its_limit_is_cut_off(
    shared: Shared, real: dict[str, str], bodied: list[Operation]
) -> None:
    app = web(shared.gateway)
    token = await shared.bank.token()
    await shared.bank.get("/v1/members", token)
    for operation in bodied:
        if operation.method == "POST" and operation.path.endswith(LARGER):
            continue
        path = operation.at(**real)
        headers = [
            (b"authorization", f"DPoP {token}".encode()),
            (b"dpop", shared.bank.proof(operation.method, shared.alliance.base + path, token).encode()),
            (b"content-type", b"application/json"),
        ]
        pieces = [b" " * 65_536] * (BODY_BYTES // 65_536 + 2)
        answer = await raw(app, operation.method, path.encode(), headers, pieces)
        assert answer.problem()["code"] == "body_too_large", operation
        assert answer.status == 413


@pytest.mark.parametrize("length", [b"x", b"-1", b"1e3", b"", b"9" * 5000, b"\xb2", b"9" * 30, b" 1"])
async def test_a_content_length_that_is_no_length_is_told(shared: Shared, length: bytes) -> None:
    app = web(shared.gateway)
    answer = await raw(app, "POST", b"/v1/datasets", [(b"content-length", length)])
    assert answer.problem()
    assert answer.status in {400, 413}


@pytest.mark.parametrize(
    "path", [b"/v1/members\xff", b"/v1/\xe4\xb8\xad", b"/v1/agreements/%", b"/v1/agreements/\x00", b"/v1/%zz", b"/v1//"]
)
async def test_a_path_of_any_bytes_is_answered_by_a_problem(shared: Shared, path: bytes) -> None:
    app = web(shared.gateway)
    for headers in ([], [(b"authorization", b"DPoP \xff\xfe"), (b"dpop", b"\xff")]):
        answer = await raw(app, "GET", path, headers)
        assert answer.problem()
        assert 400 <= answer.status < 500, answer.body


@pytest.mark.parametrize(
    "headers",
    [
        [(b"authorization", b"DPoP")],
        [(b"authorization", b"Bearer x")],
        [(b"authorization", b"DPoP \xff"), (b"dpop", b"x")],
        [(b"authorization", b"DPoP x"), (b"dpop", b"a.b.c")],
        [(b"authorization", b"DPoP x"), (b"dpop", b"x"), (b"dpop", b"x")],
        [(b"authorization", b"DPoP x"), (b"authorization", b"DPoP x")],
        [(b"authorization", b"DPoP " + b"." * 30_000)],
        [(b"authorization", b"DPoP e30.e30.e30"), (b"dpop", b"e30.e30.e30")],
    ],
)
async def test_bad_credentials_are_401_everywhere(shared: Shared, headers: list[tuple[bytes, bytes]]) -> None:
    app = web(shared.gateway)
    for operation in operations(shared):
        answer = await raw(app, operation.method, operation.at().encode(), headers)
        assert answer.status == 401, (operation, answer.body)
        assert answer.problem()["detail"] == "The credentials are missing or do not hold."


@ON_EITHER
async def test_an_idempotency_key_of_any_form_is_kept_or_told(shared: Shared, real: dict[str, str]) -> None:
    token = await shared.bank.token()
    for key in (b"", b" ", b"x" * 2000, b"\xff", b"a b", b"\t", b"{}", b"'"):
        for path, body in (
            ("/v1/datasets", b"{}"),
            ("/v1/agreements", b"{}"),
            (f"/v1/datasets/{real['dataset']}/consents", b"[]"),
        ):
            answer = await shared.bank.call("POST", path, token, content=body, headers={**JSON, "Idempotency-Key": key})
            assert answer.status_code == 400, (path, key, answer.text)
            told(answer)


@pytest.mark.parametrize("kind", ["leak", "dispute"])
async def test_a_case_that_is_opened_again_with_the_same_key_is_one(shared: Shared, kind: str) -> None:
    deal = await shared.market()
    token = await shared.bank.token()
    body: Any = {"kind": kind, "agreement": deal.agreement, "claim": "As the list says."}
    body["evidence"] = [{"name": "list", "sha256": "0" * 64}]
    if kind == "dispute":
        body["subject"] = {"kind": "term", "id": deal.dataset}
    headers = {**JSON, "Idempotency-Key": "k"}

    async def opened() -> Any:
        return await shared.bank.call("POST", "/v1/cases", token, content=json.dumps(body).encode(), headers=headers)

    first, again = await opened(), await opened()
    assert (first.status_code, again.status_code) == (201, 201), again.text
    assert first.json()["id"] == again.json()["id"]
    body["claim"] = "As another list says."
    assert told(await opened())["code"] == "idempotency_key_reused"


async def test_no_problem_quotes_a_protected_value(shared: Shared) -> None:
    deal = await shared.personal([1])
    await shared.bank.consent(deal.dataset, shared.hotel, "C00001")
    own, reading = await shared.bank.token(), await shared.referral_token(deal)
    consents = f"/v1/datasets/{deal.dataset}/consents"
    statement = {"subject": SECRET, "recipient": SECRET, "purpose": SECRET, "fields": [SECRET], "given_at": SECRET}
    answers = [
        await shared.hotel.post(f"{deal.path}/query", reading, {"filters": {"phone": [SECRET]}}),
        await shared.hotel.post(f"{deal.path}/query", reading, {"filters": {"name": SECRET}}),
        await shared.hotel.post(f"{deal.path}/query", reading, {"filters": {}, "limit": SECRET}),
        await shared.hotel.post(f"{deal.path}/query", reading, {"filters": {}, "cursor": SECRET}),
        await shared.bank.call("POST", consents, own, content=f'{{"subject": "{SECRET}"'.encode(), headers=JSON),
        await shared.bank.call("POST", consents, own, content=f'"{SECRET}"'.encode(), headers=JSON),
        await shared.bank.post(consents, own, statement),
        await shared.bank.post(consents, own, {"subject": SECRET}),
        await shared.bank.post(f"/v1/datasets/{deal.dataset}/withdrawals", own, {"subject": [SECRET]}),
        await shared.bank.post(f"/v1/datasets/{deal.dataset}/withdrawals", own, {"subject": SECRET, "purpose": SECRET}),
        await shared.bank.get(f"/v1/consents/{NO_SUCH}", own, x=SECRET),
        await shared.bank.get(f"/v1/consents/{SECRET}", own),
        await shared.bank.get("/v1/members", own, limit=SECRET),
        await shared.hotel.get(deal.path, reading, limit=SECRET),
        await shared.hotel.get(deal.path, reading, cursor=SECRET),
        await shared.hotel.get(deal.path, reading, purpose=SECRET),
        await shared.hotel.get(f"{deal.path}/{SECRET}", reading),
    ]
    for number, answer in enumerate(answers):
        told(answer)
        assert 400 <= answer.status_code < 500, (number, answer.text)
        assert SECRET not in answer.text, number
        assert SECRET not in str(answer.headers), number


OF_BODIES = ("name", "schema", "owner", "recipient", "datasets", "frequency", "start", "jws", "subject", "purpose")
OF_QUERIES = ("filters", "fields", "limit", "cursor", "given_at", "expires_at")
OF_SCHEMAS = ("properties", "type", "x-kind", "x-class", "x-grade")
NAMES = st.sampled_from((*OF_BODIES, *OF_QUERIES, *OF_SCHEMAS))
junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(["\ud800", "0" * 32, "market_analysis", "2020-01-01T00:00:00Z", "name", "phone"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | NAMES, inner, max_size=6),
    max_leaves=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=st.dictionaries(NAMES, junk, max_size=8) | junk)
async def test_no_document_whatever_makes_the_gateway_fail(
    shared: Shared, bodied: list[Operation], document: Any
) -> None:
    body = json.dumps(document).encode()
    token = await shared.bank.token()
    deal = Deal(NO_SUCH, NO_SUCH)
    for operation in bodied:
        path = f"{deal.path}/query" if operation.path.endswith("/query") else operation.at()
        answer = await as_bank(shared, operation, path, token, content=body, headers=JSON)
        assert 400 <= answer.status_code < 500, (operation, answer.text)
        told(answer)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=st.dictionaries(NAMES, junk, max_size=8) | junk)
async def test_no_document_makes_a_party_s_own_operations_fail(
    shared: Shared, real: dict[str, str], bodied: list[Operation], document: Any
) -> None:
    body = json.dumps(document).encode()
    token = await shared.bank.token()
    for operation in bodied:
        if not operation.parts() or "upload" in operation.path:
            continue
        answer = await as_bank(shared, operation, operation.at(**real), token, content=body, headers=JSON)
        if operation.path.endswith("/withdrawals") and answer.status_code == 200:
            continue
        assert 400 <= answer.status_code < 500, (operation, body, answer.text)
        told(answer)
