"""The demo's chapters about a customer, in a small town: each of their lines checks what it tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.demo import people, referral, run, story
from gateway.demo.run import run_demo
from gateway.demo.story import Story
from tests.services import free_port

TOWN, CONSENTING = 900, 120


def test_a_customer_is_referred_let_go_and_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def customers_alone(told: Story) -> None:
        told._upload_customers()
        told._agree_on_customers()

    monkeypatch.setattr(people, "PEOPLE", TOWN)
    monkeypatch.setattr(story, "CONSENTING", CONSENTING)
    monkeypatch.setattr(referral, "CONSENTING", CONSENTING)
    monkeypatch.setattr(Story, "tell", customers_alone)
    monkeypatch.setattr(run, "_prove", lambda *_: None)
    monkeypatch.setattr(run, "_reads", lambda *_: ([], []))
    folder = tmp_path / "alliance"
    run_demo(serve=False, out=folder, port=free_port(), picture=None)
    told = " ".join(capsys.readouterr().out.split())
    for line in ("consent_pending", "CONSENT_REQUIRED", "signed webhook", "overdue, one breach candidate", "held"):
        assert line in told
    assert [path.name for path in (folder / "data").glob("gateway.db")] == ["gateway.db"]
    assert (folder / "termination-receipt.jws").read_text().count(".") == 2
    assert len(json.loads((folder / "alliance.json").read_text())["members"]) == 4
