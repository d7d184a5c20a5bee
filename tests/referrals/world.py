"""Members that refer customers to a hotel, through a gateway in this process, with a clock that tests move."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from gateway.business_days import after_business_hours
from gateway.referrals.keys import terms_kept
from gateway.rights.request import Person
from tests.access.world import Deal, Shared, person
from tests.alliance import PERSONAL_SCHEMA, Member, instant
from tests.confiding import done

PREVIEW = {"city": "Shanghai", "need": "a family room", "budget": "500-800"}
HOUR_S = 3600
DAY_S = 24 * HOUR_S
PHONE = "13800138000"


@dataclass
class Referring:
    """One referrer's deal with the hotel, over a dataset of its own."""

    shared: Shared
    referrer: Member
    deal: Deal

    @property
    def hotel(self) -> Member:
        return self.shared.hotel

    async def consent(self, number: int, **over: Any) -> None:
        """The person consents to the hotel."""
        await self.referrer.consent(self.deal.dataset, self.hotel, f"C{number:05}", **over)

    async def withdraw(self, number: int) -> None:
        """The person withdraws."""
        done(await self.referrer.withdraw(self.deal.dataset, f"C{number:05}"))

    def body(self, number: int, **over: Any) -> dict[str, Any]:
        """The body of a draft."""
        return {
            "agreement": self.deal.agreement,
            "dataset": self.deal.dataset,
            "subject": f"C{number:05}",
            "preview": PREVIEW,
        } | over

    async def ask_draft(self, number: int, **over: Any) -> httpx.Response:
        """The answer to a draft."""
        return await post(self.referrer, "/v1/referrals", self.body(number, **over))

    async def draft(self, number: int, **over: Any) -> str:
        """A draft's id."""
        return str(done(await self.ask_draft(number, **over))["id"])

    async def refer(self, number: int, *, consented: bool = True, **over: Any) -> str:
        """A submitted referral of a person, by default one who consents."""
        if consented:
            await self.consent(number)
        referral = await self.draft(number, **over)
        done(await act(self.referrer, referral, "submit"))
        return referral

    async def offer(self, number: int, **over: Any) -> str:
        """A referral that the hotel was offered."""
        referral = await self.refer(number, **over)
        await self.shared.gateway.referrals.running.run()
        return referral

    async def reading(self, *more: str) -> str:
        """The hotel's token for acting and reading."""
        detail = self.hotel.under(self.deal.agreement, self.deal.dataset, "customer_referral")
        return await self.hotel.token({"type": "alliance_member", "actions": ["refer", *more]}, detail)

    async def ask_disclosure(self, referral: str) -> httpx.Response:
        """The answer to the hotel's wish to know who it is."""
        return await self.hotel.post(f"/v1/referrals/{referral}/disclosure", await self.reading(), {})

    async def dispute(self, by: Member, referral: str) -> str:
        """A dispute by one of the two parties, which freezes the referral; returns its case."""
        return str(done(await ask_dispute(by, self.deal.agreement, referral))["id"])

    async def disclosed(self, number: int, **over: Any) -> str:
        """A referral whose person the hotel knows."""
        referral = await self.offer(number, **over)
        done(await act(self.hotel, referral, "accept"))
        done(await self.ask_disclosure(referral))
        return referral

    async def policy(self, **said: Any) -> None:
        """Both sides agree on a referral policy; by default on the default one."""
        said = {"rule": "first_registered"} | said
        for member in (self.referrer, self.hotel):
            done(await post(member, f"/v1/agreements/{self.deal.agreement}/referral-policy", said))


async def referring(shared: Shared, referrer: Member, people: Sequence[int] = range(1, 12)) -> Referring:
    """A referrer with a new dataset of these people, agreed on with the hotel."""
    dataset = await referrer.declare(PERSONAL_SCHEMA)
    answer = done(await referrer.upload(dataset, [person(number) for number in people]))
    assert answer["refused"] == 0
    agreement = await referrer.agree(shared.hotel, dataset, ["name", "phone"], purposes=["customer_referral"])
    return Referring(shared, referrer, Deal(agreement, dataset))


async def post(member: Member, path: str, body: Mapping[str, Any], key: str = "") -> httpx.Response:
    """A POST with an `Idempotency-Key` of its own."""
    headers = {"Idempotency-Key": key or secrets.token_hex(8)}
    return await member.call("POST", path, await member.token(), json=body, headers=headers)


async def act(member: Member, referral: str, name: str, **said: Any) -> httpx.Response:
    """One act on a referral."""
    return await post(member, f"/v1/referrals/{referral}/acts", {"act": name, **said})


async def ask_dispute(member: Member, agreement: str, referral: str) -> httpx.Response:
    """The answer to a dispute about a referral, under an agreement."""
    subject = {"kind": "referral", "id": referral}
    said = {"kind": "dispute", "agreement": agreement, "subject": subject, "claim": "This is not as agreed."}
    return await post(member, "/v1/cases", said)


async def both_agree(bank: Referring, airline: Referring, **policy: Any) -> None:
    """Both referrers agree with the hotel on the same policy."""
    for one in (bank, airline):
        await one.policy(**policy)


async def decided(shared: Shared, cases: Sequence[str]) -> None:
    """Two operators resolve each case, which lifts what held for it."""
    for case in cases:
        deciding = shared.gateway.casework.decisions
        _, arguments = await deciding.deciding(case, "resolve", resolution="r-1", why="The airline was first.")
        await shared.alliance.by_two("decide_case", **arguments)


async def granted(of: Referring, number: int, kind: str, *, profile: str = "cn", **given: Any) -> None:
    """A person asks the referrer for what it has a right to, by the law of a profile, which is granted."""
    gateway, token = of.shared.gateway, await of.referrer.token()
    person = Person(of.referrer.id, (await gateway.keyring.unlock(of.referrer.id)).pseudonym(f"C{number:05}"))
    request = await gateway.rights.open(person, kind, "请处理。", visit="a" * 32, profile=profile)
    await of.referrer.get("/v1/rights", token)  # for a fresh nonce
    subject = await of.shared.subject(of.referrer, token)
    await gateway.rights.answering.grant(subject, request, {"text": "已办理。", **given})


async def see(member: Member, referral: str) -> httpx.Response:
    """One referral."""
    return await member.get(f"/v1/referrals/{referral}", await member.token())


async def state(member: Member, referral: str) -> str:
    """Where a member sees a referral."""
    return str(done(await see(member, referral))["state"])


def in_hours(shared: Shared, hours: int) -> str:
    """The instant so many business hours from now, as it is told."""
    return instant(datetime.fromtimestamp(after_business_hours(shared.clock.ms // 1000, hours), UTC))


async def entries_of(shared: Shared, log: str, referral: str) -> list[dict[str, Any]]:
    """The entries of a log that name a referral, in order."""
    return [one for one in await shared.entries(log) if one.get("referral") == referral]


async def terms(shared: Shared, referral: str) -> int:
    """How many terms a referral is matched by."""
    return len(await terms_kept(shared.gateway.database, referral))
