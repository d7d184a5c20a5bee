"""Bundles are made from what a person consented to at that instant, switched off at once, and explained."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import bindparam, delete, select

from gateway.bundles import bundles as bundles_module
from gateway.bundles.switches import turn
from gateway.bundles.tables import bundle
from gateway.catalog.tables import dataset, record
from gateway.database import Query
from gateway.vault.tables import subject_key
from tests.access.world import Deal
from tests.bundles.world import LIKES, PEOPLE, PRODUCTS, RULES, TWINS, Offering, shown

pytestmark = pytest.mark.asyncio(loop_scope="module")
_RECORDS = Query(
    select(record.c.id).join(dataset, dataset.c.no == record.c.dataset_no).where(dataset.c.id == bindparam("dataset"))
)


def _without(made: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in made.items() if name != "id"}


async def test_no_consent_no_person_and_a_switch_look_the_same(world: Offering) -> None:
    never = _without(await world.made("C2"))
    nobody = _without(await world.made("0" * 32))
    await world.consent("C2")
    assert (await world.made("C2"))["personal"] is True
    assert (await world.switch("C2", off=True)).status_code == 200
    switched = _without(await world.made("C2"))
    unasked = _without(await world.made("C2", personal=False))
    await world.switch("C2", off=False)
    await world.shared.bank.withdraw(world.people.dataset, "C2")
    assert never == nobody == switched == unasked
    assert (never["personal"], never["fields_used"], shown(never)) == (False, [], ["A1", "B2", "C3"])


async def test_a_bundle_uses_the_consented_fields_alone(world: Offering) -> None:
    await world.consent("C3", fields=("children",))
    made = await world.made("C3")
    assert (made["fields_used"], shown(made)[0]) == (["children"], "D4")
    await world.shared.bank.withdraw(world.people.dataset, "C3")
    assert (await world.made("C3"))["personal"] is False


async def test_what_is_read_of_a_person_is_an_entry_and_the_generic_list_reads_nothing(world: Offering) -> None:
    await world.consent("C1")
    before = len(await world.shared.accesses())
    await world.made("C1", personal=False)
    assert len(await world.shared.accesses()) == before
    await world.switch("C1", off=True)
    await world.made("C1")
    closed = await world.shared.last_access()
    assert (closed["purpose"], closed["opening"]["groups"]) == ("personalisation", [])
    await world.switch("C1", off=False)
    await world.made("C1")
    opened = await world.shared.last_access()
    assert opened["opening"]["groups"][0]["fields"] == ["children", "likes"]
    entry = (await world.shared.entries(world.shared.bank.id))[-1]
    assert (entry["act"], entry["personal"], entry["fields"]) == ("bundle_made", True, ["likes"])
    await world.shared.bank.withdraw(world.people.dataset, "C1")


async def test_a_switch_that_is_turned_while_a_bundle_is_made_wins(
    world: Offering, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.consent("C1")
    gateway, bank = world.shared.gateway, world.shared.bank
    person = (await gateway.keyring.unlock(bank.id)).pseudonym("C1")
    release = gateway.enforcement.release

    async def and_meanwhile(request: Any) -> Any:
        released = await release(request)
        if request.purpose == "personalisation":
            async with gateway.ledger.changing(bank.id, narrows={bank.id}) as change:
                await turn(change, bank.id, person, off=True, actor={"person": "page"})
        return released

    monkeypatch.setattr(gateway.enforcement, "release", and_meanwhile)
    made = await world.made("C1")
    monkeypatch.undo()
    assert (made["personal"], made["fields_used"]) == (False, [])
    assert (await gateway.bundling.bundles.of_person(bank.id, person))[0]["basis"] == "switched_off"
    await world.switch("C1", off=False)
    await bank.withdraw(world.people.dataset, "C1")


async def test_the_switch_is_one_for_every_subject_that_is_the_person(world: Offering) -> None:
    await world.consent(*TWINS)
    await world.switch("T1", off=True)
    await world.merge("T1", "T2")
    assert [(await world.made(one))["personal"] for one in TWINS] == [False, False], "what was off before the merge"
    await world.switch("T2", off=False)
    assert [(await world.made(one))["personal"] for one in TWINS] == [True, True]
    await world.switch("T1", off=True)
    assert [(await world.made(one))["personal"] for one in TWINS] == [False, False]


@pytest.mark.parametrize("off", ["no", 0, None])
async def test_a_switch_is_turned_by_true_or_false_alone(world: Offering, off: Any) -> None:
    bank, said = world.shared.bank, {"dataset": world.people.dataset, "subject": "C1"}
    answer = await bank.post("/v1/bundles/switch", await bank.token(), said | {"off": off})
    assert (answer.status_code, answer.json()["field"]) == (400, "/off")
    person = (await world.shared.gateway.keyring.unlock(bank.id)).pseudonym("C1")
    assert not await world.shared.gateway.bundling.persons.is_off(bank.id, person)


@pytest.mark.parametrize("personal", ["no", 0, None])
async def test_a_wish_that_does_not_say_clearly_whether_data_is_looked_at_is_refused(
    world: Offering, personal: Any
) -> None:
    answer = await world.ask("C1", personal=personal)
    assert (answer.status_code, answer.json()["field"]) == (400, "/personal")


async def test_the_document_of_the_interface_requires_what_a_wish_cannot_do_without(world: Offering) -> None:
    wish = {"agreement": world.people.agreement, "dataset": world.people.dataset, "record": world.ids["C1"]}
    document = (await world.shared.alliance.http.get("/v1/openapi.json")).json()
    described = document["paths"]["/v1/bundles"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert described["required"] == list(wish)
    hotel, token = world.shared.hotel, await world.token()
    assert (await hotel.post("/v1/bundles", token, wish)).status_code == 200
    for name in wish:
        less = {one: value for one, value in wish.items() if one != name}
        assert (await hotel.post("/v1/bundles", token, less)).json()["field"] == f"/{name}"


async def test_the_owner_tells_its_customer_what_was_offered_and_why(world: Offering) -> None:
    await world.consent("C2")
    made = await world.made("C2")
    explained = (await world.explained("C2"))[0]
    assert (explained["id"], explained["member"], explained["basis"]) == (
        made["id"],
        world.shared.hotel.id,
        "consented",
    )
    assert explained["preferences"] == {"children": 2, "likes": "mountains"}
    assert explained["words"] == made["words"]
    assert explained["items"] == made["items"]
    assert explained["rules"]["sha256"] == made["rules"]["sha256"]
    assert (await world.shared.entries(world.shared.bank.id))[-1]["act"] == "bundles_explained"
    await world.shared.bank.withdraw(world.people.dataset, "C2")
    assert (await world.explained("C2"))[0] == explained, "what was done stays explained"
    assert await world.explained("nobody") == []


async def test_nothing_of_a_person_is_kept_or_entered_in_clear(world: Offering) -> None:
    await world.consent("C2")
    await world.made("C2")
    await world.shared.bank.withdraw(world.people.dataset, "C2")
    rows = await world.shared.gateway.database.all(Query(select(bundle)))
    log = await world.shared.entries(world.shared.bank.id)
    texts = [str([row[name.name] for name in bundle.columns]) for row in rows] + [json.dumps(one) for one in log]
    assert [one for one in texts if "mountains" in one or "LIKES_" in one or '"C2"' in one] == []


async def test_explanations_go_with_the_persons_key(world: Offering) -> None:
    await world.consent("C3")
    await world.made("C3")
    gateway, bank = world.shared.gateway, world.shared.bank
    person = (await gateway.keyring.unlock(bank.id)).pseudonym("C3")
    assert await gateway.bundling.bundles.of_person(bank.id, person)
    async with gateway.database.transaction() as tx:
        await tx.run(Query(delete(subject_key).where(subject_key.c.scope == bindparam("person"))), person=person)
    assert await gateway.bundling.bundles.of_person(bank.id, person) == []


async def test_only_the_owner_of_the_data_switches_and_explains(world: Offering) -> None:
    for path, said in (("switch", {"off": True}), ("explanations", {})):
        body = {"dataset": world.people.dataset, "subject": "C1", **said}
        for other in (world.shared.hotel, world.shared.stranger):
            answer = await other.post(f"/v1/bundles/{path}", await other.token(), body)
            assert answer.status_code == 404, answer.text


async def test_a_member_without_agreement_or_grant_gets_no_bundle(world: Offering) -> None:
    stranger = world.shared.stranger
    wish = {"agreement": world.people.agreement, "dataset": world.people.dataset, "record": world.ids["C1"]}
    assert (await stranger.post("/v1/bundles", await stranger.token(), wish)).status_code == 404
    hotel = world.shared.hotel
    only_people = await hotel.token(hotel.under(world.people.agreement, world.people.dataset, "personalisation"))
    assert (await hotel.post("/v1/bundles", only_people, wish)).status_code == 403


async def test_no_bundle_is_kept_for_a_person_of_a_dataset_that_is_not_agreed_on(world: Offering) -> None:
    bank = world.shared.bank
    secret = await bank.declare(LIKES)
    assert (await bank.upload(secret, [{"customer_no": "C1", **PEOPLE["C1"]}])).status_code == 201
    [row] = await world.shared.gateway.database.all(_RECORDS, dataset=secret)
    before = await world.explained("C1")
    for personal, status in ((True, 403), (False, 404)):
        answer = await world.ask(bytes(row["id"]).hex(), dataset=secret, personal=personal)
        assert answer.status_code == status, answer.text
    assert (await world.shared.last_access())["dataset"] == secret, "what was asked for is on record"
    assert await world.explained("C1") == before


async def test_no_bundle_is_kept_under_an_agreement_that_is_not_in_force(world: Offering) -> None:
    bank, hotel = world.shared.bank, world.shared.hotel
    terms = {"purposes": ["personalisation"]}
    drafted, _ = await bank.draft(hotel, world.people.dataset, ["likes"], **terms)
    ended = await bank.agree(hotel, world.people.dataset, ["likes"], **terms)
    assert (await world.ask("C1", personal=False, agreement=ended)).status_code == 200
    await bank.post(f"/v1/agreements/{ended}/termination", await bank.token())
    before = await world.explained("C1")
    for agreement in (drafted, ended):
        answer = await world.ask("C1", personal=False, agreement=agreement)
        assert answer.status_code == 404, answer.text
    assert await world.explained("C1") == before


async def test_rules_are_in_force_once_two_operators_approved_exactly_these(world: Offering) -> None:
    former = (await world.made("C1"))["rules"]
    drafted = await world.drafted(size=1)
    assert (drafted["state"], drafted["version"]) == ("draft", former["version"] + 1)
    assert (await world.made("C1"))["rules"] == former
    _, arguments = await world.shared.gateway.bundling.rule_sets.approval(drafted["id"])
    await world.shared.alliance.by_two("approve_bundle_rules", **arguments)
    made = await world.made("C1")
    assert (made["rules"]["version"], len(made["items"])) == (drafted["version"], 1)
    hotel = world.shared.hotel
    listed = (await hotel.get("/v1/bundles/rules", await hotel.token())).json()["items"]
    assert [one["state"] for one in listed] == ["retired"] * (len(listed) - 1) + ["active"]
    with pytest.raises(Exception, match="bundle_rules_decided"):
        await world.shared.alliance.by_two("approve_bundle_rules", **arguments)
    with pytest.raises(Exception, match="bundle_rules_differ"):
        await world.shared.alliance.by_two("approve_bundle_rules", rules=drafted["id"], sha256="0" * 64)
    await world.in_force()


async def test_a_rule_set_that_looks_at_a_price_is_not_drafted(world: Offering) -> None:
    hotel = world.shared.hotel
    bad = world.rules(rules=[RULES[0] | {"prefer": {"field": "price", "in": [120_000]}}])
    answer = await hotel.post("/v1/bundles/rules", await hotel.token(), bad)
    assert (answer.status_code, answer.json()["field"]) == (400, "/rules/0/prefer/field")


async def test_a_list_that_is_too_long_is_refused(world: Offering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles_module, "MOST_PRODUCTS", 3)
    assert (await world.ask("C1")).status_code == 413


async def test_what_a_source_gives_no_number_as_its_price_is_left_out_and_the_rest_is_offered(world: Offering) -> None:
    [source] = world.rules()["products"]
    await world.in_force(products=[source | {"price": "name"}, source])
    assert shown(await world.made("C1", personal=False)) == ["A1", "B2", "C3"]
    await world.in_force()


async def test_a_list_with_a_product_at_two_prices_is_refused_before_anything_of_a_person_is_read(
    world: Offering,
) -> None:
    """Told apart by a field that rules may look at, the two rows would let a preference choose the price."""
    airline, hotel = world.shared.stranger, world.shared.hotel
    room = {"code": "ROOM", "name": "Sea room"}
    rows = [room | {"category": "spa", "price": 90_000}, room | {"category": "mountains", "price": 30_000}]
    offers = await airline.declare(PRODUCTS)
    assert (await airline.upload(offers, rows)).status_code == 201
    terms = {"purposes": ["product_information"], "term": {"lawful_basis": "non_personal"}}
    agreement = await airline.agree(hotel, offers, ["code", "name", "category", "price"], **terms)
    rooms = replace(world, products=Deal(agreement, offers))
    await rooms.in_force()
    await world.consent("C1")
    before = len(await world.shared.accesses())
    for personal in (True, False):
        refused = await rooms.ask("C1", personal=personal)
        assert (refused.status_code, refused.json()["code"]) == (409, "product_priced_twice"), refused.text
        assert "ROOM" in refused.json()["detail"]
        assert refused.json()["remedy"]
    assert len(await world.shared.accesses()) == before
    await world.shared.bank.withdraw(world.people.dataset, "C1")
    await world.in_force()
