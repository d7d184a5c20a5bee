"""What two operators do to a client is checked when it is proposed, and again when it is approved, days later perhaps.

And what a client does to its own keys ends no more than it must.
"""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import Conflicting, Invalid, NotFound, Unavailable
from gateway.identity.client_keys import active_keys
from gateway.members.client_acts import registration
from gateway.members.clients import give_keys
from gateway.members.key_source import KeySource
from tests.access.world import Shared
from tests.alliance import new_key, public

_ROTATE = {"type": "alliance_member", "actions": ["rotate"]}


def _source(*keys: Any) -> KeySource:
    return KeySource.of({"jwks": {"keys": [public(key) for key in keys]}}, loopback=False)


async def _put(shared: Shared, *jwks: Any) -> int:
    hotel = shared.hotel
    document = {"client_id": hotel.client, "jwks": {"keys": list(jwks)}}
    answer = await hotel.call("PUT", f"/v1/clients/{hotel.client}", await hotel.token(_ROTATE), json=document)
    return answer.status_code


async def test_an_id_that_is_none_is_given_to_no_client(shared: Shared) -> None:
    for client in ("", "x", "F" * 32, "f" * 31, "f" * 33, f"{'f' * 32}\n"):
        wanted = {**registration(shared.hotel.id, "production", "x", _source(new_key())), "client": client}
        with pytest.raises(Invalid):
            await shared.gateway.approvals.propose(shared.alliance.id, "register_client", wanted, operator="anna")


@pytest.mark.parametrize("act", ["register_client", "add_client_key", "change_client_keys"])
async def test_a_key_that_signs_agreements_by_the_approval_is_no_clients(shared: Shared, act: str) -> None:
    hotel, gateway, key = shared.hotel, shared.gateway, new_key()
    wanted: dict[str, dict[str, Any]] = {
        "register_client": registration(hotel.id, "production", "x", _source(key)),
        "add_client_key": {"client": hotel.client, "jwk": public(key)},
        "change_client_keys": {"client": hotel.client, **_source(key).terms()},
    }
    proposal = await gateway.approvals.propose(shared.alliance.id, act, wanted[act], operator="anna")
    await shared.alliance.by_two("add_signing_key", member=hotel.id, jwk=public(key))
    with pytest.raises(Conflicting, match="client_key_is_signing_key"):
        await gateway.approvals.approve(proposal, operator="bert")
    held = await active_keys(gateway.database, hotel.client)
    assert [one.key.thumbprint for one in held] == [hotel.client_key.thumbprint()]


async def test_a_client_that_publishes_its_keys_is_given_none(shared: Shared) -> None:
    hotel, gateway, key = shared.hotel, shared.gateway, new_key()
    wanted = {"client": hotel.client, "jwk": public(key)}
    before = await gateway.approvals.propose(shared.alliance.id, "add_client_key", wanted, operator="anna")
    moved = {"client": hotel.client, "jwks_uri": "https://keys.example/"}
    await shared.alliance.by_two("change_client_keys", **moved)
    with pytest.raises(Conflicting, match="keys_published"):
        await gateway.approvals.approve(before, operator="bert")
    with pytest.raises(Conflicting, match="keys_published"):
        await gateway.approvals.propose(shared.alliance.id, "add_client_key", wanted, operator="anna")
    entries = [one for one in await shared.entries(shared.alliance.id) if one.get("act") == "client_keys_changed"]
    assert [one["jwks_uri"] for one in entries] == ["https://keys.example/"]


@pytest.mark.parametrize("act", ["add_client_key", "change_client_keys", "name_resource_server"])
async def test_a_client_that_ended_is_changed_by_no_proposal(shared: Shared, act: str) -> None:
    hotel, gateway = shared.hotel, shared.gateway
    wanted: dict[str, dict[str, Any]] = {
        "add_client_key": {"jwk": public(new_key())},
        "change_client_keys": _source(new_key()).terms(),
        "name_resource_server": {"resource": gateway.identity.resource},
    }
    arguments = {"client": hotel.client, **wanted[act]}
    before = await gateway.approvals.propose(shared.alliance.id, act, arguments, operator="anna")
    await gateway.clients.revoke(hotel.client, operator="anna")
    with pytest.raises(Conflicting, match="client_revoked"):
        await gateway.approvals.approve(before, operator="bert")
    with pytest.raises(Conflicting, match="client_revoked"):
        await gateway.approvals.propose(shared.alliance.id, act, arguments, operator="anna")


async def test_keys_end_in_no_change_that_narrows_nobody(shared: Shared) -> None:
    """As when a client has gained a key between the look at its keys and the lock of the log."""
    hotel, gateway = shared.hotel, shared.gateway
    before = await active_keys(gateway.database, hotel.client)
    with pytest.raises(Conflicting, match="keys_moved"):
        async with gateway.ledger.changing(shared.alliance.id) as change:
            await give_keys(change, hotel.client, _source(new_key()), {"operator": "anna"}, ())
    assert await active_keys(gateway.database, hotel.client) == before


async def test_a_key_that_has_not_begun_is_dropped_and_ends_no_token(shared: Shared) -> None:
    deal = await shared.market()
    hotel, old, new = shared.hotel, public(shared.hotel.client_key), public(new_key())
    assert await _put(shared, old, {**new, "nbf": hotel.now + 60}) == 200
    token = await shared.token(deal)
    assert await _put(shared, old) == 200
    assert (await hotel.get(deal.path, token)).status_code == 200


async def test_another_life_of_a_key_that_had_run_out_ends_no_token(shared: Shared) -> None:
    deal = await shared.market()
    hotel, old, new = shared.hotel, public(shared.hotel.client_key), new_key()
    end = hotel.now + 60
    assert await _put(shared, {**old, "exp": end}, public(new)) == 200
    hotel.client_key = new
    shared.clock.pass_seconds(61)
    token = await shared.token(deal)
    assert await _put(shared, {**old, "exp": end - 10}, public(new)) == 200
    assert (await hotel.get(deal.path, token)).status_code == 200


async def test_while_nothing_can_be_written_a_registration_is_told_to_try_again(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    hotel = shared.hotel

    async def full(*_: Any) -> None:
        raise Unavailable("database_unavailable", "The database takes nothing more.")

    monkeypatch.setattr(shared.gateway.clients, "end_itself", full)
    answer = await hotel.call("DELETE", f"/v1/clients/{hotel.client}", await hotel.token(_ROTATE))
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert answer.headers["cache-control"] == "no-store"


async def test_a_client_of_another_alliance_is_not_there_for_any_act(shared: Shared) -> None:
    other = await shared.gateway.members.create_alliance("Another", operator="anna")
    for act, wanted in (
        ("change_client_keys", _source(new_key()).terms()),
        ("name_resource_server", {"resource": shared.gateway.identity.resource}),
    ):
        arguments = {"client": shared.bank.client, **wanted}
        with pytest.raises(NotFound):
            await shared.gateway.approvals.propose(other, act, arguments, operator="anna")
