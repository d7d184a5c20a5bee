"""Step 5 of the cycle: sealed records, consent joined per subject, in one statement with the versions.

Rows without an id hold the versions, so that they come back when no record matches, and the subject key that all
records of a dataset without persons have. A record's row holds no more than the record: every column of every row is
a quarter of a microsecond with sqlite3. The limit applies after the consent join and the agreed row predicates: a row
without consent, or outside what is agreed, leaves neither a gap nor a count.

A page is bounded in bytes as well. A record of more than `LONGEST_AMONG_OTHERS` is not loaded with others: the page
ends before it, and the next one is that record alone. So it is with records that are asked for by their ids: only one
that is asked for alone is loaded whatever its length.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    LargeBinary,
    Subquery,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    null,
    select,
    union_all,
)
from sqlalchemy import Text as SQLText

from gateway.access.governing import Versions, governing_row, key_of
from gateway.access.request import MOST_RECORDS, AccessRequest
from gateway.catalog import Dataset
from gateway.catalog.tables import record, record_term, upload
from gateway.consents.marks import COUNTED, FIRST, UNMARKED
from gateway.consents.tables import consent, live
from gateway.database import Database, Query, Row
from gateway.vault.sealed import SealedRecord
from gateway.vault.subject_key import DATASET_SCOPE
from gateway.vault.tables import subject_key

BEFORE_ALL = b""
LONGEST_AMONG_OTHERS = 4 * 1024 * 1024 // MOST_RECORDS
"""Sealed bytes of a record that shares its page: so a page is about 4 MiB at most, or one record."""
_SEALED = 3


class Shape(NamedTuple):
    """What makes two selections the same statement. `rows` has the number of values of each row predicate.

    `named` is how many ids are asked for; none: a page.
    """

    personal: bool
    named: int
    filters: int
    rows: tuple[int, ...] = ()
    of_upload: bool = False


class Selected(NamedTuple):
    """One sealed record and what its subject consented to (`fields` as bits, -1 where no consent is needed)."""

    sealed: SealedRecord
    consent: str
    consented: int
    consent_ends: int | None
    mark: int
    """What the entry leaves on the consent: `UNMARKED`, `FIRST` or `COUNTED`."""


class Selection(NamedTuple):
    """Sealed records as of `versions` and the owner's `narrowing` number, all of one snapshot."""

    versions: Versions | None
    narrowing: int
    records: tuple[Selected, ...] = ()
    more: bool = False


NOTHING = Selection(None, 0)


class Sought(NamedTuple):
    """The bound part of a selection: terms of the blind index, field bits, position."""

    terms: Sequence[tuple[int, bytes]]
    rows: Sequence[tuple[int, Sequence[bytes]]]
    """Per agreed row predicate its field and the terms of its values, of which the row has one, or it is absent."""
    granted: int
    """Bits of the fields that the decision permits."""
    matched: int
    """Bits of the fields that are filtered on or agreed rows are chosen by: consented in that row, or it is absent."""
    after: bytes = BEFORE_ALL


_AFTER = bindparam("after", type_=LargeBinary)
_OF_DATASET = (
    subject_key.c.member_id == bindparam("owner", type_=SQLText),
    subject_key.c.scope == bindparam("scope", type_=SQLText),
)
"""The subject key of a dataset without persons."""


