"""What legal and finance think of a company, each of exactly the documents that they looked at (2.1.2, 2.1.3).

A review names the digest of the dossier, so a document that is replaced afterwards leaves the review behind. What did
not pass stands until the dossier is another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import bindparam, insert, select

from gateway.characters import shown_as_written
from gateway.clock import Clock
from gateway.database import Database, Query, Reading
from gateway.errors import Conflicting, Invalid, NotFound
from gateway.identifiers import random_id
from gateway.ledger import Ledger
from gateway.members.admission.documents import DAY_MS, ZONE, day_end, dossier_digest, missing
from gateway.members.admission.dossier import admission_entry, current_documents, member_row
from gateway.members.admission.papers import Papers
from gateway.members.admission.people import Department, require_department
from gateway.members.admission.tables import review

HIGHEST_SCORE: Final = 100
LONGEST_REASONS: Final = 20_000
LONGEST_INTERVAL_DAYS: Final = 366

_ADD = Query(insert(review))
_FIND = Query(select(review).where(review.c.id == bindparam("id")))
_LATEST = Query(
    select(review)
    .where(review.c.member_id == bindparam("member"), review.c.kind == bindparam("of_kind"))
    .order_by(review.c.no.desc())
    .limit(1)
)


class ReviewKind(StrEnum):
    """Whose review it is; the name of its department."""

    LEGAL = "legal"
    FINANCE = "finance"


@dataclass(frozen=True, slots=True)
class Review:
    """A review without its reasons. `dossier` is the digest of what was looked at."""

    id: str
    kind: ReviewKind
    no: int
    dossier: str
    passed: bool
    reviewer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSheet:
    """A finance review's figures (clause 2.1.3), each 0 to 100, and the day of the next review, within 366 days."""

    profitability: int
    solvency: int
    next_review: str
    time_zone: str = ZONE

    def checked(self, now_ms: int) -> dict[str, int]:
        """The columns; `Invalid` names the figure that is wrong."""
        scores = {"profitability": self.profitability, "solvency": self.solvency}
        for name, score in scores.items():
            if not 0 <= score <= HIGHEST_SCORE:
                raise Invalid("score_malformed", f"A score is 0 to {HIGHEST_SCORE}.", field=name)
        due = day_end(self.next_review, self.time_zone, "next_review")
        if not now_ms < due <= now_ms + (LONGEST_INTERVAL_DAYS + 1) * DAY_MS:
            raise Invalid(
                "next_review_malformed", f"The next review is within {LONGEST_INTERVAL_DAYS} days.", field="next_review"
            )
        return {**scores, "next_review": due}


