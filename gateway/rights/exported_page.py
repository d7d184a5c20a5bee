"""An export for people: one HTML page without scripts, styles of elsewhere or links, everything escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "zh-CN": {
        "title": "您的数据副本",
        "about": "由联盟网关导出。签名的回执可以离线验证。",
        "consents": "同意记录",
        "disclosures": "提供记录",
        "followed": "撤回、更正、删除的落实",
        "requests": "您的请求",
        "tasks": "接收方的答复",
        "none": "无",
    },
    "en": {
        "title": "A copy of your data",
        "about": "Exported by Alliance Gateway. The signed receipts can be verified offline.",
        "consents": "Consents",
        "disclosures": "Disclosures",
        "followed": "What became of withdrawals, corrections and erasures",
        "requests": "Your requests",
        "tasks": "Answers of recipients",
        "none": "None",
    },
}
PARTS: Final = ("consents", "disclosures", "followed", "requests", "tasks")
_STYLE: Final = (
    "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}th,td{border:1px solid #767676;padding:.3rem;text-align:left;"
    "vertical-align:top;overflow-wrap:anywhere}"
)


def page_of(document: Mapping[str, Any], language: str) -> bytes:
    """The page of an export's document: each of `PARTS` as a table."""
    words = _WORDS[language]
    parts = "".join(f"<h2>{escape(words[name])}</h2>{_table(document[name], words)}" for name in PARTS)
    head = f'<meta charset="utf-8"><title>{escape(words["title"])}</title><style>{_STYLE}</style>'
    body = f"<h1>{escape(words['title'])}</h1><p>{escape(words['about'])}</p>{parts}"
    return f'<!doctype html><html lang="{language}"><head>{head}</head><body>{body}</body></html>\n'.encode()


def _table(rows: Sequence[Mapping[str, Any]], words: Mapping[str, str]) -> str:
    if not rows:
        return f"<p>{escape(words['none'])}</p>"
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    body = "".join("<tr>" + "".join(f"<td>{_text(row.get(name))}</td>" for name in names) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list | tuple):
        return escape(", ".join(map(str, value)))
    return escape(str(value))
