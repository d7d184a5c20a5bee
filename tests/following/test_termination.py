"""The second receipt is of a consent that ended. What was used up has not ended for whoever still holds the data."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Table, bindparam, insert, select

from gateway.clock import seconds
from gateway.consents.followers import Ended
from gateway.consents.states import Event, State
from gateway.consents.tables import consent, consent_record
from gateway.database import Query
from gateway.identifiers import random_id
from tests.confiding import done
from tests.following.world import Followed

pytestmark = pytest.mark.asyncio(loop_scope="module")
DELETED = {"how": "deleted", "proof": {"text": "Deleted by job 4711."}}
CORRECTED = {"how": "corrected", "proof": {"text": "Corrected by job 4712."}}


async def read_once(followed: Followed, number: int, **over: Any) -> Ended:
    """A person whom the hotel has read, as the end of that consent would name them."""
    bank, hotel, gateway = followed.shared.bank, followed.shared.hotel, followed.shared.gateway
    deal = await followed.shared.personal([number])
    [consent] = await bank.consent(deal.dataset, hotel, f"C{number:05}", **over)
    assert len(await followed.read(deal)) == 1
    await gateway.consents.overtaken.settle()
    pseudonym = await followed.pseudonym(deal, number)
    [told] = await gateway.disclosures.of_person(bank.id, pseudonym)
    return Ended(consent, bank.id, told.dataset_no, pseudonym, hotel.id, told.purpose, "withdrawn")


async def used_up(followed: Followed, number: int) -> Ended:
    """Read once, which was all that the consent allowed."""
    of = await read_once(followed, number, max_uses=1)
    gateway = followed.shared.gateway
    record = await gateway.consents.records.get(gateway.database, of.record_id)
    assert record is not None
    assert record.state is State.CONSUMED
    assert await followed.of_consent(of.record_id) == []
    return of


async def ends(followed: Followed, of: Ended) -> list[dict[str, Any]]:
    """It ends; every follow-up there is of it."""
    gateway = followed.shared.gateway
    async with gateway.ledger.changing(of.owner) as change:
        await gateway.following.ended(change, [of])
    return await followed.of_consent(of.record_id)


async def acts(followed: Followed, of: Ended, event: Event) -> list[dict[str, Any]]:
    """Its record takes a step; every follow-up there is of it."""
    gateway = followed.shared.gateway
    async with gateway.ledger.changing(of.owner, narrows={of.owner}) as change:
        await gateway.consents.records.act(change, of.record_id, event, actor={"customer": "page"})
    return await followed.of_consent(of.record_id)


async def corrected(followed: Followed, of: Ended, cause: str = "corrected") -> str:
    """What is held of the person is corrected, or erased; the follow-up of that."""
    gateway = followed.shared.gateway
    async with gateway.ledger.changing(of.owner) as change:
        [follow_up] = await gateway.following.queue(change, of.owner, of.dataset_no, of.pseudonym, cause)
    return follow_up


async def before_events(followed: Followed, of: Ended) -> Ended:
    """A later consent of the person's, withdrawn, as revision 0013 of the schema found it: its record has no event."""
    gateway, older = followed.shared.gateway, of._replace(record_id=random_id())
    differs: dict[Table, dict[str, Any]] = {
        consent: {"disclosed_at": gateway.clock() + 1, "ended_at": seconds(gateway.clock()), "end_kind": "withdrawn"},
        consent_record: {"sequence": 0, "state": "withdrawn", "notice_id": None, "due_at": None},
    }
    async with gateway.database.transaction() as tx:
        for table, said in differs.items():
            row = await tx.one(Query(select(table).where(table.c.id == bindparam("id"))), id=of.record_id)
            assert row is not None
            alike = {column.name: row[column.name] for column in table.columns}
            await tx.run(Query(insert(table)), **alike | said | {"id": older.record_id})
    return older


