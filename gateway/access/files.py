"""A whole selection as one file, read through the seam page by page: each page its own permit and entry.

The file is followed by its manifest, which makes it verifiable: digests, counts, a receipt for every page and for the
delivery itself, and the gateway's signature over all of that. A page that is refused ends the file at the page before,
and so does one that has other fields than the first, or obliges to something else; the manifest says why and where to
go on. A file is no snapshot: each page is of the instant that its entry names.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.access.enforcement import EnforcementPoint
from gateway.access.file_proof import MANIFEST_TYPE, statement_of
from gateway.access.formats import Format
from gateway.access.refusal import ClientChanged
from gateway.access.release import Release
from gateway.access.request import AccessRequest
from gateway.canonical import canonical
from gateway.clock import MILLISECONDS, Clock
from gateway.errors import Conflicting, GatewayError, NotAuthenticated, TooLarge
from gateway.identifiers import random_id
from gateway.ledger import Draft, Kind, Ledger
from gateway.ledger.receipts import ReceiptSigner
from gateway.problems import problem_of

MOST_PAGES = 10_000
"""The longest file: a million records, so that its manifest stays small."""


@dataclass(slots=True)
class Written:
    """What stands in the file so far."""

    records: int = 0
    size: int = 0
    pages: list[dict[str, Any]] = field(default_factory=list)
    digest: Any = field(default_factory=hashlib.sha256)

    def add(self, piece: bytes) -> bytes:
        """Count and digest a piece of the file, and give it back."""
        self.size += len(piece)
        self.digest.update(piece)
        return piece


class Files:
    """Makes files. `release` is the only way in, so what a page may not show no file does."""

    def __init__(self, enforcement: EnforcementPoint, ledger: Ledger, receipts: ReceiptSigner, clock: Clock) -> None:
        self._enforcement = enforcement
        self._ledger = ledger
        self._receipts = receipts
        self._clock = clock

    async def begin(self, request: AccessRequest, form: Format) -> File:
        """The file with its first page; raises as `release`, so that what may not begin is refused like a page."""
        return File(self, request, form, await self.page(request))

    async def page(self, request: AccessRequest) -> Release:
        """One page, while the token that asked for the file lasts."""
        if self._clock() >= request.subject.expires_at * MILLISECONDS:
            raise NotAuthenticated("token_expired", "The token ended before the file did.", remedy="Go on from `next`.")
        return await self._enforcement.release(request)

    async def enter(
        self, request: AccessRequest, facts: dict[str, Any], log: str, manifest: dict[str, Any]
    ) -> dict[str, str]:
        """The entry of what was delivered, before the manifest leaves: its id, receipt, and the manifest's signature.

        Without the signature whoever changes the file could change the digests with it.
        """
        message = {} if request.signed is None else {"message": request.signed.describe()}
        about = {
            "act": "file_delivered",
            "actor": request.subject.actor(),
            "agreement": request.agreement,
            "dataset": request.dataset,
            "purpose": request.purpose,
            **message,
        }
        draft = Draft(log=log, kind=Kind.DELIVERY, facts=about | facts, signing=self._receipts.sign)
        recorded = await self._ledger.record(draft)
        return {
            "event_id": recorded.event_id,
            "receipt": recorded.signed,
            "signature": self._receipts.state(MANIFEST_TYPE, statement_of(manifest, recorded.event_id)),
        }


class File:
    """One file under way: `pieces` once, then `manifest` once."""

    def __init__(self, files: Files, request: AccessRequest, form: Format, first: Release) -> None:
        self.id = random_id()
        self.form = form
        self._files = files
        self._request = request
        self._first = first
        self._written = Written()
        self._next: str | None = None
        self._stopped: GatewayError | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        """The bytes of the file. They end early where a page is refused; `manifest` says so."""
        page, fields = self._first, self._first.fields
        yield self._written.add(self.form.head(fields))
        while True:
            yield self._add(page, fields)
            self._next = page.cursor
            if page.cursor is None:
                return
            try:
                if len(self._written.pages) >= MOST_PAGES:
                    raise TooLarge("file_full", f"A file has at most {MOST_PAGES} pages.", remedy="Go on from `next`.")
                page = await self._files.page(self._request._replace(cursor=page.cursor))
                if page.fields != fields:
                    raise Conflicting("fields_changed", "Other fields are permitted now.", remedy="Go on from `next`.")
                if not _still_told(self._first, page):
                    raise Conflicting("obligations_changed", "You owe something else now.", remedy="Go on from `next`.")
            except GatewayError as error:
                self._stopped = _told(error)
                return

    def _add(self, page: Release, fields: tuple[str, ...]) -> bytes:
        piece = self._written.add(self.form.rows(fields, page.records))
        self._written.records += len(page.records)
        self._written.pages.append(
            {
                "event_id": page.recorded.event_id,
                "records": len(page.records),
                "bytes": len(piece),
                "sha256": hashlib.sha256(piece).hexdigest(),
                "receipt": page.receipt,
            }
        )
        return piece

    async def manifest(self) -> dict[str, Any]:
        """What the file is, as its entry says it too. Where that cannot be entered, `delivery` is null."""
        events = [page["event_id"] for page in self._written.pages]
        facts = {
            **self._counted(),
            "complete": self._stopped is None,
            "pages": {"count": len(events), "sha256": hashlib.sha256(canonical(events)).hexdigest()},
        }
        said = self._said(self._stopped)
        try:
            delivery = await self._files.enter(self._request, facts, self._first.recorded.log, said)
        except GatewayError as error:
            return {**self._said(self._stopped or error), "delivery": None}
        return {**said, "delivery": delivery}

    def _counted(self) -> dict[str, Any]:
        return {
            "file": self.id,
            "format": self.form.media_type,
            "records": self._written.records,
            "bytes": self._written.size,
            "sha256": self._written.digest.hexdigest(),
        }

    def _said(self, stopped: GatewayError | None) -> dict[str, Any]:
        """The manifest without its delivery."""
        return {
            "v": 1,
            **self._counted(),
            "agreement": self._request.agreement,
            "dataset": self._request.dataset,
            "purpose": self._request.purpose,
            "fields": list(self._first.fields),
            **self._first.accompanied,
            "complete": stopped is None,
            "stopped": None if stopped is None else orjson.loads(bytes(problem_of(stopped).body)),
            "next": self._next,
            "pages": self._written.pages,
        }


def _still_told(first: Release, page: Release) -> bool:
    """Whether what comes with the first page comes with another: the same, and kept no longer than that one may be."""
    said, now = dict(first.accompanied["obligations"]), dict(page.accompanied["obligations"])
    until, now_until = said.pop("retain_until", None), now.pop("retain_until", None)
    kept = now_until is None or (until is not None and until <= now_until)
    return kept and (said, first.accompanied.get("omitted")) == (now, page.accompanied.get("omitted"))


def _told(error: GatewayError) -> GatewayError:
    """The error as a caller learns it: that its client changed is told as a token that ends."""
    if isinstance(error, ClientChanged):
        return NotAuthenticated("invalid_token", error.detail)
    return error
