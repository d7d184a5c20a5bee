"""Every text is there in both languages, is used, and is chosen as the browser asks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway import console
from gateway.console.sent import preferred
from gateway.console.words import LANGUAGES, WORDS, say
from gateway.identity.operators.roles import DECIDES, Permission, Role
from tests.console.world import quiet_console

_FOLDER = Path(console.__file__).parent
_USED = re.compile(r"""\bt\(["'](\w+)["']|"((?:refused|onward)_\w+)\"""")
_FAMILIES = ("role_", "how_", "may_", "act_", "argument_", "state_")


def _used() -> set[str]:
    files = [*_FOLDER.glob("*.py"), *(_FOLDER / "templates").glob("*.html")]
    texts = (path.read_text() for path in files if path.name != "words.py")
    found = {key for text in texts for pair in _USED.findall(text) for key in pair}
    return found - {""}


def test_every_text_that_is_used_exists_and_every_one_that_exists_is_used() -> None:
    used = _used()
    assert len(used) > 50
    assert used - set(WORDS) - set(_FAMILIES) == set()
    others = {key for key in WORDS if not key.startswith(_FAMILIES)}
    assert others - used - {"approved", "declined"} == set()


def test_every_role_permission_and_act_has_a_name() -> None:
    assert {f"role_{role}" for role in Role} <= set(WORDS)
    assert {f"may_{permission}" for permission in Permission} == {key for key in WORDS if key.startswith("may_")}
    assert {f"act_{act}" for act in DECIDES} == {key for key in WORDS if key.startswith("act_")}


def test_both_languages_say_something_with_the_same_places() -> None:
    for key, texts in WORDS.items():
        assert len(texts) == len(LANGUAGES), key
        english, chinese = texts
        assert english.strip(), key
        assert re.search(r"[\u4e00-\u9fff]", chinese), key
        assert sorted(re.findall(r"{\w+}", english)) == sorted(re.findall(r"{\w+}", chinese)), key


def test_an_unknown_text_is_an_error() -> None:
    with pytest.raises(KeyError):
        say("en", "nothing")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("fr, zh;q=0.2", "zh"),
        ("fr", "en"),
        ("zh;q=0.5, en;q=0.7", "en"),
        ("zh;q=0", "en"),
        ("zh;q=x", "en"),
        (";;,,q=1" * 200, "en"),
    ],
)
def test_the_browsers_best_language_is_spoken(header: str, language: str) -> None:
    assert preferred(header) == language


async def test_every_act_that_is_registered_can_be_decided_in_the_console(tmp_path: Path) -> None:
    async with quiet_console(tmp_path) as (built, _):
        assert built.gateway.approvals.acts == set(DECIDES)
