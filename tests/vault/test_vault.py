from __future__ import annotations

import asyncio
import copy
import json
import time
import traceback
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from gateway.database import Query
from gateway.errors import Invalid, Reason
from gateway.ledger import Draft, Effect, Kind, Opening, OpeningGroup, WarrantExpired, WarrantRejected
from gateway.vault.errors import KeysUnavailable, SealBroken
from gateway.vault.sealed import refs
from gateway.vault.tables import member_key

from .conftest import LAYOUT, VALUES, House, MovableClock

_DISABLE = Query(update(member_key).values(state="disabled"))
FEW = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


async def test_records_come_back_in_order_with_every_field_they_have(house: House) -> None:
    records = [await house.sealed({"name": b"%d" % n, "phone": b'"+86"'}) for n in range(5)]
    assert await house.open(records) == [b'{"phone":"+86","name":%d}' % n for n in range(5)]


async def test_a_long_answer_is_opened_whole_and_lets_the_loop_run(house: House) -> None:
    records = [await house.sealed({"name": b"%d" % n}) for n in range(700)]
    turns, done = 0, False

    async def others() -> None:
        nonlocal turns
        while not done:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    warrant = await house.warrant(records)
    turns = 0
    opened = await house.vault.open(LAYOUT, records, warrant)
    done = True
    await beside
    assert [json.loads(text)["name"] for text in opened] == list(range(700))
    assert turns >= 5


async def test_nothing_to_open_opens_nothing(house: House) -> None:
    assert await house.open([]) == []


FIELDS = st.sets(st.sampled_from(sorted(LAYOUT.fields)))


@given(FIELDS, FIELDS)
@FEW
async def test_exactly_the_granted_fields_that_a_record_has_leave_the_vault(
    house: House, granted: set[str], present: set[str]
) -> None:
    record = await house.sealed({name: b'"%s"' % name.encode() for name in present | {"city"}})
    classes = sorted({LAYOUT.fields[name][1] for name in granted})
    opened = await house.open([record], classes=classes, fields=sorted(granted))
    assert json.loads(opened[0]) == {name: name for name in granted & (present | {"city"})}


async def test_fields_of_an_opened_class_that_were_not_granted_are_dropped_inside(house: House) -> None:
    record = await house.sealed()
    opened = await house.open([record], classes=["profile"], fields=["city"])
    assert opened == [b'{"city":"SHANGHAI-UNIQUE"}']


async def test_groups_of_one_warrant_open_each_record_by_its_own_classes(house: House) -> None:
    one, two = await house.sealed(), await house.sealed()
    groups = (
        OpeningGroup(classes=("contact",), fields=("phone",), withheld=(), records=tuple(refs([one]))),
        OpeningGroup(classes=("profile",), fields=("name",), withheld=("city",), records=tuple(refs([two]))),
    )
    opened = await house.vault.open(LAYOUT, [one, two], await house.permit(Opening("customers", groups)))
    assert opened == [b'{"phone":"13800138000-UNIQUE"}', b'{"name":"WANG-UNIQUE"}']


@pytest.mark.parametrize(
    ("classes", "fields"),
    [(("contact",), ("phone", "name")), (("unheard",), ()), (("contact",), ("unheard",)), ((), ("phone",))],
)
async def test_a_warrant_for_a_field_outside_its_classes_opens_nothing(
    house: House, classes: tuple[str, ...], fields: tuple[str, ...]
) -> None:
    record = await house.sealed()
    with pytest.raises(Invalid):
        await house.open([record], classes=classes, fields=fields)


async def test_a_class_that_is_not_granted_is_never_touched(house: House) -> None:
    """A destroyed ciphertext of another class does not matter to what is opened."""
    record = await house.sealed()
    ruined = record._replace(sealed=record.sealed[:-60] + bytes(60))
    assert await house.open([ruined], classes=["contact"], fields=["phone"]) == [b'{"phone":"13800138000-UNIQUE"}']
    with pytest.raises(SealBroken):
        await house.open([ruined])


async def test_an_unnamed_record_is_refused(house: House) -> None:
    one, two = await house.sealed(), await house.sealed()
    for records in ([two], [one, two], [], [one, one], [one._replace(version=2)]):
        warrant = await house.warrant([one])
        with pytest.raises(WarrantRejected):
            await house.vault.open(LAYOUT, records, warrant)


async def test_a_second_use_is_refused(house: House) -> None:
    record = await house.sealed()
    warrant = await house.warrant([record])
    assert await house.vault.open(LAYOUT, [record], warrant)
    with pytest.raises(WarrantRejected):
        await house.vault.open(LAYOUT, [record], warrant)


