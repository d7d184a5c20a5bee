"""Addresses as they are written in settings: what can be taken apart, and what stays on this machine."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit


def is_url(text: str, schemes: Collection[str] = ()) -> bool:
    """Whether text is empty, or a URL (RFC 3986): host and port can be told apart, and the scheme is one of these."""
    try:
        url = urlsplit(text)
        _ = url.port  # which is looked at no earlier than here
    except ValueError:
        return False
    return not (text and schemes) or (url.scheme in schemes and bool(url.hostname or url.scheme == "unix"))


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, whatever names are looked up."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
