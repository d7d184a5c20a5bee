"""What one proposes another approves, once, exactly as it was proposed."""

from __future__ import annotations

import asyncio
import json
from hashlib import sha256

import pytest
import rfc8785

from gateway.approvals import client_proposer
from gateway.errors import Conflicting, GatewayError, Invalid, NotFound, Refused, TooLarge
from gateway.ledger import UnknownLog
from tests.approvals.world import ALLIANCE, World

_WEEK_MS = 7 * 24 * 3600 * 1000


async def test_an_approved_act_happens_with_its_approval_and_both_names(world: World) -> None:
    proposal = await world.propose()
    assert await world.name() == "A", "nothing is done yet"
    assert await world.approvals.approve(proposal, operator="bob") == "renamed by +"
    assert (await world.name(), world.renaming.performed) == ("A+", 1)
    assert await world.narrowing() == 1
    made, renamed, approved = await world.entries()
    text = rfc8785.dumps({"more": "+"})
    digest = sha256(text).hexdigest()
    common = {
        "proposal": proposal, "proposed_act": "rename", "proposer": "alice", "arguments_sha256": digest,
    }  # fmt: skip
    assert {**made, "act": "proposal_made", "actor": {"operator": "alice"}, **common} == made
    assert {**approved, "act": "proposal_approved", "actor": {"operator": "bob"}, **common} == approved
    assert renamed["actor"] == {"operator": "alice", "approver": "bob", "proposal": proposal}
    found = await world.approvals.find(proposal)
    assert (found.text, found.digest) == (text, digest)
    assert (found.state, found.decided_by, found.made) == ("approved", "bob", "renamed by +")


async def test_the_proposer_approves_nothing_and_the_attempt_is_on_record(world: World) -> None:
    proposal = await world.propose()
    for attempt in (world.approvals.approve, world.approvals.decline):
        with pytest.raises(Refused) as refused:
            await attempt(proposal, operator="alice")
        assert [reason.code for reason in refused.value.reasons] == ["OWN_PROPOSAL"]
        entry = (await world.entries())[-1]
        assert (entry["act"], entry["effect"]) == ("proposal_not_decided", "deny")
        assert entry["event_id"] == refused.value.event_id
    assert (await world.name(), world.renaming.performed) == ("A", 0)
    assert [one.id for one in await world.approvals.pending(ALLIANCE)] == [proposal]


async def test_what_a_client_proposes_people_decide(world: World) -> None:
    proposal = await world.propose(operator=client_proposer("one"))
    for attempt in (world.approvals.approve, world.approvals.decline):
        with pytest.raises(Invalid, match="invalid_operator"):
            await attempt(proposal, operator=client_proposer("two"))
    await world.approvals.approve(proposal, operator="bob")
    assert await world.name() == "A+"


async def test_a_decision_is_final(world: World) -> None:
    approved, declined, withdrawn = [await world.propose() for _ in range(3)]
    await world.approvals.approve(approved, operator="bob")
    await world.approvals.decline(declined, operator="bob")
    await world.approvals.withdraw(withdrawn, operator="alice")
    before = await world.entries()
    for proposal in (approved, declined, withdrawn):
        for attempt, operator in (
            (world.approvals.approve, "carol"),
            (world.approvals.decline, "carol"),
            (world.approvals.withdraw, "alice"),
        ):
            with pytest.raises(Conflicting, match="proposal_decided"):
                await attempt(proposal, operator=operator)
    assert await world.entries() == before
    assert await world.approvals.pending(ALLIANCE) == []
    assert await world.acts() == [
        "proposal_made", "proposal_made", "proposal_made", "renamed", "proposal_approved", "proposal_declined",
        "proposal_withdrawn",
    ]  # fmt: skip


async def test_a_proposal_expires_after_seven_days(world: World) -> None:
    first, second = await world.propose(), await world.propose()
    world.clock.ahead_ms = _WEEK_MS - 60_000
    await world.approvals.approve(first, operator="bob")
    world.clock.ahead_ms = _WEEK_MS + 60_000
    assert await world.approvals.pending(ALLIANCE) == []
    for attempt, operator in (
        (world.approvals.approve, "bob"),
        (world.approvals.decline, "bob"),
        (world.approvals.withdraw, "alice"),
    ):
        with pytest.raises(Conflicting, match="proposal_expired"):
            await attempt(second, operator=operator)
    assert await world.name() == "A+"


async def test_at_the_instant_at_which_it_expires_a_proposal_is_over(world: World) -> None:
    standing = await world.approvals.find(await world.propose())
    standing.require_pending(standing.expires_at - 1)
    with pytest.raises(Conflicting, match="proposal_expired"):
        standing.require_pending(standing.expires_at)


async def test_what_waits_longest_is_seen_first(world: World) -> None:
    proposals = []
    for second in range(6):
        world.clock.ahead_ms = second * 1000
        proposals.append(await world.propose())
    assert [one.id for one in await world.approvals.pending(ALLIANCE)] == proposals


