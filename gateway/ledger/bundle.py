"""The container of an exported stretch of a log: a zip archive in exactly one form.

Five files in fixed order, stored uncompressed, with fixed dates: the same content gives the same bytes,
any unzip opens it, and a reader can hold every single byte of the container against what must stand there.

- `checkpoint`: the signed note
- `leaf-hashes`: every leaf hash of the tree, 32 bytes each
- `entries`: entries first..last, framed as in C2SP tlog-tiles entry bundles (uint16 length, bytes)
- `details`: one canonical JSON object `{"detail", "index"}` a line, for entries with lists beside them
- `manifest.json`: canonical JSON; see `Manifest`
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from gateway.canonical import canonical, parse_canonical
from gateway.errors import Invalid, TooLarge

FORMAT = "alliance-gateway/bundle/1"
CONTENTS = ("checkpoint", "leaf-hashes", "entries", "details")
MANIFEST = "manifest.json"
_LIMIT = 2**32 - 2**20
_CHUNK = 1 << 20
_DATE = 0x21  # 1980-01-01
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")


class BundleRejected(Invalid):
    """The container is not in its one form: altered, or something was added."""

    def __init__(self, detail: str) -> None:
        super().__init__("bundle_rejected", detail)


class BundleTruncated(BundleRejected):
    """The container ends too early."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the bundle holds: `files` gives the SHA-256 of every other file in hexadecimal."""

    origin: str
    size: int
    first: int
    last: int
    entries: int
    details: int
    files: dict[str, str]

    def encode(self) -> bytes:
        """The canonical bytes."""
        return canonical({"format": FORMAT, **{name: getattr(self, name) for name in self.__slots__}})

    @classmethod
    def decode(cls, text: bytes) -> Manifest:
        """Read the canonical bytes back, or raise `Invalid`."""
        value: Any = parse_canonical(text)
        if not isinstance(value, dict) or value.keys() != {"format", *cls.__slots__} or value.pop("format") != FORMAT:
            raise BundleRejected("The manifest is of another format.")
        numbers = (value["size"], value["first"], value["last"], value["entries"], value["details"])
        if any(type(number) is not int or number < 0 for number in numbers) or not isinstance(value["origin"], str):
            raise BundleRejected("The manifest's members have wrong types.")
        files = value["files"]
        if not isinstance(files, dict) or sorted(files) != sorted(CONTENTS):
            raise BundleRejected("The manifest names other files.")
        return cls(**value)


@dataclass(slots=True)
class _Member:
    name: str
    offset: int
    crc: int = 0
    size: int = 0

    def local(self) -> bytes:
        name = self.name.encode()
        return _LOCAL.pack(b"PK\x03\x04", 20, 0, 0, 0, _DATE, self.crc, self.size, self.size, len(name), 0) + name

    def central(self) -> bytes:
        name = self.name.encode()
        fixed = (b"PK\x01\x02", 20, 20, 0, 0, 0, _DATE, self.crc, self.size, self.size, len(name), 0, 0, 0, 0, 0)
        return _CENTRAL.pack(*fixed, self.offset) + name


def _directory(members: list[_Member]) -> bytes:
    directory = b"".join(member.central() for member in members)
    end = members[-1].offset + len(members[-1].local()) + members[-1].size
    return directory + _END.pack(b"PK\x05\x06", 0, 0, len(members), len(members), len(directory), end, 0)


class BundleWriter:
    """Writes the files in order: `begin`, `write` as often as needed, and so on; `finish` at the end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._members: list[_Member] = []
        self._digest = hashlib.sha256()
        self.digests: dict[str, str] = {}

    def begin(self, name: str) -> None:
        """Start the next file."""
        self._end_member()
        self._members.append(_Member(name, self._file.tell()))
        self._digest = hashlib.sha256()
        self._file.write(self._members[-1].local())

    def write(self, data: bytes) -> None:
        """Append to the file begun last; `TooLarge` before the archive reaches 4 GiB."""
        if self._file.tell() + len(data) > _LIMIT:
            raise TooLarge("bundle_too_large", "The bundle reaches 4 GiB.", remedy="Export fewer entries.")
        member = self._members[-1]
        member.crc = zlib.crc32(data, member.crc)
        member.size += len(data)
        self._digest.update(data)
        self._file.write(data)

    def end(self) -> None:
        """Complete the file begun last; its SHA-256 then stands in `digests`."""
        self._end_member()

    def finish(self) -> None:
        """Write the archive's directory."""
        self._end_member()
        self._file.write(_directory(self._members))

    def _end_member(self) -> None:
        if not self._members or self._members[-1].name in self.digests:
            return
        member = self._members[-1]
        self.digests[member.name] = self._digest.hexdigest()
        self._file.seek(member.offset)
        self._file.write(member.local())
        self._file.seek(0, 2)


class BundleReader:
    """Reads the files in order and holds every byte of the container against its one form."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._offset = 0
        self._members: list[_Member] = []
        self.digests: dict[str, str] = {}

    def chunks(self, name: str) -> Iterator[bytes]:
        """The content of the next file, which must have this name. Exhaust it before the next."""
        member = _Member(name, self._offset)
        header = self._exactly(len(member.local()))
        member.crc, member.size = _LOCAL.unpack(header[: _LOCAL.size])[6:8]
        if header != member.local():
            raise BundleRejected(f"{name} does not stand where it must: no bundle as it was exported, or packed anew.")
        if self._offset + member.size > _LIMIT:
            raise BundleRejected(f"{name} is longer than a bundle can be.")
        self._members.append(member)
        crc, left, digest = 0, member.size, hashlib.sha256()
        while left:
            chunk = self._exactly(min(left, _CHUNK))
            crc, left = zlib.crc32(chunk, crc), left - len(chunk)
            digest.update(chunk)
            yield chunk
        if crc != member.crc:
            raise BundleRejected(f"{name} does not match its CRC-32.")
        self.digests[name] = digest.hexdigest()

    def whole(self, name: str, limit: int) -> bytes:
        """The content of the next file at once, if it is no longer than `limit` bytes."""
        content = bytearray()
        for chunk in self.chunks(name):
            content += chunk
            if len(content) > limit:
                raise BundleRejected(f"{name} is longer than it can be.")
        return bytes(content)

    def finish(self) -> None:
        """Check the archive's directory, and that nothing follows it."""
        expected = _directory(self._members)
        if self._exactly(len(expected)) != expected:
            raise BundleRejected("The archive's directory is altered.")
        if self._file.read(1):
            raise BundleRejected("Something follows the archive.")

    def _exactly(self, count: int) -> bytes:
        data = self._file.read(count)
        self._offset += len(data)
        if len(data) != count:
            raise BundleTruncated("The bundle ends too early.")
        return data