@lru_cache(maxsize=256)
def _statement(shape: Shape) -> Query:
    among_others = case((func.length(record.c.sealed) <= LONGEST_AMONG_OTHERS, record.c.sealed)).label("sealed")
    chosen = (
        select(record.c.id, record.c.version, record.c.pseudonym, record.c.sealed if shape.named == 1 else among_others)
        .select_from(record)
        .join(upload, and_(upload.c.no == record.c.upload_no, upload.c.state == "published"))
        .join(subject_key, subject_key.c.id == record.c.subject_key_id)
        .where(record.c.dataset_no == bindparam("dataset_no", type_=BigInteger))
    )
    if shape.personal:
        now = bindparam("now", type_=BigInteger)
        granted = bindparam("granted", type_=BigInteger)
        matched = bindparam("matched", type_=BigInteger)
        chosen = chosen.join(
            consent,
            and_(
                consent.c.dataset_no == record.c.dataset_no,
                consent.c.recipient_id == bindparam("member", type_=SQLText),
                consent.c.purpose == bindparam("purpose", type_=SQLText),
                consent.c.pseudonym == record.c.pseudonym,
                live(consent, now),
                consent.c.fields.bitwise_and(granted) != 0,
                consent.c.fields.bitwise_and(matched) == matched,
            ),
        ).add_columns(
            subject_key.c.id.label("key_id"),
            subject_key.c.wrapped,
            subject_key.c.key_version,
            consent.c.id.label("consent"),
            consent.c.fields.label("consented"),
            consent.c.expires_at,
            case(
                (consent.c.uses_left.is_not(None), COUNTED), (consent.c.disclosed_at.is_(None), FIRST), else_=UNMARKED
            ).label("mark"),
        )
    else:  # one key for all records: found once, not once a record
        chosen = chosen.where(*_OF_DATASET)
    for number in range(shape.filters):
        term = record_term.alias(f"term_{number}")
        chosen = chosen.join(
            term,
            and_(
                term.c.dataset_no == record.c.dataset_no,
                term.c.record_id == record.c.id,
                term.c.upload_no == record.c.upload_no,
                term.c.field_number == bindparam(f"field_{number}", type_=BigInteger),
                term.c.term == bindparam(f"term_{number}", type_=LargeBinary),
            ),
        )
    if shape.of_upload:
        chosen = chosen.where(record.c.upload_no == bindparam("upload_no", type_=BigInteger))
    for number, values in enumerate(shape.rows):
        chosen = chosen.where(_has_one_of(number, values))
    chosen = chosen.where(record.c.id.in_(_ids(shape.named)) if shape.named else record.c.id > _AFTER)
    rows = chosen.order_by(record.c.id).limit(bindparam("most", type_=BigInteger)).subquery("chosen")
    governing = governing_row().subquery("governing")
    common = [select(*_without_id(rows, version=governing.c.narrowing, pseudonym=governing.c.versions))]
    if not shape.personal:
        of_key = {"version": subject_key.c.key_version, "pseudonym": subject_key.c.id, "sealed": subject_key.c.wrapped}
        common.append(select(*_without_id(rows, **of_key)).where(*_OF_DATASET))
    return Query(union_all(*common, select(*rows.c)))


def _ids(number: int) -> list[BindParameter[bytes]]:
    return [bindparam(f"id_{at}", type_=LargeBinary) for at in range(number)]


