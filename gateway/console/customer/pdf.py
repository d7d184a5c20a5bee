"""The customer's record as a PDF to read and print; needs the extra `pdf`.

Chinese is set in the standard CID font STSong-Light, which a PDF names and a reader brings along.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final
from xml.sax.saxutils import escape

from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate

from gateway.console.customer.answers import when
from gateway.console.customer.views import Holding, Record, Suggestion
from gateway.console.customer.words import say

_FONT: Final = "STSong-Light"
_MARGIN: Final = 56
_TITLE: Final = ParagraphStyle("title", fontName=_FONT, fontSize=16, leading=22, wordWrap="CJK", spaceAfter=8)
_HEADING: Final = ParagraphStyle("heading", fontName=_FONT, fontSize=12, leading=17, wordWrap="CJK", spaceBefore=10)
_BODY: Final = ParagraphStyle("body", fontName=_FONT, fontSize=9.5, leading=14, wordWrap="CJK", spaceAfter=3)

_Say = Callable[..., str]


def rendered(record: Record, language: str) -> bytes:
    """What the pages show, on paper: consents, what ended, what was passed on and suggested, who is responsible."""
    pdfmetrics.registerFont(UnicodeCIDFont(_FONT))
    t: _Say = partial(say, language)
    story: list[Flowable] = [Paragraph(escape(t("title")), _TITLE)]
    for heading, lines in _sections(record, language):
        story.append(Paragraph(escape(heading), _HEADING))
        story += [Paragraph(escape(line), _BODY) for line in lines]
    file = io.BytesIO()
    margins = dict.fromkeys(("leftMargin", "rightMargin", "topMargin", "bottomMargin"), _MARGIN)
    SimpleDocTemplate(file, pagesize=A4, title=t("title"), author="Alliance Gateway", lang=language, **margins).build(
        story
    )
    return file.getvalue()


def _sections(record: Record, language: str) -> Iterator[tuple[str, list[str]]]:
    t: _Say = partial(say, language)
    colon, comma = ("：", "、") if language == "zh" else (": ", ", ")

    def told(one: Holding) -> Iterator[str]:
        yield f"{one.recipient}{colon}{one.purpose}"
        if one.fields:
            yield f"{t('what')}{colon}{comma.join(one.fields)}"
        if one.channels:
            yield f"{t('ways')}{colon}{comma.join(t(f'channel_{channel}') for channel in one.channels)}"
        if one.given_at is not None:
            yield f"{t('since')}{colon}{when(language, one.given_at)}"
        if one.state == "given":
            end = t("no_end") if one.expires_at is None else when(language, one.expires_at)
            yield f"{t('until')}{colon}{end}"
        else:
            yield f"{t('state_' + one.state)}{colon}{when(language, one.changed_at)}"
        for step in one.progress:
            yield f"{step.recipient} {t('progress_' + step.state)}"

    def suggested(one: Suggestion) -> Iterator[str]:
        yield f"{when(language, one.at)} {one.member}"
        for product in one.products:
            yield f"{product.name}{colon}{comma.join(product.reasons)}" if product.reasons else product.name
        if one.fields:
            yield t("suggested_fields", fields=comma.join(one.fields))
        else:
            yield t("suggested_without" if one.is_personal else "suggested_generic")

    yield t("given"), [line for one in record.given for line in told(one)] or [t("given_none")]
    yield t("followed"), [line for one in record.followed for line in told(one)] or [t("followed_none")]
    passed = [f"{when(language, one.at)} {one.recipient}{colon}{comma.join(one.fields)}" for one in record.disclosures]
    yield t("disclosures"), passed or [t("disclosures_none")]
    switched = [f"{one.name}{colon}{t('switch_is_off' if one.is_off else 'switch_is_on')}" for one in record.switches]
    yield t("suggestions"), switched
    yield t("suggested"), [line for one in record.suggestions for line in suggested(one)] or [t("suggested_none")]
    yield t("complain"), [f"{one.name}{colon}{one.contact}" for one in record.officers] + [t("authority")]
