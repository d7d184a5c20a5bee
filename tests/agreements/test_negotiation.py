"""Drafts with versions and redlines, templates, and agreements that replace others (clauses 2.3.1, 2.3.2)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from gateway.agreements.redlines import redline
from gateway.agreements.templates import templates
from gateway.canonical import canonical
from gateway.database import Query
from gateway.errors import Conflicting, GatewayError, Invalid, NotFound, Refused
from tests.agreements.test_terms import CADENCE, FULL
from tests.agreements.world import Company, World

LAST_DAY = {"every": "day", "on": 0, "first": "9999-12-31", "by": "23:59", "time_zone": "America/New_York"}
"""In UTC it ends in a year that no calendar of the platform has."""


async def sha256(world: World, agreement: str) -> str:
    found = await world.agreements.load(agreement)
    assert found is not None
    return found.sha256


async def revise(world: World, by: Company, agreement: str, **changes: Any) -> None:
    replaces = await sha256(world, agreement)
    await world.negotiation.revise(by.subject, agreement, world.proposal(**changes), replaces=replaces)


async def test_either_party_proposes_another_text_and_every_text_is_kept_with_its_redline(world: World) -> None:
    agreement = await world.drafted()
    await revise(world, world.bank, agreement, title="Flights, cheaper", frequency={"reads": 200, "per_seconds": 60})
    await revise(world, world.airline, agreement, liability="Direct loss.")
    first, second, third = await world.negotiation.history(world.bank.subject, agreement)
    assert [one.number for one in (first, second, third)] == [1, 2, 3]
    assert [one.author for one in (first, second, third)] == [world.airline.id, world.bank.id, world.airline.id]
    assert first.differences == ()
    assert [one.line() for one in second.differences] == [
        "~ /frequency/reads: 100 → 200",
        '~ /title: "Flights of 2013" → "Flights, cheaper"',
    ]
    assert [one.describe() for one in third.differences] == [
        {"change": "changed", "pointer": "/frequency/reads", "before": 200, "after": 100},
        {"change": "added", "pointer": "/liability", "after": "Direct loss."},
        {"change": "changed", "pointer": "/title", "before": "Flights, cheaper", "after": "Flights of 2013"},
    ]
    found = await world.agreements.load(agreement)
    assert found is not None
    assert (found.text, found.version) == (third.text, 3)
    entries = [one for one in await world.entries() if one.get("act") == "agreement_revised"]
    assert [(one["replaces_sha256"], one["terms_sha256"]) for one in entries] == [
        (first.sha256, second.sha256),
        (second.sha256, third.sha256),
    ]


async def test_the_text_that_was_revised_last_is_what_is_signed(world: World) -> None:
    agreement = await world.drafted()
    early = await world.jws(world.bank, agreement)
    await revise(world, world.bank, agreement, title="Other")
    before = await world.entries()
    with pytest.raises(Invalid, match="signature_over_other_revision"):
        await world.life.sign(world.bank.subject, agreement, early)
    assert await world.entries() == before
    await world.sign(world.bank, agreement)
    await world.sign(world.airline, agreement)
    assert await world.in_force(agreement)


async def test_a_text_that_one_party_has_signed_changes_no_more(world: World) -> None:
    agreement = await world.drafted()
    await world.sign(world.airline, agreement)
    before = await world.entries(), await world.agreements.load(agreement)
    for party in (world.airline, world.bank):
        with pytest.raises(Conflicting, match="signed_text_is_fixed"):
            await revise(world, party, agreement, title="Other")
    assert (await world.entries(), await world.agreements.load(agreement)) == before
    await world.sign(world.bank, agreement)
    with pytest.raises(Conflicting, match="agreement_not_draft"):
        await revise(world, world.bank, agreement, title="Other")
    assert len(await world.negotiation.history(world.bank.subject, agreement)) == 1


async def test_a_change_is_refused_by_name_and_leaves_nothing(sqlite_world: World) -> None:
    world = sqlite_world
    agreement = await world.drafted()
    current = await sha256(world, agreement)
    before = await world.entries()
    for subject, proposal, replaces, code in (
        (world.bank.subject, world.proposal(title="Other"), "0" * 64, "revision_stale"),
        (world.bank.subject, world.proposal(), current, "revision_unchanged"),
        (world.bank.subject, world.proposal(recipient=world.hotel.id), current, "revision_changes_parties"),
        (world.bank.subject, world.proposal(v=1), current, "terms_member_unknown"),
        (world.bank.acting("sign"), world.proposal(title="Other"), current, "ACTION_NOT_GRANTED"),
        (world.hotel.subject, world.proposal(title="Other"), current, "not_found"),
        (world.stranger.subject, world.proposal(title="Other"), current, "not_found"),
    ):
        with pytest.raises(GatewayError, match=code):
            await world.negotiation.revise(subject, agreement, proposal, replaces=replaces)
    for other in (world.hotel, world.stranger):
        with pytest.raises(NotFound):
            await world.negotiation.history(other.subject, agreement)
    await world.members.suspend(world.bank.id, case="c1", operator="root")
    with pytest.raises(Refused, match="MEMBER_SUSPENDED"):
        await revise(world, world.bank, agreement, title="Other")
    assert [one for one in await world.entries() if one["kind"] == "agreement"] == [
        one for one in before if one["kind"] == "agreement"
    ]


async def test_of_two_changes_of_one_text_one_is_stale(world: World) -> None:
    agreement = await world.drafted()
    current = await sha256(world, agreement)
    answers = await asyncio.gather(
        *(
            world.negotiation.revise(one.subject, agreement, world.proposal(title=one.id), replaces=current)
            for one in (world.airline, world.bank)
        ),
        return_exceptions=True,
    )
    assert [one.code for one in answers if isinstance(one, GatewayError)] == ["revision_stale"]
    assert len(await world.negotiation.history(world.bank.subject, agreement)) == 2


@pytest.mark.parametrize("table", ["agreement_text", "agreement_signature"])
@pytest.mark.parametrize("act", ["UPDATE {} SET agreement_id = agreement_id", "DELETE FROM {}"])
async def test_the_archive_is_never_rewritten(world: World, table: str, act: str) -> None:
    await world.signed()
    with pytest.raises(Exception, match="archived"):
        async with world.database.transaction() as tx:
            await tx.run(Query(text(act.format(table))))


async def test_the_database_keeps_a_signed_text_whatever_writes(world: World) -> None:
    agreement = await world.signed()
    rewrite = f"UPDATE agreement SET version = version + 1, terms_sha256 = 'x' WHERE id = '{agreement}'"
    with pytest.raises(Exception, match="archived"):
        async with world.database.transaction() as tx:
            await tx.run(Query(text(rewrite)))


# ── templates and what the world says ──────────────────────────────────────────────────────────────────────────


def part(world: World, **more: Any) -> dict[str, Any]:
    return {**json.loads(world.proposal())["datasets"][0], **more}


@pytest.mark.parametrize("name", ["information_sharing", "customer_referral", "joint_marketing"])
async def test_a_template_names_each_mandatory_term_that_is_missing_and_the_clause(
    sqlite_world: World, name: str
) -> None:
    world = sqlite_world
    bare = {key: value for key, value in json.loads(world.proposal()).items() if key != "frequency"}
    with pytest.raises(Invalid, match="template_term_missing") as refused:
        await world.life.draft(world.airline.subject, canonical({**bare, "template": name}))
    wanted = [pointer.replace("*", "0") for pointer in templates()[name].mandatory]
    assert "(clause 2.3.1)" in refused.value.detail
    assert refused.value.field == wanted[0]
    assert all(pointer in refused.value.detail for pointer in wanted)
    complete = {
        "frequency": {"reads": 1, "per_seconds": 1},
        **{key: FULL[key] for key in ("remedies", "dispute", "revenue_ratio", "rights_and_duties", "liability")},
        "datasets": [
            part(
                world,
                cadence=CADENCE,
                lawful_basis="contract",
                volume={"records": 100, "per_seconds": 1},
                retention_days=9,
            )
        ],
        "template": name,
    }
    await world.drafted(**complete)
    for pointer in wanted:
        lacking = json.loads(json.dumps(complete))
        place = lacking["datasets"][0] if pointer.startswith("/datasets/0/") else lacking
        del place[pointer.rsplit("/", 1)[1]]
        proposal = json.loads(world.proposal(**lacking))
        proposal.pop("frequency", None) if "frequency" not in lacking else None
        with pytest.raises(Invalid, match=f"template_term_missing.*{pointer}"):
            await world.life.draft(world.airline.subject, canonical(proposal))


async def test_what_the_world_does_not_know_is_refused_at_drafting(sqlite_world: World) -> None:
    world = sqlite_world
    for code, field, changes in (
        ("template_unknown", "/template", {"template": "barter"}),
        ("purpose_unknown", "/datasets/0/purposes/1", {"datasets": [part(world, purposes=["risk_control", "spying"])]}),
        (
            "terms_rows_field_not_filterable",
            "/datasets/0/rows/0/field",
            {"datasets": [part(world, rows=[{"field": "year", "in": ["2013"]}])]},
        ),
        (
            "terms_time_zone_unknown",
            "/datasets/0/cadence/time_zone",
            {"datasets": [part(world, cadence=CADENCE | {"time_zone": "Asia/Atlantis"})]},
        ),
        (
            "terms_calendar_unknown",
            "/datasets/0/cadence/calendar",
            {"datasets": [part(world, cadence=CADENCE | {"calendar": "ZZ"})]},
        ),
        (
            "terms_first_outside_term",
            "/datasets/0/cadence/first",
            {"datasets": [part(world, cadence=CADENCE | {"first": "2027-01-04"})]},
        ),
        (
            "terms_first_outside_term",
            "/datasets/0/cadence/first",
            {"datasets": [part(world, cadence=CADENCE | LAST_DAY)]},
        ),
        ("party_unknown", "/third_parties/0", {"onward": "written_consent", "third_parties": [world.stranger.id]}),
        ("amended_unknown", "/amends", {"amends": "none"}),
    ):
        with pytest.raises(Invalid, match=code) as refused:
            await world.drafted(**changes)
        assert refused.value.field == field


@pytest.mark.parametrize(
    ("zone", "by", "fits"),
    [
        ("Asia/Shanghai", "07:59", False),
        ("Asia/Shanghai", "08:00", True),
        ("America/Los_Angeles", "00:00", True),
        ("Pacific/Kiritimati", "13:59", False),
        ("Pacific/Kiritimati", "14:00", True),
    ],
)
async def test_the_first_due_date_is_compared_in_its_own_time_zone(
    sqlite_world: World, zone: str, by: str, fits: bool
) -> None:
    daily = CADENCE | {"every": "day", "on": 0, "first": "2026-01-01", "time_zone": zone, "by": by}
    terms: dict[str, Any] = {"datasets": [part(sqlite_world, cadence=daily)]}
    if fits:
        await sqlite_world.drafted(**terms)
        return
    with pytest.raises(Invalid, match="terms_first_outside_term"):
        await sqlite_world.drafted(**terms)


async def test_a_draft_has_so_many_texts_and_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read under the lock of the owner's log no more, and one party cannot bury the other in them."""
    monkeypatch.setattr("gateway.agreements.texts.MOST_REVISIONS", 3)
    agreement = await world.drafted()
    for title in ("Two", "Three"):
        await revise(world, world.bank, agreement, title=title)
    with pytest.raises(Conflicting, match="too_many_revisions"):
        await revise(world, world.bank, agreement, title="Four")
    assert [one.number for one in await world.negotiation.history(world.airline.subject, agreement)] == [1, 2, 3]
    await world.sign(world.airline, agreement)


