"""One side of a private set intersection, in a process of its own: `python -I worker.py server|client`.

It talks over its standard input and output in frames: four bytes of length, big-endian, then as many. It imports
nothing of the gateway, has no environment, no key and no address, and holds one side's elements alone.

    server: elements, size of the other set -> set-up; request -> response
    client: elements -> request; set-up, response -> size of the intersection

ECDH over blinded elements (OpenMined PSI), the size alone, and RAW, which knows no false positives.
"""

from __future__ import annotations

import resource
import sys

import private_set_intersection.python as psi

_ELEMENT_BYTES = 32
_RATE_OF_FALSE_POSITIVES = 1e-9
"""Asked for by the call; RAW has none."""


def take() -> bytes:
    """The next frame; the process ends where there is none."""
    length = sys.stdin.buffer.read(4)
    if len(length) < 4:  # noqa: PLR2004 - the width of a length
        raise SystemExit(2)
    return sys.stdin.buffer.read(int.from_bytes(length))


def give(frame: bytes) -> None:
    """Send one frame."""
    sys.stdout.buffer.write(len(frame).to_bytes(4) + frame)
    sys.stdout.buffer.flush()


def elements() -> list[str]:
    """This side's set."""
    raw = take()
    return [raw[at : at + _ELEMENT_BYTES].hex() for at in range(0, len(raw), _ELEMENT_BYTES)]


def serve() -> None:
    """The side that learns nothing."""
    own, others = elements(), int.from_bytes(take())
    server = psi.server.CreateWithNewKey(False)
    setup = server.CreateSetupMessage(_RATE_OF_FALSE_POSITIVES, others, own, psi.DataStructure.RAW)
    give(setup.SerializeToString())
    request = psi.Request()
    request.ParseFromString(take())
    give(server.ProcessRequest(request).SerializeToString())


def ask() -> None:
    """The side that counts; the gateway rounds what it says before anybody sees it."""
    client = psi.client.CreateWithNewKey(False)
    give(client.CreateRequest(elements()).SerializeToString())
    setup, response = psi.ServerSetup(), psi.Response()
    setup.ParseFromString(take())
    response.ParseFromString(take())
    give(client.GetIntersectionSize(setup, response).to_bytes(8))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a set never lands in a file
    {"server": serve, "client": ask}[sys.argv[1]]()
