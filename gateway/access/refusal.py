"""What a caller is told of a refusal that is already on record."""

from __future__ import annotations

from gateway.access.judgement import Judgement
from gateway.errors import NotAuthenticated, OnHold, Refused, Unavailable
from gateway.ledger import Effect, Recorded

_DISPUTED = "DISPUTED_ITEM"
_REVOKED = "CLIENT_REVOKED"


class ClientChanged(NotAuthenticated):
    """The client was revoked, or one of its keys changed, after its token was issued."""

    def __init__(self) -> None:
        super().__init__("invalid_token", "The credentials are missing or do not hold.")


def refuse_unless_permitted(judgement: Judgement, recorded: Recorded) -> None:
    """Raise for everything but a permit: 503, 423 with the case, 401 for a revoked client, else 403 with clauses."""
    if recorded.effect is Effect.PERMIT:
        return
    if recorded.effect is not Effect.DENY:
        raise Unavailable("indeterminate", "No usable decision; the refusal is on record.")
    codes = {reason.code for reason in recorded.reasons}
    if _REVOKED in codes:
        raise ClientChanged
    if _DISPUTED in codes and (case := judgement.holding_case):
        raise OnHold(recorded.reasons, case, event_id=recorded.event_id, log=recorded.log)
    raise Refused(recorded.reasons, event_id=recorded.event_id, log=recorded.log)
