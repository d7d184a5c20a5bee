"""What is told of an exact count: an interval, never the number, and the same again while the sets are nearly the same.

Pure. Elements are keyed, so that what is derived from them can't be reckoned by a member.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from typing import Final, NamedTuple

COHORT: Final = 100
"""Fewer common customers are not told apart from none."""
STEP: Final = 10
LEAST_CHANGE: Final = 100
"""Sets that differ in fewer elements from those of an earlier count get the earlier answer again."""
_BUCKETS: Final = 4096
_BUCKET_BYTES: Final = 8


class Told(NamedTuple):
    """The common customers are `at_least` so many, and `fewer_than` so many. Below the cohort the former is 0."""

    at_least: int
    fewer_than: int


def told(common: int, ours: Collection[bytes], theirs: Collection[bytes]) -> Told:
    """The interval that is told of an exact count of these sets: always the same for the same sets.

    Where the steps lie depends on the sets' elements. So one person more or less moves no boundary that anybody knows
    of: the sets differ, and with them the steps.
    """
    rounded = (common - _offset(ours, theirs)) // STEP * STEP
    return Told(rounded, rounded + 2 * STEP) if rounded >= COHORT else Told(0, COHORT + STEP)


def sketch(elements: Collection[bytes]) -> bytes:
    """A set in 32 KiB, without any element: the digests of its elements, XORed bucket by bucket."""
    buckets = [0] * _BUCKETS
    for element in elements:
        digest = sha256(b"gw1 overlap sketch" + element).digest()
        buckets[int.from_bytes(digest[:2]) % _BUCKETS] ^= int.from_bytes(digest[2 : 2 + _BUCKET_BYTES])
    return b"".join([bucket.to_bytes(_BUCKET_BYTES) for bucket in buckets])


def changed(former: bytes, now: bytes) -> int:
    """In how many elements two sets differ at least, by their sketches."""
    places = range(0, _BUCKETS * _BUCKET_BYTES, _BUCKET_BYTES)
    return sum(former[at : at + _BUCKET_BYTES] != now[at : at + _BUCKET_BYTES] for at in places)


def commitment(salt: bytes, elements: Collection[bytes]) -> str:
    """What an entry says of a frozen set: binding, and without the salt it tells nothing."""
    return sha256(salt + b"".join(sorted(elements))).hexdigest()


def _offset(ours: Collection[bytes], theirs: Collection[bytes]) -> int:
    sets = sorted(sha256(b"".join(sorted(one))).digest() for one in (ours, theirs))
    return int.from_bytes(sha256(b"gw1 overlap steps" + b"".join(sets)).digest()[:8]) % STEP
