"""No text that one party writes and another decides by holds what is not shown, or turns what is ("Trojan Source")."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.agreements.fields import own_words, prose, sentence
from gateway.agreements.terms import parse_terms
from gateway.approvals.proposal import checked_approver
from gateway.bundles.rule_sets import RuleSets
from gateway.canonical import canonical
from gateway.cases.opening import Exhibit
from gateway.cases.opening import sentence as claim
from gateway.catalog.declaration import declare
from gateway.confidentiality.assessments import SECTIONS
from gateway.consents.following.compliance import Compliance, onward_of
from gateway.consents.statement import stated
from gateway.errors import Invalid
from gateway.identity.operators.directory import OperatorDirectory
from gateway.identity.operators.roles import Role
from gateway.identity.operators.sessions import Sessions
from gateway.members.admission import DocumentKind
from gateway.referrals.preview import Preview
from tests.access.api import Operation, as_bank, replaced
from tests.access.world import Deal, Shared, shared_on
from tests.agreements.world import World
from tests.attacks.test_api_members_of_bodies import JSON, bodies, deal, ids
from tests.bundles.world import RULES
from tests.catalog.conftest import Shop, shop
from tests.confiding import signed
from tests.consents.desk import opened_desk, statement
from tests.console.visitor import Visitor
from tests.members.prospects import Prospect, sqlite_world

__all__ = ["deal", "ids", "shop", "sqlite_world"]

CODE = "not_shown_as_written"
HIDDEN = ("\u202e", "\u200b", "\u2028", "\0", "\ufeff")
hidden = pytest.mark.parametrize("hidden", HIDDEN, ids=[f"U+{ord(one):04X}" for one in HIDDEN])


def refused(field: str) -> Any:
    """A refusal that names the field and what helps."""
    return pytest.raises(Invalid, check=lambda it: (it.code, it.field, bool(it.remedy)) == (CODE, field, True))


@pytest.fixture
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shared]:
    async with shared_on(request, tmp_path, "sqlite") as alliance:
        yield alliance


SOURCE = dict.fromkeys(("code", "name", "price"), "a") | {"agreement": "a", "dataset": "b", "currency": "CNY"}
LIKED = ["likes", "children"]
RULE_SET = {"v": 1, "title": "Weekends", "products": [SOURCE], "preferences": LIKED, "rules": RULES, "size": 3}
PREVIEW = {"city": "Shanghai", "need": "a room", "budget": "500"}


def schema(**over: str) -> dict[str, Any]:
    """A dataset's schema, with these keywords at its field."""
    field = {"type": "string", "x-class": "terms", "x-grade": 1}
    return {"type": "object", "x-kind": "market", "properties": {"a": field | over}}


def previewed(part: str) -> Callable[[str], object]:
    """Reads a preview with other words in one part."""
    return lambda said: Preview.read(PREVIEW | {part: said})


READ: dict[str, tuple[str, Callable[[str], object]]] = {
    "the title of a schema": ("/schema/title", lambda said: declare(schema() | {"title": said})),
    "the title of a field": ("/schema/properties/a/title", lambda said: declare(schema(title=said))),
    "the description of a field": ("/schema/properties/a/description", lambda said: declare(schema(description=said))),
    "a name, number or note": ("/note", lambda said: sentence(said, "/note")),
    "a memo or a section": ("/said", lambda said: prose(said, "/said")),
    "a claim or a reason": ("/claim", lambda said: claim(said, "/claim", 200)),
    "the name of evidence": ("name", lambda said: Exhibit.text(said, "x")),
    "a proof of compliance": (
        "/proof/text",
        lambda said: Compliance.read({"how": "deleted", "proof": {"text": said}}, "withdrawn"),
    ),
    "the law that retains": ("/legal", lambda said: Compliance.read({"how": "retained", "legal": said}, "withdrawn")),
    "a company outside": ("/onward/0/name", lambda said: onward_of({"onward": [{"name": said}]}, "m")),
    "an operator": ("operator", checked_approver),
    **{f"the {part} of a preview": (f"/preview/{part}", previewed(part)) for part in PREVIEW},
}


