"""Two processes at once, and one that is killed between the act and its commit."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from gateway.errors import Conflicting
from tests.approvals.world import World

_ROOT = Path(__file__).resolve().parents[2]


async def _process(url: str, proposal: str, operator: str, *how: str) -> Process:
    """A process that is about to approve."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.approvals.approve_once", url, proposal, operator, f"node of {operator}", *how),
        stdin=PIPE, stdout=PIPE, cwd=_ROOT,
    )  # fmt: skip
    assert await _line(process) == "ready"
    return process


async def _line(process: Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()


async def _go(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"go\n")
    await process.stdin.drain()


async def test_of_two_processes_that_approve_at_once_one_wins(world: World, database_url: str) -> None:
    proposals = [await world.propose(str(number)) for number in range(4)]
    for number, proposal in enumerate(proposals):
        processes = await asyncio.gather(*(_process(database_url, proposal, name) for name in ("bob", "carol")))
        await asyncio.gather(*map(_go, processes))
        said = sorted(await asyncio.gather(*map(_line, processes)))
        assert said == [f"approved: renamed by {number}", "refused: proposal_decided"]
        await asyncio.gather(*(process.communicate() for process in processes))
    assert await world.name() == "A0123"
    assert (await world.acts()).count("proposal_approved") == 4


async def test_a_process_killed_after_the_act_and_before_its_commit_has_done_nothing(
    world: World, database_url: str
) -> None:
    proposal = await world.propose()
    before = await world.entries()
    process = await _process(database_url, proposal, "bob", "hang")
    await _go(process)
    assert await _line(process) == "performed"
    process.kill()
    await process.communicate()
    for _ in range(100):
        if (await world.approvals.find(proposal)).state == "pending":
            break
        await asyncio.sleep(0.05)
    assert (await world.name(), await world.entries()) == ("A", before)
    assert (await world.approvals.find(proposal)).state == "pending"
    await world.approvals.approve(proposal, operator="carol")
    assert await world.name() == "A+"
    with pytest.raises(Conflicting, match="proposal_decided"):
        await world.approvals.approve(proposal, operator="bob")
