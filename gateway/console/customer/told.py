"""What consent records name: datasets, notices and members, read once for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from gateway.catalog.dataset import Dataset
from gateway.catalog.tables import dataset
from gateway.consents.notice import Notice
from gateway.consents.record import Record
from gateway.consents.tables import notice
from gateway.database import Database, Query, Reading
from gateway.members.tables import member

_NAME = Query(select(member.c.name).where(member.c.id == bindparam("id")))
_NOTICE = Query(select(notice).where(notice.c.id == bindparam("id")))
_DATASET = Query(select(dataset).where(dataset.c.no == bindparam("no")))


@dataclass(frozen=True, slots=True)
class Told:
    """Records by their ids, datasets by their numbers, notices by their ids, members' names by their ids."""

    records: Mapping[str, Record]
    datasets: Mapping[int, Dataset]
    notices: Mapping[str, Notice]
    members: Mapping[str, str]

    def name(self, member_id: str) -> str:
        """A member's name."""
        return self.members[member_id]

    def notice(self, record: Record) -> Notice | None:
        """What the person was told; None for what was recorded before there were notices."""
        return None if record.notice_id is None else self.notices.get(record.notice_id)

    def titles(self, record: Record | None, tag: str) -> Mapping[str, str]:
        """The fields' names in words, as the notice has them."""
        if record is None or (told := self.notice(record)) is None:
            return {}
        return {field["name"]: field["category"][tag] for field in told.items[record.key].get("fields", ())}


async def told_of(database: Database, records: Sequence[Record], others: Iterable[str] = ()) -> Told:
    """What these records name, and the names of `others`, in one snapshot."""
    members = {*others, *(one.owner for one in records), *(one.recipient for one in records)}
    async with database.reading() as reading:
        return Told(
            {one.id: one for one in records},
            {no: await _dataset(reading, no) for no in sorted({one.dataset_no for one in records})},
            {
                row["id"]: Notice.of(row)
                for notice_id in sorted({one.notice_id for one in records if one.notice_id is not None})
                if (row := await reading.one(_NOTICE, id=notice_id)) is not None
            },
            {one: await name_of(reading, one) for one in sorted(members)},
        )


async def name_of(reading: Reading, member_id: str) -> str:
    """A member's name."""
    row = await reading.one(_NAME, id=member_id)
    return "" if row is None else str(row["name"])


async def _dataset(reading: Reading, no: int) -> Dataset:
    row = await reading.one(_DATASET, no=no)
    assert row is not None
    return Dataset.of(row)
