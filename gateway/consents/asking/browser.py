"""What is kept of a browser that a notice was served to: enough to prove the serving, too little to follow anybody."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import Final

_PREFIX: Final = {4: 24, 6: 48}


@dataclass(frozen=True, slots=True)
class Browser:
    """Where a request comes from. `path` is the route's, never the token that stood in it."""

    address: str
    user_agent: str
    method: str
    path: str

    def facts(self) -> dict[str, str]:
        """Method, path, the network of the address (/24, /48), and the SHA-256 of what the browser calls itself."""
        identified = sha256(self.user_agent.encode("utf-8", "surrogatepass")).hexdigest()
        return {"method": self.method, "path": self.path, "network": _network(self.address), "browser": identified}

    def __repr__(self) -> str:
        return f"Browser({self.method}, not shown)"


def _network(address: str) -> str:
    try:
        known = ip_address(address)
    except ValueError:
        return ""
    return str(ip_network(f"{known}/{_PREFIX[known.version]}", strict=False))
