"""Clause 1.2: to a member of one alliance, nothing of another differs from what was never there."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from gateway.agreements import HoldSubject
from gateway.identity.jws import thumbprint
from gateway.ledger.stored import state
from gateway.web import web
from tests.access.api import NO_SUCH, UNKNOWN, Operation, served
from tests.access.world import Deal, Shared, headers_of, person, shared_on
from tests.alliance import MARKET_SCHEMA, MEMBER_ACTIONS, Member, instant, populated, public
from tests.confiding import assessment, at, done, file, grant_text, person_of, signed, undertaking

pytestmark = pytest.mark.asyncio(loop_scope="module")
_EVENT = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_MADE_UP_KEY = "A" * 43
_NO_SUCH_PARTY = "1" * 32
_INBOX = "https://inbox.example/"
_READS = "/v1/agreements/{agreement}/datasets/{dataset}"


@dataclass
class Tenants:
    """Alliance A, whose bank asks; and alliance B on the same gateway, with an object of every kind."""

    a: Shared
    b: Shared
    own: Deal
    ids: dict[str, str]
    """What alliance B has, by kind."""

    @property
    def foreign(self) -> list[str]:
        """The ids of B that have the form of A's."""
        return [one for one in self.ids.values() if re.fullmatch("[0-9a-f]{32}", one)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tenants(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tenants]:
    async with shared_on(request, tmp_path_factory.mktemp("tenants"), "sqlite") as a:
        b = Shared(await populated(a.gateway, a.alliance.http), a.clock)
        yield Tenants(a, b, await a.market(), await furnished(b))


async def furnished(shared: Shared) -> dict[str, str]:
    """An object of every kind in an alliance."""
    deal = await shared.market()
    page = await shared.hotel.get(deal.path, await shared.token(deal))
    people = await shared.people([1])
    consent = (await shared.bank.consent(people, shared.hotel, person(1)["customer_no"]))[0]
    upload = (await shared.bank.upload(deal.dataset, [{"code": "X", "city": "Y", "price": 1, "margin": 1}])).json()
    draft, _ = await shared.bank.draft(shared.hotel, deal.dataset, ["code"])
    held = await shared.places()
    hold = await shared.gateway.holds.place(
        shared.alliance.id, HoldSubject.DATASET, held, case="case-b", operator="test"
    )
    wish = {"agreement": deal.agreement, "dataset": deal.dataset, "purpose": "market_analysis", "uri": _INBOX}
    push = (await shared.hotel.post("/v1/pushes", await shared.token(deal), wish)).json()
    told = memo(shared.bank)
    kept = done(await file(shared.bank, f"/v1/agreements/{deal.agreement}/memos", told))["id"]
    dispute = {"kind": "dispute", "agreement": deal.agreement, "claim": "c"}
    case = done(await file(shared.bank, "/v1/cases", dispute | {"subject": {"kind": "memo", "id": kept}}))["id"]
    return {
        "memo": kept,
        "case": case,
        "person": await person_of(shared.bank),
        "push": push["id"],
        "alliance": shared.alliance.id,
        "member": shared.bank.id,
        "recipient": shared.hotel.id,
        "client": shared.bank.client,
        "agreement": deal.agreement,
        "draft": draft,
        "dataset": deal.dataset,
        "people": people,
        "held": held,
        "hold": hold,
        "record": page.json()["records"][0]["id"],
        "consent": consent,
        "upload": upload["id"],
        "fingerprint": thumbprint(public(shared.bank.signing_key)),
    }


def memo(member: Member) -> dict[str, Any]:
    """Something that a member told."""
    told = {"owner": member.id, "said": "s", "by": "b", "to": "t", "said_at": at(member.now)}
    return told | {"answer_within_days": 1}


Name = Callable[[str], str]
"""Gives a kind of object an id."""


def nothing(kind: str) -> str:
    """An id that nothing has; two parties have two of them."""
    return _NO_SUCH_PARTY if kind == "recipient" else NO_SUCH


def terms(tenants: Tenants, name: Name, **over: Any) -> dict[str, Any]:
    """What a member proposes, its dataset and its recipient named."""
    begin = datetime.fromtimestamp(tenants.a.bank.now, UTC)
    dataset = {"dataset": name("dataset"), "fields": ["code"], "purposes": ["market_analysis"], "methods": ["api"]}
    return {
        "owner": tenants.a.bank.id,
        "recipient": tenants.a.hotel.id,
        "title": "Across",
        "datasets": [dataset],
        "frequency": {"reads": 1, "per_seconds": 1},
        "start": instant(begin),
        "end": instant(begin + timedelta(days=1)),
        "confidentiality_years": 1,
        "onward": "forbidden",
    } | over


def bodies(tenants: Tenants, name: Name) -> dict[tuple[str, str], list[Any]]:
    """What is sent where a well-formed body names something."""
    own = tenants.own.dataset
    consent = {
        "subject": "C00001",
        "recipient": name("recipient"),
        "purpose": "customer_referral",
        "fields": ["code"],
        "given_at": instant(datetime.fromtimestamp(tenants.a.bank.now - 60, UTC)),
        "evidence_sha256": "0" * 64,
        "notice_sha256": "0" * 64,
    }
    return {
        ("POST", "/v1/agreements"): [
            terms(tenants, name),
            terms(tenants, lambda _: own, recipient=name("member")),
            terms(tenants, name, owner=name("member"), recipient=name("recipient")),
            terms(tenants, lambda _: own, owner=name("member"), recipient=tenants.a.bank.id),
        ],
        ("POST", "/v1/datasets/{dataset_id}/consents"): [consent],
        ("POST", "/v1/pushes"): [
            {
                "agreement": name("agreement"),
                "dataset": name("dataset"),
                "purpose": "market_analysis",
                "uri": _INBOX,
            }
        ],
        ("POST", "/v1/datasets/{dataset_id}/withdrawals"): [{"subject": "C00001", "recipient": name("recipient")}],
        ("POST", "/v1/agreements/{agreement_id}/signatures"): [{"jws": "e30.e30.e30"}],
        ("POST", "/v1/agreements/{agreement}/datasets/{dataset}/records/query"): [
            {"filters": {"code": "PEK"}, "purpose": "market_analysis"}
        ],
        ("POST", "/v1/agreements/{agreement}/datasets/{dataset}/files"): [
            {"format": "csv", "purpose": "market_analysis"}
        ],
        ("PUT", "/v1/clients/{client_id}"): [{"client_id": name("client"), "jwks": {"keys": []}}],
        **filed(tenants, name),
    }


def filed(tenants: Tenants, name: Name) -> dict[tuple[str, str], list[Any]]:
    """What is filed beside an agreement's terms, or opens a case."""
    bank, own = tenants.a.bank, tenants.own.agreement
    agreement, dataset = "/v1/agreements/{agreement_id}", "/v1/agreements/{agreement_id}/datasets/{dataset_id}"
    granted = grant_text(bank, name("agreement"), tenants.a.stranger.id, "market_analysis")
    case = {"agreement": name("agreement"), "claim": "c"}
    evidence = {"evidence": [{"name": "copy", "sha256": "0" * 64}]}
    return {
        ("POST", f"{dataset}/assessments"): [assessment(bank)],
        ("POST", f"{dataset}/transfers"): [{"kind": "exempt", "number": "1", "until": at(bank.now + 1000)}],
        ("POST", f"{agreement}/onward-grants"): [{"jws": signed(bank, "onward-grant+jws", granted)}],
        ("POST", f"{agreement}/memos"): [memo(bank)],
        ("POST", f"{agreement}/memo-query"): [{"text": "s"}],
        ("POST", f"{agreement}/memos/{{memo_id}}/answer"): [{"answer": "confirmed"}],
        ("POST", "/v1/ndas"): [{"jws": signed(bank, "nda+jws", undertaking(bank, name("member")))}],
        ("POST", "/v1/cases"): [
            {"kind": "leak", **case, **evidence},
            {"kind": "leak", **case, **evidence, "agreement": own, "respondent": name("member")},
            {"kind": "dispute", **case, "subject": {"kind": "agreement", "id": name("agreement")}},
            {"kind": "dispute", **case, "agreement": own, "subject": {"kind": "term", "id": name("dataset")}},
        ],
        ("POST", "/v1/cases/{case_id}/evidence"): [evidence],
    }


def paths(tenants: Tenants, operation: Operation) -> Iterator[tuple[str, str]]:
    """Every way to name something of B in the operation's path, with the same way to name nothing."""
    parts = operation.parts()
    for foreign in (*tenants.foreign, None):
        known: dict[str, str] = {}
        for part in parts:
            kind = part.removesuffix("_id")
            if part in UNKNOWN:
                known[part] = tenants.ids.get(part, UNKNOWN[part])
            else:
                known[part] = foreign or tenants.ids.get(kind, tenants.ids["dataset"])
        yield operation.at(**known), operation.at()


def redacted(tenants: Tenants, answer: httpx.Response) -> tuple[int, dict[str, str], str]:
    """All that an answer says, but for the ids that were asked for and its own entry's."""
    text, headers = answer.text, json.dumps(headers_of(answer), sort_keys=True)
    for name in (*tenants.ids.values(), NO_SUCH, _NO_SUCH_PARTY, _MADE_UP_KEY):
        text, headers = text.replace(name, "<id>"), headers.replace(name, "<id>")
    return answer.status_code, json.loads(_EVENT.sub("<event>", headers)), _EVENT.sub("<event>", text)


async def sizes(tenants: Tenants) -> dict[str, int]:
    """How long the logs of B are."""
    logs = [tenants.b.alliance.id, *[member.id for member in tenants.b.alliance.members.values()]]
    return {log: (await state(tenants.a.gateway.database, log)).size for log in logs}


async def test_1_2_an_object_of_another_alliance_answers_like_none(tenants: Tenants) -> None:
    bank, before, asked = tenants.a.bank, await sizes(tenants), 0
    actions = [*MEMBER_ACTIONS, "register", "rotate"]
    token = await bank.token({"type": "alliance_member", "actions": actions})
    reading = await tenants.a.hotel.token(tenants.a.hotel.under(tenants.own.agreement, tenants.own.dataset))
    theirs, nobodys = bodies(tenants, tenants.ids.__getitem__), bodies(tenants, nothing)
    for operation in sorted(served(web(tenants.a.gateway))):
        key = operation.method, operation.path
        named = list(paths(tenants, operation)) if operation.parts() else [(operation.path, operation.path)]
        is_read = operation.path.startswith(_READS)
        caller, used = (tenants.a.hotel, reading) if is_read else (bank, token)
        asking = {"params": {"purpose": "market_analysis"}} if is_read and operation.method == "GET" else {}
        if not operation.parts() and key not in theirs:
            continue
        for there, nowhere in named:
            for body, none in zip(theirs.get(key, [{}]), nobodys.get(key, [{}]), strict=True):
                sent = [asking, asking] if operation.method in ("GET", "DELETE") else [{"json": body}, {"json": none}]
                found = await caller.call(operation.method, there, used, **sent[0])
                absent = await caller.call(operation.method, nowhere, used, **sent[1])
                assert redacted(tenants, found) == redacted(tenants, absent), (key, there)
                assert found.status_code == 404 if is_read else found.status_code >= 400, (key, there)
                asked += 1
    assert asked > 200
    assert await sizes(tenants) == before  # not even its logs grew


async def test_1_2_no_list_names_or_counts_anything_of_another_alliance(tenants: Tenants) -> None:
    token = await tenants.a.bank.token()
    lists = [one for one in served(web(tenants.a.gateway)) if one.method == "GET" and not one.parts()]
    assert len(lists) >= 5
    for operation in lists:
        listed = await tenants.a.bank.get(operation.path, token)
        expected = 404 if operation.path == "/v1/withdrawals/address" else 200  # the caller's own address, or none
        assert listed.status_code == expected, (operation, listed.text)
        for foreign in tenants.ids.values():
            assert foreign not in listed.text, operation
    told = [(await tenants.a.bank.get(one.path, token)).text for one in lists]
    await tenants.b.market()
    assert [(await tenants.a.bank.get(one.path, token)).text for one in lists] == told


async def test_1_2_no_token_names_an_agreement_of_another_alliance(tenants: Tenants) -> None:
    hotel, answers = tenants.a.hotel, []
    for agreement, dataset in (
        (tenants.ids["agreement"], tenants.ids["dataset"]),
        (tenants.ids["draft"], tenants.ids["dataset"]),
        (NO_SUCH, tenants.ids["dataset"]),
        (NO_SUCH, NO_SUCH),
    ):
        answer = await hotel.ask_token(hotel.under(agreement, dataset))
        assert answer.status_code == 400
        answers.append(redacted(tenants, answer))
    assert answers == answers[:1] * 4
    answers = []
    for dataset in (tenants.ids["dataset"], NO_SUCH):
        answers.append(redacted(tenants, await hotel.ask_token(hotel.under(tenants.own.agreement, dataset))))
    assert answers[0] == answers[1]


async def test_1_2_what_a_token_is_revoked_or_introspected_for_stays_in_its_alliance(tenants: Tenants) -> None:
    foreign = await tenants.b.bank.token()
    other = [
        await tenants.a.bank.ask(path, token=value) for path in ("/revoke", "/introspect") for value in (foreign, "x")
    ]
    assert redacted(tenants, other[0]) == redacted(tenants, other[1])
    assert redacted(tenants, other[2]) == redacted(tenants, other[3])
    assert (await tenants.b.bank.get("/v1/datasets", foreign)).status_code == 200


async def test_1_2_a_stranger_to_the_agreement_sees_nothing_of_it(tenants: Tenants) -> None:
    """In the same alliance too: no part of it, and no difference from none."""
    a = tenants.a
    token = await a.hotel.token(a.hotel.under(tenants.own.agreement, tenants.own.dataset))
    mine = await a.stranger.declare(MARKET_SCHEMA)
    deal = Deal(await a.stranger.agree(a.hotel, mine, ["code"]), mine)
    unknown = await a.hotel.get(Deal(NO_SUCH, NO_SUCH).path, token, purpose="market_analysis")
    for agreement, dataset, asker, used in (
        (tenants.own.agreement, tenants.own.dataset, a.stranger, await a.stranger.token()),
        (tenants.ids["agreement"], tenants.own.dataset, a.hotel, token),
        (tenants.ids["agreement"], tenants.ids["dataset"], a.hotel, token),
    ):
        answer = await asker.get(Deal(agreement, dataset).path, used, purpose="market_analysis")
        assert (answer.status_code, answer.content) == (404, unknown.content)
    other = {"purpose": "market_analysis"}
    crossed = await a.hotel.get(Deal(deal.agreement, tenants.own.dataset).path, token, **other)
    absent = await a.hotel.get(Deal(deal.agreement, NO_SUCH).path, token, **other)
    assert crossed.status_code == 403
    assert redacted(tenants, crossed) == redacted(tenants, absent)
