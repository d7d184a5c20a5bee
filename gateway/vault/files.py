"""Files that hold secrets: read and made only where nobody else can look."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from gateway.errors import Conflicting, Invalid


class UnsafeFile(Invalid):
    """A secret file that others can read or replace, or that is no plain file of this user."""

    def __init__(self, detail: str, path: Path, remedy: str) -> None:
        super().__init__("unsafe_file", detail, field=path.name, remedy=remedy)


class FileMissing(Invalid):
    """There is no such file, or it cannot be opened."""

    def __init__(self, path: Path, remedy: str) -> None:
        super().__init__("file_missing", "A secret file cannot be opened.", field=path.name, remedy=remedy)


class FileExists(Conflicting):
    """A file of that name is there; it is never overwritten."""

    def __init__(self, path: Path) -> None:
        super().__init__("file_exists", "The file is there already.", field=path.name, remedy="Choose another path.")


def read_secret(path: Path, *, limit: int) -> bytes:
    """The content of a plain file that is this user's and closed to everyone else, at most `limit` bytes.

    Symbolic links are not followed. Checked on the open descriptor, so the file cannot be swapped in between.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        if path.is_symlink():
            raise UnsafeFile("A secret file is a symbolic link.", path, "Name the file itself.") from None
        raise FileMissing(path, "Check the path and who owns it.") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnsafeFile("A secret file is not a plain file.", path, "Name a plain file.")
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if found.st_mode & 0o077:
            raise UnsafeFile("A secret file is open to group or others.", path, f"Run chmod 600 {path.name}.")
        if found.st_uid not in (os.geteuid(), 0):
            raise UnsafeFile("A secret file belongs to another user.", path, "Make it this user's own.")
        content = file.read(limit + 1)
    if len(content) > limit:
        raise Invalid("file_too_large", f"A secret file is longer than {limit} bytes.", field=path.name)
    return content


def create_secret(path: Path, content: bytes) -> None:
    """Make the file with mode 0600, whole or not at all, durable on return; `FileExists` rather than overwrite."""
    staged = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        raise FileMissing(path, "Make its directory first, writable for this user.") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(staged, path, follow_symlinks=False)
    except FileExistsError:
        raise FileExists(path) from None
    finally:
        staged.unlink()
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
