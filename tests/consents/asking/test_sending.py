"""What is sent to whom: nothing to a number that leads to the person no more, and nothing that is over."""

from __future__ import annotations

import pytest

from gateway.consents.asking import questions
from gateway.consents.asking.inviting import MOST_PERSONS, Invitation
from gateway.consents.asking.words import Message
from gateway.errors import Invalid, NotFound
from tests.alliance import PERSONAL_SCHEMA
from tests.consents.asking.test_asking import contacts
from tests.consents.asking.test_attacks import corrected, rows
from tests.consents.asking.world import World

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_no_code_is_sent_in_a_visit_that_is_over_or_was_left(world: World) -> None:
    phone, _ = await world.asked()
    over, left = await world.visit(phone), await world.visit(phone)
    await world.asking.leave(left)
    with pytest.raises(NotFound):
        await world.asking.send_code(left)
    world.clock.pass_seconds(1800)
    with pytest.raises(NotFound):
        await world.asking.send_code(over)
    assert len(world.box.to(phone)) == 1, "the link"


async def test_known_and_unknown_numbers_are_refused_alike_in_a_language_that_there_is_not(world: World) -> None:
    known, _ = await world.asked()
    before = await rows(world)
    for number in (known, world.phone()):
        with pytest.raises(Invalid) as refused:
            await world.asking.find(number, "fr")
        assert refused.value.field == "language"
    assert await rows(world) == before


async def test_a_question_lapses_once_its_number_is_anothers_before_anybody_took_it(world: World) -> None:
    world.box.deaf = True
    phone, made = await world.asked()
    await corrected(world, phone)
    world.box.deaf = False
    world.clock.pass_seconds(60)
    await world.asking.inviting.run()
    assert (await world.state(made["id"]), await world.states(made["id"])) == ("lapsed", ["lapsed"])
    assert world.box.to(phone) == []


@pytest.mark.parametrize(
    ("language", "said"), [("en", "Without your yes it does not."), ("zh-CN", "未经您明确同意，不会提供。")]
)
async def test_the_message_says_that_nothing_is_shared_without_a_yes_and_not_that_opening_it_is_one(
    world: World, language: str, said: str
) -> None:
    phone, _ = await world.asked(language=language)
    [text] = world.box.to(phone)
    assert said in text
    assert "点开" not in text


async def test_an_invitation_is_not_delivered_once_its_number_is_anothers(world: World) -> None:
    phone, made = await world.asked()
    asked = await questions.find(world.gateway.database, made["id"])
    assert asked is not None
    await corrected(world, phone)
    world.clock.pass_seconds(61)
    invitation = Invitation(asked.question, asked.member, world.box.link(phone), Message.REQUEST)
    assert not await world.asking.inviting.deliver(invitation)
    assert len(world.box.messages) == 1


async def test_how_many_share_a_number_is_counted_for_each_owner_alone(world: World) -> None:
    """Else one could try out whether others have customers with a number."""
    shared = world.phone()
    stated = await contacts(world, *((f"S{number}", shared) for number in range(MOST_PERSONS)))
    assert stated.status_code == 200, stated.text
    dataset = await world.hotel.declare(PERSONAL_SCHEMA)
    said = {"contacts": [{"subject": "S0", "channel": "sms", "address": shared}]}
    answer = await world.hotel.post(f"/v1/datasets/{dataset}/contacts", await world.hotel.token(), said)
    assert answer.status_code == 200, answer.text