async def complied(followed: Followed, follow_up: str, body: dict[str, Any]) -> list[str]:
    """The hotel has done it; the kinds of receipts that the person has then."""
    gateway = followed.shared.gateway
    done(await followed.answer(followed.shared.hotel, follow_up, "compliance", body))
    [row] = [
        one
        for one in await followed.owed(followed.shared.hotel, answered="true", limit="100")
        if one["id"] == follow_up
    ]
    return [kept.kind for kept in await gateway.consents.receipts.of(gateway.database, row["consent"])]


async def test_the_second_receipt_comes_with_the_end_of_a_consent_and_with_no_correction_before(
    followed: Followed,
) -> None:
    of = await read_once(followed, 51)
    assert await complied(followed, await corrected(followed, of), CORRECTED) == ["given"]
    [row] = [one for one in await acts(followed, of, Event.WITHDRAW) if one["cause"] == "withdrawn"]
    assert set(await complied(followed, row["id"], DELETED)) == {"given", "withdrawn", "complied"}


@pytest.mark.parametrize(("number", "held"), [(56, False), (57, True)])
async def test_while_the_consent_stands_or_can_stand_again_there_is_no_second_receipt(
    followed: Followed, number: int, held: bool
) -> None:
    of = await read_once(followed, number)
    [amended] = await ends(followed, of._replace(cause="amended"))
    if held:
        await acts(followed, of, Event.HOLD)
    assert "complied" not in await complied(followed, amended["id"], DELETED)
    [row] = [one for one in await acts(followed, of, Event.WITHDRAW) if one["cause"] == "withdrawn"]
    assert (await complied(followed, row["id"], DELETED)).count("complied") == 1


async def test_what_is_asked_after_the_second_receipt_is_complied_with_and_adds_no_third(followed: Followed) -> None:
    of = await read_once(followed, 58)
    [row] = await acts(followed, of, Event.WITHDRAW)
    receipts = await complied(followed, row["id"], DELETED)
    assert receipts.count("complied") == 1
    assert await complied(followed, await corrected(followed, of, "erased"), DELETED) == receipts


async def test_a_consent_that_ended_before_there_were_events_is_complied_with_without_a_receipt(
    followed: Followed,
) -> None:
    older = await before_events(followed, await read_once(followed, 59))
    follow_up = await corrected(followed, older, "erased")
    assert [one["id"] for one in await followed.of_consent(older.record_id)] == [follow_up]
    assert await complied(followed, follow_up, DELETED) == []


async def test_a_correction_of_what_was_used_up_takes_no_receipt_from_its_withdrawal(followed: Followed) -> None:
    of = await used_up(followed, 52)
    assert "complied" not in await complied(followed, await corrected(followed, of), CORRECTED)
    [row] = [one for one in await ends(followed, of) if one["cause"] == "withdrawn"]
    assert "complied" in await complied(followed, row["id"], DELETED)


async def test_a_withdrawal_of_what_was_used_up_is_followed_until_everybody_has_complied(followed: Followed) -> None:
    hotel, gateway = followed.shared.hotel, followed.shared.gateway
    of = await used_up(followed, 53)
    [row] = await ends(followed, of)
    assert (row["recipient"], row["cause"], row["state"]) == (hotel.id, "withdrawn", "queued")
    assert (row["acknowledge_by"], row["comply_by"]) == ("2026-01-06T16:00:00Z", "2026-01-08T16:00:00Z")
    await followed.tell()
    said = [one for one in followed.inbox.said() if one["data"].get("id") == row["id"]]
    assert [(one["type"], len(one["data"]["records"])) for one in said] == [("consent.withdrawn", 1)]
    assert "complied" in await complied(followed, row["id"], DELETED)
    [step] = await gateway.following.of_person(gateway.database, of.owner, of.pseudonym)
    assert (step.consent, step.state, step.how) == (of.record_id, "complied", "deleted")


async def test_the_same_end_again_asks_nobody_again(followed: Followed) -> None:
    of = await used_up(followed, 54)
    first = await ends(followed, of)
    assert await ends(followed, of) == first


async def test_what_was_used_up_and_nothing_more_asks_nobody(followed: Followed) -> None:
    of = await used_up(followed, 55)
    assert await ends(followed, of._replace(cause="consumed")) == []
