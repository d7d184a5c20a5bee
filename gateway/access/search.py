"""From a permitted request to its records: filters become blind-index terms, cursors become positions."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple

from gateway.abreast import AskedTogether
from gateway.access.judgement import Judgement
from gateway.access.request import MOST_RECORDS, AccessRequest
from gateway.access.selection import BEFORE_ALL, Selection, Sought, select_named, select_page
from gateway.agreements.dataset_terms import RowPredicate
from gateway.canonical import canonical
from gateway.catalog import Dataset
from gateway.database import Database
from gateway.errors import GatewayError, Invalid
from gateway.vault.keyring import KeyRing, MemberKeys

_CURSOR_PARTS = ("key_id", "nonce", "ciphertext")

_Alike = tuple[Hashable, ...]
"""What makes two requests for a record each the same but for their ids; the judgement by its identity."""


class _Named(NamedTuple):
    """Records that are asked for by their ids under one judgement."""

    request: AccessRequest
    judgement: Judgement
    ids: set[bytes]


class Search:
    """Selects what a permitted judgement covers."""

    def __init__(self, database: Database, keyring: KeyRing) -> None:
        self._database = database
        self._keyring = keyring
        self._named: dict[_Alike, _Named] = {}
        self._asked = AskedTogether(self._select_named)

    async def select(self, request: AccessRequest, judgement: Judgement) -> Judgement:
        """The judgement with its sealed records, the next cursor, and the query's own values sealed.

        A page is never longer than the agreed volume, which it could not fit into in any window.
        Cursors and filter values are sealed under the owner's audit key and bound to client and query.
        """
        if request.record is None:
            return await self._page(request, judgement)
        selection = await self._one(request, judgement, bytes.fromhex(request.record))
        if not request.filters:
            return judgement._replace(selection=selection)
        keys = await self._keyring.unlock(judgement.governing.owner)
        return judgement._replace(selection=selection, sealed_query=_sealed_filters(request, keys))

    async def _page(self, request: AccessRequest, judgement: Judgement) -> Judgement:
        obligations = judgement.decision.obligations
        assert obligations is not None
        fitting = request._replace(limit=min(request.limit, obligations.volume.records))
        keys = await self._keyring.unlock(judgement.governing.owner)
        sought = _sought(request, judgement, keys)._replace(after=_position(request, keys))
        selection = await select_page(self._database, fitting, judgement.dataset, sought, judgement.now_s)
        return judgement._replace(
            selection=selection,
            cursor=_cursor(request, keys, selection.records[-1].sealed.id) if selection.more else None,
            sealed_query=_sealed_filters(request, keys) if request.filters else None,
        )

    async def _one(self, request: AccessRequest, judgement: Judgement, wanted: bytes) -> Selection:
        """One record; what is asked for in the same way at the same time is selected together.

        Where the database may look through the dataset for a list, that is the very same record alone.
        """
        subject = request.subject
        alone = None if self._database.probes_lists else wanted
        alike = (id(judgement), subject.token, subject.signed_by, request.upload, tuple(request.filters.items()), alone)
        self._named.setdefault(alike, _Named(request, judgement, set())).ids.add(wanted)
        return (await self._asked.ask(alike))[wanted]

    async def _select_named(self, alike: _Alike) -> Mapping[bytes, Selection]:
        request, judgement, ids = self._named.pop(alike)
        keys = await self._keyring.unlock(judgement.governing.owner)
        sought, dataset, found = _sought(request, judgement, keys), judgement.dataset, dict[bytes, Selection]()
        for some in _in_pages(sorted(ids)):
            found |= await select_named(self._database, request, dataset, sought, judgement.now_s, some)
        return found


def _in_pages(ids: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    return (ids[at : at + MOST_RECORDS] for at in range(0, len(ids), MOST_RECORDS))


def _sought(request: AccessRequest, judgement: Judgement, keys: MemberKeys) -> Sought:
    dataset, agreed = judgement.dataset, judgement.governing.rows
    return Sought(
        terms=dataset.filter_terms(request.filters, keys),
        rows=[dataset.row_terms(one.field, one.values, keys) for one in agreed],
        granted=dataset.bits(judgement.decision.fields),
        matched=dataset.bits(_matched(request, dataset, agreed)),
    )


def _matched(request: AccessRequest, dataset: Dataset, agreed: Sequence[RowPredicate]) -> tuple[str, ...]:
    """The fields whose values a row tells by being shown at all; one that the dataset lacks matches no row."""
    return tuple(dict.fromkeys([*request.filters, *[one.field for one in agreed if one.field in dataset.fields]]))


def _query_of(request: AccessRequest, use: str) -> bytes:
    """What sealed values of a request belong to: another client, agreement, purpose, field or filter makes it void."""
    return canonical(
        {
            "use": use,
            "client": request.subject.client,
            "agreement": request.agreement,
            "dataset": request.dataset,
            "purpose": request.purpose,
            "fields": list(request.fields),
            "filters": dict(request.filters),
        }
    )


def _sealed_filters(request: AccessRequest, keys: MemberKeys) -> Mapping[str, str]:
    return keys.seal_detail(canonical(dict(request.filters)), _query_of(request, "filters"))


def _cursor(request: AccessRequest, keys: MemberKeys, last: bytes) -> str:
    sealed = keys.seal_detail(last, _query_of(request, "cursor"))
    return ".".join(sealed[part] for part in _CURSOR_PARTS)


def _position(request: AccessRequest, keys: MemberKeys) -> bytes:
    if request.cursor is None:
        return BEFORE_ALL
    try:
        sealed: Mapping[str, str] = dict(zip(_CURSOR_PARTS, request.cursor.split("."), strict=True))
        return keys.open_detail(sealed, _query_of(request, "cursor"))
    except (ValueError, GatewayError):
        raise Invalid(
            "invalid_cursor",
            "The cursor does not belong to this client and query.",
            field="cursor",
            remedy="Start again without a cursor.",
        ) from None
