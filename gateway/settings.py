"""One frozen `Settings`, read once at the entry point; it refuses to describe an insecure gateway."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from gateway.addresses import is_loopback, is_url
from gateway.errors import Invalid

_PREFIX = "GATEWAY_"
_SECRETS = ("GATEWAY_PASSPHRASE",)
_LONGEST_PERIOD = 3660
_LONGEST_DECISION_MS = 10_000
_LONGEST_NUMBER = 9
_HIGHEST_PORT = 65535
_URLS: Mapping[str, tuple[str, ...]] = {
    "issuer": (),
    "mtls_issuer": (),
    "oidc_issuer": (),
    "sms_url": (),
    "opa_url": ("http", "https"),
    "valkey_url": ("valkey", "valkeys", "redis", "rediss", "unix"),
}
"""The settings that are URLs, and the schemes of those whose scheme is not looked at elsewhere."""
_OIDC_ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where things are. Every field has an environment variable: `data_dir` is `GATEWAY_DATA_DIR`.

    The keyring's passphrase is never among them: it comes by prompt, descriptor or a 0600 file.
    """

    data_dir: Path = Path("var")
    """Database, keyring and other state of the embedded default."""
    heads_dir: Path | None = None
    """Where the last signed heads are kept outside the database; default `data_dir/heads`."""
    database_url: str = ""
    """Empty: SQLite in `data_dir`. Else `postgresql://…`."""
    keyring_file: Path | None = None
    """The sealed keyring; default `data_dir/keyring.json`."""
    passphrase_file: Path | None = None
    """A 0600 file outside `data_dir` that holds the passphrase; default: prompt."""
    passphrase_fd: int | None = None
    """A descriptor to read the passphrase from."""
    opa_url: str = ""
    """Empty: policy is decided in this process. Else the OPA server, on loopback or a private mesh."""
    opa_token_file: Path | None = None
    """A file with the bearer token for OPA."""
    opa_timeout_ms: int = 250
    """So long OPA may take for a decision; then there is none, and the request is refused with 503."""
    valkey_url: str = ""
    """Empty: replay windows live in this process. Else `valkey://…`, shared between processes."""
    policies_dir: Path = Path("policies")
    """The rules, as `.rego` files."""
    host: str = "127.0.0.1"
    port: int = 8700
    issuer: str = ""
    """Public base URL; default `http://host:port` on loopback, required elsewhere, and https there."""
    tls_terminated: bool = False
    """A proxy with TLS stands in front; required to listen anywhere but on loopback. Then it must be known."""
    proxy_addresses: str = ""
    """The proxy's addresses or networks, comma-separated: who may say where a request comes from."""
    proxy_secret_file: Path | None = None
    """A 0600 file with what the proxy sends as `Gateway-Proxy`; an address alone proves nothing."""
    mtls_issuer: str = ""
    """Public origin at which the proxy asks for client certificates (RFC 8705); empty: they are not accepted."""
    client_rate: int = 50
    """Token requests a second that a client gets served by this process, after `client_burst`."""
    client_burst: int = 500
    """So many token requests of a client at once."""
    stranger_rate: int = 10
    """Failures a second that strangers of one address may have, after `stranger_burst`."""
    stranger_burst: int = 200
    """So many failures of strangers of one address at once."""
    rotate_keys_days: int = 90
    """How long the gateway's own keys sign before others take over; 0: by command alone."""
    pdf_roots_file: Path | None = None
    """Certificates (PEM) that a company's certificate under a signed PDF may lead to; none: registered keys alone."""
    leak_hold_hours: int = 72
    """How long a reported leak holds the leaking party's access before a resolution must extend it."""
    return_days: int = 30
    """So many days after an agreement's end a recipient has to return or destroy what it received."""
    qualification_grace_days: int = 0
    """So many days an expired document still counts (clause 2.1.1), from the next admission or renewal on."""
    open_logs: bool = False
    """Serve the transparency logs to everybody; for demonstrations with made data on loopback only."""
    oidc_issuer: str = ""
    """Empty: operators sign in with passkeys alone. Else the company's OpenID provider too."""
    oidc_client_id: str = ""
    """Who the gateway is at the provider."""
    oidc_algorithm: str = "RS256"
    """The one algorithm that ID tokens are signed with: RS256 (OpenID's default), PS256, ES256 or EdDSA."""
    oidc_acr: str = ""
    """Accepted authentication context classes, separated by blanks; one of them is required."""
    oidc_amr: str = ""
    """Authentication methods (RFC 8176), separated by blanks; all of them are required."""
    oidc_secret_file: Path | None = None
    """A 0600 file with the client secret; default: the gateway's own key (private_key_jwt)."""
    oidc_ca_file: Path | None = None
    """Root certificates (PEM) of the provider; default: those that `certifi` knows."""

    sms_sender: str = ""
    """How SMS leave: `https` (`sms_url`), `file` (`messages_dir`), `console`; empty: console on loopback, else none."""
    sms_url: str = ""
    """The https address of the SMS service, which the gateway's signed POSTs go to."""
    mail_sender: str = ""
    """How e-mail leaves: `smtp`, `file` (`messages_dir`), `console`; empty: console on loopback, else none."""
    smtp_host: str = ""
    """The server that takes the mail."""
    smtp_port: int = 587
    smtp_tls: str = "starttls"
    """`starttls`, `implicit` (usually port 465), or `none`, which is for a server on this machine."""
    smtp_from: str = ""
    """The address that mail comes from."""
    smtp_user: str = ""
    """Empty: the server asks for no password."""
    smtp_password_file: Path | None = None
    """A 0600 file with the password."""
    messages_dir: Path | None = None
    """Where the sender `file` lays messages down; the folder exists already."""

    jwks_loopback: bool = False
    """Let members' key sets lie on this machine; for tests on loopback only."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ, **given: object) -> Self:
        """Settings from `GATEWAY_*` and explicit values, checked; an unknown variable is an error."""
        for secret in _SECRETS:
            if secret in environment:
                raise Invalid(
                    "secret_in_environment",
                    "A passphrase must not stand in the environment, where every child process reads it.",
                    field=secret,
                    remedy="Use GATEWAY_PASSPHRASE_FILE (mode 0600) or GATEWAY_PASSPHRASE_FD.",
                )
        known = {f.name: f for f in fields(cls)}
        values: dict[str, object] = {}
        for variable, text in environment.items():
            if not variable.startswith(_PREFIX):
                continue
            name = variable.removeprefix(_PREFIX).lower()
            if name == "opa":
                continue
            if name not in known:
                raise Invalid("unknown_setting", "There is no such setting.", field=variable)
            values[name] = _convert(variable, str(known[name].type), text)
        values.update({name: value for name, value in given.items() if value is not None})
        settings = cls(**values)  # type: ignore[arg-type]
        settings._check()
        return settings

    @property
    def base_url(self) -> str:
        """The issuer identifier, without a trailing slash (RFC 8414 section 2)."""
        host = f"[{self.host}]" if ":" in self.host and not self.host.startswith("[") else self.host
        return self.issuer or f"http://{host}:{self.port}"

    @property
    def sqlite_path(self) -> Path:
        """The embedded database."""
        return self.data_dir / "gateway.db"

    @property
    def keyring_path(self) -> Path:
        """The sealed keyring."""
        return self.keyring_file or self.data_dir / "keyring.json"

    @property
    def heads_path(self) -> Path:
        """The last signed heads, outside the database."""
        return self.heads_dir or self.data_dir / "heads"

    @property
    def proxy_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Where the proxy may be."""
        names = [name for name in self.proxy_addresses.split(",") if name.strip()]
        try:
            return tuple(ip_network(name.strip()) for name in names)
        except ValueError:
            raise Invalid(
                "invalid_proxy_addresses",
                "Not a list of addresses and networks.",
                field="GATEWAY_PROXY_ADDRESSES",
                remedy="Name them as in 10.0.0.7,10.1.0.0/28.",
            ) from None

    @property
    def is_local(self) -> bool:
        """Whether nobody but this machine reaches the gateway, directly or by its public address."""
        return is_loopback(self.host) and is_loopback(urlsplit(self.base_url).hostname or "")

    @property
    def sms_by(self) -> str:
        """What sends SMS; empty for nothing."""
        return self.sms_sender or ("console" if self.is_local else "")

    @property
    def mail_by(self) -> str:
        """What sends e-mail; empty for nothing."""
        return self.mail_sender or ("console" if self.is_local else "")

    def _check_senders(self) -> None:
        """Messages hold codes and addresses: they leave encrypted, or not for others to see."""
        for name, kinds in (("sms_sender", ("https", "file", "console")), ("mail_sender", ("smtp", "file", "console"))):
            chosen, field = getattr(self, name), f"{_PREFIX}{name.upper()}"
            if chosen and chosen not in kinds:
                raise Invalid("unknown_sender", f"One of {', '.join(kinds)}.", field=field)
            if chosen == "console" and not self.is_local:
                raise Invalid(
                    "console_sender_not_loopback",
                    "Messages are shown on the console of a gateway on loopback only: its log would hold codes.",
                    field=field,
                    remedy=f"Set it to {kinds[0]}.",
                )
            if chosen == "file" and self.messages_dir is None:
                raise Invalid("no_messages_dir", "Where messages are laid down.", field="GATEWAY_MESSAGES_DIR")
        if self.sms_sender == "https" and not self.sms_url.startswith("https://"):
            raise Invalid("invalid_sms_url", "The SMS service has an https address.", field="GATEWAY_SMS_URL")
        if self.mail_sender == "smtp":
            self._check_smtp()

    def _check_smtp(self) -> None:
        if not self.smtp_host:
            raise Invalid("no_smtp_host", "The server that takes the mail.", field="GATEWAY_SMTP_HOST")
        if "@" not in self.smtp_from:
            raise Invalid("no_smtp_from", "The address that mail comes from.", field="GATEWAY_SMTP_FROM")
        if self.smtp_tls not in ("starttls", "implicit", "none"):
            raise Invalid("unknown_smtp_tls", "One of starttls, implicit, none.", field="GATEWAY_SMTP_TLS")
        if self.smtp_tls == "none" and not is_loopback(self.smtp_host):
            raise Invalid(
                "insecure_smtp",
                "Without TLS mail goes to a server on this machine only.",
                field="GATEWAY_SMTP_TLS",
                remedy="Use starttls or implicit.",
            )
        if bool(self.smtp_user) != bool(self.smtp_password_file):
            raise Invalid(
                "half_an_smtp_login",
                "A user and a password, or neither.",
                field="GATEWAY_SMTP_PASSWORD_FILE",
                remedy="Set both GATEWAY_SMTP_USER and GATEWAY_SMTP_PASSWORD_FILE.",
            )

    def _check_opa(self) -> None:
        if not 1 <= self.opa_timeout_ms <= _LONGEST_DECISION_MS:
            raise Invalid(
                "invalid_opa_timeout", f"From 1 to {_LONGEST_DECISION_MS} ms.", field="GATEWAY_OPA_TIMEOUT_MS"
            )

    def _check_duties(self) -> None:
        for name in ("leak_hold_hours", "return_days"):
            if not 1 <= getattr(self, name) <= _LONGEST_PERIOD:
                raise Invalid("invalid_period", f"From 1 to {_LONGEST_PERIOD}.", field=f"{_PREFIX}{name.upper()}")

    def _check_addresses(self) -> None:
        """Host and port stand where they must. No URL is quoted, for it may hold a password."""
        for name in ("port", "smtp_port"):
            if not 1 <= getattr(self, name) <= _HIGHEST_PORT:
                raise Invalid("invalid_port", f"From 1 to {_HIGHEST_PORT}.", field=f"{_PREFIX}{name.upper()}")
        for name, schemes in _URLS.items():
            if not is_url(getattr(self, name), schemes):
                named = f", with {', '.join(schemes)}" if schemes else ""
                raise Invalid("invalid_url", f"Not a URL{named}.", field=f"{_PREFIX}{name.upper()}")

    def _check(self) -> None:
        self._check_addresses()
        self._check_duties()
        self._check_opa()
        self._check_senders()
        self._check_issuer()
        self._check_loopback_only()
        self._check_storage()
        self._check_oidc()
        self._check_proxy()

    def _check_issuer(self) -> None:
        """Whoever is not on this machine speaks to the gateway through TLS."""
        if not is_loopback(self.host) and not self.tls_terminated:
            raise Invalid(
                "insecure_listener",
                "Without TLS the gateway listens on loopback only.",
                field="GATEWAY_HOST",
                remedy="Put a TLS proxy in front and set GATEWAY_TLS_TERMINATED=true.",
            )
        url = urlsplit(self.base_url)
        if url.username or url.query or url.fragment or url.path.endswith("/") or not url.hostname:
            raise Invalid("invalid_issuer", "The issuer is not a plain URL.", field="GATEWAY_ISSUER")
        if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.hostname)):
            raise Invalid(
                "insecure_issuer", "The issuer must be https outside loopback (RFC 8414).", field="GATEWAY_ISSUER"
            )

    def _check_loopback_only(self) -> None:
        """What is convenient for tests is for a gateway that nobody else can reach."""
        if self.is_local:
            return
        if self.open_logs:
            raise Invalid(
                "open_logs_not_loopback",
                "Logs are open to everybody on loopback only.",
                field="GATEWAY_OPEN_LOGS",
                remedy="Leave it unset: members read their logs with the action audit.",
            )
        if self.jwks_loopback:
            raise Invalid(
                "jwks_loopback_not_loopback",
                "Key sets may lie on this machine for tests on loopback only.",
                field="GATEWAY_JWKS_LOOPBACK",
                remedy="Leave it unset: members publish their keys at public https addresses.",
            )

    def _check_storage(self) -> None:
        if self.passphrase_file is not None and self.data_dir.resolve() in self.passphrase_file.resolve().parents:
            raise Invalid(
                "passphrase_beside_data",
                "The passphrase file lies in the data directory, so one copy would hold both.",
                field="GATEWAY_PASSPHRASE_FILE",
                remedy="Keep it elsewhere.",
            )
        if self.database_url and not self.database_url.startswith(("postgresql://", "postgres://")):
            raise Invalid("invalid_database_url", "Only postgresql:// is understood.", field="GATEWAY_DATABASE_URL")
        if self.database_url and not self.valkey_url:
            raise Invalid(
                "replay_not_shared",
                "Several processes may share this database, so they must share replay windows.",
                field="GATEWAY_VALKEY_URL",
                remedy="Name a Valkey or Redis server.",
            )

    def _check_proxy(self) -> None:
        """Who speaks for a connection is settled before the first one, and nobody guesses."""
        if bool(self.proxy_networks) != bool(self.proxy_secret_file):
            raise Invalid(
                "half_a_proxy",
                "A proxy is trusted by its address and by a secret, not by one of them.",
                field="GATEWAY_PROXY_SECRET_FILE",
                remedy="Set both GATEWAY_PROXY_ADDRESSES and GATEWAY_PROXY_SECRET_FILE.",
            )
        if (self.tls_terminated or self.mtls_issuer) and not self.proxy_networks:
            raise Invalid(
                "proxy_not_trusted",
                "A proxy stands in front, and the gateway would not know its word from a stranger's.",
                field="GATEWAY_PROXY_ADDRESSES",
                remedy="Set GATEWAY_PROXY_ADDRESSES and GATEWAY_PROXY_SECRET_FILE.",
            )
        if self.mtls_issuer:
            url = urlsplit(self.mtls_issuer)
            if url.scheme != "https" or not url.hostname or url.path or url.query or "@" in url.netloc:
                raise Invalid("invalid_mtls_issuer", "Not an https origin.", field="GATEWAY_MTLS_ISSUER")
        if min(self.client_rate, self.client_burst, self.stranger_rate, self.stranger_burst) < 1:
            raise Invalid("invalid_rate", "A rate and a burst are at least 1.", field="GATEWAY_CLIENT_RATE")

    def _check_oidc(self) -> None:
        if not self.oidc_issuer:
            return
        url = urlsplit(self.oidc_issuer)
        plain = url.scheme == "http" and is_loopback(url.hostname or "")
        if not (url.scheme == "https" or plain) or not url.hostname or "@" in url.netloc or url.query or url.fragment:
            raise Invalid(
                "insecure_oidc_issuer", "The provider's issuer must be a plain https URL.", field="GATEWAY_OIDC_ISSUER"
            )
        if not self.oidc_client_id:
            raise Invalid("oidc_client_missing", "The provider knows us by a name.", field="GATEWAY_OIDC_CLIENT_ID")
        if self.oidc_algorithm not in _OIDC_ALGORITHMS:
            raise Invalid(
                "oidc_algorithm_refused",
                f"ID tokens are signed with one of {', '.join(_OIDC_ALGORITHMS)}.",
                field="GATEWAY_OIDC_ALGORITHM",
            )
        if not (self.oidc_acr.split() or self.oidc_amr.split()):
            raise Invalid(
                "oidc_strength_unstated",
                "How strongly the provider must authenticate operators is not stated.",
                field="GATEWAY_OIDC_ACR",
                remedy="Name accepted acr values, or required methods in GATEWAY_OIDC_AMR.",
            )


def _convert(variable: str, kind: str, text: str) -> object:
    if "Path" in kind:
        return Path(text)
    if "int" in kind:
        if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
            raise Invalid("invalid_setting", f"Not a whole number of at most {_LONGEST_NUMBER} digits.", field=variable)
        return int(text)
    if "bool" in kind:
        if text not in {"true", "false"}:
            raise Invalid("invalid_setting", "Neither true nor false.", field=variable)
        return text == "true"
    return text
