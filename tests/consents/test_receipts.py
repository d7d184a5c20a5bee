"""Consent receipts: full to the customer, little to the partner, and verified with nothing but keys."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from joserfc import jws
from joserfc.jwk import OKPKey
from sqlalchemy import select
from typer.testing import CliRunner

from gateway.canonical import canonical
from gateway.cli import app
from gateway.consents.receipt_text import TYPE
from gateway.consents.receipts import verify_receipt
from gateway.consents.states import Event
from gateway.consents.tables import consent_receipt
from gateway.database import Query
from gateway.errors import Invalid, NotFound
from gateway.ledger.receipts import ReceiptRejected
from tests.catalog.conftest import BANK, HOTEL, Shop, subject_of
from tests.consents.desk import PATIENT, Desk, instant, opened_desk, statement

ALL = frozenset({"number", "city", "illness"})


def keys_of(desk: Desk) -> dict[str, Any]:
    return {"keys": [desk.jwk() | {"kid": "k1"}]}


async def given_receipt(desk: Desk) -> tuple[str, str]:
    """A record that was given, and its receipt."""
    record = await desk.propose()
    await desk.act(record, Event.GIVE, fields=ALL)
    [kept] = await desk.consents.receipts.of(desk.shop.database, record)
    return record, kept.jws


async def test_the_customers_receipt_says_what_the_standard_wants(shop: Shop) -> None:
    desk = await opened_desk(shop, of=PATIENT)
    record, text = await given_receipt(desk)
    payload = verify_receipt(text, keys_of(desk))
    header, processing = payload["header"], payload["processing"]
    assert header["schema_version"] == "ISO/IEC TS 27560:2023"
    assert (header["record_id"], header["principal_id"]) == (record, await desk.pseudonym())
    assert processing["notice"]["sha256"] == desk.notice_sha256
    assert processing["basis"] == "https://w3id.org/dpv#ExplicitlyExpressedConsent"
    assert processing["purpose_iri"].startswith("https://w3id.org/dpv#")
    told = {one["name"]: one["type_iri"].rpartition("#")[2] for one in processing["fields"]}
    assert told == {"number": "PersonalData", "city": "PersonalData", "illness": "SensitivePersonalData"}
    wanted = "retention storage_locations jurisdiction withdrawal rights_contact automated_decisions methods"
    assert set(wanted.split()) <= processing.keys()
    assert [party["role"] for party in payload["parties"]] == ["controller", "recipient"]
    assert all({"name", "uscc", "contact", "country"} <= party.keys() for party in payload["parties"])
    assert payload["event"]["status"] == "https://w3id.org/dpv#ConsentGiven"
    assert payload["event"]["sha256"]


async def test_any_jose_library_verifies_it_and_its_payload_is_in_rfc_8785_form(shop: Shop) -> None:
    desk = await opened_desk(shop, of=PATIENT)
    _, text = await given_receipt(desk)
    found = jws.deserialize_compact(text, OKPKey.import_key(desk.jwk()), algorithms=["Ed25519"])
    assert found.headers() == {"typ": TYPE, "alg": "Ed25519", "kid": "k1"}
    assert rfc8785.dumps(json.loads(found.payload)) == found.payload


async def test_every_decision_and_expiry_has_a_receipt_of_its_own(shop: Shop) -> None:
    desk = await opened_desk(shop, of=PATIENT)
    database, receipts = shop.database, desk.consents.receipts
    first, _ = await given_receipt(desk)
    await desk.act(first, Event.AMEND, fields=ALL - {"city"})
    await desk.act(first, Event.WITHDRAW)
    refused = await desk.propose("C2")
    await desk.act(refused, Event.REFUSE)
    child = await desk.propose("C3", age_band="under_14", turns_14_at=desk.now + 99, expires_after_s=9)
    await desk.act(child, Event.NEED_GUARDIAN)
    mother = {"guardian": {"relation": "parent", "verified": "seen"}}
    await desk.act(child, Event.CONFIRM, fields=ALL, details=mother)
    shop.clock.now += 9_000
    await desk.consents.overtaken.settle()
    kinds = [[one.kind for one in await receipts.of(database, record)] for record in (first, refused, child)]
    assert kinds == [["given", "amended", "withdrawn"], ["refused"], ["guardian", "expired"]]
    record = await desk.consents.records.get(database, first)
    assert record is not None
    async with database.transaction() as tx:
        await receipts.sign(tx, record, "complied", shop.clock.now)
    complied = (await receipts.of(database, first))[-1]
    assert verify_receipt(complied.jws, keys_of(desk))["kind"] in {"complied", "withdrawn"}
    amended = verify_receipt((await receipts.of(database, first))[1].jws, keys_of(desk))
    assert [one["name"] for one in amended["processing"]["fields"]] == ["number", "illness"]


async def test_what_the_clock_ends_is_signed_once_its_receipt_is_asked_for(shop: Shop) -> None:
    desk = await opened_desk(shop)
    [told] = await desk.record(statement(desk.now, expires_at=instant(desk.now + 9)))
    shop.clock.now += 9_000
    assert await desk.consents.overtaken.settle() == 1
    assert await shop.database.all(Query(select(consent_receipt.c.kind))) == []
    assert [one.kind for one in await desk.consents.receipts.of(shop.database, told["id"])] == ["given", "expired"]


async def test_what_a_guardian_gave_and_was_withdrawn_has_a_receipt_of_its_withdrawal(shop: Shop) -> None:
    desk = await opened_desk(shop, of=PATIENT)
    child = await desk.propose(age_band="under_14", turns_14_at=desk.now + 99)
    await desk.act(child, Event.NEED_GUARDIAN)
    mother = {"guardian": {"relation": "parent", "verified": "seen"}}
    await desk.act(child, Event.CONFIRM, fields=ALL, details=mother)
    await desk.act(child, Event.WITHDRAW)
    kept = await desk.consents.receipts.of(shop.database, child)
    assert [one.kind for one in kept] == ["guardian", "withdrawn"]


async def test_the_receipt_of_a_refusal_names_no_instant_of_giving(shop: Shop) -> None:
    desk = await opened_desk(shop)
    refused = await desk.propose()
    await desk.act(refused, Event.REFUSE)
    [kept] = await desk.consents.receipts.of(shop.database, refused)
    assert "given_at" not in verify_receipt(kept.jws, keys_of(desk))["processing"]


async def test_what_the_owner_recorded_gets_its_receipt_when_it_is_asked_for_always_the_same(shop: Shop) -> None:
    desk = await opened_desk(shop)
    [told] = await desk.record(statement(desk.now - 5))
    first = await desk.consents.receipts.of(shop.database, told["id"])
    shop.clock.now += 60_000
    assert await desk.consents.receipts.of(shop.database, told["id"]) == first
    assert verify_receipt(first[0].jws, keys_of(desk))["kind"] == "given"


async def test_a_receipt_that_was_kept_stays_as_it_was_signed_when_the_key_has_changed(shop: Shop) -> None:
    desk = await opened_desk(shop, of=PATIENT)
    record, text = await given_receipt(desk)
    desk.signer.hold(desk.key, "k2")
    [kept] = await desk.consents.receipts.of(shop.database, record)
    assert kept.jws == text


async def test_the_key_that_a_receipt_names_is_found_beside_others(shop: Shop) -> None:
    desk = await opened_desk(shop, of=PATIENT)
    _, text = await given_receipt(desk)
    other = Desk(shop, desk.dataset).jwk() | {"kid": "k2"}
    assert verify_receipt(text, {"keys": [other, *keys_of(desk)["keys"]]})["kind"] == "given"


async def test_of_a_record_that_nobody_has_given_or_that_is_not_there_is_no_receipt(shop: Shop) -> None:
    desk = await opened_desk(shop)
    asked = await desk.consents.records.get(shop.database, await desk.propose())
    assert asked is not None
    receipts = desk.consents.receipts
    with pytest.raises(NotFound):
        await receipts.for_partner(shop.database, asked)
    with pytest.raises(NotFound):
        await receipts.of(shop.database, "f" * 32)
    async with shop.database.transaction() as tx:
        with pytest.raises(NotFound):
            await receipts.sign(tx, replace(asked, id="f" * 32), "complied", shop.clock.now)


async def test_of_a_field_that_no_notice_describes_the_receipt_says_its_name_alone(shop: Shop) -> None:
    desk = await opened_desk(shop)
    [told] = await desk.record(statement(desk.now - 5))
    record = await desk.consents.records.get(shop.database, told["id"])
    assert record is not None
    text = await desk.consents.receipts.for_partner(shop.database, replace(record, notice_id=None))
    fields = verify_receipt(text, keys_of(desk))["processing"]["fields"]
    assert [one["name"] for one in fields] == ["city", "number"]
    assert all(one.keys() == {"name", "type_iri"} for one in fields)


async def test_the_partners_copy_is_of_the_giving_whatever_came_after(shop: Shop) -> None:
    desk = await opened_desk(shop)
    [told] = await desk.record(statement(desk.now - 5))
    [before] = await desk.consents.showing.receipts(subject_of(BANK), told["id"])
    for event in (Event.HOLD, Event.LIFT):
        shop.clock.now += 1_000
        await desk.act(told["id"], event)
    assert await desk.consents.showing.receipts(subject_of(BANK), told["id"]) == [before]


async def test_the_partners_copy_has_its_own_item_and_a_name_that_no_other_partner_has(shop: Shop) -> None:
    desk = await opened_desk(shop)
    [bank], [hotel] = [await desk.record(statement(desk.now - 5, recipient=of)) for of in (BANK, HOTEL)]
    shown = desk.consents.showing
    copies = {}
    for of, record in ((BANK, bank["id"]), (HOTEL, hotel["id"])):
        [copy] = await shown.receipts(subject_of(of), record)
        copies[of] = verify_receipt(copy["jws"], keys_of(desk))
    names = {copy["header"]["principal_id"] for copy in copies.values()}
    assert len(names | {await desk.pseudonym()}) == 3
    assert copies[BANK]["recipient"] == BANK
    assert HOTEL not in json.dumps(copies[BANK])
    assert copies[BANK]["processing"].keys() <= {
        *("notice", "basis", "purpose", "purpose_iri", "fields", "channels", "given_at", "expires_at", "max_uses"),
    }
    with pytest.raises(NotFound):
        await shown.receipts(subject_of(HOTEL), bank["id"])


async def test_a_partner_never_learns_of_a_request_a_refusal_or_what_has_ended(shop: Shop) -> None:
    desk = await opened_desk(shop)
    refused = await desk.propose("C2")
    for event in (Event.SERVE, Event.REFUSE):
        await desk.act(refused, event)
        for look in (desk.consents.showing.receipts, desk.consents.showing.one):
            with pytest.raises(NotFound):
                await look(subject_of(BANK), refused)
    [told] = await desk.record(statement(desk.now - 5))
    assert await desk.consents.showing.receipts(subject_of(BANK), told["id"])
    await desk.withdraw()
    with pytest.raises(NotFound):
        await desk.consents.showing.receipts(subject_of(BANK), told["id"])


async def test_a_changed_byte_of_receipt_or_notice_is_named_by_the_offline_command(shop: Shop, tmp_path: Path) -> None:
    desk = await opened_desk(shop)
    [told] = await desk.record(statement(desk.now - 5))
    [kept] = await desk.consents.receipts.of(shop.database, told["id"])
    assert desk.notice is not None
    names = ("receipt.jws", "jwks.json", "notice.json")
    receipt, jwks, notice_file = (tmp_path / name for name in names)
    receipt.write_text(kept.jws)
    jwks.write_text(json.dumps(keys_of(desk)))
    notice_file.write_bytes(canonical(desk.notice.document))
    run = CliRunner()

    def verify() -> tuple[int, str]:
        asked = ["verify-receipt", str(receipt), "--jwks", str(jwks), "--notice", str(notice_file)]
        answer = run.invoke(app, asked)
        return answer.exit_code, " ".join(answer.output.split())

    code, output = verify()
    assert (code, desk.notice_sha256 in output) == (0, True), output
    whole = notice_file.read_bytes()
    notice_file.write_bytes(whole.replace(b"P1Y", b"P2Y", 1))
    code, output = verify()
    assert (code, "notice_differs" in output, desk.notice_sha256 in output) == (1, True, True), output
    notice_file.write_bytes(whole)
    header, payload, signature = kept.jws.split(".")
    changed = payload[:40] + ("A" if payload[40] != "A" else "B") + payload[41:]
    receipt.write_text(".".join((header, changed, signature)))
    code, output = verify()
    assert (code, "receipt_rejected" in output) == (1, True), output
    receipt.write_text(desk.signer.state("access-receipt+jws", {"a": "b"}))
    code, output = verify()
    assert (code, "gateway verify-proof" in output) == (1, True), output
    receipt.write_text(kept.jws)
    for none in (b"", b"\xff", b"[]", b"{}"):
        jwks.write_bytes(none)
        code, output = verify()
        assert (code, "invalid_key_set" in output, "--jwks" in output, "/v1/jwks" in output) == (1, True, True, True)
    notice_file.unlink()
    assert verify()[0] == 2


async def test_a_receipt_of_another_kind_key_or_form_is_rejected(shop: Shop) -> None:
    desk = await opened_desk(shop)
    [told] = await desk.record(statement(desk.now - 5))
    [kept] = await desk.consents.receipts.of(shop.database, told["id"])
    other = await Desk(shop, desk.dataset).publish(desk.document(), ago=0)
    access = desk.signer.state("access-receipt+jws", {"a": "b"})
    for text, keys in (
        (access, keys_of(desk)),
        (kept.jws, keys_of(other)),
        (kept.jws, {"keys": []}),
        (kept.jws, {}),
        ("nonsense", keys_of(desk)),
        ("", keys_of(desk)),
        ("!.!.!", keys_of(desk)),
    ):
        with pytest.raises(ReceiptRejected):
            verify_receipt(text, keys)
    assert issubclass(ReceiptRejected, Invalid)
