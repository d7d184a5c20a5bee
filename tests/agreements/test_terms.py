from __future__ import annotations

import calendar
import contextlib
import copy
import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.agreements import (
    Cadence,
    Dispute,
    Frequency,
    Remedies,
    RevenueRatio,
    RowPredicate,
    Volume,
    parse_terms,
)
from gateway.agreements.fields import years_after
from gateway.agreements.terms import LONGEST_TEXT, OPTIONAL, complete_proposal
from gateway.canonical import canonical
from gateway.errors import GatewayError, Invalid, TooLarge
from gateway.identifiers import PURPOSE_PATTERN

TERMS: dict[str, Any] = {
    "v": 1,
    "alliance": "al",
    "agreement": "ag",
    "owner": "airline",
    "recipient": "bank",
    "title": "航班数据共享",
    "datasets": [
        {"dataset": "flights", "fields": ["year", "carrier"], "purposes": ["market_analysis"], "methods": ["api"]},
        {"dataset": "planes", "fields": ["model"], "purposes": ["risk_control", "settlement"], "methods": ["api"]},
    ],
    "frequency": {"reads": 10, "per_seconds": 60},
    "start": "2026-01-01T00:00:00Z",
    "end": "2026-01-01T00:00:01Z",
    "confidentiality_years": 0,
    "onward": "written_consent",
}
SIGNED_MESSAGES = {"profile": "fapi-2_0-http-signatures-01", "actions": ["read", "query"]}
CADENCE = {
    "every": "week",
    "on": 1,
    "by": "09:30",
    "time_zone": "Asia/Shanghai",
    "calendar": "CN",
    "grace_days": 2,
    "first": "2026-01-05",
}
FULL: dict[str, Any] = {
    **TERMS,
    "datasets": [
        {
            **TERMS["datasets"][0],
            "methods": ["api", "file", "push"],
            "rows": [{"field": "carrier", "in": ["UA", "美联"]}, {"field": "year", "in": ["2013"]}],
            "volume": {"records": 1000, "per_seconds": 3600},
            "cadence": CADENCE,
            "lawful_basis": "contract",
            "retention_days": 30,
        },
        TERMS["datasets"][1],
    ],
    "end": "2027-01-01T00:00:00Z",
    "confidentiality_years": 3,
    "signed_messages": SIGNED_MESSAGES,
    "third_parties": ["hotel"],
    "remedies": {"cure_days": 10},
    "dispute": {"forum": "arbitration", "body": "CIETAC 中国国际经济贸易仲裁委员会", "negotiation_days": 30},
    "revenue_ratio": {"owner_bp": 7000, "recipient_bp": 3000},
    "rights_and_duties": "甲方按约定提供数据。\n乙方按约定使用数据。",
    "liability": "违约方赔偿直接损失。",
    "amends": "older",
    "template": "information_sharing",
}
"""Every term that there is."""
Change = Callable[[dict[str, Any]], object]


def _set(*path: Any) -> Change:
    """Put the last of these at the place that the others name."""

    def change(terms: dict[str, Any]) -> None:
        place: Any = terms
        for step in path[:-2]:
            place = place[step]
        place[path[-2]] = path[-1]

    return change


def test_terms_are_read_from_their_text() -> None:
    terms = parse_terms(canonical(TERMS))
    assert (terms.owner, terms.recipient, terms.title) == ("airline", "bank", "航班数据共享")
    assert (terms.starts_at, terms.ends_at) == (1_767_225_600, 1_767_225_601)
    assert terms.frequency == Frequency(reads=10, per_seconds=60)
    assert (terms.confidentiality_years, terms.onward) == (0, "written_consent")
    planes = terms.term_for("planes")
    assert planes is not None
    assert (planes.fields, planes.purposes, planes.methods) == (("model",), ("risk_control", "settlement"), ("api",))
    assert terms.term_for("airports") is None