@hidden
@pytest.mark.parametrize("entrance", READ)
def test_what_is_read_from_a_body_or_an_argument(entrance: str, hidden: str) -> None:
    field, read = READ[entrance]
    with refused(field):
        read(f"a{hidden}b")


FIELDS: list[tuple[str, str, tuple[Any, ...]]] = [
    ("POST", "/v1/agreements", ("title",)),
    ("POST", "/v1/agreements", ("dispute", "body")),
    ("POST", "/v1/persons", ("name",)),
    ("POST", "/v1/agreements/{agreement_id}/datasets/{dataset_id}/assessments", ("sections", SECTIONS[0])),
    ("POST", "/v1/agreements/{agreement_id}/datasets/{dataset_id}/transfers", ("number",)),
    ("POST", "/v1/agreements/{agreement_id}/memos", ("said",)),
    ("POST", "/v1/agreements/{agreement_id}/memos", ("by",)),
    ("POST", "/v1/agreements/{agreement_id}/memos", ("to",)),
    ("POST", "/v1/cases", ("claim",)),
    ("POST", "/v1/cases", ("evidence", 0, "name")),
    ("POST", "/v1/cases/{case_id}/evidence", ("evidence", 0, "name")),
    ("POST", "/v1/referrals", ("preview", "need")),
]


async def test_what_a_member_sends_is_a_problem_that_names_the_field_and_enters_nothing(
    shared: Shared, deal: Deal, ids: dict[str, str]
) -> None:
    token, known = await shared.bank.token(), bodies(shared, deal)
    known[Operation("POST", "/v1/agreements")].pop("frequency")
    before = await shared.entries(shared.bank.id)
    for method, path, way in FIELDS:
        operation = Operation(method, path)
        for one in HIDDEN:
            document = json.dumps(replaced(known[operation], way, f"a{one}b")).encode()
            answer = await as_bank(shared, operation, operation.at(**ids), token, content=document, headers=JSON)
            problem = answer.json()
            assert (answer.status_code, problem["code"]) == (400, CODE), (operation, way, problem)
            assert problem["field"] == "".join(f"/{step}" for step in way)
            assert problem["remedy"]
    for one in HIDDEN:
        for part in ("statement", "source"):
            text = {"alliance": shared.bank.alliance.id, "member": shared.bank.id, "about": "member", "statement": "x"}
            jws = signed(shared.bank, "attestation+jws", text | {part: f"a{one}b"})
            problem = (await shared.bank.post("/v1/attestations", token, {"jws": jws})).json()
            assert (problem["code"], problem["field"]) == (CODE, part)
    assert await shared.entries(shared.bank.id) == before


@hidden
async def test_what_is_told_before_a_consent_and_what_a_dataset_is_called(shop: Shop, hidden: str) -> None:
    desk = await opened_desk(shop)
    drafted, size = desk.consents.notices.draft, len(await desk.entries())
    document = desk.document()
    document["items"][0]["purpose_text"]["en"] = f"a{hidden}b"
    with refused("/document/items/0/purpose_text/en"):
        await drafted(shop.owner, desk.dataset.id, "referral", document)
    with refused("/name"):
        await drafted(shop.owner, desk.dataset.id, f"a{hidden}b", desk.document())
    with refused("/name"):
        await shop.declare({"a": {"type": "string", "x-class": "terms", "x-grade": 1}}, name=f"a{hidden}b")
    guardian = {"guardian": {"relation": "parent", "verified": f"a{hidden}b"}}
    given = statement(desk.now - 5, **guardian) | {"notice_sha256": "e" * 64}
    with refused("/guardian/verified"):
        stated(desk.dataset, given, desk.now)
    with refused("/title"):
        await RuleSets(shop.database, shop.ledger).draft(shop.owner, RULE_SET | {"title": f"a{hidden}b"})
    assert len(await desk.entries()) == size


