"""Notices that say all they must, about any dataset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def told(chinese: str, english: str) -> dict[str, str]:
    """A text in both languages."""
    return {"zh-CN": chinese, "en": english}


TEXT = told("说明", "As explained.")


def party(member: str, uscc: str, name: str = "某某有限公司") -> dict[str, Any]:
    """A company, as a notice names it."""
    return {"member": member, "name": name, "uscc": uscc, "contact": "privacy@example.com", "country": "CN"}


def field(name: str, *, sensitive: bool = False, need: str = "necessary") -> dict[str, Any]:
    """A field, with what is told where it is sensitive."""
    more = {"necessity": TEXT, "impact": TEXT} if sensitive else {}
    return {"name": name, "category": TEXT, "sensitive": sensitive, "need": need, "reason": TEXT, **more}


def item(recipient: Mapping[str, Any], purpose: str, **what: Any) -> dict[str, Any]:
    """An item about `fields` or `channels`."""
    return {
        "recipient": dict(recipient),
        "purpose": purpose,
        "purpose_text": TEXT,
        "methods": TEXT,
        "retention": {"period": "P1Y", "after": "deleted"},
        "consequences": TEXT,
        "security": TEXT,
        **what,
    }


def notice(owner: Mapping[str, Any], items: Iterable[Mapping[str, Any]], **over: Any) -> dict[str, Any]:
    """A complete notice."""
    return {
        "kind": "enhanced",
        "jurisdiction": "CN",
        "controllers": [dict(owner)],
        "items": [dict(one) for one in items],
        "storage_locations": ["CN"],
        "withdrawal": told("在页面上随时撤回", "Withdraw at any time on the page."),
        "rights": TEXT,
        "rights_contact": "privacy@example.com",
        "automated_decisions": {"used": False},
        **over,
    }
