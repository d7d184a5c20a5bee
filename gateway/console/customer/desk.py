"""What the customer's pages need of the gateway; `Counter` supplies it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.consents.asking import Visit
from gateway.console.customer.views import CopyOfRecord, Decision, Item, Record, Wish
from gateway.errors import NotAuthenticated


class NotVisiting(NotAuthenticated):
    """There is no visit, it is over, or its code was not entered yet."""

    def __init__(self) -> None:
        super().__init__("no_visit", "There is no open visit.", remedy="Ask for a link.")


@dataclass(frozen=True, slots=True)
class Came:
    """From where a link was followed, to prove that the notice was served."""

    address: str
    user_agent: str
    method: str
    path: str


class Desk(Protocol):
    """Where customers are served. A `ticket` is what the cookie carries; nobody is served before the code held."""

    async def ask_for_link(self, contact: str, language: str) -> None:
        """Send a link to whoever this is; says and takes the same for nobody. `Invalid` where none can be reached."""

    async def asker(self, token: str) -> str:
        """Whose link it is ('': the customer's own); decides nothing. `NotFound` where it is none, or no more."""

    async def open(self, token: str, came: Came) -> str:
        """Follow a link: the ticket of a visit that waits for its code. `NotFound` as above."""

    async def send_code(self, ticket: str) -> None:
        """Send a code; `TooManyAttempts` if one was sent just now, or often."""

    async def confirm(self, ticket: str, code: str) -> None:
        """Open the visit with the code that was sent; `Invalid` if it is another, `TooManyAttempts` if it is over."""

    async def visit(self, ticket: str) -> Visit | None:
        """The visit, while it is open."""

    async def questions(self, visit: Visit, language: str) -> tuple[Item, ...]:
        """What waits for an answer."""

    async def decide(self, visit: Visit, decision: Decision, language: str) -> None:
        """Enter one answer, given in a language."""

    async def refuse_all(self, visit: Visit) -> None:
        """Say no to whatever waits for an answer; there is no such thing for a yes."""

    async def record(self, visit: Visit, language: str) -> Record:
        """Everything about this customer's consents, as it stands at this instant."""

    async def withdraw(self, visit: Visit, item: str) -> None:
        """Withdraw one consent."""

    async def withdraw_all(self, visit: Visit) -> None:
        """Withdraw every consent."""

    async def receipt(self, visit: Visit, receipt: str) -> str:
        """A signed receipt of this customer; else `NotFound`."""

    async def copy(self, visit: Visit) -> CopyOfRecord:
        """The whole record for a machine."""

    async def ask(self, visit: Visit, wish: Wish) -> str:
        """Hand a request or a complaint over to a company, sealed; the number that it goes by."""

    async def retract(self, visit: Visit, request: str) -> None:
        """Ask no more; `NotFound` for what is not the visitor's, `Conflicting` for what is over."""

    async def export(self, visit: Visit, request: str) -> bytes:
        """The file that a granted request gives, to take along; `NotFound` for any other, `Conflicting` for none."""

    async def switch(self, visit: Visit, company: str, *, off: bool) -> None:
        """Let no suggestions be made from what a company holds, or let them again; `NotFound` for any other."""

    async def leave(self, ticket: str) -> None:
        """Close the visit."""
