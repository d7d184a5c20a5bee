"""Papers about a company, sealed under its audit key; one that is opened is entered before it is."""

from __future__ import annotations

import json
from collections.abc import Mapping

from gateway.canonical import canonical
from gateway.database import Database
from gateway.ledger import Draft, Kind, Ledger
from gateway.members.admission.people import operator_of
from gateway.vault.keyring import KeyRing


class Papers:
    """Seals and opens the files and texts of admissions."""

    def __init__(self, database: Database, ledger: Ledger, keyring: KeyRing) -> None:
        self._database = database
        self._ledger = ledger
        self._keyring = keyring

    async def seal(self, member: str, use: str, texts: Mapping[str, bytes]) -> dict[str, str]:
        """Each paper by its id, as it is stored. `use` says what it is: a file, reasons, sections."""
        keys = await self._keyring.unlock(member)
        return {paper: json.dumps(keys.seal_detail(text, _bound(member, use, paper))) for paper, text in texts.items()}

    async def open(self, alliance: str, member: str, use: str, paper: str, sealed: str, *, operator: str) -> bytes:
        """What a paper says. That the operator opens it stands in the operator's log first.

        `NotFound` for an operator of another alliance, or a disabled one.
        """
        await operator_of(self._database, alliance=alliance, person=operator)
        facts = {"act": "paper_opened", "actor": {"operator": operator}, "member": member, "use": use, "paper": paper}
        await self._ledger.record(Draft(log=alliance, kind=Kind.ADMIN, facts=facts))
        keys = await self._keyring.unlock(member)
        return keys.open_detail(json.loads(sealed), _bound(member, use, paper))


def _bound(member: str, use: str, paper: str) -> bytes:
    return canonical({"use": use, "member": member, "paper": paper})