def test_every_term_that_there_is_can_be_read() -> None:
    terms = parse_terms(canonical(FULL))
    flights, planes = terms.datasets
    assert flights.methods == ("api", "file", "push")
    assert flights.rows == (RowPredicate("carrier", ("UA", "美联")), RowPredicate("year", ("2013",)))
    assert flights.volume == Volume(records=1000, per_seconds=3600)
    assert flights.cadence == Cadence("week", 1, "09:30", "Asia/Shanghai", "CN", 2, date(2026, 1, 5))
    assert (flights.lawful_basis, flights.retention_days) == ("contract", 30)
    assert (planes.rows, planes.volume, planes.cadence) == ((), None, None)
    assert (planes.lawful_basis, planes.retention_days) == (None, None)
    assert (terms.third_parties, terms.remedies) == (("hotel",), Remedies(cure_days=10))
    assert terms.dispute == Dispute("arbitration", "CIETAC 中国国际经济贸易仲裁委员会", 30)
    assert terms.revenue_ratio == RevenueRatio(owner_bp=7000, recipient_bp=3000)
    assert (terms.amends, terms.template) == ("older", "information_sharing")
    assert (terms.rights_and_duties, terms.liability) == (FULL["rights_and_duties"], FULL["liability"])


@pytest.mark.parametrize("name", OPTIONAL)
def test_what_is_not_agreed_has_no_silent_default(name: str) -> None:
    given = {member: value for member, value in FULL.items() if member != name}
    assert not getattr(parse_terms(canonical(given)), name)


def _flights(name: str, value: Any) -> Change:
    return _set("datasets", 0, name, value)


def _cadence(**changes: Any) -> Change:
    return _flights("cadence", CADENCE | changes)


CONTRADICTING: list[tuple[str, str, Change]] = [
    ("terms_out_of_range", "/datasets/0/volume/records", _set("datasets", 0, "volume", "records", 0)),
    ("terms_member_missing", "/datasets/0/volume/per_seconds", _flights("volume", {"records": 100})),
    ("terms_rows_field_not_granted", "/datasets/0/rows/0/field", _set("datasets", 0, "rows", 0, "field", "model")),
    ("terms_repeated", "/datasets/0/rows/1/field", _set("datasets", 0, "rows", 1, "field", "carrier")),
    ("terms_repeated", "/datasets/0/rows/0/in", _set("datasets", 0, "rows", 0, "in", ["UA", "UA"])),
    ("terms_text_malformed", "/datasets/0/rows/0/in/0", _set("datasets", 0, "rows", 0, "in", [""])),
    ("terms_empty", "/datasets/0/rows", _flights("rows", [])),
    ("terms_out_of_range", "/datasets/0/rows", _flights("rows", [{"field": "year", "in": ["1"]}] * 9)),
    ("terms_out_of_range", "/datasets/0/rows/0/in", _set("datasets", 0, "rows", 0, "in", [*map(str, range(33))])),
    ("terms_cadence_longer_than_term", "/datasets/0/cadence/every", _set("end", "2026-01-07T23:59:59Z")),
    ("terms_first_off_cadence", "/datasets/0/cadence/first", _cadence(first="2026-01-06")),
    ("terms_first_off_cadence", "/datasets/0/cadence/first", _cadence(every="month", on=31, first="2026-01-30")),
    ("terms_out_of_range", "/datasets/0/cadence/on", _cadence(on=8)),
    ("terms_out_of_range", "/datasets/0/cadence/on", _cadence(every="day", on=1)),
    ("terms_out_of_range", "/datasets/0/cadence/on", _cadence(every="month", on=0)),
    ("terms_word_unknown", "/datasets/0/cadence/every", _cadence(every="hour")),
    ("terms_no_time_of_day", "/datasets/0/cadence/by", _cadence(by="24:00")),
    ("terms_no_time_of_day", "/datasets/0/cadence/by", _cadence(by="9:30")),
    ("terms_time_zone_malformed", "/datasets/0/cadence/time_zone", _cadence(time_zone="../etc/passwd")),
    ("terms_time_zone_malformed", "/datasets/0/cadence/time_zone", _cadence(time_zone="+08:00")),
    ("terms_country_malformed", "/datasets/0/cadence/calendar", _cadence(calendar="cn")),
    ("terms_no_date", "/datasets/0/cadence/first", _cadence(first="2026-1-5")),
    ("terms_no_such_time", "/datasets/0/cadence/first", _cadence(first="2026-02-29")),
    ("terms_out_of_range", "/datasets/0/cadence/grace_days", _cadence(grace_days=-1)),
    ("terms_member_unknown", "/datasets/0/cadence/until", _cadence(until="2026-01-05")),
    ("terms_word_unknown", "/datasets/0/lawful_basis", _flights("lawful_basis", "interest")),
    ("terms_out_of_range", "/datasets/0/retention_days", _flights("retention_days", 0)),
    ("terms_retention_beyond_confidentiality", "/datasets/0/retention_days", _flights("retention_days", 3 * 365 + 1)),
    ("terms_third_party_is_party", "/third_parties/1", _set("third_parties", ["hotel", "airline"])),
    ("terms_third_parties_forbidden", "/third_parties", _set("onward", "forbidden")),
    ("terms_repeated", "/third_parties", _set("third_parties", ["hotel", "hotel"])),
    ("terms_ratio_not_whole", "/revenue_ratio", _set("revenue_ratio", "owner_bp", 7001)),
    ("terms_out_of_range", "/revenue_ratio/owner_bp", _set("revenue_ratio", {"owner_bp": 10_001, "recipient_bp": 0})),
    ("terms_wrong_type", "/revenue_ratio/owner_bp", _set("revenue_ratio", {"owner_bp": 0.5, "recipient_bp": 0.5})),
    ("terms_word_unknown", "/dispute/forum", _set("dispute", "forum", "duel")),
    ("terms_text_malformed", "/dispute/body", _set("dispute", "body", "")),
    ("terms_member_missing", "/remedies/cure_days", _set("remedies", {})),
    ("terms_text_malformed", "/liability", _set("liability", "a\r\nb")),
    ("terms_text_malformed", "/liability", _set("liability", "\u3000\u3000")),
    ("terms_text_malformed", "/liability", _set("liability", "a\u3000")),
    ("terms_text_malformed", "/liability", _set("liability", " \u3000a")),
    ("terms_text_malformed", "/liability", _set("liability", "a\u00a0b")),
    ("terms_text_malformed", "/rights_and_duties", _set("rights_and_duties", "a" * 8001)),
    ("terms_amends_itself", "/amends", _set("amends", "ag")),
    ("terms_name_malformed", "/template", _set("template", "No Such")),
]


