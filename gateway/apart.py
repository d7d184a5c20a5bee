"""Work for many, one after the other: who cannot be served, such as by a broken log, keeps nobody else waiting."""

from __future__ import annotations

from collections.abc import Awaitable
from types import TracebackType

from gateway.database import DatabaseUnavailable


class Apart:
    """`with Apart() as each: await each(...)` goes on when one fails; at the block's end the last failure is raised.

    Where the database is away, nobody can be served: that ends the block at once.
    """

    def __init__(self) -> None:
        self._failed: Exception | None = None

    def __enter__(self) -> Apart:
        return self

    async def __call__(self, work: Awaitable[int | None]) -> int:
        """Do this, and say how many it did; 0 where it failed."""
        try:
            return await work or 0
        except DatabaseUnavailable:
            raise
        except Exception as error:
            self._failed = error
            return 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._failed is not None:
            raise self._failed
