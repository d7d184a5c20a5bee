"""Where the console is, as browsers see it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Self
from urllib.parse import urlsplit

_USUAL_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Site:
    """The console's origin, and the domain that its passkeys belong to (WebAuthn's relying party)."""

    origin: str
    rp_id: str
    name: str = "Alliance Gateway"

    @classmethod
    def of(cls, base_url: str) -> Self:
        """The site of an issuer. Passkeys need a domain, so a loopback address is called `localhost`."""
        url = urlsplit(base_url)
        host = url.hostname or ""
        port = f":{url.port}" if url.port not in (None, _USUAL_PORTS.get(url.scheme)) else ""
        if _is_loopback(host):
            host = "localhost"
        return cls(f"{url.scheme}://{host}{port}", host)

    @property
    def secure(self) -> bool:
        """Whether it is https; else it is on loopback."""
        return self.origin.startswith("https:")

    @property
    def host(self) -> str:
        """Host and port, as a `Host` header names them."""
        return self.origin.partition("://")[2]


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
