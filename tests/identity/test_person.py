"""A token may name the person who asks: one per agreement, and nobody without being named."""

from __future__ import annotations

import pytest

from gateway.identity.grants import DetailsInvalid, Grants, Offer, granted
from gateway.identity.subject import NOBODY, AgreementGrant, Subject


def _detail(agreement: str = "deal", **more: object) -> dict[str, object]:
    return {
        "type": "alliance_agreement",
        "agreement": agreement,
        "datasets": ["flights"],
        "purposes": ["settlement"],
        "actions": ["read"],
        **more,
    }


class _Terms:
    async def offer(self, member: str, agreement: str, now_s: int) -> Offer | None:
        del member, agreement
        return Offer({"flights": ("settlement",), "planes": ("settlement", "risk_control")}, ("read",), now_s + 1000)


async def test_a_person_is_carried_through_what_is_granted_and_read_back() -> None:
    asked = Grants.of([_detail(person="p-1", datasets=["flights", "planes"], purposes=["settlement", "risk_control"])])
    given = await granted(asked, member="bank", terms=_Terms(), now_s=0)
    assert len(given.agreements) == 2
    assert {one.person for one in given.agreements} == {"p-1"}
    assert all(detail["person"] == "p-1" for detail in given.details())
    assert Grants.of(given.details()).agreements == given.agreements


def test_without_a_person_the_details_are_as_they_were() -> None:
    read = Grants.of([_detail()])
    assert read.agreements[0].person == NOBODY
    assert read.details() == [_detail()]


def test_details_about_one_agreement_name_one_person() -> None:
    assert len(Grants.of([_detail(person="p1"), _detail("other", person="p2")]).agreements) == 2
    for second in ({"person": "p2"}, {}):
        with pytest.raises(DetailsInvalid, match="one person"):
            Grants.of([_detail(person="p1"), _detail(datasets=["planes"], **second)])


@pytest.mark.parametrize("person", ["", None, 5, ["p1"], "a b", 'a"b', "é", "-x", "x" * 129, {"id": "p"}])
def test_a_person_that_is_no_id_is_refused(person: object) -> None:
    with pytest.raises(DetailsInvalid):
        Grants.of([_detail(person=person)])


def test_a_subject_tells_who_asks_under_each_agreement() -> None:
    grants = (AgreementGrant("a", ("d",), ("p",), ("read",), "p1"), AgreementGrant("b", ("d",), ("p",), ("read",)))
    subject = Subject("alliance", "bank", "app", grants, frozenset(), "t", "jkt", 1, 1)
    assert [subject.person_under(name) for name in ("a", "b", "c")] == ["p1", NOBODY, NOBODY]
