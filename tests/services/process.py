"""One server process of our own: started, waited for, stopped by its own process id."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, cycle
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

_LOG_TAIL = 2000
_STILL = frozenset("TZX")
"""States of a thread that is stopped, or over (proc_pid_stat(5))."""


class ComponentMissing(RuntimeError):
    """A program that this machine does not have; the message says how to get it."""


class ServiceFailed(RuntimeError):
    """A server did not start, or did not answer in time; the message ends with what it logged."""


def _own_ports() -> Iterator[int]:
    """The thousand ports of this worker of the run, over and over; none that the system hands out by itself."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 10_000 + 1_000 * (worker % 22)
    return cycle(first + (os.getpid() + step) % 1_000 for step in range(1_000))


_ports = _own_ports()


def free_port() -> int:
    """A loopback TCP port that is free, and that nobody of this run is given soon again: it is bound later."""
    for port in _ports:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("The ports never end.")


def listens(port: int) -> bool:
    """Whether something accepts connections on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def version_of(*command: str) -> str:
    """The first line of what the program says about its version, from either stream."""
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    return (said.stdout or said.stderr).strip().splitlines()[0]


def _children(pid: int) -> Iterator[int]:
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield int(child)


def _freeze(pid: int) -> None:
    """Stop a process, and wait until each of its threads has stopped: one under way may still answer before."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    while _moves(pid):
        time.sleep(0.001)


def _moves(pid: int) -> bool:
    for thread in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(ProcessLookupError, FileNotFoundError):
            if thread.read_text().rpartition(")")[2].split()[0] not in _STILL:
                return True
    return False


class Service(ABC):
    """A context manager around one server process in a directory of its own.

    `start` returns when the server answers, else raises `ServiceFailed`. `stop` asks politely, then kills;
    it touches no process but its own. A stopped service can be started again on the same port and data.
    """

    name: ClassVar[str]
    patience_s: ClassVar[float] = 120.0
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix=f"gateway-{self.name.lower()}-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The server's command line; it must stay in the foreground."""

    @abstractmethod
    def ready(self) -> bool:
        """Whether the server answers now."""

    def prepare(self) -> None:  # noqa: B027  most servers need files, some do not
        """Whatever must be on disk before the first start."""

    @property
    def user(self) -> str | None:
        """The system user that the server runs as, where it is not our own."""
        return None

    @property
    def environment(self) -> Mapping[str, str] | None:
        """The server's environment, where it is not our own."""
        return None

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> Self:
        """Start the server and wait until it answers."""
        with (self.directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                user=self.user,
                group=self.user and _group_of(self.user),
                extra_groups=None if self.user is None else [],
                start_new_session=True,
            )
        self._wait_until_ready(self._process)
        return self

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self.patience_s
        while not self.ready():
            if process.poll() is not None:
                self._process = None
                raise ServiceFailed(f"{self.name} ended at once with status {process.returncode}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise ServiceFailed(f"{self.name} did not answer within {self.patience_s:.0f} s:\n{self.log_tail()}")
            time.sleep(0.05)

    def log_tail(self) -> str:
        """The end of what the server printed."""
        return (self.directory / "server.log").read_text(errors="replace")[-_LOG_TAIL:]

    def stop(self) -> None:
        """Ask the server to end; kill it if it does not within 20 s."""
        if self._process is None:
            return
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End the server as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """All of the server stands still meanwhile: it holds its connections and says nothing more."""
        assert self.pid is not None
        family: list[int] = []
        try:
            for pid in chain([self.pid], _children(self.pid)):  # listed once their parent makes no more of them
                family.append(pid)
                _freeze(pid)
            yield
        finally:
            for pid in family:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        try:
            self.prepare()
            return self.start()
        except BaseException:
            self._remove()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def _remove(self) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


def _group_of(user: str) -> int:
    return pwd.getpwnam(user).pw_gid
