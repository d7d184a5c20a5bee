"""A log leaves by a permit of two operators: for that log, that range, that long, and all of it on record."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from gateway.access.export_permits import PERMIT_LIFETIME_MS, Extract
from gateway.database import Database, Query
from gateway.errors import Conflicting, GatewayError, Invalid, NotFound, Refused
from gateway.ledger import UnknownLog
from gateway.ledger.note import VerifierKey
from gateway.ledger.verify import verify
from tests.access.world import ENGINES, Shared, shared_on

_DAY_S = 24 * 3600


@pytest.fixture(params=ENGINES)
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shared]:
    """A bank whose log has some entries, a hotel and a stranger, on each engine."""
    async with shared_on(request, tmp_path, request.param) as built:
        await built.market()
        yield built


async def proposed(shared: Shared, wanted: Extract) -> str:
    return await shared.gateway.approvals.propose(shared.alliance.id, "export_log", wanted.arguments(), operator="anna")


async def permitted(shared: Shared, wanted: Extract) -> str:
    proposal = await proposed(shared, wanted)
    await shared.gateway.approvals.approve(proposal, operator="bert")
    return proposal


async def refused(shared: Shared, wanted: Extract, out: Path, permit: str, code: str) -> None:
    """The export is refused for this reason, on record, with nothing read or written."""
    with pytest.raises(Refused, match=code) as found:
        await shared.gateway.exports.write(wanted, out, permit=permit, operator="carl")
    assert found.value.remedy is not None
    entry = (await shared.entries(wanted.log))[-1]
    assert entry["event_id"] == found.value.event_id
    assert (entry["act"], entry["effect"], entry["actor"]) == ("log_not_exported", "deny", {"operator": "carl"})
    assert [reason["code"] for reason in entry["reasons"]] == [code]
    assert (entry["first"], entry["last"]) == (wanted.first, wanted.last)
    assert not list(out.parent.iterdir())


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where a bundle is to be."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "log.zip"


async def test_an_export_is_done_by_the_permit_of_two_and_each_step_is_an_entry(shared: Shared, out: Path) -> None:
    wanted = Extract(shared.bank.id, 0, 1)
    proposal = await permitted(shared, wanted)
    manifest = await shared.gateway.exports.write(wanted, out, permit=proposal, operator="carl")
    found = await shared.gateway.approvals.find(proposal)
    permit, begun, exported = (await shared.entries(wanted.log))[-3:]
    assert permit["act"] == "export_permitted"
    assert permit["actor"] == {"operator": "anna", "approver": "bert", "proposal": proposal}
    assert (permit["exported_log"], permit["first"], permit["last"]) == (wanted.log, 0, 1)
    assert (permit["arguments_sha256"], permit["event_id"]) == (found.digest, found.made)
    assert permit["expires_at"] == permit["time"] + PERMIT_LIFETIME_MS
    [same] = [one for one in await shared.entries(shared.alliance.id) if one.get("act") == "export_permitted"]
    assert {**same, "log": 0} != same
    assert [same[name] for name in ("actor", "exported_log", "first", "last", "arguments_sha256")] == [
        permit[name] for name in ("actor", "exported_log", "first", "last", "arguments_sha256")
    ]
    assert (begun["act"], begun["permit"], begun["actor"]) == ("log_export_begun", proposal, {"operator": "carl"})
    written = out.read_bytes()
    assert (exported["act"], exported["permit"], exported["entries"]) == ("log_exported", proposal, 2)
    assert (exported["bytes"], exported["sha256"]) == (len(written), hashlib.sha256(written).hexdigest())
    assert (manifest.first, manifest.last) == (0, 1)
    assert list(out.parent.iterdir()) == [out]


async def test_without_a_last_entry_it_reaches_to_the_newest_that_is_signed(shared: Shared, out: Path) -> None:
    wanted = Extract(shared.alliance.id)
    permit = await permitted(shared, wanted)
    for _ in range(2):
        await shared.gateway.exports.write(wanted, out, permit=permit, operator="carl")
    signer = await shared.gateway.log_signers.of(wanted.log)
    report = verify(out, str(VerifierKey(signer.name, signer.public_key)), [])
    assert (report.exit_code, report.findings) == (0, ())
    assert report.manifest is not None
    assert report.manifest.entries == report.manifest.size == len(await shared.entries(wanted.log)) - 1
    acts = [entry.get("act") for entry in await shared.entries(wanted.log)]
    assert acts.count("export_permitted") == 1
    assert acts.count("log_exported") == 2


async def test_without_a_permit_nothing_leaves(shared: Shared, out: Path) -> None:
    wanted = Extract(shared.bank.id, 0, 1)
    waiting, declined = await proposed(shared, wanted), await proposed(shared, wanted)
    await shared.gateway.approvals.decline(declined, operator="bert")
    registered = [one for one in await shared.entries(shared.alliance.id) if one.get("act") == "proposal_approved"]
    for permit in ("", "none", "f" * 32, waiting, declined, registered[0]["proposal"], "\ud800", "x" * 9000):
        await refused(shared, wanted, out, permit, "NO_EXPORT_PERMIT")
    await refused(shared, Extract(shared.bank.id, 0, 0), out, waiting, "NO_EXPORT_PERMIT")
    with pytest.raises(UnknownLog):
        await shared.gateway.exports.write(Extract("f" * 32), out, permit="", operator="carl")


async def test_a_permit_is_for_its_own_log_and_range(shared: Shared, out: Path) -> None:
    bank, hotel = shared.bank.id, shared.hotel.id
    permit = await permitted(shared, Extract(bank, 1, 2))
    for other in (
        Extract(hotel, 1, 2), Extract(shared.alliance.id, 1, 2), Extract(bank, 0, 2), Extract(bank, 1, 1),
        Extract(bank, 1, 3), Extract(bank, 1), Extract(bank), Extract(bank, 2, 2),
    ):  # fmt: skip
        await refused(shared, other, out, permit, "ANOTHER_EXPORT_PERMITTED")
    await shared.gateway.exports.write(Extract(bank, 1, 2), out, permit=permit, operator="carl")


async def test_a_permit_expires_seven_days_after_its_approval(shared: Shared, out: Path) -> None:
    wanted = Extract(shared.bank.id, 0, 0)
    proposal = await proposed(shared, wanted)
    shared.clock.pass_seconds(6 * _DAY_S)
    await shared.gateway.approvals.approve(proposal, operator="bert")
    shared.clock.pass_seconds(7 * _DAY_S - 1)
    await shared.gateway.exports.write(wanted, out, permit=proposal, operator="carl")
    out.unlink()
    shared.clock.pass_seconds(1)
    await refused(shared, wanted, out, proposal, "EXPORT_PERMIT_EXPIRED")


async def test_whoever_proposed_an_export_does_not_permit_it(shared: Shared, out: Path) -> None:
    wanted = Extract(shared.bank.id, 0, 0)
    proposal = await proposed(shared, wanted)
    with pytest.raises(Refused, match="OWN_PROPOSAL"):
        await shared.gateway.approvals.approve(proposal, operator="anna")
    await refused(shared, wanted, out, proposal, "NO_EXPORT_PERMIT")


async def test_of_two_who_approve_at_once_one_permits(shared: Shared) -> None:
    wanted = Extract(shared.bank.id, 0, 0)
    proposal = await proposed(shared, wanted)
    answers = await asyncio.gather(
        *(shared.gateway.approvals.approve(proposal, operator=f"bert {number}") for number in range(4)),
        return_exceptions=True,
    )
    assert {one.code for one in answers if isinstance(one, GatewayError)} == {"proposal_decided"}
    assert sum(isinstance(one, str) for one in answers) == 1
    acts = [entry.get("act") for entry in await shared.entries(wanted.log)]
    assert acts.count("export_permitted") == 1


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "invalid_argument"),
        ({"first": -1}, "invalid_range"),
        ({"first": 2, "last": 1}, "invalid_range"),
        ({"first": True}, "invalid_argument"),
        ({"first": "0"}, "invalid_argument"),
        ({"last": "1"}, "invalid_argument"),
        ({"first": 10**6}, "range_not_in_log"),
        ({"last": 10**6}, "range_not_in_log"),
        ({"more": 1}, "unknown_argument"),
    ],
)
async def test_what_is_no_range_of_a_log_is_not_proposed(shared: Shared, given: dict[str, Any], code: str) -> None:
    log = {"log": shared.bank.id} if given else {}
    with pytest.raises(Invalid, match=code):
        await shared.gateway.approvals.propose(shared.alliance.id, "export_log", {**log, **given}, operator="anna")


async def test_operators_of_one_alliance_permit_no_export_of_anothers_log(shared: Shared) -> None:
    elsewhere = await shared.gateway.members.create_alliance("Elsewhere", operator="anna")
    for log in (shared.bank.id, shared.alliance.id, "f" * 32):
        with pytest.raises(NotFound):
            await shared.gateway.approvals.propose(elsewhere, "export_log", {"log": log}, operator="anna")


async def test_a_proposal_approved_past_the_ledger_permits_nothing(shared: Shared, out: Path) -> None:
    """The row says so, and the database lets it: but no entry does."""
    wanted = Extract(shared.bank.id, 0, 0)
    entry = (await shared.entries(wanted.log))[0]["event_id"]
    for made in ("", entry):
        proposal = await proposed(shared, wanted)
        await _forge(shared.gateway.database, proposal, made)
        assert (await shared.gateway.approvals.find(proposal)).state == "approved"
        await refused(shared, wanted, out, proposal, "NO_EXPORT_PERMIT")


async def test_the_permit_of_one_proposal_is_not_anothers(shared: Shared, out: Path) -> None:
    wanted = Extract(shared.bank.id, 0, 0)
    permit = await shared.gateway.approvals.find(await permitted(shared, wanted))
    proposal = await proposed(shared, wanted)
    await _forge(shared.gateway.database, proposal, permit.made or "")
    await refused(shared, wanted, out, proposal, "NO_EXPORT_PERMIT")


async def _forge(database: Database, proposal: str, made: str) -> None:
    async with database.transaction() as tx:
        forged = f"state = 'approved', decided_by = 'bert', decided_at = proposed_at, made = '{made}'"
        assert await tx.run(Query(text(f"UPDATE proposal SET {forged} WHERE id = '{proposal}'"))) == 1


async def test_a_range_that_is_not_signed_leaves_the_former_bundle_and_no_draft(
    shared: Shared, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = Extract(shared.bank.id, 0, 0)
    permit = await permitted(shared, wanted)
    out.write_bytes(b"former")

    async def not_now(log: str) -> bytes:
        raise Conflicting("not_now", "Not now.")

    monkeypatch.setattr(shared.gateway.integrator, "integrate", not_now)
    with pytest.raises(Conflicting, match="not_now"):
        await shared.gateway.exports.write(wanted, out, permit=permit, operator="carl")
    assert [(path.name, path.read_bytes()) for path in out.parent.iterdir()] == [("log.zip", b"former")]
    assert (await shared.entries(wanted.log))[-1]["act"] == "log_export_begun", "it claims more, never less"


async def test_a_bundle_whose_entry_is_refused_never_gets_its_name(
    shared: Shared, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = Extract(shared.bank.id, 0, 0)
    permit = await permitted(shared, wanted)
    record = shared.gateway.ledger.record

    async def only_the_first(draft: Any) -> Any:
        if json.loads(json.dumps(draft.facts))["act"] == "log_exported":
            raise Conflicting("no_entry", "No entry.")
        return await record(draft)

    monkeypatch.setattr(shared.gateway.ledger, "record", only_the_first)
    with pytest.raises(Conflicting, match="no_entry"):
        await shared.gateway.exports.write(wanted, out, permit=permit, operator="carl")
    assert list(out.parent.iterdir()) == []
