"""Roots and proofs from stored hashes, reading few of them.

Every hash that a proof needs is the root over a range of leaves that starts at a multiple of a power of
two (RFC 9162 section 2.1). Such a range splits into complete subtrees; one of 2**k leaves folds from at
most 128 stored hashes of level k // 8, in the 256-wide levels of C2SP tlog-tiles.
"""

from __future__ import annotations

from typing import Protocol

from gateway.errors import Invalid
from gateway.ledger.merkle import EMPTY_ROOT, fold, node_hash

_LEVEL_BITS = 8
Range = tuple[int, int]
"""Leaves from the first up to, but without, the second."""


class HashReader(Protocol):
    """Reads the stored roots of complete subtrees of 256**level leaves; level 0 holds the leaf hashes."""

    async def hashes(self, level: int, first: int, count: int) -> list[bytes]:
        """Exactly `count` hashes from index `first` of the level, or an error."""


async def root(reader: HashReader, size: int) -> bytes:
    """The root of the tree of the first `size` leaves."""
    return await _range_root(reader, (0, size)) if size else EMPTY_ROOT


async def inclusion(reader: HashReader, index: int, size: int) -> list[bytes]:
    """The proof that leaf `index` stands in the tree of `size` leaves (RFC 9162 section 2.1.3.1)."""
    if not 0 <= index < size:
        raise Invalid("index_outside_tree", "The index lies outside the tree.", field="index")
    return [await _range_root(reader, part) for part in _inclusion_ranges(index, 0, size)]


async def consistency(reader: HashReader, old: int, new: int) -> list[bytes]:
    """The proof that the tree of `new` leaves extends the one of `old` (RFC 9162 section 2.1.4.1)."""
    if not 0 < old <= new:
        raise Invalid("sizes_out_of_order", "Sizes must satisfy 0 < old <= new.", field="old")
    return [await _range_root(reader, part) for part in _consistency_ranges(old, 0, new, whole=True)]


def _inclusion_ranges(index: int, begin: int, end: int) -> list[Range]:
    if end - begin == 1:
        return []
    middle = begin + _split(end - begin)
    if index < middle:
        return [*_inclusion_ranges(index, begin, middle), (middle, end)]
    return [*_inclusion_ranges(index, middle, end), (begin, middle)]


def _consistency_ranges(old: int, begin: int, end: int, *, whole: bool) -> list[Range]:
    if old == end:
        return [] if whole else [(begin, end)]
    middle = begin + _split(end - begin)
    if old <= middle:
        return [*_consistency_ranges(old, begin, middle, whole=whole), (middle, end)]
    return [*_consistency_ranges(old, middle, end, whole=False), (begin, middle)]


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


async def _range_root(reader: HashReader, part: Range) -> bytes:
    begin, end = part
    subtrees = []
    while begin < end:
        height = (end - begin).bit_length() - 1
        if begin:
            height = min(height, (begin & -begin).bit_length() - 1)
        subtrees.append(await _subtree(reader, height, begin >> height))
        begin += 1 << height
    return fold(subtrees)


async def _subtree(reader: HashReader, height: int, index: int) -> bytes:
    """The root of the complete subtree of 2**height leaves."""
    level, above = divmod(height, _LEVEL_BITS)
    return complete_root(await reader.hashes(level, index << above, 1 << above))


def complete_root(hashes: list[bytes]) -> bytes:
    """The root over a power of two of sibling hashes."""
    while len(hashes) > 1:
        hashes = [node_hash(hashes[place], hashes[place + 1]) for place in range(0, len(hashes), 2)]
    return hashes[0]
