"""How operators are refused: one sentence for whoever asks, a finer code for the logs."""

from __future__ import annotations

from gateway.errors import NotAuthenticated


class SignInRefused(NotAuthenticated):
    """Not signed in, or not confirmed. `reason` is for the logs and never leaves the gateway.

    `operator` is set where the attempt concerns an operator that we know: then the refusal is an entry.
    """

    def __init__(self, reason: str, *, operator: str = "") -> None:
        super().__init__("sign_in_refused", "That did not work. Please begin again.")
        self.reason = reason
        self.operator = operator


class NotSignedIn(NotAuthenticated):
    """No session, or one that is over."""

    def __init__(self) -> None:
        super().__init__("not_signed_in", "You are not signed in.", remedy="Sign in first.")
