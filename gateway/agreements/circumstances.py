"""What stands beside the terms when a request is judged: participation, secrecy, rosters, assessments, transfers."""

from __future__ import annotations

from typing import Any

from gateway.database import Reading

OPEN_END_S = 253_402_300_799
"""The last second that has a date (9999-12-31T23:59:59Z): an interval until then has no end."""


class Circumstances:
    """The `circumstances` of the policy's input.

    Nothing beside the terms is kept yet, so that every interval is open and no onward consent is known.
    """

    async def of(
        self,
        reading: Reading,  # noqa: ARG002
        *,
        agreement: str,  # noqa: ARG002
        dataset: str,  # noqa: ARG002
        member: str,  # noqa: ARG002
        person: str,  # noqa: ARG002
    ) -> dict[str, Any]:
        """For one member (and person, or `none`) that asks for a dataset under an agreement; instants in seconds."""
        return {
            "participation": {"owner": _always(), "recipient": _always()},
            "organisation_nda": _always(),
            "person_nda": _always(),
            "roster": _always(),
            "assessment": _always(),
            "transfer": _always(),
            "onward": [],
        }


def _always() -> dict[str, int]:
    return {"from": 0, "until": OPEN_END_S}
