"""What a signed PDF proves: a PAdES signature over the whole file, and that the file is the agreement's own PDF.

The file must begin with the very bytes that the gateway rendered: so what the signer saw is what the terms say, and
nothing that a stranger wrote is ever parsed but the update that carries the signature. That update must build on those
bytes, not stand beside them, and of it pyHanko's difference analysis must say that it fills in signatures and nothing
else.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asn1crypto import pem, x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.xref import XRefSectionMetaInfo
from pyhanko.sign.diff_analysis import DEFAULT_DIFF_POLICY, ModificationLevel
from pyhanko.sign.validation import async_validate_pdf_signature
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext

from gateway.agreements.pdf.rendering import EMBEDDED
from gateway.errors import Invalid
from gateway.identity import base64url
from gateway.identity.keys import thumbprint

PADES = "/ETSI.CAdES.detached"
_MOST_SIGNATURES = 2
logging.getLogger("pyhanko").setLevel(logging.CRITICAL)  # what a file makes it say is answered, not logged
_ORGANISATION_IDENTIFIER = "organization_identifier"
_SERIAL_NUMBER = "serial_number"


class PdfRefused(Invalid):
    """The PDF is not this agreement, signed by this member."""

    def __init__(self, code: str, detail: str, *, remedy: str | None = None) -> None:
        super().__init__(code, detail, field="pdf", remedy=remedy)


@dataclass(frozen=True, slots=True)
class SignedPdf:
    """A PDF whose newest signature holds. `fingerprint` names its key (RFC 7638), None for another kind of key.

    `identifiers` are what the certificate says of its organisation; they say nothing unless `rooted`, that is, unless
    the certificate leads to a configured root.
    """

    certificate_sha256: str
    fingerprint: str | None
    rooted: bool
    identifiers: tuple[str, ...]


def read_roots(text: bytes) -> list[x509.Certificate]:
    """The certificates of a PEM file; `Invalid` if it holds none or anything else."""
    try:
        found = [x509.Certificate.load(der) for _, _, der in pem.unarmor(text, multiple=True)]
        for one in found:
            one.native  # noqa: B018 - parses it whole
    except ValueError as error:
        raise Invalid("pdf_roots_unreadable", "The trust roots are no PEM certificates.") from error
    return found


def verify_signed(pdf: bytes, rendered: bytes, text: bytes, roots: Sequence[x509.Certificate]) -> SignedPdf:
    """What the newest signature of the file proves; `PdfRefused` names what does not hold. Takes CPU: use a thread."""
    if not pdf.startswith(rendered):
        raise PdfRefused(
            "pdf_of_other_terms",
            "The file does not begin with this agreement's PDF.",
            remedy="Sign the file of /pdf as an update, without rewriting it.",
        )
    try:
        return asyncio.run(_verified(pdf, rendered, text, roots))
    except PdfRefused:
        raise
    except Exception as error:  # whatever a library makes of a file that somebody made
        raise PdfRefused("pdf_unreadable", "The signed file cannot be read.") from error


async def _verified(pdf: bytes, rendered: bytes, text: bytes, roots: Sequence[x509.Certificate]) -> SignedPdf:
    reader = PdfFileReader(io.BytesIO(pdf), strict=True)
    if _first_revision(reader) != _first_revision(PdfFileReader(io.BytesIO(rendered), strict=True)):
        raise PdfRefused("pdf_of_other_terms", "What is signed does not build on the agreement's PDF.")
    signatures = reader.embedded_signatures
    if not 1 <= len(signatures) <= _MOST_SIGNATURES:
        raise PdfRefused("pdf_not_signed", f"The file has 1 to {_MOST_SIGNATURES} signatures.")
    if embedded(reader) != text:
        raise PdfRefused("pdf_of_other_terms", "The embedded terms are not these.")
    review = DEFAULT_DIFF_POLICY.review_file(reader, 0)
    if getattr(review, "modification_level", ModificationLevel.OTHER) > ModificationLevel.FORM_FILLING:
        raise PdfRefused("pdf_changed", "More than a signature was added to the agreement's PDF.")
    for one in signatures:
        await _refuse_unless_it_holds(one, last=one is signatures[-1])
    certificate = signatures[-1].signer_cert
    return SignedPdf(
        certificate_sha256=hashlib.sha256(certificate.dump()).hexdigest(),
        fingerprint=fingerprint_of(certificate),
        rooted=bool(roots) and await _leads_to(signatures[-1], roots),
        identifiers=_identifiers(certificate),
    )


def _first_revision(reader: PdfFileReader) -> XRefSectionMetaInfo:
    """Where the oldest cross-reference section stands: a whole other document behind ours would have its own."""
    return reader.xrefs.get_xref_container_info(0)


def embedded(reader: PdfFileReader) -> bytes:
    """The terms that a PDF carries."""
    names = reader.root["/Names"]["/EmbeddedFiles"]["/Names"]
    if str(names[0]) != EMBEDDED:
        raise PdfRefused("pdf_of_other_terms", "The file carries no terms.")
    return bytes(names[1]["/EF"]["/F"].data)


async def _refuse_unless_it_holds(one: EmbeddedPdfSignature, *, last: bool) -> None:
    if one.sig_object["/SubFilter"] != PADES:
        raise PdfRefused("pdf_not_pades", "The signature is no PAdES signature.", remedy="Sign by ETSI EN 319 142.")
    attributes = {attribute["type"].native for attribute in one.signer_info["signed_attrs"]}
    if "signing_certificate_v2" not in attributes:
        raise PdfRefused("pdf_not_pades", "The signature does not bind its certificate.")
    status = await async_validate_pdf_signature(one, _trusting([one.signer_cert]))
    if not (status.intact and status.valid):
        raise PdfRefused("pdf_signature", "A signature in the file does not hold.")
    wanted = SignatureCoverageLevel.ENTIRE_FILE if last else SignatureCoverageLevel.ENTIRE_REVISION
    if status.coverage < wanted or not status.docmdp_ok:
        raise PdfRefused("pdf_not_covered", "A signature does not cover the whole file.")


async def _leads_to(one: EmbeddedPdfSignature, roots: Sequence[x509.Certificate]) -> bool:
    """A certificate for signing contracts (key usage non-repudiation), valid now, under one of these roots."""
    try:
        status = await async_validate_pdf_signature(one, _trusting(roots))
    except Exception:  # a chain that the library cannot even build leads nowhere
        return False
    return bool(status.trusted)


def _trusting(roots: Sequence[x509.Certificate]) -> ValidationContext:
    """Nothing is fetched: neither certificates nor revocation lists come from an address that a file names."""
    return ValidationContext(trust_roots=list(roots), allow_fetching=False, revocation_mode="soft-fail")


def fingerprint_of(certificate: x509.Certificate) -> str | None:
    """The RFC 7638 thumbprint of an Ed25519 or P-256 key, as signing keys of members are named; None for others."""
    key = certificate.public_key
    if key.algorithm == "ed25519":
        raw: Any = key["public_key"].native
        return thumbprint({"kty": "OKP", "crv": "Ed25519", "x": base64url.encode(raw)})
    if key.algorithm == "ec" and key.curve == ("named", "secp256r1"):
        x, y = key["public_key"].to_coords()
        pair = {name: base64url.encode(value.to_bytes(32)) for name, value in (("x", x), ("y", y))}
        return thumbprint({"kty": "EC", "crv": "P-256", **pair})
    return None


def _identifiers(certificate: x509.Certificate) -> tuple[str, ...]:
    subject = certificate.subject.native
    found = (subject.get(name) for name in (_ORGANISATION_IDENTIFIER, _SERIAL_NUMBER))
    return tuple(one for one in found if isinstance(one, str))
