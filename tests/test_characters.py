from __future__ import annotations

import tracemalloc
from time import perf_counter
from typing import Any
from unicodedata import category, normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalog.identifying import kind_of
from gateway.characters import all_shown_as_written, normalised, shown_as_written
from gateway.errors import Invalid

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


CODE = "not_shown_as_written"
WRITTEN = (
    "云南仙鹤航空股份有限公司\u3000（昆明）",
    "葛\U000e0100城、辻\ufe00、\U00031350、\U000323af",  # forms of ideographs; ideographs of Unicode 15
    "شركة الطيران ١٢٣ \u0600١ می\u200cخواهم",
    "חברת התעופה, בע״מ",
    "भारतीय रिज़र्व बैंक क्\u200dष क्\u200cष ශ්\u200dරී",
    "ᠮᠣᠩᠭᠣᠯ\u180b ᠴᠠᠭ\u180eᠠ ᠭ\u180d\u180eᠠ",
    "Crédit Agricole, Zürich, Łódź, e\u0301, 10\u202f% « à\u00a0part »",
    "👨\u200d👩\u200d👧 🏳\ufe0f\u200d🌈 👩🏽\u200d⚕\ufe0f ❤\ufe0f 1\ufe0f\u20e3 🇨🇳 ©\ufe0f",
    "ไทย 한국어 日本語 Ελληνικά Кириллица ខ្មែរ",
)
VISIBLE_FORMATS = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
"""Signs that enclose Arabic, Syriac or Kaithi numbers: of the class of formats, and drawn."""


@pytest.mark.parametrize("text", WRITTEN)
def test_what_people_write_in_their_languages_is_taken_as_it_is(text: str) -> None:
    assert shown_as_written(text, "/name") == text


def test_every_control_format_separator_surrogate_and_private_character_is_refused() -> None:
    """By the classes that this interpreter knows: a newer Unicode with another format character fails here."""
    for number in range(0x110000):
        one = chr(number)
        if category(one) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") and number not in VISIBLE_FORMATS:
            with pytest.raises(Invalid, match=CODE) as refused:
                shown_as_written(f"a{one}b", "/name")
            assert (refused.value.field, bool(refused.value.remedy)) == ("/name", True)
            assert f"Character 2 (U+{number:04X})" in refused.value.detail


@pytest.mark.parametrize("free", ["\u2065", "\ufff0", "\ufdd0", "\uffff", "\U0001ffff", "\U00050000", "\U000e0080"])
def test_places_kept_for_what_has_no_ink_and_places_for_nothing_are_refused_before_anything_is_there(free: str) -> None:
    with pytest.raises(Invalid, match=CODE):
        shown_as_written(free, "/name")


@pytest.mark.parametrize(
    "text",
    [
        "\u115f", "a\u3164b", "a\uffa0b", "\u2800", "a\u034fb", "a\ufffcb",  # no ink
        "pay\u200dpal", "pay\u200cpal", "\u200dक", "क\u200d", "क\u200d\u200dष", "1\u200c2",  # joins nothing
        "张\u200d三",
        "👨\u200d", "👨\u200da", "a\ufe0f", "1\ufe0f0", "张\ufe0f", "张\U000e0100\U000e0101", "a\U000e0100", "\ufe0f",
        "🏴\U000e0067\U000e0062\U000e007f", "a\u180bb", "a\u180eb", "ᠠ\u180e",
    ],
)  # fmt: skip
def test_a_joiner_or_a_form_where_no_script_has_one_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match=CODE):
        shown_as_written(text, "/name")


def test_lines_and_tabs_are_taken_where_lines_are_meant_alone() -> None:
    assert shown_as_written("one\n\ttwo", "/text", lines=True) == "one\n\ttwo"
    for one in "\n\t":
        with pytest.raises(Invalid, match=CODE):
            shown_as_written(f"a{one}b", "/name")
    for one in "\r\x0b\x0c\x85\u2028\u2029":
        with pytest.raises(Invalid, match=CODE):
            shown_as_written(f"a{one}b", "/text", lines=True)


_words = st.text() | st.sampled_from(WRITTEN)


@given(_words, st.sampled_from("\u202e\u2066\u200b\u200e\u2028\0\ufeff\xad\ue000"), _words)
def test_no_text_around_it_lets_a_hidden_character_through(before: str, hidden: str, behind: str) -> None:
    with pytest.raises(Invalid, match=CODE):
        shown_as_written(before + hidden + behind, "/text", lines=True)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_letters_digits_signs_and_blanks_are_taken_whatever_they_stand_beside(text: str) -> None:
    plain = "".join(one for one in text if one not in "\u115f\u1160\u2800\u3164\uffa0\ufffc")
    assert shown_as_written(plain, "/text") == plain


def test_a_heap_of_joiners_is_looked_through_in_one_go() -> None:
    begun = perf_counter()
    assert shown_as_written("می\u200c" * 200_000 + "خ", "/text")
    assert perf_counter() - begun < 3


@pytest.mark.parametrize("inner", [[0] * 2_000, [""] * 2_000, [[]] * 2_000, {f"{one}": "" for one in range(2_000)}])
def test_looking_through_a_value_takes_no_room_for_a_long_name_and_what_is_in_it(inner: Any) -> None:
    tracemalloc.start()
    all_shown_as_written({"k" * 20_000: inner}, "")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 200_000


@pytest.mark.parametrize("value", [None, 1, True, [], {}, [None, {"a": [1, "b"]}]])
def test_a_value_without_anything_hidden_is_taken_whatever_it_is(value: Any) -> None:
    all_shown_as_written(value, "/document")


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"a": ["b", {"c": "\u200b"}], "d": "\u200b"}, "/document/a/1/c"),
        ({"k" * 500: ["\u200b"]}, "/document/" + "k" * 190),
        ({"\x1b\u4e2d\n": "\u200b"}, "/document/\\x1b\\u4e2d\\n"),
    ],
)
def test_the_refusal_names_where_the_hidden_character_is(value: Any, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        all_shown_as_written(value, "/document")
    assert refused.value.field == field
