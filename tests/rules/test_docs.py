"""The pages speak of what is there: links, tests, commands, settings, refusals."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from gateway.cli import app
from gateway.settings import Settings
from tests.attacks.identity.mutations import MUTATIONS
from tests.rules.sources import ROOT, modules, project_files

_GUIDES = ROOT / "docs" / "guides"
_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^(#+) ", re.MULTILINE)
_TEST_PATH = re.compile(r"\btests/[\w/]+\.py\b")
_ATTACKS = re.compile(r"\b(\d+) attacks\b")
_GROUPS = "admin case|admin dossier|admin offline|admin|agreement|duties|push|referrals|rights|withdrawals"
_COMMAND = re.compile(
    rf"(?:^|[\s/])gateway ((?:{_GROUPS}) [a-z-]+|[a-z-]+)((?:[ \t].*)?)$",
    re.MULTILINE,
)
_OPTION = re.compile(r"--[a-z0-9]+(?:-[a-z]+)*")
_VARIABLE = re.compile(r"\bGATEWAY_[A-Z_]*[A-Z]\b")
_CODE = re.compile(r"[A-Z]+(?:_[A-Z]+)*")
_POLICY_CODE = re.compile(r'"code": "([A-Z_]+)"')
_REFUSERS = {
    "Reason", "Invalid", "indeterminate", "TokenRefused", "ProofRefused", "TokenInvalid", "challenge", "note",
    "_refused", "SignatureRefused", "challenge_signature", "KeysUnfetched",
    "refuse", "PasskeyRefused", "CodeRefused", "IdTokenRefused",
}  # fmt: skip
_NOT_SETTINGS = {"GATEWAY_OPA": "read by the tests alone", "GATEWAY_PASSPHRASE": "refused"}


@cache
def pages() -> dict[Path, str]:
    return {path: path.read_text(encoding="utf-8") for path in project_files() if path.suffix == ".md"}


def _prose(text: str) -> str:
    """The page without its blocks of code."""
    return _FENCE.sub("", text)


def _code(text: str) -> Iterator[str]:
    """Each span of code, and each line of a block."""
    yield from _SPAN.findall(_prose(text))
    for _, block in _FENCE.findall(text):
        yield from (line.removeprefix("$ ") for line in block.splitlines())


def _anchor(heading: str) -> str:
    """The fragment that hosts make of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _commands() -> dict[str, set[str]]:
    """Every command of `gateway` with its options, and every group of commands."""
    return dict(_below("", get_command(app)))


def _below(path: str, group: Any) -> Iterator[tuple[str, set[str]]]:
    for name, command in group.commands.items():
        yield (
            f"{path}{name}",
            {opt for parameter in command.params for opt in (*parameter.opts, *parameter.secondary_opts)},
        )
        if hasattr(command, "commands"):
            yield from _below(f"{path}{name} ", command)


def test_every_page_is_looked_at() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in pages()}
    expected = {
        "README.md", "README.zh-CN.md", "SECURITY.md", "gateway/README.md", "policies/README.md", "keys/README.md",
        "bench/README.md", "examples/README.md", "docs/rulebook.md", "docs/guides/partner-systems.md",
        "docs/guides/administrators.md", "docs/guides/compliance-officers.md",
    }  # fmt: skip
    assert expected <= names


def test_every_relative_link_leads_somewhere() -> None:
    broken, seen = [], 0
    for page, text in pages().items():
        for target in _LINK.findall(_prose(text)):
            if target.startswith(("https://", "http://", "mailto:")):
                continue
            seen += 1
            path, _, fragment = target.partition("#")
            found = (page.parent / path).resolve() if path else page
            anchors = {_anchor(line.lstrip("# ")) for line in _headings(found)} if fragment else set()
            if not found.exists() or (fragment and fragment not in anchors):
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert seen > 100
    assert broken == []


def _headings(page: Path) -> list[str]:
    return [line for line in _prose(page.read_text(encoding="utf-8")).splitlines() if _HEADING.match(line)]


def test_every_test_that_a_page_names_exists() -> None:
    named = {(page, path) for page, text in pages().items() for path in _TEST_PATH.findall(text)}
    assert len(named) > 40
    assert [f"{page.relative_to(ROOT)}: {path}" for page, path in named if not (ROOT / path).is_file()] == []


def test_the_threats_are_many_and_each_names_its_test() -> None:
    table = (ROOT / "SECURITY.md").read_text(encoding="utf-8").partition("| threat | control | test |")[2]
    rows = table.partition("\n## ")[0].splitlines()[2:]
    threats = [row for row in rows if row.startswith("|")]
    assert len(threats) >= 30
    assert [row for row in threats if not _TEST_PATH.search(row)] == []


