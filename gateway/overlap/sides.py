"""Whose customers are counted: one member's dataset, under its own agreement with the other member."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from gateway.agreements.agreement import Agreement
from gateway.agreements.agreements import Agreements
from gateway.agreements.fields import FIELD_NAME, IDENTIFIER, matching, members
from gateway.errors import Conflicting, NotFound, Reason, Refused
from gateway.identity.subject import Subject

PURPOSE: Final = "matching"
"""What a person consents to, and an agreement names: being counted with the other member's customers."""
METHOD: Final = "overlap"
"""The only method that goes with it: the policy lets nobody read for this purpose."""


class Side(NamedTuple):
    """A field of a dataset that its owner lets be counted, under an agreement with the other member."""

    agreement: str
    dataset: str
    field: str

    @classmethod
    def of(cls, said: Any, at: str) -> Side:
        """Read from a body."""
        members(said, ("agreement", "dataset", "field"), at)
        return cls(
            matching(said["agreement"], f"{at}/agreement", IDENTIFIER),
            matching(said["dataset"], f"{at}/dataset", IDENTIFIER),
            matching(said["field"], f"{at}/field", FIELD_NAME),
        )

    def facts(self) -> dict[str, str]:
        """As entries and answers name it."""
        return {"agreement": self.agreement, "dataset": self.dataset, "field": self.field}

    def require_grant(self, subject: Subject) -> None:
        """`Refused` unless the token grants to read this dataset under this agreement for matching."""
        for grant in subject.agreements:
            asked = self.agreement == grant.agreement, self.dataset in grant.datasets, PURPOSE in grant.purposes
            if all(asked) and "read" in grant.actions:
                return
        raise Refused((Reason("ACTION_NOT_GRANTED"),))


async def standing(agreements: Agreements, side: Side, at: str, *, member: str, now_s: int) -> Agreement:
    """The side's agreement, which covers it now; `NotFound` where the member is no party.

    Whether everything else holds (consents, impact assessment, participation, holds) is decided page by page.
    """
    found = await agreements.visible(member, side.agreement)
    term = found.terms.term_for(side.dataset) if found.terms is not None else None
    if term is None:
        raise NotFound
    covered = side.field in term.fields and PURPOSE in term.purposes and METHOD in term.methods
    if not covered or not found.in_force_at(now_s):
        raise Conflicting(
            "overlap_not_agreed",
            "No agreement in force lets this field be counted.",
            field=at,
            remedy=f"Agree on the purpose {PURPOSE} and the method {METHOD}.",
        )
    return found
