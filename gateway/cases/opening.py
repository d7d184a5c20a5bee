"""Opening a case: its row, its evidence and its entry, in the change of whoever opens it.

Of one origin there is one case, ever: whoever comes second finds it there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import bindparam, insert, select

from gateway.canonical import canonical
from gateway.cases.case import Case
from gateway.cases.cases import evidence_of
from gateway.cases.steps import FIRST, CaseKind, clause_of
from gateway.cases.tables import case_evidence, case_file
from gateway.characters import shown_as_written
from gateway.database import Query, Reading
from gateway.errors import Invalid
from gateway.identifiers import random_id
from gateway.ledger import Change, Draft, Kind

LONGEST_CLAIM: Final = 2000
LONGEST_NAME: Final = 200
LONGEST_CONTENT: Final = 128 * 1024
MOST_EVIDENCE: Final = 32
"""Of each side: who fills its own share leaves the other one its answer."""

_ADD = Query(insert(case_file))
_ADD_EVIDENCE = Query(insert(case_evidence))
_BY_ORIGIN = Query(select(case_file.c.id).where(case_file.c.origin == bindparam("origin")))
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Exhibit:
    """Evidence to add: the SHA-256 of what its holder keeps, or, with `content`, the text itself."""

    name: str
    sha256: str
    content: str | None = None

    @classmethod
    def read(cls, value: Any, at: str) -> Exhibit:
        """From JSON `{"name", "sha256"}`, or `Invalid` with the place."""
        if not isinstance(value, dict) or value.keys() != {"name", "sha256"}:
            raise Invalid("evidence_malformed", "Evidence has a name and a sha256.", field=at)
        digest = value["sha256"]
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise Invalid("digest_malformed", "A SHA-256 has 64 hexadecimal digits.", field=f"{at}/sha256")
        return cls(sentence(value["name"], f"{at}/name", LONGEST_NAME), digest)

    @classmethod
    def text(cls, name: str, content: str) -> Exhibit:
        """A text that the gateway keeps with the case."""
        if len(content) > LONGEST_CONTENT:
            raise Invalid("evidence_too_long", f"At most {LONGEST_CONTENT} characters are kept.", field="evidence")
        return cls(sentence(name, "name", LONGEST_NAME), hashlib.sha256(content.encode()).hexdigest(), content)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCase:
    """A case to be. `origin` defaults to the case's own id; `facts` stand in its entry beside what every case says."""

    alliance: str
    log: str
    kind: CaseKind
    respondent: str
    claim: str
    actor: Mapping[str, str]
    claimant: str | None = None
    agreement: str | None = None
    subject_kind: str = ""
    subject_id: str = ""
    clock_until: int | None = None
    origin: str = ""
    evidence: Sequence[Exhibit] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


async def open_case(change: Change, new: NewCase) -> str | None:
    """Open the case in this change, whose locks include its log; returns its id, or None if its origin has one."""
    case_id = random_id()
    if new.origin and await case_of(change.tx, new.origin) is not None:
        return None
    await change.tx.run(
        _ADD,
        id=case_id,
        alliance_id=new.alliance,
        log_id=new.log,
        origin=new.origin or case_id,
        kind=new.kind.value,
        state=FIRST[new.kind],
        agreement_id=new.agreement,
        subject_kind=new.subject_kind,
        subject_id=new.subject_id,
        claim=sentence(new.claim, "/claim", LONGEST_CLAIM),
        opened_by=canonical(dict(new.actor)).decode(),
        claimant_id=new.claimant,
        respondent_id=new.respondent,
        opened_at=change.now_ms,
        clock_until=new.clock_until,
        decided_at=None,
        decision="",
        forum="",
    )
    await add_evidence(change, case_id, new.evidence, new.actor)
    facts = {
        "act": "case_opened",
        "actor": dict(new.actor),
        "case": case_id,
        "case_kind": new.kind.value,
        "clause": clause_of(new.kind, new.origin),
        "respondent": new.respondent,
        "claimant": new.claimant or "",
        "agreement": new.agreement or "",
        "subject_kind": new.subject_kind,
        "subject": new.subject_id,
        "claim_sha256": hashlib.sha256(new.claim.encode()).hexdigest(),
        "evidence": [one.sha256 for one in new.evidence],
        **new.facts,
    }
    change.enter(Draft(log=new.log, kind=Kind.CASE, facts=facts))
    return case_id


async def case_of(reading: Reading, origin: str) -> str | None:
    """The one case of an origin, or None."""
    row = await reading.one(_BY_ORIGIN, origin=origin)
    return None if row is None else str(row["id"])


async def add_evidence(
    change: Change, case_id: str, given: Sequence[Exhibit], actor: Mapping[str, str], *, most: int = MOST_EVIDENCE
) -> None:
    """Add evidence behind what is there; `Invalid` beyond `most` pieces of one side: a member, or the alliance."""
    there = await evidence_of(change.tx, case_id)
    own = sum(one.added_by.get("member") == actor.get("member") for one in there)
    if own + len(given) > most:
        raise Invalid("too_much_evidence", f"A case holds {most} pieces of each side.", field="/evidence")
    for number, one in enumerate(given, len(there)):
        await change.tx.run(
            _ADD_EVIDENCE,
            case_id=case_id,
            no=number,
            name=one.name,
            sha256=one.sha256,
            content=one.content,
            added_by=canonical(dict(actor)).decode(),
            added_at=change.now_ms,
        )


def entered(of: Case, act: str, actor: Mapping[str, Any], **facts: Any) -> Draft:
    """The entry of a later act on a case, in its log."""
    about = {
        "case": of.id,
        "case_kind": of.kind.value,
        "clause": clause_of(of.kind, of.origin),
        "respondent": of.respondent,
    }
    return Draft(log=of.log, kind=Kind.CASE, facts={"act": act, "actor": dict(actor), **about, **facts})


def sentence(value: Any, at: str, longest: int) -> str:
    """1 to `longest` characters in lines, shown as they are written, and no blank at either end."""
    if not isinstance(value, str) or not 0 < len(value) <= longest or value != value.strip():
        raise Invalid("text_malformed", f"This must be 1 to {longest} characters.", field=at)
    return shown_as_written(value, at, lines=True)
