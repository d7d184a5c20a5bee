"""A temporary database for what an upload has to keep aside: in memory first, on disk when it grows."""

from __future__ import annotations

import sqlite3
from threading import Lock
from types import TracebackType

from gateway.errors import Unavailable

_PRIMARY = 0xFF
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)


class NoRoom(Unavailable):
    """The disk of temporary files takes no more; nothing was published."""

    def __init__(self) -> None:
        super().__init__("no_room", "There is no room to keep aside what an upload needs; nothing was published.")


class Spill:
    """One table that nobody else sees; `with` it, one thread at a time is given the connection.

    Whoever ends an upload closes it, while a thread may be at work still (a cancelled task leaves its thread running),
    and a connection closed under a statement ends the process: so `close` waits for the thread. Whoever comes after
    that gets `sqlite3.ProgrammingError`; whoever writes to a full disk, `NoRoom`.
    """

    def __init__(self, table: str) -> None:
        self._alone = Lock()
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for statement in ("PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", f"CREATE TABLE {table}", "BEGIN"):
            self._connection.execute(statement)

    def __enter__(self) -> sqlite3.Connection:
        self._alone.acquire()
        return self._connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._alone.release()
        if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & _PRIMARY in _NO_ROOM:
            raise NoRoom from None

    def close(self) -> None:
        """Forget everything."""
        with self as connection:
            connection.close()
