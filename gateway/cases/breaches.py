"""Breaches that other packages find, opened as cases in the change in which they are found."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.cases.opening import Exhibit, NewCase, case_of, open_case
from gateway.cases.steps import CaseKind
from gateway.errors import Invalid
from gateway.ledger import Change


class Breaches:
    """For whoever declares it as a Protocol, as `members.attestations` does (clauses 1.3.3, 9.1.3)."""

    async def open(
        self,
        change: Change,
        *,
        alliance: str,
        member: str,
        kind: str,
        subject: str,
        evidence: Mapping[str, str],
        actor: Mapping[str, str],
    ) -> str:
        """Open a case against a member, with its entry in the alliance's log, which `change` has locked; its id.

        `kind` is the clause of the breach, `subject` the id of what was broken; of one subject there is one case, and
        whoever comes again gets that. `evidence` are texts by name; all of them are kept with the case.
        """
        found = next((one for one in CaseKind if one.clause == kind and one is not CaseKind.DISPUTE), None)
        if found is None:
            raise Invalid("breach_kind_unknown", "No clause of that number names a breach.", field="kind")
        origin = f"breach:{kind}:{subject}"
        new = NewCase(
            alliance=alliance,
            log=alliance,
            kind=found,
            respondent=member,
            claim=f"Clause {kind} was broken; what proves it is attached.",
            actor=actor,
            subject_kind="statement",
            subject_id=subject,
            origin=origin,
            evidence=[Exhibit.text(name, text) for name, text in evidence.items()],
        )
        return await open_case(change, new) or str(await case_of(change.tx, origin))
