"""Agreements as PDF, and PDFs signed by PAdES as evidence beside the members' own signatures (clause 2.3.2)."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from joserfc.jwk import ECKey, OKPKey
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import fields
from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner, SimpleSigner
from pyhanko_certvalidator.registry import SimpleCertificateStore
from sqlalchemy import text

from gateway.agreements import parse_terms
from gateway.agreements.fields import MOST_LINES
from gateway.agreements.pdf.rendering import _flow, render
from gateway.agreements.pdf.signed import embedded
from gateway.agreements.readable import readable
from gateway.canonical import canonical
from gateway.database import Database, Query
from gateway.errors import Conflicting, GatewayError, Invalid, NotFound
from tests.agreements.strategies import any_terms
from tests.agreements.test_terms import FULL
from tests.agreements.world import Company, World, new_key

PADES = fields.SigSeedSubFilter.PADES
Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@pytest.fixture
async def world(sqlite_database: Database, tmp_path: Path) -> AsyncIterator[World]:
    built = await World(sqlite_database, pdf_roots=tmp_path / "roots.pem").build()
    (tmp_path / "roots.pem").write_bytes(ROOT.public_bytes(serialization.Encoding.PEM))
    yield built
    await built.ledger.close()


def certified(key: Private, name: str, uscc: str = "", issuer: tuple[Any, Any] | None = None) -> x509.Certificate:
    """A certificate for a key: by itself, or by an issuer and its key."""
    named = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    named += [x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, uscc)] if uscc else []
    subject, now = x509.Name(named), datetime.now(UTC)
    by, signer = issuer or (subject, key)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(_signs_contracts(ca=issuer is None), critical=True)
        .sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )


def _signs_contracts(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=not ca,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


ROOT_KEY = ec.generate_private_key(ec.SECP256R1())
ROOT = certified(ROOT_KEY, "Root of companies")


def private(key: OKPKey | ECKey) -> Private:
    found = key.private_key
    assert isinstance(found, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey)
    return found


async def signed(
    pdf: bytes, key: Private, *, certificate: x509.Certificate | None = None, field: str = "One", subfilter: Any = PADES
) -> bytes:
    """The PDF with one more signature, as a signing tool adds it."""
    encoding, plain = serialization.Encoding.DER, serialization.NoEncryption()
    theirs = asn1_x509.Certificate.load((certificate or certified(key, "A company")).public_bytes(encoding))
    bare = asn1_keys.PrivateKeyInfo.load(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
    store = SimpleCertificateStore.from_certs([theirs])  # type: ignore[no-untyped-call]
    signer = SimpleSigner(signing_cert=theirs, signing_key=bare, cert_registry=store)
    digest = "sha512" if isinstance(key, ed25519.Ed25519PrivateKey) else "sha256"
    about = PdfSignatureMetadata(field_name=field, subfilter=subfilter, md_algorithm=digest)
    out = io.BytesIO()
    await PdfSigner(about, signer=signer).async_sign_pdf(IncrementalPdfFileWriter(io.BytesIO(pdf)), output=out)
    return out.getvalue()


async def attach(world: World, company: Company, agreement: str, pdf: bytes) -> dict[str, Any]:
    return await world.pdf.attach(company.subject, agreement, pdf)


@given(any_terms())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_terms_become_a_pdf_that_carries_their_bytes(value: dict[str, Any]) -> None:
    terms = parse_terms(canonical(value))
    pdf = render(terms)
    reader = PdfFileReader(io.BytesIO(pdf), strict=True)
    assert embedded(reader) == terms.text
    assert terms.sha256 in str(reader.root["/Names"]) + str(reader.trailer["/Info"]["/Subject"])


def test_the_lines_of_a_text_are_laid_out_one_by_one() -> None:
    """One paragraph of all lines took two minutes of a processor: whoever may draft could have stopped the gateway."""
    longest = "\n".join(["x" * 19] * MOST_LINES)
    laid_out = _flow(readable(parse_terms(canonical({**FULL, "liability": longest})), "en"))
    assert sum(getattr(one, "text", "").endswith("x" * 19) for one in laid_out) == MOST_LINES
    assert not any("<br" in getattr(one, "text", "") for one in laid_out)
    with pytest.raises(Invalid, match="terms_text_malformed"):
        parse_terms(canonical({**FULL, "liability": longest + "\nx"}))


def test_the_same_terms_give_the_same_file() -> None:
    terms = parse_terms(canonical(FULL))
    assert render(terms) == render(terms)


async def test_each_party_attaches_the_pdf_that_it_signed_with_its_registered_key(world: World) -> None:
    agreement = await world.signed()
    pdf = await world.pdf.rendered(world.bank.subject, agreement)
    assert pdf == await world.pdf.rendered(world.airline.subject, agreement)
    first = await signed(pdf, private(world.airline.key))
    both = await signed(first, private(world.bank.key), field="Two")
    kept = await attach(world, world.airline, agreement, first)
    await attach(world, world.bank, agreement, both)
    assert await world.pdf.signed_by(world.bank.subject, agreement, world.airline.id) == first
    assert await world.pdf.signed_by(world.airline.subject, agreement, world.bank.id) == both
    entries = [one for one in await world.entries() if one.get("act") == "agreement_pdf_attached"]
    assert [one["pdf_sha256"] for one in entries][:1] == [kept["pdf_sha256"]]
    assert {one["trusted_by"] for one in entries} == {"registered_key"}
    manifest = await world.negotiation.archive(world.bank.subject, agreement)
    assert {one["member"] for one in manifest["pdfs"]} == {world.airline.id, world.bank.id}
    assert {one["terms_sha256"] for one in manifest["pdfs"]} == {manifest["terms_sha256"]}
    assert await attach(world, world.airline, agreement, first) == kept, "the same again changes nothing"
    with pytest.raises(Conflicting, match="pdf_attached"):
        await attach(world, world.airline, agreement, await signed(pdf, private(world.airline.key)))
    for stranger in (world.hotel, world.stranger):
        with pytest.raises(NotFound):
            await world.pdf.signed_by(stranger.subject, agreement, world.bank.id)


async def test_a_certificate_that_names_the_company_under_a_trusted_root_is_evidence_too(world: World) -> None:
    from tests.agreements.world import uscc

    agreement = await world.signed()
    pdf = await world.pdf.rendered(world.bank.subject, agreement)
    key = ec.generate_private_key(ec.SECP256R1())
    by_root = (ROOT.subject, ROOT_KEY)
    other = ec.generate_private_key(ec.SECP256R1())
    for certificate in (
        certified(key, "Another company", uscc(3), by_root),
        certified(key, "No company", "", by_root),
        certified(key, "The airline, by itself", uscc(1)),
        certified(key, "The airline, by nobody", uscc(1), (ROOT.subject, other)),
    ):
        with pytest.raises(Invalid, match="pdf_signer_unknown"):
            await attach(world, world.airline, agreement, await signed(pdf, key, certificate=certificate))
    genuine = await signed(pdf, key, certificate=certified(key, "The airline", uscc(1), by_root))
    await attach(world, world.airline, agreement, genuine)
    [entry] = [one for one in await world.entries() if one.get("act") == "agreement_pdf_attached"]
    assert entry["trusted_by"] == "trust_root"


async def test_a_pdf_that_is_not_this_agreement_signed_by_this_member_is_refused_by_name(world: World) -> None:
    agreement, other = await world.signed(), await world.signed(title="Another")
    pdf = await world.pdf.rendered(world.airline.subject, agreement)
    key = private(world.airline.key)
    good = await signed(pdf, key)
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    writer.root["/Lang"] = writer.root["/Type"]
    writer.update_root()  # type: ignore[no-untyped-call]
    altered = io.BytesIO()
    writer.write(altered)  # type: ignore[no-untyped-call]
    refused = {
        "pdf_of_other_terms": await signed(await world.pdf.rendered(world.airline.subject, other), key),
        "pdf_not_signed": pdf,
        "pdf_changed": await signed(altered.getvalue(), key),
        "pdf_not_pades": await signed(pdf, key, subfilter=fields.SigSeedSubFilter.ADOBE_PKCS7_DETACHED),
        "pdf_signature": pdf + good[len(pdf) :].replace(b"/T (One)", b"/T (Own)"),
        "pdf_signer_unknown": await signed(pdf, private(new_key())),
        "pdf_not_covered": good + b"garbage",
        "pdf_unreadable": good[:-60],
    }
    before = await world.entries()
    for code, file in refused.items():
        with pytest.raises(GatewayError) as error:
            await attach(world, world.airline, agreement, file)
        assert error.value.code == code
    with pytest.raises(Invalid, match="pdf_signer_unknown"):
        await attach(world, world.bank, agreement, good)
    assert await world.entries() == before


async def test_another_document_behind_the_agreements_own_is_not_the_agreement(world: World) -> None:
    """What a reader shows is the newest document of a file, whatever stands before it."""
    agreement = await world.signed()
    pdf = await world.pdf.rendered(world.airline.subject, agreement)
    shown = pdf.replace(b"/Rotate 0", b"/Rotate 9")
    assert shown != pdf
    two = pdf + moved(shown, len(pdf))
    with pytest.raises(Invalid, match="pdf_of_other_terms"):
        await attach(world, world.airline, agreement, await signed(two, private(world.airline.key)))


def moved(pdf: bytes, by: int) -> bytes:
    """The same document, to stand `by` bytes behind the beginning of a file."""
    body, table, end = pdf.rpartition(b"\nxref")
    end = re.sub(rb"([0-9]{10}) (?=[0-9]{5} n)", lambda found: b"%010d " % (int(found[1]) + by), end)
    return body + table + re.sub(rb"(?<=startxref\n)([0-9]+)", lambda found: b"%d" % (int(found[1]) + by), end)


async def test_what_was_appended_after_the_signature_is_not_covered(world: World) -> None:
    agreement = await world.signed()
    good = await signed(await world.pdf.rendered(world.airline.subject, agreement), private(world.airline.key))
    writer = IncrementalPdfFileWriter(io.BytesIO(good))
    writer.set_info(writer.add_object(writer.trailer["/Info"]))
    longer = io.BytesIO()
    writer.write(longer)  # type: ignore[no-untyped-call]
    with pytest.raises(Invalid, match=r"pdf_not_covered|pdf_changed"):
        await attach(world, world.airline, agreement, longer.getvalue())


async def test_a_text_that_is_not_fixed_yet_takes_no_pdf(world: World) -> None:
    draft = await world.drafted()
    pdf = await world.pdf.rendered(world.airline.subject, draft)
    file = await signed(pdf, private(world.airline.key))
    with pytest.raises(Conflicting, match="pdf_before_signature"):
        await attach(world, world.airline, draft, file)
    await world.sign(world.airline, draft)
    await attach(world, world.airline, draft, file)


async def test_an_attached_pdf_is_never_rewritten(world: World) -> None:
    agreement = await world.signed()
    pdf = await world.pdf.rendered(world.airline.subject, agreement)
    await attach(world, world.airline, agreement, await signed(pdf, private(world.airline.key)))
    for act in ("UPDATE agreement_pdf SET trusted_by = 'nobody'", "DELETE FROM agreement_pdf"):
        with pytest.raises(Exception, match="archived"):
            async with world.database.transaction() as tx:
                await tx.run(Query(text(act)))


async def test_without_the_extra_a_pdf_is_refused_by_name(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import gateway.agreements.pdf as extra

    monkeypatch.setattr(extra, "find_spec", lambda _: None)
    with pytest.raises(Invalid, match="pdf_not_installed"):
        await world.pdf.rendered(world.bank.subject, await world.signed())


def test_a_hostile_file_is_answered_and_never_breaks() -> None:
    from gateway.agreements.pdf.signed import verify_signed

    terms = parse_terms(canonical(FULL))
    pdf = render(terms)
    good = asyncio.run(signed(pdf, ec.generate_private_key(ec.SECP256R1())))
    tail = good[len(pdf) :]
    for cut in range(0, len(tail), len(tail) // 25):
        for file in (pdf + tail[:cut], pdf + tail[:cut] + b"<<" * 500 + tail[cut:], pdf + tail[:cut] + tail[cut + 9 :]):
            with pytest.raises(Invalid):
                verify_signed(file, pdf, terms.text, [])
