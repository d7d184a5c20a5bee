"""No Docker engine is needed here: what is checked is the text, not that the images start."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from gateway.settings import Settings
from tests.rules.sources import ROOT

_COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
_SERVICES: dict[str, Any] = _COMPOSE["services"]
_SECRET = re.compile(r"PASSWORD|PASSPHRASE|SECRET|TOKEN|KEY$")


def _names(declared: list[Any]) -> set[str]:
    return {entry["source"] if isinstance(entry, dict) else entry for entry in declared}


def test_the_production_set_is_complete() -> None:
    assert set(_SERVICES) == {"nginx", "gateway-1", "gateway-2", "init", "postgresql", "opa", "valkey"}
    assert "noeviction" in _SERVICES["valkey"]["command"]
    assert "fsync=on" in _SERVICES["postgresql"]["command"]
    assert [name for name, service in _SERVICES.items() if "ports" in service] == ["nginx"]


@pytest.mark.parametrize("name", _SERVICES)
def test_a_service_is_hardened(name: str) -> None:
    service = _SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["healthcheck"]
    assert re.search(r":[\w.-]*\d[\w.-]*$", service["image"]), "pinned by a tag with a version"
    assert "privileged" not in service


@pytest.mark.parametrize("name", _SERVICES)
def test_a_service_gets_its_secrets_as_files(name: str) -> None:
    environment = _SERVICES[name].get("environment", {})
    assert [key for key in environment if _SECRET.search(key) and not key.endswith("_FILE")] == []
    assert [value for value in environment.values() if re.search(r"://[^/]*:[^/]*@", value)] == []


@pytest.mark.parametrize("name", _SERVICES)
def test_what_a_service_refers_to_is_declared(name: str) -> None:
    service = _SERVICES[name]
    assert set(service["networks"]) <= set(_COMPOSE["networks"])
    assert _names(service.get("secrets", [])) <= set(_COMPOSE["secrets"])
    assert set(service.get("depends_on", {})) <= set(_SERVICES)
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if not source.startswith("./var/"):
            assert source in _COMPOSE["volumes"] or (ROOT / source).exists(), volume


def test_only_the_proxy_reaches_the_outside() -> None:
    assert [name for name, service in _SERVICES.items() if "outside" in service["networks"]] == ["nginx"]
    assert [name for name, network in _COMPOSE["networks"].items() if not network.get("internal")] == ["outside"]


def test_the_gateway_understands_its_settings() -> None:
    environment = dict(_SERVICES["gateway-1"]["environment"])
    environment["GATEWAY_ISSUER"] = "https://gateway.example"
    environment["GATEWAY_MTLS_ISSUER"] = "https://gateway.example:9443"
    image = re.findall(r"(GATEWAY_\w+)=(\S+)", (ROOT / "Dockerfile").read_text())
    assert len(image) == 2
    settings = Settings.from_environment({**dict(image), **environment})
    assert settings.database_url.startswith("postgresql://")
    assert settings.tls_terminated
    front = _COMPOSE["networks"]["front"]["ipam"]["config"]
    assert [str(network) for network in settings.proxy_networks] == [network["subnet"] for network in front]


@pytest.mark.parametrize("name", ["gateway-1", "gateway-2"])
def test_what_uploads_keep_aside_lies_on_a_volume(name: str) -> None:
    """300,000 rows with one filter keep 30 MB aside; a folder in memory would fill up."""
    service = _SERVICES[name]
    mounted = [volume.split(":")[1] for volume in service["volumes"]]
    assert service["environment"]["SQLITE_TMPDIR"] in mounted


@pytest.mark.parametrize("name", ["gateway-1", "gateway-2"])
def test_the_gateway_may_write_to_its_volumes(name: str) -> None:
    """A new volume has the owner that its folder has in the image; one that is not there would be root's."""
    made = re.search(r"install -d -o gateway -g gateway -m 0700 (.+)", (ROOT / "Dockerfile").read_text())
    assert made is not None
    assert {volume.split(":")[1] for volume in _SERVICES[name]["volumes"]} == set(made[1].split())


def test_the_image_is_locked_and_runs_without_root() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["python:3.11-slim-bookworm"] * 2
    assert "--require-hashes" in text
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE) == ["10001:10001"]
    assert not re.search(r"^(ARG|ENV) .*(PASS|SECRET|TOKEN)", text, re.MULTILINE)
