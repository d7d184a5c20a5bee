"""SMS through the operator's SMS service: an HTTPS POST, signed with the gateway's own key (RFC 9421).

The service verifies it with the keys under `/v1/jwks`, so there is no secret to share. `idempotency-key` names the
message: one that comes twice is sent once.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from gateway.errors import GatewayError
from gateway.identity import ResponseSigner
from gateway.senders.sender import NotSent, Outgoing

Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[None]]
"""Sends content with header fields to an address; returns once it is acknowledged, else raises `GatewayError`."""

_JSON: Final = "application/json"


class SmsSender:
    """Posts `{"to": "+86…", "text": "…"}` to one address."""

    def __init__(self, uri: str, post: Post, signer: ResponseSigner) -> None:
        self._uri = uri
        self._post = post
        self._signer = signer

    async def send(self, message: Outgoing) -> None:
        """Return once the service has acknowledged it."""
        content = json.dumps({"to": message.address, "text": message.text}, ensure_ascii=False).encode()
        fields = {"content-type": _JSON, "idempotency-key": f'"{secrets.token_hex(16)}"'}
        try:
            signed = self._signer.sign_push(self._uri, content, fields)
            await self._post(self._uri, content, {**fields, **signed.headers})
        except GatewayError:
            raise NotSent("SMS_NOT_ACCEPTED") from None