# ── amendments ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_amendment_replaces_the_old_agreement_at_its_second_signature(world: World) -> None:
    old = await world.signed()
    new = await world.drafted(amends=old, title="Second version")
    await world.sign(world.bank, new)
    assert (await world.in_force(old), await world.in_force(new)) == (True, False)
    narrowed = await world.narrowing(world.airline)
    await world.sign(world.airline, new)
    assert (await world.in_force(old), await world.in_force(new)) == (False, True)
    assert await world.narrowing(world.airline) == narrowed + 1
    before, after = await world.agreements.load(old), await world.agreements.load(new)
    assert before is not None
    assert after is not None
    assert (before.state, before.superseded_by, before.ended_at) == ("superseded", new, after.signed_at)
    assert (await world.agreements.slice(old, "flights")).case["state"] == "superseded"
    [entry] = [one for one in await world.entries() if one.get("act") == "agreement_superseded"]
    assert (entry["agreement"], entry["superseded_by"]) == (old, new)
    assert (await world.life.terminate(world.bank.subject, old)).state == "superseded"
    with pytest.raises(Conflicting, match="agreement_terminated"):
        await world.sign(world.bank, old)


async def test_of_two_amendments_of_one_agreement_the_second_is_refused_for_it_would_overlap(world: World) -> None:
    old = await world.signed()
    one, other = await world.drafted(amends=old, title="One"), await world.drafted(amends=old, title="Other")
    for draft in (one, other):
        await world.sign(world.bank, draft)
    await world.sign(world.airline, one)
    before = await world.entries()
    with pytest.raises(Conflicting, match="amended_not_in_force"):
        await world.sign(world.airline, other)
    assert await world.entries() == before
    assert (await world.in_force(one), await world.in_force(other)) == (True, False)
    with pytest.raises(Conflicting, match="amended_not_in_force"):
        await world.drafted(amends=old)


