"""The archive that a batch comes in: one ZIP of `consents.csv`, `MANIFEST.sha256`, and the evidence that it lists.

The manifest is what `sha256sum` writes. Nothing of an archive is written to a disk: files are hashed as they are
unpacked, and only the digests are kept; scans and recordings stay with the owner. A file that the manifest lists and
the archive lacks is vouched for by the owner alone (`stated`); one that is there has been hashed here (`checked`).
"""

from __future__ import annotations

import hashlib
import re
import stat
import struct
import zlib
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import IO, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from gateway.characters import normalised
from gateway.errors import Invalid, TooLarge

SHEET: Final = "consents.csv"
MANIFEST: Final = "MANIFEST.sha256"
LONGEST_ARCHIVE: Final = 64 << 20
LONGEST_SHEET: Final = 64 << 20
LONGEST_UNPACKED: Final = 512 << 20
MOST_FILES: Final = 20_000
MOST_LISTED: Final = 200_000
LONGEST_NAME: Final = 240
_BLOCK: Final = 256 * 1024
_LONGEST_MANIFEST: Final = MOST_LISTED * (LONGEST_NAME + 70)
_CENTRAL_HEADER: Final = b"PK\x01\x02"
_ENCRYPTED: Final = 0x1
_MODE_SHIFT: Final = 16
_LISTED = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_BROKEN = (BadZipFile, zlib.error, struct.error, EOFError, IndexError, OSError, RuntimeError, ValueError)


class Archive:
    """An archive whose evidence agrees with its manifest. `sha256` is that of the whole."""

    def __init__(self, body: bytes) -> None:
        """Check everything but the sheet's rows. `Invalid` or `TooLarge` name a file by its number, or a line.

        Names of files are never told: people name scans after persons.
        """
        if len(body) > LONGEST_ARCHIVE:
            raise TooLarge("archive_too_large", f"An archive has at most {LONGEST_ARCHIVE} bytes.", field="body")
        if body.count(_CENTRAL_HEADER) > MOST_FILES:  # counted before anything is built from them
            raise TooLarge("too_many_files", f"An archive has at most {MOST_FILES} files.", field="body")
        self.sha256 = hashlib.sha256(body).hexdigest()
        try:
            self._zip = ZipFile(BytesIO(body))
            self._files = _checked_files(self._zip.infolist())
            self.manifest = _manifest(self._read(MANIFEST, _LONGEST_MANIFEST))
            self.checked = self._check_evidence()
        except _BROKEN as broken:
            raise _unreadable() from broken

    def sheet(self) -> Iterator[bytes]:
        """The bytes of `consents.csv`, in blocks."""
        try:
            with self._open(SHEET) as file:
                yield from _blocks(file, LONGEST_SHEET, SHEET)
        except _BROKEN as broken:
            raise _unreadable() from broken

    def _check_evidence(self) -> frozenset[str]:
        """Hash every piece of evidence that is there; the digests that were found right."""
        left = LONGEST_UNPACKED
        found = set()
        for number, name in enumerate(self._files, 1):
            if name in (SHEET, MANIFEST):
                continue
            at = f"file {number}"
            if name not in self.manifest:
                raise Invalid("file_not_listed", "The manifest does not list this file.", field=at)
            digest = hashlib.sha256()
            with self._open(name) as file:
                for block in _blocks(file, left, at):
                    digest.update(block)
                    left -= len(block)
            if digest.hexdigest() != self.manifest[name]:
                raise Invalid("evidence_differs", "The file is not the one that the manifest lists.", field=at)
            found.add(self.manifest[name])
        return frozenset(found)

    def _read(self, name: str, longest: int) -> bytes:
        with self._open(name) as file:
            return b"".join(_blocks(file, longest, name))

    def _open(self, name: str) -> IO[bytes]:
        if name not in self._files:
            raise Invalid("file_missing", "The archive lacks this file.", field=name)
        return self._zip.open(self._files[name])


def _checked_files(infos: list[ZipInfo]) -> dict[str, ZipInfo]:
    """Name -> entry of every file. A name that could mean two files, or one outside the archive, is refused."""
    files: dict[str, ZipInfo] = {}
    seen: set[str] = set()
    for number, info in enumerate((one for one in infos if not one.orig_filename.endswith("/")), 1):
        at = f"file {number}"
        name = normalised(info.orig_filename, "NFC")
        if not is_plain_name(name) or stat.S_ISLNK(info.external_attr >> _MODE_SHIFT):
            raise Invalid("unsafe_name", "A file's name is a plain relative path.", field=at)
        if info.flag_bits & _ENCRYPTED or info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise Invalid("unsupported_file", "Files are stored or deflated, without a password.", field=at)
        if name.casefold() in seen:
            raise Invalid("duplicate_file", "Two files have one name.", field=at)
        seen.add(name.casefold())
        files[name] = info
    return files


def is_plain_name(name: str) -> bool:
    """Whether a name is a relative path without tricks, 1 to 240 printable characters."""
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or "\\" in name or ":" in name:
        return False
    return all(part.strip() and part not in (".", "..") for part in name.split("/"))


def _manifest(text: bytes) -> Mapping[str, str]:
    """Name -> SHA-256, from lines as `sha256sum` writes them."""
    try:
        lines = text.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise Invalid("invalid_utf8", "The manifest is not UTF-8.", field=MANIFEST) from None
    if len(lines) > MOST_LISTED:
        raise TooLarge("manifest_too_long", f"A manifest lists at most {MOST_LISTED} files.", field=MANIFEST)
    listed: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        parts = _LISTED.fullmatch(line)
        if parts is None or not is_plain_name(name := normalised(parts[2], "NFC").removeprefix("./")):
            raise Invalid(
                "invalid_manifest",
                "A line of the manifest is a SHA-256, two blanks and a name.",
                field=f"{MANIFEST}, line {number}",
                remedy="Write it with `sha256sum`.",
            )
        if listed.setdefault(name, parts[1]) != parts[1]:
            raise Invalid("duplicate_file", "The manifest lists a name twice.", field=f"{MANIFEST}, line {number}")
    return listed


def _blocks(file: IO[bytes], longest: int, at: str) -> Iterator[bytes]:
    """What a file unpacks to, counted while it is unpacked: what an archive says of its sizes proves nothing."""
    while block := file.read(_BLOCK):
        longest -= len(block)
        if longest < 0:
            raise TooLarge("unpacks_too_large", "The archive unpacks to more than is allowed.", field=at)
        yield block


def _unreadable() -> Invalid:
    return Invalid("archive_unreadable", "The archive is not a whole ZIP.", field="body", remedy="Pack it anew.")
