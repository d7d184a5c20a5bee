"""From a permitted request to its records: filters become blind-index terms, cursors become positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.access.judgement import Judgement
from gateway.access.request import AccessRequest
from gateway.access.selection import BEFORE_ALL, Sought, select_records
from gateway.agreements.dataset_terms import RowPredicate
from gateway.canonical import canonical
from gateway.catalog import Dataset
from gateway.database import Database
from gateway.errors import GatewayError, Invalid
from gateway.vault.keyring import KeyRing, MemberKeys

_CURSOR_PARTS = ("key_id", "nonce", "ciphertext")


class Search:
    """Selects what a permitted judgement covers."""

    def __init__(self, database: Database, keyring: KeyRing) -> None:
        self._database = database
        self._keyring = keyring

    async def select(self, request: AccessRequest, judgement: Judgement) -> Judgement:
        """The judgement with its sealed records, the next cursor, and the query's own values sealed.

        A page is never longer than the agreed volume, which it could not fit into in any window.
        Cursors and filter values are sealed under the owner's audit key and bound to client and query.
        """
        dataset = judgement.dataset
        granted, obligations = judgement.decision.fields, judgement.decision.obligations
        assert obligations is not None
        fitting = request._replace(limit=min(request.limit, obligations.volume.records))
        keys = await self._keyring.unlock(judgement.governing.owner)
        agreed = judgement.governing.rows
        sought = Sought(
            terms=dataset.filter_terms(request.filters, keys),
            rows=[dataset.row_terms(one.field, one.values, keys) for one in agreed],
            granted=dataset.bits(granted),
            matched=dataset.bits(_matched(request, dataset, agreed)),
            after=_position(request, keys),
        )
        selection = await select_records(self._database, fitting, dataset, sought, judgement.now_s)
        more = selection.more and request.record is None
        return judgement._replace(
            selection=selection,
            cursor=_cursor(request, keys, selection.records[-1].sealed.id) if more else None,
            sealed_query=_sealed_filters(request, keys) if request.filters else None,
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
