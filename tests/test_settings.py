"""Settings refuse to describe an insecure gateway."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from gateway.errors import Invalid
from gateway.settings import Settings

_TLS = {"GATEWAY_TLS_TERMINATED": "true", "GATEWAY_ISSUER": "https://gateway.example"}
_PROXY = {"GATEWAY_PROXY_ADDRESSES": "10.0.0.7, 10.1.0.0/28", "GATEWAY_PROXY_SECRET_FILE": "proxy_secret"}
_MTLS = "https://gateway.example:9443"
_OIDC = {
    "GATEWAY_OIDC_ISSUER": "https://company.example",
    "GATEWAY_OIDC_CLIENT_ID": "gateway",
    "GATEWAY_OIDC_ACR": "phr",
}
_DATABASE = {"GATEWAY_DATABASE_URL": "postgresql://gateway@db/gateway"}


def _refused(environment: dict[str, str]) -> Invalid:
    with pytest.raises(Invalid) as refusal:
        Settings.from_environment(environment)
    return refusal.value


def test_nothing_given_is_a_gateway_on_loopback() -> None:
    settings = Settings.from_environment({"PATH": "/bin"})
    assert settings.base_url == "http://127.0.0.1:8700"
    assert settings.sqlite_path == Path("var/gateway.db")
    assert settings.keyring_path == Path("var/keyring.json")
    assert settings.heads_path == Path("var/heads")
    assert settings.open_logs is False


def test_a_secret_in_the_environment_is_refused_and_not_quoted() -> None:
    error = _refused({"GATEWAY_PASSPHRASE": "correct horse"})
    assert (error.code, error.field) == ("secret_in_environment", "GATEWAY_PASSPHRASE")
    assert "correct horse" not in f"{error} {error.detail} {error.remedy}"


@pytest.mark.parametrize(
    ("code", "environment"),
    [
        ("unknown_setting", {"GATEWAY_OPEN_LOG": "true"}),
        ("insecure_oidc_issuer", _OIDC | {"GATEWAY_OIDC_ISSUER": "http://company.example"}),
        ("insecure_oidc_issuer", _OIDC | {"GATEWAY_OIDC_ISSUER": "https://user@company.example"}),
        ("insecure_oidc_issuer", _OIDC | {"GATEWAY_OIDC_ISSUER": "https://company.example?a=b"}),
        ("oidc_client_missing", _OIDC | {"GATEWAY_OIDC_CLIENT_ID": ""}),
        ("oidc_algorithm_refused", _OIDC | {"GATEWAY_OIDC_ALGORITHM": "HS256"}),
        ("oidc_algorithm_refused", _OIDC | {"GATEWAY_OIDC_ALGORITHM": "none"}),
        ("oidc_strength_unstated", _OIDC | {"GATEWAY_OIDC_ACR": " "}),
        ("invalid_setting", {"GATEWAY_PORT": "80a"}),
        ("invalid_setting", {"GATEWAY_OPEN_LOGS": "yes"}),
        ("insecure_listener", {"GATEWAY_HOST": "0.0.0.0"}),
        ("insecure_listener", {"GATEWAY_HOST": "gateway.example", "GATEWAY_ISSUER": "https://gateway.example"}),
        ("insecure_issuer", {"GATEWAY_ISSUER": "http://gateway.example"}),
        ("insecure_issuer", {"GATEWAY_HOST": "0.0.0.0", "GATEWAY_TLS_TERMINATED": "true"}),
        ("invalid_issuer", {"GATEWAY_ISSUER": "https://user@gateway.example"}),
        ("invalid_issuer", {"GATEWAY_ISSUER": "https://gateway.example/"}),
        ("invalid_issuer", {"GATEWAY_ISSUER": "https://gateway.example?a=b"}),
        ("invalid_database_url", {"GATEWAY_DATABASE_URL": "mysql://db", "GATEWAY_VALKEY_URL": "valkey://v"}),
        ("replay_not_shared", _DATABASE),
        ("passphrase_beside_data", {"GATEWAY_DATA_DIR": "data", "GATEWAY_PASSPHRASE_FILE": "data/in/passphrase"}),
        ("passphrase_beside_data", {"GATEWAY_DATA_DIR": "a/data", "GATEWAY_PASSPHRASE_FILE": "a/b/../data/passphrase"}),
        ("open_logs_not_loopback", {"GATEWAY_OPEN_LOGS": "true", "GATEWAY_HOST": "0.0.0.0", **_TLS}),
        ("open_logs_not_loopback", {"GATEWAY_OPEN_LOGS": "true", **_TLS}),
        (
            "open_logs_not_loopback",
            {
                "GATEWAY_OPEN_LOGS": "true",
                "GATEWAY_HOST": "0.0.0.0",
                "GATEWAY_TLS_TERMINATED": "true",
                "GATEWAY_ISSUER": "http://localhost:8700",
            },
        ),
        ("proxy_not_trusted", {"GATEWAY_HOST": "0.0.0.0", **_TLS}),
        ("proxy_not_trusted", {"GATEWAY_MTLS_ISSUER": _MTLS}),
        ("half_a_proxy", {"GATEWAY_PROXY_ADDRESSES": "10.0.0.7"}),
        ("half_a_proxy", {"GATEWAY_PROXY_SECRET_FILE": "proxy_secret"}),
        ("invalid_proxy_addresses", {**_PROXY, "GATEWAY_PROXY_ADDRESSES": "the proxy"}),
        ("invalid_proxy_addresses", {**_PROXY, "GATEWAY_PROXY_ADDRESSES": "10.1.0.1/28"}),
        ("invalid_mtls_issuer", {**_PROXY, "GATEWAY_MTLS_ISSUER": "http://gateway.example:9443"}),
        ("invalid_mtls_issuer", {**_PROXY, "GATEWAY_MTLS_ISSUER": f"{_MTLS}/"}),
        ("invalid_rate", {"GATEWAY_CLIENT_RATE": "0"}),
        ("invalid_opa_timeout", {"GATEWAY_OPA_TIMEOUT_MS": "0"}),
        ("invalid_opa_timeout", {"GATEWAY_OPA_TIMEOUT_MS": "10001"}),
        ("invalid_rate", {"GATEWAY_STRANGER_BURST": "0"}),
        ("invalid_setting", {"GATEWAY_PORT": "9" * 5000}),
        ("invalid_port", {"GATEWAY_PORT": "0"}),
        ("invalid_port", {"GATEWAY_PORT": "65536"}),
        ("invalid_port", {"GATEWAY_SMTP_PORT": "70000"}),
        ("invalid_url", {"GATEWAY_ISSUER": "http://[::1"}),
        ("invalid_url", {"GATEWAY_ISSUER": "http://127.0.0.1:99999999"}),
        ("invalid_url", {"GATEWAY_MTLS_ISSUER": "https://gateway.example:port"}),
        ("invalid_url", {"GATEWAY_OIDC_ISSUER": "https://[company"}),
        ("invalid_url", {"GATEWAY_SMS_URL": "https://[sms"}),
        ("invalid_url", {"GATEWAY_OPA_URL": "opa:8181"}),
        ("invalid_url", {"GATEWAY_OPA_URL": "http://127.0.0.1:port"}),
        ("invalid_url", {"GATEWAY_VALKEY_URL": "valkey"}),
        ("invalid_url", {"GATEWAY_VALKEY_URL": "https://valkey"}),
    ],
)
def test_an_insecure_or_mistaken_setting_is_refused(code: str, environment: dict[str, str]) -> None:
    error = _refused(environment)
    assert error.code == code
    assert error.field is not None
    assert error.field.startswith("GATEWAY_")


def test_the_password_in_an_address_is_not_quoted() -> None:
    error = _refused({"GATEWAY_VALKEY_URL": "valkey://:correct:horse@valkey:port"})
    assert error.field == "GATEWAY_VALKEY_URL"
    assert not {"correct", "horse"} & set(re.findall("[a-z]+", f"{error} {error.detail} {error.remedy}"))
    assert error.__cause__ is None


def test_the_address_of_ipv6_is_a_url() -> None:
    assert Settings.from_environment({"GATEWAY_HOST": "::1"}).base_url == "http://[::1]:8700"
    with pytest.raises(Invalid, match="insecure_issuer"):
        Settings.from_environment({"GATEWAY_HOST": "[::2]", "GATEWAY_TLS_TERMINATED": "true"})


@pytest.mark.parametrize(
    "environment",
    [
        {"GATEWAY_HOST": "0.0.0.0", **_TLS, **_PROXY},
        {**_PROXY, "GATEWAY_MTLS_ISSUER": _MTLS},
        {**_DATABASE, "GATEWAY_VALKEY_URL": "valkey://v:6379/0"},
        {"GATEWAY_VALKEY_URL": "unix:///run/valkey.sock", "GATEWAY_OPA_URL": "http://opa:8181"},
        {"GATEWAY_HOST": "::1"},
        {"GATEWAY_OPEN_LOGS": "true"},
        {"GATEWAY_OPEN_LOGS": "true", "GATEWAY_HOST": "::1", "GATEWAY_ISSUER": "http://localhost:8700"},
        {"GATEWAY_DATA_DIR": "data", "GATEWAY_PASSPHRASE_FILE": "secrets/passphrase"},
    ],
)
def test_a_sound_setting_is_taken(environment: dict[str, str]) -> None:
    Settings.from_environment(environment)


def test_containers_are_healthy_only_when_the_gateway_says_so() -> None:
    compose = yaml.safe_load((Path(__file__).resolve().parents[1] / "docker-compose.yml").read_text())
    for name in ("gateway-1", "gateway-2"):
        assert "http://127.0.0.1:8700/healthz" in compose["services"][name]["healthcheck"]["test"][-1]
