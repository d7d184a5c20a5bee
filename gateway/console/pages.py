"""Pages from templates. The one door to Jinja2: everything is escaped, and an unknown name is an error."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gateway.clock import MILLISECONDS
from gateway.console.words import LANGUAGES, say

_HERE: Final = Path(__file__).parent
_TYPES: Final = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


class Pages:
    """The templates and assets of a folder, and the words that they speak.

    `assets` is every asset by its name: content and media type. `version` changes with any of them; it is part of their
    addresses, so that browsers may keep them.
    """

    def __init__(
        self,
        folder: Path,
        words: Callable[..., str],
        filters: Mapping[str, Callable[..., str]],
        shared: Iterable[Path] = (),
    ) -> None:
        self._words = words
        self.assets = dict(_assets(*shared, *sorted((folder / "static").iterdir())))
        self.version = hashlib.sha256(b"".join(content for content, _ in self.assets.values())).hexdigest()[:12]
        self._templates = Environment(
            loader=FileSystemLoader(folder / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(filters)

    def render(self, template: str, *, language: str, **values: Any) -> str:
        """The page in one of `LANGUAGES`."""
        return self._templates.get_template(template).render(
            t=partial(self._words, language), language=language, languages=LANGUAGES, version=self.version, **values
        )


def _assets(*paths: Path) -> Iterator[tuple[str, tuple[bytes, str]]]:
    for path in paths:
        yield path.name, (path.read_bytes(), _TYPES[path.suffix])


def moment(milliseconds: int | None) -> str:
    """An instant for operators, in UTC, to the minute."""
    if milliseconds is None:
        return "–"
    return datetime.fromtimestamp(milliseconds / MILLISECONDS, UTC).strftime("%Y-%m-%d %H:%M UTC")


def pretty(value: Any) -> str:
    """A JSON value for people who compare it."""
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)


CONSOLE: Final = Pages(_HERE, say, {"moment": moment, "pretty": pretty})
"""The pages of operators."""