def _without_id(rows: Subquery, **given: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    """The columns of a row that is no record's: these in their places, and nulls."""
    return [given.get(column.name, cast(null(), column.type)) for column in rows.c]


def _has_one_of(number: int, values: int) -> ColumnElement[bool]:
    """Whether the row has one of an agreed predicate's values.

    A probe per row in the order of the ids, not a join: agreed rows are usually many, and a page ends the walk.
    """
    term = record_term.alias(f"agreed_{number}")
    known = [bindparam(f"row_{number}_{value}", type_=LargeBinary) for value in range(values)]
    return exists().where(
        term.c.dataset_no == record.c.dataset_no,
        term.c.field_number == bindparam(f"row_field_{number}", type_=BigInteger),
        term.c.term.in_(known),
        term.c.record_id == record.c.id,
        term.c.upload_no == record.c.upload_no,
    )


def _rounded(values: Sequence[bytes]) -> Sequence[bytes]:
    """The values, the last one repeated until their number is a power of two: few statements serve all agreements."""
    return [*values, *[values[-1]] * (_power_of_two(len(values)) - len(values))]


def _power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()


async def select_page(
    database: Database, request: AccessRequest, dataset: Dataset, sought: Sought, now_s: int
) -> Selection:
    """Up to `request.limit` records behind `sought.after`, in the order of their ids, by one statement.

    For a page that begins with a long record another one loads that record: what counts is what it says of it.
    """
    given = {**_given(request, dataset, sought, now_s), "after": sought.after, "most": request.limit + 1}
    found = await _find(database, _shape(request, dataset, sought), given)
    shown = _up_to_a_long_one(found.rows[: request.limit])
    if shown or not found.rows:
        return found.selection(shown)._replace(more=len(found.rows) > len(shown))
    first: bytes = found.rows[0][0]
    alone = (await select_named(database, request, dataset, sought, now_s, [first]))[first]
    if not alone.records:  # gone meanwhile, with every sign of it
        return await select_page(database, request, dataset, sought, now_s)
    return alone._replace(more=len(found.rows) > 1)


async def select_named(
    database: Database, request: AccessRequest, dataset: Dataset, sought: Sought, now_s: int, ids: Collection[bytes]
) -> Mapping[bytes, Selection]:
    """What each of these records is: a page of one, or of none; by one statement, and one more for each long record."""
    wanted = _rounded(tuple(ids))
    named = {f"id_{at}": one for at, one in enumerate(wanted)}
    given = {**_given(request, dataset, sought, now_s), **named, "most": len(wanted)}
    found = await _find(database, _shape(request, dataset, sought)._replace(named=len(wanted)), given)
    none, rows = found.selection(()), {row[0]: row for row in found.rows}
    selected = {one: found.selection((rows[one],)) if one in rows else none for one in ids}
    if len(wanted) > 1:
        for one in [one for one, row in rows.items() if row[_SEALED] is None]:
            selected |= await select_named(database, request, dataset, sought, now_s, [one])
    return selected


class _Found(NamedTuple):
    """What one statement has found: the rows of records, and what all of them have in common."""

    shape: Shape
    versions: Versions | None
    narrowing: int
    key: tuple[Any, ...]
    rows: Sequence[Row]

    def selection(self, rows: Sequence[Row]) -> Selection:
        """These rows of it as records."""
        records = (_of_persons if self.shape.personal else _of_nobody)(rows, self.key)
        return Selection(self.versions, self.narrowing, tuple(records))


async def _find(database: Database, shape: Shape, given: Mapping[str, Any]) -> _Found:
    answers = await database.all(_statement(shape), **given)
    common = [row for row in answers if row[0] is None]
    judged = next((row for row in common if row[3] is None), None)
    if judged is None:
        return _Found(shape, None, 0, (), ())
    key = next(((row[2], row[3], row[1]) for row in common if row[3] is not None), ())
    rows = sorted([row for row in answers if row[0] is not None], key=itemgetter(0))
    return _Found(shape, judged[2], judged[1], key, rows)


def _shape(request: AccessRequest, dataset: Dataset, sought: Sought) -> Shape:
    agreed = tuple([_power_of_two(len(values)) for _, values in sought.rows])
    return Shape(dataset.kind == "personal", 0, len(sought.terms), agreed, request.upload is not None)


def _given(request: AccessRequest, dataset: Dataset, sought: Sought, now_s: int) -> dict[str, Any]:
    given: dict[str, Any] = {
        **key_of(request),
        "dataset_no": dataset.no,
        "owner": dataset.owner,
        "scope": DATASET_SCOPE + dataset.id,
        "purpose": request.purpose,
        "now": now_s,
        "granted": sought.granted,
        "matched": sought.matched,
    }
    for number, (field, term) in enumerate(sought.terms):
        given[f"field_{number}"] = field
        given[f"term_{number}"] = term
    if request.upload is not None:
        given["upload_no"] = request.upload
    for number, (field, values) in enumerate(sought.rows):
        given[f"row_field_{number}"] = field
        given |= {f"row_{number}_{at}": value for at, value in enumerate(_rounded(values))}
    return given


def _up_to_a_long_one(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows before the first one that is too long to be loaded with others."""
    lacking = [row[_SEALED] for row in rows]
    return rows[: lacking.index(None)] if None in lacking else rows


_new = tuple.__new__
"""Makes a named tuple from a tuple, in half the time that its class takes: records are many."""


def _of_nobody(rows: Sequence[Any], key: tuple[Any, ...]) -> list[Selected]:
    return [_new(Selected, (_new(SealedRecord, (*row, *key)), "", -1, None, UNMARKED)) for row in rows]


def _of_persons(rows: Sequence[Any], _: tuple[Any, ...]) -> list[Selected]:
    return [_new(Selected, (_new(SealedRecord, row[:7]), *row[7:])) for row in rows]
