"""Addresses at which members publish their keys (`jwks_uri`, RFC 7591 section 2): which are acceptable.

An address comes from outside, so it must not become a way into our own network.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from gateway.errors import GatewayError, Invalid

_LONGEST: Final = 512
_PLAIN: Final = re.compile(r"https://[A-Za-z0-9._~:/?&=%@!$'()*+,;\[\]-]+")
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
"""All that is given out of IPv6 (RFC 4291 section 2.4). What lies outside is a site's own, as the `fec0::/10` that
Python calls global, or stands for an IPv4 address (RFC 2765, RFC 6052, RFC 8215)."""

_NOT_PUBLIC: Final = tuple(
    ip_network(one) for one in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "3fff::/20")
)
"""What Python, by version, calls global and is not: for protocols (RFC 6890; one cloud keeps its machines' credentials
there), relays that are gone (RFC 7526), another cloud's host as its machines see it, documentation (RFC 9637)."""

Look = Callable[[str], Awaitable[list[object]]]
"""Returns the members of the key set published at an address, none of them checked, or raises `KeysUnfetched`."""


class KeysUnfetched(GatewayError):
    """The address gave no key set. `code` says why, to our logs alone."""

    def __init__(self, code: str) -> None:
        super().__init__(code, "The keys could not be fetched.")


def checked_address(uri: object, *, loopback: bool = False) -> str:
    """An `https` URL with a host and without user, fragment or odd characters, not naming a private address.

    `loopback` lets it name this machine. `Invalid` otherwise.
    """
    if not isinstance(uri, str) or len(uri) > _LONGEST or not _PLAIN.fullmatch(uri):
        raise _not_acceptable()
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise _not_acceptable() from None
    if not host or "@" in parts.netloc:
        raise _not_acceptable()
    try:
        literal = ip_address(host)
    except ValueError:
        return uri
    if not is_open_to_us(literal, loopback=loopback):
        raise _not_acceptable()
    return uri


def is_open_to_us(address: IPv4Address | IPv6Address, *, loopback: bool) -> bool:
    """Whether it is a public unicast address, whatever it is wrapped in, or loopback where that is allowed."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return is_open_to_us(address.ipv4_mapped, loopback=loopback)
    if address.is_loopback:
        return loopback
    if any(address in network for network in _NOT_PUBLIC):
        return False
    if isinstance(address, IPv6Address):
        wrapping = address.sixtofour is not None or address.teredo is not None
        if wrapping or address not in _GLOBAL_UNICAST:
            return False
    return address.is_global and not address.is_multicast


def _not_acceptable() -> Invalid:
    return Invalid(
        "invalid_jwks_uri",
        f"A jwks_uri is a public https URL of at most {_LONGEST} characters, without user and fragment.",
        field="jwks_uri",
    )