@hidden
async def test_what_operators_are_called_file_propose_and_give_as_reasons(sqlite_world: World, hidden: str) -> None:
    world, said = sqlite_world, f"a{hidden}b"
    prospect = await Prospect.named(world, world.alliance)
    sessions = Sessions(world.database, world.ledger, world.clock)
    before = await world.entries()
    named = {"name": "A", "industry": "air"}
    with refused("name"):
        await world.members.create_alliance(said, operator="root")
    for part in named:
        with refused(part):
            other = "91110000600037341L"
            await world.members.create_member(world.alliance, uscc=other, operator="root", **named | {part: said})
    with refused("name"):
        await OperatorDirectory(world.database, world.ledger, sessions).enrol(
            world.alliance, name=said, role=Role.LEGAL, by="root"
        )
    with refused("number"):
        await prospect.file(prospect.certificate(300, kind=DocumentKind.CREDIT_RECORD, number=said))
    with refused("risks"):
        await prospect.written(risks=said)
    with refused("reasons"):
        await prospect.admissions.reviews.legal(
            prospect.id, dossier="d", passed=True, reasons=said, litigation=False, operator="legal"
        )
    for arguments in ({"case": said}, {"case": {"why": [said]}}):
        with refused("/case" if arguments["case"] == said else "/case/why/0"):
            await world.proposed("readmit_member", arguments)
    assert await world.entries() == before


async def test_what_a_passkey_is_called(visitor: Visitor) -> None:
    options = await visitor.ask("/enrol/options", {"code": await visitor.console.add("Ann")})
    form = {"answer": visitor.passkey.make(options)}
    before = await visitor.console.acts()
    for one in HIDDEN:
        assert (await visitor.post("/enrol", form | {"label": f"a{one}b"})).status_code == 400
    assert await visitor.console.acts() == before
    assert (await visitor.post("/enrol", form | {"label": "键盘"})).status_code == 200


def test_a_persons_own_words_are_kept_without_what_keyboards_add_unseen() -> None:
    assert own_words("a\u200bb\ufeff \u200f\u05d0\u00ad", "/text") == "ab \u05d0"
    assert own_words("one\u2028two\u2029three", "/text") == "one\ntwo\nthree"
    for one in ("\u202e", "\u2066", "\0", "\U000e0041", "\ue000"):
        with refused("/text"):
            own_words(f"a{one}b", "/text")


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("خانه\u200c ها", "خانه ها"),  # a joiner that was typed before a blank
        ("١٤٤٥ ه\u200d", "١٤٤٥ ه"),  # the sign of the year of the Hijra
        ("1\ufe0f.", "1."),
        ("a\ufffc b", "a b"),  # where a picture was, in what was pasted
        ("⠓⠊\u2800⠺", "⠓⠊ ⠺"),
        ("ᠴᠠᠭ\u180eᠠ", "ᠴᠠᠭ\u180eᠠ"),
        ("می\u200cخواهم", "می\u200cخواهم"),
    ],
)
def test_nobody_is_refused_a_right_for_what_a_keyboard_added_unseen(written: str, kept: str) -> None:
    assert own_words(written, "/text") == kept


async def test_a_notice_that_was_drafted_before_the_rule_is_read_and_not_published(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await opened_desk(shop)
    notices, document = desk.consents.notices, desk.document()
    document["items"][0]["purpose_text"]["en"] = "a\u202eb"
    with monkeypatch.context() as before:
        before.setattr("gateway.consents.notices.all_shown_as_written", lambda *_: None)
        drafted = await notices.draft(shop.owner, desk.dataset.id, "other", document)
    assert (await notices.show(shop.owner, drafted.id)).document == document
    with refused("/document/items/0/purpose_text/en"):
        await notices.publish(shop.owner, drafted.id)
    assert (await notices.show(shop.owner, drafted.id)).state == "draft"


async def test_what_was_agreed_before_the_rule_is_still_read(shared: Shared, deal: Deal) -> None:
    terms = bodies(shared, deal)[Operation("POST", "/v1/agreements")]
    terms.pop("frequency")
    kept = terms | {"v": 1, "alliance": "a", "agreement": "b", "title": "a\u3164b", "liability": "张\ufe0f"}
    assert parse_terms(canonical(kept)).title == "a\u3164b"
