"""What operators decide about cases. What may give access back takes two of them; a breach's state, one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import bindparam, update

from gateway.agreements import TamperedAgreement
from gateway.agreements.holds import checked_case, holds_of, thaw
from gateway.agreements.proof import AGREEMENT_ROW, prove
from gateway.approvals import Act, Arguments, Mandate
from gateway.cases.case import Case
from gateway.cases.cases import existing
from gateway.cases.keeping import release
from gateway.cases.opening import LONGEST_CLAIM, entered, sentence
from gateway.cases.steps import BY_ONE, FINAL, LIFTING, after
from gateway.cases.tables import case_file
from gateway.database import Database, Query, Reading
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.ledger import Change, Ledger
from gateway.members.arguments import only, said

_DAY_MS: Final = 24 * 3600 * 1000

_DECIDE = Query(
    update(case_file)
    .where(case_file.c.id == bindparam("the_id"), case_file.c.state == bindparam("old_state"))
    .values(
        state=bindparam("new_state"),
        decision=bindparam("why"),
        decided_at=bindparam("at"),
        clock_until=bindparam("clock"),
    )
)


class Deciding:
    """Takes the steps of `steps.STEPS` that are operators'; each is an entry in the case's log."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    async def decide_alone(self, case_id: str, step: str, *, why: str, operator: str) -> str:
        """Confirm, excuse (force majeure: no strike) or cure a breach; returns the new state.

        A breach is cured within the days that the agreement grants from its confirmation, and counts all the same
        (clause 9.2.1). `Conflicting` for a step that is not possible, or not one person's.
        """
        sentence(why, "why", LONGEST_CLAIM)
        seen = await existing(self._database, case_id)
        if (seen.kind, step) not in BY_ONE:
            after(seen.kind, seen.state, step)
            raise Conflicting("takes_two", "This step takes two operators.", field="step", remedy="Propose it.")
        async with self._ledger.changing(seen.log) as change:
            case = await existing(change.tx, case_id)
            _require_in_time(case, step, change.now_ms)
            return await _take(change, case, step, why, {"operator": operator})

    def acts(self) -> list[Act]:
        """`decide_case`, which needs two operators."""
        return [Act("decide_case", self._check, self._decide, logs=self._logs)]

    async def deciding(self, case_id: str, step: str, *, resolution: str, why: str) -> tuple[str, dict[str, Any]]:
        """The alliance of a case, and the arguments of `decide_case`: they decide it in the state that it is in now."""
        found = await existing(self._database, case_id)
        return found.alliance, {
            "case": case_id,
            "state": found.state,
            "step": step,
            "resolution": resolution,
            "why": why,
        }

    async def _check(self, reading: Reading, of: str, arguments: Arguments) -> None:
        only(arguments, "case", "state", "step", "resolution", "why")
        checked_case(said(arguments, "resolution"), "resolution")
        sentence(said(arguments, "why"), "why", LONGEST_CLAIM)
        found = await existing(reading, said(arguments, "case"))
        if found.alliance != of:
            raise NotFound
        step = said(arguments, "step")
        if step == "escalate":
            raise Invalid("step_of_a_party", "A party escalates, not the alliance.", field="step")
        after(found.kind, found.state, step)
        if said(arguments, "state") != found.state:
            raise Conflicting(
                "case_moved",
                f"The case is {found.state} by now.",
                field="state",
                remedy="Look at it as it is, and propose again.",
            )

    async def _decide(self, change: Change, mandate: Mandate, arguments: Arguments) -> str:
        """Take the step; where it lifts, nothing is held for the case any more."""
        await self._check(change.tx, mandate.alliance, arguments)
        case = await existing(change.tx, arguments["case"])
        _require_in_time(case, arguments["step"], change.now_ms)
        actor = {**mandate.actor(), "resolution": arguments["resolution"]}
        if arguments["step"] in LIFTING:
            await thaw(change, case.alliance, case.id, actor)
        return await _take(change, case, arguments["step"], arguments["why"], actor)

    async def _logs(self, _: str, arguments: Arguments) -> Collection[str]:
        found = await existing(self._database, arguments["case"])
        held = await holds_of(self._database, found.alliance, found.id)
        return {found.log, *(row["owner_id"] for row in held)}


async def _cure_days(reading: Reading, of: Case) -> int | None:
    """The days that the agreement grants to put a breach right; None where none are agreed, or none is proved."""
    row = await reading.one(AGREEMENT_ROW, id=of.agreement) if of.agreement else None
    if row is None:
        return None
    try:
        terms = (await prove(reading, row)).terms
    except TamperedAgreement:
        return None
    return None if terms is None or terms.remedies is None else terms.remedies.cure_days


async def _take(change: Change, case: Case, step: str, why: str, actor: Mapping[str, Any]) -> str:
    state = after(case.kind, case.state, step)
    clock = case.clock_until
    if step == "confirm":
        cure_days = await _cure_days(change.tx, case)
        clock = None if cure_days is None else change.now_ms + cure_days * _DAY_MS
    changed = await change.tx.run(
        _DECIDE,
        the_id=case.id,
        old_state=case.state,
        new_state=state,
        why=why,
        at=change.now_ms,
        clock=clock,
    )
    if changed != 1:
        raise Conflicting("case_moved", "The case was decided meanwhile.", field="case")
    if state in FINAL:
        await release(change, case.id)
    change.enter(entered(case, "case_decided", actor, step=step, state=state, why=why))
    return state


def _require_in_time(case: Case, step: str, now_ms: int) -> None:
    if step != "cure" or case.state != "confirmed":
        return
    if case.clock_until is None:
        raise Conflicting("no_cure_agreed", "The agreement grants no days to cure (clause 2.3.1).", field="step")
    if now_ms >= case.clock_until:
        raise Conflicting("cure_period_over", "The days to cure are over.", field="step")