async def test_an_amendment_that_would_leave_a_gap_is_refused_until_it_begins(world: World) -> None:
    old = await world.signed()
    new = await world.drafted(amends=old, start="2026-01-01T00:01:00Z")
    await world.sign(world.bank, new)
    with pytest.raises(Conflicting, match="amendment_leaves_gap"):
        await world.sign(world.airline, new)
    assert await world.in_force(old)
    world.clock.forward(60)
    await world.sign(world.airline, new)
    assert (await world.in_force(old), await world.in_force(new)) == (False, True)


async def test_an_amendment_that_has_ended_itself_replaces_nothing(sqlite_world: World) -> None:
    world = sqlite_world
    old = await world.signed()
    new = await world.drafted(amends=old, end="2026-01-01T00:01:00Z")
    await world.sign(world.bank, new)
    world.clock.forward(60)
    with pytest.raises(Conflicting, match="amendment_over") as refused:
        await world.sign(world.airline, new)
    assert refused.value.field == "/end"
    assert await world.in_force(old)


async def test_a_draft_is_not_revised_into_an_amendment_of_what_there_is_not(sqlite_world: World) -> None:
    world = sqlite_world
    draft, other = await world.drafted(), await world.drafted(recipient=world.hotel.id)
    for amended in ("none", other):
        with pytest.raises(Invalid, match="amended_unknown"):
            await revise(world, world.bank, draft, amends=amended)
    with pytest.raises(Conflicting, match="amended_not_in_force"):
        await revise(world, world.bank, draft, amends=await world.drafted())


