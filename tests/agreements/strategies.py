"""Any terms that there can be, as JSON values."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from gateway.agreements.dataset_terms import LAWFUL_BASES, METHODS

_names = st.from_regex("[a-z][a-z0-9]{0,9}", fullmatch=True)
_printable = st.characters(codec="utf-8", exclude_categories=("C", "Z"))
_texts = st.text(_printable, min_size=1, max_size=20)
_prose = st.lists(_texts, min_size=1, max_size=3).map("\n".join)
_values = st.text(_printable | st.just(" "), min_size=1, max_size=12)
_window = st.integers(1, 31_622_400)
_START = datetime(2026, 1, 1, tzinfo=UTC)


def _some(choices: Any) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(choices), min_size=1, unique=True)


@st.composite
def _cadence(draw: st.DrawFn) -> dict[str, Any]:
    every = draw(st.sampled_from(["day", "business_day", "week", "month"]))
    first = date(2026, 1, 1) + timedelta(days=draw(st.integers(0, 900)))
    month_end = first.day == calendar.monthrange(first.year, first.month)[1]
    on = {"week": first.isoweekday(), "month": draw(st.integers(first.day, 31)) if month_end else first.day}
    return {
        "every": every,
        "on": on.get(every, 0),
        "by": f"{draw(st.integers(0, 23)):02d}:{draw(st.integers(0, 59)):02d}",
        "time_zone": draw(st.sampled_from(["Asia/Shanghai", "UTC", "America/Argentina/Ushuaia", "Etc/GMT+8"])),
        "calendar": draw(st.sampled_from(["CN", "DE"])),
        "grace_days": draw(st.integers(0, 366)),
        "first": first.isoformat(),
    }


@st.composite
def _part(draw: st.DrawFn, dataset: str, years: int) -> dict[str, Any]:
    fields = draw(st.lists(_names, min_size=1, max_size=4, unique=True))
    chosen = draw(st.lists(st.sampled_from(fields), min_size=1, max_size=3, unique=True))
    rows = [{"field": one, "in": draw(st.lists(_values, min_size=1, max_size=3, unique=True))} for one in chosen]
    optional = {
        "rows": rows,
        "volume": {"records": draw(st.integers(100, 10**12)), "per_seconds": draw(_window)},
        "cadence": draw(_cadence()),
        "lawful_basis": draw(st.sampled_from(LAWFUL_BASES)),
        "retention_days": draw(st.integers(1, max(years * 365, 1))),
    }
    absent = draw(st.sets(st.sampled_from([*optional]))) | ({"retention_days"} if years == 0 else set())
    return {
        "dataset": dataset,
        "fields": fields,
        "purposes": draw(st.lists(_names, min_size=1, max_size=3, unique=True)),
        "methods": draw(_some(METHODS)),
        **{name: value for name, value in optional.items() if name not in absent},
    }


@st.composite
def any_terms(draw: st.DrawFn) -> dict[str, Any]:
    """Terms with any of the optional members, in force for years from 2026."""
    owner, recipient, *others = draw(st.lists(_names, min_size=2, max_size=5, unique=True))
    years, share = draw(st.integers(0, 100)), draw(st.integers(0, 10_000))
    optional = {
        "frequency": {"reads": draw(st.integers(1, 10**9)), "per_seconds": draw(_window)},
        "signed_messages": {"profile": "fapi-2_0-http-signatures-01", "actions": draw(_some(["read", "query"]))},
        "third_parties": others,
        "remedies": {"cure_days": draw(st.integers(0, 366))},
        "dispute": {
            "forum": draw(st.sampled_from(["arbitration", "court"])),
            "body": draw(_texts),
            "negotiation_days": draw(st.integers(0, 366)),
        },
        "revenue_ratio": {"owner_bp": share, "recipient_bp": 10_000 - share},
        "rights_and_duties": draw(_prose),
        "liability": draw(_prose),
        "amends": "older-" + draw(_names),
        "template": draw(_names),
    }
    onward = draw(st.sampled_from(["forbidden", "written_consent"]))
    absent: set[str] = draw(st.sets(st.sampled_from([*optional])))
    if onward == "forbidden" or not others:
        absent |= {"third_parties"}
    lasts = timedelta(seconds=draw(st.integers(1000 * 86_400, 9000 * 86_400)))
    return {
        "v": 1,
        "alliance": draw(_names),
        "agreement": draw(_names),
        "owner": owner,
        "recipient": recipient,
        "title": draw(_texts),
        "datasets": [draw(_part(name, years)) for name in draw(st.lists(_names, min_size=1, max_size=3, unique=True))],
        "start": _START.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "end": (_START + lasts).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "confidentiality_years": years,
        "onward": onward,
        **{name: value for name, value in optional.items() if name not in absent},
    }
