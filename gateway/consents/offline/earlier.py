"""What the persons of some rows decided before, by the rules that hold for every consent (`gateway.consents.past`).

And which of their papers came before: a paper is drawn for once, however it is packed again. What stands in a batch
that ended after its draw, and what was found bad, stays out whichever dataset, date, term or fields it is given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import BigInteger, BindParameter, bindparam, select

from gateway.catalog.dataset import Dataset
from gateway.clock import seconds
from gateway.consents.notice_text import DISCLOSURE, ItemKey
from gateway.consents.offline.batch import IN_VAIN, BatchState
from gateway.consents.offline.reasons import RefusedRow
from gateway.consents.offline.sheet import SheetRow
from gateway.consents.offline.tables import offline_batch, offline_row
from gateway.consents.past import ANY, EVERYWHERE, REACHING, SPENT, Past, past_of
from gateway.consents.record import Record, chosen
from gateway.consents.states import STANDING, State
from gateway.consents.tables import consent_record, same_person, withdrawal
from gateway.database import Query, Reading, Row

AT_ONCE: Final = 100
_PERSONS: Final[list[BindParameter[str]]] = [bindparam(f"person_{number}") for number in range(AT_ONCE)]
_RECORDS = Query(
    chosen(
        consent_record.c.owner_id == bindparam("owner"),
        consent_record.c.kind == DISCLOSURE,
        consent_record.c.pseudonym.in_(_PERSONS),
    )
    .outerjoin(offline_row, offline_row.c.record_id == consent_record.c.id)
    .outerjoin(offline_batch, offline_batch.c.id == offline_row.c.batch_id)
    .add_columns(offline_row.c.verdict, offline_batch.c.state.label("batch_state"), offline_batch.c.seed)
)
"""Whatever the persons have, and what became of its batch. Nothing is left out here: PostgreSQL would look for that
first, through all that was ever imported."""
_WITHDRAWALS = Query(select(withdrawal).where(REACHING, withdrawal.c.pseudonym.in_(_PERSONS)))
_MERGED = Query(
    select(same_person.c.pseudonym)
    .where(
        same_person.c.dataset_no == bindparam("dataset_no", type_=BigInteger),
        same_person.c.pseudonym.in_(_PERSONS),
    )
    .distinct()
)
_COUNTING: Final = STANDING | {State.IMPORTED}
_OVER: Final = SPENT | {State.REFUSED}
_CODES: Final = {"withdrawn": "withdrawn_since"}
_About = tuple[str, str, str]
"""A person's pseudonym, a recipient and a purpose."""


class Earlier:
    """The decisions of up to `AT_ONCE` persons about one dataset, and which of their papers were rejected."""

    def __init__(
        self, dataset: Dataset, records: Sequence[Row], withdrawals: Sequence[Row], merged: Mapping[_About, Past]
    ) -> None:
        self._dataset = dataset
        self._merged = merged
        self._records = defaultdict(list)
        self._rejected = set()
        for row in records:
            record = Record.of(row)
            about = (record.pseudonym, record.recipient, record.purpose)
            if _is_rejected(row):
                self._rejected.add((*about, record.collection["evidence_sha256"]))
            if record.state in _OVER or (record.state in _COUNTING and row["batch_state"] not in IN_VAIN):
                self._records[about].append(record)
        self._withdrawals = defaultdict(list)
        for row in withdrawals:
            self._withdrawals[row["pseudonym"]].append(row)

    @classmethod
    async def of(cls, reading: Reading, dataset: Dataset, rows: Sequence[SheetRow]) -> Earlier:
        """For the persons of these rows."""
        named = {f"person_{number}": row.pseudonym for number, row in enumerate(rows)}
        persons = {one.key: named.get(one.key, "") for one in _PERSONS}
        merged = {row["pseudonym"] for row in await reading.all(_MERGED, dataset_no=dataset.no, **persons)}
        of_merged = {
            (row.pseudonym, key.recipient, key.purpose): await past_of(
                reading, dataset.owner, dataset.no, row.pseudonym, key
            )
            for row in rows
            if row.pseudonym in merged
            for key in [ItemKey(row.item.recipient, row.item.purpose, DISCLOSURE)]
        }
        return cls(
            dataset,
            await reading.all(_RECORDS, owner=dataset.owner, **persons),
            await reading.all(_WITHDRAWALS, owner=dataset.owner, dataset_no=dataset.no, **persons),
            of_merged,
        )

    def refusal(self, row: SheetRow) -> RefusedRow | None:
        """Why a row comes too late, or again, if it does."""
        about = (row.pseudonym, row.item.recipient, row.item.purpose)
        if (*about, row.evidence_sha256) in self._rejected:
            return RefusedRow(row.line, "evidence", "evidence_rejected")
        known, withdrawals = self._records.get(about, []), self._withdrawals.get(row.pseudonym, [])
        if not known and not withdrawals and about not in self._merged:
            return None
        in_dataset = [one for one in known if one.dataset_no == self._dataset.no]
        here = [one for one in in_dataset if one.state not in _OVER]
        if any(one.given_at == row.given_at or _names(one, row.evidence_sha256) for one in here):
            return RefusedRow(row.line, "", "already_recorded")
        withdrawn = [
            int(one["withdrawn_at"])
            for one in withdrawals
            if one["recipient_id"] in (ANY, EVERYWHERE, row.item.recipient)
            and one["purpose"] in (ANY, row.item.purpose)
        ]
        refused = [seconds(one.changed_at) for one in known if one.state is State.REFUSED]
        spent = [one.given_at or 0 for one in in_dataset if one.state in SPENT]
        past = self._merged.get(about) or Past(
            (), max(withdrawn, default=None), max(refused, default=None), max(spent, default=None)
        )
        past = past._replace(standing=tuple(here))
        code = past.obstacle(row.given_at)
        return None if code is None else RefusedRow(row.line, "given", _CODES.get(code, code))


def _names(record: Record, evidence_sha256: str) -> bool:
    """Whether a record became of this very paper."""
    return record.collection.get("evidence_sha256") == evidence_sha256


def _is_rejected(row: Row) -> bool:
    """Whether the paper of a record was found bad, or its batch ended after its sample was drawn."""
    return row["verdict"] == "bad" or bool(row["seed"] and row["batch_state"] == BatchState.INVALIDATED)