async def test_a_failed_opening_spends_the_warrant(house: House) -> None:
    record = await house.sealed()
    warrant = await house.warrant([record])
    with pytest.raises(SealBroken):
        await house.vault.open(LAYOUT, [record._replace(sealed=b"")], warrant)
    with pytest.raises(WarrantRejected):
        await house.vault.open(LAYOUT, [record], warrant)


async def test_of_two_openings_at_once_one_is_refused(house: House) -> None:
    record = await house.sealed()
    warrant = await house.warrant([record])
    openings = [house.vault.open(LAYOUT, [record], warrant) for _ in range(4)]
    outcomes = await asyncio.gather(*openings, return_exceptions=True)
    assert sum(isinstance(outcome, WarrantRejected) for outcome in outcomes) == 3
    assert sum(isinstance(outcome, list) for outcome in outcomes) == 1


async def test_a_warrant_of_another_dataset_or_a_late_one_is_refused(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = await house.sealed()
    with pytest.raises(WarrantRejected):
        await house.vault.open(replace(LAYOUT, dataset="other"), [record], await house.warrant([record]))
    warrant = await house.warrant([record])
    later = time.monotonic() + 60
    monkeypatch.setattr(time, "monotonic", lambda: later)
    with pytest.raises(WarrantExpired):
        warrant.redeem("customers", refs([record]))


async def test_a_refusal_yields_no_warrant(house: House) -> None:
    for effect in (Effect.DENY, Effect.INDETERMINATE):
        draft = Draft(log="bank", kind=Kind.ACCESS, facts={}, effect=effect, reasons=(Reason("NO_AGREEMENT", "3.1.1"),))
        assert (await house.ledger.record(draft)).warrant is None


async def test_a_warrant_cannot_be_copied(house: House) -> None:
    warrant = await house.warrant([])
    with pytest.raises(TypeError):
        copy.copy(warrant)


async def test_a_shredded_subject_key_makes_its_records_unreadable_at_the_next_opening(house: House) -> None:
    gone, kept = await house.sealed(pseudonym="p1"), await house.sealed(pseudonym="p2")
    assert (await house.read(gone)) == gone
    assert await house.open([gone, kept])
    await house.shred(gone.subject_key_id)
    assert await house.read(gone) is None
    key = await house.subject_key("p1 again")
    assert key
    substitute = house.stored["bank p1 again"]
    for forged in (
        gone._replace(wrapped=substitute.wrapped),
        gone._replace(wrapped=substitute.wrapped, subject_key_id=substitute.key_id),
        gone._replace(wrapped=b""),
    ):
        with pytest.raises((KeysUnavailable, SealBroken)):
            await house.open([forged])
    assert await house.open([kept])


async def test_a_disabled_member_key_opens_nothing_and_spends_the_warrant(house: House, clock: MovableClock) -> None:
    record = await house.sealed()
    async with house.database.transaction() as tx:
        await tx.run(_DISABLE)
    clock.now += 150_000
    warrant = await house.warrant([record])
    with pytest.raises(KeysUnavailable):
        await house.vault.open(LAYOUT, [record], warrant)
    with pytest.raises(WarrantRejected):
        await house.vault.open(LAYOUT, [record], warrant)


async def test_one_broken_record_keeps_the_whole_answer_back(house: House) -> None:
    good, bad = await house.sealed(), await house.sealed()
    with pytest.raises(SealBroken):
        await house.open([good, bad._replace(sealed=good.sealed)])


async def test_no_value_and_no_key_shows_in_what_is_printed_or_raised(house: House) -> None:
    record = await house.sealed()
    key = await house.subject_key("dataset:customers")
    shown = [repr(record), repr(key), repr(LAYOUT.sealer(key)), repr(house.vault), repr(house.keyring), repr(LAYOUT)]
    ruined = bytearray(record.sealed)
    ruined[-1] ^= 1
    for broken in (bytes(ruined), record.sealed[:-1], b"GW"):
        try:
            await house.open([record._replace(sealed=broken)])
        except SealBroken as error:
            shown.append("".join(traceback.TracebackException.from_exception(error, capture_locals=False).format()))
            shown.append(repr(error))
    try:
        LAYOUT.sealer(key).seal(record.id, 1, "", {**VALUES, "unknown": b"1"})
    except Invalid as error:
        shown.append(repr(error))
    assert len(shown) == 13
    assert not [text for text in shown if "UNIQUE" in text or "1101051949" in text]
