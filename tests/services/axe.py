"""axe-core: the rules of WCAG, as far as a machine can see them, run inside a page that a browser shows."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from playwright.async_api import Page

from tests.services import node

_LOCKED = Path(__file__).parent / "accessibility"
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@cache
def source() -> str:
    """The script, at the version that the lock names; raises `ComponentMissing`."""
    return (node.installed(_LOCKED) / "node_modules" / "axe-core" / "axe.min.js").read_text()


async def violations(page: Page, *rules: str) -> list[str]:
    """What is wrong with the page, by all rules or by these: rule, and where. Counts that rules ran at all.

    The page's own scripts have to be allowed to run: axe-core waits by timers.
    """
    await page.evaluate(source())
    only = {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": _TAGS}
    found: dict[str, Any] = await page.evaluate(
        "only => axe.run(document, {runOnly: only, resultTypes: ['violations']})", only
    )
    assert len(found["passes"]) >= (1 if rules else 10)
    return [f"{one['id']}: {spot['html'][:120]}" for one in found["violations"] for spot in one["nodes"]]
