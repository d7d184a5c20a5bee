"""An entry is relied on only while the tree that the log's key signed has it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import BigInteger, LargeBinary, bindparam, update

from gateway.database import Database, Query
from gateway.errors import NotFound
from gateway.ledger.merkle import leaf_hash
from gateway.ledger.standing import EntryAltered, require_standing
from gateway.ledger.stored import entries
from gateway.ledger.tables import checkpoint, leaf
from tests.ledger.builders import OPERATOR, OWNER, Keys, filled, new_integrator, permit

SIZE, ALTERED = 300, 5
"""The first 256 leaves are a complete tile, whose root is stored: the root of the log is found without its leaves."""
_ALTER = Query(
    update(leaf)
    .where(leaf.c.log_id == OWNER, leaf.c.idx == ALTERED)
    .values(body=bindparam("text", type_=LargeBinary), hash=bindparam("digest", type_=LargeBinary))
)
_FORGE = Query(
    update(checkpoint).where(checkpoint.c.log_id == OWNER).values(note=bindparam("forged", type_=LargeBinary))
)
_ENLARGE = Query(
    update(checkpoint).where(checkpoint.c.log_id == OWNER).values(size=bindparam("more", type_=BigInteger))
)


async def test_an_entry_stands_until_it_or_its_hash_is_altered(database: Database, tmp_path: Path) -> None:
    ledger, _ = await filled(database, 0)
    await asyncio.gather(*(ledger.record(permit(number)) for number in range(SIZE)))
    integrator, key = new_integrator(database, tmp_path / "heads"), await Keys().verifier(OWNER)
    await integrator.integrate(OWNER)
    rows = await entries(database, OWNER, 0, SIZE)

    async def stands(index: int, body: bytes) -> bool:
        try:
            await require_standing(database, key, OWNER, index, body)
        except EntryAltered:
            return False
        return True

    for index in (0, ALTERED, 255, 256, SIZE - 1):
        assert await stands(index, bytes(rows[index]["body"]))
    body = bytes(rows[ALTERED]["body"])
    assert not await stands(ALTERED, body + b" ")
    assert not await stands(ALTERED + 1, body)
    with pytest.raises(NotFound, match="not signed yet"):
        await stands(SIZE, body)
    other = body.replace(b"basic", b"other")
    async with database.transaction() as tx:
        assert await tx.run(_ALTER, text=other, digest=leaf_hash(other)) == 1
    await integrator.integrate(OWNER)
    assert not await stands(ALTERED, other)
    assert await stands(SIZE - 1, bytes(rows[SIZE - 1]["body"]))


@pytest.mark.parametrize("forged", [b"", b"alliance.example/owner\n1\n"])
async def test_nothing_stands_by_a_checkpoint_that_the_key_did_not_sign(
    database: Database, tmp_path: Path, forged: bytes
) -> None:
    await filled(database, 3)
    await new_integrator(database, tmp_path / "heads").integrate(OWNER)
    row = (await entries(database, OWNER, 1, 1))[0]
    await require_standing(database, await Keys().verifier(OWNER), OWNER, 1, bytes(row["body"]))
    with pytest.raises(EntryAltered):
        await require_standing(database, await Keys().verifier(OPERATOR), OWNER, 1, bytes(row["body"]))
    async with database.transaction() as tx:
        assert await tx.run(_FORGE, forged=forged) == 1
    with pytest.raises(EntryAltered):
        await require_standing(database, await Keys().verifier(OWNER), OWNER, 1, bytes(row["body"]))


async def test_what_is_in_a_log_that_was_never_signed_is_not_called_altered(database: Database) -> None:
    await filled(database, 1)
    body = bytes((await entries(database, OWNER, 0, 1))[0]["body"])
    with pytest.raises(NotFound, match="not signed yet"):
        await require_standing(database, await Keys().verifier(OWNER), OWNER, 0, body)


async def test_a_size_that_is_not_the_checkpoints_makes_nothing_stand(database: Database, tmp_path: Path) -> None:
    ledger, _ = await filled(database, 3)
    await new_integrator(database, tmp_path / "heads").integrate(OWNER)
    await ledger.record(permit(3))
    rows = await entries(database, OWNER, 0, 4)
    async with database.transaction() as tx:
        assert await tx.run(_ENLARGE, more=4) == 1
    for index in (1, 3):
        with pytest.raises(EntryAltered):
            await require_standing(database, await Keys().verifier(OWNER), OWNER, index, bytes(rows[index]["body"]))
