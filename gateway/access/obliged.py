"""What a permit obliges its recipient to, as the answer tells it and the entry keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from gateway.canonical import Written, written
from gateway.policy import Obligations
from gateway.policy.reasons import explained

_DAY_S = 24 * 60 * 60


class Owed(NamedTuple):
    """What a permit obliges its recipient to: as its entry keeps it, and as its answer tells it."""

    entered: Written
    told: Mapping[str, Any]

    @classmethod
    def by(cls, obligations: Obligations, now_s: int) -> Owed:
        """Of a permit at an instant."""
        said = _entered(obligations)
        return cls(written(said), _told(said, now_s))


def _entered(obligations: Obligations) -> dict[str, Any]:
    """`retain_days` and `omitted` are absent where the terms set no end, or nothing is masked."""
    said: dict[str, Any] = {
        "mark": obligations.mark,
        "confidentiality_years": obligations.confidentiality.years,
    }
    if obligations.retain_days:
        said["retain_days"] = obligations.retain_days
    if obligations.notify_owner:
        said["notify_owner"] = True
    if obligations.mask.fields:
        reason = obligations.mask.reason
        said["omitted"] = {"fields": list(obligations.mask.fields), "code": reason.code, "clause": reason.clause}
    return said


def _told(entered: Mapping[str, Any], now_s: int) -> dict[str, Any]:
    """`obligations`: how copies are marked, for how many years they stay secret, until when they may be kept, and
    whether the owner is told. `omitted`, where fields do not leave: which, and why. A field is left out, never null.
    """
    said = dict(entered)
    omitted, days = said.pop("omitted", None), said.pop("retain_days", None)
    if days is not None:
        said["retain_until"] = datetime.fromtimestamp(now_s + days * _DAY_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if omitted is None:
        return {"obligations": said}
    return {"obligations": said, "omitted": {**omitted, **explained(omitted["code"])}}
