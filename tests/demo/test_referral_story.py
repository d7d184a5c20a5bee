"""The demo's chapters about a customer, in a small town: each of their lines checks what it tells."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gateway.demo import people, referral, run, story
from gateway.demo.run import run_demo
from gateway.demo.story import Story
from tests.services import free_port

TOWN, CONSENTING = 900, 120
CODE = re.compile(r"code ((?:[A-Z2-9]{4}-){7}[A-Z2-9]{4}), for one hour, at http://localhost:[0-9]+/console/enrol")


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
    alliance = json.loads((folder / "alliance.json").read_text())
    assert len(alliance["members"]) == 4
    assert alliance["console"]["url"] == alliance["issuer"].replace("127.0.0.1", "localhost") + "/console"
    assert [one["role"] for one in alliance["console"]["sign_in"]] == ["administrator", "compliance officer"]
    assert all(CODE.search(one["how"]) for one in alliance["console"]["sign_in"])
    assert (folder / "alliance.json").stat().st_mode & 0o077 == 0, "it holds codes"
