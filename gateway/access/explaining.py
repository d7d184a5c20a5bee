"""Why was this allowed or refused? One entry, the case kept for it, and the policy asked again.

What is shown is what was judged: the facts of the case, never a record. Whoever looks is on record in the same log.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import bindparam, select

from gateway.access.counterfactuals import Change, Counterfactuals
from gateway.access.entry import FREQUENCY_EXCEEDED, VOLUME_EXCEEDED, window_of
from gateway.access.tables import decided_case
from gateway.database import Database, Query, Row
from gateway.errors import Conflicting, NotFound
from gateway.ledger import Draft, Kind, Ledger
from gateway.ledger.note import VerifierKey
from gateway.ledger.standing import EntryAltered, require_standing
from gateway.ledger.tables import leaf
from gateway.policy import Decision, DecisionPoint, PolicyBundle
from gateway.policy.reasons import explained
from gateway.policy.titles import Rule, rules_by_code

KeyOfLog = Callable[[str], Awaitable[VerifierKey]]
"""Gives the key that verifies a log's checkpoints."""
_INDEX: Final = re.compile("[0-9]{1,18}")
"""Of an entry in its log; a longer number names none."""
_COLUMNS = select(leaf.c.log_id, leaf.c.idx, leaf.c.event_id, leaf.c.body)
_BY_EVENT = Query(_COLUMNS.where(leaf.c.event_id == bindparam("event")))
_BY_INDEX = Query(_COLUMNS.where(leaf.c.log_id == bindparam("log"), leaf.c.idx == bindparam("index")))
_CASE = Query(select(decided_case.c.document).where(decided_case.c.sha256 == bindparam("sha256")))


@dataclass(frozen=True, slots=True)
class Explanation:
    """One entry, explained.

    `case` is what was judged, with its instant, or None where nothing was (a stranger, no answer). `replayed` is the
    effect that the loaded policy gives it, '' where that policy is not the one that judged; then `otherwise` is what
    the loaded one gives, with its `otherwise_reasons`: what a change of rules would change. `reasons` have code,
    clause, the rule's title, and title and remedy in both languages. `changes` name, per requirement, the fact that
    alone would have met it (a refusal) or would end it (a permit). `ends_at` is the next instant (epoch seconds) at
    which the policy's answer could change, `ends_by` the facts that are this instant; where it asks for each person's
    consent (`by_consent`), a person's share may end before. What the policy permitted and the ledger refused, because
    it had counted too much, is met by the next window.
    """

    log: str
    index: int
    entry: Mapping[str, Any]
    loaded_policy: str
    case: Mapping[str, Any] | None
    replayed: str
    replayed_reasons: tuple[str, ...]
    otherwise: str
    otherwise_reasons: tuple[str, ...]
    reasons: tuple[Mapping[str, Any], ...]
    changes: tuple[Change, ...]
    ends_at: int
    ends_by: tuple[str, ...]

    @property
    def overdrawn(self) -> bool:
        """Whether the ledger refused, by its counts, what the policy permitted."""
        return bool(_overdrawn(self.entry))

    @property
    def by_consent(self) -> bool:
        """Whether only records of persons who consent leave: what no fact of the case says (clause 4.3.1)."""
        return self.case is not None and self.case["resource"]["kind"] == "personal"

    @property
    def agrees(self) -> bool | None:
        """Whether the replay gives what the policy gave then; None where it could not be replayed."""
        if not self.replayed:
            return None
        judged = _codes_of(self.entry) - _BY_THE_LEDGER.keys()
        effect = self.entry["effect"] if judged or self.entry["effect"] != "deny" else "permit"
        return self.replayed == effect and judged == set(self.replayed_reasons)

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        said = asdict(self)
        judged = {"agrees": self.agrees, "by_consent": self.by_consent}
        return said | judged | {"changes": [change._asdict() for change in self.changes]}


_BY_THE_LEDGER = {FREQUENCY_EXCEEDED.code: "frequency", VOLUME_EXCEEDED.code: "volume"}
"""Refusals that the policy did not give: it permitted, and the ledger had counted too many of what the term says."""
_COUNTED = "No more leaves in a window than is agreed, counted in the transaction of the entry"


