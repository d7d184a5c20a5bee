from __future__ import annotations

from time import perf_counter
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalog.identifying import kind_of
from gateway.characters import normalised

MARKS = ("\u0301\u0316", "\uff9e\u0301", "\u0344\u0316")
"""Two that change places; one that is a mark only when made compatible; one that is made of two."""


@pytest.mark.parametrize("marks", MARKS)
def test_no_heap_of_marks_holds_the_process_up(marks: str) -> None:
    """To put 100,000 of them in order took ten seconds, and 500,000 of them, as 1 MiB holds, four minutes."""
    text = "a" + marks * 50_000 + "@"
    begun = perf_counter()
    normalised(text)
    normalised(text, "NFC")
    kind_of(text)
    assert perf_counter() - begun < 3


@given(st.text(), st.sampled_from(["NFC", "NFKC"]))
def test_a_text_without_heaps_of_marks_has_its_usual_normal_form(text: str, form: str) -> None:
    assert normalised(text) == normalize("NFKC", text)
    words = "商品 Ｐｒｏｄｕｃｔ é e\u0301 ﷺ ｶﾞ 각 " * 100
    assert normalised(words + text, form) == normalize(form, words + text)  # type: ignore[arg-type]
