"""What a test needs of this machine, or its skip; with `CI=true` a skip is a failure (`tests/conftest.py`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import pytest

from tests.services.process import ComponentMissing

_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")


def or_skip(find: Callable[_Given, _Found], *given: _Given.args, **named: _Given.kwargs) -> _Found:
    """`find(*given, **named)`; the test is skipped, by the component's name, where it raises `ComponentMissing`."""
    try:
        return find(*given, **named)
    except ComponentMissing as missing:
        pytest.skip(str(missing))