@pytest.mark.parametrize(
    ("code", "field", "change"), CONTRADICTING, ids=[f"{r[0]}-{n}" for n, r in enumerate(CONTRADICTING)]
)
def test_terms_that_contradict_each_other_are_refused_by_name(code: str, field: str, change: Change) -> None:
    terms = copy.deepcopy(FULL)
    change(terms)
    with pytest.raises(Invalid) as refused:
        parse_terms(canonical(terms) if code != "terms_wrong_type" else json.dumps(terms).encode())
    assert (refused.value.code, refused.value.field) == (code, field)


def test_a_chinese_paragraph_is_indented_as_it_is_printed() -> None:
    said = "\u3000\u3000第一条\u3000甲方按约定提供数据。\n\u3000\u3000第二条\u3000乙方按约定使用数据。"
    terms = parse_terms(canonical(FULL | {"liability": said}))
    assert terms.liability == said


def test_a_month_that_is_shorter_than_the_agreed_day_ends_the_cadences_month() -> None:
    terms = copy.deepcopy(FULL)
    _cadence(every="month", on=31, first="2026-02-28")(terms)
    assert parse_terms(canonical(terms)).datasets[0].cadence


REFUSED: list[tuple[str, str, Change]] = [
    ("terms_out_of_range", "/v", _set("v", 2)),
    ("terms_out_of_range", "/v", _set("v", 0)),
    ("terms_wrong_type", "/v", _set("v", True)),
    ("terms_member_unknown", "/extra", _set("extra", 1)),
    ("terms_member_unknown", "/datasets/0/classes", _set("datasets", 0, "classes", [])),
    ("terms_member_unknown", "/frequency/burst", _set("frequency", "burst", 1)),
    ("terms_name_malformed", "/alliance", _set("alliance", "")),
    ("terms_name_malformed", "/agreement", _set("agreement", "a b")),
    ("terms_name_malformed", "/owner", _set("owner", "a" * 65)),
    ("terms_name_malformed", "/owner", _set("owner", "a\n")),
    ("terms_wrong_type", "/recipient", _set("recipient", None)),
    ("terms_same_party", "/recipient", _set("recipient", "airline")),
    ("terms_text_malformed", "/title", _set("title", "")),
    ("terms_text_malformed", "/title", _set("title", "a\u0000b")),
    ("terms_text_malformed", "/title", _set("title", "a\u202eb")),
    ("terms_text_malformed", "/title", _set("title", " a")),
    ("terms_text_malformed", "/title", _set("title", "a" * 201)),
    ("terms_empty", "/datasets", _set("datasets", [])),
    ("terms_wrong_type", "/datasets", _set("datasets", {})),
    ("terms_wrong_type", "/datasets/1", _set("datasets", 1, "planes")),
    ("terms_out_of_range", "/datasets", _set("datasets", [TERMS["datasets"][0]] * 101)),
    ("terms_repeated", "/datasets/1/dataset", _set("datasets", 1, "dataset", "flights")),
    ("terms_empty", "/datasets/0/fields", _set("datasets", 0, "fields", [])),
    ("terms_repeated", "/datasets/0/fields", _set("datasets", 0, "fields", ["year", "year"])),
    ("terms_name_malformed", "/datasets/0/fields/1", _set("datasets", 0, "fields", ["year", "*"])),
    ("terms_out_of_range", "/datasets/0/fields", _set("datasets", 0, "fields", [f"f{i}" for i in range(63)])),
    ("terms_empty", "/datasets/0/purposes", _set("datasets", 0, "purposes", [])),
    ("terms_repeated", "/datasets/0/purposes", _set("datasets", 0, "purposes", ["a", "a"])),
    ("terms_purpose_malformed", "/datasets/0/purposes/0", _set("datasets", 0, "purposes", ["Any Purpose"])),
    ("terms_purpose_malformed", "/datasets/0/purposes/0", _set("datasets", 0, "purposes", ["a" * 65])),
    ("terms_purpose_malformed", "/datasets/0/purposes/0", _set("datasets", 0, "purposes", ["market.analysis"])),
    ("terms_purpose_malformed", "/datasets/0/purposes/0", _set("datasets", 0, "purposes", ["market-analysis"])),
    ("terms_out_of_range", "/datasets/0/purposes", _set("datasets", 0, "purposes", [f"p{i}" for i in range(33)])),
    ("terms_empty", "/datasets/0/methods", _set("datasets", 0, "methods", [])),
    ("terms_word_unknown", "/datasets/0/methods/0", _set("datasets", 0, "methods", ["fax"])),
    ("terms_repeated", "/datasets/0/methods", _set("datasets", 0, "methods", ["api", "api"])),
    ("terms_out_of_range", "/frequency/reads", _set("frequency", "reads", 0)),
    ("terms_out_of_range", "/frequency/reads", _set("frequency", "reads", 1_000_000_001)),
    ("terms_wrong_type", "/frequency/reads", _set("frequency", "reads", 1.0)),
    ("terms_out_of_range", "/frequency/per_seconds", _set("frequency", "per_seconds", 0)),
    ("terms_out_of_range", "/frequency/per_seconds", _set("frequency", "per_seconds", 31_622_401)),
    ("terms_wrong_type", "/frequency", _set("frequency", [])),
    ("terms_not_utc", "/start", _set("start", "2026-01-01T00:00:00+00:00")),
    ("terms_not_utc", "/start", _set("start", "2026-01-01T00:00:00z")),
    ("terms_not_utc", "/start", _set("start", "2026-01-01")),
    ("terms_not_utc", "/start", _set("start", "2026-01-01T00:00:00.5Z")),
    ("terms_not_utc", "/start", _set("start", "２026-01-01T00:00:00Z")),
    ("terms_not_utc", "/end", _set("end", "2027-01-01T00:00:00Z\n")),
    ("terms_no_such_time", "/end", _set("end", "2027-02-29T00:00:00Z")),
    ("terms_no_such_time", "/end", _set("end", "2027-01-01T24:00:00Z")),
    ("terms_no_such_time", "/end", _set("end", "2027-01-01T23:59:60Z")),
    ("terms_out_of_range", "/start", _set("start", "1969-12-31T23:59:59Z")),
    ("terms_wrong_type", "/start", _set("start", 1_767_225_600)),
    ("terms_end_before_start", "/end", _set("end", "2026-01-01T00:00:00Z")),
    ("terms_end_before_start", "/end", _set("end", "2025-12-31T23:59:59Z")),
    ("terms_out_of_range", "/confidentiality_years", _set("confidentiality_years", -1)),
    ("terms_out_of_range", "/confidentiality_years", _set("confidentiality_years", 101)),
    ("terms_wrong_type", "/confidentiality_years", _set("confidentiality_years", "3")),
    ("terms_word_unknown", "/onward", _set("onward", "allowed")),
    ("terms_wrong_type", "/onward", _set("onward", None)),
    ("terms_wrong_type", "/signed_messages", _set("signed_messages", None)),
    ("terms_member_missing", "/signed_messages/actions", _set("signed_messages", {"profile": "x"})),
    ("terms_member_unknown", "/signed_messages/more", _set("signed_messages", SIGNED_MESSAGES | {"more": 1})),
    ("terms_word_unknown", "/signed_messages/profile", _set("signed_messages", SIGNED_MESSAGES | {"profile": "none"})),
    ("terms_empty", "/signed_messages/actions", _set("signed_messages", SIGNED_MESSAGES | {"actions": []})),
    ("terms_word_unknown", "/signed_messages/actions/0", _set("signed_messages", SIGNED_MESSAGES | {"actions": ["x"]})),
    (
        "terms_repeated",
        "/signed_messages/actions",
        _set("signed_messages", SIGNED_MESSAGES | {"actions": ["read"] * 2}),
    ),
]