def test_each_attack_of_the_threat_model_names_its_control_and_its_test_or_that_it_remains() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    attackers = text.partition("\n## The attackers\n")[2].partition("\n## ")[0]
    sections = attackers.split("\n### ")[1:]
    attacks = [
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in attackers.splitlines()
        if row.startswith("| ") and row != "| attack | control | test |"
    ]
    assert len(sections) >= 8
    assert all("| attack | control | test |" in section for section in sections)
    assert len(attacks) >= 30
    assert [attack for attack in attacks if len(attack) != 3 or not all(attack)] == []
    for _, control, test in attacks:
        remains = control.startswith("**not prevented") and test == "see *What remains*"
        assert remains or _TEST_PATH.search(test), test
    assert "\n## What remains\n" in text


def test_the_pages_count_the_attacks_on_identity() -> None:
    counts = [int(found) for text in pages().values() for found in _ATTACKS.findall(text)]
    assert len(counts) >= 3
    assert set(counts) == {len(MUTATIONS)}


def test_both_readmes_have_the_same_headings_and_links() -> None:
    english, chinese = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md"))
    assert len(_HEADING.findall(_prose(english))) > 5
    assert _HEADING.findall(_prose(english)) == _HEADING.findall(_prose(chinese))
    linked = [{link for link in _LINK.findall(text) if "README" not in link} for text in (english, chinese)]
    assert linked[0] == linked[1]


def test_every_command_in_the_pages_exists_with_its_options() -> None:
    known, seen, wrong = _commands(), set(), []
    for page, text in pages().items():
        for line in _code(text):
            for name, rest in _COMMAND.findall(line):
                options = known.get(name)
                seen.add(name)
                if options is None or not set(_OPTION.findall(rest)) <= options:
                    wrong.append(f"{page.relative_to(ROOT)}: gateway {name}{rest}")
    assert len(seen) > 15
    assert wrong == []


def test_every_command_is_explained_to_administrators() -> None:
    text = (_GUIDES / "administrators.md").read_text(encoding="utf-8")
    explained = {name for line in _code(text) for name, _ in _COMMAND.findall(line)}
    assert set(_commands()) - explained == set()


def test_every_setting_is_explained_and_every_variable_is_one() -> None:
    settings = {f"GATEWAY_{field.name.upper()}" for field in fields(Settings)}
    table = (_GUIDES / "administrators.md").read_text(encoding="utf-8")
    assert settings - set(re.findall(r"^\| `(GATEWAY_[A-Z_]+)`", table, re.MULTILINE)) == set()
    named = {name for text in pages().values() for name in _VARIABLE.findall(text)}
    assert named - settings - _NOT_SETTINGS.keys() == set()


def _refusals() -> Iterator[str]:
    """Every code that a refusal may bear: in the policies' answers, and where the code gives one."""
    for path in sorted((ROOT / "policies").rglob("*.rego")):
        if not path.name.endswith("_test.rego"):
            yield from _POLICY_CODE.findall(path.read_text(encoding="utf-8"))
    for module in modules().values():
        for call in (node for node in ast.walk(module) if isinstance(node, ast.Call)):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if name in _REFUSERS:
                texts = (
                    node.value for given in call.args for node in ast.walk(given) if isinstance(node, ast.Constant)
                )
                yield from (text for text in texts if isinstance(text, str) and _CODE.fullmatch(text))


def test_every_refusal_is_explained_to_compliance_officers() -> None:
    codes = set(_refusals())
    assert {"NOT_A_PARTY", "PURPOSE_UNKNOWN", "MOVED", "ASSERTION_REPLAYED", "CLASS_NOT_SHAREABLE"} <= codes
    assert len(codes) > 50
    text = (_GUIDES / "compliance-officers.md").read_text(encoding="utf-8")
    explained = {span for span in _SPAN.findall(text) if _CODE.fullmatch(span)}
    assert codes - explained == set()


def test_no_refusal_is_explained_that_nobody_gives() -> None:
    text = (_GUIDES / "compliance-officers.md").read_text(encoding="utf-8")
    first_cells = re.findall(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \|", text, re.MULTILINE)
    told = {code for cell in first_cells for code in _SPAN.findall(cell)}
    assert len(told) > 30
    assert told - set(_refusals()) == set()


@pytest.mark.parametrize(
    "page", ["README.md", "README.zh-CN.md", "docs/rulebook.md", "docs/guides/compliance-officers.md"]
)
def test_a_page_that_interprets_rules_says_that_it_is_no_legal_advice(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert "legal advice" in text or "法律意见" in text
