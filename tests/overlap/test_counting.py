"""Counting common elements: right by both means, and never hanging on a worker."""

from __future__ import annotations

import secrets
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from gateway.overlap import counting as counting_module
from gateway.overlap.counting import Counting, KeyedJoin, PrivateSets, WorkerFailed, counting

_PLAIN = [secrets.token_bytes(32) for _ in range(300)]


@pytest.fixture(params=["private_set_intersection", "keyed_join"])
def means(request: pytest.FixtureRequest) -> Counting:
    if request.param == "keyed_join":
        return KeyedJoin()
    if find_spec("private_set_intersection") is None:
        pytest.skip("openmined-psi is not installed (`make psi`).")
    return PrivateSets()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [((0, 200), (50, 300)), ((0, 10), (0, 300)), ((0, 9), (9, 20)), ((0, 0), (0, 5)), ((3, 9), (3, 9))],
)
async def test_the_count_is_that_of_plain_sets(means: Counting, ours: tuple[int, int], theirs: tuple[int, int]) -> None:
    left, right = set(_PLAIN[slice(*ours)]), set(_PLAIN[slice(*theirs)])
    assert await means.common(left, right) == len(left & right)
    assert await means.common(right, left) == len(left & right)


_WAIT = "import time; time.sleep(600)"
_MORE_THAN_THERE_ARE = (
    "import sys; out = sys.stdout.buffer; out.write(((8).to_bytes(4) + (10).to_bytes(8)) * 3); out.flush(); "
    "sys.stdin.read()"
)
_NONSENSE = "import sys; sys.stdout.buffer.write(b'\\xff' * 64); sys.stdout.flush(); sys.stdin.read()"
_MORE_THAN_A_FRAME = (
    "import sys; out = sys.stdout.buffer; out.write((8).to_bytes(4) + bytes(8)); "
    f"size = 8 if sys.argv[1] == 'server' else {counting_module._LONGEST_FRAME + 1}; "
    "out.write(size.to_bytes(4) + bytes(size)); out.flush(); sys.stdin.read()"
)


@pytest.mark.parametrize(
    ("code", "longest_s"),
    [
        ("raise SystemExit(3)", 60.0),
        (_WAIT, 0.5),
        (_NONSENSE, 60.0),
        (_MORE_THAN_THERE_ARE, 60.0),
        (_MORE_THAN_A_FRAME, 60.0),
    ],
    ids=["crash", "hang", "nonsense", "lie", "flood"],
)
async def test_a_worker_that_fails_is_a_failure_in_time_and_leaves_neither_a_process_nor_a_pipe(
    code: str, longest_s: float, tmp_path: Path
) -> None:
    open_before = set(Path("/proc/self/fd").iterdir())
    noted = f"import os, pathlib; pathlib.Path({str(tmp_path)!r}, str(os.getpid())).touch(); {code}"
    sets = PrivateSets((sys.executable, "-I", "-c", noted), longest_s=longest_s)
    with pytest.raises(WorkerFailed):
        await sets.common(_PLAIN[:9], _PLAIN[:99])
    assert [path.name for path in tmp_path.iterdir() if Path("/proc", path.name).exists()] == []
    assert set(Path("/proc/self/fd").iterdir()) == open_before


def test_without_the_library_the_gateway_joins_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting_module, "find_spec", lambda _: None)
    assert counting().method == "keyed_join"


def test_the_gateway_never_imports_the_library() -> None:
    import gateway.app  # noqa: F401

    assert "private_set_intersection" not in sys.modules


def test_a_worker_has_nothing_of_the_gateways() -> None:
    text = Path(counting_module.__file__).with_name("worker.py").read_text("utf-8")
    assert [line for line in text.splitlines() if line.startswith(("import gateway", "from gateway"))] == []
