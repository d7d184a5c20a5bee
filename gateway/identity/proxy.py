"""The TLS proxy in front, and whose word is taken about a connection: from which address, with which certificate.

A connection's certificate is known to the proxy alone. It hands it over in headers that anybody could write, so they
count only from an allow-listed peer that also knows a secret; from everybody else they are as if not sent.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

from gateway.identity import certificates
from gateway.identity.certificates import Certificate

SECRET_HEADER: Final = b"gateway-proxy"
CERTIFICATE_HEADER: Final = b"client-cert"
"""RFC 9440 section 2.2."""
VERDICT_HEADER: Final = b"client-cert-verify"
"""What the proxy makes of the chain: `SUCCESS`, or anything else (nginx `$ssl_client_verify`)."""
ADDRESS_HEADER: Final = b"x-forwarded-for"

_SUBSCRIBER_BITS: Final = 64
_LONGEST_NAME: Final = 64

_Headers = Sequence[tuple[bytes, bytes]]


class TrustedProxy:
    """See the module. `networks` are the peers that may be the proxy, `secret` is what it knows; none trusts nobody."""

    def __init__(self, networks: Sequence[IPv4Network | IPv6Network] = (), secret: bytes = b"") -> None:
        self._networks = tuple(networks) if secret else ()
        self._secret = secret

    @property
    def is_trusted(self) -> bool:
        """Whether there is one at all."""
        return bool(self._networks)

    def certificate(self, headers: _Headers, peer: str) -> Certificate | None:
        """The certificate of the connection, if the proxy says there is one; `CertificateRefused` if unreadable.

        `headers` are raw ASGI headers (lower-case names), `peer` is the address that the connection came from.
        """
        found = _all(headers, CERTIFICATE_HEADER)
        if len(found) != 1 or not self._speaks(headers, peer):
            return None
        return certificates.from_header(found[0])

    def vouches(self, headers: _Headers, peer: str) -> bool:
        """Whether the proxy verified the certificate's chain against the authorities that it trusts."""
        return self._speaks(headers, peer) and _all(headers, VERDICT_HEADER) == [b"SUCCESS"]

    def address(self, headers: _Headers, peer: str) -> str:
        """Where the request comes from: as the proxy says, else the peer itself. Nothing is decided by it alone."""
        found = _all(headers, ADDRESS_HEADER)
        if len(found) == 1 and self._speaks(headers, peer):
            try:
                return str(ip_address(found[0].decode("ascii")))
            except ValueError:
                return peer
        return peer

    def _speaks(self, headers: _Headers, peer: str) -> bool:
        if not self._networks:
            return False
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        found = _all(headers, SECRET_HEADER)
        known = len(found) == 1 and hmac.compare_digest(found[0], self._secret)
        return known and any(address in network for network in self._networks)


NO_PROXY: Final = TrustedProxy()


def peer_of(scope: Mapping[str, Any]) -> str:
    """The address of an ASGI scope's peer; '' where there is none, and that is nobody's."""
    client = scope.get("client")
    return client[0] if client else ""


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """What is counted as one place: the address, or the /64 of an IPv6 address, which one subscriber has as a whole."""
    try:
        known = ip_address(address)
    except ValueError:
        return address[:_LONGEST_NAME]
    if isinstance(known, IPv6Address):
        return str(known.ipv4_mapped or IPv6Address(int(known) >> _SUBSCRIBER_BITS << _SUBSCRIBER_BITS))
    return str(known)


def _all(headers: _Headers, wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name == wanted]
