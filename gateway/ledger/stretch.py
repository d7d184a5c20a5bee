"""The entries of a bundle, one after the other, held against each other and against their leaf hashes."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from typing import Any

from gateway.canonical import canonical, parse_canonical
from gateway.errors import Invalid
from gateway.ledger.bundle import Manifest
from gateway.ledger.merkle import HASH_SIZE, leaf_hash

_FRAME = 2  # bytes of an entry's length, as C2SP tlog-tiles frames it
_LONGEST_LINE = 1 << 26  # bytes; a list of records is thousands of times shorter


class StretchRejected(Invalid):
    """An entry, its order, or a list beside it does not hold."""

    def __init__(self, detail: str) -> None:
        super().__init__("stretch_rejected", detail)


class Stretch:
    """Reads framed entries and detail lines chunk by chunk, each held at once against the leaf hashes of the tree.

    What was read before a bundle ends too early is so known to hold; `finish` holds the whole against the manifest.
    """

    def __init__(self, origin: str, leaf_hashes: bytes) -> None:
        self.count = 0
        self._origin = origin
        self._leaf_hashes = leaf_hashes
        self._first = 0
        self._time = 0
        self._nodes: dict[str, tuple[int, bytes]] = {}
        self._beside: list[tuple[int, int, str]] = []  # index, count, sha256 as the entry names them
        self._details = 0

    def read_entries(self, chunks: Iterable[bytes]) -> Iterator[int]:
        """Read the framed entries; yields how many have been read."""
        rest = b""
        for chunk in chunks:
            data, start = rest + chunk, 0
            while len(data) - start >= _FRAME:
                end = start + _FRAME + int.from_bytes(data[start : start + _FRAME], "big")
                if end > len(data):
                    break
                self._read_entry(data[start + _FRAME : end])
                start = end
            rest = data[start:]
            yield self.count
        if rest:
            raise StretchRejected("The entries end within an entry.")

    def read_details(self, chunks: Iterable[bytes]) -> None:
        """Read the detail lines."""
        rest = b""
        for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._read_detail(line)
            if len(rest) > _LONGEST_LINE:
                raise StretchRejected("A detail line is longer than a list of records can be.")
        if rest:
            raise StretchRejected("The details end within a line.")

    def finish(self, manifest: Manifest) -> None:
        """Check that nothing is missing.

        Raises:
            StretchRejected: The bundle holds other entries, or other lists, than it says.
        """
        if not self.count or (manifest.first, manifest.last) != (self._first, self._first + self.count - 1):
            raise StretchRejected("The entries are not the ones that the manifest says.")
        if manifest.entries != self.count or manifest.details != self._details:
            raise StretchRejected("The manifest's counts are wrong.")
        if self._details != len(self._beside):
            raise StretchRejected("A list is missing that an entry names.")

    def _read_entry(self, body: bytes) -> None:
        digest = leaf_hash(body)
        index = self._index_of(digest)
        entry = parse_canonical(body)
        if not isinstance(entry, dict) or entry.get("v") != 1 or entry.get("log") != self._origin:
            raise StretchRejected(f"Entry {index} is not an entry of this log.")
        self._check_order(index, entry, digest)
        opening = entry.get("opening")
        records = opening.get("records") if isinstance(opening, dict) else None
        if records is not None:
            if not isinstance(records, dict) or records.keys() != {"count", "sha256"}:
                raise StretchRejected(f"Entry {index} names its records wrongly.")
            self._beside.append((index, records["count"], records["sha256"]))
        self.count += 1

    def _index_of(self, digest: bytes) -> int:
        """Where in the tree the next entry stands: the first one anywhere, each other right behind the one before."""
        if not self.count:
            self._first = self._leaf_hashes.find(digest) // HASH_SIZE
        index = self._first + self.count
        if index < 0 or self._leaf_hashes[index * HASH_SIZE : (index + 1) * HASH_SIZE] != digest:
            raise StretchRejected(f"Entry {self.count} of the bundle does not stand there in the tree.")
        return index

    def _check_order(self, index: int, entry: dict[str, Any], digest: bytes) -> None:
        """Time never runs backwards, and a node's entries follow each other by number and hash."""
        time, node, seq = entry.get("time"), entry.get("node"), entry.get("node_seq")
        if type(time) is not int or type(seq) is not int or not isinstance(node, str):
            raise StretchRejected(f"Entry {index} lacks its time or node.")
        if time < self._time:
            raise StretchRejected(f"Entry {index} is earlier than the one before.")
        self._time = time
        if node in self._nodes:
            last, previous = self._nodes[node]
            named = entry.get("prev_node_hash")
            if seq <= last or (seq == last + 1 and named != urlsafe_b64encode(previous).rstrip(b"=").decode()):
                raise StretchRejected(f"Entry {index} breaks its node's chain.")
        self._nodes[node] = seq, digest

    def _read_detail(self, line: bytes) -> None:
        found = parse_canonical(line)
        if not isinstance(found, dict) or found.keys() != {"detail", "index"} or not isinstance(found["detail"], list):
            raise StretchRejected("A detail line is malformed.")
        if type(found["index"]) is not int:
            raise StretchRejected("A detail line names no entry.")
        lists: list[Any] = [group.get("records") if isinstance(group, dict) else group for group in found["detail"]]
        if not all(isinstance(records, list) for records in lists):
            raise StretchRejected("A detail line holds no lists of records.")
        digest = hashlib.sha256(canonical(found["detail"])).hexdigest()
        if [(found["index"], sum(map(len, lists)), digest)] != self._beside[self._details : self._details + 1]:
            raise StretchRejected("A list beside the entries is not the one that its entry names.")
        self._details += 1
