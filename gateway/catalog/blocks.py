"""The body of an upload: in blocks, hashed on the way, neither endless nor silent."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator

from gateway.errors import Invalid, TooLarge

BLOCK = 256 * 1024
MOST_LINES = 8192
"""Of a block. A row takes a kilobyte and more until it is stored, however short it is."""
LARGEST_UPLOAD = 4 << 30
LONGEST_SILENCE_S = 60.0


class UploadStalled(Invalid):
    """The body fell silent before its end; nothing was published."""

    def __init__(self) -> None:
        super().__init__(
            "upload_stalled",
            f"Nothing of the body came for {LONGEST_SILENCE_S:g} seconds; nothing was published.",
            field="body",
            remedy="Upload again, without pauses.",
        )


async def blocks_of(body: AsyncIterator[bytes], content: hashlib._Hash) -> AsyncIterator[bytes]:
    """The body in blocks of about a quarter of a MiB, or of `MOST_LINES` lines, each hashed into `content`.

    `TooLarge` past `LARGEST_UPLOAD`; `UploadStalled` where `LONGEST_SILENCE_S` pass without a byte.
    """
    waiting: list[bytes] = []
    size = total = 0
    async for piece in _talking(body):
        content.update(piece)
        waiting.append(piece)
        size += len(piece)
        total += len(piece)
        if total > LARGEST_UPLOAD:
            raise TooLarge("upload_too_large", f"An upload is at most {LARGEST_UPLOAD} bytes.", remedy="Split it.")
        if size >= BLOCK:
            block = b"".join(waiting)
            waiting, size = [], 0
            for at in range(0, len(block), BLOCK):
                for part in _of_few_lines(block[at : at + BLOCK]):
                    yield part
    for part in _of_few_lines(b"".join(waiting)):
        yield part


def _of_few_lines(block: bytes) -> Iterator[bytes]:
    """The block, or its halves where it has more than `MOST_LINES` lines, and so on."""
    if max(block.count(b"\n"), block.count(b"\r")) > MOST_LINES:
        middle = len(block) // 2
        yield from _of_few_lines(block[:middle])
        yield from _of_few_lines(block[middle:])
    elif block:
        yield block


async def _talking(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout(LONGEST_SILENCE_S):
                piece = await anext(body, None)
        except TimeoutError:
            raise UploadStalled from None
        if piece is None:
            return
        yield piece
