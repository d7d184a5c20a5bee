"""What a sender is: it takes one message and has handed it on when it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message. `channel` is sms or email, `subject` is for e-mail alone. Never printed: it holds an address."""

    channel: str
    address: str
    subject: str
    text: str

    def __repr__(self) -> str:
        return f"Outgoing({self.channel}, not shown)"


class NotSent(Unavailable):
    """Nobody took the message; it may be sent again. `code` says why, and nothing quotes the address."""

    def __init__(self, code: str) -> None:
        super().__init__(code, "The message could not be handed on.")


class Sender(Protocol):
    """Hands messages of one channel on."""

    async def send(self, message: Outgoing) -> None:
        """Return once somebody else is answerable for the message, else raise `NotSent`."""
