"""Clients that we did not write go the whole way: discover, token, protected call, introspection, revocation.

npm's openid-client and oauth4webapi, and PyPI's requests_oauth2client, against `gateway serve`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from jwskate import Jwk
from requests_oauth2client import DPoPToken, OAuth2Client, PrivateKeyJwt
from requests_oauth2client.dpop import RepeatedDPoPNonce

from tests.conformance.suite import Server
from tests.services import node
from tests.services.or_skip import or_skip

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

CLIENTS = Path(__file__).parent / "clients"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    serving = Server()
    asyncio.run(serving.found())
    with serving:
        yield serving


@pytest.fixture(scope="module")
def scripts() -> Path:
    """The scripts beside their packages."""
    return or_skip(node.installed, CLIENTS)


def _hotel(server: Server) -> dict[str, Any]:
    alliance = json.loads(server.alliance_file.read_text())
    return next(one for one in alliance["members"] if one["jwk_file"] == "hotel.jwk.json")


def _said(scripts: Path, server: Server, script: str) -> dict[str, Any]:
    done = node.run(scripts / script, str(server.alliance_file), "hotel")
    assert done.returncode == 0, done.stderr + done.stdout
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def _check_whole_way(said: dict[str, Any], server: Server) -> None:
    hotel = _hotel(server)
    assert said["issuer"] == server.url
    assert said["type"].lower() == "dpop"
    assert said["details"] == hotel["authorization_details"]
    assert (said["status"], said["records"]) == (200, 2)
    known = said["introspection"]
    assert known["active"] is True
    assert known["client_id"] == hotel["client_id"]
    assert known["authorization_details"] == hotel["authorization_details"]
    assert known["cnf"]["jkt"]
    assert said["afterwards"]["active"] is False
    assert said["refused"] == 401


def test_openid_client_goes_the_whole_way(server: Server, scripts: Path) -> None:
    said = _said(scripts, server, "with_openid_client.mjs")
    _check_whole_way(said, server)
    assert said["challenged"] == 2  # one nonce of each server, answered by the library itself


def test_oauth4webapi_goes_the_whole_way(server: Server, scripts: Path) -> None:
    said = _said(scripts, server, "with_oauth4webapi.mjs")
    _check_whole_way(said, server)
    assert said["challenged"] == 2
    assert said["signed"] == said["introspection"]


def test_oauth4webapi_accepts_our_token_and_refuses_every_mutated_one(server: Server, scripts: Path) -> None:
    verdicts: dict[str, bool] = _said(scripts, server, "with_oauth4webapi.mjs")["validation"]
    assert len(verdicts) == 23, sorted(verdicts)
    assert [name for name, accepted in verdicts.items() if accepted] == ["unchanged"]


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def test_requests_oauth2client_goes_the_whole_way(server: Server, http: requests.Session) -> None:
    hotel = _hotel(server)
    key = Jwk(json.loads((server.directory / hotel["jwk_file"]).read_text())).with_kid_thumbprint()
    client = OAuth2Client.from_discovery_document(
        http.get(f"{server.url}/.well-known/oauth-authorization-server", timeout=5).json(),
        issuer=server.url,
        auth=PrivateKeyJwt(hotel["client_id"], key, alg="ES256", aud=server.url),
        dpop_bound_access_tokens=True,
        testing=True,
        session=http,
    )
    token = client.client_credentials(authorization_details=json.dumps(hotel["authorization_details"]))
    assert isinstance(token, DPoPToken)
    read = hotel["reads"][0]

    def call(auth: Any) -> requests.Response:
        return http.get(read["url"], params={"purpose": read["purpose"]}, auth=auth, timeout=5)

    answer = call(token)
    assert answer.status_code == 200, answer.text
    known = client.introspect_token(token.access_token)
    assert client.revoke_access_token(token.access_token)
    with pytest.raises(RepeatedDPoPNonce) as refused:  # the library takes every 401 of DPoP for a nonce challenge
        call(token)
    refused.value.response.close()
    said = {
        "issuer": client.issuer,
        "type": token.token_type,
        "details": token.authorization_details,
        "status": answer.status_code,
        "records": len(answer.json()["records"]),
        "introspection": known,
        "afterwards": client.introspect_token(token.access_token),
        "refused": refused.value.response.status_code,
    }
    _check_whole_way(said, server)


def test_the_lock_names_no_registry() -> None:
    for folder in (CLIENTS, Path(__file__).parents[2] / "bench" / "oidc_provider"):
        package = json.loads((folder / "package.json").read_text())
        locked = json.loads((folder / "package-lock.json").read_text())["packages"]
        named = {name.removeprefix("node_modules/"): one for name, one in locked.items() if name}
        wanted = {**package["dependencies"], **package.get("optionalDependencies", {})}
        assert {name: named[name]["version"] for name in wanted} == wanted
        assert all(one["integrity"].startswith("sha512-") and "resolved" not in one for one in named.values())
