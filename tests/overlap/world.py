"""Two members with customers of their own, some of whom are the same people, and what it takes to count those."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import httpx

from gateway.overlap.runs import OverlapRuns
from tests.access.world import Shared, person
from tests.alliance import PERSONAL_SCHEMA, Member

MONTH_S = 31 * 24 * 3600


@dataclass(frozen=True)
class Customers:
    """One member's customers under its agreement with the other."""

    owner: Member
    other: Member
    agreement: str
    dataset: str

    def side(self, field: str = "phone") -> dict[str, str]:
        """As a body names it."""
        return {"agreement": self.agreement, "dataset": self.dataset, "field": field}

    async def consenting(self, numbers: Iterable[int]) -> None:
        """These customers agree to be matched."""
        subjects = [person(number)["customer_no"] for number in numbers]
        await self.owner.consent(self.dataset, self.other, *subjects, purpose="matching", fields=["phone"])

    async def upload(self, numbers: Iterable[int]) -> None:
        """These are customers too."""
        answer = await self.owner.upload(self.dataset, [person(number) for number in numbers])
        assert answer.status_code == 201, answer.text


@dataclass
class Counted:
    """The alliance, and its bank and hotel as they count."""

    shared: Shared

    @property
    def runs(self) -> OverlapRuns:
        return self.shared.gateway.overlapping.runs

    async def customers(
        self, owner: Member, other: Member, numbers: Iterable[int], *, consenting: bool = True, **over: Any
    ) -> Customers:
        """Customers of one who have all agreed to be matched with the other's; `over` are terms."""
        dataset, known = await owner.declare(PERSONAL_SCHEMA), list(numbers)
        agreed = {"purposes": ["matching"], "term": {"methods": ["overlap"]}} | over
        agreement = await owner.agree(other, dataset, ["phone"], **agreed)
        found = Customers(owner, other, agreement, dataset)
        await found.upload(known)
        if consenting:
            await found.consenting(known)
        return found

    async def both(self, banks: Iterable[int], hotels: Iterable[int]) -> tuple[Customers, Customers]:
        """Customers of both."""
        bank, hotel = self.shared.bank, self.shared.hotel
        return await self.customers(bank, hotel, banks), await self.customers(hotel, bank, hotels)

    async def propose(
        self, own: Customers, other: Customers, over: Mapping[str, Any] = MappingProxyType({})
    ) -> httpx.Response:
        """The owner of `own` asks."""
        token = await own.owner.token(own.owner.under(other.agreement, other.dataset, "matching"))
        wish = {"matched_by": "phone", "own": own.side(), "other": other.side(), **over}
        return await own.owner.post("/v1/overlaps", token, wish)

    async def proposed(self, own: Customers, other: Customers) -> str:
        """The id of what the owner of `own` asked."""
        answer = await self.propose(own, other)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def accept(self, overlap: str, own: Customers, other: Customers) -> httpx.Response:
        """The owner of `other` agrees."""
        token = await other.owner.token(other.owner.under(own.agreement, own.dataset, "matching"))
        return await other.owner.post(f"/v1/overlaps/{overlap}/acceptance", token)

    async def accepted(self, own: Customers, other: Customers) -> str:
        """The id of what both agreed to."""
        overlap = await self.proposed(own, other)
        answer = await self.accept(overlap, own, other)
        assert (answer.status_code, answer.json()["state"]) == (200, "accepted"), answer.text
        return overlap

    async def count(self, overlap: str, member: Member | None = None) -> httpx.Response:
        """The answer, as a member sees it."""
        who = member or self.shared.bank
        return await who.get(f"/v1/overlaps/{overlap}/count", await who.token())

    async def answered(self, own: Customers, other: Customers) -> dict[str, Any]:
        """A whole count, from the question to the answer."""
        overlap = await self.accepted(own, other)
        await self.runs.run()
        answer = await self.count(overlap)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def acts(self, overlap: str, member: Member) -> list[dict[str, Any]]:
        """The entries about an overlap in a member's log."""
        return [one for one in await self.shared.entries(member.id) if one.get("overlap") == overlap]

    async def renew_index_key(self) -> None:
        """As two operators do; every process notes it within minutes."""
        gateway = self.shared.gateway
        async with gateway.database.transaction() as tx:
            await gateway.keyring.renew_own_index_key(tx, self.shared.clock())
        self.shared.clock.pass_seconds(150)

    def next_month(self) -> None:
        """Another budget."""
        self.shared.clock.pass_seconds(MONTH_S)
