"""An agreement as a PDF in both languages, with the exact bytes that are signed embedded in it.

The same terms give the same file, byte for byte, with the same version of ReportLab (nothing is compressed, for that
depends on the zlib at hand): so a signed PDF can be held against it. Chinese is set in the standard CID font
STSong-Light, which a PDF names and a reader brings along.
"""

from __future__ import annotations

import io
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.pdfdoc import PDFArray, PDFBase85Encode, PDFDictionary, PDFName, PDFStream, PDFString
from reportlab.platypus import Flowable, PageBreak, Paragraph, SimpleDocTemplate, Spacer

from gateway.agreements.readable import LANGUAGES, Readable, readable
from gateway.agreements.terms import Terms

EMBEDDED = "terms.json"
_FONT = "STSong-Light"
_MARGIN = 56
_TITLE = ParagraphStyle("title", fontName=_FONT, fontSize=16, leading=22, wordWrap="CJK", spaceAfter=8)
_HEADING = ParagraphStyle("heading", fontName=_FONT, fontSize=12, leading=17, wordWrap="CJK", spaceBefore=8)
_BODY = ParagraphStyle("body", fontName=_FONT, fontSize=9.5, leading=14, wordWrap="CJK", spaceAfter=2)


def render(terms: Terms) -> bytes:
    """The PDF: Chinese, then English; `terms.json` embedded, and its digest in the file's subject."""
    pdfmetrics.registerFont(UnicodeCIDFont(_FONT))
    file = io.BytesIO()
    document = SimpleDocTemplate(
        file,
        pagesize=A4,
        invariant=1,
        pageCompression=0,
        title=terms.title,
        author="Alliance Gateway",
        subject=f"SHA-256 of {EMBEDDED}: {terms.sha256}",
        **dict.fromkeys(("leftMargin", "rightMargin", "topMargin", "bottomMargin"), _MARGIN),
    )
    story: list[Flowable] = []
    for language in reversed(LANGUAGES):
        story += [*_flow(readable(terms, language)), PageBreak()]
    document.build(story[:-1], onFirstPage=lambda canvas, _: _embed(canvas, terms.text))
    return file.getvalue()


def _flow(document: Readable) -> list[Flowable]:
    flow: list[Flowable] = [Paragraph(escape(document.title), _TITLE)]
    for section in document.sections:
        flow.append(Paragraph(escape(section.heading), _HEADING))
        flow += [Paragraph(line, _BODY) for label, value in section.lines for line in _lines(label, value)]
    return [*flow, Spacer(1, 8)]


def _lines(label: str, value: str) -> list[str]:
    """Each line a paragraph of its own: one of many lines would be laid out anew on every page that it reaches."""
    return [escape(line) or "&nbsp;" for line in f"{label}: {value}".split("\n")]


def _embed(canvas: Any, text: bytes) -> None:
    """The bytes as an embedded file (ISO 32000-1 section 7.11.4), and an empty form for signatures to come."""
    document = canvas._doc
    stream = PDFStream(
        dictionary=PDFDictionary({"Type": PDFName("EmbeddedFile")}), content=text, filters=[PDFBase85Encode]
    )
    file = document.Reference(stream, "TermsFile")
    named = PDFDictionary(
        {
            "Type": PDFName("Filespec"),
            "F": PDFString(EMBEDDED),
            "UF": PDFString(EMBEDDED),
            "AFRelationship": PDFName("Source"),
            "EF": PDFDictionary({"F": file}),
        }
    )
    names = PDFDictionary({"Names": PDFArray([PDFString(EMBEDDED), document.Reference(named, "TermsSpec")])})
    document.Catalog.Names = PDFDictionary({"EmbeddedFiles": names})
    form = PDFDictionary({"Fields": PDFArray([]), "SigFlags": 3})
    document.Catalog.AcroForm = document.Reference(form, "Form")
