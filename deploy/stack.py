"""`make stack`: the production set as processes of this machine, on loopback, thrown away at the end.

PostgreSQL, OPA with the bundle of `policies/`, Valkey or Redis, two gateways, and nginx that ends TLS with a
certificate made for the occasion. The same set, in containers, is `docker-compose.yml`.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.services import ComponentMissing, Service, ServiceFailed, free_port
from tests.services.nginx import Nginx
from tests.services.opa import OPA, POLICIES
from tests.services.postgresql import PostgreSQL
from tests.services.valkey import Valkey

_METADATA = "/.well-known/oauth-authorization-server"
_OPA_TIMEOUT_MS = 5000
"""Longer than in production: here one machine, busy with the whole set, is also the OPA server's."""


class Gateway(Service):
    """One `gateway serve`, with settings given as its environment."""

    name = "gateway"

    def __init__(self, settings: Mapping[str, str]) -> None:
        super().__init__()
        data = self.directory / "data"
        data.mkdir(mode=0o700)
        self._settings = {**settings, "GATEWAY_DATA_DIR": str(data), "GATEWAY_PORT": str(self.port)}

    @property
    def environment(self) -> Mapping[str, str]:
        """Our own environment with the gateway's settings, and none that was set outside."""
        return _without_gateway_settings() | self._settings

    def command(self) -> Sequence[str]:
        return [*gateway_program(), "serve"]

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{_METADATA}", timeout=2) as answer:
                found: bool = answer.status == HTTPStatus.OK
        except (urllib.error.URLError, OSError):
            return False
        return found


def _without_gateway_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}


def gateway_program() -> list[str]:
    """The command line that the `gateway` script of this environment stands for."""
    return [str(Path(sys.executable).parent / "gateway")]


@dataclass(frozen=True, slots=True)
class Stack:
    """The running set. `settings` is the environment that `gateway admin` needs to act on it."""

    nginx: Nginx
    gateways: tuple[Gateway, ...]
    postgresql: PostgreSQL
    opa: OPA
    valkey: Valkey
    settings: Mapping[str, str]

    @property
    def issuer(self) -> str:
        """The public address, `https://127.0.0.1:port`."""
        return self.nginx.url

    def describe(self) -> str:
        """Where everything listens, for people."""
        lines = {
            "public, TLS": f"{self.issuer}  (trust {self.nginx.certificate})",
            "by certificate": self.nginx.mtls_url,
            **{f"gateway {number}": f"http://127.0.0.1:{g.port}" for number, g in enumerate(self.gateways, start=1)},
            "PostgreSQL": f"127.0.0.1:{self.postgresql.port}",
            "OPA": f"{self.opa.url}  (policy {self.opa.digest[:16]})",
            "Valkey": f"127.0.0.1:{self.valkey.port}",
        }
        return "\n".join(f"  {name:<14} {where}" for name, where in lines.items())


@contextmanager
def running(*, port: int | None = None, gateways: int = 2) -> Iterator[Stack]:
    """Start everything in order, and stop it in the opposite order whatever happens."""
    with ExitStack() as started:
        folder = Path(started.enter_context(TemporaryDirectory(prefix="gateway-stack-")))
        token = secrets.token_urlsafe(32)
        postgresql = started.enter_context(PostgreSQL())
        valkey = started.enter_context(Valkey())
        opa = started.enter_context(OPA(token=token))
        port = port or free_port()
        mtls_port, proxy = free_port(), secrets.token_hex(32)
        postgresql.execute("CREATE DATABASE gateway")
        settings = {
            "GATEWAY_ISSUER": f"https://127.0.0.1:{port}",
            "GATEWAY_MTLS_ISSUER": f"https://127.0.0.1:{mtls_port}",
            "GATEWAY_TLS_TERMINATED": "true",
            "GATEWAY_PROXY_ADDRESSES": "127.0.0.1",
            "GATEWAY_PROXY_SECRET_FILE": str(_secret(folder / "proxy_secret", proxy)),
            "GATEWAY_HOST": "127.0.0.1",
            "GATEWAY_DATABASE_URL": postgresql.url("gateway"),
            "GATEWAY_VALKEY_URL": valkey.url,
            "GATEWAY_OPA_URL": opa.url,
            "GATEWAY_OPA_TOKEN_FILE": str(_secret(folder / "opa_token", token)),
            "GATEWAY_OPA_TIMEOUT_MS": str(_OPA_TIMEOUT_MS),
            "GATEWAY_POLICIES_DIR": str(POLICIES),
            "GATEWAY_KEYRING_FILE": str(folder / "keyring.json"),
            "GATEWAY_HEADS_DIR": str(folder / "heads"),
            "GATEWAY_PASSPHRASE_FILE": str(_secret(folder / "passphrase", secrets.token_urlsafe(32))),
        }
        _initialise(folder, settings)
        nodes = tuple(started.enter_context(Gateway(settings)) for _ in range(gateways))
        nginx = started.enter_context(
            Nginx([node.port for node in nodes], port=port, mtls_port=mtls_port, secret=proxy)
        )
        yield Stack(nginx, nodes, postgresql, opa, valkey, settings)


def _secret(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def _initialise(folder: Path, settings: Mapping[str, str]) -> None:
    environment = {**_without_gateway_settings(), **settings, "GATEWAY_DATA_DIR": str(folder / "data")}
    said = subprocess.run([*gateway_program(), "init"], env=environment, capture_output=True, text=True, check=False)
    if said.returncode != 0:
        raise ServiceFailed(f"gateway init ended with status {said.returncode}:\n{said.stdout}{said.stderr}")


def main() -> None:
    """Run the set until Ctrl-C or SIGTERM."""
    asked = argparse.ArgumentParser(description="The production set as local processes, until Ctrl-C.")
    asked.add_argument("--port", type=int, default=8443, help="where the TLS proxy listens (default 8443)")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what runs behind `&` with it ignored
    try:
        with running(port=asked.parse_args().port) as stack:
            print(f"Alliance Gateway runs:\n{stack.describe()}\nCtrl-C stops everything.", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        print("\nStopped.")
    except (ComponentMissing, ServiceFailed) as failed:
        sys.exit(str(failed))


if __name__ == "__main__":
    main()
