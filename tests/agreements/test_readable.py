"""The readable agreement: every term of the text appears, in both languages, from the same terms."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings

from gateway.agreements import parse_terms
from gateway.agreements import readable as module
from gateway.agreements.dataset_terms import OPTIONAL as OPTIONAL_OF_DATASET
from gateway.agreements.dataset_terms import REQUIRED as REQUIRED_OF_DATASET
from gateway.agreements.pages import to_html, to_markdown
from gateway.agreements.readable import LANGUAGES, readable
from gateway.agreements.readable_words import _WORDS
from gateway.agreements.terms import OPTIONAL, PROPOSED
from gateway.canonical import canonical
from gateway.errors import Invalid
from tests.agreements.strategies import any_terms
from tests.agreements.test_terms import FULL

BASIS_POINTS = {7000: "70.00 %", 3000: "30.00 %"}


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for member in value.values():
            yield from leaves(member)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def shown(text: bytes, language: str) -> str:
    """What a reader of the page sees, without its marks."""
    page = to_html(readable(parse_terms(text), language))
    return html.unescape(re.sub("<[^>]+>", "\n", page.replace("<br>", "\n")))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_value_of_every_term_appears_in_each_language(language: str) -> None:
    page = shown(canonical(FULL), language)
    for leaf in leaves({name: value for name, value in FULL.items() if name != "datasets"}):
        assert BASIS_POINTS.get(leaf, str(leaf)) in page, leaf
    for leaf in leaves(FULL["datasets"]):
        if leaf != "week":
            assert str(leaf) in page, leaf
    assert parse_terms(canonical(FULL)).sha256 in page


@given(any_terms())
@settings(max_examples=60, deadline=None)
def test_every_text_and_name_of_any_terms_appears(value: dict[str, Any]) -> None:
    for language in LANGUAGES:
        page = shown(canonical(value), language)
        cadences = {part["cadence"]["every"] for part in value["datasets"] if "cadence" in part}
        for leaf in leaves(value):
            if isinstance(leaf, str) and leaf not in cadences:
                assert all(line in page for line in leaf.split("\n")), leaf


@pytest.mark.parametrize("name", [name for name in (*PROPOSED, *OPTIONAL) if name != "datasets"])
def test_a_term_that_the_renderer_drops_is_refused_instead_of_left_out(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    fewer = {key: tuple(one for one in names if one != name) for key, names in module.PLACES.items()}
    monkeypatch.setattr(module, "PLACES", fewer)
    with pytest.raises(Invalid, match="term_not_readable") as refused:
        readable(parse_terms(canonical(FULL)), "en")
    assert refused.value.field == f"/{name}"


@pytest.mark.parametrize("name", [*REQUIRED_OF_DATASET, *OPTIONAL_OF_DATASET])
def test_a_datasets_term_that_the_renderer_drops_is_refused_too(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(module, "PLACES_OF_DATASET", tuple(one for one in module.PLACES_OF_DATASET if one != name))
    with pytest.raises(Invalid, match="term_not_readable") as refused:
        readable(parse_terms(canonical(FULL)), "zh-CN")
    assert refused.value.field == f"/datasets/0/{name}"


def test_what_was_not_agreed_is_said_to_be_off() -> None:
    bare = {name: value for name, value in FULL.items() if name not in OPTIONAL}
    document = readable(parse_terms(canonical(bare)), "en")
    off = next(section for section in document.sections if "2.3.1" in section.heading)
    assert ("Frequency", "—") in off.lines
    assert ("planes: Volume", "—") in off.lines
    complete = readable(parse_terms(canonical({**FULL, "datasets": FULL["datasets"][:1]})), "en")
    assert not any("2.3.1" in section.heading for section in complete.sections)


def test_both_languages_have_every_word() -> None:
    for key, (english, chinese) in _WORDS.items():
        assert english
        assert re.search("[\u4e00-\u9fff]", chinese), key
        assert sorted(re.findall("{[a-z_]+}", english)) == sorted(re.findall("{[a-z_]+}", chinese)), key


def test_another_language_is_refused_by_name() -> None:
    with pytest.raises(Invalid, match="language_unknown"):
        readable(parse_terms(canonical(FULL)), "fr")


def test_a_title_is_text_and_never_markup() -> None:
    value = {**FULL, "title": "<script>x</script> **b** [a](b)"}
    document = readable(parse_terms(canonical(value)), "en")
    assert "<script>" not in to_html(document)
    page = to_markdown(document)
    assert "<script>" not in page.replace("\\<", "")
    assert "\\*\\*b\\*\\* \\[a\\]\\(b\\)" in page
