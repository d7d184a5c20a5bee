"""Every deliberate error, in domain words. Only `problems.py` knows what HTTP makes of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something was refused: a stable code and the rulebook clause behind it ('' where none applies)."""

    code: str
    clause: str = ""

    def __str__(self) -> str:
        return f"{self.code} (clause {self.clause})" if self.clause else self.code


class GatewayError(Exception):
    """A refusal that the gateway chose.

    `code` is stable and machine-readable, `detail` a sentence for people. `field` names the offending
    input (JSON pointer, parameter, or `row 17, column phone`), `remedy` says what would help.
    Neither may ever quote a protected value, a token or a key.
    """

    def __init__(self, code: str, detail: str, *, field: str | None = None, remedy: str | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.field = field
        self.remedy = remedy


class Invalid(GatewayError):
    """The input is malformed or breaks a stated rule; nothing was changed."""


class TooLarge(GatewayError):
    """The input exceeds a stated limit; nothing was changed."""


class TooSlow(GatewayError):
    """The input did not come to its end in time; nothing was changed."""


class Conflicting(GatewayError):
    """The input contradicts what already stands; nothing was changed."""


class TooManyAttempts(GatewayError):
    """Whoever asks has tried too often; nobody else is stopped."""


class NotFound(GatewayError):
    """Not there, or not for the caller to know: both look the same."""

    def __init__(self, detail: str = "There is no such thing for you here.") -> None:
        super().__init__("not_found", detail)


class NotAuthenticated(GatewayError):
    """Credentials are missing or do not hold. The detail never says which check failed."""

    def headers(self) -> list[tuple[str, str]]:
        """What an answer tells the caller about how to authenticate."""
        return []


class Refused(GatewayError):
    """A party is refused; the refusal is on record, as `event_id` in `log`, and names the clauses."""

    def __init__(
        self,
        reasons: tuple[Reason, ...],
        *,
        event_id: str | None = None,
        log: str | None = None,
        remedy: str | None = None,
    ) -> None:
        code = reasons[0].code if reasons else "REFUSED"
        super().__init__(code, "Refused: " + ", ".join(map(str, reasons)), remedy=remedy)
        self.reasons = reasons
        self.event_id = event_id
        self.log = log


class OnHold(Refused):
    """Frozen by a hold; `case` names the dispute or incident (clause 7.2.3)."""

    def __init__(
        self, reasons: tuple[Reason, ...], case: str, *, event_id: str | None = None, log: str | None = None
    ) -> None:
        super().__init__(reasons, event_id=event_id, log=log)
        self.case = case


class Unavailable(GatewayError):
    """Policy, keys, clock, ledger or database cannot answer now. Nothing acknowledged is lost; try again."""

    def __init__(
        self, code: str, detail: str, *, remedy: str = "Try again shortly; the gateway resumes by itself."
    ) -> None:
        super().__init__(code, detail, remedy=remedy)
