"""The tree: published vectors, and a naive tree by the letter of RFC 6962."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Invalid
from gateway.ledger import proofs
from gateway.ledger.merkle import (
    EMPTY_ROOT,
    Frontier,
    ProofRejected,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from tests.beside import VECTORS, there

_TESTDATA = VECTORS / "transparency-dev-merkle" / "testdata"
_EXPECTED = {"inclusion": 98, "consistency": 98}


def _vectors(kind: str) -> list[Path]:
    return sorted((_TESTDATA / kind).rglob("*.json"))


def _bytes(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def _check(kind: str, vector: dict[str, Any]) -> None:
    proof = [_bytes(item) for item in vector["proof"] or ()]
    if kind == "inclusion":
        leaf, root = _bytes(vector["leafHash"]), _bytes(vector["root"])
        verify_inclusion(vector["leafIdx"], vector["treeSize"], leaf, root, proof)
    else:
        roots = _bytes(vector["root1"]), _bytes(vector["root2"])
        verify_consistency(vector["size1"], vector["size2"], *roots, proof)


@pytest.mark.parametrize("kind", ["inclusion", "consistency"])
def test_every_published_proof_is_judged_as_published(kind: str) -> None:
    there(_TESTDATA)
    vectors = _vectors(kind)
    assert len(vectors) == _EXPECTED[kind]
    for path in vectors:
        vector = json.loads(path.read_text())
        if vector["wantErr"]:
            with pytest.raises(ProofRejected):
                _check(kind, vector)
        else:
            _check(kind, vector)


def _naive_root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(_naive_root(leaves[:split]), _naive_root(leaves[split:]))


class _Leaves:
    """A hash reader over a list: complete subtrees computed the naive way."""

    def __init__(self, leaves: list[bytes]) -> None:
        self._leaves = leaves

    async def hashes(self, level: int, first: int, count: int) -> list[bytes]:
        width = 256**level
        parts = [self._leaves[place * width : (place + 1) * width] for place in range(first, first + count)]
        assert all(len(part) == width for part in parts), "an incomplete subtree was read"
        return [_naive_root(part) for part in parts]


_TREE = [leaf_hash(number.to_bytes(4, "big")) for number in range(1500)]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_proofs_of_any_size_verify_against_a_naive_tree(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(_TREE)))
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size))
    reader, root = _Leaves(_TREE), _naive_root(_TREE[:size])
    assert asyncio.run(proofs.root(reader, size)) == root == root_of(_TREE[:size])
    inclusion = asyncio.run(proofs.inclusion(reader, index, size))
    verify_inclusion(index, size, _TREE[index], root, inclusion)
    consistency = asyncio.run(proofs.consistency(reader, old, size))
    verify_consistency(old, size, _naive_root(_TREE[:old]), root, consistency)
    for wrong in (inclusion[:-1], [*inclusion, root]):
        if wrong != inclusion:
            with pytest.raises(ProofRejected):
                verify_inclusion(index, size, _TREE[index], root, wrong)


def test_a_proof_of_another_leaf_is_refused() -> None:
    proof = asyncio.run(proofs.inclusion(_Leaves(_TREE), 3, 7))
    with pytest.raises(ProofRejected):
        verify_inclusion(3, 7, _TREE[4], root_of(_TREE[:7]), proof)


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert Frontier().root() == EMPTY_ROOT == asyncio.run(proofs.root(_Leaves([]), 0))


@pytest.mark.parametrize(("old", "new"), [(0, 5), (6, 5)])
def test_consistency_is_asked_for_growing_sizes_only(old: int, new: int) -> None:
    with pytest.raises(Invalid):
        asyncio.run(proofs.consistency(_Leaves(_TREE), old, new))
    with pytest.raises(ProofRejected):
        verify_consistency(old, new, EMPTY_ROOT, root_of(_TREE[:new]), [])


def test_inclusion_is_asked_for_leaves_of_the_tree_only() -> None:
    with pytest.raises(Invalid):
        asyncio.run(proofs.inclusion(_Leaves(_TREE), 5, 5))
