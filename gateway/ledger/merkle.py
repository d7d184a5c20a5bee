"""The Merkle tree of RFC 9162 section 2.1 (hashes as in RFC 6962): pure functions, no storage.

Proofs are lists of 32-byte hashes from the leaf towards the root.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from gateway.errors import Invalid

EMPTY_ROOT = hashlib.sha256(b"").digest()
HASH_SIZE = 32


class ProofRejected(Invalid):
    """A proof does not show what it should."""

    def __init__(self, detail: str) -> None:
        super().__init__("proof_rejected", detail)


def leaf_hash(body: bytes) -> bytes:
    """SHA-256 of 0x00 and the entry (RFC 9162 section 2.1.1)."""
    return hashlib.sha256(b"\x00" + body).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 of 0x01 and both children (RFC 9162 section 2.1.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The roots of the complete subtrees of a tree that grows leaf by leaf; O(log n) memory."""

    def __init__(self) -> None:
        self.size = 0
        self._complete: list[bytes] = []

    def add(self, digest: bytes) -> None:
        """Append one leaf hash."""
        size = self.size
        while size & 1:
            digest = node_hash(self._complete.pop(), digest)
            size >>= 1
        self._complete.append(digest)
        self.size += 1

    def root(self) -> bytes:
        """The root of the tree as it stands."""
        return fold(self._complete)


def fold(subtrees: Sequence[bytes]) -> bytes:
    """The root over complete subtrees of falling size, left to right."""
    if not subtrees:
        return EMPTY_ROOT
    root = subtrees[-1]
    for left in reversed(subtrees[:-1]):
        root = node_hash(left, root)
    return root


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """The root over leaf hashes in their order."""
    frontier = Frontier()
    for digest in leaf_hashes:
        frontier.add(digest)
    return frontier.root()


def verify_inclusion(index: int, size: int, leaf: bytes, root: bytes, proof: Sequence[bytes]) -> None:
    """Check that `leaf` (a leaf hash) is entry `index` of the tree (RFC 9162 section 2.1.3.2).

    Raises:
        ProofRejected: It is not, or the proof has the wrong shape.
    """
    if not 0 <= index < size:
        raise ProofRejected("The index lies outside the tree.")
    _check_shape(leaf, root, *proof)
    place, last, digest = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofRejected("The proof is too long.")
        if place & 1 or place == last:
            digest = node_hash(sibling, digest)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            digest = node_hash(digest, sibling)
        place, last = place >> 1, last >> 1
    if last != 0 or digest != root:
        raise ProofRejected("The proof does not lead to the root.")


def verify_consistency(old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the new tree extends the old one (RFC 9162 section 2.1.4.2).

    An old size of 0 is refused, as the published vectors want: every tree extends the empty one, so
    such a proof would show nothing.

    Raises:
        ProofRejected: It does not, or the proof has the wrong shape.
    """
    if not 0 < old_size <= new_size:
        raise ProofRejected("The sizes are not in order.")
    if old_size == new_size:
        if proof or old_root != new_root:
            raise ProofRejected("Two trees of one size differ.")
        return
    _check_shape(old_root, new_root, *proof)
    path = list(proof)
    if old_size & old_size - 1 == 0:
        path.insert(0, old_root)
    if not path:
        raise ProofRejected("The proof is empty.")
    place, last = old_size - 1, new_size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofRejected("The proof is too long.")
        if place & 1 or place == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        place, last = place >> 1, last >> 1
    if last != 0 or old != old_root or new != new_root:
        raise ProofRejected("The proof does not lead to both roots.")


def _check_shape(*hashes: bytes) -> None:
    if any(len(digest) != HASH_SIZE for digest in hashes):
        raise ProofRejected("A hash is not 32 bytes long.")