async def test_a_draft_that_became_an_amendment_meanwhile_ends_nothing_before_its_owner_is_narrowed(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever signs has looked at a text that amended nothing, and locks what that one needs."""
    world = sqlite_world
    old, draft = await world.signed(), await world.drafted()
    seen = await world.agreements.load(draft)
    await revise(world, world.bank, draft, amends=old)
    await world.sign(world.bank, draft)

    async def before_the_revision(*_: str) -> Any:
        return seen

    with monkeypatch.context() as stale:
        stale.setattr(world.agreements, "visible", before_the_revision)
        with pytest.raises(Conflicting, match="revision_stale"):
            await world.sign(world.airline, draft)
    assert (await world.in_force(old), await world.in_force(draft)) == (True, False)
    await world.sign(world.airline, draft)
    assert (await world.in_force(old), await world.in_force(draft)) == (False, True)


async def test_what_has_ended_is_not_amended(sqlite_world: World) -> None:
    world = sqlite_world
    old = await world.signed(end="2026-01-01T00:01:00Z")
    new = await world.drafted(amends=old)
    await world.sign(world.bank, new)
    world.clock.forward(60)
    with pytest.raises(Conflicting, match="amended_not_in_force"):
        await world.sign(world.airline, new)
    draft = await world.drafted()
    with pytest.raises(Conflicting, match="amended_not_in_force"):
        await world.drafted(amends=draft)
    with pytest.raises(Invalid, match="amended_unknown"):
        await world.drafted(amends=await world.drafted(recipient=world.hotel.id))


# ── redlines ───────────────────────────────────────────────────────────────────────────────────────────────────

_value = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
_document = st.dictionaries(st.sampled_from("abc"), _value, max_size=3).map(lambda value: {**value, "datasets": []})


def _applied(before: Any, changes: list[Any]) -> Any:
    """What the redline makes of the text before: removals from the end of a list first."""
    value = json.loads(canonical(before))
    for one in sorted(changes, key=lambda one: one.change == "removed"):
        if one.change != "removed":
            _put(value, one.pointer, one.after)
    for one in reversed([one for one in changes if one.change == "removed"]):
        _take(value, one.pointer)
    return value


def _place(value: Any, pointer: str) -> tuple[Any, Any]:
    *parents, last = pointer.split("/")[1:]
    for name in parents:
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value, int(last) if isinstance(value, list) else last


def _put(value: Any, pointer: str, new: Any) -> None:
    place, name = _place(value, pointer)
    if isinstance(place, list) and name == len(place):
        place.append(new)
    else:
        place[name] = new


def _take(value: Any, pointer: str) -> None:
    place, name = _place(value, pointer)
    del place[name]


@given(_document, _document)
@settings(max_examples=200, deadline=None)
def test_a_redline_says_everything_that_differs_and_nothing_else(before: Any, after: Any) -> None:
    changes = redline(canonical(before), canonical(after))
    assert (changes == []) == (canonical(before) == canonical(after))
    named = {**before, "datasets": {}}
    assert canonical(_applied(named, changes)) == canonical({**after, "datasets": {}})


def test_a_dataset_in_front_of_another_is_one_addition() -> None:
    one, other = FULL["datasets"]
    changes = redline(canonical({"datasets": [other]}), canonical({"datasets": [one, other]}))
    assert [(change.change, change.pointer) for change in changes] == [("added", "/datasets/flights")]
