from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.errors import Invalid
from gateway.vault import passphrase
from gateway.vault.files import UnsafeFile
from gateway.vault.passphrase import PassphraseBesideData, PassphraseMissing


def pipe_with(content: bytes) -> int:
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    return reading


def secret(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_descriptor_gives_its_first_line_and_is_closed() -> None:
    descriptor = pipe_with(b"four random words\r\nmore")
    assert passphrase.from_descriptor(descriptor) == b"four random words"
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(descriptor)


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 5000])
def test_an_empty_or_endless_passphrase_is_refused(content: bytes) -> None:
    with pytest.raises(PassphraseMissing) as refusal:
        passphrase.from_descriptor(pipe_with(content))
    assert refusal.value.remedy


def test_a_closed_descriptor_is_told_with_its_remedy() -> None:
    with pytest.raises(PassphraseMissing) as refusal:
        passphrase.from_descriptor(987)
    assert refusal.value.remedy


def test_a_private_file_outside_the_data_directory_gives_its_first_line(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    path = secret(tmp_path / "passphrase", b"four random words\n")
    assert passphrase.from_file(path, data_directory=data) == b"four random words"


def test_a_file_in_the_data_directory_is_refused_by_any_name(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "deep").mkdir(parents=True)
    inside = secret(data / "deep" / "passphrase", b"four random words\n")
    (tmp_path / "alias").symlink_to(data)
    for name in (inside, tmp_path / "alias/deep/passphrase", data / "deep/../deep/passphrase"):
        with pytest.raises(PassphraseBesideData):
            passphrase.from_file(name, data_directory=data)


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = secret(tmp_path / "passphrase", b"four random words\n", 0o644)
    with pytest.raises(UnsafeFile, match="group or others"):
        passphrase.from_file(path, data_directory=tmp_path / "data")


def test_a_prompt_asks_twice_where_a_keyring_is_made_and_both_must_agree() -> None:
    answers = ["four random words", "four random words", "four random words", "for random words"]
    assert passphrase.from_prompt(confirm=True, ask=lambda _: answers.pop(0)) == b"four random words"
    with pytest.raises(PassphraseMissing):
        passphrase.from_prompt(confirm=True, ask=lambda _: answers.pop(0))
    assert not answers


def test_without_a_terminal_the_prompt_names_the_other_sources() -> None:
    code = "from gateway.vault import passphrase; passphrase.from_prompt()"
    done = subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"There is no terminal to ask on." in done.stderr
    assert "GATEWAY_PASSPHRASE_FD" in str(PassphraseMissing("").remedy)


def test_no_file_of_the_vault_reads_the_environment() -> None:
    files = sorted(Path(passphrase.__file__).parent.rglob("*.py"))
    assert len(files) > 12
    for file in files:
        names = {node.attr for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)}
        assert not names & {"environ", "getenv", "environb"}, file.name


def test_core_dumps_are_forbidden_for_the_process() -> None:
    code = (
        "import resource; from gateway.vault.passphrase import forbid_core_dumps; forbid_core_dumps();"
        "print(resource.getrlimit(resource.RLIMIT_CORE))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.strip() == b"(0, 0)"


def test_every_refusal_is_the_callers_to_mend() -> None:
    assert issubclass(PassphraseMissing, Invalid)
    assert issubclass(PassphraseBesideData, Invalid)
