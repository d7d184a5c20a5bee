from __future__ import annotations

import ast
import re

import pytest

from tests.rules.sources import ROOT, modules, project_files

_MOST_LINES = 400
_UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
_FOREIGN = {
    "a package registry": re.compile(
        r"pypi\.org|pythonhosted\.org|proxy\.golang\.org|npmjs\.org|crates\.io|maven\.org",
        re.IGNORECASE,
    ),
    "a path of one machine": re.compile(r"/[w]ork/|/[r]oot/|/[h]ome/\w+/|/[o]pabin|/[U]sers/"),
    "a private key": re.compile(r"BEGIN (?:\w+ )*PRIVATE KEY-----\n[A-Za-z0-9+/=\n]{40}"),
}


def _without_docstring(path: str, module: ast.Module) -> list[str]:
    named = [node for node in module.body if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)]
    missing = [f"{path}:{node.name}" for node in named if node.name[0] != "_" and not ast.get_docstring(node)]
    return missing if ast.get_docstring(module) else [path, *missing]


def _versions(path: str) -> bool:
    return path.startswith("gateway/migrations/versions/")


def test_everything_public_says_what_it_guarantees() -> None:
    assert len(modules()) > 50
    bare = [
        name for path, module in modules().items() if not _versions(path) for name in _without_docstring(path, module)
    ]
    assert bare == []


def test_no_file_is_long() -> None:
    lengths = {path: len((ROOT / path).read_text().splitlines()) for path in modules() if not _versions(path)}
    assert sum(lengths.values()) > 2000
    assert {path: lines for path, lines in lengths.items() if lines > _MOST_LINES} == {}


def test_nothing_is_left_unfinished() -> None:
    texts = {path: (ROOT / path).read_text() for path in modules()}
    assert len(texts) > 50
    assert [path for path, text in texts.items() if _UNFINISHED.search(text)] == []


@pytest.mark.parametrize(("what", "pattern"), _FOREIGN.items(), ids=_FOREIGN)
def test_no_file_names(what: str, pattern: re.Pattern[str]) -> None:
    texts = {}
    for path in project_files():
        try:
            texts[path.relative_to(ROOT).as_posix()] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    assert len(texts) > 100
    assert [path for path, text in texts.items() if pattern.search(text)] == [], f"names {what}"


def test_the_guards_recognise_what_they_look_for() -> None:
    assert _UNFINISHED.search("# TO" + "DO: later")
    assert _FOREIGN["a package registry"].search("https://py" + "pi.org/simple")
    assert _FOREIGN["a path of one machine"].search("open('/wo" + "rk/x')")
    module = ast.parse('"""Said."""\ndef told():\n    """Said."""\ndef untold(): ...\ndef _private(): ...\n')
    assert _without_docstring("m", module) == ["m:untold"]