class Reviews:
    """Records reviews. Each is an entry in the operator's log; its reasons are sealed."""

    def __init__(self, database: Database, ledger: Ledger, papers: Papers, clock: Clock) -> None:
        self._database = database
        self._ledger = ledger
        self._papers = papers
        self._clock = clock

    async def legal(
        self, member_id: str, *, dossier: str, passed: bool, reasons: str, litigation: bool, operator: str
    ) -> str:
        """Whether the company is lawful to work with, and whether it is in litigation; returns the review's id.

        `dossier` is the digest that `Dossier.current` gave. `Conflicting` if the documents are others by now, if the
        operator filed one of them or acted for another department, or if a review of them did not pass.
        """
        row: dict[str, Any] = {"litigation": int(litigation)}
        return await self._add(ReviewKind.LEGAL, member_id, dossier, passed, reasons, row, operator)

    async def finance(
        self, member_id: str, *, dossier: str, passed: bool, reasons: str, scores: ScoreSheet, operator: str
    ) -> str:
        """How sound the company is; returns the review's id. Errors as for `legal`."""
        row = scores.checked(self._clock())
        return await self._add(ReviewKind.FINANCE, member_id, dossier, passed, reasons, row, operator)

    async def reasons(self, review_id: str, *, operator: str) -> str:
        """Why a review came out as it did, once it is on record that the operator reads it."""
        row = await self._database.one(_FIND, id=review_id)
        if row is None:
            raise NotFound
        company = await member_row(self._database, row["member_id"])
        text = await self._papers.open(
            company["alliance_id"], company["id"], "review", review_id, row["sealed"], operator=operator
        )
        return text.decode()

    async def _add(
        self,
        kind: ReviewKind,
        member_id: str,
        dossier: str,
        passed: bool,
        reasons: str,
        row: Mapping[str, int],
        operator: str,
    ) -> str:
        if not 0 < len(reasons.strip()) <= LONGEST_REASONS:
            raise Invalid("reasons_missing", f"Reasons have 1 to {LONGEST_REASONS} characters.", field="reasons")
        shown_as_written(reasons, "reasons", lines=True)
        company, review_id = await member_row(self._database, member_id), random_id()
        sealed = await self._papers.seal(member_id, "review", {review_id: reasons.encode()})
        alliance = company["alliance_id"]
        async with self._ledger.changing(alliance) as change:
            await require_department(
                change.tx, alliance=alliance, member=member_id, person=operator, department=Department(kind.value)
            )
            last = await _last_before(change.tx, member_id, kind, dossier)
            usual = {"litigation": 0, "profitability": None, "solvency": None, "next_review": None, **row}
            await change.tx.run(
                _ADD,
                id=review_id,
                member_id=member_id,
                kind=kind.value,
                no=last + 1,
                dossier_sha256=dossier,
                passed=int(passed),
                sealed=sealed[review_id],
                reviewer=operator,
                reviewed_at=change.now_ms,
                **usual,
            )
            facts = {
                "member": member_id,
                "review": review_id,
                "review_kind": kind.value,
                "dossier_sha256": dossier,
                **row,
            }
            outcome = "passed" if passed else "not_passed"
            change.enter(admission_entry(alliance, "reviewed", {"operator": operator}, outcome=outcome, **facts))
        return review_id


async def latest_review(reading: Reading, member_id: str, kind: ReviewKind) -> Review | None:
    """The review of a kind that was made last, None before the first."""
    row = await reading.one(_LATEST, member=member_id, of_kind=kind.value)
    if row is None:
        return None
    return Review(row["id"], kind, row["no"], row["dossier_sha256"], bool(row["passed"]), row["reviewer"])


async def passed_reviews(reading: Reading, member_id: str, dossier: str) -> dict[ReviewKind, Review]:
    """Both latest reviews, if they passed exactly this dossier; `Conflicting` names the one that is missing."""
    found = {}
    for kind in ReviewKind:
        last = await latest_review(reading, member_id, kind)
        if last is None or last.dossier != dossier or not last.passed:
            what = "was not passed" if last is not None and last.dossier == dossier else "is missing for this dossier"
            raise Conflicting(
                "review_missing",
                f"The {kind.value} review {what}.",
                field=kind.value,
                remedy="Have the documents as they are now reviewed by the department.",
            )
        found[kind] = last
    return found


async def _last_before(reading: Reading, member_id: str, kind: ReviewKind, dossier: str) -> int:
    """How many reviews of this kind there were, if there may be one of this dossier now; `Conflicting` otherwise."""
    current = await current_documents(reading, member_id)
    if dossier != dossier_digest(current):
        raise Conflicting(
            "dossier_changed",
            "The documents are not those that were looked at.",
            field="dossier",
            remedy="Look at the dossier as it is now.",
        )
    if lacking := missing(current):
        raise Conflicting("document_missing", f"The dossier lacks: {', '.join(lacking)}.", field=lacking[0])
    last = await latest_review(reading, member_id, kind)
    if last is not None and last.dossier == dossier and not last.passed:
        raise Conflicting(
            "review_stands",
            "These documents did not pass; that stands.",
            field="dossier",
            remedy="File what was missing, then review again.",
        )
    return 0 if last is None else last.no
