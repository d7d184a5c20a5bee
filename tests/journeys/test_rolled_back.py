"""A database put back in time is neither read, nor written to, nor signed; the loop that sees to it stays alive."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.app import compose
from gateway.cli.host import open_keyring
from gateway.database import Database
from gateway.ledger import LedgerRolledBack
from gateway.ledger.integrator import STUCK_AFTER_S, Integrator
from tests.alliance import MARKET_SCHEMA, PERSONAL_SCHEMA, Alliance, Member, founded
from tests.confiding import confided, done, file

NUMBERS = range(3)
PEOPLE = [
    {"customer_no": f"C{n}", "name": f"name {n}", "phone": f"1380013800{n}", "id_number": f"{n}"} for n in NUMBERS
]


@asynccontextmanager
async def _shared(folder: Path) -> AsyncIterator[tuple[Alliance, Member, Member, str, str]]:
    async with founded(folder) as alliance:
        bank, hotel = alliance.members["bank"], alliance.members["hotel"]
        dataset = await bank.declare(PERSONAL_SCHEMA)
        assert (await bank.upload(dataset, PEOPLE)).status_code == 201
        agreement = await bank.agree(hotel, dataset, ["name", "phone"], purposes=["customer_referral"])
        await bank.consent(dataset, hotel, *(person["customer_no"] for person in PEOPLE))
        await alliance.gateway.integrator.integrate_all()
        yield alliance, bank, hotel, agreement, dataset


async def _read(hotel: Member, agreement: str, dataset: str) -> Any:
    token = await hotel.token(hotel.under(agreement, dataset, "customer_referral"))
    return await hotel.get(f"/v1/agreements/{agreement}/datasets/{dataset}/records", token)


def _copy(source: Path, target: Path) -> None:
    with sqlite3.connect(source) as from_, sqlite3.connect(target) as to:
        from_.backup(to)


async def test_a_forgotten_withdrawal_is_not_honoured_by_the_first_read_after_it(tmp_path: Path) -> None:
    """The process that wrote the withdrawal knows how long the log was, before any signature tells it."""
    async with _shared(tmp_path) as (alliance, bank, hotel, agreement, dataset):
        path = alliance.gateway.settings.sqlite_path
        _copy(path, tmp_path / "older.db")
        assert (await bank.withdraw(dataset, "C1")).status_code == 200
        token = await hotel.token(hotel.under(agreement, dataset, "customer_referral"))
        _copy(tmp_path / "older.db", path)
        answer = await hotel.get(f"/v1/agreements/{agreement}/datasets/{dataset}/records", token)
        assert answer.status_code == 503, answer.text
        assert "name 1" not in answer.text


async def test_a_person_whose_leaving_was_forgotten_reads_no_secret_of_an_owner_whose_log_it_is_not_in(
    tmp_path: Path,
) -> None:
    async with founded(tmp_path) as alliance:
        bank, hotel, gateway = alliance.members["bank"], alliance.members["hotel"], alliance.gateway
        fields = {"plan": {"type": "string", "x-class": "secret", "x-grade": 2, "x-confidentiality": "financial"}}
        dataset = await bank.declare(MARKET_SCHEMA | {"properties": fields})
        assert (await bank.upload(dataset, [{"plan": "the secret plan"}])).status_code == 201
        agreement = await bank.agree(hotel, dataset, ["plan"])
        person = await confided(hotel, agreement, dataset, bank.id)
        token = await hotel.token(hotel.under(agreement, dataset) | {"person": person})
        path = f"/v1/agreements/{agreement}/datasets/{dataset}/records"
        assert "the secret plan" in (await hotel.get(path, token)).text
        await gateway.integrator.integrate_all()
        _copy(gateway.settings.sqlite_path, tmp_path / "older.db")
        done(await file(hotel, f"/v1/persons/{person}", method="DELETE"))
        await gateway.integrator.integrate_all(grown_only=True)
        _copy(tmp_path / "older.db", gateway.settings.sqlite_path)
        await gateway.integrator.integrate_all(grown_only=True)
        answer = await hotel.get(path, token)
        assert answer.status_code == 503, answer.text
        assert answer.json()["code"] == "ledger_rolled_back"
        assert "the secret plan" not in answer.text


async def test_a_database_that_shrank_is_noticed_by_the_next_round_and_told(tmp_path: Path) -> None:
    async with _shared(tmp_path) as (alliance, bank, _, _, dataset):
        integrator = alliance.gateway.integrator
        path = alliance.gateway.settings.sqlite_path
        _copy(path, tmp_path / "older.db")
        await bank.withdraw(dataset, "C1")
        await integrator.integrate_all(grown_only=True)
        _copy(tmp_path / "older.db", path)
        await integrator.integrate_all(grown_only=True)
        assert bank.id in integrator.incidents
        with pytest.raises(LedgerRolledBack):
            integrator.check()
        assert (await alliance.http.get("/healthz")).status_code == 503


async def test_an_operator_cannot_write_to_it_either(tmp_path: Path) -> None:
    async with _shared(tmp_path) as (alliance, bank, hotel, _, dataset):
        settings = alliance.gateway.settings
        _copy(settings.sqlite_path, tmp_path / "older.db")
        await bank.withdraw(dataset, "C1")
        await alliance.gateway.integrator.integrate_all()
    _copy(tmp_path / "older.db", settings.sqlite_path)
    async with compose(settings, open_keyring(settings), process="admin") as gateway:
        await gateway.integrator.integrate_all()
        with pytest.raises(LedgerRolledBack):
            await gateway.members.suspend(hotel.id, case="c-1", operator="test")


async def test_the_background_loop_outlives_whatever_the_database_does(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = 0

    class Failing:
        async def all(self, *_: Any, **__: Any) -> list[Any]:
            nonlocal rounds
            rounds += 1
            raise RuntimeError("whatever")

    async def no_signer(_: str) -> Any:
        raise AssertionError

    monkeypatch.setattr("gateway.ledger.integrator.INTERVAL_S", 0.01)
    integrator = Integrator(Failing(), lambda: 0, no_signer, tmp_path / "heads")  # type: ignore[arg-type]
    integrator.start()
    async with asyncio.timeout(30):
        while rounds < 3:
            await asyncio.sleep(0.01)
    integrator.check()
    integrator._round_at -= STUCK_AFTER_S
    with pytest.raises(Exception, match="not been signed"):
        integrator.check()
    await integrator.close()


async def test_an_alliance_without_an_active_policy_answers_503_to_its_parties(tmp_path: Path) -> None:
    async with _shared(tmp_path) as (alliance, _, hotel, agreement, dataset):
        with sqlite3.connect(alliance.gateway.settings.sqlite_path) as connection:
            connection.execute("DELETE FROM active_policy")
        assert (await _read(hotel, agreement, dataset)).status_code == 503
