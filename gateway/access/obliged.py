"""What a permit obliges its recipient to, as the answer tells it and the entry keeps it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from gateway.policy import Obligations
from gateway.policy.reasons import explained

_DAY_S = 24 * 60 * 60


@lru_cache(maxsize=1024)
def entered(obligations: Obligations) -> dict[str, Any]:
    """As an entry says it. `retain_days` and `omitted` are absent where the terms set no end, or nothing is masked."""
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


@lru_cache(maxsize=1024)
def told(obligations: Obligations, now_s: int) -> dict[str, Any]:
    """The members of an answer that say what comes with its records.

    `obligations`: how copies are marked, for how many years they stay secret, until when they may be kept, and
    whether the owner is told. `omitted`, where fields do not leave: which, and why. A field is left out, never null.
    """
    said = dict(entered(obligations))
    omitted = said.pop("omitted", None)
    if obligations.retain_days:
        end = datetime.fromtimestamp(now_s + said.pop("retain_days") * _DAY_S, UTC)
        said["retain_until"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
    if omitted is None:
        return {"obligations": said}
    return {"obligations": said, "omitted": {**omitted, **explained(omitted["code"])}}
