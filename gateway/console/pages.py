"""Pages from templates. The one door to Jinja2: everything is escaped, and an unknown name is an error."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gateway.clock import MILLISECONDS
from gateway.console.words import LANGUAGES, say

_HERE: Final = Path(__file__).parent
_TYPES: Final = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

ASSETS: Final = {path.name: (path.read_bytes(), _TYPES[path.suffix]) for path in sorted((_HERE / "static").iterdir())}
"""Every asset by its name: content and media type."""

ASSETS_VERSION: Final = hashlib.sha256(b"".join(content for content, _ in ASSETS.values())).hexdigest()[:12]
"""Changes with any asset; part of its address, so that browsers may keep it."""


def render(template: str, *, language: str, **values: Any) -> str:
    """The page in one of `LANGUAGES`."""
    return _PAGES.get_template(template).render(
        t=partial(say, language), language=language, languages=LANGUAGES, version=ASSETS_VERSION, **values
    )


def moment(milliseconds: int | None) -> str:
    """An instant for people, in UTC, to the minute."""
    if milliseconds is None:
        return "–"
    return datetime.fromtimestamp(milliseconds / MILLISECONDS, UTC).strftime("%Y-%m-%d %H:%M UTC")


def pretty(value: Any) -> str:
    """A JSON value for people who compare it."""
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)


_PAGES: Final = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGES.filters["moment"] = moment
_PAGES.filters["pretty"] = pretty
