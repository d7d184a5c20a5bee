"""Checks an exported bundle offline, trusting nothing but the log's public key.

Needs no database, no network and no other part of the gateway. Everything is checked that the bundle
claims: every byte of the container, every file's hash, the checkpoint's signature, every entry against
its leaf hash, the order, the lists beside entries, the root, and one history with every checkpoint
that the verifier has seen earlier.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gateway.errors import Invalid
from gateway.ledger import note
from gateway.ledger.bundle import CONTENTS, MANIFEST, BundleReader, BundleTruncated, Manifest
from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.merkle import HASH_SIZE, Frontier
from gateway.ledger.note import NoteRejected, UntrustedKey, VerifierKey
from gateway.ledger.stretch import Stretch

_NOTE_LIMIT = 65536


class Outcome(StrEnum):
    """What verification found."""

    OK = "ok"
    TAMPERED = "tampered"
    INCOMPLETE = "incomplete"

    @property
    def exit_code(self) -> int:
        """0 ok, 1 tampered, 2 incomplete or untrusted key."""
        return _EXIT_CODES[self]


_EXIT_CODES = {Outcome.OK: 0, Outcome.TAMPERED: 1, Outcome.INCOMPLETE: 2}


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome and the sentences behind it; `manifest` is None where the bundle could not be read so far."""

    outcome: Outcome
    findings: tuple[str, ...]
    manifest: Manifest | None

    @property
    def exit_code(self) -> int:
        """As of the outcome."""
        return self.outcome.exit_code


class _Altered(Exception):
    """The bundle does not show what it claims."""


def verify(
    bundle: Path, vkey: str, seen: Sequence[bytes] = (), *, progress: Callable[[int], None] | None = None
) -> Report:
    """Verify a bundle with the log's public key (a vkey) and the signed checkpoints held from earlier.

    Never raises on malformed input. `tampered` wins over `incomplete`: the latter means that what is there
    holds as far as it goes, but the key is not the one asked for, the file ends early, or a seen checkpoint
    is of a later state, or no signed note at all. `progress` hears how many entries have been read.
    """
    check = _Check(seen)
    try:
        check.trust(vkey)
        with bundle.open("rb") as file:
            check.read(BundleReader(file), progress)
    except BundleTruncated as error:
        check.missing.append(error.detail)
    except OSError:
        check.missing.append("The bundle cannot be read.")
    except Invalid as error:
        check.altered.append(error.detail)
    except _Altered as error:
        check.altered.append(str(error))
    except RecursionError:
        check.altered.append("Something is nested too deeply.")
    outcome = Outcome.TAMPERED if check.altered else Outcome.INCOMPLETE if check.missing else Outcome.OK
    return Report(outcome, (*check.altered, *check.missing), check.manifest)


class _Check:
    """One verification under way."""

    def __init__(self, seen: Sequence[bytes]) -> None:
        self.altered: list[str] = []
        self.missing: list[str] = []
        self.manifest: Manifest | None = None
        self._notes = seen
        self._key: VerifierKey | None = None
        self._seen: dict[int, set[bytes]] = {}

    def trust(self, vkey: str) -> None:
        """Take the key, and with it the checkpoints seen earlier."""
        try:
            self._key = VerifierKey.parse(vkey)
        except NoteRejected:
            self.missing.append("Untrusted key: the verifier key cannot be read.")
            return
        for place, held in enumerate(self._notes, 1):
            try:
                seen = Checkpoint.verify(held, self._key)
                self._seen.setdefault(seen.size, set()).add(seen.root)
            except UntrustedKey:
                self.missing.append(f"Untrusted key: seen checkpoint {place} is not signed by this key.")
            except NoteRejected as error:
                told = self.altered if note.is_note(held) else self.missing
                told.append(f"Seen checkpoint {place}: {error.detail}")
        for size, roots in self._seen.items():
            if len(roots) > 1:
                self.altered.append(f"The checkpoints seen at size {size} are of two histories.")

    def read(self, reader: BundleReader, progress: Callable[[int], None] | None) -> None:
        """Read the bundle once, front to back."""
        checkpoint = self._signed(reader.whole(CONTENTS[0], _NOTE_LIMIT))
        leaf_hashes = reader.whole(CONTENTS[1], checkpoint.size * HASH_SIZE)
        self._check_tree(checkpoint, leaf_hashes)
        stretch = Stretch(checkpoint.origin, leaf_hashes)
        for count in stretch.read_entries(reader.chunks(CONTENTS[2])):
            if progress is not None:
                progress(count)
        stretch.read_details(reader.chunks(CONTENTS[3]))
        digests = dict(reader.digests)
        self.manifest = manifest = Manifest.decode(reader.whole(MANIFEST, _NOTE_LIMIT))
        reader.finish()
        if manifest.files != digests:
            raise _Altered("A file does not match its hash in the manifest.")
        if (manifest.origin, manifest.size) != (checkpoint.origin, checkpoint.size):
            raise _Altered("The manifest is of another checkpoint.")
        stretch.finish(manifest)

    def _signed(self, signed: bytes) -> Checkpoint:
        if self._key is not None:
            try:
                return Checkpoint.verify(signed, self._key)
            except UntrustedKey:
                self.missing.append("Untrusted key: the checkpoint is not signed by this key.")
        return Checkpoint.parse(note.text_of(signed))

    def _check_tree(self, checkpoint: Checkpoint, leaf_hashes: bytes) -> None:
        """Recompute the root, and the roots of the checkpoints seen earlier, in one pass."""
        if len(leaf_hashes) != checkpoint.size * HASH_SIZE:
            raise _Altered("The leaf hashes are not as many as the checkpoint says.")
        if any(size > checkpoint.size for size in self._seen):
            self.missing.append("A seen checkpoint is of a later state than the bundle.")
        frontier = Frontier()
        for size in range(checkpoint.size + 1):
            if size in self._seen and self._seen[size] != {frontier.root()}:
                raise _Altered(f"The log's history differs from the checkpoint seen at size {size}.")
            if size < checkpoint.size:
                frontier.add(leaf_hashes[size * HASH_SIZE : (size + 1) * HASH_SIZE])
        if frontier.root() != checkpoint.root:
            raise _Altered("The leaf hashes do not give the signed root.")
