"""What the persons of some rows decided before, by the rules that hold for every consent (`gateway.consents.past`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from sqlalchemy import BigInteger, BindParameter, bindparam, select

from gateway.catalog.dataset import Dataset
from gateway.clock import seconds
from gateway.consents.notice_text import DISCLOSURE
from gateway.consents.offline.reasons import RefusedRow
from gateway.consents.offline.sheet import SheetRow
from gateway.consents.past import Past
from gateway.consents.record import Record, chosen, in_states
from gateway.consents.states import STANDING, State
from gateway.consents.tables import consent_record, withdrawal
from gateway.database import Query, Reading, Row

AT_ONCE: Final = 100
_PERSONS: Final[list[BindParameter[str]]] = [bindparam(f"person_{number}") for number in range(AT_ONCE)]
_RECORDS = Query(
    chosen(
        consent_record.c.owner_id == bindparam("owner"),
        consent_record.c.kind == DISCLOSURE,
        in_states([*STANDING, State.IMPORTED, State.REFUSED]),
        consent_record.c.pseudonym.in_(_PERSONS),
    )
)
_WITHDRAWALS = Query(
    select(withdrawal).where(
        withdrawal.c.dataset_no == bindparam("dataset_no", type_=BigInteger),
        withdrawal.c.pseudonym.in_(_PERSONS),
    )
)
_CODES: Final = {"withdrawn": "withdrawn_since"}


class Earlier:
    """The decisions of up to `AT_ONCE` persons about one dataset, as one reading sees them."""

    def __init__(self, dataset: Dataset, records: Sequence[Row], withdrawals: Sequence[Row]) -> None:
        self._dataset = dataset
        self._records = defaultdict(list)
        for one in map(Record.of, records):
            self._records[one.pseudonym, one.recipient, one.purpose].append(one)
        self._withdrawals = defaultdict(list)
        for row in withdrawals:
            self._withdrawals[row["pseudonym"]].append(row)

    @classmethod
    async def of(cls, reading: Reading, dataset: Dataset, rows: Sequence[SheetRow]) -> Earlier:
        """For the persons of these rows."""
        named = {f"person_{number}": row.pseudonym for number, row in enumerate(rows)}
        persons = {one.key: named.get(one.key, "") for one in _PERSONS}
        return cls(
            dataset,
            await reading.all(_RECORDS, owner=dataset.owner, **persons),
            await reading.all(_WITHDRAWALS, dataset_no=dataset.no, **persons),
        )

    def refusal(self, row: SheetRow) -> RefusedRow | None:
        """Why a row comes too late, or again, if it does."""
        known = self._records[row.pseudonym, row.item.recipient, row.item.purpose]
        here = [one for one in known if one.dataset_no == self._dataset.no and one.state is not State.REFUSED]
        if any(one.given_at == row.given_at for one in here):
            return RefusedRow(row.line, "", "already_recorded")
        withdrawn = [
            int(one["withdrawn_at"])
            for one in self._withdrawals[row.pseudonym]
            if one["recipient_id"] in ("", row.item.recipient) and one["purpose"] in ("", row.item.purpose)
        ]
        refused = [seconds(one.changed_at) for one in known if one.state is State.REFUSED]
        past = Past(tuple(here), max(withdrawn, default=None), max(refused, default=None), None)
        code = past.obstacle(row.given_at)
        return None if code is None else RefusedRow(row.line, "given", _CODES.get(code, code))
