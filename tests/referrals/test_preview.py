"""What may stand in a masked preview, and how much of it is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Invalid
from gateway.referrals.preview import PARTS, Preview

FINE = {"city": "上海", "need": "a family room near the airport", "budget": "500-800"}
POINTING = (
    "13800138000",
    "+86 138 0013 8000",
    "１３８００１３８０００",
    "138\u200b0013\u200b8000",
    "wang@example.com",
    "wang＠example.com",
    "11010519491231002X",
    "6222 0212 3456 7890",
    "call 0571-8877 6655",
    "C000000012",
)


def test_compatible_characters_are_one_and_the_same() -> None:
    assert Preview.read(FINE | {"budget": "５００-８００"}) == Preview.read(FINE)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("value", POINTING)
def test_what_points_at_a_person_is_refused_and_never_quoted(part: str, value: str) -> None:
    with pytest.raises(Invalid) as refused:
        Preview.read(FINE | {part: value})
    assert refused.value.field in (f"/preview/{part}", "/preview")
    assert value not in str(refused.value)
    assert value not in (refused.value.remedy or "")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("call 13800138000", "mobile number"),
        ("wang@example.com", "e-mail address"),
        ("C000000012", "number that may name somebody"),
        ("wang@home", "address"),
    ],
)
def test_whoever_is_refused_is_told_what_was_found(value: str, kind: str) -> None:
    with pytest.raises(Invalid, match=f"The preview holds a {kind}\\."):
        Preview.read(FINE | {"need": value})


@given(st.integers(1, 10), st.sampled_from(["", " ", "-"]))
def test_a_number_in_two_pieces_is_one_number(cut: int, joint: str) -> None:
    number = "13800138000"
    with pytest.raises(Invalid):
        Preview.read(FINE | {"city": number[:cut] + joint.strip(), "need": number[cut:]})


@pytest.mark.parametrize("value", ["", " ", " x", "x" * 65, "a\nb", "a\x00b", "\u202eevil", None, 7, []])
def test_what_is_no_short_text_is_refused_with_its_place(value: object) -> None:
    with pytest.raises(Invalid) as refused:
        Preview.read(FINE | {"need": value})
    assert refused.value.field == "/preview/need"


def test_no_more_is_shown_than_was_counted() -> None:
    preview = Preview.read(FINE)
    assert preview.shown(0) == dict.fromkeys(PARTS)
    assert preview.shown(2) == {"city": "上海", "need": FINE["need"], "budget": None}
    assert preview.shown(3) == FINE