@pytest.mark.parametrize(("code", "field", "change"), REFUSED, ids=[f"{r[0]}-{n}" for n, r in enumerate(REFUSED)])
def test_terms_outside_the_rules_are_refused_by_field(code: str, field: str, change: Change) -> None:
    terms = copy.deepcopy(TERMS)
    change(terms)
    with pytest.raises(Invalid) as refused:
        parse_terms(json.dumps(terms, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())
    assert (refused.value.code, refused.value.field) == (code, field)


@pytest.mark.parametrize(
    "path", [(name,) for name in TERMS if name != "frequency"] + [("frequency", name) for name in TERMS["frequency"]]
)
def test_a_missing_member_is_named(path: tuple[str, ...]) -> None:
    terms = copy.deepcopy(TERMS)
    place = terms
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    with pytest.raises(Invalid, match="terms_member_missing") as refused:
        parse_terms(canonical(terms))
    assert refused.value.field == "/" + "/".join(path)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("not_canonical", json.dumps(TERMS).encode()),
        ("not_canonical", canonical(TERMS) + b"\n"),
        ("duplicate_member", canonical(TERMS).replace(b'"v":1}', b'"v":1,"v":1}')),
        ("invalid_json", b"\xff"),
        ("invalid_json", b""),
        ("invalid_json", b"[" * 60_000),
        ("terms_wrong_type", b"[]"),
        ("terms_wrong_type", b"NULL".lower()),
        ("terms_text_malformed", canonical({**TERMS, "title": "X"}).replace(b'"X"', b'"\\ud800"')),
        ("terms_wrong_type", canonical({**TERMS, "title": "X"}).replace(b'"X"', b"[" * 900 + b"]" * 900)),
        (
            "terms_out_of_range",
            canonical({**TERMS, "confidentiality_years": 7}).replace(b":7,", b":" + b"9" * 400 + b","),
        ),
        ("invalid_json", canonical({**TERMS, "confidentiality_years": 7}).replace(b":7,", b":" + b"9" * 5000 + b",")),
    ],
)
def test_text_that_is_not_exactly_terms_is_refused(code: str, text: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        parse_terms(text)
    assert refused.value.code == code


def test_an_unknown_member_is_named_in_a_form_that_can_be_shown() -> None:
    with pytest.raises(Invalid, match="terms_member_unknown") as refused:
        complete_proposal(b'{"\\ud800": 1, "%s": 1}' % (b"a" * 99), alliance="al", agreement="ag")
    assert refused.value.field is not None
    refused.value.field.encode()


def test_terms_have_a_longest_length() -> None:
    with pytest.raises(TooLarge, match="terms_too_large"):
        parse_terms(b" " * (LONGEST_TEXT + 1))
    wordy = FULL | dict.fromkeys(("rights_and_duties", "liability"), "权" * 8000)
    proposal = {name: value for name, value in wordy.items() if name not in ("v", "alliance", "agreement")}
    escaped = json.dumps(proposal, indent=1).encode()
    assert len(escaped) > LONGEST_TEXT  # as it is written; what is signed is shorter
    assert complete_proposal(escaped, alliance="al", agreement="ag").text == canonical(wordy)
    many = [FULL["datasets"][0] | {"dataset": f"flights-{number}"} for number in range(100)]
    with pytest.raises(TooLarge, match="terms_too_large"):
        complete_proposal(json.dumps(proposal | {"datasets": many}).encode(), alliance="al", agreement="ag")


def test_a_proposal_nested_too_deeply_is_refused() -> None:
    proposal = {name: value for name, value in TERMS.items() if name not in {"v", "alliance", "agreement"}}
    text = canonical({**proposal, "title": "X"}).replace(b'"X"', b"[" * 900 + b"]" * 900)
    with pytest.raises(Invalid):
        complete_proposal(text, alliance="al", agreement="ag")


_names = st.from_regex("[a-z][a-z0-9]{0,9}", fullmatch=True)
_several = st.lists(_names, min_size=1, max_size=4, unique=True)
_title = st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable() and text == text.strip())
_instant = st.integers(0, 2**33)
_terms = st.builds(
    lambda datasets, parties, title, reads, per, start, lasts, years, onward, signed: {
        "v": 1,
        "alliance": "al",
        "agreement": "ag",
        "owner": parties[0],
        "recipient": parties[1],
        "title": title,
        "datasets": [
            {"dataset": name, "fields": fields, "purposes": purposes, "methods": ["api"]}
            for name, (fields, purposes) in datasets.items()
        ],
        **({} if reads == 1 else {"frequency": {"reads": reads, "per_seconds": per}}),
        "start": datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "end": datetime.fromtimestamp(start + lasts, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "confidentiality_years": years,
        "onward": onward,
        **({} if signed is None else {"signed_messages": SIGNED_MESSAGES | {"actions": list(signed)}}),
    },
    st.dictionaries(_names, st.tuples(_several, _several), min_size=1, max_size=3),
    st.lists(_names, min_size=2, max_size=2, unique=True),
    _title,
    st.integers(1, 10**9),
    st.integers(1, 31_622_400),
    _instant,
    st.integers(1, 2**31),
    st.integers(0, 100),
    st.sampled_from(["forbidden", "written_consent"]),
    st.none() | st.permutations(["read", "query"]).flatmap(lambda names: st.sampled_from([names, names[:1]])),
)


@given(_terms)
@settings(max_examples=100, deadline=None)
def test_what_is_read_says_what_was_written(value: dict[str, Any]) -> None:
    text = canonical(value)
    terms = parse_terms(text)
    assert terms.text == text
    assert parse_terms(terms.text) == terms
    read = {
        "owner": terms.owner,
        "recipient": terms.recipient,
        "title": terms.title,
        "datasets": [
            {"dataset": t.dataset, "fields": [*t.fields], "purposes": [*t.purposes], "methods": [*t.methods]}
            for t in terms.datasets
        ],
        "start": datetime.fromtimestamp(terms.starts_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "end": datetime.fromtimestamp(terms.ends_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "confidentiality_years": terms.confidentiality_years,
        "onward": terms.onward,
    }
    if terms.frequency is not None:
        read["frequency"] = {"reads": terms.frequency.reads, "per_seconds": terms.frequency.per_seconds}
    assert ("frequency" in value) == (terms.frequency is not None)
    if terms.signed_messages is not None:
        signed = terms.signed_messages
        read["signed_messages"] = {"profile": signed.profile, "actions": [*signed.actions]}
    assert ("signed_messages" in value) == (terms.signed_messages is not None)
    assert read == {name: value[name] for name in read}
    assert complete_proposal(json.dumps(read).encode(), alliance="al", agreement="ag") == terms


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from([*TERMS, "other"]), _json, _terms)
@settings(max_examples=300, deadline=None)
def test_any_value_in_any_place_is_read_or_refused_and_never_breaks(name: str, put: Any, value: dict[str, Any]) -> None:
    text = json.dumps({**value, name: put}, sort_keys=True, separators=(",", ":")).encode()
    for read in (parse_terms, lambda given_: complete_proposal(given_, alliance="al", agreement="ag")):
        with contextlib.suppress(GatewayError):
            read(text)


@given(st.binary(max_size=200) | _json.map(lambda value: json.dumps(value).encode()))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_read_or_refused_and_never_break(text: bytes) -> None:
    for read in (parse_terms, lambda given_: complete_proposal(given_, alliance="al", agreement="ag")):
        with contextlib.suppress(GatewayError):
            read(text)


@given(_terms, st.data())
@settings(max_examples=100, deadline=None)
def test_one_changed_byte_is_another_text_or_none(value: dict[str, Any], data: st.DataObject) -> None:
    text = bytearray(canonical(value))
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(GatewayError):
        assert parse_terms(bytes(text)) != parse_terms(canonical(value))


def _s(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


@pytest.mark.parametrize(
    ("start", "years", "end"),
    [
        ("2024-02-29T12:34:56Z", 1, "2025-03-01T12:34:56Z"),
        ("2024-02-29T12:34:56Z", 4, "2028-02-29T12:34:56Z"),
        ("2024-02-28T00:00:00Z", 1, "2025-02-28T00:00:00Z"),
        ("2096-02-29T00:00:00Z", 4, "2100-03-01T00:00:00Z"),
        ("2026-12-31T23:59:59Z", 0, "2026-12-31T23:59:59Z"),
    ],
)
def test_years_keep_the_day_and_a_leap_day_becomes_the_first_of_march(start: str, years: int, end: str) -> None:
    assert years_after(_s(start), years) == _s(end)


LEAP_DAYS = [date(year, 2, 29) for year in range(1972, 2400, 4) if calendar.isleap(year)]


@given(
    st.dates(date(1970, 1, 1), date(2400, 12, 31)) | st.sampled_from(LEAP_DAYS),
    st.integers(0, 86_399),
    st.integers(0, 100),
)
@settings(max_examples=300, deadline=None)
def test_years_after_any_day_are_the_same_day_or_the_day_after_a_leap_day_that_is_not_there(
    day: date, second: int, years: int
) -> None:
    begun = calendar.timegm(day.timetuple()) + second
    ends = datetime.fromtimestamp(years_after(begun, years), UTC)
    leap = (day.month, day.day) == (2, 29) and not calendar.isleap(day.year + years)
    assert (ends.year, ends.month, ends.day) == (day.year + years, *((3, 1) if leap else (day.month, day.day)))
    assert calendar.timegm(ends.timetuple()) % 86_400 == second
    assert years_after(begun, years) - begun >= years * 365 * 86_400


def test_years_beyond_the_calendar_are_refused() -> None:
    with pytest.raises(Invalid, match="instant_out_of_range"):
        years_after(_s("9950-01-01T00:00:00Z"), 100)


def test_every_registered_purpose_has_the_form_that_terms_consents_and_reads_share() -> None:
    rules = (Path(__file__).resolve().parents[2] / "policies/gateway/access/purpose.rego").read_text()
    registered = re.findall(r'^\t"(.+)",$', rules, re.MULTILINE)
    assert len(registered) >= 8
    assert [one for one in registered if not re.fullmatch(PURPOSE_PATTERN, one)] == []