async def test_an_act_that_refuses_leaves_the_proposal_as_it_was(world: World) -> None:
    async def refuse() -> None:
        raise Conflicting("name_taken", "Taken meanwhile.")

    async def nothing() -> None:
        pass

    proposal = await world.propose()
    before = await world.entries()
    world.renaming.before_commit = refuse
    with pytest.raises(Conflicting, match="name_taken"):
        await world.approvals.approve(proposal, operator="bob")
    assert (await world.name(), await world.narrowing(), await world.entries()) == ("A", 0, before)
    world.renaming.before_commit = nothing
    await world.approvals.approve(proposal, operator="bob")
    assert await world.name() == "A+"


async def test_of_two_approvals_at_once_one_wins(world: World) -> None:
    proposal = await world.propose()
    answers = await asyncio.gather(
        *(world.approvals.approve(proposal, operator=f"bob {number}") for number in range(8)), return_exceptions=True
    )
    assert [answer for answer in answers if isinstance(answer, str)] == ["renamed by +"]
    assert {answer.code for answer in answers if isinstance(answer, GatewayError)} == {"proposal_decided"}
    assert (await world.name(), (await world.acts()).count("proposal_approved")) == ("A+", 1)


async def test_only_its_proposer_withdraws_a_proposal(world: World) -> None:
    proposal = await world.propose()
    with pytest.raises(NotFound):
        await world.approvals.withdraw(proposal, operator="bob")
    assert [one.id for one in await world.approvals.pending(ALLIANCE)] == [proposal]


async def test_others_see_what_they_would_approve(world: World) -> None:
    proposal = await world.propose("π and more")
    (one,) = await world.approvals.pending(ALLIANCE)
    assert (one.id, one.act, one.proposed_by, one.state) == (proposal, "rename", "alice", "pending")
    assert one.arguments == {"more": "π and more"}
    assert one.text == rfc8785.dumps({"more": "π and more"})
    assert await world.approvals.pending("another") == []


async def test_nothing_is_proposed_that_could_not_be_done(world: World) -> None:
    propose = world.approvals.propose
    with pytest.raises(Invalid, match="invalid_name"):
        await world.propose("forbidden")
    with pytest.raises(Invalid, match="unknown_act"):
        await propose(ALLIANCE, "rule", {}, operator="alice")
    with pytest.raises(Invalid, match="not_canonical"):
        await propose(ALLIANCE, "rename", {"more": 1.5}, operator="alice")
    with pytest.raises(TooLarge):
        await propose(ALLIANCE, "rename", {"more": "x" * 2**16}, operator="alice")
    with pytest.raises(UnknownLog):
        await propose("nowhere", "rename", {"more": "+"}, operator="alice")
    assert await world.entries() == []


@pytest.mark.parametrize(
    ("operator", "code"),
    [
        *((one, "invalid_operator") for one in ("", " alice", "alice ", "al\u00a0ice", "a" * 201)),
        *((one, "not_shown_as_written") for one in ("al\nice", "alice\u200b")),
    ],
)
async def test_a_name_is_written_in_one_way(world: World, operator: str, code: str) -> None:
    with pytest.raises(Invalid, match=code):
        await world.propose(operator=operator)
    proposal = await world.propose()
    with pytest.raises(Invalid, match=code):
        await world.approvals.approve(proposal, operator=operator)


async def test_the_longest_name_and_the_largest_arguments_are_taken(world: World) -> None:
    more = "x" * (2**16 - len(rfc8785.dumps({"more": ""})))
    await world.approvals.approve(await world.propose(more, operator="a" * 200), operator="b" * 200)
    with pytest.raises(TooLarge):
        await world.propose(f"{more}x")


async def test_nobody_fills_the_table_alone(world: World) -> None:
    for _ in range(64):
        await world.propose()
    with pytest.raises(Conflicting, match="too_many_proposals"):
        await world.propose()
    await world.propose(operator="bob")


async def test_what_is_decided_or_over_makes_room_for_more(world: World) -> None:
    standing = [await world.propose() for _ in range(64)]
    await world.approvals.approve(standing[0], operator="bob")
    await world.propose()
    with pytest.raises(Conflicting, match="too_many_proposals"):
        await world.propose()
    world.clock.ahead_ms = _WEEK_MS + 60_000
    await world.propose()


async def test_what_waits_in_one_alliance_takes_no_room_in_another(world: World) -> None:
    await world.found("another")
    for _ in range(64):
        await world.propose()
    other = await world.approvals.propose("another", "rename", {"more": "+"}, operator="alice")
    assert [one.id for one in await world.approvals.pending("another")] == [other]


async def test_what_does_not_exist_is_not_found(world: World) -> None:
    for attempt in (world.approvals.approve, world.approvals.decline, world.approvals.withdraw):
        with pytest.raises(NotFound):
            await attempt("f" * 32, operator="bob")


def test_the_text_of_a_proposal_is_what_another_implementation_makes_of_it() -> None:
    arguments = {"name": "中文", "b": [1, {"z": None, "a": True}], "a": "\u20ac\n"}
    from gateway.canonical import canonical

    assert canonical(arguments) == rfc8785.dumps(json.loads(json.dumps(arguments)))
