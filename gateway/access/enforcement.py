"""The cycle of one access, in order. Logged and committed before it is opened; refused on the record."""

from __future__ import annotations

from operator import itemgetter

from gateway.abreast import abreast
from gateway.access.cases import DecidedCases
from gateway.access.deciding import Deciding
from gateway.access.entry import describe, describe_stranger
from gateway.access.governing import Governing, GoverningFacts
from gateway.access.judgement import Judgement
from gateway.access.refusal import refuse_unless_permitted
from gateway.access.release import Release
from gateway.access.request import AccessRequest
from gateway.access.search import Search
from gateway.errors import NotFound
from gateway.ledger import Ledger, Recorded, StaleJudgement
from gateway.ledger.receipts import ReceiptSigner
from gateway.vault.vault import Vault


class EnforcementPoint:
    """The only way data leaves the gateway."""

    def __init__(
        self,
        *,
        facts: GoverningFacts,
        deciding: Deciding,
        cases: DecidedCases,
        search: Search,
        ledger: Ledger,
        vault: Vault,
        receipts: ReceiptSigner,
    ) -> None:
        self._facts = facts
        self._deciding = deciding
        self._cases = cases
        self._search = search
        self._ledger = ledger
        self._vault = vault
        self._receipts = receipts

    async def release(self, request: AccessRequest) -> Release:
        """Answer with data or raise a refusal; either way, the entry is committed first."""
        judgement, recorded = await self._judge_and_record(request)
        refuse_unless_permitted(judgement, recorded)
        assert recorded.warrant is not None
        sealed = [selected.sealed for selected in judgement.in_logged_order()]
        opened = await self._vault.open(judgement.layout, sealed, recorded.warrant)
        if request.record is not None and not opened:
            raise NotFound
        records = sorted(zip([one.id for one in sealed], opened, strict=True), key=itemgetter(0))
        assert judgement.owed is not None
        return Release(records, recorded, judgement.cursor, judgement.owed.told, judgement.decision.fields)

    async def _judge_and_record(self, request: AccessRequest) -> tuple[Judgement, Recorded]:
        """Pair a judgement with its entry; what narrowed in between is judged once more, then refused."""
        for fresh in (False, True):
            judgement = await self._judge(request, fresh=fresh)
            try:
                return judgement, await self._record(request, judgement)
            except StaleJudgement:
                continue
        moving = judgement.without_answer()
        return moving, await self._record(request, moving)

    async def _record(self, request: AccessRequest, judgement: Judgement) -> Recorded:
        await self._cases.keep(judgement)
        await abreast()
        return await self._ledger.record(describe(request, judgement, signing=self._receipts.sign))

    async def _judge(self, request: AccessRequest, *, fresh: bool) -> Judgement:
        """Pair a decision with sealed records selected under the very versions it was made for."""
        for anew in (fresh, True):
            governing = await self._governing(request, fresh=anew)
            judgement = await self._deciding.judge(request, governing)
            if not judgement.permits:
                if anew:
                    return judgement
                continue
            await abreast()
            judgement = await self._search.select(request, judgement)
            if judgement.selection.versions == governing.versions:
                return judgement
        return judgement.without_answer()

    async def _governing(self, request: AccessRequest, *, fresh: bool) -> Governing:
        try:
            return await self._facts.read(request, fresh=fresh)
        except NotFound:
            await self._ledger.record(describe_stranger(request))
            raise
