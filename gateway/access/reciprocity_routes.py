"""A member's own balance of given and received over HTTP (clause 1.3.2)."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from gateway.access.reciprocity import Reciprocity
from gateway.clock import Clock
from gateway.errors import Invalid
from gateway.identity import Subject

# Annotations are evaluated here, not postponed: FastAPI could not see the caller of each router otherwise.
Authenticate = Callable[[Request], Awaitable[Subject]]

_INSTANT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"
_USUAL = timedelta(days=30)


def routes(reciprocity: Reciprocity, authenticate: Authenticate, clock: Clock) -> APIRouter:
    """`GET /v1/reciprocity`."""
    router = APIRouter(prefix="/v1/reciprocity", tags=["reads"])

    @router.get("", summary="What you gave and received")
    async def report(
        subject: Annotated[Subject, Depends(authenticate)],
        since: Annotated[str | None, Query(pattern=_INSTANT)] = None,
        until: Annotated[str | None, Query(pattern=_INSTANT)] = None,
    ) -> dict[str, Any]:
        """Accesses and records per partner, from `since` until just before `until`, at most 366 days; needs `audit`.

        UTC in whole seconds. Left out: until now, and the 30 days before that.
        """
        subject.require("audit")
        end = milliseconds(until, "until") if until is not None else clock() + 1
        begin = milliseconds(since, "since") if since is not None else end - _USUAL // timedelta(milliseconds=1)
        found = await reciprocity.of_member(subject.alliance, subject.member, begin, end)
        return {"since": _told(begin), "until": _told(end), **found.describe()}

    return router


def milliseconds(text: str, field: str) -> int:
    """Milliseconds since the epoch of `2026-01-31T00:00:00Z`; `Invalid` names the field."""
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise Invalid(
            "invalid_instant", "There is no such day or time.", field=field, remedy="Write 2026-01-31T00:00:00Z."
        ) from None
    return int(moment.timestamp()) * 1000


def _told(milliseconds_: int) -> str:
    moment = datetime.fromtimestamp(milliseconds_ / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
