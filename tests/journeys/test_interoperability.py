"""Clients that know nothing of the gateway's code get a token from a real server and read a page."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.access.served import PLACES, Served
from tests.services import node
from tests.services.or_skip import or_skip

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NODE = EXAMPLES / "oauth4webapi"
NODE_SIGNED = EXAMPLES / "signed-messages"
PATIENCE_S = 120


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    server = Served()
    asyncio.run(server.found())
    with server:
        yield server


def run(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    alone = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "NODE_OPTIONS"}}
    return subprocess.run(
        command, cwd=folder, env=alone, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )


def pages(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr + done.stdout
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(found: list[dict[str, Any]]) -> None:
    """The hotel's two reads: all places, and the one person who consented."""
    places, people = found
    assert (places["status"], people["status"]) == (200, 200)
    given = sorted(json.dumps(one["fields"], sort_keys=True) for one in places["records"])
    assert given == sorted(json.dumps({"code": p["code"], "city": p["city"]}, sort_keys=True) for p in PLACES)
    assert [one["fields"] for one in people["records"]] == [{"name": "Person 1", "phone": "13800000001"}]
    assert all(page["event_id"] and page["receipt"].count(".") == 2 for page in found)


def test_a_script_with_requests_oauth2client_reads_a_page(served: Served, tmp_path: Path) -> None:
    script = EXAMPLES / "read_a_page.py"
    check(pages(run([sys.executable, str(script), str(served.alliance_file), "hotel"], tmp_path)))


def test_the_script_says_how_it_is_used_and_what_went_wrong(served: Served, tmp_path: Path) -> None:
    script = str(EXAMPLES / "read_a_page.py")
    told = run([sys.executable, script, "--help"], tmp_path)
    assert told.returncode == 0
    assert "alliance.json" in told.stdout
    nobody = run([sys.executable, script, str(served.alliance_file), "nobody"], tmp_path)
    assert nobody.returncode != 0
    assert "bank, hotel, stranger" in nobody.stderr
    assert run([sys.executable, script, str(served.alliance_file), "stranger"], tmp_path).returncode == 1


def test_a_script_with_oauth4webapi_reads_a_page(served: Served) -> None:
    folder = or_skip(node.installed, NODE)
    check(pages(run(["node", "read_a_page.mjs", str(served.alliance_file), "hotel"], folder)))


def test_a_script_with_http_message_signatures_signs_and_checks_the_answers(served: Served, tmp_path: Path) -> None:
    script = EXAMPLES / "read_signed.py"
    check(pages(run([sys.executable, str(script), str(served.alliance_file), "hotel"], tmp_path)))


def test_a_script_with_npms_http_message_signatures_signs_and_checks_the_answers(served: Served) -> None:
    folder = or_skip(node.installed, NODE_SIGNED)
    check(pages(run(["node", "read_signed.mjs", str(served.alliance_file), "hotel"], folder)))


_PRELUDE = """
import json, sys
import requests
from jwskate import Jwk
from read_a_page import find, obtain_token
from pathlib import Path
file = Path(sys.argv[1])
alliance = json.loads(file.read_text())
ISSUER, member = alliance["issuer"], find(alliance["members"], "hotel")
client_key = Jwk(json.loads((file.parent / member["jwk_file"]).read_text())).with_kid_thumbprint()
reading = obtain_token(ISSUER, member, client_key)
path, api = member["reads"][0]["url"], requests.Session()
api.get(path, auth=reading)
"""


def test_the_guides_example_of_a_signed_query_works_as_printed(served: Served, tmp_path: Path) -> None:
    guide = (EXAMPLES.parent / "docs" / "guides" / "partner-systems.md").read_text("utf-8")
    printed = re.findall(r"```python\n(.*?)```", guide.partition("## 10. ")[2], re.DOTALL)
    [example] = printed
    script = tmp_path / "guide.py"
    script.write_text(_PRELUDE + example.replace('"B"', '"PEK"') + "print(answer.text)\n")
    shutil.copy(EXAMPLES / "read_a_page.py", tmp_path)
    [page] = pages(run([sys.executable, str(script), str(served.alliance_file)], tmp_path))
    assert [one["fields"]["code"] for one in page["records"]] == ["PEK"]


def test_the_examples_use_no_code_of_ours_and_name_no_registry() -> None:
    scripts = [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*/*.mjs")]
    assert len(scripts) >= 4
    for script in scripts:
        assert not re.search(r"^\s*(from|import)\s+(gateway|tests)\b", script.read_text("utf-8"), re.MULTILINE)
    for folder in (NODE, NODE_SIGNED):
        lock = json.loads((folder / "package-lock.json").read_text())
        package = json.loads((folder / "package.json").read_text())
        locked = {name.removeprefix("node_modules/"): one for name, one in lock["packages"].items() if name}
        assert {name: one["version"] for name, one in locked.items()} == package["dependencies"]
        assert all(one["integrity"].startswith("sha512-") and "resolved" not in one for one in locked.values())
