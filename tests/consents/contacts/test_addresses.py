from __future__ import annotations

import pytest

from gateway.consents.contacts import Address, Channel, normalised_email, normalised_phone, phone_is_doubtful
from gateway.consents.contacts.addresses import LONGEST_ADDRESS
from gateway.errors import Invalid


@pytest.mark.parametrize(
    "written",
    [
        "13800138000",
        "１３８００１３８０００",
        "008613800138000",
        "00 86 138 0013 8000",
        "+86 138-0013-8000",
        "＋８６　１３８００１３８０００",
        "013800138000",
        " 138 0013 8000 ",
        "(+86) 13800138000",
    ],
)
def test_a_number_has_one_form_however_it_is_written(written: str) -> None:
    assert normalised_phone(written) == "+8613800138000"


@pytest.mark.parametrize("prefix", ["199", "166", "192", "173", "1718"])
def test_newer_prefixes_are_numbers_without_a_doubt(prefix: str) -> None:
    number = normalised_phone(prefix.ljust(11, "1"))
    assert number == "+86" + prefix.ljust(11, "1")
    assert not phone_is_doubtful(number)


def test_a_possible_number_with_an_unknown_prefix_is_accepted_and_doubtful() -> None:
    assert normalised_phone("14905001234") == "+8614905001234"
    assert phone_is_doubtful("+8614905001234")


def test_a_number_of_elsewhere_keeps_its_country() -> None:
    assert normalised_phone("+44 20 7946 0958") == normalised_phone("020 7946 0958", region="GB") == "+442079460958"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "1",
        "+",
        "1" * 300,
        "+86 138 0013 8000 ext. 5",
        "+999123",
        "\ud800",
        "\0",
        "a@example.com",
    ],
)
def test_what_cannot_be_a_number_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        normalised_phone(text)
    assert refused.value.code == "invalid_phone"
    assert len(text) < 3 or text not in str(refused.value)


def test_a_number_without_its_area_code_names_nobody() -> None:
    with pytest.raises(Invalid):
        normalised_phone("253 0000", region="US")


def test_the_exact_address_decides_and_the_mailbox_only_suggests() -> None:
    assert normalised_email(" Li.Na+hotel@EXAMPLE.com ") == ("Li.Na+hotel@example.com", "li.na@example.com")
    assert normalised_email("l.i.na+x@googlemail.com") == ("l.i.na+x@googlemail.com", "lina@gmail.com")
    assert normalised_email("a@例子.公司") == normalised_email("a@xn--fsqu00a.xn--55qx5d")
    assert normalised_email("li@example.com").exact != normalised_email("Li@example.com").exact


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", "a@", "@example.com", "a@b@example.com", "a b@example.com", "a\n@example.com", "a@localhost"),
        "x" * 300 + "@example.com",
        "\ud800@example.com",
    ],
)
def test_what_is_no_address_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        normalised_email(text)
    assert refused.value.code == "invalid_email"
    assert len(text) < 3 or text not in str(refused.value)


@pytest.mark.parametrize("text", ["13800138000", "a@example.com"])
def test_what_is_longer_than_any_address_is_not_read_even_where_it_ends_in_blanks(text: str) -> None:
    assert Address.guessed(text.ljust(LONGEST_ADDRESS))
    with pytest.raises(Invalid):
        Address.guessed(text.ljust(LONGEST_ADDRESS + 1))


def test_one_box_takes_both_kinds() -> None:
    assert Address.guessed("138 0013 8000") == Address(Channel.SMS, "+8613800138000")
    assert Address.guessed("a＠example.com") == Address(Channel.EMAIL, "a@example.com")
    assert "138" not in repr(Address.guessed("13800138000"))


@pytest.mark.parametrize(
    ("channel", "text", "field"),
    [("fax", "1", "/to/channel"), (None, "1", "/to/channel"), (["sms"], "1", "/to/channel"),
     ("sms", 1, "/to/address"), ("sms", "a@example.com", "/to/address"), ("email", "13800138000", "/to/address")],
)  # fmt: skip
def test_an_address_of_a_body_is_refused_by_its_member(channel: object, text: object, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        Address.read(channel, text, "/to")
    assert refused.value.field == field
