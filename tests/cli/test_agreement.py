from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.agreements import parse_terms
from gateway.agreements.odrl_export import to_odrl
from gateway.canonical import canonical
from tests.agreements.test_terms import FULL
from tests.cli.conftest import Gateway


@pytest.fixture
def terms(tmp_path: Path) -> Path:
    file = tmp_path / "terms.json"
    file.write_bytes(canonical(FULL))
    return file


def test_terms_are_printed_as_people_read_them(gateway: Gateway, terms: Path) -> None:
    chinese = gateway("agreement", "render", str(terms))
    assert chinese.exit_code == 0
    assert chinese.output.startswith("# 航班数据共享\n")
    english = gateway("agreement", "render", str(terms), "--lang", "en", "--form", "html")
    assert "<dt>Owner of the data</dt><dd>airline</dd>" in english.output
    assert gateway("agreement", "render", str(terms), "--lang", "fr").exit_code == 1


def test_terms_become_a_policy_and_come_back_to_the_byte(gateway: Gateway, terms: Path, tmp_path: Path) -> None:
    policy = gateway("agreement", "odrl", str(terms))
    assert json.loads(policy.output)["profile"] == "urn:alliance-gateway:odrl:1"
    (tmp_path / "policy.json").write_text(policy.output, encoding="utf-8")
    back = gateway("agreement", "odrl", str(tmp_path / "policy.json"), "--back")
    assert back.output.encode() == canonical(FULL)
    assert gateway("agreement", "odrl", str(terms), "--back").exit_code == 1


def test_when_terms_were_agreed_is_said_beside_them(gateway: Gateway, tmp_path: Path) -> None:
    agreed = to_odrl(parse_terms(canonical(FULL)), agreed_at="2026-01-31T00:00:00Z")
    (tmp_path / "policy.json").write_bytes(canonical(agreed))
    back = gateway("agreement", "odrl", str(tmp_path / "policy.json"), "--back")
    assert (back.exit_code, back.stdout.encode()) == (0, canonical(FULL))
    assert "2026-01-31T00:00:00Z" in back.stderr


def test_terms_become_a_pdf(gateway: Gateway, terms: Path, tmp_path: Path) -> None:
    out = tmp_path / "agreement.pdf"
    assert gateway("agreement", "pdf", str(terms), "--out", str(out)).exit_code == 0
    assert out.read_bytes().startswith(b"%PDF-")


def test_what_is_no_terms_is_refused_in_a_sentence(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"{}")
    answer = gateway("agreement", "render", str(tmp_path / "x"))
    assert answer.exit_code == 1
    assert "Traceback" not in answer.output
