"""A load generator that costs little: raw sockets, prepared bytes, one pending request per connection."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Round:
    """One measured round: requests a second, and the server's CPU microseconds per request."""

    requests: int
    seconds: float
    cpu_us: float
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


class _Connection(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], latencies: list[float], failed: list[bytes]) -> None:
        self._requests = requests
        self._latencies = latencies
        self._failed = failed
        self._buffer = b""
        self._sent_at = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self._transport.close()
            if not self.done.done():
                self.done.set_result(None)
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._latencies.append(time.perf_counter() - self._sent_at)
        if not head.startswith(b"HTTP/1.1 200"):
            self._failed.append(self._buffer[:400])
        self._buffer = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self._failed.append(b"connection lost")
            self.done.set_result(None)


async def measure(port: int, pid: int, connections: int, requests: list[bytes]) -> Round:
    """Send all requests over that many connections; any answer but 200 fails the run."""
    latencies: list[float] = []
    failed: list[bytes] = []
    waiting = iter(requests)
    loop = asyncio.get_running_loop()
    cpu, started = cpu_us(pid), time.perf_counter()
    made = [
        await loop.create_connection(lambda: _Connection(waiting, latencies, failed), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(protocol.done for _, protocol in made))
    seconds, spent = time.perf_counter() - started, cpu_us(pid) - cpu
    if failed:
        raise SystemExit(f"{len(failed)} requests failed, the first: {failed[0].decode(errors='replace')}")
    latencies.sort()
    count = len(latencies)
    return Round(
        count, seconds, spent / count, latencies[count // 2] * 1000, latencies[min(count - 1, count * 99 // 100)] * 1000
    )


def cpu_us(pid: int) -> int:
    """CPU microseconds used so far by a process, exited threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_US


def resident_mib(pid: int) -> float:
    """The memory that a process holds now, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("No VmRSS: is this Linux?")