class Explanations:
    """Explains entries with the policy that is loaded."""

    def __init__(
        self, database: Database, ledger: Ledger, key_of: KeyOfLog, decisions: DecisionPoint, bundle: PolicyBundle
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._key_of = key_of
        self._decisions = decisions
        self._rules = rules_by_code(bundle)
        self._counterfactuals = Counterfactuals(decisions, bundle)

    async def explain(self, name: str, *, operator: str) -> Explanation:
        """Explain the entry `name`: an event id, or `log:index`. `NotFound` if there is none, or it is no access.

        That `operator` looked is entered in the entry's log before anything is answered. `Conflicting` where the entry
        is not the one that was signed, or the case that it names by its hash was altered or removed: what nobody judged
        is never shown.
        """
        row = await self._row(name)
        facts = {"act": "entry_explained", "actor": {"operator": operator}, "event": row["event_id"]}
        await self._ledger.record(Draft(log=row["log_id"], kind=Kind.QUERY, facts=facts))
        entry = await self._entry(row)
        case = await self._case(entry)
        reopening = _reopening(case, entry)
        asked = None if case is None else await self._decisions.decide(case)
        loaded = entry.get("policy", {}).get("digest") == self._decisions.digest
        decision, other = (asked, None) if loaded else (None, asked)
        return Explanation(
            log=row["log_id"],
            index=row["idx"],
            entry=entry,
            loaded_policy=self._decisions.digest,
            case=case,
            replayed="" if decision is None else decision.effect.value,
            replayed_reasons=_codes(decision),
            otherwise="" if other is None else other.effect.value,
            otherwise_reasons=_codes(other),
            reasons=tuple(self._reason(reason) for reason in entry.get("reasons", ())),
            changes=tuple(reopening or await self._changes(case, decision)),
            **_end(case, decision, reopening),
        )

    async def _row(self, name: str) -> Row:
        log, _, index = name.rpartition(":")
        if log and _INDEX.fullmatch(index):
            row = await self._database.one(_BY_INDEX, log=log, index=int(index))
        else:
            row = await self._database.one(_BY_EVENT, event=name)
        if row is None:
            raise NotFound("There is no such entry: name its event id, or LOG:INDEX.")
        return row

    async def _entry(self, row: Row) -> dict[str, Any]:
        """The access that the row holds, once it is known to be the one that was signed."""
        body, log = bytes(row["body"]), row["log_id"]
        await require_standing(self._database, await self._key_of(log), log, row["idx"], body)
        entry: dict[str, Any] = json.loads(body)
        if entry["event_id"] != row["event_id"]:
            raise EntryAltered
        if entry["kind"] != Kind.ACCESS:
            raise NotFound("The entry is no access: nothing was judged that could be explained.")
        return entry

    async def _case(self, entry: Mapping[str, Any]) -> dict[str, Any] | None:
        sha256 = entry.get("policy", {}).get("case_sha256")
        if not sha256:
            return None
        row = await self._database.one(_CASE, sha256=sha256)
        document = b"" if row is None else bytes(row["document"])
        if hashlib.sha256(document).hexdigest() != sha256:
            raise Conflicting(
                "case_not_kept",
                "The case that was judged is not in the database any more, or was altered.",
                field="policy.case_sha256",
                remedy="Look for it in a backup of the database: it was kept before the entry that names it.",
            )
        case: dict[str, Any] = json.loads(document)
        return case | {"context": {**case["context"], "now": entry["judged_at"]}}

    async def _changes(self, case: Mapping[str, Any] | None, decision: Decision | None) -> list[Change]:
        if case is None or decision is None:
            return []
        if decision.reasons:
            return await self._counterfactuals.that_meet(case, [reason.code for reason in decision.reasons])
        return await self._counterfactuals.that_end(case)

    def _reason(self, reason: Mapping[str, Any]) -> dict[str, Any]:
        code = reason["code"]
        unruled = Rule(_COUNTED if code in _BY_THE_LEDGER else "", reason.get("clause", ""), "")
        rule = self._rules.get(code, unruled)
        return {**reason, "rule": rule.title, "file": rule.file, **explained(code)}


def _codes_of(entry: Mapping[str, Any]) -> set[str]:
    return {reason["code"] for reason in entry.get("reasons", ())}


def _overdrawn(entry: Mapping[str, Any]) -> list[str]:
    """The codes of the ledger's own refusals, where there is no other."""
    codes = _codes_of(entry)
    return sorted(codes) if codes <= _BY_THE_LEDGER.keys() else []


def _reopening(case: Mapping[str, Any] | None, entry: Mapping[str, Any]) -> list[Change]:
    """When the windows that were full are over: for each, the instant that alone would have met what was refused."""
    if case is None:
        return []
    now, found = case["context"]["now"], []
    for code in _overdrawn(entry):
        length = case["agreement"][_BY_THE_LEDGER[code]]["per_seconds"]
        found.append(Change(code, "context.now", now, window_of(now, length) + length))
    return found


def _end(case: Mapping[str, Any] | None, decision: Decision | None, reopening: Sequence[Change]) -> dict[str, Any]:
    if reopening:
        return {"ends_at": min(one.would_be for one in reopening), "ends_by": ()}
    if case is None or decision is None:
        return {"ends_at": 0, "ends_by": ()}
    return {"ends_at": decision.valid_until, "ends_by": tuple(_at_instant(case, decision.valid_until))}


def _codes(decision: Decision | None) -> tuple[str, ...]:
    return () if decision is None else tuple(reason.code for reason in decision.reasons)


def _at_instant(value: Any, instant: int, path: str = "") -> list[str]:
    """The facts of a case that are this instant."""
    steps: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [path] if instant and value == instant and type(value) is int and path != "context.now" else []
    for step, member in steps:
        found += _at_instant(member, instant, f"{path}.{step}" if path else str(step))
    return found
